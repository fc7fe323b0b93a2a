//! Products with quantised weights, against what `f64` makes of the dequantised ones.

mod block;
mod int4;
mod product;
