//! Quantised weights on a device.

use kernelsmith::{Buffer, Device, f16};

use super::format::{Format, Layout};
use super::int4::{self, Int4Tensors};
use super::pack;
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
    pub(super) words: Buffer<u32>,
    pub(super) halves: Buffer<f16>,
}

/// What a matrix was made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Source {
    Gguf(Format),
    Int4 { group: usize },
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
        let (words, halves) = pack::pack_gguf(format, n, k, bytes);
        Ok(QuantizedMatrix {
            layout: format.layout(),
            source: Source::Gguf(format),
            n,
            k,
            words: Buffer::from_slice(device, &words)?,
            halves: Buffer::from_slice(device, &halves)?,
        })
    }

    /// Packs the tensors of a layer of 4 bits in groups, as GPTQ and AWQ have them.
    ///
    /// # Errors
    /// If shape, group and the tensors' lengths do not fit, or memory is short.
    pub fn from_int4(device: &Device, tensors: &Int4Tensors<'_>) -> Result<QuantizedMatrix, Error> {
        tensors.check()?;
        let ([n, k], (words, halves)) = (tensors.shape, tensors.pack());
        Ok(QuantizedMatrix {
            layout: Layout::int4(tensors.group),
            source: Source::Int4 { group: tensors.group },
            n,
            k,
            words: Buffer::from_slice(device, &words)?,
            halves: Buffer::from_slice(device, &halves)?,
        })
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
        let (words, halves) = (self.words.to_vec()?, self.halves.to_vec()?);
        Ok(Some((format, pack::unpack_gguf(format, self.n, self.k, &words, &halves))))
    }

    /// The weights, row-major, exactly.
    ///
    /// # Errors
    /// If the device cannot be read.
    pub fn dequantize(&self) -> Result<Vec<f64>, Error> {
        let (words, halves) = (self.words.to_vec()?, self.halves.to_vec()?);
        Ok(match self.source {
            Source::Gguf(format) => {
                format.dequantize(&pack::unpack_gguf(format, self.n, self.k, &words, &halves))
            }
            Source::Int4 { group } => int4::dequantize(self.shape(), group, &words, &halves),
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
