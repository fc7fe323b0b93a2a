use kernelsmith::prelude::*;

#[kernel]
struct Mistake {
    a: f32,
}

#[device]
struct Another {
    a: f32,
}

fn main() {}
