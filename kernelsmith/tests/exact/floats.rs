//! Floats: the methods of every day, and the small types.

use kernelsmith::prelude::*;

/// The bits of a float; all NaNs alike.
#[device(host)]
fn bits(v: f32) -> u32 {
    if v.is_nan() { 1 } else { v.to_bits() }
}

#[device(host(bits))]
fn small_floats(a: u32, b: u32, c: u32) -> u32 {
    let x = f32::from_bits(a);
    let h = f16::from_f32(x);
    let g = bf16::from_f32(x);
    let back = bits(h.to_f32()) ^ bits(g.to_f32()).rotate_left(5);
    let i = f16::from_f32(b as i32 as f32);
    let j = bf16::from_f32(c as f32 * 0.5);
    let stored = f16::from_bits(c as u16);
    let wide = f64::from(x) as f32;
    let halved = f16::from_f64(f64::from(x) * 0.5).to_f32();
    back ^ bits(i.to_f32()) ^ bits(j.to_f32()) ^ bits(stored.to_f32()) ^ bits(wide) ^ bits(halved)
}

#[device(host(bits))]
fn float_methods(a: u32, b: u32, c: u32) -> u32 {
    let (x, y) = (f32::from_bits(a), (b as i32) as f32 * 0.125);
    let z = c as f32 + 1.0;
    let p = y.powi(3) - y.powi(2) + z.powi(0) - x.abs().sqrt().recip();
    let q = x.clamp(-10.0, 10.0) + y.max(0.5).min(1e6);
    let r = y.rem_euclid(z) + y.div_euclid(z) + (-y).rem_euclid(3.0);
    let s = z.to_degrees() + z.to_radians();
    let t = x.mul_add(y, z) - f32::EPSILON + f32::mul_add(y, 2.0, -1.5);
    let u = if x.is_sign_positive() && !x.is_infinite() { y.trunc() } else { -y.fract() };
    bits(p) ^ bits(q) ^ bits(r).rotate_left(7) ^ bits(s) ^ bits(t) ^ bits(u)
}

#[device(host)]
fn doubles(a: u32, b: u32, c: u32) -> u32 {
    let x = f64::from_bits((a as u64) << 32 | b as u64);
    let y = f64::from(c) * 1e-3;
    let sum = x.mul_add(y, 1.0) + y.sqrt() - y.floor();
    let n = sum as i64 as u64 ^ (y as u8 as u64) ^ (x as u32 as u64);
    let f = if sum.is_nan() { 1 } else { sum.to_bits() };
    (n as u32) ^ ((n >> 32) as u32) ^ (f as u32) ^ ((f >> 32) as u32)
}

#[device(host)]
fn integer_methods(a: u32, b: u32, c: u32) -> u32 {
    let x = a.leading_ones() + 3 * b.trailing_ones() + 7 * (c | 1).ilog2();
    let y = (a % 3000).next_power_of_two() ^ (b as u8 / 2).next_power_of_two() as u32;
    let z = a.is_multiple_of(b % 5) as u32 + 2 * (c % 9).is_multiple_of(3) as u32;
    let s = (a as i32).is_negative() as u32 + (b as i16).is_positive() as u32;
    let t = (a as i32).unsigned_abs() ^ (a as i32).abs_diff(b as i32) ^ (c as i8).signum() as u32;
    let w = (a as i64 - b as i64).rem_euclid(c as i64 + 1) as u32;
    let v = u64::from(a).rotate_left(b % 64) as u32 ^ u16::MAX as u32 ^ i8::MIN as u32;
    x ^ y.rotate_left(9) ^ z ^ s ^ t ^ w ^ v
}

#[device(host)]
fn casts_between_all(a: u32, b: u32, c: u32) -> u32 {
    let f = f32::from_bits(a);
    let d = f64::from_bits((b as u64) << 32 | c as u64);
    let x = f as i8 as u32 ^ f as u16 as u32 ^ f as i64 as u32 ^ (f as u64 >> 32) as u32;
    let y = d as i32 as u32 ^ d as u8 as u32 ^ d as usize as u32 ^ (d as isize >> 32) as u32;
    let z =
        a as i16 as f32 as u32 ^ (b as i64 as f64 as u32) ^ (c as u8 as i8 as f32 as i32 as u32);
    let w = (a > b) as i32 as u32 ^ (a as i8 as u64 >> 40) as u32 ^ (a as u8 as i64) as u32;
    let big = (((a as u64) << 32) | b as u64) as f32;
    let signed = (((b as u64) << 32) | c as u64) as i64 as f32;
    x ^ y ^ z ^ w ^ big.to_bits() ^ signed.to_bits().rotate_left(11)
}

crate::agreement!(agree_wide:
    small_floats, float_methods, doubles, integer_methods, casts_between_all,
);

// Rust adds its own numbers with the right side first, and `half`'s with the place first.
#[device(host)]
fn order_of_compound_assignment(a: u32, b: u32, c: u32) -> u32 {
    let mut x = [f16::from_f32(a as f32), f16::from_f32(b as f32), f16::ONE];
    let mut y = [a, b, 1];
    let mut i = 0usize;
    x[i] += {
        i += 1;
        f16::from_f32(c as f32)
    };
    let mut j = 0usize;
    y[j] += {
        j += 1;
        c
    };
    x[i].to_f32() as u32 + y[j] * 100 + x[0].to_f32() as u32 * 10000
}

crate::agreement!(agree: order_of_compound_assignment);
