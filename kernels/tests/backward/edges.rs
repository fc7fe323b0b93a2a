//! What is at the edges: nothing seen, NaN, wrong arguments, the interpreter.

use kernelsmith::Target;
use kernelsmith::prelude::*;
use kernelsmith_kernels::attention::{
    Attention, FlashAttention, FlashAttentionBackward, Forward, Gradients, flash_attention_backward,
};
use kernelsmith_kernels::reference;

use crate::case::{Case, Inputs, backward, check, forward, wide};

fn plain(a: Attention) -> Case {
    Case { a, biased: false }
}

#[test]
fn who_sees_nothing_has_no_gradient() {
    // The first 50 queries see no key.
    let (m, n, d) = (120, 70, 32);
    let case = plain(Attention::new(m, n, d).causal());
    let inputs = Inputs::<f32, f32>::random(&case, 1);
    let (out, lse) = forward(&case, &inputs);
    assert_eq!(lse[49], f32::NEG_INFINITY);
    assert!(lse[50].is_finite());
    let [dq, _, _] = backward(&Device::cpu(), &case, &inputs, &out, &lse).unwrap();
    assert!(dq[..50 * d].iter().all(|&x| x == 0.0));
    // One key has all the weight, whatever its score.
    assert!(dq[50 * d..51 * d].iter().all(|&x| x.abs() < 1e-5));
    assert!(dq[51 * d..].iter().all(|&x| x != 0.0));
    // Keys that no query sees: each of two queries sees one of 90.
    let case = plain(Attention::new(2, 90, d).causal().window(1));
    let inputs = Inputs::<f32, f32>::random(&case, 2);
    let (out, lse) = forward(&case, &inputs);
    let [_, dk, dv] = backward(&Device::cpu(), &case, &inputs, &out, &lse).unwrap();
    assert!(dk[..88 * d].iter().chain(&dv[..88 * d]).all(|&x| x == 0.0));
    assert!(dv[88 * d..].iter().zip(&inputs.d_out).all(|(dv, d_out)| (dv - d_out).abs() < 1e-5));
}

#[test]
fn no_queries_and_no_keys_give_zeros() {
    for (m, n) in [(0, 40), (40, 0), (0, 0)] {
        let case = plain(Attention::new(m, n, 64).heads(2));
        let inputs = Inputs::<f32, f32>::random(&case, 1);
        let (out, lse) = forward(&case, &inputs);
        let found = backward(&Device::cpu(), &case, &inputs, &out, &lse).unwrap();
        assert_eq!(found.each_ref().map(Vec::len), [m, n, n].map(|rows| 2 * 64 * rows));
        assert!(found.iter().flatten().all(|&x| x == 0.0));
    }
}

/// Keys whose scores are all `-inf` leave an output of zeros and the logarithm `-inf`.
#[test]
fn weights_of_minus_infinity_are_zero() {
    let case = plain(Attention::new(3, 20, 32));
    let inputs = Inputs::<f32, f32>::random(&case, 3);
    let zeros = backward(
        &Device::cpu(),
        &case,
        &inputs,
        &vec![0.0; inputs.q.len()],
        &[f32::NEG_INFINITY; 3],
    );
    assert!(zeros.unwrap().iter().flatten().all(|&x| x == 0.0));
}

/// The forward pass' own output and logarithms are what the backward pass takes.
#[test]
fn gradients_follow_the_forward_pass() {
    let device = Device::cpu();
    for a in [
        Attention::new(150, 150, 64).heads(4).kv_heads(2).causal(),
        Attention::new(3, 400, 64).heads(2).causal().window(100).soft_cap(3.0),
    ] {
        let case = plain(a);
        let inputs = Inputs::<f32, f32>::random(&case, 8);
        let [q, k, v] =
            [&inputs.q, &inputs.k, &inputs.v].map(|x| Buffer::from_slice(&device, x).unwrap());
        let mut out = Buffer::zeros(&device, inputs.q.len()).unwrap();
        let mut lse = Buffer::zeros(&device, case.queries()).unwrap();
        FlashAttention::new(a).lse(&mut lse).run(&q, &k, &v, &mut out).unwrap();
        let (out, lse) = (out.to_vec().unwrap(), lse.to_vec().unwrap());
        let found = backward(&device, &case, &inputs, &out, &lse).unwrap();
        let [q, k, v, d_out] = [&inputs.q, &inputs.k, &inputs.v, &inputs.d_out].map(|x| wide(x));
        let expected = reference::attention_backward(&a, |_, _, _| 0.0, &q, &k, &v, &d_out);
        for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
            assert!((f64::from(*found) - expected).abs() < 1e-4, "{found}, not {expected}");
        }
    }
}

