//! Operations on scalars, and on vectors lane by lane.

use kernelsmith_ir::attr::Const;
use kernelsmith_ir::{Inst, Opcode, Scalar, Type, Value};

use crate::emit::{Emitter, ins};
use crate::error::Error;
use crate::reg::{Class, Operand, Reg};

impl<'k> Emitter<'k> {
    pub(crate) fn elementwise(&mut self, inst: &Inst) -> Result<(), Error> {
        if let Some(reg) = self.wide_product(inst).or_else(|| self.narrow_quotient(inst)) {
            self.bind_reg(inst.result(), reg);
            return Ok(());
        }
        if inst.op == Opcode::Dot4 {
            let reg = self.dot4(inst);
            self.bind_reg(inst.result(), reg);
            return Ok(());
        }
        if inst.op == Opcode::Dot2 {
            let reg = self.dot2(inst);
            self.bind_reg(inst.result(), reg);
            return Ok(());
        }
        if let Some(words) = self.fma_of_pairs(inst) {
            self.bind_regs(inst.result(), words);
            return Ok(());
        }
        let elem = self.ty(inst.operands[0]).elem();
        let operands: Vec<Vec<Operand>> = inst.operands.iter().map(|&o| self.lanes(o)).collect();
        let mut lanes = Vec::with_capacity(operands[0].len());
        for lane in 0..operands[0].len() {
            let x: Vec<Operand> = operands.iter().map(|o| o[lane]).collect();
            lanes.push(self.scalar(inst.op, elem, &x)?);
        }
        self.bind_lanes(inst.result(), lanes);
        Ok(())
    }

    /// PTX ISA, `dp4a`: from sm_61 on. The accumulator's type only matters to assemblers: it is
    /// unsigned where both factors are.
    fn dot4(&mut self, inst: &Inst) -> Reg {
        let sign = |i: usize| if self.ty(inst.operands[i]) == Type::U32 { "u32" } else { "s32" };
        let name = format!("dp4a.{}.{}", sign(0), sign(1));
        let x: Vec<Operand> = inst.operands.iter().map(|&o| self.lanes(o)[0]).collect();
        self.op(&name, Class::B32, &x)
    }

    /// A bf16 is the upper half of an f32.
    fn dot2(&mut self, inst: &Inst) -> Reg {
        let [a, b, mut sum] = [0, 1, 2].map(|i| self.lanes(inst.operands[i])[0]);
        let word = |bits| Operand::Const(Const::new(Scalar::U32, bits));
        for (name, by) in [("and.b32", word(0xffff_0000)), ("shl.b32", word(16))] {
            let [x, y] = [a, b].map(|x| {
                let bits = self.op(name, Class::B32, &[x, by]);
                self.op("mov.b32", Class::F32, &[bits.into()]).into()
            });
            sum = self.op("fma.rn.f32", Class::F32, &[x, y, sum]).into();
        }
        self.in_reg(sum)
    }

    /// One scalar operation that takes and gives values of one type (counts give `u32`).
    pub(crate) fn scalar(&mut self, op: Opcode, elem: Scalar, x: &[Operand]) -> Result<Reg, Error> {
        match elem {
            Scalar::Bool => self.logic(op, x),
            _ if elem.is_int() => self.integer(op, elem, x),
            Scalar::F32 | Scalar::F64 => self.float(op, elem, x),
            Scalar::F16 | Scalar::BF16 => self.small_float(op, elem, x),
            _ => Err(self.unsupported(elem.into(), "the type has no arithmetic")),
        }
    }

    fn logic(&mut self, op: Opcode, x: &[Operand]) -> Result<Reg, Error> {
        let name = match op {
            Opcode::And => "and.pred",
            Opcode::Or => "or.pred",
            Opcode::Xor => "xor.pred",
            Opcode::Not => "not.pred",
            _ => return Err(self.unsupported(Type::BOOL, "it is defined on numbers")),
        };
        let x: Vec<Operand> = x.iter().map(|&x| self.in_reg(x).into()).collect();
        Ok(self.op(name, Class::Pred, &x))
    }

    /// The small floats compute in `f32` and round, which is exact for all but `fma`.
    fn small_float(&mut self, op: Opcode, elem: Scalar, x: &[Operand]) -> Result<Reg, Error> {
        if op == Opcode::Fma {
            return self.small_fma(elem, x);
        }
        let mut operands = Vec::with_capacity(x.len());
        for &x in x {
            operands.push(self.widen(x, elem).into());
        }
        let result = self.float(op, Scalar::F32, &operands)?;
        self.convert(result.into(), Scalar::F32, elem)
    }

    /// One instruction, except for `bf16` before sm_80 (PTX ISA, `fma`, half precision).
    fn small_fma(&mut self, elem: Scalar, x: &[Operand]) -> Result<Reg, Error> {
        if elem == Scalar::F16 || self.target.sm >= 80 {
            let x: Vec<Operand> = x.iter().map(|&x| self.in_reg(x).into()).collect();
            return Ok(self.op(&format!("fma.rn.{elem}"), Class::B16, &x));
        }
        let mut wide = Vec::with_capacity(x.len());
        for &x in x {
            wide.push(self.convert(x, elem, Scalar::F64)?.into());
        }
        let odd = self.fma_to_odd(&wide);
        self.convert(odd.into(), Scalar::F64, elem)
    }

