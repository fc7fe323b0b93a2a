//! Random kernels: prepared, written as PTX and run, they do what their IR says; and the assembler
//! takes all of them. The kernels, and how the interpreter runs them, are those that test the passes.

mod common;
#[allow(dead_code)]
#[path = "../../kernel-ir/tests/differential/machine.rs"]
mod machine;
#[allow(dead_code)]
#[path = "../../kernel-ir/tests/differential/random_kernel.rs"]
mod random_kernel;

use kernelsmith_codegen_ptx::emulator::{Launch, Memory, run};
use kernelsmith_ir::{Target, passes};
use machine::{Failure, fresh, observe, packed};

/// Steps after which a thread counts as endless.
const FUEL: u64 = 20_000;

const ARGUMENTS: &[[u64; 4]] =
    &[[0, 0, 0, 0], [3, 2, u64::MAX, 0], [7, 16, 1, 1], [4, 5, 1 << 33, 0]];

fn bytes(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

#[test]
fn they_do_what_their_ir_says() {
    let launch = Launch { grid: [1; 3], block: [1; 3], dynamic_shared: 0, order: 0 };
    let (mut runs, mut failures) = (0, 0);
    for seed in 0..600 {
        let kernel = random_kernel::kernel(seed);
        let target = common::TARGETS[seed as usize % common::TARGETS.len()];
        let prepared = passes::prepare(&kernel, &Target::Ptx(target)).unwrap();
        let module = common::ptx(&prepared, target);
        for scalars in ARGUMENTS {
            let Some(expected) = observe(&kernel, scalars, FUEL) else { continue };
            let mut memory = Memory::new();
            let (input, output) =
                (memory.alloc(&bytes(&fresh(0))), memory.alloc(&bytes(&fresh(1))));
            let args = packed(&prepared, [input, output], scalars);
            let record =
                run(&module, &prepared, launch, &args, &mut memory).unwrap_or_else(|fault| {
                    panic!("seed {seed}: {fault}\n{}\n{prepared}", module.text)
                });
            let context = || format!("seed {seed}, {scalars:?}\n{}\n{prepared}", module.text);
            assert_eq!(Failure::of(&prepared, &record), expected.failure, "{}", context());
            assert!(
                memory.bytes(output) == bytes(&expected.output),
                "the output differs: {}",
                context()
            );
            runs += 1;
            failures += u32::from(expected.failure.is_some());
        }
    }
    assert!(runs > 1500 && failures > 50, "{runs} runs, {failures} of them fail a check");
}

#[test]
fn they_assemble() {
    for seed in 0..60 {
        let kernel = random_kernel::kernel(seed + (1 << 20));
        let target = common::TARGETS[seed as usize % common::TARGETS.len()];
        let prepared = passes::prepare(&kernel, &Target::Ptx(target)).unwrap();
        common::assemble(&prepared, target);
    }
}
