//! The CPU's kernels are made of the instructions that they are written for.

use kernelsmith::Target;
use kernelsmith::codegen::{Stage, emit};
use kernelsmith::prelude::*;
use kernelsmith_kernels::catalog;

fn assembly(name: &str) -> String {
    let kernel = (catalog::find(name).unwrap().ir)(&Target::Cpu).unwrap();
    emit(&kernel, None, &Target::Cpu, Stage::Asm).unwrap()
}

/// The most frequent of an instruction in a basic block, as assembly shows them: its innermost loop.
fn most_at_once(text: &str, name: &str) -> usize {
    let blocks = text.split("\n.L");
    blocks.map(|block| block.matches(name).count()).max().unwrap_or(0)
}

#[test]
fn bf16_are_multiplied_in_pairs_where_the_device_says_so() {
    let most = most_at_once(&assembly("matmul_bf16"), "vdpbf16ps");
    // 12 rows of two vectors, or as often as the loop is unrolled.
    let expected = if Device::cpu().limits().has_dot2 { 24 } else { 0 };
    assert!(if expected == 0 { most == 0 } else { most >= expected }, "{most}");
}

#[test]
fn attention_multiplies_bf16_in_pairs_too() {
    let most = most_at_once(&assembly("flash_attention_bf16"), "vdpbf16ps");
    // The scores of 12 keys in two vectors.
    let expected = if Device::cpu().limits().has_dot2 { 24 } else { 0 };
    assert!(if expected == 0 { most == 0 } else { most >= expected }, "{most}");
}

#[test]
#[cfg(target_arch = "x86_64")]
fn bytes_are_multiplied_in_fours() {
    let features = std::env::var("KERNELSMITH_CPU_FEATURES").unwrap_or_default();
    let native = matches!(&*features, "" | "native");
    let most = most_at_once(&assembly("matmul_i8"), "vpdpbusd");
    // CPUs with AVX-VNNI alone have it in shorter vectors.
    let expected = if native && is_x86_feature_detected!("avx512vnni") { 24 } else { 0 };
    assert!(if native { most >= expected } else { most == 0 }, "{most}");
}
