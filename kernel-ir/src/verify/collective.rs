//! Typing rules of what a warp does together.

use super::{Rule, Verifier, list};
use crate::attr::{Attr, ReduceOp};
use crate::kernel::Inst;
use crate::mma::{MmaShape, Operand};
use crate::op::Signature;
use crate::types::{Scalar, Space, Type};

impl Verifier<'_> {
    pub(super) fn collective(&mut self, inst: &Inst) {
        match inst.op.info().signature {
            Signature::Shuffle => {
                let ty = self.operand(inst, 0);
                let fits = matches!(ty, Type::Scalar(s) if s.is_num() || s == Scalar::Bool);
                self.operand_fits(inst, 0, fits, "a number or bool");
                self.operand_is(inst, 1, Type::U32);
                self.result_is(inst, ty);
            }
            Signature::Vote => {
                self.operand_is(inst, 0, Type::BOOL);
                self.result_is(inst, Type::BOOL);
            }
            Signature::Ballot => {
                self.operand_is(inst, 0, Type::BOOL);
                self.result_is(inst, Type::U64);
            }
            Signature::Match => {
                let fits = matches!(self.operand(inst, 0), Type::Scalar(s) if s.is_num() || s == Scalar::Bool);
                self.operand_fits(inst, 0, fits, "a number or bool");
                self.result_is(inst, Type::U64);
            }
            Signature::Reduce => self.reduce(inst),
            Signature::Ldmatrix => self.ldmatrix(inst),
            _ => {
                if let Attr::Mma(shape) = inst.attr {
                    self.mma(inst, shape);
                }
            }
        }
    }

    fn reduce(&mut self, inst: &Inst) {
        let ty = self.operand(inst, 0);
        self.result_is(inst, ty);
        let Type::Scalar(elem) = ty else {
            self.operand_fits(inst, 0, false, "a scalar");
            return;
        };
        let Attr::Reduce(op) = inst.attr else { return };
        let bitwise = matches!(op, ReduceOp::And | ReduceOp::Or | ReduceOp::Xor);
        let (fits, expected) = match bitwise {
            true => (elem.is_int() || elem == Scalar::Bool, "an integer or bool"),
            false => (elem.is_num(), "a number"),
        };
        if !fits {
            let found = format!("`{}` on {elem}", op.name());
            self.breach(Rule::CombinesType, Some(inst), found, expected);
        }
    }

    fn ldmatrix(&mut self, inst: &Inst) {
        let Some(elem) = self.pointer(inst, 0, &[Space::Shared]) else { return };
        let halves = matches!(elem, Scalar::F16 | Scalar::BF16);
        self.operand_fits(inst, 0, halves, "a pointer to f16 or bf16");
        if let Attr::Ldmatrix { count, .. } = inst.attr {
            self.result_is(inst, Type::Vector(elem, count.saturating_mul(2)));
        }
    }

    fn mma(&mut self, inst: &Inst, shape: MmaShape) {
        let fragments = [Operand::A, Operand::B, Operand::C].map(|o| shape.fragment_type(o));
        let found = [0, 1, 2].map(|i| self.operand(inst, i));
        if found != fragments {
            let found = format!("fragments {}", list(found));
            let expected = format!("{} for {}", list(fragments), shape.name());
            self.breach(Rule::OperandType, Some(inst), found, expected);
        }
        self.result_is(inst, fragments[2]);
    }
}
