//! What the model chooses, and that it chooses sanely for any shape and machine.

use proptest::prelude::*;

use super::*;

/// The machine the constants were measured on.
fn measured() -> Machine {
    let mut machine = Machine::default();
    (machine.l1, machine.l2, machine.l3) = (32 << 10, 1 << 20, 32 << 20);
    (machine.l3_cores, machine.vector, machine.cores) = (2, 64, 2);
    machine
}

fn with_l1(bytes: usize) -> Machine {
    let mut machine = measured();
    machine.l1 = bytes;
    machine
}

/// f32, eight heads, every query sees every key.
fn full(queries: usize, keys: usize, dimension: usize) -> Shape {
    let (batch, kv_heads, group) = (1, 8, 1);
    let (element, word, causal) = (4, 1, false);
    let value_dimension = dimension;
    Shape {
        batch,
        kv_heads,
        group,
        queries,
        keys,
        seen: keys,
        dimension,
        value_dimension,
        element,
        word,
        causal,
    }
}

fn any_shape() -> impl Strategy<Value = Shape> {
    let sizes = (1usize..5, 1usize..9, 1usize..9, 1usize..5000, 1usize..70_000);
    let of = (4usize..33, any::<bool>(), any::<bool>(), 1usize..70_000);
    (sizes, of).prop_map(|((batch, kv_heads, group, queries, keys), (d, pairs, causal, window))| {
        let (element, word) = if pairs { (2, 2) } else { (4, 1) };
        let seen = if causal { window.min(keys) } else { keys };
        let dimension = 8 * d;
        Shape {
            batch,
            kv_heads,
            group,
            queries,
            keys,
            seen,
            dimension,
            value_dimension: dimension,
            element,
            word,
            causal,
        }
    })
}

#[test]
fn common_shapes_take_the_usual_tile() {
    for n in [512, 2048, 4096] {
        for d in [64, 128] {
            for causal in [false, true] {
                let shape = Shape { causal, ..full(n, n, d) };
                let found = default(&shape, &measured(), 2);
                assert_eq!(found, CpuConfig::Rows(RowsTile::USUAL), "{shape:?}");
            }
        }
    }
}

#[test]
fn few_queries_divide_the_keys() {
    for queries in 1..=FEW {
        let found = default(&full(queries, 4096, 128), &measured(), 2);
        assert_eq!(found, CpuConfig::Parts { blocks: USUAL_BLOCKS }, "{queries}");
    }
    // One block would leave a thread without work; a warp would have an eighth of its lanes.
    let alone = Shape { kv_heads: 1, ..full(8, 8192, 128) };
    assert!(matches!(default(&alone, &measured(), 2), CpuConfig::Parts { .. }));
    // Full warps of all threads do better.
    assert!(matches!(default(&full(32, 2048, 128), &measured(), 2), CpuConfig::Rows(_)));
}

#[test]
fn a_small_cache_takes_fewer_keys() {
    let keys = |l1| match default(&full(2048, 2048, 128), &with_l1(l1), 2) {
        CpuConfig::Rows(tile) => tile.keys,
        other => panic!("{other:?}"),
    };
    assert!(keys(8 << 10) < keys(32 << 10), "{} {}", keys(8 << 10), keys(32 << 10));
}

#[test]
fn keys_from_memory_are_read_for_more_queries() {
    // A head's keys and values are more than the last cache holds, and threads share memory.
    let long = Shape { kv_heads: 1, ..full(32_768, 65_536, 128) };
    match default(&long, &measured(), 16) {
        CpuConfig::Rows(tile) => assert!(tile.queries > RowsTile::USUAL.queries, "{tile:?}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn parts_cover_the_keys() {
    for (queries, keys, wanted) in
        [(1, 1, 16), (9, 1000, 16), (32, 255, 1), (5, 70_000, 64), (3, 0, 4)]
    {
        let parts = Parts::new(2, queries, keys, wanted);
        assert!(parts.rows <= decode::ROWS && parts.rows * parts.pieces >= queries, "{parts:?}");
        assert!(parts.chunk * parts.splits >= keys && parts.splits >= 1, "{parts:?}");
    }
}

proptest! {
    #[test]
    fn configurations_are_legal(shape in any_shape(), threads in 1usize..65) {
        let all = ranked(&shape, &measured(), threads);
        prop_assert_eq!(all.first(), Some(&default(&shape, &measured(), threads)));
        for (i, config) in all.iter().enumerate() {
            prop_assert!(!all[..i].contains(config), "twice: {:?}", config);
            let cost = cost(config, &shape, &measured(), threads);
            prop_assert!(cost.is_finite() && cost > 0.0);
            match *config {
                CpuConfig::Rows(tile) => {
                    prop_assert!(tile.queries.is_multiple_of(WARP) && tile.keys.is_multiple_of(12));
                    let own = tile.own_bytes(shape.dimension, shape.value_dimension, shape.word);
                    prop_assert!(own <= Target::Cpu.max_shared_bytes() as usize);
                }
                CpuConfig::Parts { .. } => prop_assert!(shape.queries <= SOME),
            }
        }
    }

    #[test]
    fn more_work_costs_more(shape in any_shape()) {
        for config in ranked(&shape, &measured(), 1) {
            let cost = |s: &Shape| cost(&config, s, &measured(), 1);
            let twice = Shape { batch: 2 * shape.batch, ..shape };
            prop_assert!(cost(&twice) >= cost(&shape) * 0.999);
        }
    }

    #[test]
    fn a_smaller_cache_costs_no_less(shape in any_shape(), kib in 8usize..256) {
        for config in ranked(&shape, &measured(), 2) {
            let cost = |kib: usize| cost(&config, &shape, &with_l1(kib << 10), 2);
            prop_assert!(cost(kib / 2) >= cost(kib) * 0.999);
        }
    }
}
