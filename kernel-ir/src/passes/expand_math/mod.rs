//! Math functions as IR: what a target has no instruction for becomes polynomials, bit operations
//! and selects, so that all targets agree and none needs libdevice or libm.
//!
//! Every function is within 2 ulp over its whole range, with the special cases of C's Annex F;
//! `docs/notes/math.md` has the measured errors and the number of operations. There are no tables
//! in memory and, apart from the reduction of huge arguments of `sin` and `cos` and from remainders
//! of huge quotients, no branches.

mod erf;
mod exponential;
mod logarithm;
mod math;
mod polynomials;
mod power;
mod reduction;
mod remainder;
mod trigonometric;

use math::Math;

use super::edit::{Subst, rebuild};
use crate::attr::Attr;
use crate::kernel::{Inst, Kernel, Value};
use crate::op::Opcode;
use crate::target::Target;
use crate::types::{Scalar, Type};

/// Rewrites every function that `target` has no instruction for. Functions of f16 and bf16 are
/// computed in f32.
pub fn run(kernel: &mut Kernel, target: &Target) {
    let mut body = std::mem::take(&mut kernel.body);
    let mut renamed = Subst::default();
    rebuild(&mut body, &mut |inst, out| {
        if inst.results.len() != 1 || !expands(inst.op, kernel.ty(inst.results[0]), target) {
            return out.push(inst);
        }
        let result = expand(kernel, target, &inst, out);
        renamed.set(inst.results[0], result);
    });
    renamed.apply_region(&mut body);
    kernel.body = body;
}

/// Whether an operation of this result type is expanded for the target.
pub fn expands(op: Opcode, ty: Type, target: &Target) -> bool {
    let scalar = ty.elem();
    match op {
        Opcode::Exp
        | Opcode::Exp2
        | Opcode::Log
        | Opcode::Log2
        | Opcode::Sin
        | Opcode::Cos
        | Opcode::Tanh
        | Opcode::Erf
        | Opcode::Pow => true,
        Opcode::Rem => scalar.is_float(),
        // PTX ISA, `ex2.approx.ftz.f32`; RDNA and CDNA ISA manuals, `V_EXP_F32`.
        Opcode::Exp2Fast => scalar != Scalar::F32 || *target == Target::Cpu,
        // PTX ISA, `rsqrt.approx.f32`: relative error at most 2^-22.9, which is less than 2 ulp.
        Opcode::Rsqrt => scalar != Scalar::F32 || !matches!(target, Target::Ptx(_)),
        _ => false,
    }
}

fn expand(kernel: &mut Kernel, target: &Target, inst: &Inst, out: &mut Vec<Inst>) -> Value {
    let ty = kernel.ty(inst.results[0]);
    let scalar = ty.elem();
    let wide = if scalar == Scalar::F64 { Scalar::F64 } else { Scalar::F32 };
    let mut m = Math::new(kernel, target, wide, inst.loc);
    let mut lanes = Vec::new();
    for lane in 0..ty.lanes() {
        let mut operands = [inst.operands[0]; 2];
        for (operand, &whole) in operands.iter_mut().zip(&inst.operands) {
            *operand = whole;
            if let Type::Vector(..) = ty {
                let lane = Attr::Lane(lane as u8);
                *operand = m.emit(Opcode::VecExtract, lane, &[whole], scalar.into());
            }
            if scalar != wide {
                *operand = m.cast(*operand, wide);
            }
        }
        let mut y = function(&mut m, inst.op, operands);
        if scalar != wide {
            y = m.cast(y, scalar);
        }
        lanes.push(y);
    }
    let result = match ty {
        Type::Vector(..) => m.emit(Opcode::VecMake, Attr::None, &lanes, ty),
        _ => lanes[0],
    };
    m.finish(out);
    result
}

fn function(m: &mut Math<'_>, op: Opcode, [x, y]: [Value; 2]) -> Value {
    let native = !expands(op, m.ty.into(), m.target);
    match op {
        // Of a small float, whose f32 form the target has.
        _ if native => m.op(op, [x]),
        Opcode::Exp => exponential::exp(m, x),
        Opcode::Exp2 => exponential::exp2(m, x),
        Opcode::Exp2Fast if m.ty == Scalar::F32 => exponential::exp2_fast(m, x),
        Opcode::Exp2Fast => exponential::exp2(m, x),
        Opcode::Tanh => exponential::tanh(m, x),
        Opcode::Log => logarithm::log(m, x),
        Opcode::Log2 => logarithm::log2(m, x),
        Opcode::Sin => trigonometric::sin(m, x),
        Opcode::Cos => trigonometric::cos(m, x),
        Opcode::Erf => erf::erf(m, x),
        Opcode::Pow => power::pow(m, x, y),
        Opcode::Rem => remainder::rem(m, x, y),
        Opcode::Rsqrt => {
            let root = m.op(Opcode::Sqrt, [x]);
            let one = m.float(1.0);
            m.div(one, root)
        }
        _ => unreachable!("{} is not expanded", op.name()),
    }
}
