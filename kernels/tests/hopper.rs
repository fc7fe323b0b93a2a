//! The kernels of Hopper: what the assembler makes of them.

use kernelsmith::Target;
use kernelsmith::codegen::{Stage, emit, resources};
use kernelsmith_kernels::matmul::hopper::matmul_cooperative_ir;

#[test]
fn the_cooperative_matmul_is_what_was_planned() {
    let target: Target = "sm_90a".parse().unwrap();
    let kernel = matmul_cooperative_ir::<128, 4>(&target).unwrap();
    println!("{}", emit(&kernel, None, &target, Stage::Ir).unwrap());
    println!("{}", emit(&kernel, None, &target, Stage::Asm).unwrap());
    let found = resources(&kernel, None, &target).unwrap();
    println!("{found:?}");
    println!("{}", emit(&kernel, None, &target, Stage::Sass).unwrap());
}
