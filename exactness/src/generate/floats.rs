//! Expressions of floats.

use super::{Ex, Generator, Want};
use crate::program::{Code, code};
use crate::types::Scalar;

impl Generator {
    pub(super) fn float(&mut self, ty: Scalar, want: Want, depth: usize) -> Ex {
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
            80 => Ex::run(self.eighth(ty, depth)),
            81..84 => {
                let bits = if ty == Scalar::F32 { Scalar::U32 } else { Scalar::U64 };
                let e = self.scalar(bits, Want::Run, depth).code;
                Ex::run(code(format!("{ty}::from_bits(")).code(e).text(")"))
            }
            _ => self.cast(ty, want, depth),
        }
    }

    /// A value that an 8-bit float has.
    fn eighth(&mut self, ty: Scalar, depth: usize) -> Code {
        let eighth = *self.random.pick(&["e4m3", "e5m2"]);
        let value = match self.random.chance(60) {
            true => {
                let e = self.scalar(Scalar::F32, Want::Run, depth).code;
                code(format!("{eighth}::from_f32(")).code(e).text(")")
            }
            false => {
                let e = self.scalar(Scalar::U8, Want::Run, depth).code;
                code(format!("{eighth}::from_bits(")).code(e).text(")")
            }
        };
        match (ty, self.random.chance(50)) {
            (Scalar::F32, true) => value.text(".to_f32()"),
            (Scalar::F32, false) => code("f32::from(").code(value).text(")"),
            _ => code("(").code(value).text(format!(".to_f32() as {ty})")),
        }
    }

    /// The bits of an 8-bit float; those of NaN are unspecified.
    pub(super) fn bits_of_eighth(&mut self, depth: usize) -> Ex {
        let eighth = *self.random.pick(&["e4m3", "e5m2"]);
        let e = self.scalar(Scalar::F32, Want::Run, depth).code;
        let name = self.name("f");
        Ex::run(code(format!("({{ let {name} = {eighth}::from_f32(")).code(e).text(format!(
            "); if {name}.to_f32().is_nan() {{ 0 }} else {{ {name}.to_bits() }} }} as u8)"
        )))
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
    pub(super) fn half(&mut self, ty: Scalar, depth: usize) -> Ex {
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
}
