//! Blocks mean what the format says, and come back as they were.

use kernelsmith::Device;
use kernelsmith_kernels::quant::{Format, QuantizedMatrix};
use proptest::prelude::*;

/// Half of 2.
const TWO: [u8; 2] = 0x4000u16.to_le_bytes();

#[test]
fn blocks_of_known_bytes() {
    // d = 2, byte i has i in its low and 15 - i in its high half.
    let mut q4_0 = TWO.to_vec();
    q4_0.extend((0..16).map(|i: u8| i | (15 - i) << 4));
    let weights = Format::Q4_0.dequantize(&q4_0);
    assert_eq!((weights[0], weights[15], weights[16], weights[31]), (-16.0, 14.0, 14.0, -16.0));

    let mut q8_0 = TWO.to_vec();
    q8_0.extend((0..32).map(|i: u8| i.wrapping_sub(16)));
    assert_eq!(Format::Q8_0.dequantize(&q8_0)[..2], [-32.0, -30.0]);

    // Scale i and min 2 * i for the first four parts, 32 + i and 48 + i for the others.
    let mut q4_k = [TWO, 0x3c00u16.to_le_bytes()].concat();
    q4_k.extend((0..4).map(|i| i | (2 << 6)));
    q4_k.extend((0..4).map(|i| (2 * i) | (3 << 6)));
    q4_k.extend((0..4).map(|i| i | (i << 4)));
    q4_k.extend([0x53; 128]);
    let weights = Format::Q4K.dequantize(&q4_k);
    for part in 0..8 {
        let (scale, min) = match part {
            0..4 => (part as f64, 2.0 * part as f64),
            _ => (32.0 + part as f64 - 4.0, 48.0 + part as f64 - 4.0),
        };
        let q = if part % 2 == 0 { 3.0 } else { 5.0 };
        assert_eq!(weights[32 * part], 2.0 * scale * q - min, "part {part}");
    }

    // Low bits 1 and 2, high bits 0 to 3, scales from -8 on.
    let mut q6_k = vec![0x21; 128];
    q6_k.extend([0b1110_0100; 64]);
    q6_k.extend((0..16).map(|i| (i - 8) as u8));
    q6_k.extend(TWO);
    let weights = Format::Q6K.dequantize(&q6_k);
    for part in 0..16 {
        let quarter = part / 2 % 4;
        let q = [1.0, 17.0, 34.0, 50.0][quarter];
        assert_eq!(weights[16 * part], 2.0 * (part as f64 - 8.0) * (q - 32.0), "part {part}");
    }
}

/// Numbers in hexadecimal, byte by byte.
fn bytes(text: &str) -> Vec<u8> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    text.as_bytes().chunks(2).map(byte).collect()
}

/// Blocks that ggml wrote mean what they mean to ggml, in `f32` as it has them.
#[test]
fn blocks_of_ggml() {
    for line in include_str!("ggml.txt").lines() {
        let mut words = line.split(' ');
        let (name, blocks, back) =
            (words.next().unwrap(), bytes(words.next().unwrap()), bytes(words.next().unwrap()));
        let format = Format::ALL.into_iter().find(|f| f.to_string() == name).unwrap();
        let found = format.dequantize(&blocks);
        assert_eq!(found.len(), 512, "{name}");
        for (i, (found, expected)) in found.iter().zip(back.chunks(4)).enumerate() {
            let expected = f64::from(f32::from_le_bytes(expected.try_into().unwrap()));
            // Products are rounded there: those of Q4_K before the difference.
            let error = (found - expected).abs();
            assert!(error <= 1e-6 * (1.0 + expected.abs()), "{name}, {i}: {found}, not {expected}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() })]
    #[test]
    fn bytes_come_back(
        format in prop::sample::select(Format::ALL.to_vec()),
        n in 0usize..70,
        blocks in 0usize..4,
        seed: [u8; 8],
    ) {
        let len = n * blocks * format.block_bytes();
        let bytes: Vec<u8> = (0..len).map(|i| seed[i % 8].wrapping_mul(i as u8 | 1) ^ (i / 8) as u8).collect();
        let shape = [n, blocks * format.block_len()];
        let matrix = QuantizedMatrix::from_gguf(&Device::cpu(), format, shape, &bytes).unwrap();
        prop_assert_eq!(matrix.to_gguf().unwrap(), Some((format, bytes)));
    }

    #[test]
    fn quantising_is_as_close_as_the_bits_allow(
        format in prop::sample::select(Format::ALL.to_vec()),
        weights in prop::collection::vec(-1.0f32..1.0, 256),
    ) {
        let found = format.dequantize(&format.quantize(&weights));
        // A step, of the greatest magnitude; scales of few bits add their own.
        let step = match format {
            Format::Q4_0 => 1.0 / 8.0,
            Format::Q8_0 => 1.0 / 127.0,
            Format::Q4K => 2.0 / 15.0,
            // Of 32 steps one that the greatest code lacks, and 1 / 128 of the scale.
            Format::Q6K => 1.0 / 32.0 + 1.0 / 128.0,
        };
        for (x, found) in weights.iter().zip(&found) {
            prop_assert!((f64::from(*x) - found).abs() <= 1.1 * step, "{format}: {x} became {found}");
        }
    }
}
