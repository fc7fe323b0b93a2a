//! Integer operations. They wrap, and shifts mask their amount, as in Rust.

use kernelsmith_ir::{Opcode, Scalar};

use crate::emit::Emitter;
use crate::error::Error;
use crate::reg::{Class, Operand, Reg};

impl<'k> Emitter<'k> {
    /// One operation on integers of a type. 8 and 16 bits compute in 32.
    pub(crate) fn integer(
        &mut self,
        op: Opcode,
        elem: Scalar,
        x: &[Operand],
    ) -> Result<Reg, Error> {
        let class = Class::of(elem);
        let bits = if class == Class::B64 { 64 } else { 32 };
        let sign = if elem.is_signed() { 's' } else { 'u' };
        let signed = format!("s{bits}");
        let exact = format!("{sign}{bits}");
        let raw = format!("b{bits}");
        use Opcode::*;
        // The result may not be within the narrow type for the first group; for the second it is.
        let wraps = |name: &str, ty: &str| Some((format!("{name}.{ty}"), true));
        let stays = |name: &str, ty: &str| Some((format!("{name}.{ty}"), false));
        let simple = match op {
            Add => wraps("add", &signed),
            Sub => wraps("sub", &signed),
            Mul => wraps("mul.lo", &signed),
            Neg => wraps("neg", &signed),
            // |MIN| does not fit and comes out as MIN, as wrapping_abs.
            Abs => wraps("abs", &signed),
            Not => wraps("not", &raw),
            Min => stays("min", &exact),
            Max => stays("max", &exact),
            And => stays("and", &raw),
            Or => stays("or", &raw),
            Xor => stays("xor", &raw),
            _ => None,
        };
        if let Some((name, may_overflow)) = simple {
            let reg = self.op(&name, class, x);
            return Ok(if may_overflow { self.wrap(elem, reg) } else { reg });
        }
        Ok(match op {
            Div | Rem => self.divide(op, elem, x),
            MulHi => self.mul_hi(elem, &exact, x),
            Shl | Shr => self.shift(op, elem, x),
            CountOnes | LeadingZeros | TrailingZeros => self.count(op, elem, x[0]),
            ReverseBits => self.reverse_bits(elem, x[0]),
            _ => return Err(self.not_prepared()),
        })
    }

    /// Cuts a 32-bit result back to a narrow type, and extends it as the type is held.
    pub(crate) fn wrap(&mut self, elem: Scalar, reg: Reg) -> Reg {
        match (elem.size(), elem.is_signed()) {
            (1, true) => self.op("cvt.s32.s8", Class::B32, &[reg.into()]),
            (2, true) => self.op("cvt.s32.s16", Class::B32, &[reg.into()]),
            (1 | 2, false) => self.low_bits(elem, reg.into()),
            _ => reg,
        }
    }

    /// The value's own bits, zero-extended.
    pub(crate) fn low_bits(&mut self, elem: Scalar, x: Operand) -> Reg {
        let mask = Operand::u32((1 << elem.bits()) - 1);
        self.op("and.b32", Class::B32, &[x, mask])
    }

    fn mul_hi(&mut self, elem: Scalar, exact: &str, x: &[Operand]) -> Reg {
        let class = Class::of(elem);
        if elem.size() >= 4 {
            return self.op(&format!("mul.hi.{exact}"), class, x);
        }
        // The whole product fits 32 bits.
        let product = self.op(&format!("mul.lo.{exact}"), class, x);
        self.op(&format!("shr.{exact}"), class, &[product.into(), Operand::u32(elem.bits())])
    }

    /// PTX clamps amounts above the width (PTX ISA, `shl`, `shr`); Rust takes them modulo it.
    fn shift(&mut self, op: Opcode, elem: Scalar, x: &[Operand]) -> Reg {
        let mask = elem.bits() - 1;
        let amount = match x[1] {
            Operand::Const(c) => Operand::u32(c.bits as u32 & mask),
            amount => self.op("and.b32", Class::B32, &[amount, Operand::u32(mask)]).into(),
        };
        let class = Class::of(elem);
        let bits = if class == Class::B64 { 64 } else { 32 };
        if op == Opcode::Shl {
            let reg = self.op(&format!("shl.b{bits}"), class, &[x[0], amount]);
            return self.wrap(elem, reg);
        }
        let sign = if elem.is_signed() { 's' } else { 'u' };
        self.op(&format!("shr.{sign}{bits}"), class, &[x[0], amount])
    }

    fn count(&mut self, op: Opcode, elem: Scalar, x: Operand) -> Reg {
        let narrow = elem.size() < 4;
        let bits = elem.bits().max(32);
        let x = if narrow { self.low_bits(elem, x).into() } else { x };
        match op {
            Opcode::CountOnes => self.op(&format!("popc.b{bits}"), Class::B32, &[x]),
            Opcode::LeadingZeros => {
                let zeros = self.op(&format!("clz.b{bits}"), Class::B32, &[x]);
                match 32u32.checked_sub(elem.bits()) {
                    Some(extra @ 1..) => {
                        self.op("sub.s32", Class::B32, &[zeros.into(), Operand::u32(extra)])
                    }
                    _ => zeros,
                }
            }
            _ => {
                // A one just above a narrow value ends the count for 0.
                let x = match narrow {
                    true => {
                        let end = Operand::u32(1 << elem.bits());
                        self.op("or.b32", Class::B32, &[x, end]).into()
                    }
                    false => x,
                };
                let class = Class::of(elem);
                let reversed = self.op(&format!("brev.b{bits}"), class, &[x]);
                self.op(&format!("clz.b{bits}"), Class::B32, &[reversed.into()])
            }
        }
    }

    fn reverse_bits(&mut self, elem: Scalar, x: Operand) -> Reg {
        let class = Class::of(elem);
        let bits = elem.bits().max(32);
        let reversed = self.op(&format!("brev.b{bits}"), class, &[x]);
        if elem.size() >= 4 {
            return reversed;
        }
        // The bits are now the highest; the shift extends them.
        let sign = if elem.is_signed() { 's' } else { 'u' };
        let shift = Operand::u32(32 - elem.bits());
        self.op(&format!("shr.{sign}32"), class, &[reversed.into(), shift])
    }
}
