//! Layouts, element types, dimensions and sinks.

use kernelsmith::prelude::*;
use kernelsmith_kernels::attention::{
    Attention, AttentionElement, FlashAttention, HEAD_DIMENSIONS,
};
use kernelsmith_kernels::matmul::Output;
use kernelsmith_kernels::reference;
use proptest::prelude::*;

use crate::common::*;
use crate::helpers::*;

/// `batch x rows x heads x d` of `batch x heads x rows x d`.
fn rows_first<T: Copy>(x: &[T], [batch, heads, rows, d]: [usize; 4]) -> Vec<T> {
    let mut out = Vec::with_capacity(x.len());
    for s in 0..batch {
        for row in 0..rows {
            for head in 0..heads {
                out.extend_from_slice(&x[((s * heads + head) * rows + row) * d..][..d]);
            }
        }
    }
    out
}

proptest! {
    #[test]
    fn layouts_do_not_matter(
        m in prop_oneof![1usize..5, 5usize..60],
        n in 1usize..150,
        (batch, kv_heads, group) in (1usize..3, 1usize..3, 1usize..3),
        seed in any::<u64>(),
    ) {
        let d = 48;
        let heads = kv_heads * group;
        let a = Attention::new(m, n, d).batch(batch).heads(heads).kv_heads(kv_heads).causal();
        let (own, keys) = ([batch, heads, m, d], [batch, kv_heads, n, d]);
        let qs = values(batch * heads * m * d, 1.0, seed);
        let [ks, vs] = [1, 2].map(|i| values(batch * kv_heads * n * d, 1.0, seed ^ i));
        let [q, k, v] = [&qs, &ks, &vs].map(|x| buffer(x));
        let mut out = poisoned(qs.len());
        FlashAttention::new(a).run(&q, &k, &v, &mut out).unwrap();
        let expected = rows_first(&out.to_vec().unwrap(), own);

        let turned = |x: &[f32], shape| buffer(&rows_first(x, shape));
        let (q, k, v) = (turned(&qs, own), turned(&ks, keys), turned(&vs, keys));
        let view = |x, [batch, heads, rows, d]: [usize; 4]| {
            View::of(x, [batch, rows, heads, d]).permuted([0, 2, 1, 3]).unwrap()
        };
        let mut out = poisoned(qs.len());
        let to = View::of_mut(&mut out, [batch, m, heads, d]).permuted([0, 2, 1, 3]).unwrap();
        FlashAttention::new(a).run(view(&q, own), view(&k, keys), view(&v, keys), to).unwrap();
        prop_assert_eq!(&out.to_vec().unwrap(), &expected);

        // Columns apart from each other.
        let apart = |x: &[f32]| buffer(&x.iter().flat_map(|&x| [x, f32::NAN]).collect::<Vec<_>>());
        let (k, v) = (apart(&ks), apart(&vs));
        let strides = [2 * kv_heads * n * d, 2 * n * d, 2 * d, 2];
        let [k, v] = [&k, &v].map(|x| View::of(x, keys).strides(strides));
        let mut out = poisoned(qs.len());
        let to = View::of_mut(&mut out, [batch, m, heads, d]).permuted([0, 2, 1, 3]).unwrap();
        FlashAttention::new(a).run(view(&q, own), k, v, to).unwrap();
        prop_assert_eq!(&out.to_vec().unwrap(), &expected);
    }

    #[test]
    fn sinks_join_the_sums_alone(
        m in prop_oneof![1usize..5, 5usize..60],
        n in 0usize..200,
        heads in 1usize..4,
        scale in 0.1f32..30.0,
        seed in any::<u64>(),
    ) {
        let d = 32;
        let a = Attention::new(m, n, d).batch(2).heads(heads).causal();
        let qs = values(2 * heads * m * d, 1.0, seed);
        let [ks, vs] = [1, 2].map(|i| values(2 * heads * n * d, 1.0, seed ^ i));
        let sinks = values(heads, scale, seed ^ 3);
        let [q, k, v] = [&qs, &ks, &vs].map(|x| buffer(x));
        let sink = buffer(&sinks);
        let (mut out, mut lse) = (poisoned(qs.len()), poisoned(2 * heads * m));
        FlashAttention::new(a).sinks(&sink).lse(&mut lse).run(&q, &k, &v, &mut out).unwrap();
        let [qs, ks, vs, sinks] = [wide(&qs), wide(&ks), wide(&vs), wide(&sinks)];
        let (expected, expected_lse) =
            reference::attention_with_sinks(&a, |s, _, _, _| s, Some(&sinks), &qs, &ks, &vs);
        assert_close(&out.to_vec().unwrap(), &expected, 1e-5)?;
        assert_close(&lse.to_vec().unwrap(), &expected_lse, 1e-5)?;
    }
}

