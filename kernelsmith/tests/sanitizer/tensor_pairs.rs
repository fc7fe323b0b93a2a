//! Products of pairs of blocks in the tensor memory of both, in the kernel language.

use kernelsmith::Target;
use kernelsmith::ir::{Kernel, passes};
use kernelsmith::prelude::*;
use kernelsmith_codegen_ptx::compile;
use kernelsmith_codegen_ptx::ptxas::{Nvdisasm, Ptxas};

use crate::harness::findings_on;

// `C = A * B'` in f32: each pair of the cluster has 256 rows of C and all of its 64 columns. A block loads its
// 128 rows of A and half of the rows of B, 64 columns a step, two steps ahead at most; one thread of the
// pair's first block multiplies when a barrier there has counted the tiles of both.
macro_rules! matmul {
    ($name:ident, $cluster:tt) => {
        #[kernel(block = 128, cluster = $cluster)]
        fn $name(a: &TensorMap<bf16, 2>, b: &TensorMap<bf16, 2>, depth: usize, c: &mut [f32]) {
            let (a_box, b_box) =
                (a.tile([128, 64], Swizzle::B128), b.tile([32, 64], Swizzle::B128));
            let a_tiles = tiles::<bf16>(2, [128, 64], Swizzle::B128);
            let b_tiles = tiles::<bf16>(2, [32, 64], Swizzle::B128);
            let (full, free) = (mbarriers(2), mbarriers(2));
            let done = mbarriers(1).stage(0);
            let thread = thread_idx_x();
            if thread == 0 {
                full.init(1);
                free.init(1);
                done.init(1);
                mbarrier_fence();
            }
            let memory = tensor_memory_of_pair(64);
            let sums = memory.sums::<bf16, 64>(0);
            let first_row = 128 * block_idx_x();
            let half = cluster_rank() % 2;
            if thread == 0 {
                for step in 0..depth / 64 {
                    let (stage, parity) = (step % 2, (step / 2 % 2) as u32);
                    let (a_tile, b_tile) = (a_tiles.stage(stage), b_tiles.stage(stage));
                    let loaded = full.stage(stage);
                    free.stage(stage).wait(parity ^ 1);
                    if half == 0 {
                        loaded.arrive_expect(2 * 160 * 128);
                    }
                    a_tile.load_to_pair(a_box, [first_row, 64 * step], loaded);
                    b_tile.load_to_pair(b_box, [32 * half, 64 * step], loaded);
                    if half == 0 {
                        loaded.wait(parity);
                        for k in unroll(0..4) {
                            let (a, b) = (a_tile.k_major(0, 16 * k), b_tile.k_major(0, 16 * k));
                            let adds = step > 0;
                            tensor_mma(sums, a, b, adds | (k > 0));
                        }
                        memory.commit_to_pair(free.stage(stage));
                    }
                }
                if half == 0 {
                    memory.commit_to_pair(done);
                }
            }
            done.wait(0);
            tensor_fence_after();
            let row = sums.read::<64>(0);
            for j in unroll(0..64) {
                c[64 * (first_row + thread) + j] = row[j];
            }
            memory.free();
        }
    };
}

matmul!(matmul, 2);
matmul!(matmul_in_fours, 4);

