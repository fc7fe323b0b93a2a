use kernelsmith::prelude::*;

#[derive(KernelValue, Clone, Copy)]
enum Payload {
    Empty,
    One(Val<f32>),
}

#[derive(KernelValue, Clone, Copy)]
union Either {
    a: Val<f32>,
    b: Val<u32>,
}

fn main() {}
