//! What the text does, run by the emulator and compared with the IR's own meaning.

mod common;

use common::kernels::{self, Make};
use common::sm;
use kernelsmith_codegen_ptx::emulator::{Launch, Memory, run};
use kernelsmith_ir::attr::{AtomicOp, Attr, Const, Dim, Order, ReduceOp, Scope};
use kernelsmith_ir::check::ErrorRecord;
use kernelsmith_ir::eval::{eval, reference};
use kernelsmith_ir::op::{Signature, TABLE};
use kernelsmith_ir::target::Ptx;
use kernelsmith_ir::{Kernel, Opcode, Scalar, Type, Value};

const NUMBERS: [Scalar; 12] = {
    use Scalar::*;
    [I8, I16, I32, I64, U8, U16, U32, U64, F16, BF16, F32, F64]
};

fn block(threads: u32) -> Launch {
    Launch { grid: [1; 3], block: [threads, 1, 1], dynamic_shared: 0, order: 1 }
}

/// Runs a kernel on arrays; returns their bytes afterwards.
fn launch(
    kernel: &Kernel,
    target: Ptx,
    launch: Launch,
    args: &[Vec<u8>],
) -> (Vec<Vec<u8>>, ErrorRecord) {
    let module = common::ptx(kernel, target);
    let mut memory = Memory::new();
    let (offsets, size) = kernel.param_layout();
    let mut packed = vec![0; size as usize];
    let mut at = Vec::new();
    for ((param, offset), bytes) in kernel.params.iter().zip(offsets).zip(args) {
        let offset = offset as usize;
        if kernel.ty(param.value).is_ptr() {
            let address = memory.alloc(bytes);
            packed[offset..offset + 8].copy_from_slice(&address.to_le_bytes());
            at.push(Some(address));
        } else {
            packed[offset..offset + bytes.len()].copy_from_slice(bytes);
            at.push(None);
        }
    }
    let record = run(&module, kernel, launch, &packed, &mut memory)
        .unwrap_or_else(|fault| panic!("{fault}\n{}\n{kernel}", module.text));
    let after = at.iter().zip(args).map(|(at, bytes)| match at {
        Some(at) => memory.bytes(*at).to_vec(),
        None => bytes.clone(),
    });
    (after.collect(), record)
}

fn to_bytes(values: &[Const]) -> Vec<u8> {
    let bytes = values.iter().flat_map(|c| c.bits.to_le_bytes()[..c.ty.size() as usize].to_vec());
    bytes.collect()
}

fn of_bytes(ty: Scalar, bytes: &[u8]) -> Vec<Const> {
    let word = |chunk: &[u8]| chunk.iter().rev().fold(0, |all, b| all << 8 | u64::from(*b));
    bytes.chunks(ty.size() as usize).map(|chunk| Const::new(ty, word(chunk))).collect()
}

/// Values at which operations differ, and some that are nowhere special.
fn samples(ty: Scalar) -> Vec<Const> {
    if ty == Scalar::Bool {
        return vec![Const::bool(false), Const::bool(true)];
    }
    if ty.is_int() {
        let low = [0, 1, 2, 3, 5, 7, 31, 32, 63, 64, 100, 127, 128, 255, 300, 12345];
        let wide =
            [32767, 65535, 40000, 0x7FFF_FFFF, 0xFFFF_FFFF, 0x1234_5678_9ABC_DEF0, i128::MAX];
        return low
            .into_iter()
            .chain(wide)
            .flat_map(|x| [x, -x, !x])
            .map(|x| Const::int(ty, x))
            .collect();
    }
    if matches!(ty, Scalar::E4M3 | Scalar::E5M2) {
        return (0..256).map(|code| Const::new(ty, code)).collect();
    }
    let finite = [0.0, 0.5, 1.0, 1.5, 2.5, 3.7, 100.25, 127.5, 255.9, 300.0, 40000.0, 65504.0, 1e5];
    let wide = [3e9, 1e19, 1e30, 3e38, 1e-5, 6e-8, 1e-40, 0.1, 1.0 / 3.0, f64::INFINITY, f64::NAN];
    let all = finite.into_iter().chain(wide).flat_map(|x| [x, -x]);
    all.map(|x| Const::float(ty, x)).collect()
}

