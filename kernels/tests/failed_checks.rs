//! Input that only a kernel sees to be wrong. Streams report a failed check to whoever waits for them next, and
//! kernels of the library run on the CPU's default stream, which all tests of a process share: so these have a
//! process of their own, and take turns.

use std::sync::{Mutex, MutexGuard, PoisonError};

use kernelsmith::prelude::*;
use kernelsmith_kernels::embedding::{embedding, embedding_gradient};
use kernelsmith_kernels::loss::CrossEntropy;
use kernelsmith_kernels::rope::{Pairing, Rope};
use kernelsmith_kernels::sampling::{Draw, Sampler};

/// The CPU, and the turn on it.
fn turn() -> (Device, MutexGuard<'static, ()>) {
    static TURN: Mutex<()> = Mutex::new(());
    (Device::cpu(), TURN.lock().unwrap_or_else(PoisonError::into_inner))
}

/// What the device reports; nothing is left for whoever asks next.
#[track_caller]
fn told(device: &Device) -> String {
    let told = device.synchronize().unwrap_err().to_string();
    device.synchronize().unwrap();
    told
}

fn buffer<T: Stored>(device: &Device, values: &[T]) -> Buffer<T> {
    Buffer::from_slice(device, values).unwrap()
}

#[test]
fn a_position_without_a_row_of_the_tables() {
    let (device, _turn) = turn();
    let table = buffer(&device, &[1.0f32; 7 * 3]);
    let rope = Rope::from_tables(Pairing::Halves, 6, &table, &table).unwrap();
    let mut x = buffer(&device, &[0.0f32; 6]);
    rope.rotate_in_place([1, 1, 6], &buffer(&device, &[7u32]), &mut x).unwrap();
    let told = told(&device);
    assert!(told.contains("rope_kernel") && told.contains("21"), "{told}");
}

#[test]
fn an_id_that_the_table_does_not_have() {
    let (device, _turn) = turn();
    let mut table = buffer(&device, &[0.0f32; 12]);
    let mut y = buffer(&device, &[0.0f32; 8]);
    embedding(4, &buffer(&device, &[2, 3]), &table, &mut y).unwrap();
    let of_rows = told(&device);
    assert!(of_rows.contains("ids[1] is 3, but the table has 3 rows"), "{of_rows}");
    let dy = buffer(&device, &[0.0f32; 8]);
    embedding_gradient(4, &buffer(&device, &[2, 3]), &dy, &mut table).unwrap();
    let of_gradient = told(&device);
    assert!(of_gradient.contains("ids[1] is 3, but the table has 3 rows"), "{of_gradient}");
}

#[test]
fn a_target_that_is_no_class() {
    let (device, _turn) = turn();
    let x = buffer(&device, &[0.0f32; 6]);
    let targets = buffer(&device, &[2u32, 3]);
    let [mut losses, mut normalizers] = [0, 1].map(|_| buffer(&device, &[0.0f32; 2]));
    CrossEntropy::new(3).losses(&x, &targets, &mut losses, &mut normalizers).unwrap();
    let told = told(&device);
    assert!(told.contains("targets[1] is 3, but there are 3 classes"), "{told}");
}

#[test]
fn logits_without_probabilities() {
    let (device, _turn) = turn();
    for bad in [[f32::NAN, 0.0], [f32::INFINITY, 0.0], [f32::NEG_INFINITY; 2]] {
        for sampler in [Sampler::new(), Sampler::new().top_k(2), Sampler::new().top_p(0.5)] {
            let mut ids = buffer(&device, &[0u32]);
            let seeded = Draw::Seeded { seed: 1, step: 1 };
            sampler.sample(2, &buffer(&device, &bad), seeded, &mut ids).unwrap();
            let told = told(&device);
            assert!(told.contains("row 0 has no probabilities"), "{bad:?}: {told}");
        }
    }
}
