//! Working with the other lanes: shuffles, votes, reductions; whole and partial warps, scalars and
//! values that differ.

use kernelsmith_ir::attr::{Attr, Const, ReduceOp};
use kernelsmith_ir::eval::{bounds, eval};
use kernelsmith_ir::{Kernel, Opcode, Scalar, Type};

use crate::harness::{Array, Make, Rng, build, isas, prepare};
use crate::operations::{NUMBERS, agree};

const SHUFFLES: [Opcode; 4] =
    [Opcode::ShuffleIdx, Opcode::ShuffleXor, Opcode::ShuffleUp, Opcode::ShuffleDown];

/// Amounts known while compiling.
const FIXED: [u32; 5] = [0, 1, 7, 16, 31];

/// The lane that `lane` reads, as the table of operations says.
fn source(op: Opcode, lane: u32, by: u32) -> u32 {
    let inside = |l: Option<u32>| l.filter(|&l| l < 32).unwrap_or(lane);
    match op {
        Opcode::ShuffleIdx => by % 32,
        Opcode::ShuffleXor => lane ^ by,
        Opcode::ShuffleUp => inside(lane.checked_sub(by)),
        _ => inside(lane.checked_add(by)),
    }
}

/// For each kind: by each fixed amount, then by the thread's own.
fn shuffles(elem: Scalar) -> Kernel {
    let mut m = Make::new(&format!("shuffles_{elem}"));
    let (x, by) = (m.input("x", elem), m.input("by", Scalar::U32));
    let at = m.global_id();
    let (x, by) = (m.load_at(x, at), m.load_at(by, at));
    for op in SHUFFLES {
        let mut amounts = FIXED.map(|n| m.u32(n)).to_vec();
        amounts.push(by);
        for amount in amounts {
            let value = m.op(op, &[x, amount]);
            let out = m.output("out", elem);
            m.store_at(out, at, value);
        }
    }
    prepare(&m.finish())
}

#[test]
fn shuffles_of_every_type() {
    for elem in NUMBERS.into_iter().chain([Scalar::Bool]) {
        let kernel = shuffles(elem);
        let mut rng = Rng(3);
        let mut x = Array::of(elem, (0..64).map(|_| rng.next()));
        let amounts: Vec<u32> = (0..64).map(|_| rng.next() as u32 % 32).collect();
        let mut by = Array::of(Scalar::U32, amounts.iter().map(|&n| n.into()));
        for isa in isas() {
            let compiled = build(&kernel, [64, 1, 1], isa);
            let mut outs: Vec<Array> =
                (0..SHUFFLES.len() * 6).map(|_| Array::new(elem, 64)).collect();
            let mut args = vec![x.address(), by.address()];
            args.extend(outs.iter_mut().map(Array::address));
            compiled.run_well([1; 3], &args);
            for (k, out) in outs.iter().enumerate() {
                for i in 0..64u32 {
                    let op = SHUFFLES[k / 6];
                    let by = FIXED.get(k % 6).copied().unwrap_or(amounts[i as usize]);
                    let from = i / 32 * 32 + source(op, i % 32, by);
                    let expected = x.get(from as usize);
                    let found = out.get(i as usize);
                    assert_eq!(found, expected, "{isa:?}: {} by {by}, {elem}, lane {i}", op.name());
                }
            }
        }
    }
}

fn reductions(elem: Scalar) -> Vec<ReduceOp> {
    let bits = |op: &ReduceOp| matches!(op, ReduceOp::And | ReduceOp::Or | ReduceOp::Xor);
    let fits = |op: &ReduceOp| if bits(op) { !elem.is_float() } else { elem != Scalar::Bool };
    ReduceOp::ALL.iter().copied().filter(fits).collect()
}

fn operation(op: ReduceOp) -> Opcode {
    match op {
        ReduceOp::Add => Opcode::Add,
        ReduceOp::Min => Opcode::Min,
        ReduceOp::Max => Opcode::Max,
        ReduceOp::And => Opcode::And,
        ReduceOp::Or => Opcode::Or,
        ReduceOp::Xor => Opcode::Xor,
    }
}

