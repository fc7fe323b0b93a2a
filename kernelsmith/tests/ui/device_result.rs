use kernelsmith::prelude::*;

#[device]
fn count(x: f32) -> u32 {
    x * 2.0
}

#[device]
fn early(x: f32) -> u32 {
    if x > 0.0 {
        return x;
    }
    0
}

fn main() {}
