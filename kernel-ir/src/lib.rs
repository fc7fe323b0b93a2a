//! Kernelsmith's portable kernel IR: types, operations, verifier, text form and passes.
