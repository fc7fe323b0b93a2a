//! Tensor maps and clusters from the host's side: what launches hand over, and what they refuse.

use kernelsmith::ir::tensor_map::TensorTile as IrTile;
use kernelsmith::ir::{ParamKind, Target, Type};
use kernelsmith::prelude::*;

#[kernel]
fn extents(a: &TensorMap<bf16, 2>, c: &mut TensorMap<f32, 3>, y: &mut [u64]) {
    let a_tile = a.tile([128, 64], Swizzle::B128);
    let c_tile = c.tile([1, 8, 32], Swizzle::None);
    y[0] = a.shape(0) as u64 * 1000 + a.shape(1) as u64;
    y[1] = c.shape(0) as u64 * 1_000_000 + c.shape(1) as u64 * 1000 + c.shape(2) as u64;
    y[2] = (a_tile.bytes() * 10_000 + c_tile.elements()) as u64;
}

/// A tile from the host's constants, in a function that several places call.
#[device]
fn tile<const N: usize>(map: &TensorMap<f16, 1>) -> TensorTile<f16, 1> {
    map.tile([N], Swizzle::None)
}

#[kernel]
fn generic<const N: usize>(a: &TensorMap<f16, 1>, b: Option<&TensorMap<f16, 1>>, y: &mut [u32]) {
    tile::<N>(a);
    y[0] = tile::<N>(a).bytes() as u32;
    if let Some(b) = b {
        y[0] = b.tile([8], Swizzle::None).bytes() as u32;
    }
}

#[kernel(requires = (a.shape(1) == b.shape(0), a.shape(0) <= y.len()))]
fn product(a: &TensorMap<f32, 2>, b: &TensorMap<f32, 2>, y: &mut [u64]) {
    a.tile([8, 8], Swizzle::B32);
    b.tile([8, 8], Swizzle::B32);
    for row in 0..a.shape(0) {
        y[row] = 1;
    }
}

#[test]
fn contracts_speak_of_shapes() {
    let device = Device::interpreter();
    let x = Buffer::<f32>::zeros(&device, 8 * 16).unwrap();
    let mut y = Buffer::<u64>::zeros(&device, 8).unwrap();
    let (wide, tall) = (View::of(&x, [8, 16]), View::of(&x, [16, 8]));
    product(wide, tall, &mut y).block(1).launch(&device).unwrap();
    assert_eq!(y.to_vec().unwrap(), [1; 8]);
    let error = product(wide, wide, &mut y).block(1).launch(&device).unwrap_err();
    assert!(error.contract_broken().is_some(), "{error}");
    let kernel = product_ir(&Target::sm(90, true)).unwrap();
    let prepared = kernelsmith::ir::passes::prepare(&kernel, &Target::sm(90, true)).unwrap();
    assert_eq!(prepared.checks(), [], "the contract proves that rows are in bounds");
}

fn tiles_of(kernel: &kernelsmith::ir::Kernel) -> Vec<(Type, IrTile)> {
    let tile = |p: &kernelsmith::ir::kernel::Param| match p.kind {
        ParamKind::TensorMap(tile) => Some((kernel.ty(p.value), tile)),
        _ => None,
    };
    kernel.params.iter().filter_map(tile).collect()
}

#[test]
fn the_kernel_says_the_box() {
    use kernelsmith::ir::Scalar;
    let kernel = extents_ir(&Target::sm(90, true)).unwrap();
    let expected = [
        (Type::TensorMap(Scalar::BF16, 2), IrTile::new(&[64, 128], Swizzle::B128, false)),
        (Type::TensorMap(Scalar::F32, 3), IrTile::new(&[32, 8, 1], Swizzle::None, true)),
    ];
    assert_eq!(tiles_of(&kernel), expected);
    let kernel = generic_ir::<64>(&Target::sm(90, true), false).unwrap();
    let expected = (Type::TensorMap(Scalar::F16, 1), IrTile::new(&[64], Swizzle::None, false));
    assert_eq!(tiles_of(&kernel), [expected]);
}

