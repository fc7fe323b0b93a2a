//! Arithmetic of f16 and bf16, written in f32: cast, compute, cast back.
//!
//! For `+ - * /` and the square root that is exact: f32's 24 bits are twice f16's 11 and two more,
//! so rounding twice gives what rounding once would (S. A. Figueroa, "When is double rounding
//! innocuous?", 1995). A fused multiply-add goes through f64, where the product is exact. What only
//! concerns the sign works on the bits. Loads, stores, selects, casts, bitcasts, vectors' lanes,
//! matrix and warp operations and atomics keep the small types.

use super::edit::{Emit, Subst, rebuild};
use crate::attr::{Attr, Const};
use crate::kernel::{Inst, Kernel, Value};
use crate::op::{Opcode, Signature};
use crate::target::Target;
use crate::types::{Scalar, Type};

/// Rewrites all arithmetic on small floats that `target` does not have.
pub fn run(kernel: &mut Kernel, target: &Target) {
    let mut body = std::mem::take(&mut kernel.body);
    let mut renamed = Subst::default();
    rebuild(&mut body, &mut |inst, out| {
        if !computes(kernel, &inst, target) {
            return out.push(inst);
        }
        let mut emit = Emit { kernel: &mut *kernel, out, loc: inst.loc };
        let result = rewrite(&mut emit, &inst);
        renamed.set(inst.results[0], result);
    });
    renamed.apply_region(&mut body);
    kernel.body = body;
}

fn computes(kernel: &Kernel, inst: &Inst, target: &Target) -> bool {
    let small =
        |&v: &Value| matches!(kernel.ty(v), Type::Scalar(s) | Type::Vector(s, _) if is_small(s));
    if !inst.operands.first().is_some_and(small) {
        return false;
    }
    match inst.op.info().signature {
        // PTX ISA, "Half Precision Floating-Point Instructions", `fma`.
        Signature::Ternary(_) => !matches!(target, Target::Ptx(_)),
        Signature::Unary(_) | Signature::Binary(_) | Signature::Compare(_) => true,
        _ => false,
    }
}

fn is_small(s: Scalar) -> bool {
    matches!(s, Scalar::F16 | Scalar::BF16)
}

fn rewrite(e: &mut Emit<'_>, inst: &Inst) -> Value {
    let ty = e.kernel.ty(inst.operands[0]);
    match inst.op {
        Opcode::Neg | Opcode::Abs | Opcode::CopySign => return sign(e, inst, ty),
        Opcode::Fma => return fma(e, inst, ty),
        _ => {}
    }
    let wide = ty.with_elem(Scalar::F32);
    let operands = cast_all(e, &inst.operands, wide);
    if let Signature::Compare(_) = inst.op.info().signature {
        let result = e.kernel.ty(inst.results[0]);
        return e.op(inst.op, inst.attr.clone(), &operands, result);
    }
    let result = e.op(inst.op, inst.attr.clone(), &operands, wide);
    e.op(Opcode::Cast, Attr::None, &[result], ty)
}

fn cast_all(e: &mut Emit<'_>, values: &[Value], to: Type) -> Vec<Value> {
    values.iter().map(|&v| e.op(Opcode::Cast, Attr::None, &[v], to)).collect()
}

/// A constant in every lane.
fn splat(e: &mut Emit<'_>, c: Const, ty: Type) -> Value {
    let value = e.constant(c);
    match ty {
        Type::Vector(_, n) => e.op(Opcode::VecMake, Attr::None, &vec![value; n.into()], ty),
        _ => value,
    }
}

fn sign(e: &mut Emit<'_>, inst: &Inst, ty: Type) -> Value {
    let bits = ty.with_elem(Scalar::U16);
    let x = e.op(Opcode::Bitcast, Attr::None, &[inst.operands[0]], bits);
    let sign = splat(e, Const::new(Scalar::U16, 1 << 15), bits);
    let y = if inst.op == Opcode::Neg {
        e.op(Opcode::Xor, Attr::None, &[x, sign], bits)
    } else {
        let rest = splat(e, Const::new(Scalar::U16, (1 << 15) - 1), bits);
        let magnitude = e.op(Opcode::And, Attr::None, &[x, rest], bits);
        match inst.operands.get(1) {
            Some(&from) => {
                let from = e.op(Opcode::Bitcast, Attr::None, &[from], bits);
                let from = e.op(Opcode::And, Attr::None, &[from, sign], bits);
                e.op(Opcode::Or, Attr::None, &[magnitude, from], bits)
            }
            None => magnitude,
        }
    };
    e.op(Opcode::Bitcast, Attr::None, &[y], ty)
}