fn same(a: Const, b: Const) -> bool {
    let nan = |c: Const| c.as_f64().is_some_and(f64::is_nan);
    a == b || (nan(a) && nan(b))
}

/// A kernel that applies one operation to element `i` of its inputs.
fn apply(op: Opcode, operands: &[Type], result: Type) -> Kernel {
    let mut m = Make::new("apply");
    let thread = m.id(Opcode::ThreadIdx, Dim::X);
    let at = |m: &mut Make, name: &str, ty: Type| {
        let base = m.output(name, ty.elem());
        let lanes = m.u32(ty.lanes());
        let index = m.op(Opcode::Mul, &[thread, lanes]);
        m.0.ptr_add(base, index)
    };
    let values: Vec<Value> = operands
        .iter()
        .enumerate()
        .map(|(i, ty)| {
            let from = at(&mut m, &format!("x{i}"), *ty);
            m.0.load(from, *ty)
        })
        .collect();
    let value = m.0.emit1(op, Attr::None, &values, result);
    let to = at(&mut m, "y", result);
    m.0.store(to, value);
    m.finish()
}

/// Compares an operation with the reference on all tuples of samples (a part of them for triples).
fn check(op: Opcode, operands: &[Scalar], result: Scalar, lanes: u8, target: Ptx) {
    let mut tuples: Vec<Vec<Const>> = vec![Vec::new()];
    for ty in operands {
        let mut samples = samples(*ty);
        if operands.len() == 3 {
            samples = samples.into_iter().step_by(2).collect();
        }
        tuples = tuples
            .iter()
            .flat_map(|t| samples.iter().map(|s| [t.clone(), vec![*s]].concat()))
            .collect();
    }
    let mut cases: Vec<(Vec<Const>, Const)> =
        tuples.into_iter().filter_map(|t| Some((t.clone(), reference(op, &t, result)?))).collect();
    assert!(!cases.is_empty(), "{} {operands:?}", op.name());
    while !cases.len().is_multiple_of(usize::from(lanes)) {
        cases.push(cases[0].clone());
    }
    let shape = |ty: Scalar| if lanes == 1 { ty.into() } else { Type::Vector(ty, lanes) };
    let types: Vec<Type> = operands.iter().map(|t| shape(*t)).collect();
    let kernel = apply(op, &types, shape(result));
    let mut args: Vec<Vec<u8>> = (0..operands.len())
        .map(|i| to_bytes(&cases.iter().map(|(t, _)| t[i]).collect::<Vec<_>>()))
        .collect();
    args.push(vec![0xEE; cases.len() * result.size() as usize]);
    let threads = cases.len() as u32 / u32::from(lanes);
    let (after, _) = launch(&kernel, target, block(threads), &args);
    for ((operands, expected), got) in cases.iter().zip(of_bytes(result, after.last().unwrap())) {
        let context = format!("{} on {target:?} x {lanes} of {operands:?}", op.name());
        assert!(same(*expected, got), "{context}: {expected:?} but {got:?}");
    }
}

/// Whether `eval` knows the operation on a type.
fn is_exact(op: Opcode, ty: Scalar) -> bool {
    use Opcode::*;
    let inexact =
        matches!(op, Rsqrt | Exp | Exp2 | Log | Log2 | Sin | Cos | Tanh | Erf | Pow | Exp2Fast);
    // A float's remainder is expanded before code is generated, and `agreed` is taken out.
    !(inexact || op == Agreed || op == Rem && ty.is_float())
}