#[test]
fn the_launch_says_the_tensor() {
    let device = Device::interpreter();
    let a = Buffer::<bf16>::zeros(&device, 100 * 520).unwrap();
    let mut c = Buffer::<f32>::zeros(&device, 4 * 7 * 40).unwrap();
    let mut y = Buffer::<u64>::zeros(&device, 3).unwrap();
    let a = View::of(&a, [100, 500]).strides([520, 1]);
    let c = View::of_mut(&mut c, [4, 7, 37]).strides([7 * 40, 40, 1]);
    extents(a, c, &mut y).block(1).launch(&device).unwrap();
    assert_eq!(y.to_vec().unwrap(), [100_500, 4_007_037, 128 * 64 * 2 * 10_000 + 256]);

    let x = Buffer::<f16>::zeros(&device, 100).unwrap();
    let mut y = Buffer::<u32>::zeros(&device, 1).unwrap();
    let launch = |b, y: &mut Buffer<u32>| {
        generic::<64>(View::of(&x, [100]), b, &mut *y).block(1).launch(&device).unwrap();
        y.to_vec().unwrap()
    };
    assert_eq!(launch(None, &mut y), [128]);
    assert_eq!(launch(Some(View::of(&x, [100])), &mut y), [16]);
}

#[test]
fn tensors_that_no_map_describes_are_refused() {
    let device = Device::interpreter();
    let x = Buffer::<bf16>::zeros(&device, 64 * 64).unwrap();
    let launch = |a, c: [usize; 3], strides, grid: usize| {
        let mut out = Buffer::<f32>::zeros(&device, 1 << 12).unwrap();
        let mut y = Buffer::<u64>::zeros(&device, 3).unwrap();
        let c = View::of_mut(&mut out, c).strides(strides);
        extents(a, c, &mut y).grid(grid).block(1).launch(&device)
    };
    let good = View::of(&x, [64, 64]);
    let (shape, strides) = ([2, 2, 16], [32, 16, 1]);
    launch(good, shape, strides, 1).unwrap();
    let refused = |a| launch(a, shape, strides, 1).unwrap_err().to_string();
    assert_eq!(
        refused(good.transposed()),
        "`a` is of strides [1, 64]: a tensor map's last stride is 1: the copy engine moves \
         contiguous rows"
    );
    assert_eq!(
        refused(View::of(&x, [64, 60])),
        "`a` is of strides [60, 1]: a tensor map's strides are multiples of 16 bytes below 2^40, and \
         that of axis 0 is 60 bf16, 120 bytes"
    );
    let shifted = refused(View::of(x.slice(4..).unwrap(), [32, 64]));
    assert!(shifted.starts_with("`a` is at 0x"), "{shifted}");
    assert!(shifted.ends_with("8: a tensor map's address is a multiple of 16 bytes"), "{shifted}");
    let outside = refused(View::of(&x, [65, 64]));
    assert!(outside.contains("its last element is at 4159, but the buffer has 4096"), "{outside}");
    assert_eq!(
        refused(View::of(&x, [0, 64])),
        "`a` is of shape [0, 64]: a tensor map's extents are 1 to 2^32"
    );
    // A launch of nothing has nothing to describe.
    launch(View::of(&x, [0, 64]), shape, strides, 0).unwrap();
    let overlapping = launch(good, shape, [16, 16, 1], 1).unwrap_err().to_string();
    assert!(overlapping.starts_with("`c` is a view of shape [2, 2, 16]"), "{overlapping}");
    assert!(overlapping.contains("an output's indices must name different elements"));
}

#[kernel(block = 32, cluster = 2)]
fn pairs(y: &mut [u32]) {
    if thread_idx_x() == 0 {
        y[block_idx_x()] = 1;
    }
}

#[kernel(block = 32, cluster = [X, Y])]
fn shaped<const X: usize, const Y: usize>(y: &mut [u32]) {
    y[0] = 1;
}

#[kernel(block = 32, cluster = 2)]
fn cut(y: &mut Part<u32, 1>) {
    for i in 0..y.count(0) {
        y[i] = 1;
    }
}

