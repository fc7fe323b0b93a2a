//! The #[kernel] and #[device] macros of Kernelsmith.