#[test]
fn elementwise_operations_are_the_irs() {
    use kernelsmith_ir::op::Class;
    let is_in = |class: Class, ty: Scalar| match class {
        Class::Int => ty.is_int(),
        Class::Float => ty.is_float(),
        Class::Signed => ty.is_signed() || ty.is_float(),
        Class::Bits => ty.is_int() || ty == Scalar::Bool,
        Class::Num => ty.is_num(),
        Class::Any => true,
    };
    for ty in NUMBERS.into_iter().chain([Scalar::Bool]) {
        for row in TABLE.iter().filter(|row| is_exact(row.op, ty)) {
            let (operands, result, vectors): (Vec<Scalar>, Scalar, bool) = match row.signature {
                Signature::Unary(c) if is_in(c, ty) => (vec![ty], ty, true),
                Signature::Binary(c) if is_in(c, ty) => (vec![ty; 2], ty, true),
                Signature::Ternary(c) if is_in(c, ty) => (vec![ty; 3], ty, true),
                Signature::Shift if ty.is_int() => (vec![ty, Scalar::U32], ty, true),
                Signature::Compare(c) if is_in(c, ty) => (vec![ty; 2], Scalar::Bool, false),
                Signature::Count(c) if is_in(c, ty) => (vec![ty], Scalar::U32, false),
                Signature::Select => (vec![Scalar::Bool, ty, ty], ty, false),
                _ => continue,
            };
            check(row.op, &operands, result, 1, sm(90, true));
            if vectors {
                check(row.op, &operands, result, 3, sm(90, true));
                check(row.op, &operands, result, 4, sm(75, false));
            }
        }
    }
}

/// Element `i` of the numbers by each of the divisors, which the kernel has as constants.
fn by_constants(op: Opcode, ty: Scalar, divisors: &[Const]) -> Kernel {
    let mut m = Make::new("by_constants");
    let x = m.input("x", ty);
    let thread = m.id(Opcode::ThreadIdx, Dim::X);
    let from = m.0.ptr_add(x, thread);
    let number = m.0.load(from, ty.into());
    for (i, &divisor) in divisors.iter().enumerate() {
        let divisor = m.0.constant(divisor);
        let result = m.op(op, &[number, divisor]);
        let y = m.output(&format!("y{i}"), ty);
        let to = m.0.ptr_add(y, thread);
        m.0.store(to, result);
    }
    m.finish()
}

#[test]
fn quotients_by_constants_are_the_irs() {
    for ty in NUMBERS.into_iter().filter(|ty| ty.is_int()) {
        let more = [6, 10, 11, 14, 25, 28, 60, 125, 641, 1000, 65537, 1 << 40 | 1];
        let more = more.into_iter().flat_map(|x| [x, -x]).map(|x| Const::int(ty, x));
        let mut divisors: Vec<Const> = samples(ty).into_iter().chain(more).collect();
        divisors.retain(|x| x.as_int() != 0);
        divisors.sort_by_key(|x| x.as_int());
        divisors.dedup();
        // Besides the samples, what lies around their multiples, where a quotient that is off by one shows.
        let most = Const::int(ty, if ty.is_signed() { i128::MAX } else { -1 }).as_int();
        let most = if ty.is_signed() { (1 << (ty.bits() - 1)) - 1 } else { most };
        let multiples = divisors.iter().map(|d| most / d.as_int() * d.as_int());
        let near = multiples.flat_map(|n| [n - 1, n, n + 1, 1 - n]);
        let mut numbers = samples(ty);
        numbers.extend(near.map(|n| Const::int(ty, n)));
        for op in [Opcode::Div, Opcode::Rem] {
            for part in divisors.chunks(20) {
                let kernel = by_constants(op, ty, part);
                let mut args = vec![to_bytes(&numbers)];
                args.extend(part.iter().map(|_| vec![0xEE; numbers.len() * ty.size() as usize]));
                let (after, _) = launch(&kernel, sm(90, true), block(numbers.len() as u32), &args);
                for (divisor, found) in part.iter().zip(&after[1..]) {
                    for (number, found) in numbers.iter().zip(of_bytes(ty, found)) {
                        // Not of the least number by -1, at which a check ends the thread.
                        let Some(expected) = reference(op, &[*number, *divisor], ty) else {
                            continue;
                        };
                        assert_eq!(found, expected, "{} of {number:?} by {divisor:?}", op.name());
                    }
                }
            }
        }
    }
}

#[test]
fn dot_products_are_the_irs() {
    for a in [Scalar::U32, Scalar::I32] {
        for b in [Scalar::U32, Scalar::I32] {
            check(Opcode::Dot4, &[a, b, Scalar::I32], Scalar::I32, 1, sm(75, false));
        }
    }
    let operands = [Scalar::U32, Scalar::U32, Scalar::F32];
    check(Opcode::Dot2, &operands, Scalar::F32, 1, sm(75, false));
}

