use kernelsmith::prelude::*;

#[kernel]
fn mistake(a: i64, y: &mut [i64]) {
    let wide: i128 = a as i128;
    y[0] = wide as i64;
}

fn main() {}
