//! Casts, with the meaning of Rust's `as`, and bitcasts.

use kernelsmith_ir::eval::bounds;
use kernelsmith_ir::{Inst, Scalar, Type};

use crate::emit::{Emitter, ins};
use crate::error::Error;
use crate::reg::{Class, Operand, Reg, classes};

fn is_fp8(ty: Scalar) -> bool {
    matches!(ty, Scalar::E4M3 | Scalar::E5M2)
}

impl<'k> Emitter<'k> {
    pub(crate) fn cast(&mut self, inst: &Inst) -> Result<(), Error> {
        let (from, to) = (self.ty(inst.operands[0]), self.ty(inst.result()));
        let has_fp8 = self.target.sm >= 89;
        if has_fp8 && is_fp8(from.elem()) && to.elem() == Scalar::F32 {
            let floats = self.widen_fp8(inst);
            self.bind_lanes(inst.result(), floats);
            return Ok(());
        }
        let lanes = self.lanes(inst.operands[0]);
        if has_fp8 && is_fp8(to.elem()) && from.elem() == Scalar::F32 {
            let words = self.narrow_to_fp8(to, &lanes);
            self.bind_regs(inst.result(), words);
            return Ok(());
        }
        if let Some(words) = self.cast_pairs(from, to, &lanes) {
            self.bind_regs(inst.result(), words);
            return Ok(());
        }
        let mut converted = Vec::with_capacity(lanes.len());
        for lane in lanes {
            converted.push(self.convert(lane, from.elem(), to.elem())?);
        }
        self.bind_lanes(inst.result(), converted);
        Ok(())
    }

    /// From sm_80 on two `f32` become a packed word by one instruction (PTX ISA, `cvt`: `.f16x2`,
    /// `.bf16x2`).
    fn cast_pairs(&mut self, from: Type, to: Type, lanes: &[Operand]) -> Option<Vec<Reg>> {
        let pair = match (from.elem(), to.elem()) {
            (Scalar::F32, Scalar::F16) => "f16x2",
            (Scalar::F32, Scalar::BF16) => "bf16x2",
            _ => return None,
        };
        if self.target.sm < 80 || !lanes.len().is_multiple_of(2) {
            return None;
        }
        let op = format!("cvt.rn.{pair}.f32");
        let words = lanes.chunks(2).map(|two| {
            // The first source becomes the upper half.
            self.op(&op, Class::B32, &[two[1], two[0]])
        });
        Some(words.collect())
    }

    /// Two by two, saturating (PTX ISA, `cvt`: `.e4m3x2`, `.e5m2x2`); a last one by itself beside 0.
    fn narrow_to_fp8(&mut self, to: Type, lanes: &[Operand]) -> Vec<Reg> {
        self.need_fp8();
        let op = format!("cvt.rn.satfinite.{}x2.f32", to.elem());
        let zero = Operand::Const(kernelsmith_ir::attr::Const::f32(0.0));
        let pairs: Vec<Reg> = lanes
            .chunks(2)
            // The first source becomes the upper half.
            .map(|two| self.op(&op, Class::B16, &[*two.get(1).unwrap_or(&zero), two[0]]))
            .collect();
        if !matches!(to, Type::Vector(..)) {
            return vec![self.op("cvt.u32.u16", Class::B32, &[pairs[0].into()])];
        }
        let words = pairs.chunks(2).map(|two| {
            let (word, low) = (self.new_reg(Class::B32), two[0]);
            let high = *two.get(1).unwrap_or(&low);
            ins!(self, "mov.b32 {word}, {{{low}, {high}}};");
            word
        });
        words.collect()
    }

