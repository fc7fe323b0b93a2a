//! `match_any` by ballots, for targets that have no instruction for it: one for each bit of the
//! value. Lanes match that agree on every bit.

use super::edit::{Emit, Subst, rebuild};
use crate::attr::{Attr, Const};
use crate::kernel::{Kernel, Value};
use crate::op::Opcode;
use crate::target::Target;
use crate::types::{Scalar, Type};

/// Rewrites `match_any` on everything but NVIDIA.
pub(super) fn run(kernel: &mut Kernel, target: &Target) {
    if matches!(target, Target::Ptx(_)) {
        return;
    }
    let mut body = std::mem::take(&mut kernel.body);
    let mut renamed = Subst::default();
    rebuild(&mut body, &mut |inst, out| {
        if inst.op != Opcode::MatchAny {
            return out.push(inst);
        }
        let mut emit = Emit { kernel: &mut *kernel, out, loc: inst.loc };
        let lanes = matching(&mut emit, inst.operands[0]);
        renamed.set(inst.results[0], lanes);
    });
    renamed.apply_region(&mut body);
    kernel.body = body;
}

/// The lanes that have the value of this one.
fn matching(e: &mut Emit<'_>, value: Value) -> Value {
    let scalar = e.kernel.ty(value).elem();
    let bits = match scalar.size() {
        _ if scalar == Scalar::Bool => Scalar::Bool,
        1 => Scalar::U8,
        2 => Scalar::U16,
        4 => Scalar::U32,
        _ => Scalar::U64,
    };
    let value = match scalar == bits {
        true => value,
        false => e.op(Opcode::Bitcast, Attr::None, &[value], bits.into()),
    };
    let ones = e.constant(Const::bool(true));
    let mut lanes = e.op(Opcode::Ballot, Attr::None, &[ones], Type::U64);
    for bit in 0..bits.bits() {
        let set = match bits {
            Scalar::Bool => value,
            bits => {
                let mask = e.constant(Const::new(bits, 1 << bit));
                let zero = e.constant(Const::new(bits, 0));
                let masked = e.op(Opcode::And, Attr::None, &[value, mask], bits.into());
                e.op(Opcode::Ne, Attr::None, &[masked, zero], Type::BOOL)
            }
        };
        let with = e.op(Opcode::Ballot, Attr::None, &[set], Type::U64);
        let without = e.op(Opcode::Not, Attr::None, &[with], Type::U64);
        let same = e.op(Opcode::Select, Attr::None, &[set, with, without], Type::U64);
        lanes = e.op(Opcode::And, Attr::None, &[lanes, same], Type::U64);
    }
    lanes
}
