//! Every kernel of the library through the interpreter: right results, and nothing found wrong, with
//! the tiles of each kind of target.

use kernelsmith::prelude::View;
use kernelsmith::{Buffer, Device, Target, bf16};
use kernelsmith_kernels::attention::{
    Attention, FlashAttention, FlashAttentionBackward, Forward, Gradients, flash_attention,
    flash_attention_backward,
};
use kernelsmith_kernels::elementwise::saxpy;
use kernelsmith_kernels::matmul::matmul;
use kernelsmith_kernels::norm::{
    layer_norm, layer_norm_backward, rms_norm, rms_norm_backward, softmax, softmax_backward,
};
use kernelsmith_kernels::quant::{Format, QuantizedMatrix, quantized_matmul};
use kernelsmith_kernels::{catalog, reference};

/// Small numbers that `bf16` holds exactly.
fn numbers(len: usize, seed: usize) -> Vec<f64> {
    (0..len).map(|i| ((i * 37 + seed * 101) % 29) as f64 * 0.125 - 1.75).collect()
}

fn floats(device: &Device, x: &[f64]) -> Buffer<f32> {
    Buffer::from_slice(device, &x.iter().map(|&x| x as f32).collect::<Vec<_>>()).unwrap()
}

/// A buffer nobody wrote: a kernel that reads of it, or leaves some of it out, is found.
fn output(device: &Device, len: usize) -> Buffer<f32> {
    // SAFETY: the kernels write every element, and the interpreter tells if they read one before.
    unsafe { Buffer::uninit(device, len).unwrap() }
}

/// Waits, and compares.
fn close(name: &str, found: &Buffer<f32>, expected: &[f64], tolerance: f64) {
    found.device().synchronize().unwrap_or_else(|finding| panic!("{name}: {finding}"));
    let found = found.to_vec().unwrap();
    assert_eq!(found.len(), expected.len());
    for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(found) - expected).abs();
        assert!(error <= tolerance, "{name}, element {i}: {found}, not {expected}");
    }
}

fn run_saxpy(device: &Device) {
    let (x, y) = (numbers(300, 1), numbers(300, 2));
    let mut out = floats(device, &y);
    saxpy(1.5, &floats(device, &x), &mut out).unwrap();
    close("saxpy", &out, &reference::saxpy(1.5, &x, &y), 0.0);
}

fn run_softmax(device: &Device) {
    for columns in [1, 31, 100] {
        let x = numbers(3 * columns, 3);
        let mut y = output(device, x.len());
        softmax(columns, &floats(device, &x), &mut y).unwrap();
        close("softmax", &y, &reference::softmax(columns, &x), 1e-6);
    }
}

const SHAPE: (usize, usize, usize) = (70, 40, 19);

fn factors() -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let (m, n, k) = SHAPE;
    let (a, b) = (numbers(m * k, 4), numbers(k * n, 5));
    let product = reference::matmul(m, n, k, &a, &b);
    (a, b, product)
}

fn run_rms_norm(device: &Device) {
    let columns = 37;
    let (x, weight) = (numbers(5 * columns, 11), numbers(columns, 12));
    let mut y = output(device, x.len());
    rms_norm(columns, 1e-5, &floats(device, &x), &floats(device, &weight), &mut y).unwrap();
    close("rms_norm", &y, &reference::rms_norm(columns, 1e-5, &x, &weight), 1e-5);
}

fn run_layer_norm(device: &Device) {
    let columns = 70;
    let (x, weight, bias) = (numbers(3 * columns, 13), numbers(columns, 14), numbers(columns, 15));
    let mut y = output(device, x.len());
    let [a, w, b] = [&x, &weight, &bias].map(|x| floats(device, x));
    layer_norm(columns, 1e-5, &a, &w, &b, &mut y).unwrap();
    close("layer_norm", &y, &reference::layer_norm(columns, 1e-5, &x, &weight, &bias), 1e-5);
}

