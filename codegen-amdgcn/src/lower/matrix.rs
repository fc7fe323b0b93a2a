//! Matrix instructions: MFMA on CDNA, WMMA on RDNA.

use kernelsmith_ir::mma::{Family, MmaShape, Operand};
use kernelsmith_ir::{Attr, Inst, Scalar, Target};

use super::{Lowering, text};
use crate::Error;

/// The intrinsic of a shape, and whether it takes bf16 as `bfloat` (only gfx950's do) rather than
/// as 16-bit integers.
fn intrinsic(shape: MmaShape) -> (String, bool) {
    let MmaShape { family, m, n, k, ab, .. } = shape;
    match (family, ab, k) {
        (Family::Mfma, Scalar::BF16, 32) => {
            (format!("llvm.amdgcn.mfma.f32.{m}x{n}x{k}.bf16"), true)
        }
        (Family::Mfma, _, 32) => (format!("llvm.amdgcn.mfma.f32.{m}x{n}x{k}.f16"), false),
        (Family::Mfma, Scalar::BF16, _) => {
            (format!("llvm.amdgcn.mfma.f32.{m}x{n}x{k}bf16.1k"), false)
        }
        (Family::Mfma, ab, _) => (format!("llvm.amdgcn.mfma.f32.{m}x{n}x{k}{ab}"), false),
        (_, Scalar::BF16, _) => {
            let len = shape.fragment_len(Operand::A);
            (format!("llvm.amdgcn.wmma.f32.16x16x16.bf16.v8f32.v{len}i16"), false)
        }
        _ => {
            let len = shape.fragment_len(Operand::A);
            (format!("llvm.amdgcn.wmma.f32.16x16x16.f16.v8f32.v{len}f16"), false)
        }
    }
}

impl Lowering<'_> {
    pub(super) fn mma(&mut self, inst: &Inst) -> Result<(), Error> {
        let Attr::Mma(shape) = inst.attr else {
            return Err(self.unsupported(inst, "it has no shape"));
        };
        if !shape.available(&Target::Amdgcn(self.gfx)) {
            let reason = format!("{} is an instruction of other chips", shape.name());
            return Err(self.unsupported(inst, reason));
        }
        let (name, as_bfloat) = intrinsic(shape);
        let mut arguments = Vec::new();
        for (i, operand) in [Operand::A, Operand::B, Operand::C].into_iter().enumerate() {
            let (ty, mut value) = (text(shape.fragment_type(operand)), self.get(inst.operands[i]));
            let mut argument = ty.clone();
            if as_bfloat && operand != Operand::C {
                argument = format!("<{} x bfloat>", shape.fragment_len(operand));
                value = self.w.value(format!("bitcast {ty} {value} to {argument}"));
            }
            arguments.push((argument, value));
        }
        if shape.family == Family::Mfma {
            // cbsz, abid, blgp: no broadcast, no rearrangement (CDNA3 ISA, "VOP3P-MAI").
            arguments.extend((0..3).map(|_| ("i32".to_owned(), "0".to_owned())));
        }
        let value = self.w.call(&text(shape.fragment_type(Operand::C)), &name, &arguments);
        self.define(inst, value);
        Ok(())
    }
}
