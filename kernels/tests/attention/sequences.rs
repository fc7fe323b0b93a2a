//! Sequences of different lengths: packed, padded, in pages.

use kernelsmith::prelude::*;
use kernelsmith_kernels::attention::{Attention, FlashAttention};
use kernelsmith_kernels::reference;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::common::*;
use crate::helpers::*;

/// From lengths: 0, and where each ends.
fn ends(lengths: &[usize]) -> Vec<usize> {
    let mut ends = vec![0];
    for len in lengths {
        ends.push(ends[ends.len() - 1] + len);
    }
    ends
}

fn words(values: &[usize]) -> Buffer<u32> {
    buffer(&values.iter().map(|&x| x as u32).collect::<Vec<u32>>())
}

/// Sequences that follow each other in their tensors.
#[derive(Clone, Debug)]
struct Packed {
    a: Attention,
    query_ends: Vec<usize>,
    key_ends: Vec<usize>,
}

fn packed() -> impl Strategy<Value = Packed> {
    let lengths = prop_oneof![
        vec((0usize..70, 0usize..150), 1..5),
        // Few queries of each: split over the keys.
        vec((0usize..4, 0usize..700), 1..4),
    ];
    (lengths, 1usize..3, 1usize..4, 0usize..4, 1usize..60).prop_map(
        |(lengths, kv_heads, group, options, window)| {
            let (own, keys): (Vec<_>, Vec<_>) = lengths.into_iter().unzip();
            let [m, n] = [&own, &keys].map(|x| *x.iter().max().unwrap());
            let mut a = Attention::new(m, n, 40).batch(own.len()).scale(0.3);
            a = a.heads(kv_heads * group).kv_heads(kv_heads);
            if options & 1 != 0 {
                a = a.causal();
            }
            if options == 3 {
                a = a.window(window);
            }
            Packed { a, query_ends: ends(&own), key_ends: ends(&keys) }
        },
    )
}

proptest! {
    #[test]
    fn packed_sequences_match(p in packed(), with_sinks: bool, seed in any::<u64>()) {
        let Packed { a, query_ends, key_ends } = p;
        let [tokens, rows] = [&query_ends, &key_ends].map(|x| x[a.batch]);
        let qs = values(tokens * a.heads * a.dimension, 1.0, seed);
        let [ks, vs] = [1, 2].map(|i| values(rows * a.kv_heads * a.dimension, 1.0, seed ^ i));
        let sinks = values(a.heads, 3.0, seed ^ 3);
        let [q, k, v] = [&qs, &ks, &vs].map(|x| buffer(x));
        let (ends_of_q, ends_of_k, sink) = (words(&query_ends), words(&key_ends), buffer(&sinks));
        let (mut out, mut lse) = (poisoned(qs.len()), poisoned(a.heads * tokens));
        let mut attention = FlashAttention::new(a).packed(&ends_of_q, &ends_of_k).lse(&mut lse);
        if with_sinks {
            attention = attention.sinks(&sink);
        }
        attention.score(by_distance).run(&q, &k, &v, &mut out).unwrap();
        device().synchronize().unwrap();
        let sinks = wide(&sinks);
        let sinks = with_sinks.then_some(&sinks[..]);
        let [qs, ks, vs] = [wide(&qs), wide(&ks), wide(&vs)];
        let ends = (&query_ends[..], &key_ends[..]);
        let (expected, expected_lse) =
            reference::attention_packed(&a, by_distance_f64, sinks, ends, &qs, &ks, &vs);
        let allowed = 3e-7 * (100.0 + (a.batch * a.heads * a.keys) as f64 / 16.0);
        assert_close(&out.to_vec().unwrap(), &expected, allowed)?;
        assert_close(&lse.to_vec().unwrap(), &expected_lse, allowed)?;
    }

    #[test]
    fn pages_and_padding_match(
        m in prop_oneof![prop::sample::select(vec![1usize, 3]), 5usize..50],
        lengths in vec(0usize..300, 1..4),
        (kv_heads, group) in (1usize..3, prop::sample::select(vec![1usize, 2, 8])),
        page in prop_oneof![1usize..40, Just(16), Just(64)],
        causal: bool,
        seed in any::<u64>(),
    ) {
        let d = 64;
        let (batch, n) = (lengths.len(), *lengths.iter().max().unwrap());
        let a = Attention::new(m, n, d).batch(batch).heads(kv_heads * group).kv_heads(kv_heads);
        let a = if causal { a.causal() } else { a };
        let qs = values(batch * a.heads * m * d, 1.0, seed);
        // Padding is not read: it may be NaN.
        let padded = |seed| {
            let mut x = values(batch * kv_heads * n * d, 1.0, seed);
            for (at, row) in x.chunks_mut(d).enumerate() {
                if at % n >= lengths[at / n / kv_heads] {
                    row.fill(f32::NAN);
                }
            }
            x
        };
        let (ks, vs) = (padded(seed ^ 1), padded(seed ^ 2));
        let [q, k, v] = [&qs, &ks, &vs].map(|x| buffer(x));
        let len = words(&lengths);
        let mut out = poisoned(qs.len());
        FlashAttention::new(a).key_lengths(&len).run(&q, &k, &v, &mut out).unwrap();
        device().synchronize().unwrap();
        let found = out.to_vec().unwrap();
        for s in 0..batch {
            let mut one = a.batch(1);
            one.keys = lengths[s];
            let own = s * a.heads * m * d..(s + 1) * a.heads * m * d;
            let [k, v] = [&ks, &vs].map(|x| {
                let heads = x[s * kv_heads * n * d..(s + 1) * kv_heads * n * d].chunks((n * d).max(1));
                wide(&heads.flat_map(|x| x[..lengths[s] * d].to_vec()).collect::<Vec<f32>>())
            });
            let expected = reference::attention(&one, &wide(&qs[own.clone()]), &k, &v);
            assert_close(&found[own], &expected, 1e-5)?;
        }

        // The same in pages, dealt out in an order of their own.
        let most = n.div_ceil(page).max(1);
        let pages = batch * most + 1;
        let table: Vec<usize> = (0..batch * most).map(|i| (i * 7 + 3) % pages).collect();
        prop_assume!(pages % 7 != 0);
        let in_pages = |x: &[f32]| {
            let mut to = vec![f32::NAN; pages * page * kv_heads * d];
            for s in 0..batch {
                for h in 0..kv_heads {
                    for j in 0..lengths[s] {
                        let row = table[s * most + j / page] * page + j % page;
                        let from = ((s * kv_heads + h) * n + j) * d;
                        to[(row * kv_heads + h) * d..][..d].copy_from_slice(&x[from..from + d]);
                    }
                }
            }
            buffer(&to)
        };
        let (k, v, table) = (in_pages(&ks), in_pages(&vs), words(&table));
        let [k, v] = [&k, &v].map(|x| View::of(x, [pages, page, kv_heads, d]));
        let mut paged = poisoned(qs.len());
        FlashAttention::new(a).paged(&table, &len).run(&q, k, v, &mut paged).unwrap();
        device().synchronize().unwrap();
        assert_close(&paged.to_vec().unwrap(), &wide(&found), 1e-6)?;
    }
}

