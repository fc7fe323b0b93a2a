//! The LLVM text of representative kernels, before LLVM's passes.

use kernelsmith_codegen_cpu::Isa;
use kernelsmith_codegen_cpu::compile::llvm_ir;
use kernelsmith_ir::Kernel;

use crate::harness::prepare;
use crate::kernels::{block_sum, halve, saxpy};

fn text(kernel: &Kernel, block: [u32; 3]) -> String {
    llvm_ir(&prepare(kernel), block, Isa::Avx2).expect("the CPU has it")
}

#[test]
fn uniform_arguments_and_consecutive_addresses() {
    insta::assert_snapshot!("saxpy", text(&saxpy(), [64, 1, 1]));
}

#[test]
fn a_divergent_loop() {
    insta::assert_snapshot!("halve", text(&halve(), [32, 1, 1]));
}

#[test]
fn a_block_split_at_barriers() {
    insta::assert_snapshot!("block_sum", text(&block_sum(), [256, 1, 1]));
}
