use kernelsmith::prelude::*;

#[derive(KernelValue, Clone, Copy)]
enum Mode {
    Fast,
    Slow,
}

fn main() {}
