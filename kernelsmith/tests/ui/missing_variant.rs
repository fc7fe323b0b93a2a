use kernelsmith::prelude::*;

#[derive(KernelValue, Clone, Copy, PartialEq, Debug)]
enum Mode {
    Fast,
    Slow,
    Off,
}

#[device]
fn cost(mode: Val<Mode>) -> u32 {
    match mode {
        Mode::Fast => 1,
        Mode::Slow => 2,
    }
}

#[device]
fn of_host(mode: Mode) -> u32 {
    match mode {
        Mode::Fast | Mode::Off => 1,
    }
}

fn main() {}
