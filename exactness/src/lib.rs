//! A kernel means what the same Rust function means: random programs that try to prove it wrong.
//!
//! [`generate`] writes programs over the whole language; each becomes a kernel, and without the
//! language's attributes it is plain Rust. They are compiled by rustc in batches; [`trial`] runs every
//! program as plain Rust, as a kernel on the CPU and as PTX in the emulator, on the same inputs,
//! and compares all results bit by bit, has `ptxas` accept the PTX, and links AMD's code objects.
//! The bin `exactness` does all this, and [`reduce`] makes small what fails:
//!
//! ```text
//! cargo run -p kernelsmith-exactness -- --programs 300 --seed 1
//! ```
//!
//! Unspecified by Rust, and so not looked at: the sign and payload of NaN, and which of two zeros
//! is the lesser. Results of transcendental functions may differ by 3 ulp: 2 are the kernel's, 1
//! the host library's.
#![deny(missing_docs)]

pub mod batch;
pub mod generate;
pub mod program;
pub mod random;
pub mod reduce;
pub mod trial;
pub mod types;
