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

    fn binary(&mut self, ty: Scalar, op: &str, depth: usize) -> Ex {
        let (left, right, stage) = self.operands(ty, depth);
        let code = code("(").code(left.code).text(format!(" {op} ")).code(right).text(")");
        Ex { code, stage }
    }

    fn integer(&mut self, ty: Scalar, want: Want, depth: usize) -> Ex {
        match self.random.below(100) {
            0..30 => {
                let op = *self.random.pick(&["+", "-", "*", "+", "-", "*", "&", "|", "^"]);
                self.binary(ty, op, depth)
            }
            30..40 => self.division(ty, depth),
            40..50 => self.shift(ty, depth),
            50..58 => {
                let e = self.scalar(ty, Want::Any, depth);
                let op = if ty.is_signed() && self.random.chance(60) { "-" } else { "!" };
                Ex { code: code(format!("({op}")).code(e.code).text(")"), stage: e.stage }
            }
            58..74 => Ex::run(self.integer_method(ty, depth)),
            74..78 => self.unwrapped(ty, depth),
            78..80 => self.bits_of_float(ty, depth),
            _ => self.cast(ty, want, depth),
        }
    }

    /// A divisor that is neither 0 nor -1.
    pub(super) fn divisor(&mut self, ty: Scalar, depth: usize) -> Ex {
        if self.random.chance(30) {
            let n = self.random.within(2, 100);
            return Ex::host(code(format!("{n}{ty}")));
        }
        let e = self.scalar(ty, Want::Any, depth);
        let guarded = match (ty.is_signed(), self.random.below(2)) {
            (false, 0) => code("(").code(e.code).text(" | 1)"),
            (_, _) => code("((").code(e.code).text(" & 15) + 1)"),
        };
        Ex { code: guarded, stage: e.stage }
    }

    fn division(&mut self, ty: Scalar, depth: usize) -> Ex {
        let left = self.scalar(ty, Want::Any, depth);
        let right = self.divisor(ty, depth);
        let op = *self.random.pick(&["/", "%"]);
        let code = code("(").code(left.code).text(format!(" {op} ")).code(right.code).text(")");
        Ex { code, stage: left.stage.join(right.stage) }
    }

    fn shift(&mut self, ty: Scalar, depth: usize) -> Ex {
        let left = self.scalar(ty, Want::Any, depth);
        let op = *self.random.pick(&["<<", ">>"]);
        let open = code("(").code(left.code).text(format!(" {op} "));
        if self.random.chance(40) {
            let amount = self.random.below(ty.bits() as usize);
            return Ex { code: open.text(format!("{amount})")), stage: left.stage };
        }
        // Any amount: it is taken modulo the width.
        let by = self.int();
        let amount = self.scalar(by, Want::Run, depth.min(1));
        Ex::run(open.code(amount.code).text(")"))
    }

    fn integer_method(&mut self, ty: Scalar, depth: usize) -> Code {
        if ty == Scalar::U32 && self.random.chance(30) {
            let of = self.int();
            let e = self.scalar(of, Want::Run, depth).code;
            let counts = [
                "count_ones",
                "count_zeros",
                "leading_zeros",
                "trailing_zeros",
                "leading_ones",
                "trailing_ones",
            ];
            return e.text(format!(".{}()", self.random.pick(&counts)));
        }
        let e = self.scalar(ty, Want::Run, depth).code;
        match self.random.below(10) {
            0..4 => self.two_operand_method(ty, e, depth),
            4 => {
                let amount = self.scalar(Scalar::U32, Want::Any, depth.min(1)).code;
                let names = ["wrapping_shl", "wrapping_shr", "rotate_left", "rotate_right"];
                let name = *self.random.pick(&names);
                e.text(format!(".{name}(")).code(amount).text(")")
            }
            5 => {
                let d = self.divisor(ty, depth).code;
                let mut names = vec!["div_euclid", "rem_euclid"];
                if !ty.is_signed() {
                    names.push("div_ceil");
                }
                e.text(format!(".{}(", self.random.pick(&names))).code(d).text(")")
            }
            6 => {
                let low = self.random.below(50);
                let high = low + self.random.below(70);
                e.text(format!(".clamp({low}, {high})"))
            }
            7 => match self.random.chance(50) {
                true => e.text(format!(".pow({})", self.random.below(6))),
                false => {
                    let by = self.scalar(Scalar::U32, Want::Run, depth.min(1)).code;
                    e.text(".pow(").code(by).text(" % 9)")
                }
            },
            _ => {
                let mut names = vec!["swap_bytes", "reverse_bits", "wrapping_neg"];
                if ty.is_signed() {
                    names.extend(["wrapping_abs", "signum", "abs"]);
                }
                e.text(format!(".{}()", self.random.pick(&names)))
            }
        }
    }

    fn two_operand_method(&mut self, ty: Scalar, e: Code, depth: usize) -> Code {
        let mut names = vec![
            "wrapping_add",
            "wrapping_sub",
            "wrapping_mul",
            "saturating_add",
            "saturating_sub",
            "min",
            "max",
        ];
        if ty.bits() <= 32 {
            names.push("saturating_mul");
        }
        if !ty.is_signed() {
            names.push("abs_diff");
        }
        let name = *self.random.pick(&names);
        let argument = self.scalar(ty, Want::Any, depth).code;
        if self.random.chance(20) {
            // The first argument of a path is `self`, a value.
            return code(format!("{ty}::{name}(")).code(e).text(", ").code(argument).text(")");
        }
        e.text(format!(".{name}(")).code(argument).text(")")
    }

    /// The bits of a float; those of NaN are unspecified, so it has none.
    fn bits_of_float(&mut self, ty: Scalar, depth: usize) -> Ex {
        let float = match ty.bits() {
            64 => Scalar::F64,
            32 => Scalar::F32,
            _ => *self.random.pick(&Scalar::HALVES),
        };
        let e = self.scalar(float, Want::Run, depth).code;
        let name = self.name("f");
        let bits = code(format!("{{ let {name} = "))
            .code(e)
            .text(format!("; if {name}.is_nan() {{ 0 }} else {{ {name}.to_bits() }} }}"));
        Ex::run(code("(").code(bits).text(format!(" as {ty})")))
    }

    /// `as`, from any type that can.
    fn cast(&mut self, ty: Scalar, want: Want, depth: usize) -> Ex {
        let from = loop {
            let from = self.any_scalar();
            if !(from.is_half() || from == Scalar::Bool && ty.is_float()) {
                break from;
            }
        };
        // Cast away the sign and back: chains must not be flattened.
        let want = if want == Want::Any { Want::Any } else { Want::Run };
        let e = self.scalar(from, want, depth).code;
        let through = self.random.chance(30) && from != Scalar::Bool;
        let e = match through {
            true => {
                let between = self.int();
                code("(").code(e).text(format!(" as {between})"))
            }
            false => e,
        };
        // A cast makes a run-time value of a host one.
        Ex::run(code("(").code(e).text(format!(" as {ty})")))
    }

    fn float(&mut self, ty: Scalar, want: Want, depth: usize) -> Ex {
        match self.random.below(100) {
            0..40 => {
                let op = *self.random.pick(&["+", "-", "*", "/", "+", "-", "*", "%"]);
                self.binary(ty, op, depth)
            }
            40..45 => {
                let e = self.scalar(ty, Want::Any, depth);
                Ex { code: code("(-").code(e.code).text(")"), stage: e.stage }
            }
            45..75 => Ex::run(self.float_method(ty, depth)),
            75..80 => {
                let half = *self.random.pick(&Scalar::HALVES);
                let e = self.scalar(half, Want::Run, depth).code;
                Ex::run(match (self.random.chance(50), ty) {
                    (true, Scalar::F32) => e.text(".to_f32()"),
                    (true, _) => e.text(".to_f64()"),
                    _ => code(format!("{ty}::from(")).code(e).text(")"),
                })
            }
            80..83 => {
                let bits = if ty == Scalar::F32 { Scalar::U32 } else { Scalar::U64 };
                let e = self.scalar(bits, Want::Run, depth).code;
                Ex::run(code(format!("{ty}::from_bits(")).code(e).text(")"))
            }
            _ => self.cast(ty, want, depth),
        }
    }

    fn float_method(&mut self, ty: Scalar, depth: usize) -> Code {
        let e = self.scalar(ty, Want::Run, depth).code;
        match self.random.below(10) {
            0..4 => {
                let names = [
                    "abs",
                    "to_degrees",
                    "to_radians",
                    "sqrt",
                    "floor",
                    "ceil",
                    "trunc",
                    "round",
                    "round_ties_even",
                    "fract",
                    "recip",
                ];
                e.text(format!(".{}()", self.random.pick(&names)))
            }
            4 => {
                let (a, b) = (
                    self.scalar(ty, Want::Any, depth).code,
                    self.scalar(ty, Want::Any, depth).code,
                );
                e.text(".mul_add(").code(a).text(", ").code(b).text(")")
            }
            5..7 => {
                // The sign of the lesser or greater of two zeros is unspecified; adding 0 drops it.
                let name = self.random.pick(&["min", "max"]);
                let other = self.scalar(ty, Want::Any, depth).code;
                let open = code("(").code(e);
                open.text(format!(".{name}(")).code(other).text(") + 0.0)")
            }
            7 if self.random.chance(50) => {
                let other = self.scalar(ty, Want::Any, depth).code;
                let name = self.random.pick(&["rem_euclid", "div_euclid"]);
                e.text(format!(".{name}(")).code(other).text(")")
            }
            7 => e.text(".clamp(-1.5, 100.0)"),
            8 => {
                // The sign of NaN is unspecified.
                let sign = self.scalar(ty, Want::Run, depth).code;
                let name = self.name("s");
                e.text(format!(".copysign({{ let {name} = "))
                    .code(sign)
                    .text(format!("; if {name}.is_nan() {{ 1.0{ty} }} else {{ {name} }} }})"))
            }
            _ => e.text(".signum()"),
        }
    }

    /// Half floats: their arithmetic, and conversions.
    fn half(&mut self, ty: Scalar, depth: usize) -> Ex {
        if self.random.chance(45) {
            let op = *self.random.pick(&["+", "-", "*", "/"]);
            let left = self.scalar(ty, Want::Run, depth).code;
            let right = self.scalar(ty, Want::Run, depth).code;
            return Ex::run(code("(").code(left).text(format!(" {op} ")).code(right).text(")"));
        }
        if self.random.chance(20) {
            let e = self.scalar(ty, Want::Run, depth).code;
            return Ex::run(code("(-").code(e).text(")"));
        }
        let from = *self.random.pick(&Scalar::FLOATS);
        let e = self.scalar(from, Want::Run, depth).code;
        Ex::run(code(format!("{ty}::from_{from}(")).code(e).text(")"))
    }

    /// A value of any type, for where the type is known from the context.
    pub(super) fn value(&mut self, ty: &Type, depth: usize) -> Code {
        self.any(ty, Want::Value, depth)
    }

    /// An expression of any type, of which every scalar is as wanted; not `Want::Any`.
    pub(super) fn any(&mut self, ty: &Type, want: Want, depth: usize) -> Code {
        let parts = match ty {
            Type::Scalar(scalar) => return self.scalar(*scalar, want, depth).code,
            Type::Tuple(parts) => parts.clone(),
            Type::Array(element, len) => vec![(**element).clone(); *len],
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
        let (open, close) = if matches!(ty, Type::Tuple(_)) { ("(", ",)") } else { ("[", "]") };
        let mut out = code(open);
        for (i, part) in parts.iter().enumerate() {
            let part = self.any(part, want, depth);
            out = out.text(if i == 0 { "" } else { ", " }).code(part);
        }
        out.text(close)
    }
}