/// A sink takes its share of the weights through the logarithms: gradients by differences of the forward pass.
#[test]
fn sinks_come_with_the_logarithms() {
    let case = plain(Attention::new(5, 9, 32).heads(2).causal());
    let inputs = Inputs::<f32, f32>::random(&case, 12);
    let [q, k, v, d_out] = [&inputs.q, &inputs.k, &inputs.v, &inputs.d_out].map(|x| wide(x));
    let sinks = [0.5, -0.25];
    let forward = |q: &[f64], k: &[f64], v: &[f64]| {
        reference::attention_with_sinks(&case.a, |s, _, _, _| s, Some(&sinks), q, k, v)
    };
    let (out, lse) = forward(&q, &k, &v);
    let narrow = |x: Vec<f64>| x.into_iter().map(|x| x as f32).collect::<Vec<_>>();
    let found = backward(&Device::cpu(), &case, &inputs, &narrow(out), &narrow(lse)).unwrap();
    let inputs = [q, k, v];
    for (which, found) in found.iter().enumerate() {
        for (at, &found) in found.iter().enumerate() {
            let loss = |step: f64| -> f64 {
                let mut inputs = inputs.clone();
                inputs[which][at] += step;
                let (out, _) = forward(&inputs[0], &inputs[1], &inputs[2]);
                out.iter().zip(&d_out).map(|(out, d_out)| out * d_out).sum()
            };
            let slope = (loss(1e-4) - loss(-1e-4)) / 2e-4;
            assert!((slope - f64::from(found)).abs() < 1e-5, "{which}, {at}: {found}, not {slope}");
        }
    }
}

/// The gradients by the sinks against f64 and against differences of the forward pass.
#[test]
fn sinks_have_gradients_of_their_own() {
    let grouped = Attention::new(70, 50, 32).batch(2).heads(4).kv_heads(2).causal();
    for a in [grouped, Attention::new(1, 9, 64).heads(3), grouped.soft_cap(2.0), grouped.batch(0)] {
        let case = plain(a);
        let inputs = Inputs::<f32, f32>::random(&case, 13);
        let [q, k, v, d_out] = [&inputs.q, &inputs.k, &inputs.v, &inputs.d_out].map(|x| wide(x));
        let sinks: Vec<f64> = (0..a.heads).map(|h| h as f64 * 0.75 - 1.0).collect();
        let forward = |sinks: &[f64]| {
            reference::attention_with_sinks(&a, |s, _, _, _| s, Some(sinks), &q, &k, &v)
        };
        let (out, lse) = forward(&sinks);
        let found = gradients_by_sinks(&case, &inputs, &sinks, &out, &lse);
        for (head, &found) in found.iter().enumerate() {
            let (mut sum, mut size, d, m) = (0.0, 0.0, a.dimension, a.queries);
            for row in (0..lse.len()).filter(|row| row / m % a.heads == head) {
                let weight = (sinks[head] - lse[row]).exp();
                let products = (row * d..(row + 1) * d).map(|at| out[at] * d_out[at]);
                sum -= weight * products.clone().sum::<f64>();
                size += weight * products.map(f64::abs).sum::<f64>();
            }
            // Roundings of sums of d products and of all rows, and of a logarithm of a few units.
            let allowed = f64::from(f32::EPSILON) * (d + lse.len() + 16) as f64 * size;
            let found = f64::from(found);
            assert!((found - sum).abs() <= allowed, "{a:?}, {head}: {found}, not {sum}");
            let loss = |step: f64| -> f64 {
                let mut sinks = sinks.clone();
                sinks[head] += step;
                forward(&sinks).0.iter().zip(&d_out).map(|(out, d_out)| out * d_out).sum()
            };
            let slope = (loss(1e-4) - loss(-1e-4)) / 2e-4;
            assert!((slope - sum).abs() < 1e-6 * (1.0 + size), "{a:?}, {head}: {sum}, not {slope}");
        }
    }
}

fn gradients_by_sinks(
    case: &Case,
    inputs: &Inputs<f32, f32>,
    sinks: &[f64],
    out: &[f64],
    lse: &[f64],
) -> Vec<f32> {
    let device = Device::cpu();
    let buffer = |x: &[f32]| Buffer::from_slice(&device, x).unwrap();
    let narrow = |x: &[f64]| buffer(&x.iter().map(|&x| x as f32).collect::<Vec<_>>());
    let poisoned = |len: usize| buffer(&vec![f32::NAN; len]);
    let [q, k, v, d_out] = [&inputs.q, &inputs.k, &inputs.v, &inputs.d_out].map(|x| buffer(x));
    let [mut dq, mut dk, mut dv] = [q.len(), k.len(), v.len()].map(poisoned);
    let (out, lse, sinks, mut d_sinks) =
        (narrow(out), narrow(lse), narrow(sinks), poisoned(case.a.heads));
    let forward = Forward { q: &q, k: &k, v: &v, out: &out, lse: &lse };
    let gradients = Gradients { dq: &mut dq, dk: &mut dk, dv: &mut dv };
    let pass = FlashAttentionBackward::new(case.a).sinks(&sinks, &mut d_sinks);
    pass.run(forward, &d_out, gradients).unwrap();
    // The other gradients are those without asking.
    let expected = backward(&device, case, inputs, &out.to_vec().unwrap(), &lse.to_vec().unwrap());
    let found = [dq, dk, dv].map(|x| x.to_vec().unwrap());
    assert_eq!(found, expected.unwrap());
    d_sinks.to_vec().unwrap()
}

