//! Products in tensor memory, plain and with scales, in the kernel language.

use kernelsmith::Target;
use kernelsmith::prelude::*;

use crate::harness::findings_on;

/// `C = A * B'` of 128 x 64 and a depth of 128, in f32.
#[kernel(block = 128)]
fn plain(a: &TensorMap<e4m3, 2>, b: &TensorMap<e4m3, 2>, c: &mut [f32]) {
    let (a_box, b_box) = (a.tile([128, 128], Swizzle::B128), b.tile([64, 128], Swizzle::B128));
    let a_tile = tiles::<e4m3>(1, [128, 128], Swizzle::B128).stage(0);
    let b_tile = tiles::<e4m3>(1, [64, 128], Swizzle::B128).stage(0);
    let (full, done) = (mbarriers(1).stage(0), mbarriers(1).stage(0));
    if thread_idx_x() == 0 {
        full.init(1);
        done.init(1);
        mbarrier_fence();
    }
    let memory = tensor_memory(64);
    let sums = memory.sums::<e4m3, 64>(0);
    if thread_idx_x() == 0 {
        full.arrive_expect(192 * 128);
        a_tile.load(a_box, [0, 0], full);
        b_tile.load(b_box, [0, 0], full);
        full.wait(0);
        for k in unroll(0..4) {
            tensor_mma(sums, a_tile.k_major(0, 32 * k), b_tile.k_major(0, 32 * k), k > 0);
        }
        tensor_commit(done);
    }
    done.wait(0);
    tensor_fence_after();
    let row = sums.read::<64>(0);
    for j in unroll(0..64) {
        c[64 * thread_idx_x() + j] = row[j];
    }
    memory.free();
}

// `C = (A * SA) * (B * SB)'` of 128 x 64 and a depth of 128 bytes, in f32: four steps of 32 bytes.
macro_rules! scaled {
    ($name:ident, $factor:ty, $input:ty) => {
        #[kernel(block = 128)]
        fn $name(
            #[comptime] format: ScaleFormat,
            a: &TensorMap<$input, 2>,
            b: &TensorMap<$input, 2>,
            a_scales: &[u8],
            b_scales: &[u8],
            c: &mut [f32],
        ) {
            let (a_box, b_box) =
                (a.tile([128, 128], Swizzle::B128), b.tile([64, 128], Swizzle::B128));
            let a_tile = tiles::<$input>(1, [128, 128], Swizzle::B128).stage(0);
            let b_tile = tiles::<$input>(1, [64, 128], Swizzle::B128).stage(0);
            let (full, done) = (mbarriers(1).stage(0), mbarriers(1).stage(0));
            let thread = thread_idx_x();
            // Four bytes of each row serve so many products: a chunk of 512 bytes for them.
            let steps = format.products();
            let (a_shared, b_shared) = (shared::<u8>(2048), shared::<u8>(2048));
            for i in unroll(0..16) {
                let at = thread + 128 * i;
                a_shared[at] = a_scales[at];
                b_shared[at] = b_scales[at];
            }
            if thread == 0 {
                full.init(1);
                done.init(1);
                mbarrier_fence();
            }
            async_fence();
            let memory = tensor_memory(128);
            let sums = memory.sums::<$factor, 64>(0);
            if thread == 0 {
                full.arrive_expect(192 * 128);
                a_tile.load(a_box, [0, 0], full);
                b_tile.load(b_box, [0, 0], full);
                full.wait(0);
                for k in unroll(0..4) {
                    let (chunk, byte) = (k / steps, k % steps * (4 / steps));
                    let a_place = memory.scales(64 + 8 * chunk, 128);
                    let b_place = memory.scales(68 + 8 * chunk, 64);
                    if byte == 0 {
                        a_place.copy(&a_shared.slice(512 * chunk, 512));
                        b_place.copy(&b_shared.slice(512 * chunk, 512));
                    }
                    let (a, b) = (a_tile.k_major(0, 32 * k), b_tile.k_major(0, 32 * k));
                    tensor_mma_scaled(
                        sums,
                        a,
                        b,
                        format,
                        [a_place.byte(byte), b_place.byte(byte)],
                        k > 0,
                    );
                }
                tensor_commit(done);
            }
            done.wait(0);
            tensor_fence_after();
            let row = sums.read::<64>(0);
            for j in unroll(0..64) {
                c[64 * thread + j] = row[j];
            }
            memory.free();
        }
    };
}

scaled!(scaled_bytes, e4m3, e4m3);
scaled!(scaled_pairs, E2m1, u8);

fn device() -> Device {
    Device::interpreter_for(Target::sm(100, true))
}

/// Small numbers by their bits, 4 or 8 of them.
fn bits(i: usize) -> u8 {
    (i * 7 + i / 128 * 5) as u8
}

fn e2m1(bits: u8) -> f64 {
    let value = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0][usize::from(bits % 8)];
    if bits & 8 == 0 { value } else { -value }
}

