//! Code for targets without their devices.

mod common;

use kernelsmith_runtime::Target;
use kernelsmith_runtime::codegen::{Stage, emit, resources};

use common::fill;

const TARGETS: [&str; 6] = ["cpu", "sm_75", "sm_90a", "gfx90a", "gfx942", "gfx1100"];
const BLOCK: Option<[u32; 3]> = Some([64, 1, 1]);

#[test]
fn every_target_has_every_stage_it_should() {
    for name in TARGETS {
        let target: Target = name.parse().unwrap();
        for stage in [Stage::Staged, Stage::Ir, Stage::Llvm, Stage::Asm, Stage::Sass] {
            let text = emit(&fill("fill", false), BLOCK, &target, stage);
            match (&target, stage) {
                (Target::Ptx(_), Stage::Llvm) => {
                    let message = text.unwrap_err().to_string();
                    assert!(message.contains("written without LLVM"), "{message}");
                }
                (_, Stage::Staged | Stage::Ir) => {
                    assert!(text.unwrap().starts_with("kernel @fill("))
                }
                (_, Stage::Llvm) => assert!(text.unwrap().contains("define ")),
                (Target::Ptx(_), Stage::Asm) => {
                    let target = format!(".target {name}");
                    assert!(text.unwrap().contains(&target));
                }
                (Target::Amdgcn(_), Stage::Asm) => assert!(text.unwrap().contains("s_endpgm")),
                (Target::Cpu, Stage::Asm) => assert!(text.unwrap().contains("ret")),
                (Target::Ptx(_), Stage::Sass) => assert!(text.unwrap().contains("EXIT")),
                (_, Stage::Sass) => {
                    let message = text.unwrap_err().to_string();
                    assert!(message.contains("no NVIDIA target"), "{message}");
                }
            }
        }
    }
}

#[test]
fn resources_are_read_from_what_was_made() {
    for name in ["gfx942", "gfx1100"] {
        let resources = resources(&fill("fill", false), None, &name.parse().unwrap()).unwrap();
        assert!(resources.registers.is_some_and(|n| n > 0), "{resources:?}");
        assert_eq!((resources.spills, resources.shared_bytes), (Some(0), 0));
        assert_eq!((resources.checks, &resources.note), (1, &None));
        assert!(resources.code_bytes > 500, "{resources:?}");
    }
    let cpu = resources(&fill("fill", true), BLOCK, &Target::Cpu).unwrap();
    assert_eq!((cpu.checks, cpu.registers), (0, None), "the guard proves the check");
    assert!(cpu.note.is_some());
    // Known with `ptxas`, and without it a reason is given.
    let ptx = resources(&fill("fill", false), None, &Target::sm(90, true)).unwrap();
    assert_eq!(ptx.registers.is_none(), ptx.note.is_some());
    assert_eq!(ptx.checks, 1);
}
