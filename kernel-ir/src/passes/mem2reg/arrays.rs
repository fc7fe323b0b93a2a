//! Slots that are reached by a run-time index: they become local arrays.
//!
//! An access `var + index * stride, index < count` ties the slots it can reach together. Slots tied
//! by any access form a group. A group of scalars or vectors of one type becomes one local array,
//! its elements as far apart as the greatest common divisor of the slots' distances, so that every
//! access stays affine in its index. Pointers cannot stand in memory: an access to a group of them
//! becomes a chain of selects over plain slots.

use std::collections::HashMap;

use crate::attr::{Attr, CacheHint, Const};
use crate::kernel::{Inst, Kernel, LocalDecl, LocalId, Value, VarId};
use crate::loc::Loc;
use crate::op::Opcode;
use crate::passes::edit::{Emit, constants, rebuild};
use crate::types::{Scalar, Type};

/// A local array that stands for a group of slots.
#[derive(Clone, Copy)]
struct Array {
    /// Its address, defined at the kernel's start.
    base: Value,
    /// The first slot.
    first: u32,
    /// Slots from one element to the next.
    step: u32,
    /// What one slot holds.
    ty: Type,
}

impl Array {
    /// Where a slot's scalars begin in the array.
    fn position(&self, slot: u32) -> u64 {
        u64::from((slot - self.first) / self.step) * u64::from(self.ty.lanes())
    }
}

/// Replaces indexed accesses; afterwards only plain slots are left.
pub(super) fn lower_indexed(kernel: &mut Kernel) {
    fix_constant_indices(kernel);
    let (arrays, mut head) = make_arrays(kernel);
    let mut body = std::mem::take(&mut kernel.body);
    rebuild(&mut body, &mut |inst, out| {
        let Attr::Var { var, stride, count } = inst.attr else {
            return out.push(inst);
        };
        let indexed = matches!(inst.op, Opcode::VarLoadAt | Opcode::VarStoreAt);
        let mut emit = Emit { kernel, out, loc: inst.loc };
        match arrays.get(&var.0) {
            Some(array) => access_array(&mut emit, array, &inst, var.0, stride),
            None if indexed => access_by_selects(&mut emit, &inst, var.0, stride, count),
            None => emit.out.push(inst),
        }
    });
    if !head.is_empty() {
        head.append(&mut body.insts);
        body.insts = head;
    }
    kernel.body = body;
}

/// An indexed access with a constant index is a plain one.
fn fix_constant_indices(kernel: &mut Kernel) {
    let consts = constants(kernel);
    kernel.body.walk_mut(&mut |inst| {
        let Attr::Var { var, stride, count } = inst.attr else { return };
        if !matches!(inst.op, Opcode::VarLoadAt | Opcode::VarStoreAt) {
            return;
        }
        let known = consts[inst.operands[0].index()].map(|c| c.bits);
        let index = if count == 1 { Some(0) } else { known };
        // An index out of range is behind a check that fails: any slot will do there.
        if let Some(index) = index {
            let slot = VarId(var.0 + index.min(u64::from(count) - 1) as u32 * stride);
            inst.attr = Attr::Var { var: slot, stride: 1, count: 1 };
            inst.operands.remove(0);
            inst.op = match inst.op {
                Opcode::VarLoadAt => Opcode::VarLoad,
                _ => Opcode::VarStore,
            };
        }
    });
}

/// The arrays by slot, and the instructions that give their addresses.
fn make_arrays(kernel: &mut Kernel) -> (HashMap<u32, Array>, Vec<Inst>) {
    let mut head = Vec::new();
    let mut arrays = HashMap::new();
    for group in groups(kernel) {
        let ty = kernel.vars[group[0] as usize].ty;
        let uniform = group.iter().all(|&slot| kernel.vars[slot as usize].ty == ty);
        if ty.is_ptr() || !uniform {
            continue;
        }
        let first = group[0];
        let step = group.iter().fold(0, |g, &slot| gcd(g, slot - first)).max(1);
        let slots = (group[group.len() - 1] - first) / step + 1;
        let id = LocalId(kernel.locals.len() as u32);
        kernel.locals.push(LocalDecl { elem: ty.elem(), len: slots * ty.lanes() });
        let address = kernel.local_type(id);
        let mut emit = Emit { kernel, out: &mut head, loc: Loc::NONE };
        let base = emit.op(Opcode::LocalAddr, Attr::Local(id), &[], address);
        arrays.extend(group.iter().map(|&slot| (slot, Array { base, first, step, ty })));
    }
    (arrays, head)
}