/// By butterfly over the lanes there are.
fn reduced(op: ReduceOp, lanes: &[Const]) -> Const {
    let mut lanes: Vec<Option<Const>> = lanes.iter().copied().map(Some).collect();
    lanes.resize(32, None);
    let mut half = 16;
    while half > 0 {
        for i in 0..half {
            lanes[i] = match (lanes[i], lanes[i + half]) {
                (Some(a), Some(b)) => eval(operation(op), &[a, b], a.ty),
                (a, b) => a.or(b),
            };
        }
        half /= 2;
    }
    lanes[0].expect("a warp has a lane")
}

/// 70 threads: two whole warps and one of 6 lanes.
#[test]
fn reductions_of_every_type() {
    for elem in NUMBERS.into_iter().chain([Scalar::Bool]) {
        let mut m = Make::new(&format!("reductions_{elem}"));
        let x = m.input("x", elem);
        let at = m.global_id();
        let x = m.load_at(x, at);
        let ops = reductions(elem);
        for &op in &ops {
            let value = m.0.emit1(Opcode::WarpReduce, Attr::Reduce(op), &[x], elem.into());
            let out = m.output("out", elem);
            m.store_at(out, at, value);
        }
        let kernel = prepare(&m.finish());
        let mut rng = Rng(5);
        let value = |rng: &mut Rng| match elem.is_float() {
            true => Const::float(elem, (rng.next() as i32 >> 16) as f64 / 64.0).bits,
            false => rng.next(),
        };
        let mut x = Array::of(elem, (0..70).map(|_| value(&mut rng)));
        if elem.is_float() {
            x.set(40, Const::float(elem, f64::NAN).bits);
        } else if elem.is_int() {
            x.set(1, Const::int(elem, bounds(elem).0).bits);
        }
        let all: Vec<Const> = (0..70).map(|i| x.get(i)).collect();
        for isa in isas() {
            let compiled = build(&kernel, [70, 1, 1], isa);
            let mut outs: Vec<Array> = ops.iter().map(|_| Array::new(elem, 70)).collect();
            let mut args = vec![x.address()];
            args.extend(outs.iter_mut().map(Array::address));
            compiled.run_well([1; 3], &args);
            for (&op, out) in ops.iter().zip(&outs) {
                for (warp, lanes) in all.chunks(32).enumerate() {
                    let expected = reduced(op, lanes);
                    for lane in 0..lanes.len() {
                        let found = out.get(warp * 32 + lane);
                        assert!(
                            agree(operation(op), expected, found),
                            "{isa:?}: {} of {elem}, warp {warp}: {expected:x?}, found {found:x?}",
                            op.name()
                        );
                    }
                }
            }
        }
    }
}

