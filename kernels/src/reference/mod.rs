//! The library's functions in f64, written for clarity alone.

mod attention;
mod attention_backward;
mod matmul;
mod norm;
mod norm_backward;
mod rowwise;
mod softmax;

pub use attention::{
    attention, attention_and_lse, attention_packed, attention_scored, attention_with_sinks,
};
pub use attention_backward::attention_backward;
pub use matmul::matmul;
pub use norm::{layer_norm, rms_norm};
pub use norm_backward::{layer_norm_backward, rms_norm_backward, softmax_backward};
pub use rowwise::{adam, cross_entropy, rope};
pub use softmax::softmax;

/// `a * x + y`, element by element.
pub fn saxpy(a: f64, x: &[f64], y: &[f64]) -> Vec<f64> {
    x.iter().zip(y).map(|(x, y)| a * x + y).collect()
}
