//! Atomic operations, contended by all threads of many blocks.

use kernelsmith_ir::attr::{AtomicOp, Attr, Const, Order, Scope};
use kernelsmith_ir::eval::eval;
use kernelsmith_ir::{Kernel, Opcode, Scalar, Space, Type};

use crate::harness::{Array, Make, build, isas, prepare};
use crate::operations::NUMBERS;

const THREADS: u32 = 70;
const BLOCKS: u32 = 3;

fn defined(elem: Scalar) -> Vec<AtomicOp> {
    let bits = |op: &AtomicOp| matches!(op, AtomicOp::And | AtomicOp::Or | AtomicOp::Xor);
    AtomicOp::ALL.iter().copied().filter(|op| !elem.is_float() || !bits(op)).collect()
}

/// All threads on one place for each operation; each keeps the old value of the addition.
fn contended(elem: Scalar) -> Kernel {
    let mut m = Make::new(&format!("atomics_{elem}"));
    let x = m.input("x", elem);
    let (place, old) = (m.output("place", elem), m.output("old", elem));
    let at = m.global_id();
    let x = m.load_at(x, at);
    for (i, op) in defined(elem).into_iter().enumerate() {
        let order = Order::ALL[i % Order::ALL.len()];
        let index = m.u32(i as u32);
        let place = m.0.ptr_add(place, index);
        let attr = Attr::Atomic { op, order, scope: Scope::Device };
        let before = m.0.emit1(Opcode::AtomicRmw, attr, &[place, x], elem.into());
        if op == AtomicOp::Add {
            m.store_at(old, at, before);
        }
    }
    prepare(&m.finish())
}

fn applied(op: AtomicOp, a: Const, b: Const) -> Const {
    let op = match op {
        AtomicOp::Add => Opcode::Add,
        AtomicOp::Sub => Opcode::Sub,
        AtomicOp::Min => Opcode::Min,
        AtomicOp::Max => Opcode::Max,
        AtomicOp::And => Opcode::And,
        AtomicOp::Or => Opcode::Or,
        AtomicOp::Xor => Opcode::Xor,
        AtomicOp::Exchange => return b,
    };
    eval(op, &[a, b], a.ty).expect("it has a result")
}

/// Whole numbers so small that sums are exact in every type and any order.
#[test]
fn all_operations_of_every_type() {
    let count = (THREADS * BLOCKS) as usize;
    for elem in NUMBERS {
        let kernel = contended(elem);
        let number = |x: i128| match elem.is_float() {
            true => Const::float(elem, x as f64),
            false => Const::int(elem, x),
        };
        let values: Vec<Const> = (0..count)
            .map(|i| number(if elem == Scalar::BF16 { 1 } else { (i % 5) as i128 - 1 }))
            .collect();
        let ops = defined(elem);
        for isa in isas() {
            let compiled = build(&kernel, [THREADS, 1, 1], isa);
            let mut x = Array::of(elem, values.iter().map(|c| c.bits));
            let start = number(3);
            let mut place = Array::of(elem, ops.iter().map(|_| start.bits));
            let mut old = Array::new(elem, count);
            let args = [x.address(), place.address(), old.address()];
            compiled.run_well([BLOCKS, 1, 1], &args);
            for (i, &op) in ops.iter().enumerate() {
                let found = place.get(i);
                if op == AtomicOp::Exchange {
                    assert!(values.contains(&found), "{isa:?}: {elem} {found:?}");
                    continue;
                }
                let expected = values.iter().fold(start, |a, &b| applied(op, a, b));
                assert_eq!(found, expected, "{isa:?}: {} of {elem}", op.name());
            }
            // Each addition began where another ended: old values and sums are the same set.
            let mut befores: Vec<u64> = (0..count).map(|i| old.get(i).bits).collect();
            let mut afters: Vec<u64> =
                (0..count).map(|i| applied(AtomicOp::Add, old.get(i), values[i]).bits).collect();
            befores.push(place.get(0).bits);
            afters.push(start.bits);
            befores.sort_unstable();
            afters.sort_unstable();
            assert_eq!(befores, afters, "{isa:?}: {elem}");
        }
    }
}

