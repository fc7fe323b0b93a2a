//! Which tiles a product is cut into on Hopper.

use super::cooperative::BM;

/// Widths of a tile of C that there are kernels for, with the stages that shared memory holds: A and
/// B of a stage are 16 KiB and 8 KiB for each 64 columns, C's panels 16 KiB, of 227 KiB.
pub const WIDTHS: [(usize, usize); 2] = [(128, 6), (256, 4)];

/// What a tile of a width takes, in columns of the widest: the tensor cores read `64 + 4096 / N`
/// bytes of shared memory a clock for a product of N columns, of 128 that there are, and the narrow
/// tile reads A as often as the wide one for half the products.
fn cost(width: usize) -> f64 {
    width as f64 * (1.0 + 8.0 / width as f64)
}

/// The width of the tiles of a product on a device of so many multiprocessors: the one whose tiles,
/// taken in whole waves, end first.
pub fn width(m: usize, n: usize, batch: usize, multiprocessors: usize) -> usize {
    let tiles = |width: usize| batch * m.div_ceil(BM) * n.div_ceil(width);
    let time = |width: usize| tiles(width).div_ceil(multiprocessors.max(1)) as f64 * cost(width);
    let widths = WIDTHS.into_iter().map(|(width, _)| width);
    widths.min_by(|&a, &b| time(a).total_cmp(&time(b))).expect("there are widths")
}

/// Bytes of shared memory of a block: the stages, the panels of C, and two barriers a stage.
pub const fn shared_bytes(width: usize, stages: usize) -> usize {
    stages * ((BM + width) * 128 + 16) + 2 * 64 * 128
}

#[cfg(test)]
mod tests {
    use kernelsmith::Target;

    use super::*;

    #[test]
    fn every_width_fits_hopper() {
        let limit = Target::sm(90, true).max_shared_bytes() as usize;
        for (width, stages) in WIDTHS {
            assert!(shared_bytes(width, stages) <= limit, "{width}");
            assert!(shared_bytes(width, stages + 1) > limit, "{width}: room for another stage");
        }
    }

    #[test]
    fn large_products_take_wide_tiles_and_small_ones_fill_the_device() {
        assert_eq!(width(8192, 8192, 1, 132), 256);
        // 64 tiles of 128 fill half of the device, 32 of 256 a quarter.
        assert_eq!(width(1024, 1024, 1, 132), 128);
        // 128 tiles of 256 are one wave, as 256 of 128 would be two.
        assert_eq!(width(2048, 2048, 1, 132), 256);
    }
}