/// Votes and ballots, also under a condition that a warp agrees on.
#[test]
fn votes() {
    let mut m = Make::new("votes");
    let c = m.input("c", Scalar::Bool);
    let [all, any] = ["all", "any"].map(|name| m.output(name, Scalar::Bool));
    let [bits, second] = ["bits", "second"].map(|name| m.output(name, Scalar::U64));
    let at = m.global_id();
    let c = m.load_at(c, at);
    let vote = m.0.emit1(Opcode::VoteAll, Attr::None, &[c], Type::BOOL);
    m.store_at(all, at, vote);
    let vote = m.0.emit1(Opcode::VoteAny, Attr::None, &[c], Type::BOOL);
    m.store_at(any, at, vote);
    let ballot = m.0.emit1(Opcode::Ballot, Attr::None, &[c], Type::U64);
    m.store_at(bits, at, ballot);
    let warp = m.0.emit1(Opcode::WarpId, Attr::None, &[], Type::U32);
    let one = m.u32(1);
    let is_second = m.0.compare(Opcode::Eq, warp, one);
    m.0.begin_if(is_second);
    m.0.emit(Opcode::WarpSync, Attr::None, &[], &[]);
    let ballot = m.0.emit1(Opcode::Ballot, Attr::None, &[c], Type::U64);
    m.store_at(second, at, ballot);
    m.0.begin_else(&[]);
    m.0.end_if(&[], &[]);
    let kernel = prepare(&m.finish());
    for isa in isas() {
        let compiled = build(&kernel, [70, 1, 1], isa);
        for pattern in [0u128, u128::MAX, 1 << 69, 0xffff_ffff << 32, 0x0123_4567_89ab_cdef_5555] {
            let holds: Vec<bool> = (0..70).map(|i| pattern >> i & 1 == 1).collect();
            let mut c = Array::of(Scalar::Bool, holds.iter().map(|&h| h.into()));
            let [mut all, mut any] = [(); 2].map(|()| Array::new(Scalar::Bool, 70));
            let [mut bits, mut second] = [(); 2].map(|()| Array::new(Scalar::U64, 70));
            let untouched = second.get(0).bits;
            let args =
                [c.address(), all.address(), any.address(), bits.address(), second.address()];
            compiled.run_well([1; 3], &args);
            for (warp, lanes) in holds.chunks(32).enumerate() {
                let expected = lanes.iter().rev().fold(0, |b, &h| b << 1 | u64::from(h));
                for i in warp * 32..warp * 32 + lanes.len() {
                    assert_eq!(bits.get(i).bits, expected, "{isa:?} {pattern:x} {i}");
                    assert_eq!(any.get(i).bits == 1, lanes.contains(&true), "{isa:?} {i}");
                    assert_eq!(all.get(i).bits == 1, !lanes.contains(&false), "{isa:?} {i}");
                    let expected = if warp == 1 { expected } else { untouched };
                    assert_eq!(second.get(i).bits, expected, "{isa:?} {i}");
                }
            }
        }
    }
}

/// The lanes with the same bits, and the next lane's value.
fn neighbours(elem: Scalar) -> Kernel {
    let mut m = Make::new(&format!("neighbours_{elem}"));
    let x = m.input("x", elem);
    let at = m.global_id();
    let value = m.load_at(x, at);
    let lanes = m.0.emit1(Opcode::MatchAny, Attr::None, &[value], Type::U64);
    let out = m.output("lanes", Scalar::U64);
    m.store_at(out, at, lanes);
    let one = m.u32(1);
    let next = m.op(Opcode::ShuffleDown, &[value, one]);
    let out = m.output("next", elem);
    m.store_at(out, at, next);
    prepare(&m.finish())
}

/// The last warp of 70 threads has 6 lanes: the last of them has no next one.
#[test]
fn matches_and_what_partial_warps_lack() {
    const COUNT: u32 = 70;
    for elem in NUMBERS.into_iter().chain([Scalar::Bool]) {
        let kernel = neighbours(elem);
        let mut rng = Rng(7);
        let few: Vec<u64> = (0..3).map(|_| rng.next()).collect();
        let mut x = Array::of(elem, (0..COUNT).map(|_| few[rng.next() as usize % 3]));
        for isa in isas() {
            let compiled = build(&kernel, [COUNT, 1, 1], isa);
            let count = COUNT as usize;
            let (mut lanes, mut next) = (Array::new(Scalar::U64, count), Array::new(elem, count));
            compiled.run_well([1; 3], &[x.address(), lanes.address(), next.address()]);
            for i in 0..COUNT {
                let own = x.get(i as usize);
                let warp = i / 32 * 32..(i / 32 * 32 + 32).min(COUNT);
                let same = warp.clone().filter(|&j| x.get(j as usize) == own);
                let expected = same.fold(0, |all, j| all | 1u64 << (j % 32));
                assert_eq!(lanes.get(i as usize).bits, expected, "{isa:?}: {elem}, thread {i}");
                let from = if warp.contains(&(i + 1)) { i + 1 } else { i };
                let expected = x.get(from as usize);
                assert_eq!(next.get(i as usize), expected, "{isa:?}: {elem}, thread {i}");
            }
        }
    }
}