#[test]
fn casts_are_rusts() {
    for from in NUMBERS.into_iter().chain([Scalar::Bool]) {
        for to in NUMBERS.into_iter().filter(|to| from.is_num() || to.is_int()) {
            for target in [sm(75, false), sm(80, false), sm(90, true)] {
                check(Opcode::Cast, &[from], to, 1, target);
                check(Opcode::Cast, &[from], to, 2, target);
                check(Opcode::Cast, &[from], to, 5, target);
            }
        }
    }
}

#[test]
fn casts_of_8_bit_floats() {
    for ty in [Scalar::E4M3, Scalar::E5M2] {
        for (lanes, target) in [(1, sm(89, false)), (2, sm(90, false)), (5, sm(100, true))] {
            check(Opcode::Cast, &[ty], Scalar::F32, lanes, target);
            check(Opcode::Cast, &[Scalar::F32], ty, lanes, target);
        }
    }
}

#[test]
fn approximations_are_as_close_as_promised() {
    let bits = |x: f64| Const::float(Scalar::F32, x);
    for op in [Opcode::Rsqrt, Opcode::Exp2Fast] {
        let exact = |x: f64| if op == Opcode::Rsqrt { 1.0 / x.sqrt() } else { x.exp2() };
        let inputs = [0.25, 0.5, 1.0, 2.0, 3.0, 7.5, 100.0];
        let args = [to_bytes(&inputs.map(bits)), vec![0; 4 * inputs.len()]];
        let kernel = apply(op, &[Type::F32], Type::F32);
        let (after, _) = launch(&kernel, sm(80, false), block(inputs.len() as u32), &args);
        for (x, got) in inputs.into_iter().zip(of_bytes(Scalar::F32, &after[1])) {
            let (expected, got) = (exact(x), got.as_f64().unwrap());
            assert!((got / expected - 1.0).abs() < 2f64.powi(-21), "{} of {x}: {got}", op.name());
        }
    }
    let kernel = apply(Opcode::Rsqrt, &[Scalar::F64.into()], Scalar::F64.into());
    let args = [to_bytes(&[Const::f64(2.0)]), vec![0; 8]];
    let (after, _) = launch(&kernel, sm(80, false), block(1), &args);
    let got = of_bytes(Scalar::F64, &after[1])[0].as_f64().unwrap();
    assert!((got - 0.5f64.sqrt()).abs() < 2e-16, "{got}");
}

#[test]
fn bitcasts_keep_bytes() {
    let shape = |elem: Scalar, size: u32| match size / elem.size() {
        0 => None,
        1 => Some(Type::Scalar(elem)),
        n => Some(Type::Vector(elem, n as u8)),
    };
    let bytes: Vec<u8> = (0..16u8).map(|i| i.wrapping_mul(37) ^ 0x85).collect();
    for size in [1, 2, 4, 8, 16] {
        let types: Vec<Type> = NUMBERS.into_iter().filter_map(|elem| shape(elem, size)).collect();
        for &from in &types {
            for &to in &types {
                let kernel = apply(Opcode::Bitcast, &[from], to);
                let args = [bytes[..size as usize].to_vec(), vec![0; size as usize]];
                let (after, _) = launch(&kernel, sm(80, false), block(1), &args);
                assert_eq!(after[1], args[0], "{from} to {to}");
            }
        }
    }
}

#[test]
fn lanes_are_made_replaced_and_taken() {
    for elem in NUMBERS {
        let ty = Type::Vector(elem, 7);
        let mut m = Make::new("lanes");
        let (x, y) = (m.output("x", elem), m.output("y", elem));
        let lanes: Vec<Value> = (0..7)
            .map(|i| {
                let i = m.u64(i);
                m.load_at(x, i)
            })
            .collect();
        let mut vector = m.0.emit1(Opcode::VecMake, Attr::None, &lanes, ty);
        // Lanes change places: 0 with 6, 1 with 5, 2 with 4.
        for i in 0..7u8 {
            let lane = lanes[6 - usize::from(i)];
            vector = m.0.emit1(Opcode::VecInsert, Attr::Lane(i), &[vector, lane], ty);
        }
        m.store_aligned(y, vector, elem.size());
        for i in 0..7u8 {
            let lane = m.0.emit1(Opcode::VecExtract, Attr::Lane(i), &[vector], elem.into());
            let at = m.u64(u64::from(i) + 7);
            m.store_at(y, at, lane);
        }
        let values: Vec<Const> = samples(elem).into_iter().take(7).collect();
        let args = [to_bytes(&values), vec![0; 14 * elem.size() as usize]];
        let (after, _) = launch(&m.finish(), sm(80, false), block(1), &args);
        let turned: Vec<Const> = values.into_iter().rev().collect();
        assert_eq!(of_bytes(elem, &after[1]), [turned.clone(), turned].concat(), "{elem}");
    }
}

