//! Attention by every kind of configuration, and a search for real.

use std::time::Duration;

use kernelsmith::cache::Cache;
use kernelsmith::tune::{Mode, Origin};

use super::*;
use crate::attention::RowsTile;

/// Some numbers around 0, of which none is special.
fn numbers(len: usize, step: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * step + i / 7) % 17) as f32 / 8.0 - 1.0).collect()
}

/// By each configuration, of `T` rounded from the same numbers.
fn by_all<T: Float + AttentionElement>(
    attention: Attention,
    of: impl Fn(f32) -> T,
    configs: &[CpuConfig],
) -> Vec<Vec<f32>> {
    let device = Device::cpu();
    let elements = |len: Option<usize>, step| {
        let numbers: Vec<T> = numbers(len.unwrap(), step).into_iter().map(&of).collect();
        Buffer::from_slice(&device, &numbers).unwrap()
    };
    let q = elements(attention.query_elements(), 5);
    let (k, v) = (elements(attention.key_elements(), 3), elements(attention.key_elements(), 11));
    let mut out = Buffer::from_slice(&device, &vec![f32::NAN; q.len()]).unwrap();
    let mut results = Vec::new();
    for &config in configs {
        out.copy_from(&vec![f32::NAN; q.len()]).unwrap();
        let (q, k, v) = ((&q).into(), (&k).into(), Some((&v).into()));
        let to = (&mut out).into();
        let problem = FlashAttention::new(attention).problem::<T, f32>(q, k, v, to);
        let same = |score, _, _, _| score;
        problem.unwrap().unwrap().on_cpu(config, same).unwrap();
        results.push(out.to_vec().unwrap());
    }
    results
}

#[test]
fn every_configuration_gives_the_same_attention() {
    let causal = Attention::new(75, 301, 40).heads(2).kv_heads(1).causal().window(190);
    let tiles = [(32, 24), (64, 96), (128, 192)].map(|(queries, keys)| RowsTile { queries, keys });
    let mut configs = vec![CpuConfig::Rows(RowsTile::USUAL)];
    configs.extend(tiles.map(CpuConfig::Rows));
    configs.extend([1, 8].map(|blocks| CpuConfig::Parts { blocks }));
    let check = |found: Vec<Vec<f32>>, allowed: f32| {
        for (config, other) in configs.iter().zip(&found) {
            for (i, (a, b)) in other.iter().zip(&found[0]).enumerate() {
                assert!((a - b).abs() <= allowed, "{config:?}, element {i}: {a} and {b}");
            }
        }
    };
    // Values are at most 1: sums of 190 weights and 40 products are off by that many roundings at most.
    check(by_all::<f32>(causal, |x| x, &configs), 230.0 * f32::EPSILON);
    // Weights are rounded to bf16, against another maximum in each tile.
    check(by_all::<bf16>(causal, bf16::from_f32, &configs), 2.0 / 256.0);
}

#[test]
fn a_search_is_kept_for_attentions_of_the_size() {
    let dir = std::env::temp_dir().join(format!("kernelsmith-attention-{}", std::process::id()));
    let (device, cache) = (Device::cpu(), Cache::in_dir(&dir, 1 << 20));
    let limit = Duration::from_secs(1);
    let tuner = || Tuner::new(&device).mode(Mode::Search).cache(&cache).most(3).limit(limit);
    let attention = |keys| Attention::new(9, keys, 32).heads(2);
    let found = tune_attention::<f32>(&device, attention(500), tuner()).unwrap();
    assert_eq!(found.origin, Origin::Search);
    assert!(found.trials.iter().any(|trial| matches!(trial.result, Some(Ok(_)))));
    // Another one of that size, and one that is larger.
    let again = tune_attention::<f32>(&device, attention(512), tuner()).unwrap();
    assert_eq!((again.origin, again.config), (Origin::Record, found.config));
    let other = tune_attention::<f32>(&device, attention(513), tuner().mode(Mode::Cached)).unwrap();
    assert_eq!(other.origin, Origin::First);
    let other = tune_attention::<f16>(&device, attention(500), tuner().mode(Mode::Cached)).unwrap();
    assert_eq!(other.origin, Origin::First);
    for (device, keys, dimension) in
        [(&Device::interpreter(), 1, 32), (&device, 0, 32), (&device, 1, 33)]
    {
        let attention = Attention::new(1, keys, dimension);
        assert!(tune_attention::<f32>(device, attention, tuner()).is_err());
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn tuned_attention_is_attention() {
    let device = Device::cpu();
    let attention = Attention::new(6, 21, 32).heads(2).causal();
    let elements = |len: Option<usize>, step| {
        Buffer::from_slice(&device, &numbers(len.unwrap(), step)).unwrap()
    };
    let q = elements(attention.query_elements(), 5);
    let (k, v) = (elements(attention.key_elements(), 3), elements(attention.key_elements(), 11));
    let [mut out, mut tuned] =
        [(); 2].map(|()| Buffer::from_slice(&device, &vec![f32::NAN; q.len()]).unwrap());
    FlashAttention::new(attention).run(&q, &k, &v, &mut out).unwrap();
    let mut lse = Buffer::<f32>::zeros(&device, 2 * 6).unwrap();
    FlashAttention::new(attention).lse(&mut lse).tuned().run(&q, &k, &v, &mut tuned).unwrap();
    for (a, b) in tuned.to_vec().unwrap().iter().zip(out.to_vec().unwrap()) {
        assert!((a - b).abs() <= 60.0 * f32::EPSILON, "{a} and {b}");
    }
    assert!(lse.to_vec().unwrap().iter().all(|&x| x != 0.0));
}
