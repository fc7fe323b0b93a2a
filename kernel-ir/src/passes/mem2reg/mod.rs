//! Variable slots become SSA values, or local arrays.
//!
//! The control flow is structured, so no dominance frontiers are needed: a variable written inside
//! an `if` or `block` and read behind it becomes one of its results; a variable written inside a
//! loop and live at its head becomes a carried value. Three steps:
//!
//! 1. `arrays`: slots reached by an index only known at run time move into local arrays.
//! 2. `liveness`: which variables each control operation merges, pruned by what is live.
//! 3. `rewrite`: one walk in program order that knows each variable's value.
//!
//! All are linear in the kernel's size, times a bit for each variable at each control operation.
//! A slot read before it was ever written is zero.

mod arrays;
mod liveness;
mod rewrite;

use crate::kernel::Kernel;

/// Removes every variable slot.
pub fn run(kernel: &mut Kernel) {
    arrays::lower_indexed(kernel);
    let merges = liveness::merges(kernel);
    rewrite::rewrite(kernel, &merges);
    kernel.vars.clear();
}
