//! Tensor cores, and the copies that feed them.

use kernelsmith_ir::attr::Attr;
use kernelsmith_ir::target::Target;
use kernelsmith_ir::{Inst, Opcode, Scalar, Space, Type, Value};

use crate::emit::{Emitter, ins};
use crate::error::Error;
use crate::memory::braced;

/// The name of a matrix operand's element type.
pub(crate) const fn element_name(scalar: Scalar) -> &'static str {
    match scalar {
        Scalar::I8 => "s8",
        Scalar::U8 => "u8",
        Scalar::I32 => "s32",
        other => other.name(),
    }
}

impl<'k> Emitter<'k> {
    /// Fragments are held as the instruction has them: packed words for the small types
    /// (PTX ISA, "Matrix Fragments for mma.m16n8k16" and the sections around it).
    pub(crate) fn mma(&mut self, inst: &Inst) -> Result<(), Error> {
        let Attr::Mma(shape) = inst.attr else {
            unreachable!("the kernel is verified: a matrix instruction has a shape")
        };
        let target = Target::Ptx(self.target);
        if !shape.available(&target) {
            let rule = format!("{} is not there", shape.name());
            return Err(self.unsupported(self.ty(inst.operands[0]), rule));
        }
        if matches!(shape.ab, Scalar::E4M3 | Scalar::E5M2) {
            self.need(8, 4);
        }
        if shape.ab == Scalar::F64 && shape.m == 16 {
            self.need(7, 8);
        }
        let [a, b, c] = [0, 1, 2].map(|i| braced(self.regs(inst.operands[i]).iter()));
        let results = self.new_regs(self.ty(inst.result()));
        let d = braced(results.iter());
        let (ab, cd) = (element_name(shape.ab), element_name(shape.cd));
        let size = format!("m{}n{}k{}", shape.m, shape.n, shape.k);
        ins!(self, "mma.sync.aligned.{size}.row.col.{cd}.{ab}.{ab}.{cd} {d}, {a}, {b}, {c};");
        self.bind_regs(inst.result(), results);
        Ok(())
    }

    pub(crate) fn ldmatrix(&mut self, inst: &Inst) -> Result<(), Error> {
        let Attr::Ldmatrix { count, trans } = inst.attr else {
            unreachable!("the kernel is verified: ldmatrix has a count")
        };
        let at = self.operand_in(inst.operands[0], Space::Shared)?;
        let results = self.new_regs(self.ty(inst.result()));
        let list = braced(results.iter());
        let trans = if trans { ".trans" } else { "" };
        ins!(self, "ldmatrix.sync.aligned.m8n8.x{count}{trans}.shared.b16 {list}, {at};");
        self.bind_regs(inst.result(), results);
        Ok(())
    }

    pub(crate) fn cp_async(&mut self, inst: &Inst) -> Result<(), Error> {
        let count = match inst.attr {
            Attr::Count(n) => n,
            _ => 0,
        };
        match inst.op {
            Opcode::CpAsync => {
                let to = self.operand_in(inst.operands[0], Space::Shared)?;
                let from = self.operand_in(inst.operands[1], Space::Global)?;
                // Only 16 bytes can go past the L1 cache (PTX ISA, `cp.async`).
                let cache = if count == 16 { "cg" } else { "ca" };
                ins!(self, "cp.async.{cache}.shared.global {to}, {from}, {count};");
            }
            Opcode::CpAsyncCommit => ins!(self, "cp.async.commit_group;"),
            _ => ins!(self, "cp.async.wait_group {count};"),
        }
        Ok(())
    }

    /// A memory operand that must lie in a space.
    pub(crate) fn operand_in(&mut self, pointer: Value, space: Space) -> Result<String, Error> {
        let ty = self.ty(pointer);
        match ty {
            Type::Ptr(s, _) if s == space => {
                let address = self.address(pointer);
                Ok(self.memory_operand(address))
            }
            _ => Err(self.unsupported(ty, format!("the address must be {}", space.name()))),
        }
    }
}
