use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[u32], y: &mut [u32]) {
    let difference = x[0].checked_sub(x[1]);
    y[0] = match difference {
        Some(n) if n > 10 => n,
        None => 0,
    };
}

fn main() {}
