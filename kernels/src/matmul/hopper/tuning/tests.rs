//! A search for real, on the device that runs Hopper's kernels everywhere.

use std::time::Duration;

use kernelsmith::cache::Cache;
use kernelsmith::tune::{Mode, Origin};

use super::super::launch::by_config;
use super::super::work::order;
use super::*;
use crate::matmul::epilogue::function;
use crate::matmul::{Identity, ScaledMatmul, Scales};

/// Small integers, so that sums are exact in every order.
fn numbers(len: usize, step: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * step) % 5) as f32 - 2.0).collect()
}

#[test]
fn a_search_is_kept_for_products_of_the_size() {
    let dir = std::env::temp_dir().join(format!("kernelsmith-hopper-{}", std::process::id()));
    let (device, cache) = (Device::interpreter(), Cache::in_dir(&dir, 1 << 20));
    let (n, k) = (72, 72);
    let narrow = |x: &[f32]| x.iter().map(|&x| bf16::from_f32(x)).collect::<Vec<_>>();
    let (x, y) = (numbers(20 * k, 7), numbers(k * n, 3));
    let a = Buffer::from_slice(&device, &narrow(&x)).unwrap();
    let b = Buffer::from_slice(&device, &narrow(&y)).unwrap();
    let mut c = Buffer::from_slice(&device, &vec![f32::NAN; 20 * n]).unwrap();
    let mut of_rows = |m: usize, mode: Mode| {
        let (a, b) = (View::of(&a, [1, m, k]), View::of(&b, [1, k, n]));
        let factors = (order(a, 2).unwrap(), order(b, 1).unwrap());
        let (terms, to) = (Terms::default(), View::of_mut(&mut c, [1, m, n]));
        let mut work = Work::<bf16, f32, f32>::new(factors, terms, to, false).unwrap();
        let product = work.product();
        let tuner = Tuner::new(&device).mode(mode).cache(&cache).most(2);
        let tuner = tuner.limit(Duration::from_millis(1));
        let run = |config, work: &mut Work<'_, bf16, f32, f32>| {
            by_config::<bf16, _, _, _>(config, work, function(Identity))
        };
        let tuned = search::<bf16, f32, f32>(&work, Sums::Plain, tuner, run).unwrap();
        // What was found is a product.
        run(tuned.config, &mut work).unwrap();
        (product, tuned)
    };
    let (product, found) = of_rows(17, Mode::Search);
    assert_eq!(found.origin, Origin::Search);
    assert!(found.trials.iter().any(|trial| matches!(trial.result, Some(Ok(_)))));
    assert_eq!(found.config.check(&product), Ok(()));
    // As many rows but for the power of two, and fewer.
    let (_, again) = of_rows(20, Mode::Search);
    assert_eq!((again.origin, again.config), (Origin::Record, found.config));
    assert_eq!(of_rows(16, Mode::Cached).1.origin, Origin::First);
    let found = c.to_vec().unwrap();
    for (at, found) in found[..16 * n].iter().enumerate() {
        let exact: f32 = (0..k).map(|p| x[at / n * k + p] * y[p * n + at % n]).sum();
        assert_eq!(*found, exact, "{at}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn every_way_of_a_bucket_is_legal_for_all_in_it() {
    for along in [[true, true], [false, true], [true, false]] {
        for (m, bare) in [(1, true), (5, false), (33, true), (100, false), (1000, true)] {
            let (batch, n) = (3, 200);
            let product = Product { batch, m, n, depth: 4000, size: 2, along, element: 2, bare };
            let all = choice::ranked(&bucket(&product), 132);
            assert!(!all.is_empty());
            for config in all {
                assert_eq!(config.check(&product), Ok(()), "{config:?}");
            }
        }
    }
}

/// Asked twice it does not measure twice, and what was found is what others take.
#[test]
fn tuned_products_are_products() {
    let device = Device::interpreter();
    let (m, n, k) = (8, 72, 72);
    let (x, y) = (numbers(m * k, 3), numbers(k * n, 2));
    let narrow = |x: &[f32]| x.iter().map(|&x| bf16::from_f32(x)).collect::<Vec<_>>();
    let a = Buffer::from_slice(&device, &narrow(&x)).unwrap();
    let b = Buffer::from_slice(&device, &narrow(&y)).unwrap();
    let mut c = Buffer::from_slice(&device, &vec![f32::NAN; m * n]).unwrap();
    crate::matmul::Matmul::new(View::of(&a, [m, k]), View::of(&b, [k, n]))
        .tuned()
        .run(View::of_mut(&mut c, [m, n]))
        .unwrap();
    for (at, found) in c.to_vec().unwrap().into_iter().enumerate() {
        let exact: f32 = (0..k).map(|p| x[at / n * k + p] * y[p * n + at % n]).sum();
        assert_eq!(found, exact, "{at}");
    }
}

/// With scales in blocks, whose products a search measures with them.
#[test]
fn tuned_products_with_scales_are_products() {
    let device = Device::interpreter();
    let (m, n, k) = (8, 48, 160);
    let narrow = |x: &[f32]| x.iter().map(|&x| e4m3::from_f32(x)).collect::<Vec<_>>();
    let (x, y) = (numbers(m * k, 3), numbers(k * n, 2));
    let a = Buffer::from_slice(&device, &narrow(&x)).unwrap();
    let b = Buffer::from_slice(&device, &narrow(&y)).unwrap();
    let powers = |len: usize| (0..len).map(|i| [0.5f32, 2.0, 1.0][i % 3]).collect::<Vec<_>>();
    let (of_x, of_y) = (powers(m * 2), powers(2));
    let a_scales = Buffer::from_slice(&device, &of_x).unwrap();
    let b_scales = Buffer::from_slice(&device, &of_y).unwrap();
    let mut c = Buffer::from_slice(&device, &vec![f32::NAN; m * n]).unwrap();
    let scales = Scales::InBlocks(View::of(&a_scales, [m, 2]), View::of(&b_scales, [2, 1]));
    ScaledMatmul::new(View::of(&a, [m, k]), View::of(&b, [n, k]).transposed(), scales)
        .tuned()
        .run(View::of_mut(&mut c, [m, n]))
        .unwrap();
    for (at, found) in c.to_vec().unwrap().into_iter().enumerate() {
        let (i, j) = (at / n, at % n);
        let product =
            |p: usize| x[i * k + p] * y[j * k + p] * of_x[i * 2 + p / 128] * of_y[p / 128];
        assert_eq!(found, (0..k).map(product).sum::<f32>(), "{at}");
    }
}
