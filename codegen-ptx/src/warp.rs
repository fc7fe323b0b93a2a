//! Cooperation of a warp's threads: shuffles, votes, reductions.
//!
//! Every mask names the whole warp: the instructions wait for the threads that have not ended
//! (PTX ISA, `shfl.sync`, `vote.sync`, `redux.sync`), and the IR has them only where all of those
//! take part.

use kernelsmith_ir::attr::{Attr, Const, ReduceOp};
use kernelsmith_ir::{Inst, Opcode, Scalar, Type};

use crate::emit::{Emitter, ins};
use crate::error::Error;
use crate::reg::{Class, Operand, Reg};

/// The lanes of a warp.
const WARP: &str = "0xFFFFFFFF";

impl<'k> Emitter<'k> {
    pub(crate) fn shuffle(&mut self, inst: &Inst) -> Result<(), Error> {
        let ty = self.ty(inst.operands[0]);
        if !matches!(ty, Type::Scalar(_)) {
            return Err(self.unsupported(ty, "it is defined on scalars"));
        }
        // The last number is the clamp (PTX ISA, `shfl.sync`): the first or last lane of the warp.
        let (mode, clamp) = match inst.op {
            Opcode::ShuffleIdx => ("idx", 31),
            Opcode::ShuffleXor => ("bfly", 31),
            Opcode::ShuffleUp => ("up", 0),
            _ => ("down", 31),
        };
        let by = self.operand(inst.operands[1]);
        let own = self.reg(inst.operands[0]);
        let clamp = match inst.op {
            Opcode::ShuffleDown => self.last_lane(),
            _ => Operand::u32(clamp),
        };
        let mut result = self.shfl(ty, mode, own, by, clamp);
        // Only 5 bits of a distance are read, so that one of 32 or more would come out as a
        // shorter one; there is no lane so far away.
        let moves = matches!(inst.op, Opcode::ShuffleUp | Opcode::ShuffleDown);
        let near = matches!(by, Operand::Const(c) if c.bits < 32);
        if moves && !near {
            let near = self.op("setp.lt.u32", Class::Pred, &[by, Operand::u32(32)]);
            result = self.choose(near, result.into(), own.into());
        }
        self.bind_reg(inst.result(), result);
        Ok(())
    }

    /// The last lane that the warp has.
    fn last_lane(&mut self) -> Operand {
        if self.kernel.fills_warps(32) {
            return Operand::u32(31);
        }
        let yes = self.in_reg(Operand::Const(Const::bool(true)));
        let lanes = self.ballot(yes);
        let count = self.op("popc.b32", Class::B32, &[lanes.into()]);
        self.op("sub.s32", Class::B32, &[count.into(), Operand::u32(1)]).into()
    }

    /// Another lane's register; the instruction moves 32 bits.
    fn shfl(&mut self, ty: Type, mode: &str, own: Reg, by: Operand, clamp: Operand) -> Reg {
        let one = |e: &mut Self, word: Reg| {
            let to = e.new_reg(word.class);
            ins!(e, "shfl.sync.{mode}.b32 {to}, {word}, {by}, {clamp}, {WARP};");
            to
        };
        if matches!(own.class, Class::B32 | Class::F32) {
            return one(self, own);
        }
        let words = self.words_of(ty, &[own]);
        let words: Vec<Reg> = words.into_iter().map(|word| one(self, word)).collect();
        self.regs_of_words(ty, &words)[0]
    }

    pub(crate) fn vote(&mut self, inst: &Inst) {
        let condition = self.reg(inst.operands[0]);
        let result = match inst.op {
            Opcode::VoteAll => self.vote_pred("all", condition),
            Opcode::VoteAny => self.vote_pred("any", condition),
            _ => {
                let lanes = self.ballot(condition);
                self.op("cvt.u64.u32", Class::B64, &[lanes.into()])
            }
        };
        self.bind_reg(inst.result(), result);
    }

    fn vote_pred(&mut self, mode: &str, condition: Reg) -> Reg {
        let to = self.new_reg(Class::Pred);
        ins!(self, "vote.sync.{mode}.pred {to}, {condition}, {WARP};");
        to
    }

    fn ballot(&mut self, condition: Reg) -> Reg {
        let to = self.new_reg(Class::B32);
        ins!(self, "vote.sync.ballot.b32 {to}, {condition}, {WARP};");
        to
    }

    /// PTX ISA, `match.sync`: of 32 and 64 bits.
    pub(crate) fn match_any(&mut self, inst: &Inst) {
        let (ty, own) = (self.ty(inst.operands[0]), self.reg(inst.operands[0]));
        let lanes = self.new_reg(Class::B32);
        if ty.size() == 8 {
            let bits = match own.class {
                Class::F64 => self.op("mov.b64", Class::B64, &[own.into()]),
                _ => own,
            };
            ins!(self, "match.any.sync.b64 {lanes}, {bits}, {WARP};");
        } else {
            let word = self.words_of(ty, &[own])[0];
            ins!(self, "match.any.sync.b32 {lanes}, {word}, {WARP};");
        }
        let lanes = self.op("cvt.u64.u32", Class::B64, &[lanes.into()]);
        self.bind_reg(inst.result(), lanes);
    }

