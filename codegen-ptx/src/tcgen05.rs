//! Tensor memory, and the products in it (PTX ISA, "TensorCore 5th Generation Family Instructions").

use kernelsmith_ir::attr::Attr;
use kernelsmith_ir::tcgen05;
use kernelsmith_ir::tcgen05::copy::TensorCopy;
use kernelsmith_ir::tcgen05::group::Group;
use kernelsmith_ir::tcgen05::scales::{ScaledKind, Scales};
use kernelsmith_ir::{Inst, Opcode, Space};

use crate::emit::{Emitter, ins};
use crate::error::Error;
use crate::memory::braced;
use crate::reg::Operand;

/// The qualifier of an instruction that one block or a pair of them executes.
const fn qualifier(group: Group) -> &'static str {
    match group {
        Group::One => "cta_group::1",
        Group::Pair => "cta_group::2",
    }
}

impl<'k> Emitter<'k> {
    pub(crate) fn tcgen05(&mut self, inst: &Inst) -> Result<(), Error> {
        self.need(8, 6);
        let count = match inst.attr {
            Attr::Columns { count, .. } => count,
            _ => 0,
        };
        let group = inst.attr.group().map_or("", qualifier);
        match inst.op {
            Opcode::Tcgen05Alloc => {
                let to = self.operand_in(inst.operands[0], Space::Shared)?;
                ins!(self, "tcgen05.alloc.{group}.sync.aligned.shared::cta.b32 {to}, {count};");
            }
            Opcode::Tcgen05Free => {
                let address = self.reg(inst.operands[0]);
                ins!(self, "tcgen05.dealloc.{group}.sync.aligned.b32 {address}, {count};");
            }
            Opcode::Tcgen05Yield => {
                ins!(self, "tcgen05.relinquish_alloc_permit.{group}.sync.aligned;");
            }
            Opcode::Tcgen05Mma => self.tensor_product(inst)?,
            Opcode::Tcgen05Copy => self.tensor_copy(inst)?,
            Opcode::Tcgen05Commit => {
                let barrier = self.operand_in(inst.operands[0], Space::Shared)?;
                let (mut multicast, mut mask) = ("", String::new());
                if let Attr::Commit { multicast: true, .. } = inst.attr {
                    multicast = ".multicast::cluster";
                    mask = format!(", {}", self.half_word(inst.operands[1]));
                }
                ins!(
                    self,
                    "tcgen05.commit.{group}.mbarrier::arrive::one.shared::cluster{multicast}.b64 \
                     {barrier}{mask};"
                );
            }
            Opcode::Tcgen05Load => {
                let from = self.reg(inst.operands[0]);
                let results = self.new_regs(self.ty(inst.result()));
                let (n, list) = (results.len(), braced(results.iter()));
                ins!(self, "tcgen05.ld.sync.aligned.32x32b.x{n}.b32 {list}, [{from}];");
                self.bind_regs(inst.result(), results);
            }
            Opcode::Tcgen05Store => {
                let to = self.reg(inst.operands[0]);
                let words = self.regs(inst.operands[1]);
                let (n, list) = (words.len(), braced(words.iter()));
                ins!(self, "tcgen05.st.sync.aligned.32x32b.x{n}.b32 [{to}], {list};");
            }
            Opcode::Tcgen05WaitLoad => {
                ins!(self, "tcgen05.wait::ld.sync.aligned;");
                // What is passed on stays where it is.
                for (&from, &to) in inst.operands.iter().zip(&inst.results) {
                    let binding = self.binding(from).clone();
                    self.bind(to, binding);
                }
            }
            Opcode::Tcgen05WaitStore => ins!(self, "tcgen05.wait::st.sync.aligned;"),
            Opcode::Tcgen05FenceBefore => ins!(self, "tcgen05.fence::before_thread_sync;"),
            _ => ins!(self, "tcgen05.fence::after_thread_sync;"),
        }
        Ok(())
    }

    fn tensor_product(&mut self, inst: &Inst) -> Result<(), Error> {
        let Attr::Tcgen05(product) = inst.attr else {
            unreachable!("the kernel is verified: a matrix instruction has a shape")
        };
        let d = self.reg(inst.operands[0]);
        let a = match product.a {
            Some(layout) => {
                self.descriptor(inst.operands[1], tcgen05::descriptor(layout))?.to_string()
            }
            None => format!("[{}]", self.reg(inst.operands[1])),
        };
        let b = self.descriptor(inst.operands[2], tcgen05::descriptor(product.b))?;
        let accumulate = self.reg(inst.operands[3]);
        let instruction = self.in_reg(Operand::u32(product.instruction()));
        let (group, kind) = (qualifier(product.group), product.kind());
        let (mut scaled, mut addresses) = (String::new(), String::new());
        if let Some(Scales { kind, count, .. }) = product.scales {
            if kind == ScaledKind::Mxf4Nvf4 {
                self.need(8, 7);
            }
            scaled = format!(".block_scale.scale_vec::{count}X");
            let [a, b] = [4, 5].map(|i| self.reg(inst.operands[i]));
            addresses = format!(" [{a}], [{b}],");
        }
        ins!(
            self,
            "tcgen05.mma.{group}.kind::{kind}{scaled} [{d}], {a}, {b}, {instruction},{addresses} \
             {accumulate};"
        );
        Ok(())
    }

    fn tensor_copy(&mut self, inst: &Inst) -> Result<(), Error> {
        let Attr::Tcgen05Copy(TensorCopy { group, shape, layout }) = inst.attr else {
            unreachable!("the kernel is verified: a copy has a shape")
        };
        let to = self.reg(inst.operands[0]);
        let from = self.descriptor(inst.operands[1], tcgen05::descriptor(layout))?;
        let (group, shape) = (qualifier(group), shape.qualifiers());
        ins!(self, "tcgen05.cp.{group}.{shape} [{to}], {from};");
        Ok(())
    }
}
