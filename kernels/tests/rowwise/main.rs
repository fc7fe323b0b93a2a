//! Kernels that memory bounds: element-wise, reductions, scans and the like.

mod elementwise;
mod embedding;
mod loss;
mod numbers;
mod optimizer;
mod reduce;
mod rope;
mod sampling;
mod scan;
mod top_k;
