//! Loop-invariant code: pure operations whose operands come from outside a loop move before it.
//!
//! A moved operation may run where it would not have: before a loop of no trips, or out of an `if`.
//! So what can trap on some machine (integer division) stays unless its divisor is a harmless
//! constant; what stands in an `if` moves only if it is cheap; and a load moves only if memory is
//! never written and the loop's first trip surely comes to it.

use super::memory::read_only;
use crate::attr::Const;
use crate::kernel::{Inst, Kernel, Region, Value};
use crate::op::{Effect, Opcode};
use crate::passes::edit::{constants, is_cheap};

/// Hoists from every loop, as far out as operands allow.
pub fn run(kernel: &mut Kernel) {
    let mut hoister = Hoister {
        constants: constants(kernel),
        read_only: read_only(kernel),
        floats: kernel.types.iter().map(|t| t.elem().is_float()).collect(),
        depths: vec![0; kernel.types.len()],
        loops: Vec::new(),
    };
    hoister.region(&mut kernel.body);
}

/// A loop being walked.
struct Loop {
    /// What moves before it.
    hoisted: Vec<Inst>,
    /// How many `if`s of its body are open.
    conditions: usize,
    /// Whether the first trip surely comes to the current place.
    certain: bool,
}

struct Hoister {
    constants: Vec<Option<Const>>,
    read_only: Vec<bool>,
    /// By value, whether it is a float (or a vector of them).
    floats: Vec<bool>,
    /// By value, how many loops are around its definition.
    depths: Vec<usize>,
    loops: Vec<Loop>,
}

impl Hoister {
    fn region(&mut self, region: &mut Region) {
        self.define(&region.args);
        let old = std::mem::take(&mut region.insts);
        let mut out = Vec::with_capacity(old.len());
        for mut inst in old {
            match inst.op {
                Opcode::For | Opcode::Loop => self.repeat(&mut inst, &mut out),
                Opcode::If => {
                    self.loops.last_mut().into_iter().for_each(|l| l.conditions += 1);
                    inst.regions.iter_mut().for_each(|r| self.region(r));
                    self.loops.last_mut().into_iter().for_each(|l| l.conditions -= 1);
                }
                _ => inst.regions.iter_mut().for_each(|r| self.region(r)),
            }
            if let Some(depth) = self.target(&inst) {
                self.depths[inst.result().index()] = depth;
                self.loops[depth].hoisted.push(inst);
                continue;
            }
            self.define(&inst.results);
            if let Some(innermost) = self.loops.last_mut() {
                innermost.certain &= !may_leave(&inst);
            }
            out.push(inst);
        }
        region.insts = out;
    }

    fn define(&mut self, values: &[Value]) {
        for value in values {
            self.depths[value.index()] = self.loops.len();
        }
    }

    fn repeat(&mut self, inst: &mut Inst, out: &mut Vec<Inst>) {
        let certain = inst.op == Opcode::Loop || self.has_trips(inst);
        self.loops.push(Loop { hoisted: Vec::new(), conditions: 0, certain });
        self.region(&mut inst.regions[0]);
        let done = self.loops.pop().expect("pushed above");
        out.extend(done.hoisted);
    }

    fn has_trips(&self, inst: &Inst) -> bool {
        let bound = |i: usize| self.constants[inst.operands[i].index()].map(Const::as_int);
        matches!((bound(0), bound(1)), (Some(lo), Some(hi)) if lo < hi)
    }

    /// How many loops an instruction shall stand in, if fewer than now.
    fn target(&self, inst: &Inst) -> Option<usize> {
        let here = self.loops.len();
        let innermost = self.loops.last()?;
        let depth = inst.operands.iter().map(|v| self.depths[v.index()]).max().unwrap_or(0);
        if depth >= here || inst.results.len() != 1 {
            return None;
        }
        if inst.op == Opcode::Load {
            let safe = self.read_only[inst.operands[0].index()]
                && innermost.certain
                && innermost.conditions == 0;
            return safe.then_some(here - 1);
        }
        let movable = inst.op.is_pure() && !self.may_trap(inst);
        if !movable {
            return None;
        }
        if is_cheap(inst.op) {
            return Some(depth);
        }
        // Out of loops only, not out of ifs.
        let loops = self.loops[depth..].iter().rev().take_while(|l| l.conditions == 0).count();
        (loops > 0).then_some(here - loops)
    }

    fn may_trap(&self, inst: &Inst) -> bool {
        if !matches!(inst.op, Opcode::Div | Opcode::Rem) || self.floats[inst.result().index()] {
            return false;
        }
        // MIN / -1 overflows.
        self.constants[inst.operands[1].index()].is_none_or(|c| matches!(c.as_int(), 0 | -1))
    }
}

/// Whether threads may end or jump here, so that what follows is not sure to run.
fn may_leave(inst: &Inst) -> bool {
    let mut leaves = false;
    let mut look = |i: &Inst| {
        leaves |= i.op.effect() == Effect::Check
            || matches!(i.op, Opcode::Break | Opcode::Continue | Opcode::Return | Opcode::Loop);
    };
    look(inst);
    inst.regions.iter().for_each(|r| r.walk(&mut look));
    leaves
}
