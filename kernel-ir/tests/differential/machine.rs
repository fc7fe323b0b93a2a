//! Runs one thread of a random kernel by the interpreter, and tells what can be seen from outside.

use kernelsmith_ir::attr::CheckKind;
use kernelsmith_ir::check::ErrorRecord;
use kernelsmith_ir::interp::{FindingKind, Launch, Memory, Program, run};
use kernelsmith_ir::{Kernel, Type};

use crate::random_kernel::LEN;

/// What a thread did.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Done {
    /// The output array afterwards.
    pub(crate) output: Vec<u64>,
    /// The check that failed; the rest was not run.
    pub(crate) failure: Option<Failure>,
}

/// A check that failed, with its index and length if it is one of bounds.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Failure(pub(crate) CheckKind, pub(crate) Vec<u64>);

impl Failure {
    /// What a record says.
    pub(crate) fn of(kernel: &Kernel, record: &ErrorRecord) -> Option<Failure> {
        if record.state == 0 {
            return None;
        }
        let kind = kernel.checks()[record.check as usize].kind;
        let numbers = match kind {
            CheckKind::Bounds => vec![record.values[0], record.values[1]],
            _ => vec![],
        };
        Some(Failure(kind, numbers))
    }
}

/// What the array of a parameter holds before.
pub(crate) fn fresh(param: u64) -> Vec<u64> {
    (0..LEN).map(|i| i.wrapping_mul(0x9e37_79b9) ^ param).collect()
}

fn bytes(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

/// Pointers, then scalars, as the kernel's parameters take them.
pub(crate) fn packed(kernel: &Kernel, pointers: [u64; 2], scalars: &[u64; 4]) -> Vec<u8> {
    let (offsets, size) = kernel.param_layout();
    let mut args = vec![0; size as usize];
    let values = pointers.iter().chain(scalars);
    for ((param, offset), &value) in kernel.params.iter().zip(offsets).zip(values) {
        let (at, size) = (offset as usize, kernel.ty(param.value).size() as usize);
        let value = if kernel.ty(param.value) == Type::BOOL { value & 1 } else { value };
        args[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
    }
    args
}

/// Runs a kernel; nothing if it takes more steps than `fuel`. How far it came then says nothing:
/// passes change how many steps an iteration takes.
///
/// # Panics
/// If the interpreter finds anything: the kernels check their divisors and stay inside their arrays,
/// so a pass that brings an operation before its check is found as well.
pub(crate) fn observe(kernel: &Kernel, arguments: &[u64; 4], fuel: u64) -> Option<Done> {
    let mut memory = Memory::new();
    let pointers = [0, 1].map(|param| {
        let words = bytes(&fresh(param));
        let address = memory.allocate(words.len());
        memory.write(address, &words).expect("just allocated");
        address
    });
    let args = packed(kernel, pointers, arguments);
    let launch = Launch {
        grid: [1; 3],
        block: [1; 3],
        dynamic_shared: 0,
        args: &args,
        extents: &[],
        warp_size: 32,
        seed: 0,
        fuel,
    };
    let outcome = run(&Program::new(kernel), &launch, &mut memory);
    match outcome.findings.first() {
        Some(finding) if finding.kind == FindingKind::Endless => return None,
        Some(finding) => panic!("{finding}\n{kernel}"),
        None => {}
    }
    let mut words = vec![0; 8 * LEN as usize];
    memory.read(pointers[1], &mut words).expect("still there");
    let words = words.chunks(8).map(|w| u64::from_le_bytes(w.try_into().expect("8 bytes")));
    Some(Done { output: words.collect(), failure: Failure::of(kernel, &outcome.record) })
}
