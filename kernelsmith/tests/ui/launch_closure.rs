use kernelsmith::prelude::*;

#[kernel]
fn apply(f: impl Fn(f32) -> f32, y: &mut [f32]) {
    y[0] = f(y[0]);
}

fn main() {
    let device = Device::cpu();
    let mut y = Buffer::<f32>::zeros(&device, 4).unwrap();
    apply(|a: f32| a * 2.0, &mut y).block(4).launch(&device).unwrap();
    apply(|a: Val<f32>, b: Val<f32>| a * b, &mut y).block(4).launch(&device).unwrap();
}