#[test]
fn saxpy_computes_and_checks() {
    let kernel = kernels::saxpy();
    let floats = |x: &[f32]| x.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    let x: Vec<f32> = (0..100).map(|i| i as f32 * 0.37).collect();
    let y: Vec<f32> = (0..100).map(|i| 5.0 - i as f32).collect();
    let args = |x_len: u64| {
        let len = 100u64.to_le_bytes().to_vec();
        [floats(&[1.5]), floats(&x), x_len.to_le_bytes().to_vec(), floats(&y), len]
    };
    let grid = Launch { grid: [4, 1, 1], ..block(32) };
    let (after, record) = launch(&kernel, sm(90, true), grid, &args(100));
    let expected: Vec<f32> = x.iter().zip(&y).map(|(x, y)| 1.5 * x + y).collect();
    assert_eq!(after[3], floats(&expected));
    assert_eq!(record, ErrorRecord::default());

    let (after, record) = launch(&kernel, sm(90, true), grid, &args(70));
    assert_eq!((record.state, record.check, record.values[1]), (1, 0, 70));
    assert!((70..100).contains(&record.values[0]), "{record:?}");
    let at = u64::from(record.block[0] * 32 + record.thread[0]);
    assert_eq!(at, record.values[0]);
    // The threads whose check holds go on; the others end before they store.
    let kept: Vec<f32> = expected[..70].iter().chain(&y[70..]).copied().collect();
    assert_eq!(after[3], floats(&kept));
}

#[test]
fn loops_carry_swap_and_break() {
    let mut fibonacci = vec![0u64, 1];
    for i in 2..90 {
        fibonacci.push(fibonacci[i - 1] + fibonacci[i - 2]);
    }
    for n in [0u32, 1, 2, 3, 10, 89] {
        let args = [n.to_le_bytes().to_vec(), vec![0; 8]];
        let (after, _) = launch(&kernels::fibonacci(), sm(75, false), block(1), &args);
        assert_eq!(after[1], fibonacci[n as usize].to_le_bytes(), "{n}");
    }
    for (n, divisor) in [(2u32, 2u32), (3, 3), (9, 3), (35, 5), (97, 97)] {
        let args = [n.to_le_bytes().to_vec(), vec![0; 4]];
        let (after, record) = launch(&kernels::first_divisor(), sm(75, false), block(1), &args);
        assert_eq!((after[1].as_slice(), record.state), (&divisor.to_le_bytes()[..], 0), "{n}");
    }
    let args = [1u32.to_le_bytes().to_vec(), vec![0; 4]];
    let (_, record) = launch(&kernels::first_divisor(), sm(75, false), block(1), &args);
    assert_eq!((record.state, record.check), (1, 0));
}

#[test]
fn blocks_sum_through_shared_memory_in_any_order() {
    let values: Vec<f32> = (0..512).map(|i| (i % 17) as f32).collect();
    let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    for order in 0..8 {
        let launched = Launch { grid: [2, 1, 1], order, ..block(256) };
        let args = [bytes.clone(), vec![0; 8]];
        let (after, _) = launch(&kernels::block_sum(), sm(80, false), launched, &args);
        let sums: Vec<u8> =
            values.chunks(256).flat_map(|c| c.iter().sum::<f32>().to_le_bytes()).collect();
        assert_eq!(after[1], sums, "order {order}");
    }
}