fn run_norms_backward(device: &Device) {
    let (rows, columns) = (5, 37);
    let [x, dy] = [17, 18].map(|seed| numbers(rows * columns, seed));
    let weight = numbers(columns, 19);
    let y = reference::softmax(columns, &x);
    let [bx, bw, bdy, by] = [&x, &weight, &dy, &y].map(|x| floats(device, x));
    let [mut dx, mut dw, mut db] = [x.len(), columns, columns].map(|len| output(device, len));
    rms_norm_backward(columns, 1e-5, &bx, &bw, &bdy, &mut dx, &mut dw).unwrap();
    let expected = reference::rms_norm_backward(columns, 1e-5, &x, &weight, &dy);
    close("rms_norm_backward", &dx, &expected[0], 1e-5);
    close("rms_norm_backward", &dw, &expected[1], 1e-5);
    layer_norm_backward(columns, 1e-5, &bx, &bw, &bdy, &mut dx, &mut dw, &mut db).unwrap();
    let expected = reference::layer_norm_backward(columns, 1e-5, &x, &weight, &dy);
    for (found, expected) in [&dx, &dw, &db].into_iter().zip(&expected) {
        close("layer_norm_backward", found, expected, 1e-5);
    }
    softmax_backward(columns, &by, &bdy, &mut dx).unwrap();
    let expected = reference::softmax_backward(columns, &x, &dy);
    close("softmax_backward", &dx, &expected, 1e-5);
}

fn run_matmul_f32(device: &Device) {
    let (a, b, expected) = factors();
    let mut c = output(device, expected.len());
    matmul(SHAPE, &floats(device, &a), &floats(device, &b), &mut c).unwrap();
    // Sums of multiples of 2^-6 below 2^10 are exact.
    close("matmul_f32", &c, &expected, 0.0);
}

fn run_matmul_bf16(device: &Device) {
    let (a, b, expected) = factors();
    let [a, b] = [a, b].map(|x| {
        let x: Vec<bf16> = x.into_iter().map(bf16::from_f64).collect();
        Buffer::from_slice(device, &x).unwrap()
    });
    let mut c = output(device, expected.len());
    matmul(SHAPE, &a, &b, &mut c).unwrap();
    close("matmul_bf16", &c, &expected, 0.0);
}

fn run_matmul_i8(device: &Device) {
    let (a, b, _) = factors();
    let [a, b] = [a, b].map(|x| x.iter().map(|x| (x * 64.0) as i8).collect::<Vec<_>>());
    let [x, y] = [&a, &b].map(|x| Buffer::from_slice(device, x).unwrap());
    let (m, n, k) = SHAPE;
    let mut c = Buffer::from_slice(device, &vec![-1i32; m * n]).unwrap();
    matmul(SHAPE, &x, &y, &mut c).unwrap();
    device.synchronize().unwrap();
    let [a, b] = [a, b].map(|x| x.into_iter().map(f64::from).collect::<Vec<_>>());
    let found: Vec<f64> = c.to_vec().unwrap().into_iter().map(f64::from).collect();
    assert_eq!(found, reference::matmul(m, n, k, &a, &b));
}

fn run_flash_attention(device: &Device) {
    flash_attention_of(device, 20, 37, 32);
    // Few queries to keys in several parts.
    flash_attention_of(device, 2, 300, 64);
}

fn flash_attention_of(device: &Device, m: usize, n: usize, d: usize) {
    let [q, k, v] = [(m, 6), (n, 7), (n, 8)].map(|(rows, seed)| numbers(rows * d, seed));
    let all = Attention::new(m, n, d);
    for attention in [all, all.causal(), all.causal().window(9).soft_cap(2.0)] {
        let mut out = output(device, m * d);
        let [q, k, v] = [&q, &k, &v].map(|x| floats(device, x));
        flash_attention(attention, &q, &k, &v, &mut out).unwrap();
        let [q, k, v] = [(m, 6), (n, 7), (n, 8)].map(|(rows, seed)| numbers(rows * d, seed));
        let expected = reference::attention(&attention, &q, &k, &v);
        close("flash_attention", &out, &expected, 1e-5);
    }
}

fn run_attention_backward(device: &Device) {
    let (m, n, d) = (14, 100, 64);
    let [q, k, v, d_out] =
        [(m, 6), (n, 7), (n, 8), (m, 9)].map(|(rows, seed)| numbers(rows * d, seed));
    let attention = Attention::new(m, n, d).causal();
    let (out, lse) = reference::attention_and_lse(&attention, |s, _, _, _| s, &q, &k, &v);
    let expected = reference::attention_backward(&attention, |_, _, _| 0.0, &q, &k, &v, &d_out);
    let [q, k, v, out, lse, d_out] = [&q, &k, &v, &out, &lse, &d_out].map(|x| floats(device, x));
    let [mut dq, mut dk, mut dv] = [m, n, n].map(|rows| output(device, rows * d));
    let forward = Forward { q: &q, k: &k, v: &v, out: &out, lse: &lse };
    let gradients = Gradients { dq: &mut dq, dk: &mut dk, dv: &mut dv };
    flash_attention_backward(attention, forward, &d_out, gradients).unwrap();
    for (found, expected) in [dq, dk, dv].iter().zip(&expected) {
        close("attention_backward", found, expected, 1e-5);
    }
}

