use kernelsmith::prelude::*;

#[kernel]
fn kept(out: &mut [u32]) {
    let mut x = 1u32;
    let y = &mut x;
    *y += 1;
    let mut v = [1u32, 2];
    let sum = v.iter_mut().map(|x| *x);
    out[0] = x;
}

#[kernel]
fn pattern(x: &[u32], out: &mut [u32]) {
    out[0] = match (x[0], x[1]) {
        (1, 2) | (3, 4) => 1,
        (n, 5) | (5, n) => n,
        (mut n, _) => n,
    };
}

fn main() {}