/// `old op value` as the IR has it, for one thread after the other.
fn combine(op: AtomicOp, old: Const, value: Const) -> Const {
    let code = match op {
        AtomicOp::Add => Opcode::Add,
        AtomicOp::Sub => Opcode::Sub,
        AtomicOp::Min => Opcode::Min,
        AtomicOp::Max => Opcode::Max,
        AtomicOp::And => Opcode::And,
        AtomicOp::Or => Opcode::Or,
        AtomicOp::Xor => Opcode::Xor,
        AtomicOp::Exchange => return value,
    };
    eval(code, &[old, value], old.ty).unwrap()
}

#[test]
fn atomics_lose_nothing() {
    for elem in NUMBERS {
        for &op in AtomicOp::ALL {
            let bits = matches!(op, AtomicOp::And | AtomicOp::Or | AtomicOp::Xor);
            if elem.is_float() && bits || op == AtomicOp::Exchange {
                continue;
            }
            for used in [false, true] {
                let mut m = Make::new("atomics");
                let (x, out, old) =
                    (m.output("x", elem), m.output("out", elem), m.output("old", elem));
                let thread = m.id(Opcode::ThreadIdx, Dim::X);
                let value = m.load_at(x, thread);
                // The second of four neighbours: the others must not change.
                let one = m.u64(1);
                let at = m.0.ptr_add(out, one);
                let attr = Attr::Atomic { op, order: Order::Relaxed, scope: Scope::Device };
                let was = m.0.emit1(Opcode::AtomicRmw, attr, &[at, value], elem.into());
                if used {
                    m.store_at(old, thread, was);
                }
                let values: Vec<Const> = (0..40u8)
                    .map(|i| match elem.is_int() {
                        true => Const::int(elem, i128::from(i) * 37 - 300),
                        false => Const::float(elem, f64::from(i) - 20.0),
                    })
                    .collect();
                let start: Vec<Const> = values[10..14].to_vec();
                let args = [to_bytes(&values), to_bytes(&start), to_bytes(&values)];
                let (after, _) = launch(&m.finish(), sm(80, false), block(40), &args);
                let expected = values.iter().fold(start[1], |old, v| combine(op, old, *v));
                let expected = [start[0], expected, start[2], start[3]];
                assert_eq!(of_bytes(elem, &after[1]), expected, "{} {elem}", op.name());
            }
        }
    }
}

#[test]
fn compare_and_swap_swaps_once() {
    for elem in NUMBERS {
        let mut m = Make::new("claim");
        let (cell, out) = (m.output("cell", elem), m.output("out", elem));
        let value = |x: u8| {
            if elem.is_int() { Const::int(elem, x.into()) } else { Const::float(elem, x.into()) }
        };
        let (expected, new) = (m.0.constant(value(7)), m.0.constant(value(9)));
        let thread = m.id(Opcode::ThreadIdx, Dim::X);
        let attr =
            Attr::Atomic { op: AtomicOp::Exchange, order: Order::AcqRel, scope: Scope::Device };
        let old = m.0.emit1(Opcode::AtomicCas, attr, &[cell, expected, new], elem.into());
        m.store_at(out, thread, old);
        let args = [to_bytes(&[value(7); 4]), to_bytes(&[value(0); 33])];
        let (after, _) = launch(&m.finish(), sm(80, false), block(33), &args);
        assert_eq!(of_bytes(elem, &after[0]), [value(9), value(7), value(7), value(7)], "{elem}");
        let olds = of_bytes(elem, &after[1]);
        assert_eq!(olds.iter().filter(|o| **o == value(7)).count(), 1, "{elem}");
        assert_eq!(olds.iter().filter(|o| **o == value(9)).count(), 32, "{elem}");
    }
}

/// The lane a shuffle reads.
fn source(op: Opcode, lane: u32, by: u32) -> u32 {
    match op {
        Opcode::ShuffleIdx => by % 32,
        Opcode::ShuffleXor => lane ^ by,
        Opcode::ShuffleUp => lane.checked_sub(by).unwrap_or(lane),
        _ => {
            if lane + by < 32 {
                lane + by
            } else {
                lane
            }
        }
    }
}

