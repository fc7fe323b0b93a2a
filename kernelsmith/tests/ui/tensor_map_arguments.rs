use kernelsmith::prelude::*;

#[kernel]
fn copies(a: &TensorMap<f32, 2>, c: &mut TensorMap<f32, 2>) {
    a.tile([8, 8], Swizzle::None);
    c.tile([8, 8, 8], Swizzle::None);
}

#[kernel]
fn by_value(a: TensorMap<f32, 2>) {}

fn main() {
    let device = Device::best();
    let a = Buffer::<f32>::zeros(&device, 64).unwrap();
    let mut c = Buffer::<f32>::zeros(&device, 64).unwrap();
    copies(&a, View::of_mut(&mut c, [8, 8])).launch(&device).unwrap();
    copies(View::of(&a, [8, 8]), View::of(&c, [8, 8])).launch(&device).unwrap();
    copies(View::of(&a, [64]), View::of_mut(&mut c, [8, 8])).launch(&device).unwrap();
}
