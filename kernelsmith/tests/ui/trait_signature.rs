use kernelsmith::prelude::*;

#[device]
trait Activation {
    fn apply(x: f32) -> f32;
}

struct Relu;

#[device]
impl Activation for Relu {
    fn apply(x: u32) -> f32 {
        x as f32
    }
}

struct Tanh;

#[device]
impl Activation for Tanh {
    fn derivative(x: f32) -> f32 {
        x
    }
}

fn main() {}