#[test]
fn shuffles_read_the_right_lane() {
    use Opcode::{ShuffleDown, ShuffleIdx, ShuffleUp, ShuffleXor};
    for elem in NUMBERS {
        let values: Vec<Const> = samples(elem).into_iter().cycle().take(32).collect();
        for op in [ShuffleIdx, ShuffleXor, ShuffleUp, ShuffleDown] {
            let kernel = apply(op, &[elem.into(), Type::U32], elem.into());
            for by in [0u32, 1, 5, 31, 32, 40] {
                if op == ShuffleXor && by > 31 {
                    continue;
                }
                let distances = vec![Const::int(Scalar::U32, by.into()); 32];
                let args = [to_bytes(&values), to_bytes(&distances), to_bytes(&values)];
                let (after, _) = launch(&kernel, sm(80, false), block(32), &args);
                let expected: Vec<Const> =
                    (0..32).map(|lane| values[source(op, lane, by) as usize]).collect();
                assert_eq!(after[2], to_bytes(&expected), "{} {elem} by {by}", op.name());
            }
        }
    }
}

#[test]
fn reductions_give_every_lane_the_same() {
    for elem in NUMBERS {
        for &op in ReduceOp::ALL {
            if elem.is_float() && matches!(op, ReduceOp::And | ReduceOp::Or | ReduceOp::Xor) {
                continue;
            }
            let mut m = Make::new("reduce");
            let (x, y) = (m.output("x", elem), m.output("y", elem));
            let thread = m.id(Opcode::ThreadIdx, Dim::X);
            let value = m.load_at(x, thread);
            let all = m.0.emit1(Opcode::WarpReduce, Attr::Reduce(op), &[value], elem.into());
            m.store_at(y, thread, all);
            let values: Vec<Const> = (0..32u8)
                .map(|i| match elem.is_int() {
                    true => Const::int(elem, i128::from(i) * 91 - 1000),
                    false => Const::float(elem, f64::from(i) * 0.5 - 3.0),
                })
                .collect();
            let code = Opcode::from_name(op.name()).unwrap();
            let expected =
                values[1..].iter().fold(values[0], |a, b| eval(code, &[a, *b], elem).unwrap());
            let args = [to_bytes(&values), to_bytes(&values)];
            let kernel = m.finish();
            for target in [sm(75, false), sm(80, false), sm(100, true)] {
                let (after, _) = launch(&kernel, target, block(32), &args);
                assert_eq!(of_bytes(elem, &after[1]), [expected; 32], "{} {elem}", op.name());
            }
        }
    }
}

#[test]
fn votes_ask_every_lane() {
    for (op, result) in [
        (Opcode::VoteAll, Scalar::Bool),
        (Opcode::VoteAny, Scalar::Bool),
        (Opcode::Ballot, Scalar::U64),
    ] {
        let kernel = apply(op, &[Type::BOOL], result.into());
        for mask in [0u32, 1, 0x8000_0000, 0xFFFF_FFFF, 0x1234_5678] {
            let bools: Vec<u8> = (0..32).map(|i| (mask >> i & 1) as u8).collect();
            let args = [bools, vec![0; 32 * result.size() as usize]];
            let (after, _) = launch(&kernel, sm(80, false), block(32), &args);
            let expected = match op {
                Opcode::VoteAll => u64::from(mask == u32::MAX),
                Opcode::VoteAny => u64::from(mask != 0),
                _ => mask.into(),
            };
            assert_eq!(of_bytes(result, &after[1]), vec![Const::new(result, expected); 32]);
        }
    }
}

#[test]
fn a_warp_multiplies_matrices() {
    let value = |i: usize, seed: usize| ((i * 7 + seed) % 11) as f64 - 5.0;
    let a: Vec<f64> = (0..16 * 16).map(|i| value(i, 1)).collect();
    let b: Vec<f64> = (0..16 * 8).map(|i| value(i, 4)).collect();
    let halves =
        |x: &[f64]| to_bytes(&x.iter().map(|x| Const::float(Scalar::F16, *x)).collect::<Vec<_>>());
    let args = [halves(&a), halves(&b), vec![0; 16 * 8 * 4]];
    let (after, _) = launch(&kernels::warp_matmul(), sm(80, false), block(32), &args);
    for (i, got) in of_bytes(Scalar::F32, &after[2]).into_iter().enumerate() {
        let (row, column) = (i / 8, i % 8);
        let expected: f64 = (0..16).map(|k| a[row * 16 + k] * b[k * 8 + column]).sum();
        assert_eq!(got.as_f64(), Some(expected), "row {row}, column {column}");
    }
}

