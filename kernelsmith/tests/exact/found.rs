//! What the generator of random programs found (docs/exactness.md).

use kernelsmith::prelude::*;

#[device(host)]
fn clamp_keeps_nan(a: u32, _b: u32, _c: u32) -> u32 {
    let x = f32::from_bits(a);
    let y = x.clamp(-1.5, 100.0);
    if y.is_nan() { 1 } else { y.to_bits() }
}

#[device(host)]
fn references_to_elements_of_variables(a: u32, b: u32, c: u32) -> u32 {
    let mut values = [a, b, c];
    values[1] ^= 5;
    let mut sum = 0u32;
    for v in values.iter() {
        sum = sum.wrapping_mul(3).wrapping_add(*v);
    }
    for (i, v) in values.iter().enumerate() {
        sum = sum.wrapping_add((i as u32).wrapping_mul(*v));
    }
    sum
}

#[device(host)]
#[allow(redundant_semicolons)]
fn empty_statements(a: u32, _b: u32, _c: u32) -> u32 {
    let mut x = a;
    x ^= 1;
    x
}

// Of 20 bits: of more, the host's `from_f64` rounds twice (f16) or cuts off (bf16).
#[device(host)]
fn half_floats_of_floats(a: u32, b: u32, c: u32) -> u32 {
    let x = f16::from_f32(f32::from_bits(a)) * f16::from_f64((b >> 12) as f64);
    let y = bf16::from_f32(f32::from_bits(a)) + bf16::from_f64((c >> 12) as f64);
    let bits = |v: f32| if v.is_nan() { 1 } else { v.to_bits() };
    bits(x.to_f32()) ^ bits(y.to_f32()).rotate_left(9)
}

#[device(host)]
fn let_else_where_both_ways_leave(a: u32, b: u32, c: u32) -> u32 {
    let x = if a > c {
        let Some(n) = b.checked_sub(c) else { return 7 };
        return n ^ 100;
    } else {
        a
    };
    if x > 5 {
        let Some(n) = x.checked_mul(b) else {
            return 8;
        };
        return n;
    }
    x ^ 3
}

#[device(host)]
fn return_within_a_macro(a: u32, b: u32, c: u32) -> u32 {
    let small = matches!(
        if a > c {
            return 3;
        } else {
            b
        },
        4..=11
    );
    small as u32 * 2
}

/// The slots that both indices reach are of several types.
#[device(host)]
fn arrays_within_tuples_of_an_array(a: u32, b: u32, c: u32) -> u32 {
    let mut rows = [(a as f64, [b, c], [(1u64, [c; 3]); 2]); 3];
    let (i, j, k) = ((a % 3) as usize, (b % 2) as usize, (c % 3) as usize);
    rows[i].1[j] = rows[k].1[1 - j] ^ 5;
    rows[k].2[j].1[i] = rows[i].2[1 - j].1[k].wrapping_add(b);
    rows[i].2[j].0 += rows[2].2[j].1[k] as u64;
    rows[k].0 += 1.5;
    let mut sum = 0u32;
    for (i, row) in rows.iter().enumerate() {
        let (x, y, z) = *row;
        sum = sum.rotate_left(5) ^ x as u32 ^ y[0] ^ y[1].rotate_left(9);
        sum = sum.rotate_left(7) ^ z[j].0 as u32 ^ z[1 - j].1[k] ^ z[j].1[i];
    }
    sum
}

#[device(host)]
fn change(x: &mut u32, f: impl Fn(u32, i64) -> u32, by: u32) -> u32 {
    let old = *x;
    *x = f(old, -7) ^ by;
    old
}

#[device(host(change))]
fn closures_of_unwritten_types_beside_what_is_lent(a: u32, b: u32, c: u32) -> u32 {
    let mut x = a;
    let old = change(
        &mut x,
        |v, mut w| {
            w = w.pow(2);
            v.rotate_left(c) ^ w as u32
        },
        b,
    );
    old.wrapping_mul(3) ^ x
}

