use kernelsmith::prelude::*;
use kernelsmith_kernels::sampling::{Draw, Sampler, philox};
use proptest::prelude::*;

use crate::numbers::{buffer, devices, numbers, poisoned, read};
use crate::top_k;

/// Probabilities of tokens, likeliest first, and which of them are kept by top-k, top-p and min-p.
fn kept(x: &[f64], temperature: f64, k: Option<usize>, top_p: f64, min_p: f64) -> Vec<(u32, f64)> {
    let order = top_k::reference(k.unwrap_or(x.len()), x);
    let greatest = x[order[0] as usize];
    let weight = |id: u32| ((x[id as usize] - greatest) / temperature).exp();
    let all: f64 = order.iter().map(|&id| weight(id)).sum();
    let mut before = 0.0;
    let mut list = Vec::new();
    for (rank, &id) in order.iter().enumerate() {
        let weight = weight(id);
        if rank > 0 && (before >= top_p * all || weight < min_p) {
            break;
        }
        before += weight;
        list.push((id, weight));
    }
    list.iter().map(|&(id, weight)| (id, weight / before)).collect()
}

#[kernel(block = 32)]
fn words(key: u32, y: &mut Part<u32, 1>) {
    let all = philox([key, key, key, key], [key, key]);
    if y.owns([0]) {
        let i = y.global(0, 0);
        let mut word = all[0];
        for w in unroll(1..4) {
            if i == w {
                word = all[w];
            }
        }
        y[0] = word;
    }
}

