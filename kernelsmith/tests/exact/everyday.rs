//! Everyday Rust: nested functions, closures, patterns, ranges, slices of arrays.

use kernelsmith::prelude::*;

#[device(host)]
fn nested_functions(a: u32, b: u32, c: u32) -> u32 {
    const SCALE: u32 = 3;
    fn triple(x: u32) -> u32 {
        if x > 100 {
            return x;
        }
        x * SCALE
    }
    fn larger<const N: usize>(values: [u32; N]) -> u32 {
        let mut most = 0;
        for v in values {
            most = if v > most { v } else { most };
        }
        most
    }
    triple(a) + larger([b, c, 5]) + triple(larger([a, b]))
}

#[device(host)]
fn closures_with_returns(a: u32, b: u32, c: u32) -> u32 {
    let first = |x: u32| -> u32 {
        if x > 10 {
            return x * 2;
        }
        for i in 0..x {
            if i * i > b {
                return i;
            }
        }
        x + 100
    };
    let capped = |mut x: u32| {
        while x > 9 {
            x /= 2;
        }
        x
    };
    let nothing = || {
        let _ = a;
    };
    nothing();
    let compose = |x: u32| first(capped(x));
    first(a) + compose(c) * 1000
}

#[device(host)]
fn apply_twice(f: impl Fn(u32) -> u32, x: u32) -> u32 {
    f(f(x))
}

#[device(host)]
fn fold3<F: Fn(u32, u32) -> u32>(values: [u32; 3], f: F) -> u32 {
    let mut acc = values[0];
    for v in values.iter().skip(1) {
        acc = f(acc, *v);
    }
    acc
}

#[device(host(apply_twice, fold3))]
fn functions_as_arguments(a: u32, b: u32, c: u32) -> u32 {
    let mut calls = 0u32;
    let x = apply_twice(|x| x + b, a);
    let y = fold3([a, b, c], |p, q| if p > q { p - q } else { q });
    let mut count = |by: u32| {
        calls += by;
        calls
    };
    count(2);
    count(c);
    x + 100 * y + 10000 * calls
}

#[device(host)]
fn inclusive_ranges(a: u32, b: u32, c: u32) -> u32 {
    let mut sum = 0u32;
    for i in b..=a {
        sum = sum.wrapping_mul(31).wrapping_add(i);
    }
    for i in (c..=a).rev() {
        sum = sum.wrapping_mul(31).wrapping_add(i);
    }
    for i in (b..=a + 9).step_by(c as usize % 4 + 1) {
        sum = sum.wrapping_mul(31).wrapping_add(i);
    }
    for i in (c..a).rev().step_by(3).rev() {
        sum = sum.wrapping_mul(31).wrapping_add(i);
    }
    for i in (1..=a as i32 - 5).rev().step_by(2) {
        sum = sum.wrapping_mul(31).wrapping_add(i as u32);
    }
    for i in 250..=(a as u8 | 240) {
        sum = sum.wrapping_add(i as u32);
    }
    for i in 1..=3u32 {
        sum += i;
    }
    for i in u32::MAX - 2..=u32::MAX - (c % 4) {
        sum = sum.wrapping_add(i);
    }
    sum
}

#[device(host)]
fn mutable_patterns(a: u32, b: u32, c: u32) -> u32 {
    let (mut x, [mut y, z]) = (a, [b, c]);
    x += y;
    y *= 2;
    let v = match (x, y) {
        (mut n, 0..=20) => {
            n += 3;
            n
        }
        (n, mut m) => {
            m += n;
            m * 2
        }
    };
    let w = match Some(z) {
        Some(mut n) if n < 10 => {
            n += 10;
            n
        }
        Some(n) => n,
        None => 0,
    };
    v + 1000 * w
}

#[device(host)]
fn bound_alternatives(a: u32, b: u32, c: u32) -> u32 {
    let x = match (a % 4, b) {
        (0, n) | (n, 0..=3) => n + 1,
        (n @ (1 | 2), _) | (_, n @ 10..) => n + 100,
        _ => 7,
    };
    let y = match (a, b, c) {
        (n, 5, _) | (5, n, _) | (9, 9, n) => n,
        (n, ..) => n + 50,
    };
    x + 1000 * y
}

#[device(host)]
fn slices_of_arrays(a: u32, b: u32, c: u32) -> u32 {
    let fixed = [a, b, c, 9, 11];
    let mut changed = [1u32, 2, 3, 4];
    changed[2] = a;
    let mut sum = 0u32;
    for v in &fixed[1..4] {
        sum = sum * 3 + *v;
    }
    for (i, v) in changed[2..].iter().enumerate() {
        sum += i as u32 * *v;
    }
    let head = &changed[..3];
    sum += head[0] + head[2] + head.len() as u32;
    for pair in fixed.windows(2) {
        sum += pair[0] * pair[1];
    }
    for chunk in changed.chunks(2) {
        sum = sum * 5 + chunk[0] + chunk[1];
    }
    for (v, w) in changed.iter().zip(fixed.iter().rev()) {
        sum += *v * *w;
    }
    sum + changed.iter().map(|v| v * 2).sum::<u32>()
}

#[device(host)]
fn blocks_and_constants(a: u32, b: u32, c: u32) -> u32 {
    const N: usize = 2 * 3 - 1;
    const TABLE: [[u32; 2]; 2] = [[1, 2], [3, 4]];
    let mut acc = [0u32; N + 1];
    for i in 0..N {
        acc[i] = a + i as u32;
    }
    let x = {
        let a = b;
        let b = a + 1;
        a * b
    };
    let y = if c > 5 {
        let x = x + 1;
        x
    } else {
        x
    };
    let x = x + TABLE[(a % 2) as usize][1];
    let z = x + const { 3 * N as u32 };
    acc[N] = z;
    let mut total = 0;
    for v in acc.iter() {
        total += v;
    }
    total + y
}

#[device(host)]
fn values_of_branches(a: u32, b: u32, c: u32) -> u32 {
    let (x, flag) = if a > b { (a - b, true) } else { (b, c > 3) };
    let rows = match c % 3 {
        0 => [[a, b], [c, 0]],
        1 => [[x, 1], [2, 3]],
        _ => [[4; 2]; 2],
    };
    let mut pair = if flag { (rows[0], 1u32) } else { (rows[1], 2) };
    pair.0[1] += 5;
    let [p, q] = pair.0;
    p + 10 * q + 100 * pair.1 + 1000 * rows[(a % 2) as usize][(b % 2) as usize]
}

crate::agreement!(agree:
    nested_functions, closures_with_returns, functions_as_arguments, inclusive_ranges,
    mutable_patterns, bound_alternatives, slices_of_arrays, blocks_and_constants,
    values_of_branches,
);
