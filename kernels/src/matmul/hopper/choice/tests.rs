//! What the model finds fastest.

use super::super::config::tests::{PLAIN, bf16};
use super::*;

const BM: usize = 128;

fn chosen(product: Product) -> Config {
    choose(&product, 132).unwrap()
}

#[test]
fn large_products_take_wide_tiles_in_clusters() {
    for n in [4096, 8192, 16384] {
        let config = chosen(bf16(n, n, n));
        assert!(config.width >= 192 && config.cluster == 2, "{config:?}");
    }
}

#[test]
fn the_last_wave_is_shared_out_where_that_is_worth_it() {
    // 1024 pairs of tiles in 15.5 waves of 66: half a wave is 66 thousand clocks, the sums that blocks hand
    // each other 6.
    let config = chosen(bf16(8192, 8192, 8192));
    assert!(config.streamed && config.width == 256 && config.cluster == 2, "{config:?}");
    // 3.9 waves, and a single one that is full.
    assert!(!chosen(bf16(4096, 4096, 4096)).streamed);
    assert!(!chosen(bf16(2048, 2048, 2048)).streamed);
    // 32 tiles for 132 multiprocessors, few columns wide: no second kernel that adds up parts. Wide ones are
    // more to hand on than to write as parts.
    assert!(chosen(bf16(16, 4096, 4096)).streamed);
    assert!(chosen(bf16(128, 4096, 4096)).parts > 1);
}

#[test]
fn tiles_that_run_at_once_are_about_square() {
    // 16 rows of 128 by 9 columns of 256; of 4096 x 128, one column of 32 rows takes any order.
    let wide = Config { width: 256, cluster: 2, ..PLAIN };
    let of = |product: Product, config: Config| {
        let same = |c: &Config| Config { group: 0, ..*c } == Config { group: 0, ..config };
        ranked(&product, 132).into_iter().filter(same).map(|c| c.group).collect::<Vec<_>>()
    };
    assert_eq!(of(bf16(16384, 16384, 512), wide), [16, 8, 4, 2]);
    assert_eq!(of(bf16(4096, 128, 4096), PLAIN), [8]);
}

#[test]
fn the_best_is_first() {
    let product = bf16(1024, 4096, 4096);
    let all = ranked(&product, 132);
    assert!(all.len() > 30, "{}", all.len());
    let clocks: Vec<f64> = all.iter().map(|c| c.clocks(&product, 132)).collect();
    assert!(clocks.is_sorted());
    for (i, config) in all.iter().enumerate() {
        assert_eq!(config.check(&product), Ok(()));
        assert!(!all[..i].contains(config), "{config:?} twice");
    }
    // Bytes across k: nothing takes them.
    let across = Product { element: 1, along: [false, true], ..product };
    assert_eq!(ranked(&across, 132), []);
}

#[test]
fn shallow_products_are_stored_while_the_next_are_multiplied() {
    let config = chosen(bf16(8192, 8192, 512));
    assert_eq!(config, Config { cluster: 2, pingpong: true, group: config.group, ..PLAIN });
}

#[test]
fn tiles_fill_the_device() {
    // 64 tiles of 128 fill half of the device, 32 of 256 a quarter: narrower ones, or parts.
    let small = chosen(bf16(1024, 1024, 1024));
    assert!(small.tiles(&bf16(1024, 1024, 1024)) > 64, "{small:?}");
    // 128 tiles of 256 are one wave, as 256 of 128 would be two.
    assert_eq!(chosen(bf16(2048, 2048, 2048)).width, 256);
}

#[test]
fn few_rows_are_columns_of_the_tiles() {
    for (m, width, parts) in [(1, 16, 1), (16, 16, 1), (17, 32, 1), (48, 64, 3)] {
        let config = chosen(bf16(m, 4096, 4096));
        assert!(config.exchanged && config.width == width, "{m}: {config:?}");
        // 32 tiles would leave three quarters of the device idle: their steps are shared out, or in parts.
        assert_eq!((config.streamed, config.parts), (parts == 1, parts), "{config:?}");
    }
    // Few columns are those of the tiles as they are.
    let config = chosen(bf16(4096, 64, 4096));
    assert!(!config.exchanged && config.width == 64, "{config:?}");
}

#[test]
fn groups_take_wide_tiles_if_those_fill_the_device() {
    let experts = |groups, rows| Product { batch: groups, ..bf16(rows, 2048, 7168) };
    assert_eq!(grouped_width(&experts(32, 1024), 132), 256);
    assert_eq!(grouped_width(&experts(4, 128), 132), 128);
}

#[test]
fn pairs_share_right_factors_where_rows_come_in_pairs() {
    assert_eq!(gated_cluster(&bf16(4096, 14336, 4096), 132), 2);
    assert_eq!(gated_cluster(&bf16(128, 14336, 4096), 132), 1);
}

#[test]
fn scaled_products_share_b_where_rows_come_in_pairs() {
    let e4m3 = |m, n, k| Product { depth: k, element: 1, ..bf16(m, n, k) };
    let way = |m| promoted(&e4m3(m, 4096, 4096), 132)[0];
    assert_eq!((way(4096).cluster, way(4096).width), (2, 128));
    assert_eq!(way(100).cluster, 1);
    // Few rows are columns of the tiles, and the depth is in parts.
    for (m, width) in [(1, 16), (30, 32), (64, 64)] {
        let way = way(m);
        assert!(way.exchanged && way.width == width && way.parts > 1, "{m}: {way:?}");
    }
}

proptest::proptest! {
    /// Whatever is chosen is legal, and its tiles cover the product.
    #[test]
    fn what_is_chosen_is_legal(
        m in 1usize..5000,
        n in 1usize..5000,
        k in 1usize..5000,
        batch in 1usize..5,
        along: [bool; 2],
    ) {
        let product = Product { batch, along, ..bf16(m, n, k) };
        let config = choose(&product, 132).unwrap();
        assert_eq!(config.check(&product), Ok(()));
        // Blocks that wait for each other are there at once.
        assert!(config.grid([batch * config.parts, m, n], 132) <= 132);
        let (rows, columns) = config.sums(&product);
        let tiles = config.tiles(&product) / config.parts / batch;
        assert!(tiles * BM * config.width >= rows * columns);
    }
}