/// More shared memory than a module may declare: the launch brings it.
#[test]
fn large_static_shared_memory_becomes_dynamic() {
    let mut m = Make::new("large");
    let out = m.output("out", Scalar::U32);
    let [first, second, dynamic] = [Some(10_000u32), Some(5_000), None].map(|len| {
        let id = m.0.shared("array", Scalar::U32, len, 16);
        let ty = m.0.kernel().shared_type(id);
        m.0.emit1(Opcode::SharedAddr, Attr::Shared(id), &[], ty)
    });
    let thread = m.id(Opcode::ThreadIdx, Dim::X);
    for (array, value) in [(first, 7), (second, 8), (dynamic, 9)] {
        let value = m.u32(value);
        m.store_at(array, thread, value);
    }
    let offset = m.u64(9_999);
    m.store_at(first, offset, thread);
    for (i, array) in [first, second, dynamic].into_iter().enumerate() {
        let value = m.load_at(array, thread);
        let at = m.u64(i as u64);
        m.store_at(out, at, value);
    }
    let kernel = m.finish();
    let module = common::ptx(&kernel, sm(90, true));
    assert_eq!((module.static_shared, module.hidden_dynamic_shared), (0, 60_000));
    common::assemble(&kernel, sm(90, true));
    let launched = Launch { dynamic_shared: 64, ..block(1) };
    let (after, _) = launch(&kernel, sm(90, true), launched, &[vec![0; 12]]);
    assert_eq!(after[0], [7u32, 8, 9].map(u32::to_le_bytes).concat());
    let error = kernelsmith_codegen_ptx::compile(&kernel, sm(120, false));
    assert!(error.is_ok());
}

#[test]
fn too_much_shared_memory_is_an_error() {
    let mut m = Make::new("huge");
    m.0.shared("array", Scalar::F32, Some(60_000), 16);
    let error = kernelsmith_codegen_ptx::compile(&m.finish(), sm(90, true)).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("240000 bytes") && text.contains("232448") && text.contains("sm_90a"),
        "{text}"
    );
}

/// The fragments are where the IR's table says: matrices laid out by it come out as their product.
#[test]
fn matrix_instructions_have_the_irs_fragments() {
    use kernelsmith_ir::mma::{Family, Operand, SHAPES};
    for &shape in SHAPES.iter().filter(|s| s.family == Family::MmaSync) {
        let least = if shape.ab == Scalar::U8 { 0.0 } else { 6.0 };
        let value = |row: u32, column: u32, seed: u32| {
            f64::from((row * 5 + column * 3 + seed) % 13) - least
        };
        let constant = |ty: Scalar, x: f64| match ty {
            Scalar::TF32 => Const::new(ty, (x as f32).to_bits().into()),
            ty if ty.is_int() => Const::int(ty, x as i128),
            ty => Const::float(ty, x),
        };
        let matrix = |operand: Operand, seed: u32| {
            let fragments = (0..32).flat_map(|lane| {
                (0..shape.fragment_len(operand)).map(move |i| {
                    let (row, column) = shape.element(operand, lane, i);
                    constant(shape.scalar(operand), value(row, column, seed))
                })
            });
            to_bytes(&fragments.collect::<Vec<_>>())
        };
        let args = [matrix(Operand::A, 1), matrix(Operand::B, 2), matrix(Operand::C, 3)];
        let (after, _) = launch(&kernels::one_mma(shape), sm(90, false), block(32), &args);
        for (at, got) in of_bytes(shape.cd, &after[2]).into_iter().enumerate() {
            let len = shape.fragment_len(Operand::C) as usize;
            let (row, column) = shape.element(Operand::C, (at / len) as u32, (at % len) as u32);
            let product = (0..shape.k).map(|k| value(row, k, 1) * value(k, column, 2));
            let expected = value(row, column, 3) + product.sum::<f64>();
            let context = format!("{} at row {row}, column {column}", shape.name());
            assert_eq!(got, constant(shape.cd, expected), "{context}");
        }
    }
}
