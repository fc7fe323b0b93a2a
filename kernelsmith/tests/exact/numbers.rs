//! Arithmetic and casts, on inputs of every size.

use kernelsmith::prelude::*;

#[device(host)]
fn chained_casts(a: u32, b: u32, c: u32) -> u32 {
    let x = a as u8 as u32;
    let y = b as i8 as i32 as u32;
    let z = (c as i16 as i64 >> 3) as u32;
    let f = a as i32 as f32 * 1.5;
    let s = f as u8 as u32 + (f as i16 as u32);
    x ^ y.rotate_left(7) ^ z ^ s.wrapping_mul(31)
}

#[device(host)]
fn saturating_casts(a: u32, b: u32, _c: u32) -> u32 {
    let big = f32::from_bits(a);
    let x = big as i32 as u32;
    let y = big as u64 as u32;
    let z = big as i8 as u32;
    let w = f64::from(f32::from_bits(b)) as u16 as u32;
    x ^ y ^ z ^ w
}

#[device(host)]
fn dot_products_of_bytes(a: u32, b: u32, c: u32) -> u32 {
    let (x, y) = (a as i32, b as i32);
    let one_sign = dot4(a, b, 7) ^ dot4(x, y, c as i32).rotate_left(9);
    let two_signs = dot4(a, y, -1) ^ dot4(x, b, c as i32).rotate_left(17);
    (one_sign ^ two_signs) as u32
}

/// Of sizes at which no target meets a denormal.
#[device(host)]
fn dot_products_of_bf16(a: u32, b: u32, c: u32) -> u32 {
    let near_one = |x: u32| x & 0x87ff_87ff | 0x3800_3800;
    let (x, y) = (near_one(a), near_one(b));
    let sum = dot2(x, y, f32::from_bits(c & 0x87ff_ffff | 0x3800_0000));
    let low = bf16::from_f32(f32::from_bits(near_one(c)));
    dot2(bf16_pair(low, bf16::from_f32(sum)), y, sum).to_bits()
}

#[device(host)]
fn shifts(a: u32, b: u32, c: u32) -> u32 {
    let x = a.wrapping_shl(b) ^ a.wrapping_shr(c);
    let y = (a as i32 >> (b % 32)) as u32;
    let z = ((a as u64) << (c % 64)) as u32;
    x ^ y ^ z ^ (!a & b | c)
}

#[device(host)]
fn narrow_arithmetic(a: u32, b: u32, c: u32) -> u32 {
    let x = (a as u8).wrapping_add(b as u8).wrapping_mul(c as u8);
    let y = (a as i16).wrapping_sub(b as i16).wrapping_mul(7);
    let z = (a as i64).wrapping_mul(b as i64) as u32;
    let w = (a as i8).wrapping_neg().wrapping_abs();
    x as u32 ^ y as u32 ^ z ^ w as u32
}

#[device(host)]
fn division(a: u32, b: u32, c: u32) -> u32 {
    let d = b | 1;
    let q = a / d + a % d;
    let e = (c as i32).wrapping_abs() | 1;
    let s = (a as i32 / e) ^ (a as i32 % e);
    let r = (a as i32).rem_euclid(e) ^ (a as i32).div_euclid(e);
    q ^ s as u32 ^ r as u32 ^ a.div_ceil(d) ^ (a / 2).next_multiple_of(d % 1000 + 1)
}

#[device(host)]
fn integer_methods(a: u32, b: u32, c: u32) -> u32 {
    let x = a.min(b).max(c) ^ a.clamp(5, 1000) ^ a.abs_diff(b);
    let y = a.leading_zeros() + 3 * a.trailing_zeros() + 5 * a.count_ones() + 7 * b.count_zeros();
    let z = a.rotate_left(b % 32) ^ b.rotate_right(c % 32) ^ c.swap_bytes() ^ a.reverse_bits();
    let w = a.saturating_sub(b) ^ a.saturating_add(b) ^ a.saturating_mul(c);
    let s = (a as i32).saturating_add(b as i32) ^ (a as i32).saturating_sub(c as i32);
    let t = (a as i32).signum() ^ (b as i32).wrapping_abs();
    let p = (a % 7).pow(3) + (c % 5).pow(b % 8) + (a.is_power_of_two() as u32) * 9;
    x ^ y ^ z ^ w ^ s as u32 ^ t as u32 ^ p
}