fn run_sink_gradients(device: &Device) {
    let a = Attention::new(3, 5, 32).batch(2).heads(2);
    let [q, k, v, d_out] = [12, 20, 20, 12].map(|rows| numbers(rows * 32, rows));
    let sinks = [0.5, -1.0];
    let forward = |sinks: &[f64]| {
        let same = |score, _, _, _| score;
        reference::attention_with_sinks(&a, same, Some(sinks), &q, &k, &v)
    };
    let (out, lse) = forward(&sinks);
    let slope = |head: usize| {
        let loss = |step: f64| -> f64 {
            let mut sinks = sinks;
            sinks[head] += step;
            forward(&sinks).0.iter().zip(&d_out).map(|(out, d_out)| out * d_out).sum()
        };
        (loss(1e-4) - loss(-1e-4)) / 2e-4
    };
    let expected = [slope(0), slope(1)];
    let [q, k, v, out, lse, d_out] = [&q, &k, &v, &out, &lse, &d_out].map(|x| floats(device, x));
    let [mut dq, mut dk, mut dv] = [12, 20, 20].map(|rows| output(device, rows * 32));
    let (sinks, mut d_sinks) = (floats(device, &sinks), output(device, 2));
    let forward = Forward { q: &q, k: &k, v: &v, out: &out, lse: &lse };
    let gradients = Gradients { dq: &mut dq, dk: &mut dk, dv: &mut dv };
    let pass = FlashAttentionBackward::new(a).sinks(&sinks, &mut d_sinks);
    pass.run(forward, &d_out, gradients).unwrap();
    close("sink_gradients", &d_sinks, &expected, 1e-4);
}

/// Keys in pages, few and many queries, sinks, and bf16.
fn run_paged_attention(device: &Device) {
    let (n, d, page) = (40, 40, 16);
    for m in [2, 9] {
        let [q, k, v] = [(2 * m, 6), (48, 7), (48, 8)].map(|(rows, seed)| numbers(rows * d, seed));
        let narrow = |x: &[f64]| {
            let x: Vec<bf16> = x.iter().map(|&x| bf16::from_f64(x)).collect();
            Buffer::from_slice(device, &x).unwrap()
        };
        let table = Buffer::from_slice(device, &[2u32, 0, 1]).unwrap();
        let lengths = Buffer::from_slice(device, &[n as u32]).unwrap();
        let sinks = floats(device, &[0.5, -1.0]);
        let a = Attention::new(m, n, d).heads(2).kv_heads(1).causal();
        let [kb, vb] = [&k, &v].map(|x| narrow(x));
        let [kv, vv] = [&kb, &vb].map(|x| View::of(x, [3, page, 1, d]));
        let (mut out, mut lse) = (output(device, 2 * m * d), output(device, 2 * m));
        let attention = FlashAttention::new(a).paged(&table, &lengths).sinks(&sinks).lse(&mut lse);
        attention.run(&narrow(&q), kv, vv, &mut out).unwrap();
        let order = |x: &[f64]| {
            let rows = (0..n).map(|j| [2, 0, 1][j / page] * page + j % page);
            rows.flat_map(|row| x[row * d..(row + 1) * d].to_vec()).collect::<Vec<f64>>()
        };
        let sinks = Some(&[0.5, -1.0][..]);
        let same = |score, _, _, _| score;
        let (expected, sums) =
            reference::attention_with_sinks(&a, same, sinks, &q, &order(&k), &order(&v));
        // Values are at most 1.75. Where pairs are multiplied, and by `wgmma`, weights are rounded to bf16; there a
        // quarter of the exponentials are polynomials, besides, with errors of 1.1e-4.
        let in_pairs = *device.target() == Target::Cpu && device.limits().has_dot2;
        let hopper = *device.target() == Target::sm(90, true);
        let tolerance = if in_pairs || hopper { 1.75 / 256.0 } else { 0.0 } + 1e-5;
        close("attention in pages", &out, &expected, tolerance);
        close("its sums", &lse, &sums, if hopper { 1.2e-4 } else { 1e-5 });
    }
}

