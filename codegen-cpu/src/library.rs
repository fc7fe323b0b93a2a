//! What compiled kernels may call.
//!
//! The least x86-64 machine has no instructions to round a float to an integer or to multiply and
//! add with one rounding, and LLVM calls C's mathematical library for them. A process need not
//! export those functions, so kernels get Rust's own, which mean the same.

macro_rules! library {
    ($($name:ident($($x:ident),*: $ty:ty) = $body:expr;)*) => {
        /// The names and addresses of the functions.
        pub(crate) fn symbols() -> [(&'static str, *const u8); [$(stringify!($name)),*].len()] {
            $(extern "C" fn $name($($x: $ty),*) -> $ty {
                $body
            })*
            [$((stringify!($name), $name as *const u8)),*]
        }
    };
}

library! {
    fmaf(a, b, c: f32) = a.mul_add(b, c);
    fma(a, b, c: f64) = a.mul_add(b, c);
    floorf(x: f32) = x.floor();
    floor(x: f64) = x.floor();
    ceilf(x: f32) = x.ceil();
    ceil(x: f64) = x.ceil();
    truncf(x: f32) = x.trunc();
    trunc(x: f64) = x.trunc();
    roundevenf(x: f32) = x.round_ties_even();
    roundeven(x: f64) = x.round_ties_even();
}
