//! Random kernels, each lane with arguments of its own: every lane does what a thread alone would.
//!
//! The kernels, and how the interpreter runs them a thread at a time, are those that test the passes
//! (`kernel-ir/tests/differential`). Here their arguments come from arrays, some the same for all
//! lanes, some not, so that one kernel shows both uniform and divergent control flow.

use kernelsmith_ir::attr::{Attr, CacheHint, Const, Dim};
use kernelsmith_ir::check::ErrorRecord;
use kernelsmith_ir::{Inst, Kernel, Loc, Opcode, Param, ParamKind, Scalar, Space, Type, Value};

use crate::harness::{Array, Compiled, Rng, build, isas, prepare};
use crate::machine::{Done, Failure, fresh, observe};
use crate::random_kernel::LEN;

/// Steps after which a thread counts as endless.
const FUEL: u64 = 4_000;

/// The values that lanes choose their arguments from.
const ARGUMENTS: [[u64; 6]; 4] = [
    [0, 1, 2, 3, 5, 40],
    [0, 1, 2, 4, 16, 1 << 33],
    [0, 1, 5, u64::MAX, 1 << 31, 77],
    [0, 1, 0, 1, 1, 0],
];

fn inst(op: Opcode, attr: Attr, operands: &[Value], results: &[Value]) -> Inst {
    let (operands, results) = (operands.to_vec(), results.to_vec());
    Inst { op, attr, operands, results, regions: Vec::new(), loc: Loc::NONE }
}

/// The same kernel for many threads: each writes its own part of the output, and scalar arguments
/// come from arrays, at the thread's place where `varying` has the argument's bit, else at 0.
fn for_threads(mut kernel: Kernel, varying: u64) -> Kernel {
    let mut head = Vec::new();
    let thread = kernel.new_value(Type::U32);
    head.push(inst(Opcode::ThreadIdx, Attr::Dim(Dim::X), &[], &[thread]));
    let constant = |kernel: &mut Kernel, head: &mut Vec<Inst>, x: u64| {
        let value = kernel.new_value(Type::U32);
        let attr = Attr::Const(Const::new(Scalar::U32, x));
        head.push(inst(Opcode::Const, attr, &[], &[value]));
        value
    };
    let zero = constant(&mut kernel, &mut head, 0);
    let len = constant(&mut kernel, &mut head, LEN);
    let start = kernel.new_value(Type::U32);
    head.push(inst(Opcode::Mul, Attr::None, &[thread, len], &[start]));
    let mut scalars = 0;
    for i in 0..kernel.params.len() {
        let Param { value, kind, .. } = kernel.params[i].clone();
        let ty = kernel.ty(value);
        if kind == ParamKind::ReadOnly {
            continue;
        }
        let (index, base_type) = match ty {
            Type::Ptr(..) => (start, ty),
            _ if varying >> scalars & 1 == 1 => (thread, Type::Ptr(Space::Global, ty.elem())),
            _ => (zero, Type::Ptr(Space::Global, ty.elem())),
        };
        let base = kernel.new_value(base_type);
        kernel.params[i].value = base;
        if ty.is_ptr() {
            head.push(inst(Opcode::PtrAdd, Attr::None, &[base, index], &[value]));
            continue;
        }
        scalars += 1;
        kernel.params[i].kind = ParamKind::ReadOnly;
        let at = kernel.new_value(base_type);
        head.push(inst(Opcode::PtrAdd, Attr::None, &[base, index], &[at]));
        let attr = Attr::Mem { align: ty.size(), cache: CacheHint::Normal };
        head.push(inst(Opcode::Load, attr, &[at], &[value]));
    }
    head.append(&mut kernel.body.insts);
    kernel.body.insts = head;
    kernel
}

/// A thread's arguments and what it does with them.
struct Thread {
    arguments: [u64; 4],
    does: Done,
}

