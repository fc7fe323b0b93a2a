use kernelsmith::prelude::*;

#[device]
fn mistake(a: u32) -> u32 {
    match a > 3 {
        true => 1,
    }
}

#[device]
fn guarded(a: u32) -> u32 {
    match a > 3 {
        true if a > 5 => 1,
        false => 2,
    }
}

fn main() {}
