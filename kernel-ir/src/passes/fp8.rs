//! Conversions between f32 and the 8-bit floats in integers, where a target has none of its own
//! that mean the same: NVIDIA's from sm_89 on do (PTX ISA, `cvt`). AMD's gfx942 has other formats
//! (FNUZ), and those of gfx950 and gfx12 saturate only in a mode of the wave.

use super::edit::{Emit, Subst, rebuild};
use crate::attr::{Attr, Const};
use crate::fp8::{Format, NAN};
use crate::kernel::{Inst, Kernel, Value};
use crate::op::Opcode;
use crate::target::Target;
use crate::types::{Scalar, Type};

/// Bits of the fraction of an f32, and what is added to its exponents.
const FRACTION: u32 = 23;
const BIAS: i32 = 127;

/// Rewrites the conversions that `target` does not have.
pub fn run(kernel: &mut Kernel, target: &Target) {
    if matches!(target, Target::Ptx(p) if p.sm >= 89) {
        return;
    }
    let mut body = std::mem::take(&mut kernel.body);
    let mut renamed = Subst::default();
    rebuild(&mut body, &mut |inst, out| {
        if inst.op != Opcode::Cast {
            return out.push(inst);
        }
        let (from, to) = (kernel.ty(inst.operands[0]), kernel.ty(inst.result()));
        let formats = (Format::of(from.elem()), Format::of(to.elem()));
        if from == to || formats == (None, None) {
            return out.push(inst);
        }
        let mut bits = Bits { e: Emit { kernel: &mut *kernel, out, loc: inst.loc } };
        let result = bits.each_lane(&inst, |bits, x| match formats {
            (Some(format), _) => bits.widen(x, format),
            (_, Some(format)) => bits.narrow(x, format, to.elem()),
            _ => unreachable!("one of them is an 8-bit float"),
        });
        renamed.set(inst.result(), result);
    });
    renamed.apply_region(&mut body);
    kernel.body = body;
}

/// Emits operations on u32.
struct Bits<'a> {
    e: Emit<'a>,
}