/// Runs the kernel with random arguments until there are enough threads that end.
fn threads(kernel: &Kernel, varying: u64, rng: &mut Rng) -> Vec<Thread> {
    let choose = |rng: &mut Rng| ARGUMENTS.map(|from| from[(rng.next() % 6) as usize]);
    let same = choose(rng);
    let mut found = Vec::new();
    for _ in 0..12 {
        let own = choose(rng);
        let arguments = [0, 1, 2, 3].map(|k| if varying >> k & 1 == 1 { own[k] } else { same[k] });
        if let Some(does) = observe(kernel, &arguments, FUEL) {
            found.push(Thread { arguments, does });
        }
    }
    found
}

/// One launch of one block; the output, and the record of a failing check.
fn launch(compiled: &Compiled, lanes: &[&Thread]) -> (Array, ErrorRecord) {
    let mut input = Array::of(Scalar::U64, fresh(0));
    let mut output = Array::of(Scalar::U64, lanes.iter().flat_map(|_| fresh(1)));
    let types = [Scalar::U64, Scalar::U64, Scalar::I32, Scalar::Bool];
    let mut arguments =
        [0, 1, 2, 3].map(|k| Array::of(types[k], lanes.iter().map(|t| t.arguments[k])));
    let mut args = vec![input.address(), output.address()];
    args.extend(arguments.iter_mut().map(Array::address));
    let record = compiled.run([1; 3], &args);
    (output, record)
}

fn try_kernel(seed: u64, count: &mut [u32; 2]) {
    let mut rng = Rng(seed);
    // Each argument varies half of the time; never none, which one thread tests as well.
    let varying = [15, 1 + rng.next() % 15][(seed % 2) as usize];
    let kernel = crate::random_kernel::kernel(seed);
    let found = threads(&kernel, varying, &mut rng);
    let (failing, good): (Vec<&Thread>, Vec<&Thread>) =
        found.iter().partition(|t| t.does.failure.is_some());
    if good.is_empty() {
        return;
    }
    let prepared = prepare(&for_threads(kernel, varying));
    let all = isas();
    // One instruction set a kernel: code differs little before LLVM, and this many kernels
    // meet each.
    let isa = all[(seed / 4) as usize % all.len()];
    let size = [32, 33, 70, 20][(seed % 4) as usize];
    let compiled = build(&prepared, [size, 1, 1], isa);
    let mut lanes: Vec<&Thread> =
        (0..size).map(|_| good[rng.next() as usize % good.len()]).collect();
    let context = || format!("seed {seed}, {isa:?}, {size} threads\n{prepared}");
    let (output, record) = launch(&compiled, &lanes);
    assert_eq!(record, ErrorRecord::default(), "{}", context());
    for (i, thread) in lanes.iter().enumerate() {
        let part: Vec<u64> = (0..LEN as usize).map(|k| output.get(i * 64 + k).bits).collect();
        assert_eq!(part, thread.does.output, "lane {i}, {:?}: {}", thread.arguments, context());
    }
    count[0] += 1;
    // One that fails among those that do not is found, whichever lane it is.
    if let Some(thread) = failing.first() {
        let at = rng.next() as usize % lanes.len();
        lanes[at] = thread;
        let (_, record) = launch(&compiled, &lanes);
        assert_eq!((record.state, record.block), (1, [0; 3]), "{}", context());
        assert_eq!(record.thread, [at as u32, 0, 0], "{}", context());
        let found = Failure::of(&prepared, &record);
        assert_eq!(found.as_ref(), thread.does.failure.as_ref(), "{}", context());
        count[1] += 1;
    }
}

#[test]
fn every_lane_does_what_a_thread_does() {
    let seeds = match std::env::var("KERNELSMITH_TEST_SEEDS") {
        Ok(n) => n.parse().expect("KERNELSMITH_TEST_SEEDS is a number"),
        Err(_) => 200,
    };
    let mut count = [0; 2];
    (0..seeds).for_each(|seed| try_kernel(seed, &mut count));
    let [ran, failed] = count.map(u64::from);
    assert!(ran * 2 > seeds && failed * 20 > seeds, "{ran} ran, {failed} failed of {seeds}");
}