fn fma(e: &mut Emit<'_>, inst: &Inst, ty: Type) -> Value {
    let wide = ty.with_elem(Scalar::F64);
    let operands = cast_all(e, &inst.operands, wide);
    let [a, b, c] = operands[..] else { unreachable!("fma has three operands") };
    let sum = match ty.elem() {
        // The exact sum of a product of two f16 and a third never comes nearer to the middle of
        // two f16 than 2^-40 of itself without being it, which 53 bits can tell.
        Scalar::F16 => e.op(Opcode::Fma, Attr::None, &[a, b, c], wide),
        _ => match ty {
            Type::Vector(_, n) => {
                let lanes: Vec<Value> = (0..n)
                    .map(|lane| {
                        let part = |e: &mut Emit<'_>, v| {
                            e.op(Opcode::VecExtract, Attr::Lane(lane), &[v], Scalar::F64.into())
                        };
                        let (a, b, c) = (part(e, a), part(e, b), part(e, c));
                        fma_to_odd(e, a, b, c)
                    })
                    .collect();
                e.op(Opcode::VecMake, Attr::None, &lanes, wide)
            }
            _ => fma_to_odd(e, a, b, c),
        },
    };
    e.op(Opcode::Cast, Attr::None, &[sum], ty)
}

/// `a * b + c` of f64 whose product is exact, rounded to odd: bf16's exponents reach so far that
/// the sum can lie beside the middle of two neighbours by less than 53 bits can tell.
fn fma_to_odd(e: &mut Emit<'_>, a: Value, b: Value, c: Value) -> Value {
    let f64 = Type::Scalar(Scalar::F64);
    let i64 = Type::Scalar(Scalar::I64);
    let product = e.op(Opcode::Mul, Attr::None, &[a, b], f64);
    let sum = e.op(Opcode::Add, Attr::None, &[product, c], f64);
    // Knuth's two-sum: what the addition lost, exactly.
    let rest = e.op(Opcode::Sub, Attr::None, &[sum, product], f64);
    let first = e.op(Opcode::Sub, Attr::None, &[sum, rest], f64);
    let first = e.op(Opcode::Sub, Attr::None, &[product, first], f64);
    let second = e.op(Opcode::Sub, Attr::None, &[c, rest], f64);
    let lost = e.op(Opcode::Add, Attr::None, &[first, second], f64);
    // Where the last bit is even, the neighbour on the other side of the exact sum has an odd one.
    let zero = e.constant(Const::f64(0.0));
    let down = compare(e, Opcode::Lt, lost, zero);
    let up = compare(e, Opcode::Gt, lost, zero);
    let negative = compare(e, Opcode::Lt, sum, zero);
    let toward_zero = e.op(Opcode::Xor, Attr::None, &[down, negative], Type::BOOL);
    let inexact = e.op(Opcode::Or, Attr::None, &[down, up], Type::BOOL);
    let bits = e.op(Opcode::Bitcast, Attr::None, &[sum], i64);
    let (one, minus_one) =
        (e.constant(Const::int(Scalar::I64, 1)), e.constant(Const::int(Scalar::I64, -1)));
    let last = e.op(Opcode::And, Attr::None, &[bits, one], i64);
    let none = e.constant(Const::int(Scalar::I64, 0));
    let even = compare(e, Opcode::Eq, last, none);
    let moves = e.op(Opcode::And, Attr::None, &[inexact, even], Type::BOOL);
    let step = e.op(Opcode::Select, Attr::None, &[toward_zero, minus_one, one], i64);
    let moved = e.op(Opcode::Add, Attr::None, &[bits, step], i64);
    let bits = e.op(Opcode::Select, Attr::None, &[moves, moved, bits], i64);
    e.op(Opcode::Bitcast, Attr::None, &[bits], f64)
}

fn compare(e: &mut Emit<'_>, op: Opcode, a: Value, b: Value) -> Value {
    e.op(op, Attr::None, &[a, b], Type::BOOL)
}