// `C = (A * SA) * (B * SB)'` of 256 x 64 and a depth of 128 bytes, in f32: four steps of 32 bytes. Each block
// has the scales of its rows of A, and all of those of B.
macro_rules! scaled {
    ($name:ident, $factor:ty, $input:ty) => {
        #[kernel(block = 128, cluster = 2)]
        fn $name(
            #[comptime] format: ScaleFormat,
            a: &TensorMap<$input, 2>,
            b: &TensorMap<$input, 2>,
            a_scales: &[u8],
            b_scales: &[u8],
            c: &mut [f32],
        ) {
            let (a_box, b_box) =
                (a.tile([128, 128], Swizzle::B128), b.tile([32, 128], Swizzle::B128));
            let a_tile = tiles::<$input>(1, [128, 128], Swizzle::B128).stage(0);
            let b_tile = tiles::<$input>(1, [32, 128], Swizzle::B128).stage(0);
            let (full, ready, done) =
                (mbarriers(1).stage(0), mbarriers(1).stage(0), mbarriers(1).stage(0));
            let (thread, rank) = (thread_idx_x(), cluster_rank());
            let steps = format.products();
            let (a_shared, b_shared) = (shared::<u8>(2048), shared::<u8>(2048));
            for i in unroll(0..16) {
                let at = thread + 128 * i;
                a_shared[at] = a_scales[2048 * rank + at];
                b_shared[at] = b_scales[at];
            }
            if thread == 0 {
                full.init(1);
                ready.init(2);
                done.init(1);
                mbarrier_fence();
            }
            async_fence();
            let memory = tensor_memory_of_pair(128);
            let sums = memory.sums::<$factor, 64>(0);
            if thread == 0 {
                full.arrive_expect(160 * 128);
                a_tile.load(a_box, [128 * rank, 0], full);
                b_tile.load(b_box, [32 * rank, 0], full);
                full.wait(0);
                ready.arrive_at(0);
                if rank == 0 {
                    ready.wait(0);
                    for k in unroll(0..4) {
                        let (chunk, byte) = (k / steps, k % steps * (4 / steps));
                        let a_place = memory.scales(64 + 8 * chunk, 128);
                        let b_place = memory.scales(68 + 8 * chunk, 64);
                        if byte == 0 {
                            a_place.copy(&a_shared.slice(512 * chunk, 512));
                            b_place.copy(&b_shared.slice(512 * chunk, 512));
                        }
                        let (a, b) = (a_tile.k_major(0, 32 * k), b_tile.k_major(0, 32 * k));
                        let scales = [a_place.byte(byte), b_place.byte(byte)];
                        tensor_mma_scaled(sums, a, b, format, scales, k > 0);
                    }
                    memory.commit_to_pair(done);
                }
            }
            done.wait(0);
            tensor_fence_after();
            let row = sums.read::<64>(0);
            for j in unroll(0..64) {
                c[64 * (128 * rank + thread) + j] = row[j];
            }
            memory.free();
        }
    };
}

scaled!(scaled_bytes, e4m3, e4m3);
scaled!(scaled_pairs, E2m1, u8);

/// Whoever multiplies does not know that its peer's tiles have come.
#[kernel(block = 128, cluster = 2)]
fn unordered(a: &TensorMap<bf16, 2>) {
    let a_box = a.tile([128, 64], Swizzle::B128);
    let a_tile = tiles::<bf16>(1, [128, 64], Swizzle::B128).stage(0);
    let (full, done) = (mbarriers(1).stage(0), mbarriers(1).stage(0));
    if thread_idx_x() == 0 {
        full.init(1);
        done.init(1);
        mbarrier_fence();
    }
    let memory = tensor_memory_of_pair(64);
    let sums = memory.sums::<bf16, 64>(0);
    if thread_idx_x() == 0 {
        full.arrive_expect(128 * 128);
        a_tile.load(a_box, [128 * cluster_rank(), 0], full);
        full.wait(0);
        if cluster_rank() == 0 {
            tensor_mma(sums, a_tile.k_major(0, 0), a_tile.k_major(0, 0), false);
            memory.commit_to_pair(done);
        }
    }
    done.wait(0);
    memory.free();
}

fn device() -> Device {
    Device::interpreter_for(Target::sm(100, true))
}

/// Numbers as of a normal distribution: sums of twelve even ones, less their mean.
struct Normal(u64);

impl Normal {
    fn even(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 40) as f64 / f64::from(1 << 24)
    }

    fn take(&mut self, count: usize) -> Vec<bf16> {
        (0..count)
            .map(|_| bf16::from_f64((0..12).map(|_| self.even()).sum::<f64>() - 6.0))
            .collect()
    }
}

