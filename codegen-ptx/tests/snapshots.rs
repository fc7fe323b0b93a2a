//! The text of representative kernels.

mod common;

use common::{kernels, ptx, sm};

#[test]
fn saxpy() {
    insta::assert_snapshot!(ptx(&kernels::saxpy(), sm(90, true)).text);
}

#[test]
fn block_sum() {
    insta::assert_snapshot!(ptx(&kernels::block_sum(), sm(80, false)).text);
}

#[test]
fn fibonacci() {
    insta::assert_snapshot!(ptx(&kernels::fibonacci(), sm(75, false)).text);
}

#[test]
fn first_divisor() {
    insta::assert_snapshot!(ptx(&kernels::first_divisor(), sm(100, true)).text);
}

#[test]
fn they_assemble_everywhere() {
    let all =
        [kernels::saxpy(), kernels::block_sum(), kernels::fibonacci(), kernels::first_divisor()];
    for target in common::TARGETS {
        for kernel in &all {
            let usage = common::assemble(kernel, target).usage;
            assert!(usage.registers < 40 && usage.spill_stores == 0, "{}: {usage:?}", kernel.name);
        }
    }
}
