use kernelsmith::prelude::*;

#[device]
fn mistake(a: u32, b: u32) -> u32 {
    let sum = a.checked_add(b)?;
    sum + 1
}

fn main() {}