/// Whether sums are those of the products in f64, as exact as sums of f32 are.
#[track_caller]
fn assert_close(found: &[f32], a: &[Vec<f64>], b: &[Vec<f64>]) {
    for (i, &found) in found.iter().enumerate() {
        let products = a[i / b.len()].iter().zip(&b[i % b.len()]).map(|(x, y)| x * y);
        let (sum, size) = products.fold((0.0, 0.0), |(s, n), p| (s + p, n + p.abs()));
        let error = (f64::from(found) - sum).abs();
        assert!(error <= 1e-6 * size, "element {i}: {found}, and not {sum}");
    }
}

fn rows(values: &[bf16], columns: usize) -> Vec<Vec<f64>> {
    values.chunks(columns).map(|row| row.iter().map(|x| x.to_f64()).collect()).collect()
}

/// Every launch of a stream is another schedule.
#[test]
fn matmuls_of_pairs_are_right_in_every_schedule() {
    let device = device();
    let stream = device.create_stream().unwrap();
    for (depth, pairs, launches) in [(64, 1, 4), (192, 1, 8), (320, 2, 4)] {
        let mut normal = Normal(depth as u64);
        let (a, b) = (normal.take(256 * pairs * depth), normal.take(64 * depth));
        let [a_rows, b_rows] = [&a, &b].map(|values| rows(values, depth));
        let [a, b] = [a, b].map(|values| Buffer::from_slice(&device, &values).unwrap());
        let m = 256 * pairs;
        for _ in 0..launches {
            let mut c = Buffer::<f32>::zeros(&device, m * 64).unwrap();
            let (av, bv) = (View::of(&a, [m, depth]), View::of(&b, [64, depth]));
            let launch = match pairs {
                1 => matmul(av, bv, depth, &mut c).grid(2),
                _ => matmul_in_fours(av, bv, depth, &mut c).grid(4),
            };
            launch.launch_on(&stream).unwrap();
            stream.synchronize().unwrap_or_else(|error| panic!("{error}"));
            assert_close(&c.to_vec().unwrap(), &a_rows, &b_rows);
        }
    }
}

fn e2m1(bits: u8) -> f64 {
    let value = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0][usize::from(bits % 8)];
    if bits & 8 == 0 { value } else { -value }
}

/// Elements of a row of 128 bytes: 4-bit floats, or small 8-bit ones.
fn elements(rows: usize, pairs: bool) -> (Vec<u8>, Vec<Vec<f64>>) {
    let bits = |i: usize| (i * 7 + i / 128 * 5 + i / 4096) as u8;
    let byte =
        |i| if pairs { bits(i) } else { e4m3::from_f32(f32::from(bits(i) % 9) - 4.0).to_bits() };
    let bytes: Vec<u8> = (0..128 * rows).map(byte).collect();
    let numbers = |row: &[u8]| match pairs {
        true => row.iter().flat_map(|&byte| [e2m1(byte), e2m1(byte >> 4)]).collect(),
        false => row.iter().map(|&byte| e4m3::from_bits(byte).to_f32().into()).collect(),
    };
    (bytes.clone(), bytes.chunks(128).map(numbers).collect())
}

/// The bytes of scales of each 128 rows, 2048 of them, and rows multiplied by the scales, each of so many
/// elements.
fn scaled(rows: &mut [Vec<f64>], format: ScaleFormat, block: usize) -> Vec<u8> {
    let mut bytes = vec![0xFF; 2048 * rows.len().div_ceil(128)];
    for (row, numbers) in rows.iter_mut().enumerate() {
        for (block, numbers) in numbers.chunks_mut(block).enumerate() {
            let step = (row + row / 32 + 3 * block) % 4;
            let (byte, scale) = match format {
                ScaleFormat::Nvfp4 => (0x30 + step as u8, 0.5 + step as f64 / 16.0),
                _ => (125 + step as u8, 2f64.powi(step as i32 - 2)),
            };
            let (part, row) = (row / 128, row % 128);
            let at = 2048 * part + block / 4 * 512 + row % 32 * 16 + row / 32 * 4 + block % 4;
            bytes[at] = byte;
            numbers.iter_mut().for_each(|number| *number *= scale);
        }
    }
    bytes
}

