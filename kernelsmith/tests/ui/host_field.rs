use kernelsmith::prelude::*;

#[derive(KernelValue, Clone, Copy)]
struct Mistake {
    sum: Val<f32>,
    count: u32,
}

fn main() {}
