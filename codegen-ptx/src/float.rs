//! Operations on `f32` and `f64`.

use kernelsmith_ir::attr::Const;
use kernelsmith_ir::{Opcode, Scalar};

use crate::emit::Emitter;
use crate::error::Error;
use crate::reg::{Class, Operand, Reg};

impl<'k> Emitter<'k> {
    pub(crate) fn float(&mut self, op: Opcode, elem: Scalar, x: &[Operand]) -> Result<Reg, Error> {
        let class = Class::of(elem);
        let ty = class.suffix();
        use Opcode::*;
        // With the rounding spelled out, a product and a sum are never fused.
        let name = match op {
            Add => "add.rn",
            Sub => "sub.rn",
            Mul => "mul.rn",
            Div => "div.rn",
            Fma => "fma.rn",
            Sqrt => "sqrt.rn",
            Neg => "neg",
            Abs => "abs",
            // Both ignore one NaN, as Rust's (PTX ISA, `min`, `max`).
            Min => "min",
            Max => "max",
            Floor => return Ok(self.round("rmi", class, x[0])),
            Ceil => return Ok(self.round("rpi", class, x[0])),
            Trunc => return Ok(self.round("rzi", class, x[0])),
            RoundEven => return Ok(self.round("rni", class, x[0])),
            // The sign comes first in PTX.
            CopySign => return Ok(self.op(&format!("copysign.{ty}"), class, &[x[1], x[0]])),
            Rsqrt => return Ok(self.rsqrt(elem, x[0])),
            // One machine instruction; flushing the subnormal results saves scaling around it.
            // Relative error at most 2^-22 (PTX ISA, `ex2`).
            Exp2Fast if elem == Scalar::F32 => "ex2.approx.ftz",
            _ => return Err(self.not_prepared()),
        };
        Ok(self.op(&format!("{name}.{ty}"), class, x))
    }

    fn round(&mut self, mode: &str, class: Class, x: Operand) -> Reg {
        let ty = class.suffix();
        self.op(&format!("cvt.{mode}.{ty}.{ty}"), class, &[x])
    }

    /// `rsqrtf` of CUDA, to 2 ulp, is this one instruction (CUDA C++ Programming Guide,
    /// "Mathematical Functions"); for `f64` there is only a rough one, so it is two exact ones.
    fn rsqrt(&mut self, elem: Scalar, x: Operand) -> Reg {
        if elem == Scalar::F32 {
            return self.op("rsqrt.approx.f32", Class::F32, &[x]);
        }
        let root = self.op("sqrt.rn.f64", Class::F64, &[x]);
        let one = Operand::Const(Const::f64(1.0));
        self.op("div.rn.f64", Class::F64, &[one, root.into()])
    }
}
