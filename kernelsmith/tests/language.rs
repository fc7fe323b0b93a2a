//! Kernels that use the whole of the language, staged to IR.

use kernelsmith::Target;
use kernelsmith::prelude::*;

#[kernel]
fn saxpy<T: Float>(a: T, x: &[T], y: &mut [T]) {
    let i = global_idx_x();
    if i < y.len() {
        y[i] = a * x[i] + y[i];
    }
}

#[kernel]
fn mandelbrot(width: usize, limit: u32, out: &mut [u32]) {
    let i = global_idx_x();
    if i >= out.len() {
        return;
    }
    let (cx, cy) = ((i % width) as f32 / 100.0 - 2.0, (i / width) as f32 / 100.0 - 1.0);
    let (mut x, mut y) = (0.0f32, 0.0f32);
    let mut n = 0;
    while n < limit {
        let (xx, yy) = (x * x, y * y);
        if xx + yy > 4.0 {
            break;
        }
        y = 2.0 * x * y + cy;
        x = xx - yy + cx;
        n += 1;
    }
    out[i] = n;
}

#[kernel]
fn accumulate<const N: usize, const M: usize>(k: usize, a: &[f32], b: &[f32], c: &mut [f32]) {
    let t = thread_idx_x();
    let mut acc = [[0.0; N]; M];
    for p in 0..k {
        for i in unroll(0..M) {
            for j in unroll(0..N) {
                acc[i][j] += a[p * M + i] * b[p * N + j];
            }
        }
    }
    for i in unroll(0..M) {
        for j in unroll(0..N) {
            c[t * M * N + i * N + j] = acc[i][j];
        }
    }
}

#[derive(KernelValue, Clone, Copy)]
struct OnlineSoftmax {
    max: Val<f32>,
    sum: Val<f32>,
}

#[device]
impl OnlineSoftmax {
    fn new() -> OnlineSoftmax {
        OnlineSoftmax { max: f32::NEG_INFINITY, sum: 0.0 }
    }

    fn update(&mut self, x: f32) {
        let new = self.max.max(x);
        self.sum = self.sum * (self.max - new).exp() + (x - new).exp();
        if new > self.max {
            self.max = new;
        }
    }
}

#[kernel]
fn logsumexp(n: usize, x: &[f32], out: &mut [f32]) {
    let row = global_idx_x();
    let mut state = OnlineSoftmax::new();
    for i in 0..n {
        state.update(x[row * n + i]);
    }
    out[row] = state.max + state.sum.ln();
}

trait Activation: Copy + 'static {
    fn apply(x: Val<f32>) -> Val<f32>;
}

#[derive(Clone, Copy)]
struct Relu;

#[device]
impl Activation for Relu {
    fn apply(x: f32) -> f32 {
        if x > 0.0 { x } else { 0.0 }
    }
}

#[kernel]
fn epilogue<A: Activation>(
    #[comptime] _activation: std::marker::PhantomData<A>,
    f: impl Fn(f32) -> f32,
    x: &[f32],
    bias: Option<&[f32]>,
    y: &mut [f32],
) {
    let i = global_idx_x();
    if i < y.len() {
        let mut v = A::apply(f(x[i]));
        if let Some(bias) = bias {
            v += bias[i];
        }
        y[i] = v;
    }
}

#[device]
fn first_above(limit: f32, x: &[f32]) -> usize {
    for i in 0..x.len() {
        if x[i] > limit {
            return i;
        }
    }
    x.len()
}

#[kernel]
fn control(x: &[f32], out: &mut [usize]) {
    let i = global_idx_x();
    let kind = i % 4;
    let v = match kind {
        0 => 10,
        1 | 2 => 20,
        n if n > 100 => n,
        _ => first_above(0.5, x),
    };
    let mut total = v;
    'outer: for a in 0..i {
        for b in unroll(0..3) {
            if a + b == 7 {
                continue 'outer;
            }
            if a > 50 {
                break 'outer;
            }
            total += a * b;
        }
    }
    let last = loop {
        total -= 1;
        if total < 5 || total % 3 == 0 {
            break total;
        }
    };
    // The old value is read before the block changes it.
    let mut j = 2;
    let product = j * {
        j += 5;
        j
    };
    out[i] = last + product;
}

