//! The math functions' expansions: how near they are to the truth, and their special cases.

mod accuracy;
mod exhaustive;
mod fp8;
mod lanes;
mod shape;
mod small;
mod special;
mod ulp;
