use kernelsmith::prelude::*;

#[kernel]
fn fill(y: &mut Part<f32, 1>) {
    for i in 0..y.count(0) {
        y[i] = 1.0;
    }
}

fn main() {
    let device = Device::cpu();
    let mut y = Buffer::<f32>::zeros(&device, 10).unwrap();
    fill(&mut y).block(32).launch(&device).unwrap();
}
