//! What an operation comes to when some of its operands are constants. Only identities that are
//! exact for every value are here; for floats, NaN and signed zeros leave few.

use crate::attr::Const;
use crate::eval::eval;
use crate::kernel::{Inst, Kernel, Value};
use crate::op::Opcode;

/// What an instruction turned out to be.
pub(crate) enum Folded {
    /// A constant.
    Const(Const),
    /// Another value.
    Value(Value),
    /// A simpler operation on these operands.
    Op(Opcode, Vec<Value>),
}

/// Folds a pure instruction with one scalar result.
pub(crate) fn fold(
    kernel: &Kernel,
    inst: &Inst,
    constant: impl Fn(Value) -> Option<Const>,
) -> Option<Folded> {
    let ty = kernel.ty(inst.results[0]);
    let crate::Type::Scalar(scalar) = ty else { return None };
    let operands = &inst.operands;
    let constants: Vec<Option<Const>> = operands.iter().map(|&o| constant(o)).collect();
    if !operands.is_empty()
        && let Some(all) = constants.iter().copied().collect::<Option<Vec<_>>>()
        && let Some(result) = eval(inst.op, &all, scalar)
    {
        return Some(Folded::Const(result));
    }
    let int = |i: usize| constants.get(i).copied().flatten().filter(|c| !c.ty.is_float());
    let is = |i: usize, x: i128| int(i).is_some_and(|c| c.as_int() == x);
    let same = operands.len() >= 2 && operands[0] == operands[1];
    let zero = Const::new(scalar, 0);
    match inst.op {
        Opcode::Add | Opcode::Or | Opcode::Xor if is(1, 0) => Some(Folded::Value(operands[0])),
        Opcode::Add | Opcode::Or | Opcode::Xor if is(0, 0) => Some(Folded::Value(operands[1])),
        Opcode::Sub | Opcode::Shl | Opcode::Shr if is(1, 0) => Some(Folded::Value(operands[0])),
        Opcode::Mul if is(1, 1) => Some(Folded::Value(operands[0])),
        Opcode::Mul if is(0, 1) => Some(Folded::Value(operands[1])),
        Opcode::Mul | Opcode::And if is(0, 0) || is(1, 0) => Some(Folded::Const(zero)),
        Opcode::Div if is(1, 1) => Some(Folded::Value(operands[0])),
        Opcode::Rem if is(1, 1) && scalar.is_int() => Some(Folded::Const(zero)),
        Opcode::Sub | Opcode::Xor if same && !scalar.is_float() => Some(Folded::Const(zero)),
        Opcode::And | Opcode::Or | Opcode::Min | Opcode::Max if same => {
            Some(Folded::Value(operands[0]))
        }
        Opcode::Cast if kernel.ty(operands[0]) == ty => Some(Folded::Value(operands[0])),
        Opcode::Select => select(operands, &constants),
        Opcode::And | Opcode::Or if scalar == crate::Scalar::Bool => {
            logic(inst.op, operands, &constants)
        }
        _ => None,
    }
}

fn select(operands: &[Value], constants: &[Option<Const>]) -> Option<Folded> {
    if operands[1] == operands[2] {
        return Some(Folded::Value(operands[1]));
    }
    if let Some(condition) = constants[0] {
        return Some(Folded::Value(operands[if condition.bits != 0 { 1 } else { 2 }]));
    }
    let is_bool = |c: Option<Const>, bits| c == Some(Const::new(crate::Scalar::Bool, bits));
    if is_bool(constants[2], 0) {
        return Some(Folded::Op(Opcode::And, vec![operands[0], operands[1]]));
    }
    if is_bool(constants[1], 1) {
        return Some(Folded::Op(Opcode::Or, vec![operands[0], operands[2]]));
    }
    None
}

fn logic(op: Opcode, operands: &[Value], constants: &[Option<Const>]) -> Option<Folded> {
    for (i, constant) in constants.iter().enumerate() {
        let Some(constant) = constant else { continue };
        let absorbing = (op == Opcode::Or) == (constant.bits == 1);
        return Some(if absorbing {
            Folded::Const(*constant)
        } else {
            Folded::Value(operands[1 - i])
        });
    }
    None
}
