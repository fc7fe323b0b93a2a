//! Kernelsmith IR to AMDGCN code objects.
