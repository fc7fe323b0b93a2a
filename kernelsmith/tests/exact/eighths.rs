//! 8-bit floats.

use kernelsmith::prelude::*;

#[device(host)]
fn there_and_back(a: u32, b: u32, _c: u32) -> u32 {
    let x = e4m3::from_f32(f32::from_bits(a));
    let y = e5m2::from_f32(f32::from_bits(b));
    let bits = |v: f32| if v.is_nan() { 1 } else { v.to_bits() };
    bits(x.to_f32()) ^ bits(y.to_f32()).rotate_left(7)
}

#[device(host)]
fn codes(a: u32, b: u32, c: u32) -> u32 {
    let x = e4m3::from_bits(a as u8);
    let y = e5m2::from_bits(b as u8);
    let mut sum = x.to_f32() + f32::from(y);
    if c % 2 == 0 {
        sum = e4m3::from_f32(sum).to_f32() - e5m2::from_f32(sum).to_f32();
    }
    if sum.is_nan() { 1 } else { sum.to_bits() }
}

crate::agreement!(agree_wide: there_and_back, codes);
