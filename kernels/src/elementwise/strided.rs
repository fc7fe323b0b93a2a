//! Functions of the elements of matrices of any strides: of parts of rows, and of rows and columns that
//! stand for all.

use kernelsmith::launch::{ViewArg, ViewMutArg};
use kernelsmith::prelude::*;

use crate::cut::{rows, streams};
use crate::error::Error;
use crate::number::Number;

/// `y = f(a, b)` of matrices. `a_dense` and `b_dense` say whether their rows' elements are next to each
/// other, `streaming` whether those of `y` go past the caches.
#[kernel(
    block = warp_size(),
    requires = (
        a.shape(0) == y.shape(0),
        a.shape(1) == y.shape(1),
        b.shape(0) == y.shape(0),
        b.shape(1) == y.shape(1),
        a_dense * a.stride(1) == a_dense,
        b_dense * b.stride(1) == b_dense,
    ),
)]
pub fn zip_map_views_kernel<X: Num, Z: Num, A: Num, B: Num, C: Num, Y: Num>(
    #[comptime] a_dense: bool,
    #[comptime] b_dense: bool,
    #[comptime] streaming: bool,
    f: impl Fn(A, B) -> C + Copy,
    a: &View<X, 2>,
    b: &View<Z, 2>,
    y: &mut Part<Y, 2>,
) {
    for i in 0..y.count(0) {
        let row = y.global(0, i);
        for j in 0..y.count(1) {
            let at = [row, y.global(1, j)];
            let value = f(a[at].cast::<A>(), b[at].cast::<B>()).cast::<Y>();
            if streaming {
                y.store_streaming([i, j], value);
            } else {
                y[[i, j]] = value;
            }
        }
    }
}

/// `y = f(a, b)` of matrices of one shape and any strides, of which that of `y`'s columns is 1; f16 and
/// bf16 are f32 in `f`.
///
/// A stride of 0 repeats: `View::of(&bias, [m, n]).strides([0, 1])` is a matrix whose rows are all the
/// bias. Gate and up projections in one matrix of `2 n` columns are views of two parts of its buffer with
/// strides `[2 * n, 1]`.
///
/// ```
/// use kernelsmith::prelude::*;
/// use kernelsmith_kernels::elementwise::zip_map_views;
/// # fn main() -> Result<(), kernelsmith_kernels::Error> {
/// let x = Buffer::from_slice(&Device::cpu(), &[1.0f32, 2.0, 3.0, 4.0])?;
/// let bias = Buffer::from_slice(&Device::cpu(), &[10.0f32, 20.0])?;
/// let mut y = Buffer::<f32>::zeros(x.device(), 4)?;
/// let rows = View::of(&bias, [2, 2]).strides([0, 1]);
/// zip_map_views(View::of(&x, [2, 2]), rows, View::of_mut(&mut y, [2, 2]), |x, b| x + b)?;
/// assert_eq!(y.to_vec()?, [11.0, 22.0, 13.0, 24.0]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If the shapes differ, a view leaves its buffer, `y` names an element twice or its last stride is not 1,
/// the views live on different devices, or `f` captures anything.
pub fn zip_map_views<X: Number, Z: Number, Y: Number, F>(
    a: ViewArg<'_, X, 2>,
    b: ViewArg<'_, Z, 2>,
    y: ViewMutArg<'_, Y, 2>,
    f: F,
) -> Result<(), Error>
where
    F: Fn(Val<X::Wide>, Val<Z::Wide>) -> Val<Y::Wide> + Copy + 'static,
{
    let shape = y.shape();
    for (argument, found) in [("a", a.shape()), ("b", b.shape())] {
        if found != shape {
            return Err(Error::Shape {
                argument,
                found: format!("the shape {found:?}"),
                rule: format!("it must have that of y, {shape:?}"),
            });
        }
    }
    let [m, n] = shape;
    if m == 0 || n == 0 {
        return Ok(());
    }
    let device = y.device().clone();
    let dense = |strides: [usize; 2]| strides[1] == 1;
    let (a_dense, b_dense) = (dense(a.layout().1), dense(b.layout().1));
    let streaming = streams::<Y>(device.target(), m.saturating_mul(n));
    let y = y.partition([rows(device.target(), n), n]);
    zip_map_views_kernel::<X, Z, X::Wide, Z::Wide, Y::Wide, Y, F>(
        a_dense, b_dense, streaming, f, a, b, y,
    )
    .launch(&device)?;
    Ok(())
}

/// `y = f(x)` of matrices of one shape; as [`zip_map_views`].
///
/// # Errors
/// As [`zip_map_views`].
pub fn map_view<X: Number, Y: Number, F>(
    x: ViewArg<'_, X, 2>,
    y: ViewMutArg<'_, Y, 2>,
    f: F,
) -> Result<(), Error>
where
    F: Fn(Val<X::Wide>) -> Val<Y::Wide> + Copy + 'static,
{
    // The second operand's loads are of nothing that is used, and vanish.
    zip_map_views(x, x, y, move |x, _| f(x))
}
