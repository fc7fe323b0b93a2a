//! The same kernels through the interpreter: every family of instructions, on the targets that have
//! it, and nothing is found wrong.

use kernelsmith::Target;
use kernelsmith::prelude::*;

use super::kernels::{pipelined, tiles};
use super::{numbers, product, target};

fn buffer<T: Stored>(device: &Device, x: &[f64], cast: impl Fn(f64) -> T) -> Buffer<T> {
    Buffer::from_slice(device, &x.iter().map(|&x| cast(x)).collect::<Vec<_>>()).unwrap()
}

fn check_tiles<S: MmaAtom>(
    on: Target,
    input: impl Fn(f64) -> S::Input,
    sum: impl Fn(S::Sum) -> f64,
) {
    let device = Device::interpreter_for(on.clone());
    for steps in [1, 3] {
        let shape @ (m, n, k) = (2 * S::M, 3 * S::N, steps * S::K);
        let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
        let expected = product(shape, &a, |i, j| b[j * k + i]);
        let (a, b) = (buffer(&device, &a, &input), buffer(&device, &b, &input));
        // SAFETY: the kernel writes every element, which the interpreter would tell.
        let mut c = unsafe { Buffer::<S::Sum>::uninit(&device, m * n).unwrap() };
        let stream = device.create_stream().unwrap();
        let launch = tiles::<S>(n, k, &a, &b, &mut c).grid([3usize, 2]);
        launch.block(on.warp_size() as usize).launch_on(&stream).unwrap();
        stream.synchronize().unwrap_or_else(|found| panic!("{found}"));
        let found: Vec<f64> = c.to_vec().unwrap().into_iter().map(&sum).collect();
        assert_eq!(found, expected, "{}", S::SHAPE.name());
    }
}

#[test]
fn tiles_of_every_family() {
    let (f, i) = (f64::from, f64::from);
    check_tiles::<MmaSync<f16, 16, 8, 8>>(target("sm_75"), f16::from_f64, f);
    check_tiles::<MmaSync<f16, 16, 8, 16>>(target("sm_80"), f16::from_f64, f);
    check_tiles::<MmaSync<bf16, 16, 8, 16>>(target("sm_90a"), bf16::from_f64, f);
    check_tiles::<MmaSync<i8, 16, 8, 32>>(target("sm_90a"), |x| x as i8, i);
    check_tiles::<Mfma<f16, 32, 32, 8>>(target("gfx90a"), f16::from_f64, f);
    check_tiles::<Mfma<bf16, 16, 16, 16>>(target("gfx942"), bf16::from_f64, f);
    check_tiles::<Mfma<f32, 16, 16, 4>>(target("gfx942"), |x| x as f32, f);
    check_tiles::<Mfma<f16, 16, 16, 32>>(target("gfx950"), f16::from_f64, f);
    check_tiles::<WmmaGfx11<f16, 16, 16, 16>>(target("gfx1100"), f16::from_f64, f);
    check_tiles::<WmmaGfx12<bf16, 16, 16, 16>>(target("gfx1201"), bf16::from_f64, f);
}

fn check_pipelined<T: Float>(cast: impl Fn(f64) -> T)
where
    MmaSync<T, 16, 8, 16>: LdmatrixAtom<Input = T, Sum = f32>,
{
    let device = Device::interpreter();
    for k in [32, 96] {
        let shape @ (m, n, k) = (64, 32, k);
        let (a, b) = (numbers(m * k, 3), numbers(k * n, 4));
        let sums = product(shape, &a, |i, j| b[i * n + j]);
        let expected: Vec<f32> = sums.iter().map(|x| (2.0 * x + 1.0).max(0.0) as f32).collect();
        let (a, b) = (buffer(&device, &a, &cast), buffer(&device, &b, &cast));
        let stream = device.create_stream().unwrap();
        // One launch after the other has another seed, so other schedules.
        for _ in 0..3 {
            let mut c = Buffer::<f32>::zeros(&device, m * n).unwrap();
            let launch = pipelined::<T>(n, k, &a, &b, &mut c).grid([1usize, 2]);
            launch.launch_on(&stream).unwrap();
            stream.synchronize().unwrap_or_else(|found| panic!("{found}"));
            assert_eq!(c.to_vec().unwrap(), expected);
        }
    }
}

#[test]
fn pipelined_in_the_interpreter() {
    check_pipelined::<f16>(f16::from_f64);
    check_pipelined::<bf16>(bf16::from_f64);
}
