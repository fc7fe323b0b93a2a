//! Kernels with bulk copies, barriers in shared memory, `wgmma` and clusters: right ones find
//! nothing and compute the right numbers in every schedule, and of each planted bug the line is
//! found in every schedule.

mod barriers;
mod copies;
mod gemm;
mod matrices;
mod pairs;
mod pipeline;
mod scaled;
mod scene;
mod tensor_memory;