    /// Two by two, through f16, in which they are exact.
    fn widen_fp8(&mut self, inst: &Inst) -> Vec<Reg> {
        self.need_fp8();
        let ty = self.ty(inst.operands[0]);
        let op = format!("cvt.rn.f16x2.{}x2", ty.elem());
        let mut floats = Vec::new();
        for word in self.regs(inst.operands[0]) {
            for pair in self.halves(word.into()) {
                if floats.len() < ty.lanes() as usize {
                    let two = self.op(&op, Class::B32, &[pair.into()]);
                    let halves = self.halves(two.into());
                    let wide =
                        halves.map(|half| self.op("cvt.f32.f16", Class::F32, &[half.into()]));
                    floats.extend(wide);
                }
            }
        }
        floats.truncate(ty.lanes() as usize);
        floats
    }

    /// From sm_90 on the conversions are as old as the architecture.
    fn need_fp8(&mut self) {
        if self.target.sm < 90 {
            self.need(8, 1);
        }
    }

    /// Converts one scalar.
    pub(crate) fn convert(&mut self, x: Operand, from: Scalar, to: Scalar) -> Result<Reg, Error> {
        if from == to {
            return Ok(self.in_reg(x));
        }
        Ok(match (from, to) {
            (Scalar::Bool, _) if to.is_int() => {
                let condition = self.in_reg(x);
                let class = Class::of(to);
                let (one, zero) = (Emitter::int(to, 1), Emitter::int(to, 0));
                let op = format!("selp.{}", class.suffix());
                self.op(&op, class, &[one, zero, condition.into()])
            }
            _ if from.is_int() && to.is_int() => self.int_to_int(x, from, to),
            _ if from.is_int() && to.is_float() => self.int_to_float(x, from, to),
            _ if from.is_float() && to.is_int() => self.float_to_int(x, from, to),
            (Scalar::F32, Scalar::TF32) => self.f32_to_tf32(x),
            (Scalar::TF32, Scalar::F32) => {
                let bits = self.in_reg(x);
                self.op("mov.b32", Class::F32, &[bits.into()])
            }
            _ if from.is_float() && to.is_float() => self.float_to_float(x, from, to),
            _ => {
                let rule = format!("there is no conversion from {from} to {to}");
                return Err(self.unsupported(to.into(), rule));
            }
        })
    }

    fn int_to_int(&mut self, x: Operand, from: Scalar, to: Scalar) -> Reg {
        let x = self.in_reg(x);
        match (from.size() == 8, to.size() == 8) {
            (false, true) if from.is_signed() => self.op("cvt.s64.s32", Class::B64, &[x.into()]),
            (false, true) => self.op("cvt.u64.u32", Class::B64, &[x.into()]),
            (true, true) => x,
            (true, false) => {
                let low = self.op("cvt.u32.u64", Class::B32, &[x.into()]);
                self.wrap(to, low)
            }
            // A value that fits is already held as the target type holds it.
            (false, false) if bounds(to).0 <= bounds(from).0 && bounds(from).1 <= bounds(to).1 => x,
            (false, false) => self.wrap(to, x),
        }
    }

    fn int_to_float(&mut self, x: Operand, from: Scalar, to: Scalar) -> Reg {
        let sign = if from.is_signed() { 's' } else { 'u' };
        let bits = from.bits().max(32);
        let wide = if to == Scalar::F64 { Scalar::F64 } else { Scalar::F32 };
        let class = Class::of(wide);
        let reg = self.op(&format!("cvt.rn.{}.{sign}{bits}", class.suffix()), class, &[x]);
        // The small types round a second time, from f32, as on every target.
        self.float_to_float(reg.into(), wide, to)
    }

    /// Rust saturates and takes NaN to 0. So does PTX, except that NaN becomes the highest bit
    /// alone where the source is `f64` or the target has 64 bits (PTX ISA, `cvt`).
    fn float_to_int(&mut self, x: Operand, from: Scalar, to: Scalar) -> Reg {
        let wide = if from == Scalar::F64 { Scalar::F64 } else { Scalar::F32 };
        let x = if from == wide { x } else { self.widen(x, from).into() };
        let sign = if to.is_signed() { 's' } else { 'u' };
        let bits = to.bits().max(32);
        let (class, ty) = (Class::of(to), Class::of(wide).suffix());
        let mut reg = self.op(&format!("cvt.rzi.{sign}{bits}.{ty}"), class, &[x]);
        if to.size() < 4 {
            let (low, high) = bounds(to);
            reg = self.op(&format!("min.{sign}32"), class, &[reg.into(), Emitter::int(to, high)]);
            if to.is_signed() {
                reg = self.op("max.s32", class, &[reg.into(), Emitter::int(to, low)]);
            }
        }
        if wide == Scalar::F64 || to.size() == 8 {
            let number = self.op(&format!("setp.num.{ty}"), Class::Pred, &[x, x]);
            reg = self.choose(number, reg.into(), Emitter::int(to, 0));
        }
        reg
    }