#[test]
fn clusters_are_of_whole_blocks_of_the_grid() {
    let device = Device::interpreter();
    let mut y = Buffer::<u32>::zeros(&device, 100).unwrap();
    pairs(&mut y).grid(4).overlap_previous().launch(&device).unwrap();
    assert_eq!(y.to_vec().unwrap()[..5], [1, 1, 1, 1, 0]);
    assert_eq!(
        pairs(&mut y).grid(3).launch(&device).unwrap_err().to_string(),
        "`grid` is [3, 1, 1]: must be a multiple of the kernel's clusters, [2, 1, 1], along every axis"
    );
    let kernel = shaped_ir::<4, 2>(&Target::sm(90, true)).unwrap();
    assert_eq!(kernel.cluster_dim, Some([4, 2, 1]));
    assert!(shaped::<1, 2>(&mut y).grid(2).launch(&device).is_err());

    cut(y.partition([50])).launch(&device).unwrap();
    assert_eq!(y.to_vec().unwrap(), [1; 100]);
    assert_eq!(
        cut(y.partition([40])).launch(&device).unwrap_err().to_string(),
        "`y` is cut into 3 tiles: blocks have one tile each and lie along x, so that there must be a \
         multiple of the kernel's clusters, [2, 1, 1]"
    );
}

#[test]
fn older_devices_have_neither() {
    let device = Device::interpreter_for(Target::sm(80, false));
    let mut y = Buffer::<u32>::zeros(&device, 4).unwrap();
    let error = pairs(&mut y).grid(2).launch(&device).unwrap_err().to_string();
    assert!(error.contains("has a cluster of [2, 1, 1], and sm_80 knows none"), "{error}");
    let x = Buffer::<f16>::zeros(&device, 100).unwrap();
    let launch = generic::<64>(View::of(&x, [100]), None, &mut y).block(1);
    let error = launch.launch(&device).unwrap_err().to_string();
    assert!(error.contains("has a tensor map (`a`), and sm_80 knows none"), "{error}");
}

/// Rows of `x` in another order, and back to places of their own in `z`.
#[kernel(block = 32)]
fn shuffled(
    x: &TensorMap<f32, 2>,
    which: &[u32],
    y: &mut TensorMap<f32, 2>,
    z: &mut TensorMap<f32, 2>,
) {
    let row = x.tile([1, 32], Swizzle::B128);
    let out = y.tile([16, 32], Swizzle::B128);
    let back = z.tile([1, 32], Swizzle::B128);
    let tile = tiles::<f32>(1, [16, 32], Swizzle::B128).stage(0);
    let (producer, consumer) = pipeline::<1>(1).split();
    if thread_idx_x() == 0 {
        row.fetch([0, 0]);
        which.fetch(0, 16);
        let stage = producer.acquire();
        tile.gather(row, |i| which[i] as usize, 8, stage.barrier());
        stage.commit_bytes(16 * 128);
        consumer.wait().keep();
        tile.store(out, [0, 0]);
        tile.scatter(back, |i| (which[i] as usize).min(99), 0);
        bulk_commit();
        bulk_wait(0);
    }
}

#[test]
fn rows_are_gathered_and_scattered() {
    let device = Device::interpreter_for(Target::sm(100, true));
    let (rows, columns) = (24, 36);
    let data: Vec<f32> = (0..rows * columns).map(|i| i as f32).collect();
    let x = Buffer::from_slice(&device, &data).unwrap();
    // One of them is none: zeros come, and nothing is stored.
    let which: Vec<u32> = (0..16).map(|i| if i == 5 { 1000 } else { (i * 7 + 3) % 24 }).collect();
    let from = Buffer::from_slice(&device, &which).unwrap();
    let mut y = Buffer::from_slice(&device, &[-1.0f32; 16 * 32]).unwrap();
    let mut z = Buffer::from_slice(&device, &[-1.0f32; 24 * 32]).unwrap();
    let (to, back) = (View::of_mut(&mut y, [16, 32]), View::of_mut(&mut z, [24, 32]));
    shuffled(View::of(&x, [rows, columns]), &from, to, back).grid(1).launch(&device).unwrap();
    let (y, z) = (y.to_vec().unwrap(), z.to_vec().unwrap());
    let at = |i: usize, j: usize| {
        let (row, column) = (which[i] as usize, j + 8);
        if row < rows && column < columns { data[row * columns + column] } else { 0.0 }
    };
    for (i, j) in (0..16).flat_map(|i| (0..32).map(move |j| (i, j))) {
        assert_eq!(y[i * 32 + j], at(i, j), "{i} {j}");
    }
    for (row, j) in (0..24).flat_map(|row| (0..32).map(move |j| (row, j))) {
        let from = which.iter().position(|&w| w as usize == row);
        assert_eq!(z[row * 32 + j], from.map_or(-1.0, |i| at(i, j)), "{row} {j}");
    }
}