/// The sum of no floats is -0; half floats are summed as `f32`.
#[device(host)]
fn sums_and_products_of_floats(a: u32, b: u32, c: u32) -> u32 {
    let bits = |v: f32| if v.is_nan() { 1 } else { v.to_bits() };
    let values = [f32::from_bits(a), b as f32];
    let empty = values.iter().step_by(2).skip(1).sum::<f32>();
    let none = values.iter().skip(2).map(|v| *v as f64).sum::<f64>();
    let one = values.iter().skip(2).product::<f32>();
    let zeros = [f32::from_bits(c & 0x8000_0000); 2].iter().sum::<f32>();
    let halves = [bf16::from_f32(a as f32), bf16::from_f32(0.1), bf16::from_f32(c as f32)];
    let others = [bf16::from_f32(b as f32), bf16::from_f32(3.3), bf16::from_f32(-(c as f32))];
    let (sum, product) = (halves.iter().sum::<bf16>(), others.iter().product::<bf16>());
    let no_halves = halves.iter().skip(3).sum::<bf16>();
    let more = others.iter().copied().sum::<bf16>();
    bits(empty)
        ^ (none.to_bits() >> 33) as u32
        ^ bits(one).rotate_left(3)
        ^ bits(zeros) >> 2
        ^ bits(sum.to_f32()).rotate_left(5)
        ^ bits(product.to_f32()).rotate_left(9)
        ^ bits(no_halves.to_f32()) >> 4
        ^ bits(more.to_f32()).rotate_left(13)
}

/// The value after a `let else` in a branch that is decided while staging.
#[device(host)]
fn let_else_in_a_branch_of_the_host(a: u32, b: u32, c: u32) -> u32 {
    let mut x = c;
    for i in 0..a % 4 {
        x ^= if false {
            a
        } else {
            let Some(y) = b.checked_sub(x % 64 + i) else { continue };
            y.rotate_left(3) ^ i
        };
    }
    x
}

/// Integers that are too large for a half float, of few digits: LLVM forgot that they overflow.
#[device(host)]
fn half_floats_of_integers(a: u32, b: u32, c: u32) -> u32 {
    let bits = |v: f32| if v.is_nan() { 1 } else { v.to_bits() };
    let (x, y) = (f16::from_f32(a as f32), f16::from_f32((a as i32) as f32));
    let (z, w) = (f16::from_f32((b << 31) as f32), bf16::from_f32((c as u64 * 77) as f32));
    let few = f16::from_f32((c << 24) as f32) + f16::from_f32(((b as u64) << 60) as f32);
    let v = bf16::from_f32((b as i64 - c as i64) as f32);
    bits(x.to_f32())
        ^ bits(y.to_f32()).rotate_left(3)
        ^ bits(z.to_f32()).rotate_left(7)
        ^ bits(w.to_f32()).rotate_left(11)
        ^ bits(v.to_f32()).rotate_left(15)
        ^ bits(few.to_f32()).rotate_left(19)
}

crate::agreement!(agree_wide:
    half_floats_of_integers, let_else_in_a_branch_of_the_host,
    arrays_within_tuples_of_an_array, closures_of_unwritten_types_beside_what_is_lent,
    clamp_keeps_nan, references_to_elements_of_variables, empty_statements, half_floats_of_floats,
    let_else_where_both_ways_leave, return_within_a_macro, sums_and_products_of_floats,
);

/// Just above the middle of two values.
#[test]
fn literals_of_half_floats_round_once() {
    assert_eq!(<bf16 as Float>::lit(1.003_906_25 + 1e-10), bf16::from_f32(1.007_812_5));
    assert_eq!(<f16 as Float>::lit(1.000_488_281_25 + 1e-10), f16::from_f32(1.0 + 2f32.powi(-10)));
}
