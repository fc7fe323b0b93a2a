use kernelsmith::prelude::*;

struct Helper;

#[device(host)]
impl Helper {
    fn twice(a: f32) -> f32 {
        a + a
    }
}

fn main() {}
