use kernelsmith::prelude::*;

#[kernel]
fn fill<T: Num>(a: T, y: &mut [T]) {
    y[0] = a;
}

fn main() {
    let device = Device::cpu();
    let mut y = Buffer::<f32>::zeros(&device, 4).unwrap();
    fill::<u32>(1, &mut y).block(4).launch(&device).unwrap();
    fill::<bool>(true, &mut y).block(4).launch(&device).unwrap();
}