/// Where the CPU multiplies pairs, weights are rounded to bf16: each is off by one in 256 at most, and so is
/// the sum of values by weight, of their magnitudes. Scores are of exact products, as those of f32.
fn assert_close_in_pairs(
    found: &[f32],
    expected: &[f64],
    magnitudes: &[f64],
) -> Result<(), TestCaseError> {
    for (i, found) in found.iter().enumerate() {
        let (expected, allowed) = (expected[i], magnitudes[i] / 256.0 + 1e-5);
        let close = (f64::from(*found) - expected).abs() <= allowed;
        prop_assert!(close, "element {}: {} against {}", i, found, expected);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Odd numbers of keys, windows that begin in the middle of a pair, heads in turns, lengths, functions.
    #[test]
    fn bf16_match(
        (m, n) in (5usize..80, 0usize..230),
        (batch, kv_heads, group) in (1usize..3, 1usize..3, 1usize..3),
        (window, cap, options) in (1usize..120, 0.5f32..20.0, 0usize..32),
        seed in any::<u64>(),
    ) {
        let (d, heads) = (40, kv_heads * group);
        let mut a = Attention::new(m, n, d).batch(batch).heads(heads).kv_heads(kv_heads).scale(0.3);
        if options & 1 != 0 {
            a = a.causal().window(window);
        }
        if options & 2 != 0 {
            a = a.soft_cap(cap);
        }
        let narrow = |len, seed| -> Vec<bf16> {
            values(len, 1.0, seed).into_iter().map(bf16::from_f32).collect()
        };
        let (own, keys) = ([batch, heads, m, d], [batch, kv_heads, n, d]);
        let qs = narrow(own.iter().product(), seed);
        let [ks, vs] = [1, 2].map(|i| narrow(keys.iter().product(), seed ^ i));
        let exact = |x: &[bf16]| x.iter().map(|x| x.to_f64()).collect::<Vec<f64>>();
        let (q64, k64, v64) = (exact(&qs), exact(&ks), exact(&vs));
        let sizes: Vec<f64> = v64.iter().map(|x| x.abs()).collect();
        let (mut out, mut lse) = (poisoned(qs.len()), poisoned(batch * heads * m));
        let (q, k, v) = (buffer(&qs), buffer(&ks), buffer(&vs));
        let reference = |v: &[f64]| match options & 4 != 0 {
            true => reference::attention_and_lse(&a, by_distance_f64, &q64, &k64, v),
            false => reference::attention_and_lse(&a, |s, _, _, _| s, &q64, &k64, v),
        };
        let ((expected, expected_lse), (magnitudes, _)) = (reference(&v64), reference(&sizes));
        match options & 4 != 0 {
            true => {
                let pass = FlashAttention::new(a).score(by_distance).lse(&mut lse);
                pass.run(&q, &k, &v, &mut out).unwrap();
            }
            false => FlashAttention::new(a).lse(&mut lse).run(&q, &k, &v, &mut out).unwrap(),
        }
        let found = out.to_vec().unwrap();
        assert_close_in_pairs(&found, &expected, &magnitudes)?;
        assert_close(&lse.to_vec().unwrap(), &expected_lse, 1e-4)?;

        // Heads in turns, and keys that begin between two words or at one.
        let begin = if options & 16 == 0 { 1 } else { 2 };
        let mut shifted = vec![bf16::NAN; begin];
        shifted.extend(if options & 8 == 0 { ks } else { rows_first(&ks, keys) });
        let shifted = buffer(&shifted);
        let k = match options & 8 == 0 {
            true => View::of(shifted.slice(begin..).unwrap(), keys),
            false => View::of(shifted.slice(begin..).unwrap(), [batch, n, kv_heads, d])
                .permuted([0, 2, 1, 3])
                .unwrap(),
        };
        let (mut out, v) = (poisoned(qs.len()), View::of(&v, keys));
        let q = View::of(&q, own);
        match options & 4 != 0 {
            true => {
                let pass = FlashAttention::new(a).score(by_distance).lse(&mut lse);
                pass.run(q, k, v, &mut out).unwrap();
            }
            false => FlashAttention::new(a).lse(&mut lse).run(q, k, v, &mut out).unwrap(),
        }
        let again = out.to_vec().unwrap();
        assert_close_in_pairs(&again, &expected, &magnitudes)?;
        // Rows have even numbers of columns: those that begin at words consist of them, and the same pairs are
        // multiplied. Others may be taken as single numbers.
        if begin % 2 == 0 {
            prop_assert_eq!(again, found);
        }
    }

    /// Sequences one after another, and lengths of odd numbers of keys: what is not theirs is not read.
    #[test]
    fn bf16_of_several_lengths_match(
        lengths in prop::collection::vec((0usize..60, 0usize..150), 1..4),
        causal: bool,
        seed in any::<u64>(),
    ) {
        let (batch, d) = (lengths.len(), 32);
        let ends = |of: fn(&(usize, usize)) -> usize| {
            let mut ends = vec![0];
            ends.extend(lengths.iter().map(of).scan(0, |end, len| {
                *end += len;
                Some(*end)
            }));
            ends
        };
        let (query_ends, key_ends) = (ends(|x| x.0), ends(|x| x.1));
        let [m, n] = [lengths.iter().map(|x| x.0).max(), lengths.iter().map(|x| x.1).max()];
        let a = Attention::new(m.unwrap().max(5), n.unwrap(), d).batch(batch).heads(2).kv_heads(1);
        let a = if causal { a.causal() } else { a };
        let narrow = |len, seed| -> Vec<bf16> {
            values(len, 1.0, seed).into_iter().map(bf16::from_f32).collect()
        };
        let (tokens, rows) = (query_ends[batch], key_ends[batch]);
        let qs = narrow(tokens * 2 * d, seed);
        let [ks, vs] = [1, 2].map(|i| narrow(rows * d, seed ^ i));
        let (q, k, v) = (buffer(&qs), buffer(&ks), buffer(&vs));
        let of_u32 = |x: &[usize]| buffer(&x.iter().map(|&x| x as u32).collect::<Vec<u32>>());
        let (of_q, of_k) = (of_u32(&query_ends), of_u32(&key_ends));
        let mut out = poisoned(qs.len());
        FlashAttention::new(a).packed(&of_q, &of_k).run(&q, &k, &v, &mut out).unwrap();
        device().synchronize().unwrap();
        let exact = |x: &[bf16]| x.iter().map(|x| x.to_f64()).collect::<Vec<f64>>();
        let (q64, k64, v64) = (exact(&qs), exact(&ks), exact(&vs));
        let sizes: Vec<f64> = v64.iter().map(|x| x.abs()).collect();
        let ends = (&query_ends[..], &key_ends[..]);
        let [expected, magnitudes] = [&v64, &sizes].map(|v| {
            reference::attention_packed(&a, |s, _, _, _| s, None, ends, &q64, &k64, v).0
        });
        assert_close_in_pairs(&out.to_vec().unwrap(), &expected, &magnitudes)?;
    }
}

/// A NaN of a value reaches whoever sees it, also by way of weights that are rounded.
#[test]
fn nan_of_bf16_reaches_the_rows_that_see_it() {
    let (n, d) = (50, 32);
    for which in ["q", "k", "v"] {
        let narrow = |seed| -> Vec<bf16> {
            values(n * d, 1.0, seed).into_iter().map(bf16::from_f32).collect()
        };
        let [mut q, mut k, mut v] = [1, 2, 3].map(narrow);
        let at = (n - 1) * d + 5;
        match which {
            "q" => q[at] = bf16::NAN,
            "k" => k[at] = bf16::from_bits(0xffff),
            _ => v[at] = bf16::INFINITY,
        }
        let mut out = poisoned(n * d);
        let a = Attention::new(n, n, d).causal();
        FlashAttention::new(a).run(&buffer(&q), &buffer(&k), &buffer(&v), &mut out).unwrap();
        let out = out.to_vec().unwrap();
        let last = &out[(n - 1) * d..];
        match which {
            "v" => assert_eq!(last[5], f32::INFINITY),
            _ => assert!(last.iter().all(|x| x.is_nan()), "{which}: {last:?}"),
        }
        if which != "v" {
            assert!(out[..(n - 1) * d].iter().all(|x| x.is_finite()), "{which}");
        }
    }
}

/// Of a type, with outputs of another; `eps` is half a unit of the output's last place.
fn of_types<T: AttentionElement, O: Output<f32>>(
    from: fn(f32) -> T,
    exact: fn(T) -> f64,
    wide_of: fn(O) -> f64,
    eps: f64,
) {
    for (m, n, d) in [(50, 130, 64), (3, 500, 128), (40, 70, 72)] {
        let narrow = |len, seed| values(len, 1.0, seed).into_iter().map(from).collect::<Vec<T>>();
        let a = Attention::new(m, n, d).heads(2).kv_heads(1).causal();
        let (qs, ks, vs) = (narrow(2 * m * d, 1), narrow(n * d, 2), narrow(n * d, 3));
        let [q, k, v] = [&qs, &ks, &vs].map(|x| buffer(x));
        let mut out = Buffer::<O>::zeros(&device(), qs.len()).unwrap();
        FlashAttention::new(a).run(&q, &k, &v, &mut out).unwrap();
        let exact = |x: &[T]| x.iter().map(|&x| exact(x)).collect::<Vec<f64>>();
        let expected = reference::attention(&a, &exact(&qs), &exact(&ks), &exact(&vs));
        for (found, expected) in out.to_vec().unwrap().into_iter().zip(expected) {
            // Weights may be rounded to bf16.
            let (found, allowed) = (wide_of(found), 1.0 / 256.0 + expected.abs() * eps);
            assert!((found - expected).abs() <= allowed, "{m} {n} {d}: {found} {expected}");
        }
    }
}

#[test]
fn elements_of_every_type() {
    of_types::<bf16, bf16>(bf16::from_f32, bf16::to_f64, bf16::to_f64, 1.0 / 256.0);
    of_types::<bf16, f32>(bf16::from_f32, bf16::to_f64, f64::from, 0.0);
    of_types::<f16, f16>(f16::from_f32, f16::to_f64, f16::to_f64, 1.0 / 2048.0);
    of_types::<f16, f32>(f16::from_f32, f16::to_f64, f64::from, 0.0);
    of_types::<f32, bf16>(|x| x, f64::from, bf16::to_f64, 1.0 / 256.0);
}

#[test]
fn every_dimension_matches() {
    // Those up to 256, and some of the others.
    let more = HEAD_DIMENSIONS.into_iter().skip(36).step_by(16);
    for d in HEAD_DIMENSIONS.into_iter().take(29).chain(more) {
        for (m, n) in [(33, 100), (2, 70)] {
            let qs = values(m * d, 1.0, 1);
            let [ks, vs] = [2, 3].map(|seed| values(n * d, 1.0, seed));
            let [q, k, v] = [&qs, &ks, &vs].map(|x| buffer(x));
            let mut out = poisoned(m * d);
            let a = Attention::new(m, n, d).causal();
            FlashAttention::new(a).run(&q, &k, &v, &mut out).unwrap();
            let expected = reference::attention(&a, &wide(&qs), &wide(&ks), &wide(&vs));
            assert_close(&out.to_vec().unwrap(), &expected, 1e-5).unwrap();
        }
    }
}

#[test]
fn results_are_the_same_bits_from_run_to_run() {
    for m in [3, 200] {
        let (n, d) = (900, 64);
        let a = Attention::new(m, n, d).heads(4).kv_heads(2).causal();
        let q = buffer(&values(4 * m * d, 1.0, 1));
        let [k, v] = [2, 3].map(|seed| buffer(&values(2 * n * d, 1.0, seed)));
        let run = || {
            let mut out = poisoned(4 * m * d);
            FlashAttention::new(a).run(&q, &k, &v, &mut out).unwrap();
            out.to_vec().unwrap()
        };
        let first = run();
        for _ in 0..5 {
            assert_eq!(run(), first);
        }
    }
}