    /// A small float as `f32`, exactly; `f32` as it is.
    pub(crate) fn widen(&mut self, x: Operand, from: Scalar) -> Reg {
        self.float_to_float(x, from, Scalar::F32)
    }

    fn float_to_float(&mut self, x: Operand, from: Scalar, to: Scalar) -> Reg {
        use Scalar::{BF16, F16, F32, F64};
        let x = self.in_reg(x);
        match (from, to) {
            _ if from == to => x,
            (BF16, F32) => self.bf16_to_f32(x),
            (BF16, _) => {
                let wide = self.bf16_to_f32(x);
                self.float_to_float(wide.into(), F32, to)
            }
            (F16, BF16) => {
                let wide = self.op("cvt.f32.f16", Class::F32, &[x.into()]);
                self.f32_to_bf16(wide)
            }
            (F32, BF16) => self.f32_to_bf16(x),
            (F64, BF16) => self.f64_to_bf16(x),
            (_, F64) => self.op(&format!("cvt.f64.{from}"), Class::F64, &[x.into()]),
            (F16, _) => self.op("cvt.f32.f16", Class::F32, &[x.into()]),
            _ => self.op(&format!("cvt.rn.{to}.{from}"), Class::of(to), &[x.into()]),
        }
    }

    /// The upper half of the word. (`cvt.f32.bf16` is only there from sm_90 on.)
    fn bf16_to_f32(&mut self, x: Reg) -> Reg {
        let zero = self.in_reg(Operand::Const(kernelsmith_ir::attr::Const::new(Scalar::BF16, 0)));
        let to = self.new_reg(Class::F32);
        ins!(self, "mov.b32 {to}, {{{zero}, {x}}};");
        to
    }

    fn f32_to_bf16(&mut self, x: Reg) -> Reg {
        if self.target.sm >= 80 {
            return self.op("cvt.rn.bf16.f32", Class::B16, &[x.into()]);
        }
        let rounded = self.round_bits(x, 16);
        let [_, high] = self.halves(rounded.into());
        high
    }

    /// The bits of an `f32` rounded to nearest even at bit `cut`, those below left as they come;
    /// NaN becomes the quiet one. The carry of the sum moves the exponent up as it should, to
    /// infinity at the end.
    fn round_bits(&mut self, x: Reg, cut: u32) -> Reg {
        let bits = self.op("mov.b32", Class::B32, &[x.into()]);
        let number = self.op("setp.num.f32", Class::Pred, &[x.into(), x.into()]);
        let shifted = self.op("shr.u32", Class::B32, &[bits.into(), Operand::u32(cut)]);
        let odd = self.op("and.b32", Class::B32, &[shifted.into(), Operand::u32(1)]);
        let half = Operand::u32((1 << (cut - 1)) - 1);
        let up = self.op("add.s32", Class::B32, &[odd.into(), half]);
        let rounded = self.op("add.s32", Class::B32, &[bits.into(), up.into()]);
        self.choose(number, rounded.into(), Operand::u32(0x7FFF_FFFF))
    }