#[kernel(block = [64, 1])]
fn shared_memory(x: &[f32], out: &mut [f32]) {
    let tile = shared::<f32>(64);
    let t = thread_idx_x();
    tile[t] = x[t];
    barrier();
    let mut s = 32;
    while s > 0 {
        if t < s {
            tile[t] += tile[t + s];
        }
        barrier();
        s /= 2;
    }
    if t == 0 {
        out[0] = tile[0];
    }
}

#[kernel]
fn transpose(x: &View<f32, 2>, y: &mut View<f32, 2>) {
    let (i, j) = (global_idx_y(), global_idx_x());
    if i < x.shape(0) && j < x.shape(1) {
        y[[j, i]] = x[[i, j]];
    }
}

#[kernel]
fn dynamic_array(n: usize, x: &[u32], out: &mut [u32]) {
    let mut histogram = [0u32; 8];
    for i in 0..n {
        histogram[x[i] % 8] += 1;
    }
    for i in 0..8usize {
        out[i] = histogram[i];
    }
}

#[test]
fn kernels_stage() {
    let target = Target::Cpu;
    let kernels = [
        saxpy_ir::<f32>(&target),
        saxpy_ir::<f16>(&target),
        mandelbrot_ir(&target),
        accumulate_ir::<2, 3>(&target),
        logsumexp_ir(&target),
        epilogue_ir::<Relu, _>(&target, std::marker::PhantomData, |x: Val<f32>| x * 2.0, true),
        control_ir(&target),
        shared_memory_ir(&target),
        transpose_ir(&target),
        dynamic_array_ir(&target),
    ];
    for kernel in kernels {
        println!("{}", kernel.unwrap().to_string_without_locations());
    }
}

fn buffer<T: Num>(values: &[T]) -> Buffer<T> {
    Buffer::from_slice(&Device::cpu(), values).unwrap()
}

#[test]
fn saxpy_handles_tails_and_empty_input() {
    for n in [0usize, 1, 31, 32, 33, 100, 1000, 4097] {
        let xs: Vec<f32> = (0..n).map(|i| i as f32).collect();
        let x = buffer(&xs);
        let mut y = buffer(&xs);
        saxpy::<f32>(2.0, &x, &mut y).threads(n, 100).launch(&Device::cpu()).unwrap();
        let expected: Vec<f32> = xs.iter().map(|x| 3.0 * x).collect();
        assert_eq!(y.to_vec().unwrap(), expected, "{n}");
    }
}

#[test]
fn mandelbrot_breaks_early_lane_by_lane() {
    let (width, height, limit) = (300usize, 200usize, 100u32);
    let mut out = Buffer::<u32>::zeros(&Device::cpu(), width * height).unwrap();
    mandelbrot(width, limit, &mut out).threads(width * height, 64).launch(&Device::cpu()).unwrap();
    let expected: Vec<u32> = (0..width * height)
        .map(|i| {
            let (cx, cy) = ((i % width) as f32 / 100.0 - 2.0, (i / width) as f32 / 100.0 - 1.0);
            let (mut x, mut y, mut n) = (0.0f32, 0.0f32, 0);
            while n < limit {
                let (xx, yy) = (x * x, y * y);
                if xx + yy > 4.0 {
                    break;
                }
                y = 2.0 * x * y + cy;
                x = xx - yy + cx;
                n += 1;
            }
            n
        })
        .collect();
    assert_eq!(out.to_vec().unwrap(), expected);
}

#[test]
fn nested_arrays_accumulate_in_registers() {
    const N: usize = 2;
    const M: usize = 3;
    let (k, threads) = (17, 5);
    let a: Vec<f32> = (0..k * M).map(|i| i as f32).collect();
    let b: Vec<f32> = (0..k * N).map(|i| 1.0 + i as f32).collect();
    let mut c = Buffer::<f32>::zeros(&Device::cpu(), threads * M * N).unwrap();
    accumulate::<N, M>(k, &buffer(&a), &buffer(&b), &mut c)
        .block(threads)
        .launch(&Device::cpu())
        .unwrap();
    let c = c.to_vec().unwrap();
    for t in 0..threads {
        for i in 0..M {
            for j in 0..N {
                let expected: f32 = (0..k).map(|p| a[p * M + i] * b[p * N + j]).sum();
                assert_eq!(c[t * M * N + i * N + j], expected, "{t} {i} {j}");
            }
        }
    }
}

