//! Moves pure operations out of loops whose every operand is defined outside.
//!
//! Moved operations may run where the loop would not have run them, so those that can trap on some
//! machine (integer division) stay, unless the divisor is a constant.

use std::collections::{HashMap, HashSet};

use crate::kernel::{Inst, Kernel, Region, Value};
use crate::op::Opcode;
use crate::types::Scalar;

/// Hoists from every loop, innermost first.
pub fn run(kernel: &mut Kernel) {
    let mut body = std::mem::take(&mut kernel.body);
    let mut constants = HashMap::new();
    body.walk(&mut |inst| {
        if let (Opcode::Const, crate::Attr::Const(c)) = (inst.op, &inst.attr) {
            constants.insert(inst.results[0], c.bits);
        }
    });
    let elems: Vec<Scalar> = kernel.types.iter().map(|t| t.elem()).collect();
    hoist_in(&mut body, &|inst| {
        let divides = matches!(inst.op, Opcode::Div | Opcode::Rem);
        let safe = !divides
            || elems[inst.results[0].index()].is_float()
            || constants.get(&inst.operands[1]).is_some_and(|&bits| {
                // -1 overflows with MIN.
                bits != 0 && !(elems[inst.results[0].index()].is_signed() && bits >> 7 != 0)
            });
        inst.op.is_pure() && safe
    });
    kernel.body = body;
}

fn hoist_in(region: &mut Region, may_move: &dyn Fn(&Inst) -> bool) {
    let mut out = Vec::with_capacity(region.insts.len());
    for mut inst in std::mem::take(&mut region.insts) {
        for region in &mut inst.regions {
            hoist_in(region, may_move);
        }
        if matches!(inst.op, Opcode::For | Opcode::Loop) {
            hoist(&mut inst, &mut out, may_move);
        }
        out.push(inst);
    }
    region.insts = out;
}

/// Moves what can move from a loop's body to `out`, in order.
fn hoist(inst: &mut Inst, out: &mut Vec<Inst>, may_move: &dyn Fn(&Inst) -> bool) {
    let region = &mut inst.regions[0];
    let mut inside: HashSet<Value> = region.args.iter().copied().collect();
    region.walk(&mut |inst| {
        inside.extend(&inst.results);
        inst.regions.iter().for_each(|r| inside.extend(&r.args));
    });
    let mut stay = Vec::with_capacity(region.insts.len());
    for inst in std::mem::take(&mut region.insts) {
        if may_move(&inst) && !inst.operands.iter().any(|o| inside.contains(o)) {
            inst.results.iter().for_each(|r| {
                inside.remove(r);
            });
            out.push(inst);
        } else {
            stay.push(inst);
        }
    }
    region.insts = stay;
}