impl Bits<'_> {
    fn each_lane(&mut self, inst: &Inst, of: impl Fn(&mut Self, Value) -> Value) -> Value {
        let (x, to) = (inst.operands[0], self.e.kernel.ty(inst.result()));
        let (Type::Vector(elem, lanes), from) = (to, self.e.kernel.ty(x).elem()) else {
            return of(self, x);
        };
        debug_assert_eq!(elem, to.elem());
        let made: Vec<Value> = (0..lanes)
            .map(|lane| {
                let x = self.e.op(Opcode::VecExtract, Attr::Lane(lane), &[x], from.into());
                of(self, x)
            })
            .collect();
        self.e.op(Opcode::VecMake, Attr::None, &made, to)
    }

    fn number(&mut self, x: u32) -> Value {
        self.e.constant(Const::int(Scalar::U32, x.into()))
    }

    fn op(&mut self, op: Opcode, a: Value, b: u32) -> Value {
        let b = self.number(b);
        self.e.op(op, Attr::None, &[a, b], Type::U32)
    }

    fn two(&mut self, op: Opcode, a: Value, b: Value) -> Value {
        self.e.op(op, Attr::None, &[a, b], Type::U32)
    }

    fn is(&mut self, op: Opcode, a: Value, b: u32) -> Value {
        let b = self.number(b);
        self.e.op(op, Attr::None, &[a, b], Type::BOOL)
    }

    fn choose(&mut self, c: Value, yes: Value, no: Value) -> Value {
        self.e.op(Opcode::Select, Attr::None, &[c, yes, no], Type::U32)
    }

    fn bits_of(&mut self, x: Value, ty: Scalar) -> Value {
        self.e.op(Opcode::Bitcast, Attr::None, &[x], ty.into())
    }

    /// An operation with a float, from bits to bits.
    fn float(&mut self, op: Opcode, x: Value, y: f32) -> Value {
        let f32 = Type::Scalar(Scalar::F32);
        let (x, y) = (self.bits_of(x, Scalar::F32), self.e.constant(Const::f32(y)));
        let z = self.e.op(op, Attr::None, &[x, y], f32);
        self.bits_of(z, Scalar::U32)
    }

    /// f32 to an 8-bit float.
    fn narrow(&mut self, x: Value, format: Format, to: Scalar) -> Value {
        let cut = FRACTION - format.fraction;
        let bits = self.bits_of(x, Scalar::U32);
        let magnitude = self.op(Opcode::And, bits, !(1 << 31));
        // Normal results: a new exponent, and half of the last place, less one if that is even.
        let last = self.op(Opcode::Shr, magnitude, cut);
        let odd = self.op(Opcode::And, last, 1);
        let rebase = ((BIAS - format.bias) as u32) << FRACTION;
        let rebased = self.op(Opcode::Sub, magnitude, rebase - ((1 << (cut - 1)) - 1));
        let normal = self.two(Opcode::Add, rebased, odd);
        let normal = self.op(Opcode::Shr, normal, cut);
        // Subnormal results: beside this number the last place of an f32 is that of the result.
        let beside = 2f32.powi(FRACTION as i32 + format.least());
        let sum = self.float(Opcode::Add, magnitude, beside);
        let tiny = self.op(Opcode::Sub, sum, beside.to_bits());
        let is_tiny = self.is(Opcode::Lt, magnitude, rebase + (1 << FRACTION));
        let rounded = self.choose(is_tiny, tiny, normal);
        let finite = self.op(Opcode::Min, rounded, format.max.into());
        let sign = self.op(Opcode::Shr, bits, 24);
        let sign = self.op(Opcode::And, sign, 0x80);
        let signed = self.two(Opcode::Or, finite, sign);
        let is_nan = self.is(Opcode::Gt, magnitude, f32::INFINITY.to_bits());
        let nan = self.number(NAN.into());
        let code = self.choose(is_nan, nan, signed);
        let code = self.e.op(Opcode::Cast, Attr::None, &[code], Scalar::U8.into());
        self.bits_of(code, to)
    }

    /// An 8-bit float to f32.
    fn widen(&mut self, x: Value, format: Format) -> Value {
        let code = self.bits_of(x, Scalar::U8);
        let code = self.e.op(Opcode::Cast, Attr::None, &[code], Type::U32);
        let magnitude = self.op(Opcode::And, code, 0x7f);
        let moved = self.op(Opcode::Shl, magnitude, FRACTION - format.fraction);
        let rebase = ((BIAS - format.bias) as u32) << FRACTION;
        let normal = self.op(Opcode::Add, moved, rebase);
        // Subnormal codes are so many steps.
        let steps = self.e.op(Opcode::Cast, Attr::None, &[magnitude], Scalar::F32.into());
        let steps = self.bits_of(steps, Scalar::U32);
        let tiny = self.float(Opcode::Mul, steps, 2f32.powi(format.least()));
        let is_tiny = self.is(Opcode::Lt, magnitude, 1 << format.fraction);
        let mut value = self.choose(is_tiny, tiny, normal);
        if format.has_infinity() {
            let infinity = self.number(f32::INFINITY.to_bits());
            let is_large = self.is(Opcode::Gt, magnitude, format.max.into());
            value = self.choose(is_large, infinity, value);
        }
        let sign = self.op(Opcode::And, code, 0x80);
        let sign = self.op(Opcode::Shl, sign, 24);
        let value = self.two(Opcode::Or, value, sign);
        let nan = self.number(f32::NAN.to_bits());
        let last = format.max + u8::from(format.has_infinity());
        let is_nan = self.is(Opcode::Gt, magnitude, last.into());
        let value = self.choose(is_nan, nan, value);
        self.bits_of(value, Scalar::F32)
    }
}