#[test]
fn nan_reaches_what_depends_on_it() {
    let (m, n, d) = (100, 100, 32);
    let case = plain(Attention::new(m, n, d).heads(2).causal());
    let row = 60;
    for which in ["q", "k", "v", "d_out"] {
        let mut inputs = Inputs::<f32, f32>::random(&case, 4);
        let at = row * d + 3;
        match which {
            "q" => inputs.q[at] = f32::NAN,
            "k" => inputs.k[at] = f32::NAN,
            "v" => inputs.v[at] = f32::NAN,
            _ => inputs.d_out[at] = f32::NAN,
        }
        let (out, lse) = forward(&case, &inputs);
        let [dq, dk, dv] = backward(&Device::cpu(), &case, &inputs, &out, &lse).unwrap();
        let nan = |x: &[f32], row: usize| x[row * d..(row + 1) * d].iter().all(|x| x.is_nan());
        let any = |x: &[f32], row: usize| x[row * d..(row + 1) * d].iter().any(|x| x.is_nan());
        // Queries from a key on, and keys up to a query.
        let (queries, keys) = match which {
            "q" | "d_out" => (row..row + 1, 0..row + 1),
            _ => (row..m, 0..n),
        };
        assert!(queries.clone().all(|i| nan(&dq, i)), "dq by {which}");
        assert!(keys.clone().all(|j| nan(&dk, j)), "dk by {which}");
        // dV depends on no V, and on a column of dO by that column.
        match which {
            "q" | "k" => assert!(keys.clone().all(|j| nan(&dv, j)), "dv by {which}"),
            "d_out" => assert!(keys.clone().all(|j| any(&dv, j)), "dv by {which}"),
            _ => assert!(dv.iter().all(|x| x.is_finite()), "dv by {which}"),
        }
        // The other head has nothing to do with it, nor have queries far from it.
        let head = |x: &[f32]| x[x.len() / 2..].iter().all(|x| x.is_finite());
        assert!(head(&dq) && head(&dk) && head(&dv), "{which}");
        assert!(dq[..40 * d].iter().all(|x| x.is_finite()), "{which}");
    }
}

#[test]
fn results_are_the_same_bits_from_run_to_run() {
    let case = plain(Attention::new(300, 500, 64).heads(2).kv_heads(1).causal());
    let inputs = Inputs::<f32, f32>::random(&case, 5);
    let (out, lse) = forward(&case, &inputs);
    let run = || {
        let found = backward(&Device::cpu(), &case, &inputs, &out, &lse).unwrap();
        found.map(|x| x.into_iter().map(f32::to_bits).collect::<Vec<_>>())
    };
    let first = run();
    for _ in 0..4 {
        assert_eq!(run(), first);
    }
}

#[test]
fn wrong_lengths_name_argument_and_rule() {
    let device = Device::cpu();
    let a = Attention::new(2, 3, 32).heads(4).kv_heads(2);
    let buffer = |len: usize| Buffer::<f32>::zeros(&device, len).unwrap();
    let (queries, keys, rows) = (4 * 2 * 32, 2 * 3 * 32, 4 * 2);
    let lens = [queries, keys, keys, queries, rows, queries, queries, keys, keys];
    for (at, name) in
        ["q", "k", "v", "out", "lse", "d_out", "dq", "dk", "dv"].into_iter().enumerate()
    {
        let mut lens = lens;
        lens[at] += 1;
        let [q, k, v, out, lse, d_out, mut dq, mut dk, mut dv] = lens.map(buffer);
        let forward = Forward { q: &q, k: &k, v: &v, out: &out, lse: &lse };
        let gradients = Gradients { dq: &mut dq, dk: &mut dk, dv: &mut dv };
        let error = flash_attention_backward(a, forward, &d_out, gradients).unwrap_err();
        let told = format!("`{name}` has {} elements, but it must have batch * ", lens[at]);
        assert!(error.to_string().starts_with(&told), "{error}");
    }
    let [q, k, v, out, lse, d_out, mut dq, mut dk, mut dv] = lens.map(buffer);
    let forward = Forward { q: &q, k: &k, v: &v, out: &out, lse: &lse };
    let gradients = Gradients { dq: &mut dq, dk: &mut dk, dv: &mut dv };
    let error = flash_attention_backward(a.kv_heads(3), forward, &d_out, gradients).unwrap_err();
    assert!(error.to_string().starts_with("`kv_heads` has the value 3"), "{error}");
}

/// Nothing raced for, read before it was written, or out of bounds, with the tiles of each kind of target.
#[test]
fn the_interpreter_finds_nothing() {
    for target in ["cpu", "sm_90a", "gfx942"] {
        let target: Target = target.parse().unwrap();
        let device = Device::interpreter_for(target);
        let a = Attention::new(14, 37, 32);
        let grouped = a.heads(2).kv_heads(1).causal().window(9).soft_cap(2.0);
        check::<f32, f32>(&device, &Case { a: grouped, biased: true }, 7).unwrap();
        check::<bf16, bf16>(&device, &plain(a), 8).unwrap();
        check::<f32, f32>(&device, &plain(Attention::new(5, 9, 128)), 9).unwrap();
    }
}
