//! The library's functions in f64, written for clarity alone.

mod attention;
mod matmul;
mod norm;
mod softmax;

pub use attention::{attention, attention_and_lse, attention_scored};
pub use matmul::matmul;
pub use norm::{layer_norm, rms_norm};
pub use softmax::softmax;

/// `a * x + y`, element by element.
pub fn saxpy(a: f64, x: &[f64], y: &[f64]) -> Vec<f64> {
    x.iter().zip(y).map(|(x, y)| a * x + y).collect()
}