/// 128 bytes of elements for each row, and what they are: 4-bit floats, or small 8-bit ones.
fn rows(rows: usize, pairs: bool) -> (Vec<u8>, Vec<Vec<f64>>) {
    let byte =
        |i| if pairs { bits(i) } else { e4m3::from_f32(f32::from(bits(i) % 9) - 4.0).to_bits() };
    let bytes: Vec<u8> = (0..128 * rows).map(byte).collect();
    let numbers = |row: &[u8]| match pairs {
        true => row.iter().flat_map(|&byte| [e2m1(byte), e2m1(byte >> 4)]).collect(),
        false => row.iter().map(|&byte| e4m3::from_bits(byte).to_f32().into()).collect(),
    };
    (bytes.clone(), bytes.chunks(128).map(numbers).collect())
}

/// The scales of 16 blocks of each row, in powers of two or with a mantissa, and their bytes: those of 4
/// blocks in 512 bytes.
fn scales(rows: usize, format: ScaleFormat) -> (Vec<u8>, Vec<Vec<f64>>) {
    let mut bytes = vec![0xFF; 2048];
    let mut numbers = vec![vec![0.0; 16]; rows];
    for (row, block) in (0..rows).flat_map(|row| (0..16).map(move |block| (row, block))) {
        let step = (row + 3 * block) % 4;
        let (byte, number) = match format {
            // 2^-1 * (1 + step / 8).
            ScaleFormat::Nvfp4 => (0x30 + step as u8, 0.5 + step as f64 / 16.0),
            _ => (125 + step as u8, 2f64.powi(step as i32 - 2)),
        };
        bytes[block / 4 * 512 + row % 32 * 16 + row / 32 * 4 + block % 4] = byte;
        numbers[row][block] = number;
    }
    (bytes, numbers)
}

/// Row by row, the products of what is scaled in blocks of so many elements.
fn expected(a: [&[Vec<f64>]; 2], b: [&[Vec<f64>]; 2], block: usize) -> Vec<f32> {
    let scaled = |[rows, scales]: [&[Vec<f64>]; 2]| -> Vec<Vec<f64>> {
        let row = |(row, scales): (&Vec<f64>, &Vec<f64>)| {
            row.iter().zip(0..).map(|(x, k)| x * scales[k / block]).collect()
        };
        rows.iter().zip(scales).map(row).collect()
    };
    let (a, b) = (scaled(a), scaled(b));
    let dot = |a: &Vec<f64>, b: &Vec<f64>| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>() as f32;
    a.iter().flat_map(|a| b.iter().map(move |b| dot(a, b))).collect()
}

#[test]
fn a_product_without_scales() {
    let device = device();
    let ((a, a_numbers), (b, b_numbers)) = (rows(128, false), rows(64, false));
    let [a, b] = [a, b].map(|bytes| {
        let elements: Vec<e4m3> = bytes.into_iter().map(e4m3::from_bits).collect();
        Buffer::from_slice(&device, &elements).unwrap()
    });
    let mut c = Buffer::<f32>::zeros(&device, 128 * 64).unwrap();
    let found = findings_on(
        &device,
        plain(View::of(&a, [128, 128]), View::of(&b, [64, 128]), &mut c).grid(1),
    );
    assert!(found.is_empty(), "{found:?}");
    let ones = |rows| vec![vec![1.0]; rows];
    let expected = expected([&a_numbers, &ones(128)], [&b_numbers, &ones(64)], 128);
    assert_eq!(c.to_vec().unwrap(), expected);
}

#[test]
fn products_with_every_format_of_scales() {
    let device = device();
    for (format, block) in [
        (ScaleFormat::Mxfp8, 32),
        (ScaleFormat::Mxfp4, 32),
        (ScaleFormat::Mxfp4By16, 16),
        (ScaleFormat::Nvfp4, 16),
    ] {
        let pairs = format != ScaleFormat::Mxfp8;
        let ((a, a_numbers), (b, b_numbers)) = (rows(128, pairs), rows(64, pairs));
        let ((sa, sa_numbers), (sb, sb_numbers)) = (scales(128, format), scales(64, format));
        let [sa, sb] = [sa, sb].map(|bytes| Buffer::from_slice(&device, &bytes).unwrap());
        let mut c = Buffer::<f32>::zeros(&device, 128 * 64).unwrap();
        let found = if pairs {
            let [a, b] = [a, b].map(|bytes| Buffer::from_slice(&device, &bytes).unwrap());
            let (a, b) = (View::of(&a, [128, 128]), View::of(&b, [64, 128]));
            findings_on(&device, scaled_pairs(format, a, b, &sa, &sb, &mut c).grid(1))
        } else {
            let [a, b] = [a, b].map(|bytes| {
                let elements: Vec<e4m3> = bytes.into_iter().map(e4m3::from_bits).collect();
                Buffer::from_slice(&device, &elements).unwrap()
            });
            let (a, b) = (View::of(&a, [128, 128]), View::of(&b, [64, 128]));
            findings_on(&device, scaled_bytes(format, a, b, &sa, &sb, &mut c).grid(1))
        };
        assert!(found.is_empty(), "{format:?}: {found:?}");
        let expected = expected([&a_numbers, &sa_numbers], [&b_numbers, &sb_numbers], block);
        assert_eq!(c.to_vec().unwrap(), expected, "{format:?}");
    }
}