/// The slots tied together by indexed accesses, each group ascending.
fn groups(kernel: &Kernel) -> Vec<Vec<u32>> {
    let mut ties = UnionFind((0..kernel.vars.len() as u32).collect());
    let mut reached = vec![false; kernel.vars.len()];
    kernel.body.walk(&mut |inst| {
        if let (Opcode::VarLoadAt | Opcode::VarStoreAt, &Attr::Var { var, stride, count }) =
            (inst.op, &inst.attr)
        {
            for index in 0..count {
                let slot = var.0 + index * stride;
                ties.join(var.0, slot);
                reached[slot as usize] = true;
            }
        }
    });
    let mut by_root: HashMap<u32, Vec<u32>> = HashMap::new();
    for slot in (0..kernel.vars.len() as u32).filter(|&slot| reached[slot as usize]) {
        by_root.entry(ties.root(slot)).or_default().push(slot);
    }
    let mut groups: Vec<Vec<u32>> = by_root.into_values().collect();
    groups.sort();
    groups
}

struct UnionFind(Vec<u32>);

impl UnionFind {
    fn root(&mut self, n: u32) -> u32 {
        let mut root = n;
        while self.0[root as usize] != root {
            root = self.0[root as usize];
        }
        let mut at = n;
        while at != root {
            at = std::mem::replace(&mut self.0[at as usize], root);
        }
        root
    }

    fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a as usize] = b;
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// A load or store of the array, for a plain or an indexed access.
fn access_array(emit: &mut Emit<'_>, array: &Array, inst: &Inst, slot: u32, stride: u32) {
    let indexed = matches!(inst.op, Opcode::VarLoadAt | Opcode::VarStoreAt);
    let mut at = emit.constant(Const::new(Scalar::U64, array.position(slot)));
    if indexed {
        let scale = u64::from(stride / array.step) * u64::from(array.ty.lanes());
        let scale = emit.constant(Const::new(Scalar::U64, scale));
        let scaled = emit.op(Opcode::Mul, Attr::None, &[inst.operands[0], scale], Type::U64);
        at = emit.op(Opcode::Add, Attr::None, &[scaled, at], Type::U64);
    }
    let address = emit.kernel.ty(array.base);
    let ptr = emit.op(Opcode::PtrAdd, Attr::None, &[array.base, at], address);
    let attr = Attr::Mem { align: array.ty.elem().size(), cache: CacheHint::Normal };
    match inst.op {
        Opcode::VarLoad | Opcode::VarLoadAt => emit.out.push(Inst {
            op: Opcode::Load,
            attr,
            operands: vec![ptr],
            results: inst.results.clone(),
            regions: Vec::new(),
            loc: inst.loc,
        }),
        _ => {
            let value = inst.operands[inst.operands.len() - 1];
            emit.effect(Opcode::Store, attr, &[ptr, value]);
        }
    }
}

/// An indexed access to plain slots: every slot is read, and for a store written back.
fn access_by_selects(emit: &mut Emit<'_>, inst: &Inst, var: u32, stride: u32, count: u32) {
    let ty = emit.kernel.vars[var as usize].ty;
    let plain = |k: u32| Attr::Var { var: VarId(var + k * stride), stride: 1, count: 1 };
    let index = inst.operands[0];
    if inst.op == Opcode::VarStoreAt {
        for k in 0..count {
            let old = emit.op(Opcode::VarLoad, plain(k), &[], ty);
            let here = is_index(emit, index, k);
            let operands = [here, inst.operands[1], old];
            let new = emit.op(Opcode::Select, Attr::None, &operands, ty);
            emit.effect(Opcode::VarStore, plain(k), &[new]);
        }
        return;
    }
    let mut value = emit.op(Opcode::VarLoad, plain(0), &[], ty);
    for k in 1..count {
        let slot = emit.op(Opcode::VarLoad, plain(k), &[], ty);
        let here = is_index(emit, index, k);
        value = emit.op(Opcode::Select, Attr::None, &[here, slot, value], ty);
    }
    // The last select takes the access's own result.
    let last = emit.out.last_mut().expect("an access reaches at least two slots");
    last.results = inst.results.clone();
}

fn is_index(emit: &mut Emit<'_>, index: Value, k: u32) -> Value {
    let k = emit.constant(Const::new(Scalar::U64, u64::from(k)));
    emit.op(Opcode::Eq, Attr::None, &[index, k], Type::BOOL)
}
