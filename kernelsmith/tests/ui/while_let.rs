use kernelsmith::prelude::*;

#[kernel]
fn host_iterator(x: &[f32], y: &mut [f32]) {
    let mut items = [1, 2].into_iter();
    while let Some(_) = items.next() {
        y[0] = x[0];
    }
}

fn main() {}
