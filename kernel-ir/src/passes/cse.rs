//! Common subexpressions: a pure operation whose operands, and so whose result, were had before.
//!
//! What dominates a place in structured control flow is what stands before it in its region and in
//! the regions around; so one table will do, from which a region's own entries go at its end. Loads
//! of memory that nobody writes are treated alike.

use std::collections::HashMap;

use super::memory::read_only;
use crate::attr::Attr;
use crate::kernel::{Inst, Kernel, Region, Value};
use crate::op::Opcode;
use crate::passes::edit::Subst;
use crate::types::Type;

/// Replaces each repeated operation by the result of the first.
pub fn run(kernel: &mut Kernel) {
    let read_only = read_only(kernel);
    let Kernel { body, types, .. } = kernel;
    let mut merger = Merger { types, read_only, known: HashMap::new(), subst: Subst::default() };
    merger.region(body);
}

/// What makes a result.
type Expression = (Opcode, Attr, Vec<Value>, Type);

struct Merger<'k> {
    types: &'k [Type],
    read_only: Vec<bool>,
    known: HashMap<Expression, Value>,
    subst: Subst,
}

impl Merger<'_> {
    fn region(&mut self, region: &mut Region) {
        let mut entered = Vec::new();
        region.insts.retain_mut(|inst| {
            self.subst.apply(inst);
            inst.regions.iter_mut().for_each(|r| self.region(r));
            let Some(expression) = self.expression(inst) else { return true };
            let result = inst.result();
            if let Some(&before) = self.known.get(&expression) {
                self.subst.set(result, before);
                return false;
            }
            self.known.insert(expression.clone(), result);
            entered.push(expression);
            true
        });
        for expression in entered {
            self.known.remove(&expression);
        }
    }

    fn expression(&self, inst: &Inst) -> Option<Expression> {
        let load = inst.op == Opcode::Load && self.read_only[inst.operands[0].index()];
        if !inst.op.is_pure() && !load {
            return None;
        }
        let &[result] = &inst.results[..] else { return None };
        let mut operands = inst.operands.clone();
        if commutes(inst.op) {
            operands.sort_unstable();
        }
        Some((inst.op, inst.attr.clone(), operands, self.types[result.index()]))
    }
}

/// Whether the first two operands may be exchanged. Not `min` and `max`, which of zeros of both
/// signs may give either.
fn commutes(op: Opcode) -> bool {
    use Opcode::{Add, And, Eq, Mul, MulHi, Ne, Or, Xor};
    matches!(op, Add | Mul | MulHi | And | Or | Xor | Eq | Ne)
}
