//! Kernelsmith IR to PTX text.
