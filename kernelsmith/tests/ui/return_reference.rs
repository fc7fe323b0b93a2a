use kernelsmith::prelude::*;

#[derive(KernelValue, Clone, Copy)]
struct Counter {
    n: Val<u32>,
}

#[device]
impl Counter {
    fn bump(&mut self) -> &mut Self {
        self.n += 1;
        self
    }
}

fn main() {}
