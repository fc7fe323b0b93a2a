//! Loads and stores in every form of address, of every type, in every address space.

use kernelsmith_ir::attr::{Attr, Const, Order, Scope};
use kernelsmith_ir::{Kernel, Opcode, Scalar, Type, Value, parse};

use crate::harness::{Array, Make, Rng, build, isas, prepare};

const THREADS: usize = 70;

fn random(elem: Scalar, len: usize, seed: u64) -> Array {
    let mut rng = Rng(seed);
    Array::of(elem, (0..len).map(|_| rng.next()))
}

/// Threads' vectors through a loop whose length is each lane's own, across a barrier, and merged by
/// a condition: even threads find theirs turned by their number, odd ones as it was.
fn travelling(elem: Scalar) -> Kernel {
    let size = elem.size();
    let text = format!(
        "kernel @travelling_{elem}(%0 \"x\": ptr<global, {elem}> readonly, \
         %1 \"y\": ptr<global, {elem}> exclusive) {{
  %2: u32 = thread_idx[x]
  %3: u32 = const[u32 3]
  %4: u32 = mul %2, %3
  %5: ptr<global, {elem}> = ptr_add %0, %4
  %6: <3 x {elem}> = load[align {size}] %5
  %7: u32 = const[u32 0]
  %8: <3 x {elem}> = for[$0] %7, %2, %6 {{ |%9: u32, %10: <3 x {elem}>|
    %11: {elem} = vec_extract[0] %10
    %12: {elem} = vec_extract[1] %10
    %13: {elem} = vec_extract[2] %10
    %14: <3 x {elem}> = vec_make %12, %13, %11
    continue[$0] %14
  }}
  barrier
  %15: u32 = const[u32 1]
  %16: u32 = and %2, %15
  %17: bool = eq %16, %7
  %18: ptr<global, {elem}> = ptr_add %1, %4
  %19: <3 x {elem}> = if %17 {{
    store[align {size}] %18, %6
    yield %8
  }} {{
    yield %6
  }}
  store[align {size}] %18, %19
  return
}}
"
    );
    prepare(&parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}")))
}

#[test]
fn vectors_cross_loops_branches_and_barriers() {
    for elem in Scalar::ALL {
        let kernel = travelling(elem);
        for isa in isas() {
            for threads in [20, THREADS] {
                let compiled = build(&kernel, [threads as u32, 1, 1], isa);
                let mut x = random(elem, 3 * threads, 1);
                let mut y = Array::new(elem, 3 * threads);
                compiled.run_well([1; 3], &[x.address(), y.address()]);
                for i in 0..threads {
                    for k in 0..3 {
                        let from = if i % 2 == 0 { (k + i) % 3 } else { k };
                        let (found, expected) = (y.get(3 * i + k), x.get(3 * i + from));
                        assert_eq!(found, expected, "{isa:?}, {threads}: {elem}, {i}, {k}");
                    }
                }
            }
        }
    }
}

fn shared_or_local(m: &mut Make, elem: Scalar, len: u32, shared: bool) -> Value {
    if shared {
        let id = m.0.shared("tile", elem, Some(len), 16);
        let ty = m.0.kernel().shared_type(id);
        return m.0.emit1(Opcode::SharedAddr, Attr::Shared(id), &[], ty);
    }
    let id = m.0.local(elem, len);
    let ty = m.0.kernel().local_type(id);
    m.0.emit1(Opcode::LocalAddr, Attr::Local(id), &[], ty)
}

/// Where an element of a thread comes from.
type Source = Box<dyn Fn(usize, usize) -> usize>;

/// Each address form, one output each: consecutive, backwards, strided, by an index from memory,
/// one place for all; through shared and local memory; scalars and vectors.
struct Forms {
    kernel: Kernel,
    /// For each output: its elements a thread, and where element `k` of thread `i` comes from.
    sources: Vec<(u32, Source)>,
}

fn forms(elem: Scalar) -> Forms {
    let mut m = Make::new(&format!("forms_{elem}"));
    let (x, index) = (m.input("x", elem), m.input("index", Scalar::U32));
    let thread = m.id(Opcode::ThreadIdx, kernelsmith_ir::attr::Dim::X);
    let [one, four, seven, last] = [1, 4, 7, THREADS as u32 - 1].map(|n| m.u32(n));
    let backwards = m.op(Opcode::Sub, &[last, thread]);
    let strided = m.op(Opcode::Mul, &[thread, four]);
    let gathered = m.load_at(index, thread);
    let mut sources: Vec<(u32, Source)> = Vec::new();
    let shapes: [Type; 2] = [elem.into(), Type::Vector(elem, 3)];
    let scattered = |m: &mut Make, value: Value| {
        let out = m.output("out", elem);
        let lanes = m.ty(value).lanes();
        let lanes = m.u32(lanes);
        let at = m.op(Opcode::Mul, &[thread, lanes]);
        m.store_at(out, at, value);
    };
    for ty in shapes {
        let n = ty.lanes();
        for (at, of) in [
            (thread, (|i| i) as fn(usize) -> usize),
            (backwards, |i| THREADS - 1 - i),
            (strided, |i| 4 * i),
            (gathered, |i| 11 * i % 64),
            (seven, |_| 7),
        ] {
            let value = m.load_as(x, at, ty);
            scattered(&mut m, value);
            sources.push((n, Box::new(move |i, k| of(i) + k)));
        }
        // A window of a local array at a place of the lane's own, and at one for all.
        let local = shared_or_local(&mut m, elem, 16, false);
        for k in 0..16 {
            let (from, to) = (m.u32(k), m.u32(k));
            let from = m.op(Opcode::Add, &[thread, from]);
            let value = m.load_at(x, from);
            m.store_at(local, to, value);
        }
        let mask = m.op(Opcode::And, &[gathered, seven]);
        for (at, of) in [(mask, (|i| 11 * i % 64 % 8) as fn(usize) -> usize), (one, |_| 1)] {
            let value = m.load_as(local, at, ty);
            scattered(&mut m, value);
            sources.push((n, Box::new(move |i, k| i + of(i) + k)));
        }
    }
    let tile = shared_or_local(&mut m, elem, THREADS as u32, true);
    let value = m.load_at(x, thread);
    m.store_at(tile, backwards, value);
    m.0.emit(Opcode::Barrier, Attr::None, &[], &[]);
    let fence = Attr::Fence { order: Order::AcqRel, scope: Scope::Block };
    m.0.emit(Opcode::Fence, fence, &[], &[]);
    m.0.emit(Opcode::Prefetch, Attr::None, &[x], &[]);
    let value = m.load_at(tile, thread);
    scattered(&mut m, value);
    sources.push((1, Box::new(|i, _| THREADS - 1 - i)));
    Forms { kernel: prepare(&m.finish()), sources }
}

