//! What the passes leave: no function the target lacks, and no arithmetic on small floats.

use std::collections::BTreeMap;

use kernelsmith_ir::attr::Const;
use kernelsmith_ir::passes::{expand_math, prepare, small_floats};
use kernelsmith_ir::{Builder, Kernel, Opcode, ParamKind, Scalar, Space, Target, Type};

use crate::lanes::{expanded, run, staged};

const FUNCTIONS: [(Opcode, usize); 12] = [
    (Opcode::Exp, 1),
    (Opcode::Exp2, 1),
    (Opcode::Exp2Fast, 1),
    (Opcode::Log, 1),
    (Opcode::Log2, 1),
    (Opcode::Sin, 1),
    (Opcode::Cos, 1),
    (Opcode::Tanh, 1),
    (Opcode::Erf, 1),
    (Opcode::Pow, 2),
    (Opcode::Rsqrt, 1),
    (Opcode::Rem, 2),
];

/// How often each operation occurs, constants and bitcasts (which cost nothing) aside.
fn operations(kernel: &Kernel) -> BTreeMap<Opcode, usize> {
    let mut counts = BTreeMap::new();
    kernel.body.walk(&mut |inst| *counts.entry(inst.op).or_default() += 1);
    counts
}

fn targets() -> Vec<Target> {
    ["cpu", "sm_75", "sm_90a", "gfx90a", "gfx942", "gfx1100"]
        .map(|name| name.parse().unwrap())
        .to_vec()
}

#[test]
fn only_what_the_target_has_is_left() {
    for target in targets() {
        for (op, arity) in FUNCTIONS {
            for ty in [Scalar::F16, Scalar::BF16, Scalar::F32, Scalar::F64] {
                let kernel = expanded(op, ty.into(), arity, &target);
                let native = match (&target, op) {
                    (Target::Ptx(_), Opcode::Exp2Fast | Opcode::Rsqrt)
                    | (Target::Amdgcn(_), Opcode::Exp2Fast) => ty != Scalar::F64,
                    _ => false,
                };
                let left = operations(&kernel).contains_key(&op);
                assert_eq!(left, native, "{} {ty} on {target}", op.name());
                assert!(!computes_small(&kernel), "{} {ty} on {target}", op.name());
            }
        }
    }
}

/// Whether any arithmetic has a small float as operand or result.
fn computes_small(kernel: &Kernel) -> bool {
    let mut found = false;
    kernel.body.walk(&mut |inst| {
        let moves = matches!(inst.op, Opcode::Cast | Opcode::Store | Opcode::VecMake)
            || matches!(inst.op, Opcode::Bitcast | Opcode::VecExtract | Opcode::Const);
        let small = inst.operands.iter().chain(&inst.results).any(|&v| {
            !kernel.ty(v).is_ptr()
                && kernel.ty(v).elem().size() == 2
                && !kernel.ty(v).elem().is_int()
        });
        found |= small && !moves;
    });
    found
}

/// A kernel that stores the lanes of an operation on vectors made of its parameters, one at a time.
fn on_vectors(op: Opcode, ty: Scalar, lane: u8) -> Kernel {
    let mut b = Builder::new("lanes");
    let x: Vec<_> =
        (0..2).map(|i| b.param(&format!("x{i}"), ty.into(), ParamKind::Scalar)).collect();
    let out = b.param("out", Type::Ptr(Space::Global, ty), ParamKind::Exclusive);
    let vector = b.emit1(Opcode::VecMake, kernelsmith_ir::Attr::None, &x, Type::Vector(ty, 2));
    let y = b.same(op, &[vector]);
    let y = b.emit1(Opcode::VecExtract, kernelsmith_ir::Attr::Lane(lane), &[y], ty.into());
    b.store(out, y);
    b.finish()
}

#[test]
fn vectors_are_their_lanes() {
    let x = [0.75, -2.5];
    for op in [Opcode::Exp, Opcode::Sin, Opcode::Neg, Opcode::Floor] {
        for ty in [Scalar::F16, Scalar::F32, Scalar::F64] {
            for lane in 0..2 {
                let mut kernel = on_vectors(op, ty, lane);
                small_floats::run(&mut kernel, &Target::Cpu);
                expand_math::run(&mut kernel, &Target::Cpu);
                let arguments = x.map(|x| vec![Const::float(ty, x).bits]);
                let got = run(&kernel, &arguments)[0];
                let scalar = expanded(op, ty.into(), 1, &Target::Cpu);
                let want = run(&scalar, &arguments[usize::from(lane)..][..1])[0];
                assert_eq!(got, want, "{} {ty} lane {lane}", op.name());
            }
        }
    }
}

/// Every function through all of the passes, with its branches and loops, gives the bits of the
/// expansion alone, or another NaN.
#[test]
fn simplification_keeps_the_bits() {
    for (op, arity) in FUNCTIONS {
        for ty in [Scalar::F16, Scalar::F32, Scalar::F64] {
            let arguments: Vec<Vec<u64>> = (0..arity as u64)
                .map(|i| (1..2000u64).map(|x| spread(ty, x * 3 + i)).collect())
                .collect();
            let want = run(&expanded(op, ty.into(), arity, &Target::Cpu), &arguments);
            let prepared = prepare(&staged(op, ty.into(), arity), &Target::Cpu).unwrap();
            for (i, (&got, want)) in run(&prepared, &arguments).iter().zip(want).enumerate() {
                let [got, want] = [got, want].map(|bits| Const::new(ty, bits));
                let nan = |c: Const| c.as_f64().unwrap().is_nan();
                let x = &arguments[0][i];
                assert!(got == want || nan(got) && nan(want), "{} {ty} {x:#x}: {got:?}", op.name());
            }
        }
    }
}

/// Floats of every sign and exponent, by number.
fn spread(ty: Scalar, i: u64) -> u64 {
    let shift = 64 - ty.bits();
    (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) << shift) >> shift
}

/// The notes say how many operations each function is; a test, so that they stay true.
#[test]
fn operation_counts_are_as_noted() {
    let notes = include_str!("../../../docs/notes/math.md");
    let cells = |row: &str| row.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let rows: Vec<Vec<String>> =
        notes.lines().filter(|l| l.starts_with("| `")).map(cells).collect();
    let noted: Vec<[&str; 3]> =
        rows.iter().map(|cells| [&cells[1][..], &cells[2], &cells[4]]).collect();
    let counted: Vec<[String; 3]> = FUNCTIONS
        .into_iter()
        .map(|(op, arity)| {
            let count =
                |ty: Scalar| count(&expanded(op, ty.into(), arity, &Target::Cpu)).to_string();
            let double = if op == Opcode::Exp2Fast { String::new() } else { count(Scalar::F64) };
            [format!("`{}`", op.name()), count(Scalar::F32), double]
        })
        .collect();
    assert_eq!(noted, counted, "the table in docs/notes/math.md");
}

/// Instructions on the way most arguments take: no constants, bitcasts or stores, and no regions.
fn count(kernel: &Kernel) -> usize {
    let free = [Opcode::Const, Opcode::Bitcast, Opcode::Store, Opcode::Return];
    let counted = |region: &kernelsmith_ir::Region| {
        region.insts.iter().filter(|i| !free.contains(&i.op)).count()
    };
    let top = counted(&kernel.body);
    // A remainder's loop runs its head once: a division, a comparison and the branch.
    let loops = kernel.body.insts.iter().any(|i| i.op == Opcode::Loop);
    if loops { top + 2 } else { top }
}