#[device(host)]
fn float_arithmetic(a: u32, b: u32, c: u32) -> u32 {
    let (x, y, z) = (f32::from_bits(a), b as f32 * 0.25, c as i32 as f32);
    let sum = x + y * z - 2.0 * y / (z + 0.5);
    let fused = x.mul_add(y, z);
    let r =
        y.floor() + y.ceil() + (y / 3.0).trunc() + (z / 7.0).round_ties_even() + (y / 5.0).round();
    let m = x.min(y).max(z).abs() + x.copysign(-y) + (y % 7.0);
    let s = y.sqrt() + z.abs().sqrt() + z.signum() + z.fract();
    let bits = |v: f32| if v.is_nan() { 1 } else { v.to_bits() };
    bits(sum) ^ bits(fused) ^ bits(r).rotate_left(3) ^ bits(m) ^ bits(s)
}

#[device(host)]
fn float_comparisons(a: u32, b: u32, _c: u32) -> u32 {
    let (x, y) = (f32::from_bits(a), f32::from_bits(b));
    let mut out = 0;
    if x < y {
        out |= 1;
    }
    if x <= y {
        out |= 2;
    }
    if x == y {
        out |= 4;
    }
    if x != y {
        out |= 8;
    }
    if !(x >= y) {
        out |= 16;
    }
    if x.is_nan() || y.is_infinite() {
        out |= 32;
    }
    if x.is_finite() && x.is_sign_negative() {
        out |= 64;
    }
    if x > f32::MAX || x < f32::MIN || x == f32::INFINITY {
        out |= 128;
    }
    out
}

#[device(host)]
fn wide_integers(a: u32, b: u32, c: u32) -> u32 {
    let x = (a as u64) << 32 | b as u64;
    let y = x.wrapping_mul(c as u64 | 0x1_0000_0001);
    let z = (y >> 17) as i64 as f64 * 0.5;
    let w = z as u64;
    (y as u32) ^ ((y >> 32) as u32) ^ w as u32 ^ (x as i64 >> 40) as u32
}

#[device(host)]
fn typed_functions(a: u32, b: u32, c: u32) -> u32 {
    let x = u32::max(a, b) ^ u32::min(b, 100) ^ u32::wrapping_add(a, c);
    let y = f32::sqrt(a as f32) + f32::max(b as f32, 1.5) + f32::abs(-2.0);
    x ^ y.to_bits()
}

/// Small and large bases, and exponents that the base decides to be too large or not.
#[device(host)]
fn powers_that_may_not_fit(a: u32, b: u32, c: u32) -> u32 {
    let (x, y, z) = (a as u8, (a >> 8) as i8, (a as i32) >> (b % 32));
    let e = c % 40;
    let mut sum = x.checked_pow(e).unwrap_or(7) as u32;
    sum = sum.wrapping_mul(31) ^ y.checked_pow(e).unwrap_or(-3) as u32;
    sum = sum.wrapping_mul(31) ^ z.checked_pow(e).unwrap_or(11) as u32;
    sum = sum.wrapping_mul(31) ^ z.saturating_pow(e) as u32;
    sum = sum.wrapping_mul(31) ^ (y.saturating_pow(e) as u32);
    let (wrapped, lost) = (z as i64).overflowing_pow(e);
    sum = sum.wrapping_mul(31) ^ wrapped as u32 ^ lost as u32;
    let (wrapped, lost) = (a as u64).overflowing_pow(2);
    sum = sum.wrapping_mul(31) ^ (wrapped >> 16) as u32 ^ lost as u32;
    sum = sum.wrapping_mul(31) ^ (a as u64).checked_pow(3).unwrap_or(b as u64) as u32;
    if let Some(cube) = z.checked_pow(3) {
        sum ^= cube as u32;
    }
    sum ^ y.wrapping_pow(5) as u32 ^ (x.checked_pow(0).is_some() as u32) ^ z.wrapping_pow(c) as u32
}

crate::agreement!(agree_wide:
    chained_casts, saturating_casts, shifts, narrow_arithmetic, division, integer_methods,
    float_arithmetic, float_comparisons, wide_integers, typed_functions,
    powers_that_may_not_fit, dot_products_of_bytes, dot_products_of_bf16,
);
