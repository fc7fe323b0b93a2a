//! The greatest elements of rows, and drawing tokens by their logits.

mod candidates;
mod philox;
mod sample;
mod sampler;
mod top_k;

pub use philox::{philox, uniform};
pub use sample::{Form, sample_kernel, sample_kernel_ir};
pub use sampler::{Draw, Sampler};
pub use top_k::{MOST, top_k, top_k_kernel, top_k_kernel_ir};
