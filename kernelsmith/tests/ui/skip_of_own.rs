use kernelsmith::prelude::*;

#[derive(KernelValue, Clone, Copy)]
struct Random {
    state: Val<u32>,
}

#[device]
impl Random {
    fn skip(&mut self, n: u32) {
        self.state = self.state + n;
    }
}

#[kernel]
fn numbers(y: &mut [u32]) {
    let mut random = Random { state: 1 };
    random.skip(y.len() as u32);
    y[0] = random.state;
}

fn main() {}