#[test]
fn control_flow_is_rusts() {
    let n = 200;
    let x: Vec<f32> = (0..50).map(|i| i as f32 / 60.0).collect();
    let mut out = Buffer::<usize>::zeros(&Device::cpu(), n).unwrap();
    control(&buffer(&x), &mut out).threads(n, 40).launch(&Device::cpu()).unwrap();
    let first_above = |limit: f32| x.iter().position(|&x| x > limit).unwrap_or(x.len());
    let expected: Vec<usize> = (0..n)
        .map(|i| {
            let v = match i % 4 {
                0 => 10,
                1 | 2 => 20,
                k if k > 100 => k,
                _ => first_above(0.5),
            };
            let mut total = v;
            'outer: for a in 0..i {
                for b in 0..3 {
                    if a + b == 7 {
                        continue 'outer;
                    }
                    if a > 50 {
                        break 'outer;
                    }
                    total += a * b;
                }
            }
            let last = loop {
                total = total.wrapping_sub(1);
                if total < 5 || total % 3 == 0 {
                    break total;
                }
            };
            let mut j = 2;
            let product = j * {
                j += 5;
                j
            };
            last + product
        })
        .collect();
    assert_eq!(out.to_vec().unwrap(), expected);
}

#[test]
fn barriers_in_loops_order_shared_memory() {
    let x: Vec<f32> = (0..64).map(|i| (i * i) as f32).collect();
    let mut out = Buffer::<f32>::zeros(&Device::cpu(), 1).unwrap();
    shared_memory(&buffer(&x), &mut out).launch(&Device::cpu()).unwrap();
    assert_eq!(out.to_vec().unwrap(), [x.iter().sum::<f32>()]);
}

#[test]
fn views_have_shapes_and_strides() {
    let (rows, columns) = (37, 50);
    let x: Vec<f32> = (0..rows * columns).map(|i| i as f32).collect();
    let mut y = Buffer::<f32>::zeros(&Device::cpu(), rows * columns).unwrap();
    let x_buffer = buffer(&x);
    transpose(View::of(&x_buffer, [rows, columns]), View::of_mut(&mut y, [columns, rows]))
        .grid((columns.div_ceil(16), rows.div_ceil(8)))
        .block((16, 8))
        .launch(&Device::cpu())
        .unwrap();
    let y = y.to_vec().unwrap();
    for i in 0..rows {
        for j in 0..columns {
            assert_eq!(y[j * rows + i], x[i * columns + j]);
        }
    }
    let error = transpose(
        View::of(&x_buffer, [rows, columns + 1]),
        View::of_mut(&mut buffer(&[0.0f32]), [1, 1]),
    )
    .block(1)
    .launch(&Device::cpu())
    .unwrap_err();
    assert!(error.to_string().contains("`x`"), "{error}");
}

#[test]
fn arrays_take_run_time_indices() {
    let x: Vec<u32> = (0..100).map(|i| i * 7 + i / 3).collect();
    let mut out = Buffer::<u32>::zeros(&Device::cpu(), 8).unwrap();
    dynamic_array(x.len(), &buffer(&x), &mut out).block(1).launch(&Device::cpu()).unwrap();
    let mut expected = [0; 8];
    x.iter().for_each(|x| expected[(x % 8) as usize] += 1);
    assert_eq!(out.to_vec().unwrap(), expected);
}

#[test]
fn epilogues_are_closures_traits_and_options() {
    let x = [1.0f32, -2.0, 3.0];
    let bias = buffer(&[10.0f32, 20.0, 30.0]);
    let mut y = buffer(&[0.0f32; 3]);
    let relu = std::marker::PhantomData::<Relu>;
    epilogue(relu, |x: Val<f32>| x * 2.0, &buffer(&x), Some(&bias), &mut y)
        .block(3)
        .launch(&Device::cpu())
        .unwrap();
    assert_eq!(y.to_vec().unwrap(), [12.0, 20.0, 36.0]);
    epilogue(relu, |x: Val<f32>| x + 1.0, &buffer(&x), None, &mut y)
        .block(3)
        .launch(&Device::cpu())
        .unwrap();
    assert_eq!(y.to_vec().unwrap(), [2.0, 0.0, 4.0]);
}

