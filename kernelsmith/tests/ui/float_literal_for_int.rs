use kernelsmith::prelude::*;

#[kernel]
fn mistake(y: &mut [u32]) {
    let mut n: u32 = 1.5;
    n += 1;
    y[0] = n;
}

fn main() {}
