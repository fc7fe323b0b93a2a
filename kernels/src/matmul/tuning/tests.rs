//! Products by every kind of configuration, and a search for real.

use std::time::Duration;

use kernelsmith::cache::Cache;
use kernelsmith::tune::{Mode, Origin};

use super::*;

/// Small integers, so that sums are exact in every order.
fn numbers(len: usize, step: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * step) % 5) as f32 - 2.0).collect()
}

#[test]
fn every_tile_gives_the_same_product() {
    let device = Device::cpu();
    let (m, n, k) = (130, 70, 1100);
    let (x, y) = (numbers(m * k, 7), numbers(k * n, 3));
    let exact: Vec<f32> =
        (0..m * n).map(|at| (0..k).map(|p| x[at / n * k + p] * y[p * n + at % n]).sum()).collect();
    let (a, b) =
        (Buffer::from_slice(&device, &x).unwrap(), Buffer::from_slice(&device, &y).unwrap());
    let mut c = Buffer::from_slice(&device, &vec![f32::NAN; m * n]).unwrap();
    let mut run = |config: Option<CpuConfig>| {
        let to = MatrixMut::from(View::of_mut(&mut c, [m, n]));
        let (a, b) = (View::of(&a, [m, k]).into(), operand::Right::from(View::of(&b, [k, n])));
        let mut problem = Problem::<f32, f32, f32>::new(a, b, None, None, to).unwrap();
        let Some(config) = config else { return (cpu::shape(&problem), Vec::new()) };
        cpu::product_by(config, &mut problem, function(Identity)).unwrap();
        (cpu::shape(&problem), c.to_vec().unwrap())
    };
    let (shape, _) = run(None);
    let all = cpu_config::ranked(&shape, device.machine(), 2);
    // Each is a kernel: the corners of the list and some between.
    let mut tiles = Vec::new();
    for config in all.into_iter().step_by(7) {
        if !tiles.contains(&(config.tile, config.layout)) {
            tiles.push((config.tile, config.layout));
            assert_eq!(run(Some(config)).1, exact, "{config:?}");
        }
    }
    assert!(tiles.len() >= 5, "{tiles:?}");
}

#[test]
fn a_search_is_kept_for_products_of_the_size() {
    let dir = std::env::temp_dir().join(format!("kernelsmith-matmul-{}", std::process::id()));
    let (device, cache) = (Device::cpu(), Cache::in_dir(&dir, 1 << 20));
    let tuner = || Tuner::new(&device).mode(Mode::Search).cache(&cache).most(3);
    let limit = Duration::from_secs(1);
    let found = tune_matmul::<f32, f32>(&device, (90, 70, 60), tuner().limit(limit)).unwrap();
    assert_eq!(found.origin, Origin::Search);
    assert!(found.trials.iter().any(|trial| matches!(trial.result, Some(Ok(_)))));
    // Another product of that size, and one that is larger.
    let again = tune_matmul::<f32, f32>(&device, (128, 66, 64), tuner().limit(limit)).unwrap();
    assert_eq!((again.origin, again.config), (Origin::Record, found.config));
    let other =
        tune_matmul::<f32, f32>(&device, (130, 66, 64), tuner().mode(Mode::Cached)).unwrap();
    assert_eq!(other.origin, Origin::First);
    // Stored as halves a deep product is summed elsewhere.
    let deep = tune_matmul::<bf16, bf16>(&device, (4, 4, 2100), tuner().mode(Mode::Off)).unwrap();
    assert_eq!(deep.origin, Origin::First);
    for (device, extents) in [(&Device::interpreter(), (1, 1, 1)), (&device, (1, 0, 1))] {
        assert!(tune_matmul::<f32, f32>(device, extents, tuner()).is_err());
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn tuned_products_are_products() {
    let device = Device::cpu();
    let (a, b) = (numbers(5 * 7, 3), numbers(7 * 3, 2));
    let exact: Vec<f32> =
        (0..15).map(|at| (0..7).map(|p| a[at / 3 * 7 + p] * b[p * 3 + at % 3]).sum()).collect();
    let (a, b) =
        (Buffer::from_slice(&device, &a).unwrap(), Buffer::from_slice(&device, &b).unwrap());
    // What C holds counts: the search must not touch it.
    let mut c = Buffer::from_slice(&device, &[1.0f32; 15]).unwrap();
    super::super::Matmul::new(View::of(&a, [5, 7]), View::of(&b, [7, 3]))
        .beta(2.0)
        .tuned()
        .run(View::of_mut(&mut c, [5, 3]))
        .unwrap();
    let expected: Vec<f32> = exact.iter().map(|x| x + 2.0).collect();
    assert_eq!(c.to_vec().unwrap(), expected);
}
