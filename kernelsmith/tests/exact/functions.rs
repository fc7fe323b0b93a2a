//! Functions: references, what they own, constant generics, several results.

use kernelsmith::prelude::*;

#[device(host)]
fn swap(x: &mut u32, y: &mut u32) {
    let t = *x;
    *x = *y;
    *y = t;
}

#[device(host)]
fn take(x: &mut u32, by: u32) -> u32 {
    if *x < by {
        return 0;
    }
    *x -= by;
    by
}

#[device(host)]
fn fill(row: &mut [u32; 3], with: u32) {
    for i in 0..3 {
        row[i] = with + i as u32;
    }
}

#[device(host(swap, take, fill))]
fn references(a: u32, b: u32, c: u32) -> u32 {
    let mut x = a;
    let mut y = b;
    swap(&mut x, &mut y);
    let got = take(&mut x, c) + 10 * take(&mut y, 3) + 100 * x;
    let mut grid = [[1u32; 3]; 2];
    fill(&mut grid[1], got);
    swap(&mut grid[0][1], &mut x);
    let i = (c % 3) as usize;
    swap(&mut grid[0][i], &mut y);
    got + grid[0][0] + 3 * grid[0][1] + 5 * grid[0][2] + 7 * grid[1][i] + 11 * x + 13 * y
}

#[device(host(take))]
fn take_thrice(x: &mut u32, by: u32) -> u32 {
    let mut sum = take(x, by);
    for _ in 0..2u32 {
        sum = sum * 10 + take(x, by + 1);
    }
    sum
}

#[device(host(take, take_thrice))]
fn references_passed_on(a: u32, b: u32, c: u32) -> u32 {
    let mut parts = [a + 20, b];
    let first = take_thrice(&mut parts[0], c);
    let mut pair = (first, a);
    // Arguments are evaluated in their order.
    let second = take(&mut pair.1, {
        parts[1] += 5;
        parts[1]
    });
    first + 1000 * parts[0] + 7 * parts[1] + second + 13 * pair.0 + 17 * pair.1
}

#[device(host)]
fn polynomial<const N: usize>(coefficients: [u32; N], x: u32) -> u32 {
    let mut value = 0u32;
    for c in coefficients.iter().rev() {
        value = value.wrapping_mul(x).wrapping_add(*c);
    }
    value
}

#[device(host)]
fn clamped(mut x: u32, least: u32) -> u32 {
    if x < least {
        x = least;
    }
    while x > 20 {
        x -= 7;
        if x % 4 == 0 {
            return x + 100;
        }
    }
    x
}

#[device(host(polynomial, clamped))]
fn constant_generics_and_owned_parameters(a: u32, b: u32, c: u32) -> u32 {
    let x = a;
    let y = clamped(x, b);
    let twice = |f: u32| clamped(f, 3) + clamped(f + y, c);
    polynomial([a, b, c], 3) + polynomial::<1>([y], 99) + twice(x) + x
}

#[device(host)]
fn pairs(a: u32, b: u32) -> (u32, [u32; 2]) {
    if a > b {
        return (a - b, [a, b]);
    }
    (b - a, [b, if a == b { 0 } else { a }])
}

#[device(host(pairs))]
fn several_results(a: u32, b: u32, c: u32) -> u32 {
    let (distance, [more, less]) = pairs(a, b);
    let mut last = pairs(b, c);
    last.1[0] += distance;
    let (_, [x, y]) = last;
    distance + 10 * more + 100 * less + 1000 * x + 10000 * y + last.0
}

crate::agreement!(agree:
    references, references_passed_on, constant_generics_and_owned_parameters, several_results,
);
