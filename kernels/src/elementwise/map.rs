//! Functions of one number and of two, element by element.

use kernelsmith::prelude::*;

use crate::cut::{streams, threads, tile};
use crate::error::{Error, check_len};
use crate::number::Number;

/// `y = f(x)`. With `streaming`, past the caches.
#[kernel(block = threads(), requires = (x.len() >= y.shape(0)))]
pub fn map_kernel<X: Num, A: Num, B: Num, Y: Num>(
    #[comptime] streaming: bool,
    f: impl Fn(A) -> B + Copy,
    x: &[X],
    y: &mut Part<Y, 1>,
) {
    for i in 0..y.count(0) {
        let value = f(x[y.global(0, i)].cast::<A>()).cast::<Y>();
        if streaming {
            y.store_streaming([i], value);
        } else {
            y[i] = value;
        }
    }
}

/// `x = f(x)`.
#[kernel(block = threads())]
pub fn map_in_place_kernel<X: Num, A: Num>(f: impl Fn(A) -> A + Copy, x: &mut Part<X, 1>) {
    for i in 0..x.count(0) {
        x[i] = f(x[i].cast::<A>()).cast::<X>();
    }
}

/// `y = f(a, b)`. With `streaming`, past the caches.
#[kernel(block = threads(), requires = (a.len() >= y.shape(0), b.len() >= y.shape(0)))]
pub fn zip_map_kernel<X: Num, Z: Num, A: Num, B: Num, C: Num, Y: Num>(
    #[comptime] streaming: bool,
    f: impl Fn(A, B) -> C + Copy,
    a: &[X],
    b: &[Z],
    y: &mut Part<Y, 1>,
) {
    for i in 0..y.count(0) {
        let at = y.global(0, i);
        let value = f(a[at].cast::<A>(), b[at].cast::<B>()).cast::<Y>();
        if streaming {
            y.store_streaming([i], value);
        } else {
            y[i] = value;
        }
    }
}

/// `x = f(x, b)`.
#[kernel(block = threads(), requires = (b.len() >= x.shape(0)))]
pub fn zip_map_in_place_kernel<X: Num, Z: Num, A: Num, B: Num>(
    f: impl Fn(A, B) -> A + Copy,
    b: &[Z],
    x: &mut Part<X, 1>,
) {
    for i in 0..x.count(0) {
        x[i] = f(x[i].cast::<A>(), b[x.global(0, i)].cast::<B>()).cast::<X>();
    }
}

/// `y = f(x)`, element by element; f16 and bf16 are f32 in `f`.
///
/// ```
/// use kernelsmith::prelude::*;
/// use kernelsmith_kernels::{activation::silu, elementwise::map};
/// # fn main() -> Result<(), kernelsmith_kernels::Error> {
/// let x = Buffer::from_slice(&Device::cpu(), &[0.0f32, 1.0, 2.0])?;
/// let mut y = Buffer::<f32>::zeros(x.device(), 3)?;
/// map(&x, &mut y, silu)?;
/// map(&x, &mut y, |x| x * x + 1.0)?;
/// assert_eq!(y.to_vec()?, [1.0, 2.0, 5.0]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If `x` and `y` differ in length or live on different devices, or `f` captures anything.
pub fn map<X: Number, Y: Number, F>(x: &Buffer<X>, y: &mut Buffer<Y>, f: F) -> Result<(), Error>
where
    F: Fn(Val<X::Wide>) -> Val<Y::Wide> + Copy + 'static,
{
    check_len("x", x.len(), "y.len()", Some(y.len()))?;
    if y.is_empty() {
        return Ok(());
    }
    let (device, len) = (y.device().clone(), y.len());
    let (target, tiles) = (device.target(), tile(device.target(), len));
    let y = y.partition([tiles]);
    map_kernel::<X, X::Wide, Y::Wide, Y, F>(streams::<Y>(target, len), f, x, y).launch(&device)?;
    Ok(())
}

/// `x = f(x)`, element by element; f16 and bf16 are f32 in `f`.
///
/// # Errors
/// If `f` captures anything.
pub fn map_in_place<X: Number, F>(x: &mut Buffer<X>, f: F) -> Result<(), Error>
where
    F: Fn(Val<X::Wide>) -> Val<X::Wide> + Copy + 'static,
{
    if x.is_empty() {
        return Ok(());
    }
    let device = x.device().clone();
    let tiles = tile(device.target(), x.len());
    map_in_place_kernel::<X, X::Wide, F>(f, x.partition([tiles])).launch(&device)?;
    Ok(())
}

/// `y = f(a, b)`, element by element; f16 and bf16 are f32 in `f`.
///
/// ```
/// use kernelsmith::prelude::*;
/// use kernelsmith_kernels::{activation::swiglu, elementwise::zip_map};
/// # fn main() -> Result<(), kernelsmith_kernels::Error> {
/// let gate = Buffer::from_slice(&Device::cpu(), &[0.0f32, 40.0])?;
/// let up = Buffer::from_slice(&Device::cpu(), &[5.0f32, 0.5])?;
/// let mut y = Buffer::<f32>::zeros(gate.device(), 2)?;
/// zip_map(&gate, &up, &mut y, swiglu)?;
/// assert_eq!(y.to_vec()?, [0.0, 20.0]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If `a`, `b` and `y` differ in length or live on different devices, or `f` captures anything.
pub fn zip_map<X: Number, Z: Number, Y: Number, F>(
    a: &Buffer<X>,
    b: &Buffer<Z>,
    y: &mut Buffer<Y>,
    f: F,
) -> Result<(), Error>
where
    F: Fn(Val<X::Wide>, Val<Z::Wide>) -> Val<Y::Wide> + Copy + 'static,
{
    check_len("a", a.len(), "y.len()", Some(y.len()))?;
    check_len("b", b.len(), "y.len()", Some(y.len()))?;
    if y.is_empty() {
        return Ok(());
    }
    let (device, len) = (y.device().clone(), y.len());
    let (target, tiles) = (device.target(), tile(device.target(), len));
    let (streaming, y) = (streams::<Y>(target, len), y.partition([tiles]));
    zip_map_kernel::<X, Z, X::Wide, Z::Wide, Y::Wide, Y, F>(streaming, f, a, b, y)
        .launch(&device)?;
    Ok(())
}

/// `x = f(x, b)`, element by element; f16 and bf16 are f32 in `f`. Adding a residual is
/// `zip_map_in_place(&mut x, &residual, |x, r| x + r)`.
///
/// # Errors
/// If `x` and `b` differ in length or live on different devices, or `f` captures anything.
pub fn zip_map_in_place<X: Number, Z: Number, F>(
    x: &mut Buffer<X>,
    b: &Buffer<Z>,
    f: F,
) -> Result<(), Error>
where
    F: Fn(Val<X::Wide>, Val<Z::Wide>) -> Val<X::Wide> + Copy + 'static,
{
    check_len("b", b.len(), "x.len()", Some(x.len()))?;
    if x.is_empty() {
        return Ok(());
    }
    let device = x.device().clone();
    let tiles = tile(device.target(), x.len());
    zip_map_in_place_kernel::<X, Z, X::Wide, Z::Wide, F>(f, b, x.partition([tiles]))
        .launch(&device)?;
    Ok(())
}
