use kernelsmith::prelude::*;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Shape {
    Square(u32),
    Circle(u32),
}

#[kernel]
fn mistake(#[comptime] shape: Shape, x: &[u32], y: &mut [u32]) {
    y[0] = match shape {
        Shape::Square(a) if a > x[0] => 1,
        Shape::Circle(_) => 2,
        _ => 3,
    };
}

fn main() {}