#[test]
fn scaled_products_of_pairs_with_every_format() {
    let device = device();
    for (format, block) in [
        (ScaleFormat::Mxfp8, 32),
        (ScaleFormat::Mxfp4, 32),
        (ScaleFormat::Mxfp4By16, 16),
        (ScaleFormat::Nvfp4, 16),
    ] {
        let pairs = format != ScaleFormat::Mxfp8;
        let ((a, mut a_rows), (b, mut b_rows)) = (elements(256, pairs), elements(64, pairs));
        let scales = [scaled(&mut a_rows, format, block), scaled(&mut b_rows, format, block)];
        let [sa, sb] = scales.map(|bytes| Buffer::from_slice(&device, &bytes).unwrap());
        let mut c = Buffer::<f32>::zeros(&device, 256 * 64).unwrap();
        let found = if pairs {
            let [a, b] = [a, b].map(|bytes| Buffer::from_slice(&device, &bytes).unwrap());
            let (a, b) = (View::of(&a, [256, 128]), View::of(&b, [64, 128]));
            findings_on(&device, scaled_pairs(format, a, b, &sa, &sb, &mut c).grid(2))
        } else {
            let [a, b] = [a, b].map(|bytes| {
                let elements: Vec<e4m3> = bytes.into_iter().map(e4m3::from_bits).collect();
                Buffer::from_slice(&device, &elements).unwrap()
            });
            let (a, b) = (View::of(&a, [256, 128]), View::of(&b, [64, 128]));
            findings_on(&device, scaled_bytes(format, a, b, &sa, &sb, &mut c).grid(2))
        };
        assert!(found.is_empty(), "{format:?}: {found:?}");
        assert_close(&c.to_vec().unwrap(), &a_rows, &b_rows);
    }
}

/// The race is at the line of the load or of the product.
#[test]
fn a_peer_that_is_not_waited_for() {
    let device = device();
    let values = Normal(1).take(256 * 64);
    let a = Buffer::from_slice(&device, &values).unwrap();
    let found = findings_on(&device, unordered(View::of(&a, [256, 64])).grid(2));
    let text = format!("{found:?}");
    assert!(
        !found.is_empty()
            && found.iter().all(|f| matches!(
                f.kind,
                kernelsmith::FindingKind::CopyInFlight | kernelsmith::FindingKind::Uninitialized
            )),
        "{text}"
    );
}

/// NVIDIA's assembler takes them, with as many products of two blocks.
#[test]
fn kernels_of_pairs_assemble() {
    let target = Target::sm(100, true);
    let Target::Ptx(ptx) = target.clone() else { unreachable!("NVIDIA's") };
    let formats = [ScaleFormat::Mxfp4, ScaleFormat::Nvfp4];
    let kernels: Vec<Kernel> = [matmul_ir(&target), matmul_in_fours_ir(&target)]
        .into_iter()
        .chain([scaled_bytes_ir(&target, ScaleFormat::Mxfp8)])
        .chain(formats.map(|format| scaled_pairs_ir(&target, format)))
        .map(|kernel| kernel.unwrap_or_else(|error| panic!("{error}")))
        .collect();
    for kernel in kernels {
        let prepared = passes::prepare(&kernel, &target).unwrap_or_else(|error| panic!("{error}"));
        let module = compile(&prepared, ptx).unwrap();
        let assembled = Ptxas::find().unwrap().assemble(&module);
        let assembled = assembled.unwrap_or_else(|e| panic!("{e}\n{}", module.text));
        assert_eq!(assembled.usage.spill_stores, 0);
        let code = Nvdisasm::find().unwrap().disassemble(&assembled).unwrap();
        let products = code.text().matches("MMA.2CTA").count();
        assert_eq!(products, 4, "{}", code.text());
    }
}
