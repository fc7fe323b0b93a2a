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
fn warp_matmul() {
    insta::assert_snapshot!(ptx(&kernels::warp_matmul(), sm(80, false)).text);
}

/// Each architecture there is a name for, with the PTX ISA version the module asks for.
#[test]
fn every_architecture_is_one() {
    use kernelsmith_ir::Target;
    for number in Target::SMS {
        for specific in [false, true] {
            let target = sm(number, specific);
            if Target::Ptx(target).to_string().parse::<Target>().is_ok() {
                common::assemble(&kernels::saxpy(), target);
                common::assemble(&kernels::block_sum(), target);
            }
        }
    }
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
