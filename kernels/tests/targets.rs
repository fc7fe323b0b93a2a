//! Every kernel of the library compiles for every target, without spills where that is known.

use kernelsmith::Target;
use kernelsmith::codegen::{Stage, emit, resources};
use kernelsmith::ir::Kernel;
use kernelsmith_codegen_cpu::Isa;
use kernelsmith_codegen_cpu::compile::assembly;
use kernelsmith_kernels::catalog::KERNELS;

const TARGETS: [&str; 10] = [
    "cpu", "sm_75", "sm_80", "sm_90a", "sm_100a", "gfx90a", "gfx942", "gfx950", "gfx1100",
    "gfx1201",
];

#[test]
fn every_kernel_compiles_for_every_target() {
    for entry in KERNELS {
        for name in TARGETS {
            let target: Target = name.parse().unwrap();
            let kernel = (entry.ir)(&target).unwrap();
            let found = resources(&kernel, None, &target)
                .unwrap_or_else(|e| panic!("{} for {name}: {e}", entry.name));
            assert!(found.code_bytes > 0);
            if target != Target::Cpu {
                assert_eq!(found.note, None, "{} for {name}", entry.name);
                assert_eq!(found.spills, Some(0), "{} for {name}", entry.name);
            }
        }
    }
}

/// No machine with NEON runs the tests: its code is made, and multiplies by vectors.
#[test]
fn every_kernel_compiles_for_neon() {
    for entry in KERNELS {
        let kernel = (entry.ir)(&Target::Cpu).unwrap();
        let kernel: Kernel = emit(&kernel, None, &Target::Cpu, Stage::Ir).unwrap().parse().unwrap();
        let code = assembly(&kernel, kernel.block_dim.unwrap(), Isa::Neon)
            .unwrap_or_else(|e| panic!("{}: {e}", entry.name));
        if entry.name.starts_with("matmul_f") || entry.name.starts_with("flash_attention") {
            assert!(code.contains("fmla\tv"), "{}: {code}", entry.name);
        }
    }
}

#[test]
fn checks_left_in_the_kernels_do_not_grow() {
    let mut grown = Vec::new();
    for (name, most) in [
        ("saxpy", 0),
        ("softmax", 0),
        ("rms_norm", 0),
        ("layer_norm", 0),
        ("matmul_f32", 0),
        ("matmul_bf16", 0),
        ("matmul_i8", 0),
        // One a row in loading each of K and V, and three of `lse`, which may not be there.
        ("flash_attention", 5),
        // The last row of a tile of keys.
        ("attention_parts", 1),
        // The sink of a head, and three of `lse`.
        ("combine_parts", 4),
        // Slices, in each of the sizes that groups of rows come in, and tiles that the block shares.
        ("attention_backward", 78),
        ("attention_delta", 0),
        ("sum_parts", 0),
        ("rms_norm_backward", 3),
        ("layer_norm_backward", 7),
        ("softmax_backward", 0),
        // Divisors, and slices for panels and steps: none for words.
        ("quantize_rows", 2),
        ("gemv_q8_0", 6),
        ("gemv_q4_k", 6),
        ("gemm_q6_k", 5),
    ] {
        let target: Target = "sm_90a".parse().unwrap();
        let entry = kernelsmith_kernels::catalog::find(name).unwrap();
        let kernel = (entry.ir)(&target).unwrap();
        let checks = resources(&kernel, None, &target).unwrap().checks;
        if checks > most {
            grown.push(format!("{name}: {checks} checks"));
        }
    }
    assert!(grown.is_empty(), "{grown:?}");
}

#[test]
fn code_can_be_looked_at_in_every_stage() {
    let entry = kernelsmith_kernels::catalog::find("saxpy").unwrap();
    for (name, stage, has) in [
        ("cpu", Stage::Staged, "kernel @saxpy_kernel"),
        ("cpu", Stage::Ir, "kernel @saxpy_kernel"),
        ("cpu", Stage::Llvm, "define void"),
        ("cpu", Stage::Asm, "kernelsmith_block"),
        ("sm_90a", Stage::Asm, ".target sm_90a"),
        ("sm_90a", Stage::Sass, "STG"),
        ("gfx942", Stage::Llvm, "amdgpu_kernel"),
        ("gfx942", Stage::Asm, "s_endpgm"),
    ] {
        let target: Target = name.parse().unwrap();
        let kernel = (entry.ir)(&target).unwrap();
        let text = emit(&kernel, None, &target, stage).unwrap();
        assert!(text.contains(has), "{name} {stage:?}: {text}");
    }
    let target: Target = "sm_90a".parse().unwrap();
    let kernel = (entry.ir)(&target).unwrap();
    let error = emit(&kernel, None, &target, Stage::Llvm).unwrap_err();
    assert!(error.to_string().contains("without LLVM"), "{error}");
}

/// Debuggers and profilers find the user's lines: NVIDIA's disassembler in the line table of the
/// machine code, everyone else in the assembly.
#[test]
fn code_knows_its_lines() {
    for (name, stage, comment) in [
        ("sm_90a", Stage::Sass, "saxpy.rs\", line "),
        ("sm_90a", Stage::Asm, ".loc"),
        ("gfx942", Stage::Asm, ".loc"),
        ("cpu", Stage::Asm, ".loc"),
    ] {
        let target: Target = name.parse().unwrap();
        let kernel = (kernelsmith_kernels::catalog::find("saxpy").unwrap().ir)(&target).unwrap();
        let text = emit(&kernel, None, &target, stage).unwrap();
        assert!(text.contains("saxpy.rs") && text.contains(comment), "{name}\n{text}");
    }
}