#[test]
fn every_form_of_address() {
    use Scalar::{BF16, Bool, E5M2, F16, F32, F64, I64};
    for (number, elem) in [Bool, E5M2, F16, BF16, F32, F64, I64].into_iter().enumerate() {
        let Forms { kernel, sources } = forms(elem);
        // Gathers are long code: two instruction sets for each type, all four for each form.
        for isa in isas().into_iter().skip(number % 2).step_by(2) {
            let compiled = build(&kernel, [THREADS as u32, 1, 1], isa);
            let mut x = random(elem, 5 * THREADS, 2);
            let mut index = Array::of(Scalar::U32, (0..THREADS as u64).map(|i| 11 * i % 64));
            let mut outs: Vec<Array> =
                sources.iter().map(|(n, _)| Array::new(elem, THREADS * *n as usize)).collect();
            let mut args = vec![x.address(), index.address()];
            args.extend(outs.iter_mut().map(Array::address));
            compiled.run_well([1; 3], &args);
            for (which, ((n, from), out)) in sources.iter().zip(&outs).enumerate() {
                let n = *n as usize;
                for (i, k) in (0..THREADS).flat_map(|i| (0..n).map(move |k| (i, k))) {
                    let (found, expected) = (out.get(n * i + k), x.get(from(i, k)));
                    assert_eq!(found, expected, "{isa:?}: {elem}, output {which}, {i}, {k}");
                }
            }
        }
    }
}

/// Copies that a GPU makes beside its work are made at once here.
#[test]
fn asynchronous_copies() {
    for bytes in [4u32, 8, 16] {
        let mut m = Make::new("copies");
        let x = m.input("x", Scalar::U8);
        let out = m.output("out", Scalar::U8);
        let tile = shared_or_local(&mut m, Scalar::U8, 1024, true);
        let thread = m.global_id();
        let size = m.u32(bytes);
        let at = m.op(Opcode::Mul, &[thread, size]);
        let (to, from) = (m.0.ptr_add(tile, at), m.0.ptr_add(x, at));
        m.0.emit(Opcode::CpAsync, Attr::Count(bytes), &[to, from], &[]);
        m.0.emit(Opcode::CpAsyncCommit, Attr::None, &[], &[]);
        m.0.emit(Opcode::CpAsyncWait, Attr::Count(0), &[], &[]);
        m.0.emit(Opcode::Barrier, Attr::None, &[], &[]);
        let value = m.load_as(tile, at, Type::Vector(Scalar::U8, 4));
        m.store_at(out, at, value);
        let kernel = prepare(&m.finish());
        for isa in isas() {
            let len = 50 * bytes as usize;
            let (mut x, mut out) = (random(Scalar::U8, len, 4), Array::new(Scalar::U8, len));
            build(&kernel, [50, 1, 1], isa).run_well([1; 3], &[x.address(), out.address()]);
            for i in (0..len).filter(|i| i % (bytes as usize) < 4) {
                assert_eq!(out.get(i), x.get(i), "{isa:?}, {bytes} bytes, {i}");
            }
        }
    }
}

/// Dynamic shared memory begins behind the static arrays.
#[test]
fn dynamic_shared_memory() {
    let mut m = Make::new("dynamic");
    let out = m.output("out", Scalar::U32);
    let fixed = shared_or_local(&mut m, Scalar::U32, 3, true);
    let id = m.0.shared("dynamic", Scalar::U32, None, 16);
    let ty = m.0.kernel().shared_type(id);
    let dynamic = m.0.emit1(Opcode::SharedAddr, Attr::Shared(id), &[], ty);
    let thread = m.global_id();
    let zero = m.0.constant(Const::int(Scalar::U32, 0));
    m.store_at(fixed, zero, zero);
    let square = m.op(Opcode::Mul, &[thread, thread]);
    m.store_at(dynamic, thread, square);
    m.0.emit(Opcode::Barrier, Attr::None, &[], &[]);
    let value = m.load_at(dynamic, thread);
    m.store_at(out, thread, value);
    let kernel = prepare(&m.finish());
    for isa in isas() {
        let mut out = Array::new(Scalar::U32, 100);
        let record = build(&kernel, [100, 1, 1], isa).run_with([1; 3], &[out.address()], 400);
        assert_eq!(record.state, 0);
        (0..100).for_each(|i| assert_eq!(out.get(i).bits as usize, i * i, "{isa:?}"));
    }
}
