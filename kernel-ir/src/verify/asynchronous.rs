//! Typing rules of what goes on by itself: bulk copies, `wgmma`, and the barriers they are awaited at.

use super::{Rule, Verifier, list};
use crate::attr::{Attr, ReduceOp};
use crate::kernel::{Inst, ParamKind, Value};
use crate::mma::Operand;
use crate::op::{Opcode, Signature};
use crate::tensor_map::TensorTile;
use crate::types::{Scalar, Space, Type};
use crate::wgmma::Wgmma;

impl Verifier<'_> {
    pub(super) fn asynchronous(&mut self, inst: &Inst) {
        match inst.op.info().signature {
            Signature::Elect => self.result_is(inst, Type::BOOL),
            Signature::Stmatrix => self.stmatrix(inst),
            Signature::Wgmma => self.wgmma(inst),
            Signature::WgmmaWait => {
                for (i, &result) in inst.results.iter().enumerate() {
                    let ty = self.ty(result);
                    self.operand_is(inst, i, ty);
                }
            }
            Signature::MbarrierArrive if inst.op == Opcode::MbarrierArrive => {
                self.barrier(inst, 0, &[Space::Shared, Space::Cluster]);
                if self.ty(inst.operands[0]) == Type::Ptr(Space::Cluster, Scalar::U64) {
                    self.has_cluster(inst);
                }
            }
            Signature::MbarrierArrive => self.barrier(inst, 0, &[Space::Shared]),
            Signature::MbarrierInit | Signature::MbarrierExpect | Signature::MbarrierWait => {
                self.barrier(inst, 0, &[Space::Shared]);
                self.operand_is(inst, 1, Type::U32);
            }
            Signature::MbarrierTest => {
                self.barrier(inst, 0, &[Space::Shared]);
                self.operand_is(inst, 1, Type::U32);
                self.result_is(inst, Type::BOOL);
            }
            Signature::MapShared => {
                self.has_cluster(inst);
                if let Some(elem) = self.pointer(inst, 0, &[Space::Shared]) {
                    self.operand_is(inst, 1, Type::U32);
                    self.result_is(inst, Type::Ptr(Space::Cluster, elem));
                }
            }
            _ => self.bulk_copy(inst),
        }
    }

    /// What speaks of other blocks of a cluster stands in a kernel that has one.
    fn has_cluster(&mut self, inst: &Inst) {
        if self.kernel.cluster_dim.is_none() {
            let found = "a kernel whose blocks stand alone";
            self.breach(Rule::ClusterSize, Some(inst), found, "one that fixes its cluster");
        }
    }

    fn barrier(&mut self, inst: &Inst, index: usize, spaces: &[Space]) {
        if let Some(elem) = self.pointer(inst, index, spaces) {
            self.operand_fits(inst, index, elem == Scalar::U64, "a pointer to u64");
        }
    }

    fn stmatrix(&mut self, inst: &Inst) {
        let Some(elem) = self.pointer(inst, 0, &[Space::Shared]) else { return };
        let halves = matches!(elem, Scalar::F16 | Scalar::BF16);
        self.operand_fits(inst, 0, halves, "a pointer to f16 or bf16");
        if let Attr::Ldmatrix { count, .. } = inst.attr {
            self.operand_is(inst, 1, Type::Vector(elem, count.saturating_mul(2)));
        }
    }

    fn wgmma(&mut self, inst: &Inst) {
        let Attr::Wgmma(Wgmma { shape, a, .. }) = inst.attr else { return };
        let factor = Type::Ptr(Space::Shared, shape.ab);
        let first = if a.is_some() { factor } else { shape.fragment_type(Operand::A) };
        let sum = shape.fragment_type(Operand::C);
        let expected = [first, factor, sum, Type::BOOL];
        let found = [0, 1, 2, 3].map(|i| self.operand(inst, i));
        if found != expected {
            let expected = format!("{} for {}", list(expected), shape.name());
            self.breach(Rule::OperandType, Some(inst), list(found), expected);
        }
        self.result_is(inst, sum);
    }

    /// The box of a tensor map, which is a parameter.
    fn tile(&self, map: Value) -> Option<TensorTile> {
        self.kernel.params.iter().find(|p| p.value == map).and_then(|p| match p.kind {
            ParamKind::TensorMap(tile) => Some(tile),
            _ => None,
        })
    }

    fn bulk_copy(&mut self, inst: &Inst) {
        match inst.op {
            Opcode::TmaPrefetch => {
                self.map(inst, 0, None);
            }
            Opcode::TmaLoad => {
                let elem = self.pointer(inst, 0, &[Space::Shared]);
                let rank = self.map(inst, 1, elem);
                self.barrier(inst, 2, &[Space::Shared]);
                self.coordinates(inst, 3, rank);
            }
            Opcode::TmaStore => {
                let elem = self.pointer(inst, 1, &[Space::Shared]);
                let rank = self.map(inst, 0, elem);
                self.coordinates(inst, 2, rank);
                let tile = self.tile(inst.operands[0]);
                if tile.is_some_and(|tile| !tile.written) {
                    let found = "a store to a tensor that is only read";
                    self.breach(Rule::BulkCopy, Some(inst), found, "a `tile_mut` parameter");
                }
            }
            Opcode::BulkLoad => {
                self.pointers(inst, [Space::Shared, Space::Global]);
                self.operand_is(inst, 2, Type::U32);
                self.barrier(inst, 3, &[Space::Shared]);
                self.coordinates(inst, 4, Some(0));
            }
            _ => {
                self.pointers(inst, [Space::Global, Space::Shared]);
                self.operand_is(inst, 2, Type::U32);
            }
        }
        self.copy_attribute(inst);
    }

    fn pointers(&mut self, inst: &Inst, spaces: [Space; 2]) {
        let to = self.pointer(inst, 0, &spaces[..1]);
        let from = self.pointer(inst, 1, &spaces[1..]);
        if let (Some(to), Some(from)) = (to, from) {
            self.operand_fits(inst, 1, to == from, format_args!("a pointer to {to}"));
        }
    }

    /// The rank of the tensor map among the operands, whose elements must be these.
    fn map(&mut self, inst: &Inst, index: usize, elem: Option<Scalar>) -> Option<usize> {
        let ty = self.operand(inst, index);
        let Type::TensorMap(found, rank) = ty else {
            self.operand_fits(inst, index, false, "a tensor map");
            return None;
        };
        if let Some(elem) = elem {
            let expected = format_args!("a tensor map of {elem}");
            self.operand_fits(inst, index, found == elem, expected);
        }
        Some(usize::from(rank))
    }

    /// A coordinate for each axis; behind them, for several blocks, which.
    fn coordinates(&mut self, inst: &Inst, first: usize, rank: Option<usize>) {
        let Some(rank) = rank else { return };
        let multicast = matches!(inst.attr, Attr::Bulk { multicast: true, .. });
        let expected = first + rank + usize::from(multicast);
        if !self.operand_count(inst, expected..=expected) {
            return;
        }
        for i in first..first + rank {
            self.operand_is(inst, i, Type::Scalar(Scalar::I32));
        }
        if multicast {
            self.operand_is(inst, expected - 1, Type::U32);
            self.has_cluster(inst);
        }
    }

    fn copy_attribute(&mut self, inst: &Inst) {
        let Attr::Bulk { multicast, reduce, .. } = inst.attr else { return };
        let loads = matches!(inst.op, Opcode::TmaLoad | Opcode::BulkLoad);
        if loads && reduce.is_some() {
            self.breach(Rule::BulkCopy, Some(inst), "a load that combines", "a store");
        }
        if !loads && multicast {
            self.breach(Rule::BulkCopy, Some(inst), "a store for several blocks", "a load");
        }
        let elem = self.operand(inst, 0).elem();
        if let Some(op) = reduce.filter(|&op| !loads && !reduces(op, elem)) {
            let found = format!("`{}` on {elem}", op.name());
            self.breach(Rule::BulkCopy, Some(inst), found, "what copies combine by");
        }
    }
}

/// Whether copies combine so (PTX ISA, `cp.reduce.async.bulk`: "Operation and types").
fn reduces(op: ReduceOp, elem: Scalar) -> bool {
    match elem {
        Scalar::F32 | Scalar::F64 => op == ReduceOp::Add,
        Scalar::F16 | Scalar::BF16 => {
            matches!(op, ReduceOp::Add | ReduceOp::Min | ReduceOp::Max)
        }
        other => other.is_int() && other.size() >= 4,
    }
}
