//! The kernels of Hopper, with TMA copies, `wgmma` and roles by warpgroup.

use kernelsmith::bf16;
use kernelsmith::prelude::*;
use kernelsmith_kernels::attention::Attention;
use kernelsmith_kernels::attention::hopper::attention_forward;
use kernelsmith_kernels::matmul::hopper::Order::{self, AcrossK, AlongK};
use kernelsmith_kernels::matmul::hopper::matmul_cooperative;
use kernelsmith_kernels::reference;

use super::numbers;

fn small(device: &Device, x: &[f64]) -> Buffer<bf16> {
    let x: Vec<bf16> = x.iter().map(|&x| bf16::from_f64(x)).collect();
    Buffer::from_slice(device, &x).unwrap()
}

/// Waits, and compares with what `bf16` can hold of it.
fn close(name: &str, found: &Buffer<bf16>, expected: &[f64], tolerance: f64) {
    found.device().synchronize().unwrap_or_else(|finding| panic!("{name}: {finding}"));
    let found = found.to_vec().unwrap();
    assert_eq!(found.len(), expected.len());
    for (i, (found, &expected)) in found.iter().zip(expected).enumerate() {
        let error = (found.to_f64() - expected).abs();
        let allowed = tolerance + expected.abs() / 256.0;
        assert!(error <= allowed, "{name}, element {i}: {found}, not {expected}");
    }
}

fn turned(x: &[f64], columns: usize) -> Vec<f64> {
    (0..x.len()).map(|i| x[i % (x.len() / columns) * columns + i / (x.len() / columns)]).collect()
}

fn run_matmul(device: &Device, a_order: Order, b_order: Order) {
    let (m, n, k) = (200, 152, 136);
    let (a, b) = (numbers(m * k, 4), numbers(k * n, 5));
    let expected = reference::matmul(m, n, k, &a, &b);
    let a_data = if a_order.is_along_k() { a } else { turned(&a, k) };
    let b_data = if b_order.is_along_k() { turned(&b, n) } else { b };
    let (a, b) = (small(device, &a_data), small(device, &b_data));
    let a_shape = if a_order.is_along_k() { [m, k] } else { [k, m] };
    let b_shape = if b_order.is_along_k() { [n, k] } else { [k, n] };
    // SAFETY: the kernel writes every element.
    let mut c = unsafe { Buffer::<bf16>::uninit(device, m * n).unwrap() };
    let (a, b) = (View::of(&a, a_shape), View::of(&b, b_shape));
    let view = View::of_mut(&mut c, [m, n]);
    let launch = matmul_cooperative::<bf16, 128, 2, _>(a_order, b_order, |x| x, a, b, view);
    launch.grid(3).launch(device).unwrap();
    close("matmul_cooperative", &c, &expected, 0.0);
}

fn run_attention(device: &Device, m: usize, n: usize, causal: bool) {
    const D: usize = 64;
    let (heads, group) = (2, 2);
    let attention = Attention::new(m, n, D).heads(heads).kv_heads(heads / group);
    let attention = if causal { attention.causal() } else { attention };
    let lens = [(heads * m * D, 6), (heads / group * n * D, 7), (heads / group * n * D, 8)];
    let [q, k, v] = lens.map(|(len, seed)| numbers(len, seed));
    let expected = reference::attention(&attention, &q, &k, &v);
    let [q, k, v] = [&q, &k, &v].map(|x| small(device, x));
    // SAFETY: the kernel writes every element.
    let mut o = unsafe { Buffer::<bf16>::uninit(device, heads * m * D).unwrap() };
    let scale_log2 = std::f32::consts::LOG2_E / (D as f32).sqrt();
    let keys = [heads / group, n, D];
    let launch = attention_forward::<bf16, D, 128, 2>(
        scale_log2,
        group,
        causal,
        View::of(&q, [heads, m, D]),
        View::of(&k, keys),
        View::of(&v, keys),
        View::of_mut(&mut o, [heads, m, D]),
    );
    launch.grid([m.div_ceil(128), heads]).launch(device).unwrap();
    close("attention_forward", &o, &expected, 0.02);
}

#[test]
fn nothing_is_wrong_in_matmuls() {
    let device = Device::interpreter_for("sm_90a".parse().unwrap());
    for (a, b) in [(AlongK, AlongK), (AcrossK, AcrossK), (AlongK, AcrossK)] {
        run_matmul(&device, a, b);
    }
}

#[test]
fn nothing_is_wrong_in_attention() {
    let device = Device::interpreter_for("sm_90a".parse().unwrap());
    run_attention(&device, 130, 300, true);
    run_attention(&device, 64, 200, false);
}
