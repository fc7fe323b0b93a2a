//! Kernels that use the whole of the language, staged to IR.

use kernelsmith::prelude::*;
use kernelsmith::Target;

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
    let product = j * { j += 5; j };
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
