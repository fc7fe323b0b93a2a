//! Quantised weights on a device.

use kernelsmith::{Buffer, Device, f16};

use super::format::{Format, Layout};
use super::hopper::{self, Form, is_hopper};
use super::int4::Int4Tensors;
use super::int8::Int8Tensors;
use super::pack;
use super::plain::Panels;
use crate::error::Error;

/// A matrix of quantised weights, `W: n x k`, packed as the kernels read it.
///
/// ```
/// # use kernelsmith::{Buffer, Device};
/// # use kernelsmith_kernels::quant::{Format, QuantizedMatrix, quantized_matmul};
/// # fn main() -> Result<(), kernelsmith_kernels::Error> {
/// let device = Device::cpu();
/// // What a tensor of a GGUF file holds; here two rows of ones and twos.
/// let weights: Vec<f32> = (0..64).map(|i| if i < 32 { 1.0 } else { 2.0 }).collect();
/// let bytes = Format::Q8_0.quantize(&weights);
/// let w = QuantizedMatrix::from_gguf(&device, Format::Q8_0, [2, 32], &bytes)?;
///
/// let x = Buffer::from_slice(&device, &[1.0f32; 32])?;
/// let mut y = Buffer::<f32>::zeros(&device, 2)?;
/// quantized_matmul(1, &x, &w, &mut y)?;
/// assert!((y.to_vec()?[1] - 64.0).abs() < 0.1);
/// # Ok(())
/// # }
/// ```
pub struct QuantizedMatrix {
    pub(super) layout: Layout,
    source: Source,
    n: usize,
    k: usize,
    /// Words of panels, or where there is a form, pieces as Hopper's kernel reads them.
    pub(super) words: Buffer<u32>,
    pub(super) halves: Buffer<f16>,
    pub(super) form: Option<Form>,
}

/// What a matrix was made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Source {
    Gguf(Format),
    Int4,
    Int8,
}

impl QuantizedMatrix {
    /// Packs the bytes of a GGUF tensor of `n` rows of `k` weights. (In the file's own order of
    /// dimensions `k` comes first.)
    ///
    /// # Errors
    /// If `k` is no multiple of the format's block, there are more or fewer bytes than the shape says,
    /// or memory is short.
    pub fn from_gguf(
        device: &Device,
        format: Format,
        [n, k]: [usize; 2],
        bytes: &[u8],
    ) -> Result<QuantizedMatrix, Error> {
        let expected = gguf_bytes(format, n, k)?;
        if bytes.len() != expected {
            let size = format.block_bytes();
            return Err(Error::Shape {
                argument: "bytes",
                found: format!("{} bytes", bytes.len()),
                rule: format!(
                    "{format} must have n * k / {} * {size} = {expected} for n = {n}, k = {k}",
                    format.block_len()
                ),
            });
        }
        let panels = pack::pack_gguf(format, n, k, bytes);
        QuantizedMatrix::new(device, (Source::Gguf(format), format.layout()), [n, k], panels)
    }

    /// Packs the tensors of a layer of 4 bits in groups, as GPTQ and AWQ have them.
    ///
    /// # Errors
    /// If shape, group and the tensors' lengths do not fit, or memory is short.
    pub fn from_int4(device: &Device, tensors: &Int4Tensors<'_>) -> Result<QuantizedMatrix, Error> {
        tensors.check()?;
        let layout = Layout::int4(tensors.group);
        QuantizedMatrix::new(device, (Source::Int4, layout), tensors.shape, tensors.pack())
    }

    /// Packs the tensors of a layer of 8 bits in groups, or with a scale for each row.
    ///
    /// # Errors
    /// If shape, group and the tensors' lengths do not fit, or memory is short.
    pub fn from_int8(device: &Device, tensors: &Int8Tensors<'_>) -> Result<QuantizedMatrix, Error> {
        tensors.check()?;
        let layout = Int8Tensors::layout(tensors.group);
        QuantizedMatrix::new(device, (Source::Int8, layout), tensors.shape, tensors.pack())
    }

