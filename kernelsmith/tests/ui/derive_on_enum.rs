use kernelsmith::prelude::*;

#[derive(KernelValue, Clone, Copy)]
enum Mistake {
    A,
    B,
}

fn main() {}
