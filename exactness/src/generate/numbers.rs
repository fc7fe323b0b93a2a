//! Expressions of numbers.

use super::{Ex, Generator, Stage, Want};
use crate::program::{Code, code};
use crate::types::{Scalar, Type};

/// Values around which types behave oddly.
const CORNERS: [&str; 4] = ["MIN", "MAX", "BITS", "0"];

impl Generator {
    /// A scalar expression, of at most `depth` levels.
    pub(super) fn scalar(&mut self, ty: Scalar, want: Want, depth: usize) -> Ex {
        self.count();
        if depth == 0 || self.is_full() || self.random.chance(15) {
            return self.leaf(ty, want);
        }
        if self.random.chance(9)
            && let Some(ex) = self.control(&ty.into(), want, depth - 1)
        {
            return ex;
        }
        if self.random.chance(12)
            && let Some(code) = self.call_for(&ty.into())
        {
            return Ex::run(code);
        }
        if ty != Scalar::Bool
            && self.random.chance(4)
            && let Some(code) = self.folded(ty)
        {
            return Ex::run(code);
        }
        if !self.memory.is_empty()
            && self.random.chance(4)
            && let Some(code) = match ty {
                Scalar::Bool => self.any_element(),
                _ => self.folded_memory(ty),
            }
        {
            return Ex::run(code);
        }
        let ex = match ty {
            Scalar::Bool => self.boolean(want, depth - 1),
            _ if ty.is_int() => self.integer(ty, want, depth - 1),
            _ if ty.is_half() => self.half(ty, depth - 1),
            _ => self.float(ty, want, depth - 1),
        };
        self.staged(ex, ty, want)
    }

    /// The expression as its context takes it.
    pub(super) fn staged(&mut self, ex: Ex, ty: Scalar, want: Want) -> Ex {
        match (ex.stage, want) {
            (Stage::Run, _) | (_, Want::Any) => ex,
            // Of two host values: no name for a run-time one is at hand, but a cast makes one.
            _ if ty != Scalar::Bool => Ex::run(code("(").code(ex.code).text(format!(" as {ty})"))),
            _ => self.leaf(ty, want),
        }
    }

    /// A name or literal.
    pub(super) fn leaf(&mut self, ty: Scalar, want: Want) -> Ex {
        if self.random.chance(80)
            && let Some(ex) = self.read(&ty.into(), want)
        {
            return ex;
        }
        if self.random.chance(70)
            && let Some(code) = self.converted(ty)
        {
            return Ex::run(code);
        }
        let literal = self.literal(ty);
        match (ty, want) {
            (Scalar::F16 | Scalar::BF16, _) => {
                let value = self.random.pick(&["0.0", "1.0", "-2.5", "0.1", "3e4", "-7e-6"]);
                Ex::run(code(format!("{ty}::from_f32({value}f32 as f32)")))
            }
            (_, Want::Any) => Ex::host(code(literal)),
            (_, Want::Value) => Ex::run(code(self.value_literal(ty))),
            (Scalar::Bool, Want::Run) => match self.read(&Scalar::Bool.into(), want) {
                Some(ex) => ex,
                None => Ex::run(code(format!("(({} as u32) != 1)", self.random.below(3)))),
            },
            (_, Want::Run) => Ex::run(code(format!("({literal} as {ty})"))),
        }
    }

    /// A name that holds another type, converted.
    fn converted(&mut self, ty: Scalar) -> Option<Code> {
        let from = self.number();
        if from == ty {
            return None;
        }
        let e = self.read(&from.into(), Want::Run)?.code;
        let e = if from.is_half() { e.text(".to_f32()") } else { e };
        Some(match ty {
            Scalar::Bool => code("((").code(e).text(" as u32) & 1 == 0)"),
            _ if ty.is_half() => code(format!("{ty}::from_f32(")).code(e).text(" as f32)"),
            _ => code("(").code(e).text(format!(" as {ty})")),
        })
    }