/// Two sequences, one after another.
fn run_packed_attention(device: &Device) {
    let (d, ends) = (32, [0usize, 7, 20]);
    let [q, k, v] = [6, 7, 8].map(|seed| numbers(20 * d, seed));
    let a = Attention::new(13, 13, d).batch(2).causal();
    let cumulative = Buffer::from_slice(device, &ends.map(|x| x as u32)).unwrap();
    let mut out = output(device, 20 * d);
    let [x, y, z] = [&q, &k, &v].map(|x| floats(device, x));
    FlashAttention::new(a).packed(&cumulative, &cumulative).run(&x, &y, &z, &mut out).unwrap();
    let same = |score, _, _, _| score;
    let (expected, _) = reference::attention_packed(&a, same, None, (&ends, &ends), &q, &k, &v);
    close("packed attention", &out, &expected, 1e-5);
}

fn run_quantized(device: &Device) {
    let (n, k) = (40, 256);
    for format in Format::ALL {
        let weights: Vec<f32> = numbers(n * k, 16).iter().map(|&x| x as f32).collect();
        let w = QuantizedMatrix::quantize(device, format, [n, k], &weights).unwrap();
        for m in [1, 7] {
            // Whole numbers up to 127 are quantised exactly.
            let x: Vec<f64> = (0..m * k).map(|i| (i * 37 % 255) as f64 - 127.0).collect();
            let x: Vec<f64> = x.chunks(32).flat_map(|x| [&[127.0], &x[1..]].concat()).collect();
            let mut y = output(device, m * n);
            quantized_matmul(m, &floats(device, &x), &w, &mut y).unwrap();
            let weights = w.dequantize().unwrap();
            let by_columns: Vec<f64> = (0..k * n).map(|i| weights[i % n * k + i / n]).collect();
            let expected = reference::matmul(m, n, k, &x, &by_columns);
            // Hopper's tensor cores take weights as bf16, of which scales are rounded before.
            let sizes = [&x, &by_columns].map(|x| x.iter().map(|x| x.abs()).collect::<Vec<f64>>());
            let sizes = reference::matmul(m, n, k, &sizes[0], &sizes[1]);
            let most = sizes.into_iter().fold(0.0, f64::max);
            let simple = matches!(format, Format::Q4_0 | Format::Q8_0);
            let rounded = simple && *device.target() == Target::sm(90, true);
            close("quantized_matmul", &y, &expected, if rounded { most / 120.0 } else { 0.05 });
        }
    }
}

/// Few queries, of sequences of one length and of others.
fn run_few_queries(device: &Device) {
    run_paged_attention(device);
    run_packed_attention(device);
}

type Run = fn(&Device);

/// How each kernel of the catalog is run. A new one has no entry, and the test says so.
const RUNS: &[(&str, Run)] = &[
    ("saxpy", run_saxpy),
    ("softmax", run_softmax),
    ("rms_norm", run_rms_norm),
    ("layer_norm", run_layer_norm),
    ("rms_norm_backward", run_norms_backward),
    ("layer_norm_backward", run_norms_backward),
    ("softmax_backward", run_norms_backward),
    ("matmul_f32", run_matmul_f32),
    ("matmul_bf16", run_matmul_bf16),
    ("matmul_i8", run_matmul_i8),
    ("flash_attention", run_flash_attention),
    ("flash_attention_bf16", run_paged_attention),
    ("attention_backward", run_attention_backward),
    ("attention_delta", run_attention_backward),
    ("sink_gradients", run_sink_gradients),
    ("sum_parts", run_attention_backward),
    ("attention_parts", run_few_queries),
    ("combine_parts", run_paged_attention),
    ("quantize_rows", run_quantized),
    ("gemv_q8_0", run_quantized),
    ("gemv_q4_k", run_quantized),
    ("gemm_q6_k", run_quantized),
];

/// Kernels that the tests of `rowwise` interpret, on the same targets.
const ELSEWHERE: &[&str] = &[
    "swiglu",
    "reduce_rows",
    "reduce_columns",
    "extreme_rows",
    "extreme_columns",
    "scan_rows",
    "scan_totals",
    "rope",
    "rope_interleaved",
    "embedding",
    "embedding_gradient",
    "cross_entropy",
    "cross_entropy_gradient",
    "adam",
    "top_k",
    "sample",
];

#[test]
fn nothing_is_wrong_in_the_library() {
    for entry in catalog::KERNELS.iter().filter(|entry| !ELSEWHERE.contains(&entry.name)) {
        let run = RUNS.iter().find(|(name, _)| *name == entry.name);
        let (_, run) = run.unwrap_or_else(|| panic!("`{}` is not interpreted", entry.name));
        for target in ["sm_90a", "gfx942", "cpu"] {
            let target: Target = target.parse().unwrap();
            run(&Device::interpreter_for(target));
        }
    }
}
