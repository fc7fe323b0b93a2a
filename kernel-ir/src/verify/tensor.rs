//! Typing rules of tensor memory and the products in it.

use std::collections::HashSet;

use super::{Rule, Verifier, list};
use crate::attr::Attr;
use crate::kernel::Inst;
use crate::op::Opcode;
use crate::tcgen05::group::Group;
use crate::types::{Scalar, Space, Type};

impl Verifier<'_> {
    pub(super) fn tensor_memory(&mut self, inst: &Inst) {
        match inst.op {
            Opcode::Tcgen05Alloc => {
                if let Some(elem) = self.pointer(inst, 0, &[Space::Shared]) {
                    self.operand_fits(inst, 0, elem == Scalar::U32, "a pointer to u32");
                }
            }
            Opcode::Tcgen05Yield => {}
            Opcode::Tcgen05Free => self.operand_is(inst, 0, Type::U32),
            Opcode::Tcgen05Load => {
                self.operand_is(inst, 0, Type::U32);
                let ty = self.ty(inst.results[0]);
                self.words(inst, ty);
            }
            Opcode::Tcgen05Store => {
                self.operand_is(inst, 0, Type::U32);
                let ty = self.operand(inst, 1);
                self.words(inst, ty);
            }
            Opcode::Tcgen05Copy => {
                self.operand_is(inst, 0, Type::U32);
                self.pointer(inst, 1, &[Space::Shared]);
            }
            _ => self.product(inst),
        }
    }

    /// Words that are moved at once.
    fn words(&mut self, inst: &Inst, ty: Type) {
        let fits = matches!(ty, Type::Vector(Scalar::U32, n) if n.is_power_of_two() && n <= 128);
        if !fits {
            let expected = "a vector of 2, 4, .. 128 u32";
            self.breach(Rule::TensorMemory, Some(inst), ty, expected);
        }
    }

    fn product(&mut self, inst: &Inst) {
        let Attr::Tcgen05(product) = inst.attr else { return };
        let factor = Type::Ptr(Space::Shared, product.ab);
        let first = if product.a.is_some() { factor } else { Type::U32 };
        let mut expected = vec![Type::U32, first, factor, Type::BOOL];
        if product.scales.is_some() {
            expected.extend([Type::U32; 2]);
        }
        let found: Vec<Type> = (0..expected.len()).map(|i| self.operand(inst, i)).collect();
        if found != expected {
            let expected = format!("{} for {}", list(expected), product.name());
            self.breach(Rule::OperandType, Some(inst), list(found), expected);
        }
    }

    /// All of a kernel's instructions have the same group (PTX ISA, of each of them), and there are pairs only
    /// in clusters of an even number of blocks ("CTA Pair").
    pub(super) fn groups_agree(&mut self) {
        let kernel = self.kernel;
        let mut first = None;
        kernel.body.walk(&mut |inst| {
            let Some(group) = inst.attr.group() else { return };
            let expected = *first.get_or_insert(group);
            if group != expected {
                let found = format!("`{}` of group `{}`", inst.op.name(), group.name());
                let expected = format!("group `{}`, as before in the kernel", expected.name());
                self.breach(Rule::TensorGroup, Some(inst), found, expected);
            }
            if group == Group::Pair {
                self.clusters_of_pairs(inst);
            }
        });
    }

    /// What speaks of a block's peer stands in a kernel where each block has one.
    pub(super) fn clusters_of_pairs(&mut self, inst: &Inst) {
        let cluster = self.kernel.cluster_dim;
        let blocks = cluster.map_or(1, |dim| dim.iter().product::<u32>());
        if !blocks.is_multiple_of(2) {
            let found = match cluster {
                Some(dim) => format!("a cluster of {dim:?}"),
                None => "a kernel whose blocks stand alone".to_owned(),
            };
            let expected = "one that fixes a cluster of an even number of blocks";
            self.breach(Rule::TensorGroup, Some(inst), found, expected);
        }
    }

    /// Registers that a load is still writing are read by nobody but the wait for it.
    pub(super) fn loads_are_waited_for(&mut self) {
        let kernel = self.kernel;
        let mut loaded = HashSet::new();
        kernel.body.walk(&mut |inst| {
            if inst.op == Opcode::Tcgen05Load {
                loaded.extend(inst.results.iter().copied());
            }
        });
        if loaded.is_empty() {
            return;
        }
        kernel.body.walk(&mut |inst| {
            let early = inst.op != Opcode::Tcgen05WaitLoad;
            if early && inst.operands.iter().any(|value| loaded.contains(value)) {
                let found = format!("`{}` of what a `tcgen05_load` reads", inst.op.name());
                self.breach(Rule::TensorMemory, Some(inst), found, "a `tcgen05_wait_load` of it");
            }
        });
    }
}