    /// A literal with its type.
    pub(super) fn literal(&mut self, ty: Scalar) -> String {
        if ty == Scalar::Bool {
            return self.random.chance(50).to_string();
        }
        if ty.is_float() {
            let float =
                ["0.0", "1.0", "0.5", "-1.5", "3.25", "1e10", "-2.5e-3", "0.1", "1e30", "7.0"];
            let special = ["INFINITY", "NEG_INFINITY", "NAN", "MAX", "EPSILON", "MIN_POSITIVE"];
            return match self.random.chance(10) {
                true => format!("{ty}::{}", self.random.pick(&special)),
                false => match *self.random.pick(&float) {
                    f if f.starts_with('-') => format!("({f}{ty})"),
                    f => format!("{f}{ty}"),
                },
            };
        }
        match self.random.below(12) {
            0 => match *self.random.pick(&CORNERS) {
                "BITS" => format!("{}{ty}", ty.bits() - 1),
                "0" => format!("0{ty}"),
                corner => format!("{ty}::{corner}"),
            },
            1..3 if ty.is_signed() => format!("(-{}{ty})", self.random.within(1, 100)),
            3 => format!("0x{:x}{ty}", self.random.bits() >> (65 - ty.bits())),
            4..6 => format!("{}{ty}", self.random.below(127)),
            _ => format!("{}{ty}", self.random.below(9)),
        }
    }

    /// A literal for where the type is known: mostly without it.
    pub(super) fn value_literal(&mut self, ty: Scalar) -> String {
        if self.random.chance(30) || ty == Scalar::Bool {
            return self.literal(ty);
        }
        let n = self.random.below(100);
        match ty {
            _ if ty.is_float() => format!("{}.{}", n, n % 8),
            _ if ty.is_signed() && self.random.chance(30) => format!("-{n}"),
            _ => n.to_string(),
        }
    }

    /// The operands of an operator: not both literals.
    fn operands(&mut self, ty: Scalar, depth: usize) -> (Ex, Code, Stage) {
        let left = self.scalar(ty, Want::Any, depth);
        if left.stage == Stage::Run && !ty.is_half() && self.random.chance(15) {
            let n = self.random.below(50);
            let literal = if ty.is_float() { format!("{n}.5") } else { n.to_string() };
            return (left, code(literal), Stage::Run);
        }
        let right = self.scalar(ty, Want::Any, depth);
        let stage = left.stage.join(right.stage);
        (left, right.code, stage)
    }

    pub(super) fn binary(&mut self, ty: Scalar, op: &str, depth: usize) -> Ex {
        let (left, right, stage) = self.operands(ty, depth);
        let code = code("(").code(left.code).text(format!(" {op} ")).code(right).text(")");
        Ex { code, stage }
    }

    /// A value of any type, for where the type is known from the context.
    pub(super) fn value(&mut self, ty: &Type, depth: usize) -> Code {
        self.any(ty, Want::Value, depth)
    }

    /// An expression of any type, of which every scalar is as wanted; not `Want::Any`.
    pub(super) fn any(&mut self, ty: &Type, want: Want, depth: usize) -> Code {
        let parts = match ty {
            Type::Scalar(scalar) => return self.scalar(*scalar, want, depth).code,
            Type::Enum(of) => return self.enumerated(of, want, depth).code,
            _ => ty.parts(),
        };
        self.count();
        if self.random.chance(40)
            && let Some(ex) = self.read(ty, want)
        {
            return ex.code;
        }
        if depth > 0
            && self.random.chance(15)
            && let Some(ex) = self.control(ty, want, depth - 1)
        {
            return ex.code;
        }
        if self.random.chance(20)
            && let Some(code) = self.call_for(ty)
        {
            return code;
        }
        let depth = depth.saturating_sub(1);
        if let Type::Array(element, len) = ty
            && self.random.chance(20)
        {
            let element = self.any(element, want, depth);
            return code("[").code(element).text(format!("; {len}]"));
        }
        if let Some(opaque) = ty.opaque() {
            let value = opaque.value.clone();
            if opaque.operators.is_empty() || depth == 0 || self.random.chance(30) {
                return code(value);
            }
            let op = *self.random.pick(opaque.operators);
            let (left, right) = (self.any(ty, want, depth - 1), self.any(ty, want, depth - 1));
            return code("(").code(left).text(format!(" {op} ")).code(right).text(")");
        }
        if let Type::Struct(of) = ty {
            return self.struct_value(of, want, depth);
        }
        let (open, close) = if matches!(ty, Type::Tuple(_)) { ("(", ",)") } else { ("[", "]") };
        let mut out = code(open);
        for (i, part) in parts.iter().enumerate() {
            let part = self.any(part, want, depth);
            out = out.text(if i == 0 { "" } else { ", " }).code(part);
        }
        out.text(close)
    }
}