/// What each place of a 3 x 2 window with a padding of 1 and steps of 2 and 1 sees, from the pixel on
/// that `start` names.
#[kernel(block = 32)]
fn windows(x: &TensorMap<f32, 4>, start: &[i32], y: &mut [f32]) {
    let shape = Window { channels: 8, pixels: 16, lower: [-1, -1], upper: [-1, 0], steps: [2, 1] };
    let pixels = x.window(shape, Swizzle::B32);
    let tile = tiles::<f32>(1, [16, 8], Swizzle::B32).stage(0);
    let (producer, consumer) = pipeline::<1>(32).split();
    for place in 0..6u32 {
        if thread_idx_x() == 0 {
            let stage = producer.acquire();
            let at = [start[0], start[1], start[2], start[3]];
            tile.load_window(pixels, at, [place / 2, place % 2], stage.barrier());
            stage.commit_bytes(pixels.bytes());
        }
        let stage = consumer.wait();
        if thread_idx_x() < 8 {
            for i in 0..16 {
                y[(place as usize * 16 + i) * 8 + thread_idx_x()] =
                    tile.at(i, thread_idx_x()).get();
            }
        }
        stage.release();
    }
}

#[test]
fn windows_walk_over_images() {
    let device = Device::interpreter_for(Target::sm(90, true));
    let [n, h, w, c] = [2, 5, 4, 12];
    let data: Vec<f32> = (0..n * h * w * c).map(|i| 1.0 + i as f32).collect();
    let x = Buffer::from_slice(&device, &data).unwrap();
    for start in [[0, -1, -1, 0], [0, 1, 2, 8], [1, 3, 3, 4]] {
        let from = Buffer::from_slice(&device, &start).unwrap();
        let mut y = Buffer::from_slice(&device, &[-1.0f32; 6 * 16 * 8]).unwrap();
        windows(View::of(&x, [n, h, w, c]), &from, &mut y).grid(1).launch(&device).unwrap();
        let y = y.to_vec().unwrap();
        // All corners in order, as nested loops have them; then those from the first one on.
        let rows = (-1..=h as i32 - 2).step_by(2);
        let corners = (0..n as i32 + 9).flat_map(|image| {
            let rows = rows.clone();
            rows.flat_map(move |i| (-1..=w as i32 - 1).map(move |j| [image, i, j]))
        });
        let corners: Vec<_> = corners.skip_while(|at| at[..] != start[..3]).take(16).collect();
        for (place, (i, [image, row, column])) in
            (0..6i32).flat_map(|place| corners.iter().enumerate().map(move |at| (place, at)))
        {
            for channel in 0..8i32 {
                let at = [*image, *row + place / 2, *column + place % 2, start[3] + channel];
                let inside = at.iter().zip([n, h, w, c]).all(|(&i, n)| (0..n as i32).contains(&i));
                let [image, row, column, from] = at.map(|i| i as usize);
                let index = || ((image * h + row) * w + column) * c + from;
                let expected = if inside { data[index()] } else { 0.0 };
                let got = y[(place as usize * 16 + i) * 8 + channel as usize];
                assert_eq!(got, expected, "{start:?} {place} {i} {channel}");
            }
        }
    }
}