#[test]
fn failing_checks_name_kernel_line_index_and_length() {
    // Of a stream of its own: whoever waits for the default one collects what fails on it.
    let stream = Device::cpu().create_stream().unwrap();
    let mut out = buffer(&[0usize; 10]);
    control(&buffer(&[1.0f32]), &mut out).threads(64, 64).launch_on(&stream).unwrap();
    let error = stream.synchronize().unwrap_err();
    let failure = error.check_failed().expect("a failed check");
    assert_eq!((failure.kernel.as_str(), failure.len), ("control", 10));
    // Which of the threads comes first is open.
    let [thread, 0, 0] = failure.thread else { panic!("{:?}", failure.thread) };
    assert_eq!(failure.index, u64::from(thread));
    assert!((10..64).contains(&thread), "{thread}");
    assert!(failure.location.as_ref().unwrap().0.ends_with("language.rs"));
    stream.synchronize().unwrap();
}

#[test]
fn methods_change_fields_in_a_loop() {
    let (rows, n) = (45, 37);
    let x: Vec<f32> = (0..rows * n).map(|i| ((i * 31) % 101) as f32 / 10.0 - 5.0).collect();
    let mut out = Buffer::<f32>::zeros(&Device::cpu(), rows).unwrap();
    logsumexp(n, &buffer(&x), &mut out).block(rows).launch(&Device::cpu()).unwrap();
    for (row, found) in x.chunks(n).zip(out.to_vec().unwrap()) {
        let expected = row.iter().map(|&x| f64::from(x).exp()).sum::<f64>().ln();
        assert!((f64::from(found) - expected).abs() < 1e-5, "{found} {expected}");
    }
}

/// What a sum is made of: an element type to add up in, a factor, a way to look at elements.
#[device]
trait Sum: Copy + 'static {
    type Acc: Float;
    const FACTOR: u32;
    fn start() -> Self::Acc;
    fn add(sum: Self::Acc, x: f32) -> Self::Acc;
    fn weight(i: usize) -> f32 {
        if i % 2 == 0 { 1.0 } else { 0.5 }
    }
}

#[derive(Clone, Copy)]
struct InDouble;

#[device]
impl Sum for InDouble {
    type Acc = f64;
    const FACTOR: u32 = 3;
    fn start() -> f64 {
        0.25
    }
    fn add(sum: Self::Acc, x: f32) -> f64 {
        sum + x as f64 * (Self::FACTOR as f64)
    }
}

#[device]
fn total<S: Sum>(x: &[f32]) -> S::Acc {
    let mut sum = S::start();
    for (i, &v) in x.iter().enumerate() {
        sum = S::add(sum, v * S::weight(i));
    }
    sum
}

#[kernel]
fn sums<S: Sum>(
    #[comptime] _sum: std::marker::PhantomData<S>,
    n: usize,
    x: &[f32],
    y: &mut [S::Acc],
    counts: &mut [u32],
) {
    let row = global_idx_x();
    if row < y.len() {
        y[row] = total::<S>(&x[row * n..(row + 1) * n]);
        counts[row] = S::FACTOR;
    }
}

#[test]
fn traits_have_constants_types_and_defaults() {
    let (rows, n) = (5, 7);
    let x: Vec<f32> = (0..rows * n).map(|i| (i as f32).sin()).collect();
    let mut y = Buffer::<f64>::zeros(&Device::cpu(), rows).unwrap();
    let mut counts = Buffer::<u32>::zeros(&Device::cpu(), rows).unwrap();
    sums(std::marker::PhantomData::<InDouble>, n, &buffer(&x), &mut y, &mut counts)
        .block(rows)
        .launch(&Device::cpu())
        .unwrap();
    let expected: Vec<f64> = x
        .chunks(n)
        .map(|row| {
            let weighted = row.iter().enumerate();
            let weighted = weighted.map(|(i, v)| v * if i % 2 == 0 { 1.0 } else { 0.5 });
            weighted.fold(0.25, |sum, v| sum + f64::from(v) * 3.0)
        })
        .collect();
    assert_eq!(y.to_vec().unwrap(), expected);
    assert_eq!(counts.to_vec().unwrap(), [3; 5]);
}

