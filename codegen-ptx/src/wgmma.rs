//! The warpgroup's matrix instruction (PTX ISA, "Asynchronous Warpgroup Level Matrix
//! Multiply-Accumulate Instructions").
//!
//! In the IR accumulators are values; in PTX they are registers that the instruction adds to while
//! others run. A copy between two instructions of one sum would touch a register in flight, for
//! which `ptxas` waits. So a result takes the registers of the accumulator it adds to, wherever
//! nobody else uses that one, and loops carry them without a move; what does have to be copied is
//! copied before the fence that orders it.

use kernelsmith_ir::attr::Attr;
use kernelsmith_ir::wgmma::Wgmma;
use kernelsmith_ir::{Inst, Opcode, Scalar, Space, Type, Value};

use crate::emit::{Emitter, ins};
use crate::error::Error;
use crate::matrix::element_name;
use crate::memory::braced;
use crate::reg::{Class, Operand, Reg};

impl<'k> Emitter<'k> {
    /// A fence orders what was done to registers before it: accumulators that have to be copied are
    /// copied here. `rest` is what follows in its region.
    pub(crate) fn wgmma_fence(&mut self, rest: &[Inst]) {
        self.need(8, 0);
        for inst in rest {
            match inst.op {
                Opcode::Wgmma => self.own_accumulator(inst.operands[2]),
                Opcode::WgmmaFence | Opcode::WgmmaWait => break,
                _ => {}
            }
        }
        ins!(self, "wgmma.fence.sync.aligned;");
    }

    /// Gives an accumulator registers of its own, if it is known already and has none.
    fn own_accumulator(&mut self, value: Value) {
        if !self.is_bound(value) || self.owns_registers(value) {
            return;
        }
        let from = self.parts(value);
        let to = self.new_regs(self.ty(value));
        self.copy(&to, &from);
        self.accumulators.insert(value, to);
    }

    /// Whether nobody else looks at the registers of a value once this use is over.
    fn owns_registers(&self, value: Value) -> bool {
        let own = match self.definition(value) {
            Some(inst) => {
                matches!(inst.op, Opcode::Wgmma | Opcode::WgmmaWait) || !inst.regions.is_empty()
            }
            // What a loop carries.
            None => true,
        };
        own && self.uses_of(value) == 1
    }

    pub(crate) fn wgmma(&mut self, inst: &Inst) -> Result<(), Error> {
        let Attr::Wgmma(Wgmma { shape, a, b }) = inst.attr else {
            unreachable!("the kernel is verified: a matrix instruction has a shape")
        };
        let sum = inst.operands[2];
        let registers = match self.accumulators.remove(&sum) {
            Some(copied) => copied,
            None if self.owns_registers(sum) => self.regs(sum),
            None => {
                let (from, to) = (self.parts(sum), self.new_regs(self.ty(sum)));
                self.copy(&to, &from);
                to
            }
        };
        let first = match a {
            Some(layout) => self.descriptor(inst.operands[0], layout.descriptor())?.to_string(),
            None => braced(self.regs(inst.operands[0]).iter()),
        };
        let second = self.descriptor(inst.operands[1], b.descriptor())?;
        let accumulate = self.reg(inst.operands[3]);
        // Signs for floats; the major order for 16 bits, where the factor is in shared memory.
        let mut flags = String::new();
        if !shape.ab.is_int() {
            flags.push_str(", 1, 1");
        }
        if matches!(shape.ab, Scalar::F16 | Scalar::BF16) {
            for layout in a.iter().chain([&b]) {
                flags.push_str(if layout.mn_major { ", 1" } else { ", 0" });
            }
        }
        let d = braced(registers.iter());
        let (ab, cd) = (element_name(shape.ab), element_name(shape.cd));
        let size = format!("m{}n{}k{}", shape.m, shape.n, shape.k);
        ins!(
            self,
            "wgmma.mma_async.sync.aligned.{size}.{cd}.{ab}.{ab} {d}, {first}, {second}, \
             {accumulate}{flags};"
        );
        self.bind_regs(inst.result(), registers);
        Ok(())
    }

    /// What is passed on stays where it is.
    pub(crate) fn wgmma_wait(&mut self, inst: &Inst) {
        let Attr::Count(left) = inst.attr else {
            unreachable!("the kernel is verified: a wait has a number of groups")
        };
        ins!(self, "wgmma.wait_group.sync.aligned {left};");
        for (&from, &to) in inst.operands.iter().zip(&inst.results) {
            let binding = self.binding(from).clone();
            self.bind(to, binding);
        }
    }

    /// A matrix descriptor: where the factor is, in units of 16 bytes, and how it lies. Addresses of
    /// shared memory have 18 bits (PTX ISA, "Matrix Descriptor Format").
    pub(crate) fn descriptor(&mut self, pointer: Value, bits: u64) -> Result<Reg, Error> {
        let ty = self.ty(pointer);
        if !matches!(ty, Type::Ptr(Space::Shared, _)) {
            return Err(self.unsupported(ty, "factors are in registers or shared memory"));
        }
        let address = self.address(pointer);
        // Multiples of 16 are added in those units, so that one shift serves all of a base.
        let (base, offset) = match address.offset % 16 {
            0 => self.base_and_offset(address),
            _ => (self.materialize(address), 0),
        };
        let units = self.shifted(base);
        let low = (bits as u32).wrapping_add((offset >> 4) as u32);
        let low = self.op("add.s32", Class::B32, &[units.into(), Operand::u32(low)]);
        let descriptor = self.new_reg(Class::B64);
        ins!(self, "mov.b64 {descriptor}, {{{low}, {}}};", bits >> 32);
        Ok(descriptor)
    }

    fn shifted(&mut self, base: Reg) -> Reg {
        self.op("shr.u32", Class::B32, &[base.into(), Operand::u32(4)])
    }

    /// PTX ISA, `stmatrix`.
    pub(crate) fn stmatrix(&mut self, inst: &Inst) -> Result<(), Error> {
        self.need(7, 8);
        let Attr::Ldmatrix { count, trans } = inst.attr else {
            unreachable!("the kernel is verified: stmatrix has a count")
        };
        let at = self.operand_in(inst.operands[0], Space::Shared)?;
        let list = braced(self.regs(inst.operands[1]).iter());
        let trans = if trans { ".trans" } else { "" };
        ins!(self, "stmatrix.sync.aligned.m8n8.x{count}{trans}.shared.b16 {at}, {list};");
        Ok(())
    }

    fn is_bound(&self, value: Value) -> bool {
        self.try_binding(value).is_some()
    }
}
