//! Barriers, and the lanes of a wave.

use kernelsmith_ir::{Attr, Inst, Opcode, Scalar, Target};
use kernelsmith_llvm::emit::llvm_type;

use super::Lowering;
use crate::Error;

impl Lowering<'_> {
    pub(super) fn warp_size(&self) -> u32 {
        Target::Amdgcn(self.gfx).warp_size()
    }

    pub(super) fn lane_id(&mut self) -> String {
        let all = |zero: String| [("i32".to_owned(), "-1".to_owned()), ("i32".to_owned(), zero)];
        let low = self.w.call("i32", "llvm.amdgcn.mbcnt.lo", &all("0".to_owned()));
        match self.warp_size() {
            64 => self.w.call("i32", "llvm.amdgcn.mbcnt.hi", &all(low)),
            _ => low,
        }
    }

    pub(super) fn cooperate(&mut self, inst: &Inst) -> Result<(), Error> {
        use Opcode::*;
        match inst.op {
            Barrier => {
                self.w.line("fence syncscope(\"workgroup\") release");
                self.void_call("llvm.amdgcn.s.barrier");
                self.w.line("fence syncscope(\"workgroup\") acquire");
            }
            WarpSync => {
                self.w.line("fence syncscope(\"wavefront\") release");
                self.void_call("llvm.amdgcn.wave.barrier");
                self.w.line("fence syncscope(\"wavefront\") acquire");
            }
            ShuffleIdx | ShuffleXor | ShuffleUp | ShuffleDown => {
                let source = self.source_lane(inst);
                let (value, ty) = (self.get(inst.operands[0]), self.ty(inst.operands[0]).elem());
                let value = self.permute(&value, ty, &source);
                self.define(inst, value);
            }
            Ballot => {
                let condition = self.get(inst.operands[0]);
                let bits = self.ballot(&condition);
                let bits = match self.warp_size() {
                    64 => bits,
                    _ => self.w.value(format!("zext i32 {bits} to i64")),
                };
                self.define(inst, bits);
            }
            VoteAny | VoteAll => {
                let condition = self.get(inst.operands[0]);
                // All hold if none fails.
                let (condition, test) = match inst.op {
                    VoteAll => (self.w.value(format!("xor i1 {condition}, true")), "eq"),
                    _ => (condition, "ne"),
                };
                let bits = self.ballot(&condition);
                let value = self.w.value(format!("icmp {test} i{} {bits}, 0", self.warp_size()));
                self.define(inst, value);
            }
            _ => self.reduce(inst)?,
        }
        Ok(())
    }

    fn void_call(&mut self, name: &str) {
        self.w.declare(format!("declare void @{name}()"));
        self.w.line(format!("call void @{name}()"));
    }

    fn ballot(&mut self, condition: &str) -> String {
        let ty = format!("i{}", self.warp_size());
        let arguments = [("i1".to_owned(), condition.to_owned())];
        self.w.call(&ty, &format!("llvm.amdgcn.ballot.{ty}"), &arguments)
    }

    /// The last lane that the wave has.
    fn last_lane(&mut self) -> String {
        let size = self.warp_size();
        if self.kernel.fills_warps(size) {
            return (size - 1).to_string();
        }
        let bits = self.ballot("true");
        let int = format!("i{size}");
        let count = self.w.call(&int, &format!("llvm.ctpop.{int}"), &[(int.clone(), bits)]);
        let count = match size {
            64 => self.w.value(format!("trunc i64 {count} to i32")),
            _ => count,
        };
        self.w.value(format!("sub i32 {count}, 1"))
    }

    /// The lane a shuffle reads from.
    fn source_lane(&mut self, inst: &Inst) -> String {
        let (lane, amount) = (self.lane_id(), self.get(inst.operands[1]));
        match inst.op {
            Opcode::ShuffleIdx => {
                let mask = self.warp_size() - 1;
                self.w.value(format!("and i32 {amount}, {mask}"))
            }
            Opcode::ShuffleXor => self.w.value(format!("xor i32 {lane}, {amount}")),
            Opcode::ShuffleUp => {
                let source = self.w.value(format!("sub i32 {lane}, {amount}"));
                let inside = self.w.value(format!("icmp uge i32 {lane}, {amount}"));
                self.w.select(&inside, None, "i32", [&source, &lane])
            }
            _ => {
                let last = self.last_lane();
                let left = self.w.value(format!("sub i32 {last}, {lane}"));
                let source = self.w.value(format!("add i32 {lane}, {amount}"));
                let inside = self.w.value(format!("icmp ule i32 {amount}, {left}"));
                self.w.select(&inside, None, "i32", [&source, &lane])
            }
        }
    }

    /// A value of another lane, through `ds_bpermute`, which moves 32 bits and takes the lane
    /// times 4.
    fn permute(&mut self, value: &str, ty: Scalar, source: &str) -> String {
        let address = self.w.value(format!("shl i32 {source}, 2"));
        let move_word = |this: &mut Self, word: &str| {
            let arguments =
                [("i32".to_owned(), address.clone()), ("i32".to_owned(), word.to_owned())];
            this.w.call("i32", "llvm.amdgcn.ds.bpermute", &arguments)
        };
        let (text, bits) = (llvm_type(ty, None), ty.bits());
        if bits == 64 {
            let pair = self.w.value(format!("bitcast {text} {value} to <2 x i32>"));
            let mut out = "poison".to_owned();
            for half in 0..2 {
                let word = self.w.value(format!("extractelement <2 x i32> {pair}, i32 {half}"));
                let word = move_word(self, &word);
                out =
                    self.w.value(format!("insertelement <2 x i32> {out}, i32 {word}, i32 {half}"));
            }
            return self.w.value(format!("bitcast <2 x i32> {out} to {text}"));
        }
        let int = format!("i{bits}");
        let raw = match text == int {
            true => value.to_owned(),
            false => self.w.value(format!("bitcast {text} {value} to {int}")),
        };
        let word = match bits {
            32 => raw,
            _ => self.w.value(format!("zext {int} {raw} to i32")),
        };
        let word = move_word(self, &word);
        let raw = match bits {
            32 => word,
            _ => self.w.value(format!("trunc i32 {word} to {int}")),
        };
        match text == int {
            true => raw,
            false => self.w.value(format!("bitcast {int} {raw} to {text}")),
        }
    }

    /// By butterfly: every lane ends with the same bits, as both lanes of a pair combine the same
    /// two values.
    fn reduce(&mut self, inst: &Inst) -> Result<(), Error> {
        let Attr::Reduce(op) = inst.attr else {
            return Err(self.unsupported(inst, "it has no reduction"));
        };
        let op = op.opcode();
        let ty = self.ty(inst.operands[0]).elem();
        let whole = self.kernel.fills_warps(self.warp_size());
        let (mut value, lane) = (self.get(inst.operands[0]), self.lane_id());
        let last = self.last_lane();
        let mut distance = self.warp_size() / 2;
        while distance > 0 {
            let step = if whole { "xor" } else { "add" };
            let source = self.w.value(format!("{step} i32 {lane}, {distance}"));
            let other = self.permute(&value, ty, &source);
            let operands = [value.clone(), other];
            let both = self
                .w
                .pure(op, &operands, ty, ty, None)
                .ok_or_else(|| self.unsupported(inst, format!("reductions of {ty}")))?;
            value = match whole {
                true => both,
                // Toward the first lane, of lanes that there are.
                false => {
                    let there = self.w.value(format!("icmp ule i32 {source}, {last}"));
                    self.w.select(&there, None, &llvm_type(ty, None), [&both, &value])
                }
            };
            distance /= 2;
        }
        if !whole {
            value = self.permute(&value, ty, "0");
        }
        self.define(inst, value);
        Ok(())
    }
}
