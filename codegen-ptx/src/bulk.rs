//! Copies by the engine (PTX ISA, "Data Movement and Conversion Instructions: Bulk copy" and
//! "Tensor copy").

use kernelsmith_ir::attr::{Attr, BoxMode, Eviction, ReduceOp};
use kernelsmith_ir::{Inst, Opcode, Scalar, Space, Type, Value};

use crate::emit::{Emitter, ins};
use crate::error::Error;
use crate::memory::braced;
use crate::reg::{Class, Operand, Reg};

/// How a load tells that it has arrived.
const COMPLETES: &str = "mbarrier::complete_tx::bytes";

/// What stands behind a copy's operands: which blocks, and how caches keep what is moved.
struct Tail {
    qualifiers: String,
    operands: String,
}

impl<'k> Emitter<'k> {
    pub(crate) fn bulk(&mut self, inst: &Inst) -> Result<(), Error> {
        self.need(8, 0);
        match inst.op {
            Opcode::AsyncFence => ins!(self, "fence.proxy.async.shared::cta;"),
            Opcode::TmaPrefetch => {
                let map = self.reg(inst.operands[0]);
                ins!(self, "prefetch.tensormap [{map}];");
            }
            Opcode::TmaLoad => {
                let to = self.operand_in(inst.operands[0], Space::Shared)?;
                let (barrier, group) = match self.ty(inst.operands[2]) {
                    Type::Ptr(Space::Cluster, _) => {
                        self.need(8, 6);
                        (self.operand_in(inst.operands[2], Space::Cluster)?, ".cta_group::2")
                    }
                    _ => (self.operand_in(inst.operands[2], Space::Shared)?, ""),
                };
                let rank = self.rank(inst.operands[1]);
                let (count, offsets) = numbers(inst, rank);
                let tensor = self.tensor(inst.operands[1], &inst.operands[3..3 + count]);
                let window = self.window(&inst.operands[3 + count..][..offsets]);
                let tail = self.tail(inst, inst.operands.get(3 + count + offsets));
                let Tail { qualifiers, operands } = tail;
                let (space, mode) = (self.destination(inst), mode_name(inst));
                ins!(
                    self,
                    "cp.async.bulk.tensor.{rank}d.{space}.global{mode}.{COMPLETES}{group}{qualifiers} \
                     {to}, {tensor}, {barrier}{window}{operands};"
                );
            }
            Opcode::TmaFetch => {
                let rank = self.rank(inst.operands[0]);
                let (count, offsets) = numbers(inst, rank);
                let tensor = self.tensor(inst.operands[0], &inst.operands[1..1 + count]);
                let window = self.window(&inst.operands[1 + count..][..offsets]);
                let Tail { qualifiers, operands } = self.tail(inst, None);
                let mode = mode_name(inst);
                ins!(
                    self,
                    "cp.async.bulk.prefetch.tensor.{rank}d.L2.global{mode}{qualifiers} \
                     {tensor}{window}{operands};"
                );
            }
            Opcode::BulkFetch => {
                let from = self.operand_in(inst.operands[0], Space::Global)?;
                let bytes = self.operand(inst.operands[1]);
                let Tail { qualifiers, operands } = self.tail(inst, None);
                ins!(
                    self,
                    "cp.async.bulk.prefetch.L2.global{qualifiers} {from}, {bytes}{operands};"
                );
            }
            Opcode::TmaStore => {
                let from = self.operand_in(inst.operands[1], Space::Shared)?;
                let rank = self.rank(inst.operands[0]);
                let (count, _) = numbers(inst, rank);
                let tensor = self.tensor(inst.operands[0], &inst.operands[2..2 + count]);
                let Tail { qualifiers, operands } = self.tail(inst, None);
                let (reduce, op) = match reduction(inst) {
                    Some(op) => ("reduce.", format!(".{}", reduce_name(op))),
                    None => ("", String::new()),
                };
                let mode = if is_rows(inst) { ".tile::scatter4" } else { "" };
                ins!(
                    self,
                    "cp.{reduce}async.bulk.tensor.{rank}d.global.shared::cta{op}{mode}.bulk_group\
                     {qualifiers} {tensor}, {from}{operands};"
                );
            }
            Opcode::BulkLoad => {
                let to = self.operand_in(inst.operands[0], Space::Shared)?;
                let from = self.operand_in(inst.operands[1], Space::Global)?;
                let bytes = self.operand(inst.operands[2]);
                let barrier = self.operand_in(inst.operands[3], Space::Shared)?;
                let Tail { qualifiers, operands } = self.tail(inst, inst.operands.get(4));
                ins!(
                    self,
                    "cp.async.bulk.shared::cluster.global.{COMPLETES}{qualifiers} {to}, {from}, {bytes}, \
                     {barrier}{operands};"
                );
            }
            _ => self.bulk_store(inst)?,
        }
        Ok(())
    }

    fn bulk_store(&mut self, inst: &Inst) -> Result<(), Error> {
        let to = self.operand_in(inst.operands[0], Space::Global)?;
        let from = self.operand_in(inst.operands[1], Space::Shared)?;
        let bytes = self.operand(inst.operands[2]);
        let Tail { qualifiers, operands } = self.tail(inst, None);
        let (reduce, op) = match reduction(inst) {
            Some(op) => {
                let elem = self.ty(inst.operands[0]).elem();
                ("reduce.", format!(".{}", typed_reduce_name(op, elem)))
            }
            None => ("", String::new()),
        };
        ins!(
            self,
            "cp.{reduce}async.bulk.global.shared::cta.bulk_group{qualifiers}{op} {to}, {from}, \
             {bytes}{operands};"
        );
        Ok(())
    }

