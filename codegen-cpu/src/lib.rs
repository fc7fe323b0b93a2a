//! Kernelsmith IR to SIMD machine code in this process.