    /// Two halves of a word at once (PTX ISA, `fma`, half precision: `.f16x2`, `.bf16x2`).
    fn fma_of_pairs(&mut self, inst: &Inst) -> Option<Vec<Reg>> {
        let ty = self.ty(inst.result());
        let Type::Vector(elem @ (Scalar::F16 | Scalar::BF16), lanes) = ty else { return None };
        if inst.op != Opcode::Fma || self.target.sm < 80 || !lanes.is_multiple_of(2) {
            return None;
        }
        let operands: Vec<Vec<Reg>> = inst.operands.iter().map(|&x| self.regs(x)).collect();
        let name = format!("fma.rn.{elem}x2");
        let words = 0..usize::from(lanes) / 2;
        Some(
            words
                .map(|word| {
                    let x: Vec<Operand> = operands.iter().map(|x| x[word].into()).collect();
                    self.op(&name, Class::B32, &x)
                })
                .collect(),
        )
    }

    /// The sum rounded to odd, so that the rounding that follows is as if it were the only one: of
    /// its two neighbours, where they differ, the one whose last bit is set.
    fn fma_to_odd(&mut self, x: &[Operand]) -> Reg {
        let nearest = self.op("fma.rn.f64", Class::F64, x);
        let below = self.op("fma.rm.f64", Class::F64, x);
        let above = self.op("fma.rp.f64", Class::F64, x);
        let inexact = self.op("setp.neu.f64", Class::Pred, &[below.into(), above.into()]);
        let [low, _] = self.split(below);
        let last = self.op("and.b32", Class::B32, &[low.into(), Operand::u32(1)]);
        let odd = self.op("setp.ne.u32", Class::Pred, &[last.into(), Operand::u32(0)]);
        let odd = self.choose(odd, below.into(), above.into());
        self.choose(inexact, odd.into(), nearest.into())
    }

    /// A 64-bit product of two values that were widened from 32 bits, or of one and a constant
    /// that fits: one instruction instead of a 64-bit multiplication.
    fn wide_product(&mut self, inst: &Inst) -> Option<Reg> {
        if inst.op != Opcode::Mul || self.ty(inst.result()) != self.ty(inst.operands[0]) {
            return None;
        }
        let Type::Scalar(elem @ (Scalar::I64 | Scalar::U64)) = self.ty(inst.result()) else {
            return None;
        };
        let [a, b] = [inst.operands[0], inst.operands[1]];
        [true, false].into_iter().find_map(|signed| {
            let (x, y) = (self.widened(a, signed)?, self.widened(b, signed)?);
            if matches!((x, y), (Operand::Const(_), Operand::Const(_))) {
                return None;
            }
            debug_assert!(elem.is_int());
            let op = if signed { "mul.wide.s32" } else { "mul.wide.u32" };
            Some(self.op(op, Class::B64, &[x, y]))
        })
    }

    /// The 32-bit value of that signedness a 64-bit value was widened from.
    pub(crate) fn widened(&mut self, value: Value, signed: bool) -> Option<Operand> {
        if let Some(c) = self.constant(value) {
            let bits = c.bits;
            return if signed {
                i32::try_from(bits as i64).ok().map(|x| Emitter::int(Scalar::I32, x.into()))
            } else {
                u32::try_from(bits).ok().map(Operand::u32)
            };
        }
        let inst = self.definition(value).filter(|i| i.op == Opcode::Cast)?;
        let from = self.ty(inst.operands[0]).elem();
        if from.is_int() && from.size() <= 4 && from.is_signed() == signed {
            Some(self.operand(inst.operands[0]))
        } else {
            None
        }
    }

    pub(crate) fn compare(&mut self, inst: &Inst) {
        let ty = self.ty(inst.operands[0]);
        let (a, b) = (self.operand(inst.operands[0]), self.operand(inst.operands[1]));
        let reg = match ty {
            Type::Ptr(..) => self.compare_operands(inst.op, a.class(), false, a, b),
            _ => self.compare_scalars(inst.op, ty.elem(), a, b),
        };
        self.bind_reg(inst.result(), reg);
    }

    pub(crate) fn compare_scalars(
        &mut self,
        op: Opcode,
        elem: Scalar,
        a: Operand,
        b: Operand,
    ) -> Reg {
        match elem {
            Scalar::Bool => {
                let (a, b) = (self.in_reg(a), self.in_reg(b));
                let differ = self.op("xor.pred", Class::Pred, &[a.into(), b.into()]);
                match op {
                    Opcode::Eq => self.op("not.pred", Class::Pred, &[differ.into()]),
                    _ => differ,
                }
            }
            Scalar::F16 | Scalar::BF16 => {
                let (a, b) = (self.widen(a, elem), self.widen(b, elem));
                self.compare_operands(op, Class::F32, false, a.into(), b.into())
            }
            _ => self.compare_operands(op, Class::of(elem), elem.is_signed(), a, b),
        }
    }

    fn compare_operands(
        &mut self,
        op: Opcode,
        class: Class,
        signed: bool,
        a: Operand,
        b: Operand,
    ) -> Reg {
        let float = matches!(class, Class::F32 | Class::F64);
        let relation = match op {
            Opcode::Eq => "eq",
            // True with NaN, as in Rust; the others are false.
            Opcode::Ne if float => "neu",
            Opcode::Ne => "ne",
            Opcode::Lt => "lt",
            Opcode::Le => "le",
            Opcode::Gt => "gt",
            _ => "ge",
        };
        let suffix = match class {
            Class::F32 => "f32",
            Class::F64 => "f64",
            Class::B64 => {
                if signed {
                    "s64"
                } else {
                    "u64"
                }
            }
            _ => {
                if signed {
                    "s32"
                } else {
                    "u32"
                }
            }
        };
        let to = self.new_reg(Class::Pred);
        ins!(self, "setp.{relation}.{suffix} {to}, {a}, {b};");
        to
    }
}