    /// PTX ISA, `bar`: `.arrive` does not wait, and orders what was written before.
    pub(crate) fn named_barrier(&mut self, inst: &Inst) {
        let Attr::Barrier { id, threads } = inst.attr else {
            unreachable!("the kernel is verified: a named barrier has a number")
        };
        let what = if inst.op == Opcode::BarrierSync { "sync" } else { "arrive" };
        ins!(self, "bar.{what} {id}, {threads};");
    }

    pub(crate) fn warp_reduce(&mut self, inst: &Inst) -> Result<(), Error> {
        let Attr::Reduce(op) = inst.attr else {
            unreachable!("the kernel is verified: a reduction has an operation")
        };
        let elem = self.ty(inst.operands[0]).elem();
        let lanes = self.lanes(inst.operands[0]);
        let mut reduced = Vec::with_capacity(lanes.len());
        for lane in lanes {
            let lane = self.in_reg(lane);
            reduced.push(self.reduce(op, elem, lane)?);
        }
        self.bind_lanes(inst.result(), reduced);
        Ok(())
    }

    fn reduce(&mut self, op: ReduceOp, elem: Scalar, x: Reg) -> Result<Reg, Error> {
        if elem == Scalar::Bool {
            return self.reduce_bool(op, x);
        }
        if let Some(name) = self.redux(op, elem) {
            let to = self.new_reg(x.class);
            ins!(self, "redux.sync.{name} {to}, {x}, {WARP};");
            return Ok(self.wrap(elem, to));
        }
        if !self.kernel.fills_warps(32) {
            return self.reduce_partial(op, elem, x);
        }
        let mut all = x;
        let clamp = Operand::u32(31);
        for distance in [16, 8, 4, 2, 1] {
            let other = self.shfl(elem.into(), "bfly", all, Operand::u32(distance), clamp);
            all = self.scalar(op.opcode(), elem, &[all.into(), other.into()])?;
        }
        Ok(all)
    }

    /// Where lanes may be missing, toward the first lane, and from there to all.
    fn reduce_partial(&mut self, op: ReduceOp, elem: Scalar, x: Reg) -> Result<Reg, Error> {
        let last = self.last_lane();
        let lane = self.special("%laneid");
        let mut all = x;
        for distance in [16, 8, 4, 2, 1] {
            let distance = Operand::u32(distance);
            let other = self.shfl(elem.into(), "down", all, distance, last);
            let both = self.scalar(op.opcode(), elem, &[all.into(), other.into()])?;
            let source = self.op("add.s32", Class::B32, &[lane.into(), distance]);
            let there = self.op("setp.le.u32", Class::Pred, &[source.into(), last]);
            all = self.choose(there, both.into(), all.into());
        }
        Ok(self.shfl(elem.into(), "idx", all, Operand::u32(0), Operand::u32(31)))
    }

    /// The instruction that reduces at once, where there is one (PTX ISA, `redux.sync`).
    fn redux(&mut self, op: ReduceOp, elem: Scalar) -> Option<String> {
        let name = op.name();
        if elem == Scalar::F32 {
            let ordered = matches!(op, ReduceOp::Min | ReduceOp::Max);
            let there = self.target.specific && self.target.sm == 100;
            return (ordered && there).then(|| format!("{name}.f32"));
        }
        if self.target.sm < 80 || !elem.is_int() || elem.size() > 4 {
            return None;
        }
        let sign = if elem.is_signed() { 's' } else { 'u' };
        Some(match op {
            ReduceOp::And | ReduceOp::Or | ReduceOp::Xor => format!("{name}.b32"),
            ReduceOp::Add | ReduceOp::Min | ReduceOp::Max => format!("{name}.{sign}32"),
        })
    }

    fn reduce_bool(&mut self, op: ReduceOp, x: Reg) -> Result<Reg, Error> {
        Ok(match op {
            ReduceOp::And => self.vote_pred("all", x),
            ReduceOp::Or => self.vote_pred("any", x),
            ReduceOp::Xor => {
                let lanes = self.ballot(x);
                let count = self.op("popc.b32", Class::B32, &[lanes.into()]);
                let odd = self.op("and.b32", Class::B32, &[count.into(), Operand::u32(1)]);
                self.op("setp.ne.u32", Class::Pred, &[odd.into(), Operand::u32(0)])
            }
            _ => return Err(self.unsupported(Type::BOOL, "it is defined on numbers")),
        })
    }
}
