//! Options: of the host, and those that only the running kernel knows.

use kernelsmith::prelude::*;

#[device(host)]
fn checked_branches(a: u32, b: u32, c: u32) -> u32 {
    let sum = if let Some(v) = a.checked_add(b) { v } else { 7 };
    let mut out = sum ^ c;
    if let Some(difference) = b.checked_sub(c) {
        out ^= difference.rotate_left(3);
    } else {
        out = out.wrapping_add(1);
    }
    let product = match a.checked_mul(c) {
        Some(v) if false => v,
        Some(v) => v,
        None => 99,
    };
    out ^ product
}

#[device(host)]
fn checked_values(a: u32, b: u32, c: u32) -> u32 {
    let x = a.checked_add(b).unwrap_or(c);
    let y = a.checked_div(b).unwrap_or(1) ^ b.checked_rem(c).unwrap_or(2);
    let z = a.checked_shl(b % 40).unwrap_or(3) ^ a.checked_shr(c % 40).unwrap_or(4);
    let n = (a as i32).checked_neg().unwrap_or(5) ^ (b as i32).checked_abs().unwrap_or(6);
    let d = (a as i32).checked_div(b as i32).unwrap_or_default();
    let s = a.checked_sub(b).is_some() as u32 + 2 * a.checked_mul(c).is_none() as u32;
    let m = a.checked_add(c).map(|v| v / 3).unwrap_or(8);
    let t = a.checked_add(b).and_then(|v| v.checked_mul(3)).unwrap_or_else(|| b ^ c);
    let o = a.checked_add(b).or(a.checked_sub(b)).unwrap_or(9);
    x ^ y ^ z ^ (n as u32) ^ (d as u32) ^ s ^ m ^ t ^ o
}

#[device(host)]
fn overflowing(a: u32, b: u32, c: u32) -> u32 {
    let (sum, lost) = a.overflowing_add(b);
    let (difference, below) = b.overflowing_sub(c);
    let (product, big) = (a as i32).overflowing_mul(c as i32);
    let (negative, least) = (c as i32).overflowing_neg();
    let (wide, wider) = (a as u64 * 0x1_0001).overflowing_mul(b as u64 * 0x10_0001);
    let (long, longer) = (a as i64 * -0x10_0001).overflowing_mul(b as i32 as i64 * 0x1001);
    let (byte, narrow) = (a as i8).overflowing_sub(b as i8);
    let flags = lost as u32 + 2 * below as u32 + 4 * big as u32 + 8 * least as u32;
    let more = 16 * wider as u32 + 32 * longer as u32 + 64 * narrow as u32;
    let parts = sum ^ difference.rotate_left(1) ^ (product as u32) ^ (negative as u32);
    parts ^ (wide as u32) ^ ((wide >> 32) as u32) ^ (long as u32) ^ (byte as u32) ^ (flags + more)
}

#[device(host)]
fn saturating(a: u32, b: u32, c: u32) -> u32 {
    let x = (a as i32).saturating_mul(b as i32) as u32 ^ a.saturating_mul(c);
    let y = (a as u64 * 0x10_0001).saturating_mul(b as u64 * 0x1_0001);
    let z = (a as i64 * 0x10_0001).saturating_mul(c as i32 as i64 * 0x1_0001);
    let w = (a as i8).saturating_add(b as i8) as u32 ^ (a as u16).saturating_sub(c as u16) as u32;
    let v = (a as i32).saturating_abs() as u32;
    x ^ (y >> 7) as u32 ^ (z >> 9) as u32 ^ w ^ v
}

#[device(host)]
fn let_else(a: u32, b: u32, c: u32) -> u32 {
    let Some(x) = a.checked_sub(b) else {
        return 5;
    };
    let Some(mut y) = Some(c) else { return 6 };
    y = y.wrapping_add(x);
    let 0..=1000 = y else {
        let z = y / 2;
        return z;
    };
    let (n, 0..20) = (x, c) else { return x };
    y.wrapping_add(n)
}

#[device(host)]
fn let_else_in_loops(a: u32, b: u32, c: u32) -> u32 {
    let mut sum = 0u32;
    'outer: for i in 0..a % 16 {
        let Some(x) = (b % 8).checked_sub(i) else { continue };
        for j in 0..4u32 {
            let Some(y) = x.checked_sub(j) else { continue 'outer };
            let Some(z) = Some(y) else { break 'outer };
            sum = sum.wrapping_mul(3).wrapping_add(z);
        }
        if sum > c {
            break;
        }
    }
    sum
}

#[device(host)]
fn while_let(a: u32, b: u32, c: u32) -> u32 {
    let mut n = a % 1000;
    let mut rounds = 0u32;
    while let Some(rest) = n.checked_sub(b % 50 + 3) {
        n = rest;
        rounds += 1;
        if rounds > 40 {
            break;
        }
        if n % 7 == c % 7 {
            continue;
        }
        rounds += 100;
    }
    let mut k = c % 16;
    while let 1..=9 = k {
        k -= 1;
        rounds += k;
    }
    let mut pair = (a % 4, b % 4);
    while let (x @ 1..=3, y) = pair {
        pair = (x - 1, y + x);
    }
    n + 10 * rounds + k + 7 * pair.1
}

#[device(host)]
fn options_of_the_host(a: u32, b: u32, _c: u32) -> u32 {
    let some = Some(a % 100);
    let none: Option<u32> = None;
    let Some(x) = some else { return 1 };
    let y = match none {
        None => b % 10,
        Some(v) => v,
    };
    let z = match some {
        Some(0) if false => 1,
        Some(v) => v + 2,
        _ => 3,
    };
    let w = some.map(|v| v * 2).unwrap_or(0);
    if let Some(v) = none {
        return v;
    }
    x + y + z + w
}

#[device(host)]
fn matches_macro(a: u32, b: u32, c: u32) -> u32 {
    let x = matches!(a % 10, 1 | 3..=5 | 9);
    let y = matches!((a % 3, b % 3), (0 | 1, n) if n > c % 3);
    let z = !matches!(b, 0..100);
    let w = (10..c).contains(&a) as u32 + (b..=c).contains(&a) as u32;
    assert!(w <= 2, "at most two");
    assert_eq!(w / 3, 0);
    debug_assert_ne!(w, 3);
    x as u32 + 2 * y as u32 + 4 * z as u32 + 8 * w
}

crate::agreement!(agree_wide:
    checked_branches, checked_values, overflowing, saturating, let_else, let_else_in_loops,
    while_let, options_of_the_host, matches_macro,
);
