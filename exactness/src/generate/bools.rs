//! Expressions of `bool`.

use super::{Ex, Generator, Stage, Want};
use crate::program::code;
use crate::types::Scalar;

impl Generator {
    pub(super) fn boolean(&mut self, want: Want, depth: usize) -> Ex {
        // Operands are of the host as they stand.
        let want = if want == Want::Any { Want::Any } else { Want::Run };
        match self.random.below(100) {
            0..45 => self.comparison(want, depth),
            45..65 => {
                // Short circuit: the right side may have effects.
                let left = self.scalar(Scalar::Bool, want, depth);
                let right = self.scalar(Scalar::Bool, want, depth);
                let op = *self.random.pick(&["&&", "||"]);
                let stage = left.stage.join(right.stage);
                let code =
                    code("(").code(left.code).text(format!(" {op} ")).code(right.code).text(")");
                Ex { code, stage }
            }
            65..75 => {
                let e = self.scalar(Scalar::Bool, want, depth);
                Ex { code: code("(!").code(e.code).text(")"), stage: e.stage }
            }
            75..87 => {
                let left = self.scalar(Scalar::Bool, Want::Run, depth);
                let right = self.scalar(Scalar::Bool, Want::Run, depth);
                let op = *self.random.pick(&["&", "|", "^", "==", "!="]);
                Ex::run(
                    code("(").code(left.code).text(format!(" {op} ")).code(right.code).text(")"),
                )
            }
            87..89 => self.is_some(depth),
            89..91 => self.matches(depth),
            91 => {
                let ty = self.int();
                let e = self.scalar(ty, Want::Run, depth).code;
                let (low, high) =
                    (self.scalar(ty, Want::Run, 1).code, self.scalar(ty, Want::Run, 1).code);
                let dots = *self.random.pick(&["..", "..="]);
                let range = code("(").code(low).text(dots).code(high).text(")");
                Ex::run(range.text(".contains(&").code(e).text(")"))
            }
            92..95 => {
                let ty = *self.random.pick(&Scalar::FLOATS);
                let e = self.scalar(ty, Want::Run, depth).code;
                let names = ["is_nan", "is_finite", "is_infinite"];
                Ex::run(e.text(format!(".{}()", self.random.pick(&names))))
            }
            _ => {
                let ty = self.int();
                let e = self.scalar(ty, Want::Run, depth).code;
                Ex::run(match ty.is_signed() {
                    true => e.text([".is_negative()", ".is_positive()"][self.random.below(2)]),
                    false => e.text(".is_power_of_two()"),
                })
            }
        }
    }

    fn comparison(&mut self, want: Want, depth: usize) -> Ex {
        if self.random.chance(30)
            && let Some(of) = self.enum_type()
        {
            let op = *self.random.pick(&["==", "!="]);
            let left = self.enumerated(&of, want, depth);
            // Comparisons that are methods borrow what they compare.
            let right = self.purely(|g| g.enumerated(&of, Want::Any, depth));
            let stage = left.stage.join(right.stage);
            let open = code("(").code(left.code).text(format!(" {op} "));
            return Ex { code: open.code(right.code).text(")"), stage };
        }
        let op = *self.random.pick(&["<", "<=", ">", ">=", "==", "!="]);
        if let Some(ty) =
            self.own_type().filter(|ty| ty.opaque().is_some_and(|o| !o.operators.is_empty()))
        {
            let left = self.any(&ty, Want::Run, 1);
            let right = self.purely(|g| g.any(&ty, Want::Run, 1));
            let code = code("(").code(left).text(format!(" {op} ")).code(right).text(")");
            return Ex::run(code);
        }
        let ty = self.number();
        let left = self.scalar(ty, want, depth);
        if left.stage == Stage::Run && !ty.is_half() && self.random.chance(30) {
            let n = self.random.below(40);
            let literal = if ty.is_float() { format!("{n}.0") } else { n.to_string() };
            return Ex::run(code("(").code(left.code).text(format!(" {op} {literal})")));
        }
        let right = match ty.is_half() {
            true => self.purely(|g| g.scalar(ty, Want::Any, depth)),
            false => self.scalar(ty, Want::Any, depth),
        };
        let stage = left.stage.join(right.stage);
        let code = code("(").code(left.code).text(format!(" {op} ")).code(right.code).text(")");
        Ex { code, stage }
    }

    /// A condition: mostly of run-time values.
    pub(super) fn condition(&mut self, depth: usize) -> Ex {
        let want = if self.random.chance(8) { Want::Any } else { Want::Run };
        self.scalar(Scalar::Bool, want, depth)
    }
}
