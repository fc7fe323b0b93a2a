//! GPU kernels as annotated Rust functions, for NVIDIA, AMD and the CPU, on stable Rust.
