use kernelsmith::prelude::*;

#[derive(KernelValue, Clone, Copy, PartialEq, Debug)]
enum Mode {
    Fast,
    Slow,
    Off,
}

#[device]
fn mistake(mode: Val<Mode>) -> u32 {
    mode + 1
}

fn main() {}
