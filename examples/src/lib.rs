//! Examples of Kernelsmith: see the folders beside this one.
//!
//! Here the code of README.md and of the guide (`docs/guide`) is compiled and run as doctests.

/// Makes the code of a page doctests.
#[cfg(doctest)]
macro_rules! pages {
    ($($name:ident $path:literal)*) => {$(
        #[doc = include_str!($path)]
        mod $name {}
    )*};
}

#[cfg(doctest)]
pages! {
    readme "../../README.md"
    first_kernel "../../docs/guide/src/first-kernel.md"
    threads_and_views "../../docs/guide/src/threads-and-views.md"
    contracts "../../docs/guide/src/contracts.md"
    parts "../../docs/guide/src/parts.md"
    what_runs_where "../../docs/guide/src/what-runs-where.md"
    values_that_change "../../docs/guide/src/values-that-change.md"
    shared_memory "../../docs/guide/src/shared-memory.md"
    warps "../../docs/guide/src/warps.md"
    together "../../docs/guide/src/together.md"
    tiled_matmul "../../docs/guide/src/tiled-matmul.md"
    tensor_cores "../../docs/guide/src/tensor-cores.md"
    pipeline "../../docs/guide/src/pipeline.md"
    hopper "../../docs/guide/src/hopper.md"
    when_something_is_wrong "../../docs/guide/src/when-something-is-wrong.md"
    printing "../../docs/guide/src/printing.md"
    looking_at_the_code "../../docs/guide/src/looking-at-the-code.md"
    tuning "../../docs/guide/src/tuning.md"
}