    /// Closing groups of stores, and waiting for them.
    pub(crate) fn bulk_group(&mut self, inst: &Inst) {
        self.need(8, 0);
        let left = match inst.attr {
            Attr::Count(left) => left,
            _ => 0,
        };
        match inst.op {
            Opcode::BulkCommit => ins!(self, "cp.async.bulk.commit_group;"),
            Opcode::BulkWaitRead => ins!(self, "cp.async.bulk.wait_group.read {left};"),
            _ => ins!(self, "cp.async.bulk.wait_group {left};"),
        }
    }

    fn rank(&self, map: Value) -> usize {
        match self.ty(map) {
            Type::TensorMap(_, rank) => rank.into(),
            ty => unreachable!("the kernel is verified: {ty} is a tensor map"),
        }
    }

    /// A tensor and the coordinates of a box in it, the innermost first.
    fn tensor(&mut self, map: Value, coordinates: &[Value]) -> String {
        let map = self.reg(map);
        let at: Vec<Operand> = coordinates.iter().map(|&c| self.operand(c)).collect();
        format!("[{map}, {}]", braced(at.iter()))
    }

    /// The space that a load names. Four rows at once come to the cluster's by the data centre's
    /// Blackwell alone, to the block's own memory on all (PTX ISA, `cp.async.bulk.tensor`).
    fn destination(&mut self, inst: &Inst) -> &'static str {
        match inst.attr {
            Attr::Bulk { mode: BoxMode::Rows, multicast: false, .. } => {
                self.need(8, 6);
                "shared::cta"
            }
            _ => "shared::cluster",
        }
    }

    /// Offsets in a window, of 16 bits each.
    fn window(&mut self, offsets: &[Value]) -> String {
        if offsets.is_empty() {
            return String::new();
        }
        let offsets: Vec<Reg> = offsets.iter().map(|&offset| self.half_word(offset)).collect();
        format!(", {}", braced(offsets.iter()))
    }

    fn tail(&mut self, inst: &Inst, blocks: Option<&Value>) -> Tail {
        let Attr::Bulk { multicast, eviction, .. } = inst.attr else {
            unreachable!("the kernel is verified: a copy says how")
        };
        let mut tail = Tail { qualifiers: String::new(), operands: String::new() };
        if let Some(&blocks) = blocks.filter(|_| multicast) {
            let mask = self.half_word(blocks);
            tail.qualifiers.push_str(".multicast::cluster");
            tail.operands.push_str(&format!(", {mask}"));
        }
        if eviction != Eviction::Normal {
            let policy = self.policy(eviction.name());
            tail.qualifiers.push_str(".L2::cache_hint");
            tail.operands.push_str(&format!(", {policy}"));
        }
        tail
    }

    /// How the L2 cache keeps what is moved (PTX ISA, `createpolicy`).
    pub(crate) fn policy(&mut self, name: &str) -> Reg {
        self.need(7, 4);
        let policy = self.new_reg(Class::B64);
        ins!(self, "createpolicy.fractional.L2::{name}.b64 {policy}, 1.0;");
        policy
    }

    /// The lower half of a 32-bit value.
    pub(crate) fn half_word(&mut self, value: Value) -> Reg {
        let word = self.operand(value);
        let word = self.in_reg(word);
        self.op("cvt.u16.u32", Class::B16, &[word.into()])
    }
}

/// How many coordinates a copy has, and offsets in a window.
fn numbers(inst: &Inst, rank: usize) -> (usize, usize) {
    match inst.attr {
        Attr::Bulk { mode: BoxMode::Rows, .. } => (5, 0),
        Attr::Bulk { mode: BoxMode::Pixels, .. } => (rank, rank - 2),
        _ => (rank, 0),
    }
}

fn is_rows(inst: &Inst) -> bool {
    matches!(inst.attr, Attr::Bulk { mode: BoxMode::Rows, .. })
}

/// The mode of a load; boxes need none.
const fn mode_name(inst: &Inst) -> &'static str {
    match inst.attr {
        Attr::Bulk { mode: BoxMode::Rows, .. } => ".tile::gather4",
        Attr::Bulk { mode: BoxMode::Pixels, .. } => ".im2col",
        _ => "",
    }
}

fn reduction(inst: &Inst) -> Option<ReduceOp> {
    match inst.attr {
        Attr::Bulk { reduce, .. } => reduce,
        _ => None,
    }
}

const fn reduce_name(op: ReduceOp) -> &'static str {
    match op {
        ReduceOp::Add => "add",
        ReduceOp::Min => "min",
        ReduceOp::Max => "max",
        ReduceOp::And => "and",
        ReduceOp::Or => "or",
        ReduceOp::Xor => "xor",
    }
}

/// The operation with its type: bitwise ones are on untyped bits, and a sum of small floats says
/// that it keeps subnormal numbers (PTX ISA, `cp.reduce.async.bulk`).
fn typed_reduce_name(op: ReduceOp, elem: Scalar) -> String {
    let name = reduce_name(op);
    match (op, elem) {
        (ReduceOp::And | ReduceOp::Or | ReduceOp::Xor, _) => format!("{name}.b{}", elem.bits()),
        (ReduceOp::Add, Scalar::F16 | Scalar::BF16) => format!("{name}.noftz.{elem}"),
        // Two's complement has one sum.
        (ReduceOp::Add, Scalar::I64) => format!("{name}.u64"),
        (_, elem) if elem.is_signed() => format!("{name}.s{}", elem.bits()),
        _ => format!("{name}.{elem}"),
    }
}
