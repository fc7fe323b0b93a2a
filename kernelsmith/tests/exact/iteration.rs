//! What `for` goes over.

use kernelsmith::prelude::*;

#[device(host)]
fn stepped_and_reversed(a: u32, b: u32, c: u32) -> u32 {
    let mut sum = 0u32;
    for i in (b..a).step_by(c as usize % 5 + 1) {
        sum = sum.wrapping_mul(31).wrapping_add(i);
    }
    for i in (0..b).rev() {
        sum = sum.wrapping_mul(31).wrapping_add(i);
    }
    for i in (c..c + 20).step_by(3).rev() {
        sum = sum.wrapping_mul(31).wrapping_add(i);
    }
    for i in (0..10u32).step_by(4) {
        sum = sum.wrapping_mul(31).wrapping_add(i);
    }
    sum
}

#[device(host)]
fn signed_ranges(a: u32, b: u32, _c: u32) -> u32 {
    let mut sum = 0i32;
    for i in -(a as i32)..b as i32 {
        sum = sum.wrapping_mul(3).wrapping_add(i);
    }
    for i in (-5..b as i32 - 10).rev() {
        sum = sum.wrapping_mul(3).wrapping_add(i);
    }
    sum as u32
}

#[device(host)]
fn mutable_counter(a: u32, b: u32, _c: u32) -> u32 {
    let mut sum = 0;
    for mut i in 0..a {
        i += b;
        sum += i;
    }
    sum
}

#[device(host)]
fn over_arrays(a: u32, b: u32, c: u32) -> u32 {
    let values = [a, b, c, 7];
    let mut sum = 0;
    for v in values {
        sum = sum * 3 + v;
    }
    for (i, v) in values.iter().enumerate() {
        sum += i as u32 * *v;
    }
    let weights = [1, 2, 3, 4];
    for (x, y) in values.iter().zip(weights) {
        sum += x * y;
    }
    for &v in values.iter().rev() {
        sum = sum * 2 + v;
    }
    sum
}

#[device(host)]
fn changing_arrays(a: u32, b: u32, c: u32) -> u32 {
    let mut rows = [[a, b], [c, 1], [2, 3]];
    for row in rows.iter_mut() {
        row[0] += 1;
        for v in row.iter_mut() {
            *v *= 3;
        }
    }
    for (i, row) in rows.iter_mut().enumerate() {
        if row[0] > 20 {
            continue;
        }
        row[1] += i as u32;
    }
    for row in &mut rows {
        let [x, y] = *row;
        *row = [y, x];
    }
    let mut sum = 0;
    for row in rows {
        sum = sum * 5 + row[0] * 2 + row[1];
    }
    sum
}

crate::agreement!(agree:
    stepped_and_reversed, signed_ranges, mutable_counter, over_arrays, changing_arrays,
);
