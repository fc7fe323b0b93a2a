//! Barriers in shared memory, and clusters (PTX ISA, "mbarrier", "barrier.cluster", `mapa`).

use kernelsmith_ir::attr::Attr;
use kernelsmith_ir::{Inst, Opcode, Space, Type};

use crate::address::Address;
use crate::emit::{Emitter, ins};
use crate::error::Error;
use crate::reg::{Class, Operand, Reg};

impl<'k> Emitter<'k> {
    pub(crate) fn mbarrier(&mut self, inst: &Inst) -> Result<(), Error> {
        self.need(8, 0);
        if inst.op == Opcode::MbarrierFence {
            ins!(self, "fence.mbarrier_init.release.cluster;");
            return Ok(());
        }
        let space = match self.ty(inst.operands[0]) {
            Type::Ptr(Space::Cluster, _) => Space::Cluster,
            _ => Space::Shared,
        };
        let at = self.operand_in(inst.operands[0], space)?;
        match inst.op {
            Opcode::MbarrierInit => {
                let count = self.operand(inst.operands[1]);
                ins!(self, "mbarrier.init.shared::cta.b64 {at}, {count};");
            }
            Opcode::MbarrierArrive if space == Space::Cluster => {
                ins!(self, "mbarrier.arrive.release.cluster.shared::cluster.b64 _, {at};");
            }
            Opcode::MbarrierArrive => ins!(self, "mbarrier.arrive.shared::cta.b64 _, {at};"),
            Opcode::MbarrierExpect => {
                let bytes = self.operand(inst.operands[1]);
                ins!(self, "mbarrier.arrive.expect_tx.shared::cta.b64 _, {at}, {bytes};");
            }
            // The arrival is one of those the barrier was made for.
            Opcode::CpAsyncArrive => {
                ins!(self, "cp.async.mbarrier.arrive.noinc.shared::cta.b64 {at};");
            }
            _ => self.mbarrier_wait(inst, &at),
        }
        Ok(())
    }

    /// `try_wait` gives up after some time, so it stands in a loop; `test_wait` never waits.
    fn mbarrier_wait(&mut self, inst: &Inst, at: &str) {
        let parity = self.operand(inst.operands[1]);
        // Who came may be in another block, whose writes only this scope acquires.
        let scope = if self.kernel.cluster_dim.is_some() { ".acquire.cluster" } else { "" };
        if inst.op == Opcode::MbarrierTest {
            let done = self.new_reg(Class::Pred);
            ins!(self, "mbarrier.test_wait.parity{scope}.shared::cta.b64 {done}, {at}, {parity};");
            self.bind_reg(inst.result(), done);
            return;
        }
        let parity = self.in_reg(parity);
        let (again, done) = (self.new_label("wait"), self.new_reg(Class::Pred));
        self.place(again);
        ins!(self, "mbarrier.try_wait.parity{scope}.shared::cta.b64 {done}, {at}, {parity};");
        ins!(self, "@!{done} bra {again};");
    }

    pub(crate) fn cluster(&mut self, inst: &Inst) {
        self.need(7, 8);
        match inst.op {
            Opcode::ClusterRank => {
                let rank = self.special("%cluster_ctarank");
                self.bind_reg(inst.result(), rank);
            }
            Opcode::WarpgroupId => {
                let group = self.warpgroup.expect("computed at the start");
                self.bind_reg(inst.result(), group);
            }
            Opcode::ClusterArrive => ins!(self, "barrier.cluster.arrive.release.aligned;"),
            Opcode::ClusterWait => ins!(self, "barrier.cluster.wait.acquire.aligned;"),
            Opcode::MapShared => {
                let (own, rank) = (self.reg(inst.operands[0]), self.operand(inst.operands[1]));
                let there = self.op("mapa.shared::cluster.u32", Class::B32, &[own.into(), rank]);
                self.bind_reg(inst.result(), there);
            }
            Opcode::GridWait => ins!(self, "griddepcontrol.wait;"),
            Opcode::GridRelease => ins!(self, "griddepcontrol.launch_dependents;"),
            _ => self.elect(inst),
        }
    }

    /// The warpgroup's index, if the kernel asks for it. Lane 0's is told to all, so that the
    /// assembler knows that a warp agrees on its role; at the start all lanes are there to be told.
    pub(crate) fn find_warpgroup(&mut self) {
        let mut asked = false;
        self.kernel.body.walk(&mut |inst| asked |= inst.op == Opcode::WarpgroupId);
        if !asked {
            return;
        }
        let warp = self.warp_id();
        let group = self.op("shr.u32", Class::B32, &[warp.into(), Operand::u32(2)]);
        let agreed = self.new_reg(Class::B32);
        ins!(self, "shfl.sync.idx.b32 {agreed}, {group}, 0, 31, 0xFFFFFFFF;");
        self.warpgroup = Some(agreed);
    }

    /// PTX ISA, `elect.sync`: the lane itself is not asked for.
    fn elect(&mut self, inst: &Inst) {
        self.need(8, 0);
        let elected = self.new_reg(Class::Pred);
        ins!(self, "elect.sync _|{elected}, 0xFFFFFFFF;");
        self.bind_reg(inst.result(), elected);
    }

    /// PTX ISA, `setmaxnreg`.
    pub(crate) fn set_max_registers(&mut self, inst: &Inst) {
        self.need(8, 0);
        let Attr::Registers { count, raise } = inst.attr else {
            unreachable!("the kernel is verified: a share of registers has a count")
        };
        let way = if raise { "inc" } else { "dec" };
        ins!(self, "setmaxnreg.{way}.sync.aligned.u32 {count};");
    }

    /// An address of shared memory in a register, without what is added to it, and that.
    pub(crate) fn base_and_offset(&mut self, address: Address) -> (Reg, i64) {
        (self.materialize(Address { offset: 0, ..address }), address.offset)
    }
}