#[kernel]
fn iterators(x: &[u32], w: &[u32], out: &mut [u32]) {
    let mut sum = 0u32;
    for (v, w) in x.iter().zip(w.iter().rev()) {
        sum = sum * 3 + *v * *w;
    }
    out[0] = sum;
    out[1] = x.iter().skip(2).step_by(3).take(4).fold(0, |all, v| all * 5 + *v);
    out[2] = x.iter().position(|v| *v > 50).unwrap_or(1000) as u32;
    out[3] = x.iter().any(|v| *v == 7) as u32 + 2 * w.iter().all(|v| *v < 1000) as u32;
    let mut last = RunOption::none();
    for (i, v) in x[3..].iter().copied().enumerate() {
        if v % 4 == 1 {
            last = RunOption::some(i as u32 + v);
        }
        if v > 90 {
            break;
        }
    }
    out[4] = if let Some(v) = last { v } else { 77 };
    let n = x.len();
    let (head, tail) = (&x[..n / 2], &x[n - 3..]);
    out[5] = head[1] + 10 * tail[2] + 100 * head.len() as u32;
    for (i, square) in (1..n.min(6)).map(|i| i * i).enumerate() {
        out[6] += (i * square) as u32;
    }
    #[comptime]
    let mut names = vec![3u32, 4];
    names.push(5);
    while let Some(name) = names.pop() {
        out[7] = out[7] * 10 + name;
    }
    names.push(1);
    names[0] += 1;
    out[7] = out[7] * 100 + names[0] * 10 + names.len() as u32;
}

#[test]
fn iterators_run_over_slices() {
    let x: Vec<u32> = (0..40u32).map(|i| (i * 37 + 5) % 101).collect();
    let w: Vec<u32> = (0..33u32).map(|i| i + 2).collect();
    let mut out = Buffer::<u32>::zeros(&Device::cpu(), 8).unwrap();
    iterators(&buffer(&x), &buffer(&w), &mut out).block(1).launch(&Device::cpu()).unwrap();
    let mut expected = [0u32; 8];
    for (v, w) in x.iter().zip(w.iter().rev()) {
        expected[0] = expected[0].wrapping_mul(3).wrapping_add(*v * *w);
    }
    expected[1] = x.iter().skip(2).step_by(3).take(4).fold(0, |all, v| all * 5 + *v);
    expected[2] = x.iter().position(|v| *v > 50).unwrap_or(1000) as u32;
    expected[3] = u32::from(x.contains(&7)) + 2 * u32::from(w.iter().all(|v| *v < 1000));
    let mut last = None;
    for (i, v) in x[3..].iter().copied().enumerate() {
        if v % 4 == 1 {
            last = Some(i as u32 + v);
        }
        if v > 90 {
            break;
        }
    }
    expected[4] = last.unwrap_or(77);
    expected[5] = x[1] + 10 * x[39] + 100 * 20;
    expected[6] = (1..6).map(|i| i * i).enumerate().map(|(i, square)| (i * square) as u32).sum();
    expected[7] = 543 * 100 + 21;
    assert_eq!(out.to_vec().unwrap(), expected);
}

#[kernel]
fn slice_bounds(from: usize, to: usize, x: &[f32], y: &mut [f32]) {
    let part = &x[from..to];
    y[0] = part.len() as f32;
}

#[test]
fn parts_of_slices_are_checked() {
    let stream = Device::cpu().create_stream().unwrap();
    let (x, mut y) = (buffer(&[0.0f32; 10]), buffer(&[0.0f32]));
    for (from, to, good) in [(2, 10, true), (10, 10, true), (3, 11, false), (5, 4, false)] {
        slice_bounds(from, to, &x, &mut y).block(1).launch_on(&stream).unwrap();
        assert_eq!(stream.synchronize().is_ok(), good, "{from}..{to}");
    }
}
