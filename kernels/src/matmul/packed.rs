//! Right factors that are used often: laid out once as the device's matmul reads them.

use kernelsmith::Target;
use kernelsmith::launch::ViewArg;
use kernelsmith::prelude::*;

use super::element::Factor;
use super::operand::{Matrix, is_unit, normal};
use super::pack::{PANEL, pack_panels};
use super::products::{Products, Single, Words};
use crate::error::Error;

/// A right factor, or a batch of them, as the matmul of its device reads it fastest: weights are packed
/// once and multiplied with often. It takes as much memory as the matrix, rounded up to a multiple of 32
/// columns, and keeps nothing of what it was made of.
///
/// ```
/// # use kernelsmith::prelude::*;
/// # use kernelsmith_kernels::matmul::{Matmul, Packed};
/// # fn main() -> Result<(), kernelsmith_kernels::Error> {
/// # let device = Device::cpu();
/// # let weights = Buffer::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0])?;
/// # let x = Buffer::from_slice(&device, &[1.0f32, 1.0])?;
/// # let mut y = Buffer::<f32>::zeros(&device, 2)?;
/// let packed = Packed::new(View::of(&weights, [2, 2]))?;
/// Matmul::new(View::of(&x, [1, 2]), &packed).run(View::of_mut(&mut y, [1, 2]))?;
/// # assert_eq!(y.to_vec()?, [4.0, 6.0]);
/// # Ok(())
/// # }
/// ```
pub struct Packed<T: Num> {
    data: Buffer<T>,
    /// Batch, rows, columns.
    shape: [usize; 3],
    batched: bool,
}

impl<T: Factor> Packed<T> {
    /// Packs a view of two or three dimensions, on its device.
    ///
    /// # Errors
    /// If the view reaches beyond its buffer, or memory is short.
    pub fn new<'a>(b: impl Into<Matrix<'a, T>>) -> Result<Packed<T>, Error> {
        let Matrix { view, batched } = b.into();
        view.check("b")?;
        let (shape @ [batch, k, n], device) = (view.shape(), view.device().clone());
        if shape.contains(&0) {
            return Ok(Packed { data: Buffer::zeros(&device, 0)?, shape, batched });
        }
        let data = match is_cpu(&device) {
            true => pack::<T>(view)?,
            false => {
                // SAFETY: the copy writes every element.
                let mut data = unsafe { Buffer::uninit(&device, batch * k * n) }?;
                super::finish::copy(view, View::of_mut(&mut data, shape))?;
                data
            }
        };
        Ok(Packed { data, shape, batched })
    }
}

impl<T: Num> Packed<T> {
    /// Batch, rows and columns of what was packed.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The data as the CPU's matmul reads it: words, or elements if words are of one.
    pub(super) fn panels<W: Num>(&self, len: usize) -> Result<ViewArg<'_, W, 3>, Error> {
        let [batch, k, n] = self.shape;
        let words = self.data.view().cast::<W>()?;
        Ok(View::of(words, [batch, n.div_ceil(PANEL), k.div_ceil(len) * PANEL]))
    }

    /// The data as GPUs' do.
    pub(super) fn matrix(&self) -> Matrix<'_, T> {
        Matrix { view: View::of(&self.data, self.shape), batched: self.batched }
    }
}

pub(crate) fn is_cpu(device: &Device) -> bool {
    *device.target() == Target::Cpu
}

/// As this CPU multiplies it. Elements that make no words stay what they are.
fn pack<T: Factor>(b: ViewArg<'_, T, 3>) -> Result<Buffer<T>, Error> {
    if T::is_native(b.device()) { words::<T, T::Native>(b) } else { words::<T, T::Plain>(b) }
}

fn words<T: Num, D: Products>(b: ViewArg<'_, T, 3>) -> Result<Buffer<T>, Error> {
    if const { D::Right::LEN == 1 } {
        panels::<T, T, Single<T>>(b)
    } else {
        panels::<T, T, D::Right>(b)
    }
}

/// `batch x panels x (words * 32)` of a matrix that is not empty, in a buffer of `P`, of which words are
/// made.
pub(super) fn panels<T: Num, P: Num, W: Words>(b: ViewArg<'_, T, 3>) -> Result<Buffer<P>, Error> {
    let b = normal(b);
    let ([batch, k, n], device) = (b.shape(), b.device().clone());
    let (all, deep) = (batch * n.div_ceil(PANEL), k.div_ceil(W::LEN));
    let len = all * deep * PANEL * size_of::<W::Word>() / size_of::<P>();
    // SAFETY: packing writes every element before anybody reads it.
    let mut packed = unsafe { Buffer::<P>::uninit(&device, len) }?;
    let words = packed.view_mut().cast::<W::Word>()?;
    let parts = View::of_mut(words, [all, deep, PANEL]).partition([8, 32, PANEL]);
    let [rows, columns] = [2, 1].map(|axis| is_unit(&b, axis));
    let whole = k.is_multiple_of(W::LEN);
    pack_panels::<T, W>(rows, columns, batch > 1, whole, b, parts).launch(&device)?;
    Ok(packed)
}
