//! The interpreter on kernels that the language does not let one write, its schedules, and what
//! Hopper's engines do.

mod alone;
mod hopper;
