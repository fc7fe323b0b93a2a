//! Activation functions, for epilogues (`Matmul::new(a, b).map(gelu)`) and
//! [`elementwise`](crate::elementwise) kernels (`map(&x, &mut y, gelu)`).

use kernelsmith::prelude::*;

/// `x` where it is positive, else 0; NaN stays NaN.
#[device]
pub fn relu<T: Float>(x: T) -> T {
    if x < Val::<T>::lit(0.0) { Val::<T>::lit(0.0) } else { x }
}

/// `x / (1 + e^-x)`, also called swish (Elfwing et al., "Sigmoid-weighted linear units", 2018).
#[device]
pub fn silu<T: Float>(x: T) -> T {
    x / (Val::<T>::lit(1.0) + (-x).exp())
}

/// `x` times the probability that a standard normal variable is less: `x / 2 * (1 + erf(x / sqrt 2))`
/// (Hendrycks and Gimpel, "Gaussian error linear units", 2016).
#[device]
pub fn gelu<T: Float>(x: T) -> T {
    x * Val::<T>::lit(0.5)
        * (Val::<T>::lit(1.0) + (x * Val::<T>::lit(std::f64::consts::FRAC_1_SQRT_2)).erf())
}

/// The approximation of [`gelu`] by a hyperbolic tangent, of the same paper:
/// `x / 2 * (1 + tanh(u))` with `u = sqrt(2 / pi) * (x + 0.044715 x^3)`, computed as
/// `x / (1 + e^-2u)`. That is the same number by one exponential, and exact to a few ulp where the tangent
/// is so near -1 that nothing would be left of the sum.
#[device]
pub fn gelu_tanh<T: Float>(x: T) -> T {
    // -2u / ln 2, so that the power is of 2: two operations fewer than by `e`.
    let linear = -2.0 * (2.0 / std::f64::consts::PI).sqrt() * std::f64::consts::LOG2_E;
    let inner = x * (Val::<T>::lit(linear) + Val::<T>::lit(0.044715 * linear) * x * x);
    x / (Val::<T>::lit(1.0) + inner.exp2())
}

/// `1 / (1 + e^-x)`.
#[device]
pub fn sigmoid<T: Float>(x: T) -> T {
    (Val::<T>::lit(1.0) + (-x).exp()).recip()
}

/// `silu(gate) * up` (Shazeer, "GLU variants improve transformer", 2020).
#[device]
pub fn swiglu<T: Float>(gate: T, up: T) -> T {
    silu(gate) * up
}

/// `gelu(gate) * up`, of the same paper.
#[device]
pub fn geglu<T: Float>(gate: T, up: T) -> T {
    gelu(gate) * up
}
