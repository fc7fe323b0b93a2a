//! Random kernels: prepared, written as PTX and run, they do what their IR says; and the assembler
//! takes all of them. The kernels and the machine that runs the IR are those that test the passes.

mod common;
#[allow(dead_code)]
#[path = "../../kernel-ir/tests/differential/machine.rs"]
mod machine;
#[allow(dead_code)]
#[path = "../../kernel-ir/tests/differential/random.rs"]
mod random;

use common::kernels::inst;
use kernelsmith_codegen_ptx::emulator::{Launch, Memory, run};
use kernelsmith_ir::attr::{Attr, Const};
use kernelsmith_ir::check::ErrorRecord;
use kernelsmith_ir::{Kernel, Opcode, Region, Scalar, Space, Target, Type, passes};
use machine::{Event, observe};

/// Elements of the input and output array.
const LEN: u64 = 64;

/// Instructions after which a thread counts as endless.
const FUEL: u32 = 20_000;

const ARGUMENTS: &[[u64; 4]] =
    &[[0, 0, 0, 0], [3, 2, u64::MAX, 0], [7, 16, 1, 1], [4, 5, 1 << 33, 0]];

/// Keeps every index into global memory below [`LEN`]: memory has an end here.
fn bound(kernel: &mut Kernel) {
    let mut body = std::mem::take(&mut kernel.body);
    bound_in(kernel, &mut body);
    kernel.body = body;
}

fn bound_in(kernel: &mut Kernel, region: &mut Region) {
    let mut insts = Vec::new();
    for mut i in std::mem::take(&mut region.insts) {
        i.regions.iter_mut().for_each(|r| bound_in(kernel, r));
        if i.op == Opcode::PtrAdd && matches!(kernel.ty(i.operands[0]), Type::Ptr(Space::Global, _))
        {
            let (mask, index) = (kernel.new_value(Type::U64), kernel.new_value(Type::U64));
            let below = Attr::Const(Const::new(Scalar::U64, LEN - 1));
            insts.push(inst(Opcode::Const, below, &[], &[mask]));
            insts.push(inst(Opcode::And, Attr::None, &[i.operands[1], mask], &[index]));
            i.operands[1] = index;
        }
        insts.push(i);
    }
    region.insts = insts;
}

/// What the machine finds at an address nobody wrote.
fn fresh(param: u64) -> Vec<u64> {
    (0..LEN).map(|i| i.wrapping_mul(0x9e37_79b9) ^ param).collect()
}

fn bytes(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

/// The output array and the failure, by the IR.
fn expected(events: &[Event]) -> (Vec<u64>, Option<String>) {
    let mut output = fresh(1);
    let mut failure = None;
    for event in events {
        match event {
            Event::Store { offset, bits } => output[*offset as usize] = *bits,
            Event::Failed(what) => failure = Some(what.clone()),
            Event::Endless => unreachable!("endless kernels are not run"),
        }
    }
    (output, failure)
}

fn failure(kernel: &Kernel, record: &ErrorRecord) -> Option<String> {
    if record.state == 0 {
        return None;
    }
    let info = &kernel.checks()[record.check as usize];
    let numbers = match info.kind {
        kernelsmith_ir::attr::CheckKind::Bounds => vec![record.index, record.len],
        _ => vec![],
    };
    Some(format!("{:?} {numbers:?}", Attr::Check(info.kind, None)))
}

fn packed(kernel: &Kernel, pointers: [u64; 2], scalars: [u64; 4]) -> Vec<u8> {
    let (offsets, size) = kernel.param_layout();
    let mut args = vec![0; size as usize];
    let values = pointers.into_iter().chain(scalars);
    for ((param, offset), value) in kernel.params.iter().zip(offsets).zip(values) {
        let (at, size) = (offset as usize, kernel.ty(param.value).size() as usize);
        let value = if kernel.ty(param.value) == Type::BOOL { value & 1 } else { value };
        args[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
    }
    args
}

#[test]
fn they_do_what_their_ir_says() {
    let launch = Launch { grid: [1; 3], block: [1; 3], dynamic_shared: 0, order: 0 };
    let (mut runs, mut failures) = (0, 0);
    for seed in 0..600 {
        let mut kernel = random::kernel(seed);
        bound(&mut kernel);
        let target = common::TARGETS[seed as usize % common::TARGETS.len()];
        let prepared = passes::prepare(&kernel, &Target::Ptx(target)).unwrap();
        let module = common::ptx(&prepared, target);
        for &scalars in ARGUMENTS {
            let events = observe(&kernel, &scalars, FUEL);
            if events == [Event::Endless] {
                continue;
            }
            let mut memory = Memory::new();
            let (input, output) =
                (memory.alloc(&bytes(&fresh(0))), memory.alloc(&bytes(&fresh(1))));
            let args = packed(&prepared, [input, output], scalars);
            let record =
                run(&module, &prepared, launch, &args, &mut memory).unwrap_or_else(|fault| {
                    panic!("seed {seed}: {fault}\n{}\n{prepared}", module.text)
                });
            let (words, failed) = expected(&events);
            let context = || format!("seed {seed}, {scalars:?}\n{}\n{prepared}", module.text);
            assert_eq!(failure(&prepared, &record), failed, "{}", context());
            assert!(memory.bytes(output) == bytes(&words), "the output differs: {}", context());
            runs += 1;
            failures += u32::from(failed.is_some());
        }
    }
    assert!(runs > 1500 && failures > 50, "{runs} runs, {failures} of them fail a check");
}

#[test]
fn they_assemble() {
    for seed in 0..60 {
        let kernel = random::kernel(seed + (1 << 20));
        let target = common::TARGETS[seed as usize % common::TARGETS.len()];
        let prepared = passes::prepare(&kernel, &Target::Ptx(target)).unwrap();
        common::assemble(&prepared, target);
    }
}
