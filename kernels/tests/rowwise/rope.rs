use kernelsmith::prelude::*;
use kernelsmith_kernels::rope::{Pairing, Rope};
use kernelsmith_kernels::{SmallFloat, reference};
use proptest::prelude::*;

use crate::numbers::{Rounded, buffer, close, devices, poisoned, read, rounded};

const BOTH: [Pairing; 2] = [Pairing::Halves, Pairing::Interleaved];

fn check<T: Rounded + SmallFloat>(
    device: &Device,
    pairing: Pairing,
    shape: [usize; 3],
    dimension: usize,
    positions: &[u32],
    seed: u64,
) {
    let rope = Rope::new(device, pairing, dimension, 10_000.0).unwrap();
    let (x, exact) = rounded::<T>(shape.iter().product(), 3.0, seed);
    let mut x = buffer(device, &x);
    let at = buffer(device, positions);
    let mut y = poisoned::<T>(device, x.len());
    rope.rotate(shape, &at, &x, &mut y).unwrap();
    let interleaved = pairing == Pairing::Interleaved;
    let expected = reference::rope(interleaved, shape, dimension, 10_000.0, positions, &exact);
    // Two products of numbers up to 3 with cosines and sines off by 1e-6 each.
    let bound = |i: usize| 3.0 * 2.0 * 1.2e-6 + T::EPS * (expected[i] as f64).abs();
    close(&format!("{pairing:?}"), &read(&y), &expected, bound);
    let before = read(&x);
    rope.rotate_in_place(shape, &at, &mut x).unwrap();
    assert_eq!(read(&x), read(&y));
    // And back.
    rope.inverse().rotate_in_place(shape, &at, &mut x).unwrap();
    let before: Vec<f64> = before.iter().map(|x| x.exact()).collect();
    close("and back", &read(&x), &before, |_| 3.0 * (4e-6 + 3.0 * T::EPS));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]
    #[test]
    fn heads_turn(
        (tokens, heads) in (0usize..20, 1usize..5),
        (half, rest) in (1usize..70, 0usize..20),
        pairing in prop::sample::select(BOTH.to_vec()),
        first in prop_oneof![0u32..100, 100_000u32..200_000, any::<u32>()],
        seed: u64,
    ) {
        let device = Device::cpu();
        let positions: Vec<u32> = (0..tokens as u32).map(|t| first.wrapping_add(3 * t)).collect();
        let shape = [tokens, heads, 2 * half + rest];
        check::<f32>(&device, pairing, shape, 2 * half, &positions, seed);
        check::<bf16>(&device, pairing, shape, 2 * half, &positions, seed);
    }
}

/// The promised accuracy, at positions of all sizes: of a pair (1, 0) the result is the cosine and the sine.
#[test]
fn angles_are_exact_at_any_position() {
    let device = Device::cpu();
    let mut positions: Vec<u32> = (0..2000u32).map(|i| i.wrapping_mul(2_147_483)).collect();
    positions.extend(99_000..101_000);
    positions.push(u32::MAX);
    for base in [10_000.0, 500_000.0] {
        let rope = Rope::new(&device, Pairing::Interleaved, 8, base).unwrap();
        let x = [1.0f32, 0.0].repeat(4 * positions.len());
        let mut x = buffer(&device, &x);
        let shape = [positions.len(), 1, 8];
        rope.rotate_in_place(shape, &buffer(&device, &positions), &mut x).unwrap();
        for (row, &position) in read(&x).chunks(8).zip(&positions) {
            for (i, pair) in row.chunks(2).enumerate() {
                let angle = f64::from(position) * f64::powf(base, -(i as f64) / 4.0);
                let found = [pair[0], pair[1]].map(f64::from);
                for (found, exact) in found.into_iter().zip([angle.cos(), angle.sin()]) {
                    // What the reference's own angle is known to: half a unit of 53 bits, twice.
                    let own = angle * 2f64.powi(-52);
                    assert!((found - exact).abs() < 1e-6 + own, "{position}, {i}: {found} {exact}");
                }
            }
        }
    }
}

#[test]
fn tables_and_frequencies_of_ones_own() {
    let device = Device::cpu();
    let (tokens, dimension) = (9, 6);
    let positions = buffer(&device, &[3u32, 1, 4, 1, 5, 0, 2, 6, 5]);
    let frequencies = [1.0, 0.25, -0.01];
    let angles: Vec<f64> = (0..7).flat_map(|p| frequencies.map(|f| f64::from(p) * f)).collect();
    let table = |f: fn(f64) -> f64| {
        buffer(&device, &angles.iter().map(|&a| f(a) as f32).collect::<Vec<f32>>())
    };
    for pairing in BOTH {
        let (x, _) = rounded::<f32>(tokens * 2 * 8, 1.0, 5);
        let x = buffer(&device, &x);
        let run = |rope: Rope| {
            let mut y = poisoned::<f32>(&device, x.len());
            rope.rotate([tokens, 2, 8], &positions, &x, &mut y).unwrap();
            read(&y)
        };
        let tables = Rope::from_tables(pairing, dimension, &table(f64::cos), &table(f64::sin));
        let expected: Vec<f64> =
            run(Rope::from_frequencies(&device, pairing, &frequencies).unwrap())
                .into_iter()
                .map(f64::from)
                .collect();
        close("tables", &run(tables.unwrap()), &expected, |_| 3e-6);
    }
}

#[test]
fn nothing_is_wrong_in_the_interpreter() {
    for device in devices() {
        for pairing in BOTH {
            check::<f32>(&device, pairing, [3, 2, 76], 70, &[5, 0, 100_000], 3);
        }
    }
}

#[test]
fn mistakes_are_told() {
    let device = Device::cpu();
    let told = |dimension, base| {
        Rope::new(&device, Pairing::Halves, dimension, base).map(|_| ()).unwrap_err().to_string()
    };
    assert_eq!(
        told(7, 1e4),
        "`dimension` has the value 7, but columns turn in pairs, 2 to 512 of them"
    );
    assert_eq!(told(8, -1.0), "`base` has the value -1, but it must be positive and finite");
    let rope = Rope::new(&device, Pairing::Halves, 8, 1e4).unwrap();
    let mut x = buffer(&device, &[0.0f32; 12]);
    let told = rope.rotate_in_place([2, 1, 6], &buffer(&device, &[0, 1]), &mut x).unwrap_err();
    assert_eq!(told.to_string(), "`d` has the value 6, but it must be at least the embedding's 8");
    let told = rope.rotate_in_place([2, 1, 8], &buffer(&device, &[0, 1]), &mut x).unwrap_err();
    assert_eq!(told.to_string(), "`x` has 12 elements, but it must have tokens * heads * d = 16");
    let told = rope.rotate_in_place([2, 1, 8], &buffer(&device, &[0]), &mut x).unwrap_err();
    assert_eq!(told.to_string(), "`positions` has 1 elements, but it must have tokens = 2");
}