/// Under a condition that differs from lane to lane, each with a place of its own, and by
/// compare-and-exchange: only who finds what it expects writes.
#[test]
fn exchanges_under_divergence() {
    for elem in NUMBERS {
        let mut m = Make::new(&format!("exchanges_{elem}"));
        let place = m.output("place", elem);
        let old = m.output("old", elem);
        let (expected, new) = (m.input("expected", elem), m.input("new", elem));
        let at = m.global_id();
        let (two, zero) = (m.u32(2), m.u32(0));
        let odd = m.op(Opcode::Rem, &[at, two]);
        let even = m.0.compare(Opcode::Eq, odd, zero);
        m.0.begin_if(even);
        let [expected, new] = [expected, new].map(|p| m.load_at(p, at));
        let place = m.0.ptr_add(place, at);
        let attr =
            Attr::Atomic { op: AtomicOp::Exchange, order: Order::AcqRel, scope: Scope::System };
        let before = m.0.emit1(Opcode::AtomicCas, attr, &[place, expected, new], elem.into());
        m.store_at(old, at, before);
        m.0.begin_else(&[]);
        m.0.end_if(&[], &[]);
        let kernel = prepare(&m.finish());
        for isa in isas() {
            let compiled = build(&kernel, [50, 1, 1], isa);
            let bits = |i: u64| Const::new(elem, i).bits;
            let mut place = Array::of(elem, (0..50).map(bits));
            let mut expected = Array::of(elem, (0..50).map(|i| bits(i / 4 * 4)));
            let mut new = Array::of(elem, (0..50).map(|i| bits(i + 60)));
            let mut old = Array::new(elem, 50);
            let untouched = old.get(0).bits;
            let args = [place.address(), old.address(), expected.address(), new.address()];
            compiled.run_well([1; 3], &args);
            for i in 0..50 {
                let k = i as usize;
                let swapped = i % 4 == 0;
                let before = if i % 2 == 0 { bits(i) } else { untouched };
                assert_eq!(place.get(k).bits, bits(if swapped { i + 60 } else { i }), "{isa:?}");
                assert_eq!(old.get(k).bits, before, "{isa:?}: {elem}, lane {i}");
            }
        }
    }
}

/// Copies by accesses that are atomic, and once more as elements of half the size.
fn copies(elem: Scalar, part: Scalar) -> Kernel {
    let mut m = Make::new(&format!("copies_{elem}"));
    let (x, y, z) = (m.output("x", elem), m.output("y", elem), m.output("z", part));
    let at = m.global_id();
    let (from, to) = (m.0.ptr_add(x, at), m.0.ptr_add(y, at));
    let attr = |order| Attr::Fence { order, scope: Scope::Device };
    let value = m.0.emit1(Opcode::AtomicLoad, attr(Order::Acquire), &[from], elem.into());
    m.0.emit(Opcode::AtomicStore, attr(Order::Release), &[to, value], &[]);
    let parts = Type::Ptr(Space::Global, part);
    let parts = m.0.emit1(Opcode::PtrCast, Attr::None, &[from], parts);
    let value = m.0.load(parts, part.into());
    m.store_at(z, at, value);
    prepare(&m.finish())
}

#[test]
fn atomic_accesses_and_casts_of_pointers() {
    let count = u64::from(THREADS * BLOCKS);
    for elem in NUMBERS {
        let part = match elem.size() {
            8 => Scalar::U32,
            4 => Scalar::U16,
            _ => Scalar::U8,
        };
        let bits = |i: u64| Const::new(elem, i.wrapping_mul(0x9E37_79B9_7F4A_7C15)).bits;
        for isa in isas() {
            let compiled = build(&copies(elem, part), [THREADS, 1, 1], isa);
            let mut x = Array::of(elem, (0..count).map(bits));
            let (mut y, mut z) =
                (Array::new(elem, count as usize), Array::new(part, count as usize));
            compiled.run_well([BLOCKS, 1, 1], &[x.address(), y.address(), z.address()]);
            for i in 0..count {
                assert_eq!(y.get(i as usize).bits, bits(i), "{elem}");
                assert_eq!(z.get(i as usize), Const::new(part, bits(i)), "{elem}");
            }
        }
    }
}