/// Failures are those of a device, which the other tests do not share.
fn on<T: Stored>(device: &Device, values: &[T]) -> Buffer<T> {
    Buffer::from_slice(device, values).unwrap()
}

/// All that went wrong: what a kernel did not write since it failed, another one reads.
fn failures(device: &Device) -> String {
    let failures = std::iter::from_fn(|| device.synchronize().err());
    failures.map(|error| error.to_string() + "\n").collect()
}

/// What a run of 5 queries and keys in two sequences with these cumulative lengths fails with.
fn failure(query_ends: &[u32], key_ends: &[u32], most: usize) -> String {
    let device = Device::interpreter();
    let a = Attention::new(most, most, 32).batch(2);
    let x = on(&device, &values(5 * 32, 1.0, 1));
    let mut out = on(&device, &[f32::NAN; 5 * 32]);
    let (query_ends, key_ends) = (on(&device, query_ends), on(&device, key_ends));
    FlashAttention::new(a).packed(&query_ends, &key_ends).run(&x, &x, &x, &mut out).unwrap();
    failures(&device)
}

// One test, as both fail on one device.
#[test]
fn what_lengths_and_pages_break_is_told() {
    wrong_cumulative_lengths_are_told();
    pages_that_are_not_there_are_told();
}

fn wrong_cumulative_lengths_are_told() {
    for most in [3, 8] {
        assert_eq!(failure(&[0, 2, 5], &[0, 2, 5], most), "");
        for ends in [[1, 2, 5], [0, 6, 5], [0, 2, 6], [0, 2, 4], [0, u32::MAX, 5]] {
            for error in [failure(&ends, &[0, 2, 5], most), failure(&[0, 2, 5], &ends, most)] {
                assert!(error.contains("rise from 0 to the 5 rows"), "{ends:?}: {error}");
            }
        }
    }
    let error = failure(&[0, 1, 5], &[0, 1, 5], 3);
    assert!(error.contains("has rows 1..5, more than the 3 that were announced"), "{error}");
}

fn pages_that_are_not_there_are_told() {
    for m in [1, 9] {
        let device = Device::interpreter();
        let a = Attention::new(m, 20, 32);
        let q = on(&device, &values(m * 32, 1.0, 1));
        let pages = on(&device, &values(3 * 8 * 32, 1.0, 2));
        let view = View::of(&pages, [3, 8, 1, 32]);
        let run = |table: &[u32], len: u32| {
            let mut out = on(&device, &vec![f32::NAN; m * 32]);
            let (table, len) = (on(&device, table), on(&device, &[len]));
            FlashAttention::new(a).paged(&table, &len).run(&q, view, view, &mut out).unwrap();
            failures(&device)
        };
        assert_eq!(run(&[2, 0, 1], 20), "");
        let error = run(&[2, 3, 1], 20);
        assert!(error.contains("the index is 3 but the length is 3"), "{error}");
        // A page beyond the length is not looked at.
        assert_eq!(run(&[2, 0, 99], 16), "");
        assert!(!run(&[2, 0, 1], 21).is_empty());
    }
}
