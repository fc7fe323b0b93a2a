//! Dense tensors: shapes, heads, masks, caps, functions of scores.

use kernelsmith_kernels::attention::{
    Attention, FlashAttention, flash_attention, flash_attention_scored,
};
use kernelsmith_kernels::reference;
use proptest::prelude::*;

use crate::common::*;
use crate::helpers::*;
use kernelsmith::prelude::View;

proptest! {
    #[test]
    fn many_heads_match(
        (m, n) in prop_oneof![
            (5usize..70, 1usize..230),
            // Few numbers of rows that share keys, each of which is a kernel of its own.
            (prop::sample::select(vec![1usize, 3]), 1usize..1500),
        ],
        (batch, kv_heads, group) in (1usize..3, 1usize..3, prop::sample::select(vec![1usize, 3])),
        window in 1usize..120,
        cap in 0.5f32..20.0,
        options in 0usize..8,
        seed in any::<u64>(),
    ) {
        let (d, heads) = (32, kv_heads * group);
        let mut a = Attention::new(m, n, d).batch(batch).heads(heads).kv_heads(kv_heads).scale(0.3);
        if options & 1 != 0 {
            a = a.causal().window(window);
        }
        if options & 2 != 0 {
            a = a.soft_cap(cap);
        }
        let qs = values(batch * heads * m * d, 1.0, seed);
        let [ks, vs] = [1, 2].map(|i| values(batch * kv_heads * n * d, 1.0, seed ^ i));
        let [q, k, v] = [&qs, &ks, &vs].map(|x| buffer(x));
        let [qs, ks, vs] = [wide(&qs), wide(&ks), wide(&vs)];
        let (mut out, mut lse) = (poisoned(qs.len()), poisoned(batch * heads * m));
        let (expected, expected_lse) = if options & 4 != 0 {
            FlashAttention::new(a).score(by_distance).lse(&mut lse).run(&q, &k, &v, &mut out).unwrap();
            reference::attention_and_lse(&a, by_distance_f64, &qs, &ks, &vs)
        } else {
            FlashAttention::new(a).lse(&mut lse).run(&q, &k, &v, &mut out).unwrap();
            reference::attention_and_lse(&a, |score, _, _, _| score, &qs, &ks, &vs)
        };
        // A score of that size is known to so much, and with it the weights.
        let allowed = 3e-7 * (100.0 + (heads * n) as f64 / 16.0);
        assert_close(&out.to_vec().unwrap(), &expected, allowed)?;
        assert_close(&lse.to_vec().unwrap(), &expected_lse, allowed)?;
        // Asking for less changes nothing.
        let mut alone = poisoned(qs.len());
        match options & 4 != 0 {
            true => flash_attention_scored(a, by_distance, &q, &k, &v, &mut alone).unwrap(),
            false => flash_attention(a, &q, &k, &v, &mut alone).unwrap(),
        }
        prop_assert_eq!(out.to_vec().unwrap(), alone.to_vec().unwrap());
    }

    #[test]
    fn one_head_matches(m in 0usize..150, n in 0usize..150, d in 0usize..3, causal: bool, seed in any::<u64>()) {
        let d = [32, 64, 128][d];
        let qs = values(m * d, 1.0, seed);
        let [ks, vs] = [1, 2].map(|i| values(n * d, 1.0, seed ^ i));
        let [q, k, v] = [&qs, &ks, &vs].map(|x| buffer(x));
        let (mut out, mut lse) = (poisoned(m * d), poisoned(m));
        let a = Attention::new(m, n, d);
        let a = if causal { a.causal() } else { a };
        FlashAttention::new(a).lse(&mut lse).run(&q, &k, &v, &mut out).unwrap();
        let [qs, ks, vs] = [wide(&qs), wide(&ks), wide(&vs)];
        let (expected, expected_lse) =
            reference::attention_and_lse(&a, |score, _, _, _| score, &qs, &ks, &vs);
        assert_close(&out.to_vec().unwrap(), &expected, 1e-5)?;
        assert_close(&lse.to_vec().unwrap(), &expected_lse, 1e-5)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn values_of_other_columns_match(
        (m, n) in prop_oneof![(5usize..40, 1usize..120), (1usize..3, 1usize..400)],
        (d, dv) in prop::sample::select(vec![(192, 128), (40, 64), (64, 32), (576, 512)]),
        (kv_heads, group, causal) in (1usize..3, 1usize..3, any::<bool>()),
        seed in any::<u64>(),
    ) {
        let heads = kv_heads * group;
        let a = Attention::new(m, n, d).value_dimension(dv).heads(heads).kv_heads(kv_heads);
        let a = if causal { a.causal() } else { a };
        let qs = values(heads * m * d, 1.0, seed);
        let (ks, vs) = (values(kv_heads * n * d, 1.0, seed ^ 1), values(kv_heads * n * dv, 1.0, seed ^ 2));
        let [q, k, v] = [&qs, &ks, &vs].map(|x| buffer(x));
        let (mut out, mut lse) = (poisoned(heads * m * dv), poisoned(heads * m));
        FlashAttention::new(a).lse(&mut lse).run(&q, &k, &v, &mut out).unwrap();
        let same = |score, _, _, _| score;
        let [q64, k64, v64] = [&qs, &ks, &vs].map(|x| wide(x));
        let (expected, expected_lse) = reference::attention_and_lse(&a, same, &q64, &k64, &v64);
        assert_close(&out.to_vec().unwrap(), &expected, 1e-5)?;
        assert_close(&lse.to_vec().unwrap(), &expected_lse, 1e-5)?;

        // Values that are the keys' first columns, said and shown.
        if dv <= d {
            let v64: Vec<f64> = k64.chunks(d).flat_map(|key| key[..dv].to_vec()).collect();
            let expected = reference::attention(&a, &q64, &k64, &v64);
            let (mut said, mut shown) = (poisoned(expected.len()), poisoned(expected.len()));
            FlashAttention::new(a).run_latent(&q, &k, &mut said).unwrap();
            let view = View::of(&k, [1, kv_heads, n, dv]).strides([kv_heads * n * d, n * d, d, 1]);
            FlashAttention::new(a).run(&q, &k, view, &mut shown).unwrap();
            assert_close(&said.to_vec().unwrap(), &expected, 1e-5)?;
            prop_assert_eq!(said.to_vec().unwrap(), shown.to_vec().unwrap());
        }
    }
}

#[test]
fn a_query_without_keys_gives_zeros_and_minus_infinity() {
    // More queries than keys: the first see nothing. Few of them, and many.
    for (m, n) in [(3, 1), (40, 8), (5, 0), (2, 0)] {
        let a = Attention::new(m, n, 32).causal();
        let q = buffer(&values(m * 32, 1.0, 1));
        let k = buffer(&values(n * 32, 1.0, 2));
        let (mut out, mut lse) = (poisoned(m * 32), poisoned(m));
        FlashAttention::new(a).lse(&mut lse).run(&q, &k, &k, &mut out).unwrap();
        let (out, lse) = (out.to_vec().unwrap(), lse.to_vec().unwrap());
        assert_eq!(out[..(m - n) * 32], vec![0.0; (m - n) * 32]);
        assert!(lse[..m - n].iter().all(|&x| x == f32::NEG_INFINITY), "{lse:?}");
        assert!(lse[m - n..].iter().all(|x| x.is_finite()), "{lse:?}");
    }
}

#[test]
fn nan_reaches_the_rows_that_see_it() {
    for m in [2, 40] {
        let (n, d) = (50, 32);
        let mut keys = values(n * d, 1.0, 3);
        keys[(n - 1) * d + 5] = f32::NAN;
        let (q, k) = (buffer(&values(m * d, 1.0, 4)), buffer(&keys));
        let v = buffer(&values(n * d, 1.0, 5));
        let (mut out, mut lse) = (poisoned(m * d), poisoned(m));
        let a = Attention::new(m, n, d).causal();
        FlashAttention::new(a).lse(&mut lse).run(&q, &k, &v, &mut out).unwrap();
        let (out, lse) = (out.to_vec().unwrap(), lse.to_vec().unwrap());
        // Only the last query sees the last key.
        assert!(out[..(m - 1) * d].iter().chain(&lse[..m - 1]).all(|x| x.is_finite()));
        assert!(out[(m - 1) * d..].iter().chain(&lse[m - 1..]).all(|x| x.is_nan()), "{lse:?}");
    }
}
