//! Expressions of integers.

use super::{Ex, Generator, Want};
use crate::program::{Code, code};
use crate::types::Scalar;

/// Conversions that lose nothing.
const WIDER: [(Scalar, Scalar); 12] = [
    (Scalar::U8, Scalar::U16),
    (Scalar::U8, Scalar::U64),
    (Scalar::U16, Scalar::U32),
    (Scalar::U32, Scalar::U64),
    (Scalar::U8, Scalar::I32),
    (Scalar::U32, Scalar::I64),
    (Scalar::I8, Scalar::I32),
    (Scalar::I16, Scalar::I64),
    (Scalar::I32, Scalar::I64),
    (Scalar::F32, Scalar::F64),
    (Scalar::I32, Scalar::F64),
    (Scalar::U16, Scalar::F32),
];

impl Generator {
    pub(super) fn integer(&mut self, ty: Scalar, want: Want, depth: usize) -> Ex {
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
            78 if ty == Scalar::U8 => self.bits_of_eighth(depth),
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
            7 => self.power(e, depth),
            8 => match (ty.is_signed(), self.random.below(3)) {
                (false, 0) => code("((").code(e).text(format!(" | 1).ilog2() as {ty})")),
                (false, 1) => code("(").code(e).text(" & 99).next_power_of_two()"),
                (false, _) => {
                    let n = self.random.within(1, 12);
                    code("(").code(e).text(format!(".is_multiple_of({n}) as {ty})"))
                }
                (true, _) => code("(").code(e).text(format!(".unsigned_abs() as {ty})")),
            },
            _ => {
                let mut names = vec!["swap_bytes", "reverse_bits", "wrapping_neg"];
                if ty.is_signed() {
                    names.extend(["wrapping_abs", "signum", "abs", "saturating_abs"]);
                }
                e.text(format!(".{}()", self.random.pick(&names)))
            }
        }
    }

    /// `x.pow(n)`, in one of the ways to overflow.
    fn power(&mut self, e: Code, depth: usize) -> Code {
        let names = ["pow", "pow", "wrapping_pow", "saturating_pow"];
        let name = *self.random.pick(&names);
        if self.random.chance(50) {
            return e.text(format!(".{name}({})", self.random.below(6)));
        }
        let by = self.scalar(Scalar::U32, Want::Run, depth.min(1)).code;
        e.text(format!(".{name}(")).code(by).text(" % 9)")
    }

    fn two_operand_method(&mut self, ty: Scalar, e: Code, depth: usize) -> Code {
        let mut names = vec![
            "wrapping_add",
            "wrapping_sub",
            "wrapping_mul",
            "saturating_add",
            "saturating_sub",
            "saturating_mul",
            "min",
            "max",
        ];
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
    pub(super) fn cast(&mut self, ty: Scalar, want: Want, depth: usize) -> Ex {
        if ty.is_int()
            && self.random.chance(30)
            && let Some(of) = self.enum_type()
        {
            let want = if self.random.chance(20) { Want::Any } else { Want::Run };
            let e = self.enumerated(&of, want, depth);
            return Ex::run(code("(").code(e.code).text(format!(" as {ty})")));
        }
        let wider: Vec<Scalar> =
            WIDER.iter().filter(|(_, to)| *to == ty).map(|(from, _)| *from).collect();
        if !wider.is_empty() && self.random.chance(15) {
            let from = *self.random.pick(&wider);
            let e = self.scalar(from, Want::Run, depth).code;
            return Ex::run(code(format!("{ty}::from(")).code(e).text(")"));
        }
        let from = loop {
            let from = self.any_scalar();
            if !(from.is_half() || from == Scalar::Bool && ty.is_float()) {
                break from;
            }
        };
        // Cast away the sign and back: chains must not be flattened.
        let want = if want == Want::Any { Want::Any } else { Want::Run };
        let mut e = self.scalar(from, want, depth).code;
        let mut last = from;
        while self.random.chance(35) {
            last = match last == Scalar::Bool || self.random.chance(70) {
                true => self.int(),
                false => *self.random.pick(&Scalar::FLOATS),
            };
            e = code("(").code(e).text(format!(" as {last})"));
        }
        // A cast makes a run-time value of a host one.
        Ex::run(code("(").code(e).text(format!(" as {ty})")))
    }
}
