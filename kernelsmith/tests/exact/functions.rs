//! Functions, methods, references, traits, generics.

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

crate::agreement!(agree: references);
