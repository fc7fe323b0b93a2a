//! The model chooses what was chosen by hand where that was measured, and what caches ask for elsewhere.

use proptest::prelude::*;

use super::*;

/// Where the hand-made choices were measured: two cores of 1 MiB each.
fn measured() -> Machine {
    with_l2(1 << 20)
}

fn with_l2(l2: usize) -> Machine {
    let mut machine = Machine::default();
    (machine.l2, machine.l2_cores) = (l2, 1);
    machine
}

fn shape(m: usize, n: usize, k: usize, sum: usize, b: Right) -> Shape {
    Shape { batch: 1, m, n, k, sum, b, once: false }
}

fn any_shape() -> impl Strategy<Value = Shape> {
    let size = || prop_oneof![1usize..40, 1usize..5000, (0u32..13).prop_map(|e| 1 << e)];
    let right = prop::sample::select(vec![Right::Packed, Right::Rows, Right::Columns]);
    let once = any::<bool>();
    (1usize..4, size(), size(), size(), prop::bool::ANY, right, once).prop_map(
        |(batch, m, n, k, wide, b, once)| {
            let sum = if wide { 8 } else { 4 };
            let once = once && k <= LONG / sum;
            Shape { batch, m, n, k, sum, b, once }
        },
    )
}

#[test]
fn the_default_is_what_was_measured_to_be_best() {
    for (size, layout, tile, rows, grid) in [
        (64, Layout::Rows, (64, 128), 64, (1, 1)),
        (128, Layout::Rows, (64, 128), 64, (2, 2)),
        (256, Layout::Rows, (64, 512), 64, (2, 4)),
        (512, Layout::Rows, (64, 512), 64, (1, 8)),
        (1024, Layout::Panels, (64, 512), 64, (1, 16)),
        // From here on B comes from memory.
        (2048, Layout::Panels, (192, 512), 172, (1, 12)),
        (4096, Layout::Panels, (192, 512), 188, (1, 22)),
    ] {
        let shape = shape(size, size, size, 4, Right::Rows);
        let config = default(&shape, &measured(), 2);
        let tile = TileSize { rows: tile.0, depth: tile.1 };
        assert_eq!(config, CpuConfig { layout, tile, blocks: 4 }, "{size}");
        let plan = Plan::new(&config, &shape, 2);
        assert_eq!((plan.rows, plan.grid), (rows, grid), "{size}");
    }
    // Few rows: B is read as it is, in one strip. f64: as many bytes.
    for (m, rows) in [(1, 64), (8, 64), (32, 64), (64, 64), (128, 128)] {
        let config = default(&shape(m, 4096, 4096, 4, Right::Rows), &measured(), 2);
        assert_eq!(
            (config.layout, config.tile),
            (Layout::Rows, TileSize { rows, depth: 512 }),
            "{m} rows"
        );
    }
    for (size, rows) in [(700, 64), (1000, 192)] {
        let config = default(&shape(size, size, size, 8, Right::Rows), &measured(), 2);
        let tile = TileSize { rows, depth: 256 };
        assert_eq!((config.layout, config.tile), (Layout::Panels, tile), "{size}");
    }
}

#[test]
fn tiles_shrink_and_grow_with_the_cache() {
    let shape = shape(1024, 1024, 1024, 4, Right::Columns);
    let tile = |kib: usize| default(&shape, &with_l2(kib << 10), 8).tile;
    let depths: Vec<_> = [256, 512, 1024, 2048, 4096].map(|kib| tile(kib).depth).into();
    assert_eq!(depths, [256, 512, 512, 512, 512]);
    assert!([256, 512, 1024, 2048].iter().all(|&kib| tile(kib).rows == 64));
}

#[test]
fn one_long_block_is_divided() {
    // One panel and one strip, but work enough for two.
    let shape = shape(64, 32, 8192, 4, Right::Columns);
    let config = default(&shape, &measured(), 2);
    assert_eq!(Plan::new(&config, &shape, 2).grid, (1, 2));
    assert_eq!(Plan::new(&default(&shape, &measured(), 1), &shape, 1).grid, (1, 1));
}

proptest! {
    #[test]
    fn every_configuration_covers_c(shape in any_shape(), threads in 1usize..65) {
        let all = ranked(&shape, &measured(), threads);
        prop_assert_eq!(all.first(), Some(&default(&shape, &measured(), threads)));
        for (i, config) in all.iter().enumerate() {
            prop_assert!(!all[..i].contains(config), "twice: {:?}", config);
            let (plan, tile) = (Plan::new(config, &shape, threads), config.tile);
            prop_assert!(plan.rows <= tile.rows && plan.rows.is_multiple_of(4), "{:?}", plan);
            let (rows, columns) = (plan.rows * plan.grid.1, plan.panels * PANEL * plan.grid.0);
            prop_assert!(rows >= shape.m && rows - plan.rows < shape.m, "{:?}", plan);
            prop_assert!(columns >= shape.n && columns - plan.panels * PANEL < shape.n, "{:?}", plan);
            prop_assert!(!shape.once || tile.depth >= shape.k, "{:?}", config);
            prop_assert!(shape.b == Right::Rows || config.layout == Layout::Panels);
            let cost = cost(config, &shape, &measured(), threads);
            prop_assert!(cost.is_finite() && cost > 0.0);
        }
    }

    #[test]
    fn the_default_fits_the_cache(shape in any_shape(), kib in 256usize..4096, threads in 1usize..65) {
        let machine = with_l2(kib << 10);
        let tile = default(&shape, &machine, threads).tile;
        let depth = tile.depth.min(shape.k);
        let own = own_bytes(TileSize { depth, ..tile }, depth, shape.sum);
        prop_assert!(shape.once || own <= machine.l2 / 2 + (machine.l2 >> 4), "{:?}: {} KiB", tile, own >> 10);
    }

    #[test]
    fn more_work_costs_more(shape in any_shape()) {
        // Of one thread: work that is divided at last may take less time than before.
        for config in ranked(&shape, &measured(), 1) {
            let cost = |s: &Shape| cost(&config, s, &measured(), 1);
            let twice = Shape { batch: 2 * shape.batch, ..shape };
            prop_assert!(cost(&twice) >= cost(&shape) * 0.999);
            let deeper = Shape { k: 2 * shape.k, ..shape };
            prop_assert!(cost(&deeper) >= cost(&shape) * 0.999);
        }
    }

    #[test]
    fn a_smaller_cache_costs_no_less(shape in any_shape(), kib in 64usize..4096) {
        for config in ranked(&shape, &measured(), 2).into_iter().take(20) {
            let cost = |kib: usize| cost(&config, &shape, &with_l2(kib << 10), 2);
            prop_assert!(cost(kib / 2) * (1.0 + MARGIN) >= cost(kib) * 0.999);
        }
    }
}