    /// Through `f32` rounded to odd, from which the second rounding is as if it were the only one.
    fn f64_to_bf16(&mut self, x: Reg) -> Reg {
        let cut = self.op("cvt.rz.f32.f64", Class::F32, &[x.into()]);
        let back = self.op("cvt.f64.f32", Class::F64, &[cut.into()]);
        let inexact = self.op("setp.neu.f64", Class::Pred, &[back.into(), x.into()]);
        let bits = self.op("mov.b32", Class::B32, &[cut.into()]);
        let odd = self.op("or.b32", Class::B32, &[bits.into(), Operand::u32(1)]);
        let bits = self.choose(inexact, odd.into(), bits.into());
        let odd = self.op("mov.b32", Class::F32, &[bits.into()]);
        self.f32_to_bf16(odd)
    }

    /// To nearest even; before sm_90 there is only rounding with ties away from zero.
    fn f32_to_tf32(&mut self, x: Operand) -> Reg {
        if self.target.sm >= 90 {
            return self.op("cvt.rn.tf32.f32", Class::B32, &[x]);
        }
        let x = self.in_reg(x);
        let rounded = self.round_bits(x, 13);
        self.op("and.b32", Class::B32, &[rounded.into(), Operand::u32(!0x1FFF)])
    }

    pub(crate) fn bitcast(&mut self, inst: &Inst) {
        let (from, to) = (self.ty(inst.operands[0]), self.ty(inst.result()));
        let regs = self.regs(inst.operands[0]);
        // Pointers within one space differ in nothing but their type.
        if from.is_ptr() && to.is_ptr() || from.elem() == to.elem() && classes(from) == classes(to)
        {
            return self.bind_regs(inst.result(), regs);
        }
        let bytes = self.words_of(from, &regs);
        let regs = self.regs_of_words(to, &bytes);
        self.bind_regs(inst.result(), regs);
    }

    /// The bits of a value as 32-bit words, the lowest first; those above a narrow value are
    /// arbitrary.
    pub(crate) fn words_of(&mut self, ty: Type, regs: &[Reg]) -> Vec<Reg> {
        let mut words = Vec::new();
        for &reg in regs {
            match reg.class {
                Class::B32 => words.push(reg),
                Class::F32 => words.push(self.op("mov.b32", Class::B32, &[reg.into()])),
                Class::B64 | Class::F64 => words.extend(self.split(reg)),
                Class::B16 => words.push(self.op("cvt.u32.u16", Class::B32, &[reg.into()])),
                Class::Pred => words.push(self.bit(reg)),
            }
        }
        // A shared or local address is held in half of its size.
        if ty.is_ptr() && words.len() == 1 {
            words.push(self.in_reg(Operand::u32(0)));
        }
        words
    }

    pub(crate) fn regs_of_words(&mut self, ty: Type, words: &[Reg]) -> Vec<Reg> {
        let mut words = words.iter().copied();
        let mut next = || words.next().expect("the kernel is verified: sizes agree");
        classes(ty)
            .into_iter()
            .map(|class| match class {
                Class::B32 => match ty {
                    Type::Scalar(s) => {
                        let word = next();
                        self.wrap(s, word)
                    }
                    _ => next(),
                },
                Class::F32 => self.op("mov.b32", Class::F32, &[next().into()]),
                Class::B64 | Class::F64 => {
                    let two = [next(), next()];
                    self.join(class, two)
                }
                Class::B16 => self.op("cvt.u16.u32", Class::B16, &[next().into()]),
                Class::Pred => {
                    self.op("setp.ne.u32", Class::Pred, &[next().into(), Operand::u32(0)])
                }
            })
            .collect()
    }

    /// The halves of a 64-bit register, the lower first.
    pub(crate) fn split(&mut self, reg: Reg) -> [Reg; 2] {
        let (low, high) = (self.new_reg(Class::B32), self.new_reg(Class::B32));
        ins!(self, "mov.b64 {{{low}, {high}}}, {reg};");
        [low, high]
    }

    /// A 64-bit register from its halves.
    pub(crate) fn join(&mut self, class: Class, [low, high]: [Reg; 2]) -> Reg {
        let to = self.new_reg(class);
        ins!(self, "mov.b64 {to}, {{{low}, {high}}};");
        to
    }
}
