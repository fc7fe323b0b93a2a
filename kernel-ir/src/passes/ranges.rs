//! Intervals of integer values.

use crate::attr::{Attr, Dim};
use crate::eval::bounds;
use crate::kernel::{Inst, Kernel};
use crate::op::Opcode;
use crate::types::Scalar;

/// The least and greatest value an integer can have.
pub(crate) type Range = (i128, i128);

/// Most blocks along an axis: 2^31 - 1 on every target (CUDA C++ Programming Guide, "Technical
/// Specifications per Compute Capability"; the runtime holds other devices to the same).
const MAX_GRID: i128 = (1 << 31) - 1;
/// Most threads of a block along an axis.
const MAX_BLOCK: i128 = 1024;

/// The range of a type; of `bool` 0 and 1.
pub(crate) fn of_type(ty: Scalar) -> Range {
    match ty {
        Scalar::Bool => (0, 1),
        ty => bounds(ty),
    }
}

/// The range of the single result of a pure integer instruction, from those of its operands.
pub(crate) fn of_inst(kernel: &Kernel, inst: &Inst, operand: impl Fn(usize) -> Range) -> Range {
    let ty = kernel.ty(inst.results[0]).elem();
    let whole = of_type(ty);
    let within = |range: Range| {
        // What leaves the type's range wraps, and then may be anything.
        if range.0 >= whole.0 && range.1 <= whole.1 { range } else { whole }
    };
    let dim = |dim: &Attr| match dim {
        Attr::Dim(Dim::X) => 0,
        Attr::Dim(Dim::Y) => 1,
        _ => 2,
    };
    let block = |axis: usize| kernel.block_dim.map(|b| i128::from(b[axis]));
    match inst.op {
        Opcode::Const => match &inst.attr {
            Attr::Const(c) => (c.as_int(), c.as_int()),
            _ => whole,
        },
        Opcode::ThreadIdx => (0, block(dim(&inst.attr)).unwrap_or(MAX_BLOCK) - 1),
        Opcode::BlockDim => {
            block(dim(&inst.attr)).map_or((1, MAX_BLOCK), |threads| (threads, threads))
        }
        Opcode::BlockIdx => (0, MAX_GRID - 1),
        Opcode::GridDim => (1, MAX_GRID),
        Opcode::LaneId => (0, 63),
        Opcode::WarpId => (0, MAX_BLOCK / 32 - 1),
        Opcode::Add => within(add(operand(0), operand(1))),
        Opcode::Sub => {
            let (low, high) = operand(1);
            within(add(operand(0), (-high, -low)))
        }
        Opcode::Mul => product(operand(0), operand(1)).map_or(whole, within),
        Opcode::Min => {
            let (a, b) = (operand(0), operand(1));
            (a.0.min(b.0), a.1.min(b.1))
        }
        Opcode::Max => {
            let (a, b) = (operand(0), operand(1));
            (a.0.max(b.0), a.1.max(b.1))
        }
        Opcode::Select => {
            let (a, b) = (operand(1), operand(2));
            (a.0.min(b.0), a.1.max(b.1))
        }
        Opcode::Cast => {
            let from = kernel.ty(inst.operands[0]).elem();
            if from.is_int() || from == Scalar::Bool { within(operand(0)) } else { whole }
        }
        Opcode::Div | Opcode::Rem | Opcode::And | Opcode::Shr | Opcode::Shl => {
            unsigned(inst.op, operand(0), operand(1), ty).map_or(whole, within)
        }
        Opcode::CountOnes | Opcode::LeadingZeros | Opcode::TrailingZeros => (0, 64),
        _ => whole,
    }
}

fn add(a: Range, b: Range) -> Range {
    (a.0 + b.0, a.1 + b.1)
}

fn product(a: Range, b: Range) -> Option<Range> {
    let corners = [
        a.0.checked_mul(b.0)?,
        a.0.checked_mul(b.1)?,
        a.1.checked_mul(b.0)?,
        a.1.checked_mul(b.1)?,
    ];
    Some((*corners.iter().min()?, *corners.iter().max()?))
}

/// Operations whose ranges are only followed for values that are not negative.
fn unsigned(op: Opcode, a: Range, b: Range, ty: Scalar) -> Option<Range> {
    if a.0 < 0 || b.0 < 0 {
        return None;
    }
    let amount = |b: i128| u32::try_from(b).ok().filter(|&b| b < ty.bits());
    Some(match op {
        Opcode::Div if b.0 > 0 => (a.0 / b.1, a.1 / b.0),
        Opcode::Rem if b.1 > 0 => (0, a.1.min(b.1 - 1)),
        Opcode::And => (0, a.1.min(b.1)),
        Opcode::Shr => (a.0 >> amount(b.1)?, a.1 >> amount(b.0)?),
        Opcode::Shl => (a.0.checked_shl(amount(b.0)?)?, a.1.checked_mul(1 << amount(b.1)?)?),
        _ => return None,
    })
}
