//! The numbers, by the interpreter: with schedules of its own, and every access checked. It would
//! find a race, a barrier that nobody comes to, sums that are read too early.

use kernelsmith::prelude::*;
use kernelsmith_kernels::matmul::hopper::Order::{self, AcrossK, AlongK};

use crate::checks::{self, Checked};

#[track_caller]
fn holds(checked: Checked) {
    let (error, allowed) = checked.unwrap();
    assert!(error <= allowed, "{error} of {allowed}");
}

#[track_caller]
fn matmul(shape: [usize; 3], orders: [Order; 2], blocks: usize) {
    holds(checks::matmul::<128, 2>(&Device::interpreter(), shape, orders, blocks));
}

#[test]
fn matmul_of_one_tile() {
    matmul([128, 128, 64], [AlongK, AlongK], 1);
}

#[test]
fn matmul_of_several_tiles_and_odd_ends() {
    matmul([200, 264, 200], [AlongK, AlongK], 2);
    holds(checks::matmul::<256, 3>(&Device::interpreter(), [136, 264, 72], [AlongK, AcrossK], 2));
}

#[test]
fn matmul_in_the_other_orders() {
    matmul([136, 136, 104], [AlongK, AcrossK], 1);
    matmul([136, 136, 104], [AcrossK, AlongK], 3);
    matmul([72, 136, 72], [AcrossK, AcrossK], 1);
}

#[test]
fn products_of_the_library_take_it() {
    holds(checks::library(&Device::interpreter(), [2, 72, 136, 72]));
}

#[test]
fn attention_to_all_keys() {
    holds(checks::attention::<64>(&Device::interpreter(), [1, 1, 128, 128], false));
    holds(checks::attention::<64>(&Device::interpreter(), [2, 2, 72, 300], false));
    holds(checks::attention::<128>(&Device::interpreter(), [1, 1, 72, 136], false));
}

#[test]
fn causal_attention() {
    holds(checks::attention::<64>(&Device::interpreter(), [1, 1, 200, 200], true));
    holds(checks::attention::<64>(&Device::interpreter(), [1, 1, 40, 168], true));
    holds(checks::attention::<64>(&Device::interpreter(), [1, 1, 136, 40], true));
}