/// Known answers of the authors' library, Random123.
#[test]
fn philox_is_the_authors() {
    for device in devices() {
        for (key, expected) in [
            (0, [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            (u32::MAX, [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
        ] {
            let mut y = poisoned::<u32>(&device, 4);
            words(key, y.partition([32])).launch(&device).unwrap();
            assert_eq!(read(&y), expected);
        }
    }
}

fn draw(sampler: Sampler, columns: usize, x: &[f32], uniforms: &[f32]) -> Vec<u32> {
    let device = Device::cpu();
    let mut ids = poisoned::<u32>(&device, uniforms.len());
    let x = buffer(&device, x);
    let us = buffer(&device, uniforms);
    sampler.sample(columns, &x, Draw::Given(&us), &mut ids).unwrap();
    read(&ids)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..Default::default() })]
    /// With evenly spread random numbers each token is drawn as often as its probability says, and none that is
    /// not kept.
    #[test]
    fn tokens_come_by_their_probabilities(
        columns in prop_oneof![1usize..40, 300usize..700],
        temperature in 0.3f32..2.0,
        k in prop::option::of(1usize..256),
        top_p in prop_oneof![Just(1.0f32), 0.05f32..1.0],
        min_p in prop_oneof![Just(0.0f32), 0.0f32..0.3],
        scale in prop_oneof![Just(3.0f32), Just(0.5f32)],
        seed: u64,
    ) {
        let draws = 400;
        let row = numbers(columns, scale, seed);
        let exact: Vec<f64> = row.iter().map(|&x| x.into()).collect();
        let us: Vec<f32> = (0..draws).map(|i| (i as f32 + 0.5) / draws as f32).collect();
        let sampler = Sampler::new().temperature(temperature).top_p(top_p).min_p(min_p);
        let sampler = k.map_or(sampler, |k| sampler.top_k(k));
        let ids = draw(sampler, columns, &row.repeat(draws), &us);
        // Where the last one kept is a matter of rounding, one more or less.
        let near = [top_p * (1.0 - 1e-5), top_p * (1.0 + 1e-5)];
        let minima = [min_p * (1.0 + 1e-5), min_p * (1.0 - 1e-5)];
        let [few, many] = [0, 1].map(|i| {
            let p = if top_p < 1.0 { near[i] } else { 2.0 };
            kept(&exact, temperature.into(), k, p.into(), minima[i].into())
        });
        for &id in &ids {
            prop_assert!(many.iter().any(|(kept, _)| *kept == id), "{} is not kept", id);
        }
        let counted = |id: u32| ids.iter().filter(|&&other| other == id).count() as f64 / draws as f64;
        for list in [&few, &many] {
            for &(id, p) in list {
                // The other list's probabilities differ by what the last one has.
                let other = if few.len() == many.len() { 0.0 } else { 1.0 };
                let allowed = 1.01 / draws as f64 + 1e-3 + other;
                prop_assert!((counted(id) - p).abs() <= allowed, "{}: {} of {}", id, counted(id), p);
            }
        }
    }
}

/// More tokens than the list of candidates has are kept: found by their ranks, of which ties have different ones.
#[test]
fn flat_rows() {
    let columns = 1000;
    let flat = vec![0.25f32; columns];
    let us: Vec<f32> = (0..1000).map(|i| i as f32 / 1000.0 + 0.0004).collect();
    let ids = draw(Sampler::new().top_p(0.5), columns, &flat.repeat(us.len()), &us);
    // The first 500 of equal ones, each twice.
    let expected: Vec<u32> = (0..1000).map(|i| i / 2).collect();
    assert_eq!(ids, expected);
    let ids = draw(Sampler::new().min_p(0.9), columns, &flat.repeat(us.len()), &us);
    assert_eq!(ids, (0..1000).collect::<Vec<u32>>());
    let ids = draw(Sampler::new(), columns, &flat.repeat(us.len()), &us);
    assert_eq!(ids, (0..1000).collect::<Vec<u32>>());
}

#[test]
fn draws_are_reproducible() {
    let device = Device::cpu();
    let (rows, columns) = (64, 500);
    let x = buffer(&device, &numbers(columns, 2.0, 3).repeat(rows));
    let run = |seed, step| {
        let mut ids = poisoned::<u32>(&device, rows);
        let sampler = Sampler::new().temperature(0.8).top_k(50).top_p(0.95);
        sampler.sample(columns, &x, Draw::Seeded { seed, step }, &mut ids).unwrap();
        read(&ids)
    };
    assert_eq!(run(1, 0), run(1, 0));
    assert!(run(1, 0) != run(1, 1) && run(1, 0) != run(2, 0) && run(1, 0) != run(1, 1 << 32));
    // As documented.
    let words: Vec<f32> =
        (0..rows as u32).map(|row| first_uniform([row, 5, 0, 0], [9, 1])).collect();
    let mut ids = poisoned::<u32>(&device, rows);
    let us = buffer(&device, &words);
    let sampler = Sampler::new().temperature(0.8).top_k(50).top_p(0.95);
    sampler.sample(columns, &x, Draw::Given(&us), &mut ids).unwrap();
    assert_eq!(read(&ids), run(9 | 1 << 32, 5));
}

/// Philox once more, on the host.
fn first_uniform(counter: [u32; 4], key: [u32; 2]) -> f32 {
    let (mut c, mut k) = (counter, key);
    for _ in 0..10 {
        let a = u64::from(c[0]) * 0xD251_1F53;
        let b = u64::from(c[2]) * 0xCD9E_8D57;
        c = [(b >> 32) as u32 ^ c[1] ^ k[0], b as u32, (a >> 32) as u32 ^ c[3] ^ k[1], a as u32];
        k = [k[0].wrapping_add(0x9E37_79B9), k[1].wrapping_add(0xBB67_AE85)];
    }
    (c[0] >> 8) as f32 / (1 << 24) as f32
}

#[test]
fn greedy_and_without_probabilities() {
    let x = [1.0f32, 3.0, 3.0, 0.0, f32::NEG_INFINITY, -5.0, -6.0, -7.0];
    assert_eq!(draw(Sampler::new().temperature(0.0), 4, &x, &[0.9, 0.9]), [1, 1]);
    // A token of no probability is never drawn.
    assert_eq!(draw(Sampler::new(), 4, &x[4..], &[0.0]), [1]);
}

#[test]
fn nothing_is_wrong_in_the_interpreter() {
    let (rows, columns) = (3, 330);
    let xs = numbers(rows * columns, 2.0, 5);
    let us = [0.1f32, 0.5, 0.9];
    let samplers = [
        Sampler::new(),
        Sampler::new().top_k(20).top_p(0.9),
        Sampler::new().top_p(0.9999),
        Sampler::new().temperature(0.0),
    ];
    for sampler in samplers {
        let expected = draw(sampler, columns, &xs, &us);
        for device in devices() {
            let mut ids = poisoned::<u32>(&device, rows);
            let us = buffer(&device, &us);
            sampler.sample(columns, &buffer(&device, &xs), Draw::Given(&us), &mut ids).unwrap();
            assert_eq!(read(&ids), expected);
        }
    }
}

#[test]
fn mistakes_are_told() {
    let device = Device::cpu();
    let x = buffer(&device, &[0.0f32; 8]);
    let told = |sampler: Sampler, columns| {
        let mut ids = poisoned::<u32>(&device, 2);
        let seeded = Draw::Seeded { seed: 1, step: 1 };
        sampler.sample(columns, &x, seeded, &mut ids).unwrap_err().to_string()
    };
    let sampler = Sampler::new();
    let rule = "but it must have ids.len() * columns = 6";
    assert_eq!(told(sampler, 3), format!("`logits` has 8 elements, {rule}"));
    let rule = "but it is finite and not negative";
    assert_eq!(
        told(sampler.temperature(-1.0), 4),
        format!("`temperature` has the value -1, {rule}")
    );
    let rule = "but it is a share, from 0 to 1";
    assert_eq!(told(sampler.top_p(1.5), 4), format!("`top_p` has the value 1.5, {rule}"));
    assert!(told(sampler.top_k(0), 4).starts_with("`top_k` has the value 0"));
}
