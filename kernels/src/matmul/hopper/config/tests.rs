//! What is legal on Hopper.

use kernelsmith::Target;

use super::super::choice::plain;
use super::*;

pub(in super::super) fn bf16(m: usize, n: usize, k: usize) -> Product {
    let along = [true, true];
    Product { batch: 1, m, n, depth: 2 * k, size: 2, along, element: 2, bare: true }
}

pub(in super::super) const PLAIN: Config = plain(128);

#[test]
fn every_width_fits_hopper() {
    let limit = Target::sm(90, true).max_shared_bytes() as usize;
    for (width, stages) in WIDTHS {
        // What C leaves through is largest for 4 bytes, exchanged where that is possible.
        let out = width <= WIDEST_EXCHANGED;
        assert!(shared_bytes(width, stages, out, 4) <= limit, "{width}");
        assert!(shared_bytes(width, stages + 1, out, 4) > limit, "{width}: room for another");
    }
}

#[test]
fn what_is_no_kernel_is_told() {
    let product = bf16(256, 256, 256);
    let good = PLAIN;
    assert_eq!(good.check(&product), Ok(()));
    for (config, product, rule) in [
        (Config { width: 96, ..good }, product, "no tile"),
        (Config { exchanged: true, ..good }, product, "at once"),
        (Config { parts: 2, ..good }, product, "parts"),
        (Config { pingpong: true, width: 256, ..good }, product, "sums a thread"),
        (Config { pingpong: true, parts: 2, ..good }, product, "turns"),
        (Config { pingpong: true, streamed: true, ..good }, product, "shared out"),
        (Config { streamed: true, ..good }, bf16(1 << 20, 1 << 20, 1 << 20), "to share out"),
        (
            Config { streamed: true, width: 192, ..good },
            Product { bare: false, ..product },
            "registers for a bias",
        ),
        (Config { width: 16, ..good }, product, "shared memory"),
        (Config { width: 32, ..good }, product, "panels"),
        (Config { cluster: 2, group: 3, ..good }, product, "clusters of 2"),
        (good, Product { element: 1, along: [true, false], ..product }, "along k"),
        (
            Config { width: 64, cluster: 2, ..good },
            Product { along: [true, false], ..product },
            "panels",
        ),
    ] {
        let error = config.check(&product).unwrap_err();
        assert!(error.contains(rule), "{error}");
    }
}

#[test]
fn what_whole_waves_leave_is_shared_out() {
    for (tiles, blocks, shared) in [(264, 132, 0), (265, 132, 133), (131, 132, 131), (1, 132, 1)] {
        assert_eq!(shared_tiles::host(tiles, blocks), shared);
        assert_eq!((tiles - shared) % blocks, 0, "whole waves are left");
    }
    // 64 x 64 tiles, in pairs 2048, of which 66 clusters take 31 waves.
    let product = bf16(8192, 8192, 8192);
    let pairs = Config { cluster: 2, streamed: true, ..PLAIN };
    assert_eq!(pairs.streamed_tiles(&product, 132), 2048 - 30 * 66);
    assert_eq!(PLAIN.streamed_tiles(&product, 132), 0);
}