    /// A matrix of panels, packed again for a device that reads others.
    fn new(
        device: &Device,
        (source, layout): (Source, Layout),
        [n, k]: [usize; 2],
        (mut words, mut halves): (Vec<u32>, Vec<f16>),
    ) -> Result<QuantizedMatrix, Error> {
        let mut form = None;
        if let Some(panels) = Panels::new(layout, [n, k]).filter(|_| is_hopper(device)) {
            let own = Form::of_group(panels.bits(), panels.group());
            words = hopper::pack(own, [n, k], panels.group(), &panels.unpack(&words, &halves));
            halves = Vec::new();
            form = Some(own);
        }
        let (words, halves) =
            (Buffer::from_slice(device, &words)?, Buffer::from_slice(device, &halves)?);
        Ok(QuantizedMatrix { layout, source, n, k, words, halves, form })
    }

    /// The words and halves of panels.
    fn panels(&self) -> Result<(Vec<u32>, Vec<f16>), Error> {
        let words = self.words.to_vec()?;
        let panels = Panels::new(self.layout, self.shape());
        if let (Some(form), Some(panels)) = (self.form, panels) {
            let plain = hopper::unpack(form, self.shape(), panels.group(), &words);
            return Ok(panels.pack(&plain));
        }
        Ok((words, self.halves.to_vec()?))
    }

    /// Quantises `n` rows of `k` weights.
    ///
    /// # Errors
    /// If `k` is no multiple of the format's block, there are more or fewer weights than the shape says,
    /// or memory is short.
    pub fn quantize(
        device: &Device,
        format: Format,
        [n, k]: [usize; 2],
        weights: &[f32],
    ) -> Result<QuantizedMatrix, Error> {
        gguf_bytes(format, n, k)?;
        crate::error::check_len("weights", weights.len(), "n * k", n.checked_mul(k))?;
        QuantizedMatrix::from_gguf(device, format, [n, k], &format.quantize(weights))
    }

    /// Rows and columns, `[n, k]`.
    pub fn shape(&self) -> [usize; 2] {
        [self.n, self.k]
    }

    /// The device that has it.
    pub fn device(&self) -> &Device {
        self.words.device()
    }

    /// Bytes of memory that it takes, which is what a product with one row has to read.
    pub fn packed_bytes(&self) -> usize {
        4 * self.words.len() + 2 * self.halves.len()
    }

    /// The format and bytes of the GGUF tensor, if it was made of one.
    ///
    /// # Errors
    /// If the device cannot be read.
    pub fn to_gguf(&self) -> Result<Option<(Format, Vec<u8>)>, Error> {
        let Source::Gguf(format) = self.source else { return Ok(None) };
        let (words, halves) = self.panels()?;
        Ok(Some((format, pack::unpack_gguf(format, self.n, self.k, &words, &halves))))
    }

    /// The weights, row-major, exactly.
    ///
    /// # Errors
    /// If the device cannot be read.
    pub fn dequantize(&self) -> Result<Vec<f64>, Error> {
        let (words, halves) = self.panels()?;
        Ok(match (self.source, Panels::new(self.layout, self.shape())) {
            (Source::Int4 | Source::Int8, Some(panels)) => panels.dequantize(&words, &halves),
            (Source::Gguf(format), _) => {
                format.dequantize(&pack::unpack_gguf(format, self.n, self.k, &words, &halves))
            }
            (_, None) => unreachable!("integers in groups are a scale times a difference"),
        })
    }
}

/// The bytes of a tensor.
fn gguf_bytes(format: Format, n: usize, k: usize) -> Result<usize, Error> {
    let block = format.block_len();
    if !k.is_multiple_of(block) {
        return Err(Error::Shape {
            argument: "shape",
            found: format!("k = {k}"),
            rule: format!("a row of {format} must be whole blocks of {block} weights"),
        });
    }
    let bytes = (k / block).checked_mul(format.block_bytes()).and_then(|row| row.checked_mul(n));
    bytes.ok_or_else(|| Error::Shape {
        argument: "shape",
        found: format!("n = {n}, k = {k}"),
        rule: "the number of bytes must fit usize".to_owned(),
    })
}
