//! Typing rules of what goes on by itself: bulk copies, `wgmma`, and the barriers they are awaited at.

use super::{Rule, Verifier, list};
use crate::attr::{Attr, BoxMode, ReduceOp};
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
            Signature::TensorAlloc
            | Signature::TensorFree
            | Signature::TensorYield
            | Signature::TensorLoad
            | Signature::TensorStore
            | Signature::Tcgen05
            | Signature::TensorCopy => self.tensor_memory(inst),
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
            Signature::TensorCommit => {
                self.barrier(inst, 0, &[Space::Shared]);
                if let Attr::Commit { multicast: true, .. } = inst.attr {
                    self.operand_is(inst, 1, Type::U32);
                    self.has_cluster(inst);
                }
            }
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
                self.barrier(inst, 2, &[Space::Shared, Space::Cluster]);
                self.peers_barrier(inst);
                let count = self.box_coordinates(inst, 1, rank);
                self.coordinates(inst, 3, count);
            }
            Opcode::TmaFetch => {
                let rank = self.map(inst, 0, None);
                let count = self.box_coordinates(inst, 0, rank);
                self.coordinates(inst, 1, count);
            }
            Opcode::BulkFetch => {
                self.pointer(inst, 0, &[Space::Global]);
                self.operand_is(inst, 1, Type::U32);
            }
            Opcode::TmaStore => {
                let elem = self.pointer(inst, 1, &[Space::Shared]);
                let rank = self.map(inst, 0, elem);
                let count = self.box_coordinates(inst, 0, rank);
                self.coordinates(inst, 2, count);
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

    /// A load that a barrier of the pair counts (PTX ISA, `cp.async.bulk.tensor`, `.cta_group`): one at a
    /// time, in a cluster of pairs.
    fn peers_barrier(&mut self, inst: &Inst) {
        if self.operand(inst, 2) != Type::Ptr(Space::Cluster, Scalar::U64) {
            return;
        }
        self.clusters_of_pairs(inst);
        if let Attr::Bulk { multicast: true, .. } = inst.attr {
            let found = "a load for several blocks that a barrier of the pair counts";
            self.breach(Rule::BulkCopy, Some(inst), found, "barriers of those blocks");
        }
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

    /// How many numbers say where in a tensor of `rank` axes a copy is, and behind them where in the
    /// window; none, if the tensor has no such mode.
    fn box_coordinates(&mut self, inst: &Inst, index: usize, rank: Option<usize>) -> Option<usize> {
        let (rank, Attr::Bulk { mode, .. }) = (rank?, &inst.attr) else { return None };
        let tile = self.tile(inst.operands[index])?;
        let (fits, expected, count) = match mode {
            BoxMode::Tile => (tile.walk.is_none(), "a tensor map without a window", rank),
            BoxMode::Rows => {
                let one_row = tile.walk.is_none() && tile.extents[1] == 1;
                (rank == 2 && one_row, "a matrix in boxes of one row", 5)
            }
            BoxMode::Pixels => {
                let reads = inst.op != Opcode::TmaStore;
                let expected = "a load through a tensor map with a window";
                (reads && tile.walk.is_some(), expected, 2 * rank - 2)
            }
        };
        if !fits {
            let found = format!("`{}` in mode `{}`", inst.op.name(), mode.name());
            self.breach(Rule::BulkCopy, Some(inst), found, expected);
            return None;
        }
        Some(count)
    }

    /// So many coordinates; behind them, for several blocks, which.
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
        let Attr::Bulk { multicast, reduce, mode, .. } = inst.attr else { return };
        let of_tensor = matches!(inst.op, Opcode::TmaLoad | Opcode::TmaStore | Opcode::TmaFetch);
        if mode != BoxMode::Tile && !of_tensor {
            let found = format!("a run of bytes in mode `{}`", mode.name());
            self.breach(Rule::BulkCopy, Some(inst), found, "a copy of a tensor");
        }
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
