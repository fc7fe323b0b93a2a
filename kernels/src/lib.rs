//! Kernelsmith's library of kernels: matmul, attention, norms.
