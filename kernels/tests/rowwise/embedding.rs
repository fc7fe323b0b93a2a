use kernelsmith::prelude::*;
use kernelsmith_kernels::embedding::{embedding, embedding_gradient};
use proptest::prelude::*;

use crate::numbers::{buffer, close, devices, numbers, poisoned, read, rounded};

fn ids(len: usize, vocabulary: usize, seed: u64) -> Vec<u32> {
    let most = vocabulary as f32 - 1.0;
    numbers(len, 1.0, seed).iter().map(|x| (x.abs() * most).round() as u32).collect()
}

fn check(device: &Device, [tokens, vocabulary, columns]: [usize; 3], seed: u64) {
    let (table, exact) = rounded::<bf16>(vocabulary * columns, 2.0, seed);
    let ids = ids(tokens, vocabulary, !seed);
    let ids_on = buffer(device, &ids);
    let mut y = poisoned::<bf16>(device, tokens * columns);
    embedding(columns, &ids_on, &buffer(device, &table), &mut y).unwrap();
    let row = |id: u32| &exact[id as usize * columns..][..columns];
    let expected: Vec<f64> = ids.iter().flat_map(|&id| row(id).to_vec()).collect();
    close("embedding", &read(&y), &expected, |_| 0.0);

    // Added to what was there, in f32 and in order.
    let (dy, exact) = rounded::<bf16>(tokens * columns, 1.0, seed ^ 1);
    let before = numbers(vocabulary * columns, 1.0, 3);
    let mut gradient = buffer(device, &before);
    embedding_gradient(columns, &ids_on, &buffer(device, &dy), &mut gradient).unwrap();
    let mut expected = before;
    for (&id, dy) in ids.iter().zip(exact.chunks(columns.max(1))) {
        for (sum, dy) in expected[id as usize * columns..].iter_mut().zip(dy) {
            *sum += *dy as f32;
        }
    }
    assert_eq!(read(&gradient), expected);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..Default::default() })]
    #[test]
    fn rows_by_number(tokens in 0usize..60, vocabulary in 1usize..40, columns in 1usize..700, seed: u64) {
        check(&Device::cpu(), [tokens, vocabulary, columns], seed);
    }
}

#[test]
fn a_table_of_another_size() {
    let device = Device::cpu();
    let table = buffer(&device, &[0.0f32; 12]);
    let mut y = poisoned::<f32>(&device, 8);
    let told = embedding(5, &buffer(&device, &[0]), &table, &mut y).unwrap_err().to_string();
    assert_eq!(told, "`table` has 12 elements, but it must have vocabulary * columns = 10");
}

#[test]
fn nothing_is_wrong_in_the_interpreter() {
    for device in devices() {
        check(&device, [7, 5, 70], 11);
    }
}
