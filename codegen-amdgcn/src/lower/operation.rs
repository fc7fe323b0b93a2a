//! Single instructions.

use kernelsmith_ir::attr::Dim;
use kernelsmith_ir::check::ErrorRecord;
use kernelsmith_ir::{Attr, Inst, Opcode, Target, Type};
use kernelsmith_llvm::emit::constant;

use super::{Lowering, text};
use crate::Error;

/// Bytes from the start of the dispatch packet and the implicit arguments (HSA runtime
/// specification, "Kernel dispatch packet"; LLVM AMDGPU usage guide, "Code Object V5 Kernel
/// Argument Metadata": hidden_block_count and hidden_group_size come first).
const BLOCK_COUNTS: u32 = 0;
const GROUP_SIZES: u32 = 12;

impl Lowering<'_> {
    pub(super) fn inst(&mut self, inst: &Inst) -> Result<(), Error> {
        use Opcode::*;
        self.w.at(inst.loc);
        let availability = inst.op.info().availability;
        if !availability.on(&Target::Amdgcn(self.gfx)) {
            let rule = format!("it is there on {}", availability.describe());
            return Err(self.unsupported(inst, rule));
        }
        match inst.op {
            If => return self.branch(inst),
            For | Loop | Block => match inst.attr {
                Attr::Label(label) => return self.labelled(inst, label),
                _ => return Err(self.unsupported(inst, "it has no label")),
            },
            Yield | Break | Continue | Return => self.jump(inst),
            Const => {
                if let Attr::Const(c) = inst.attr {
                    self.define(inst, constant(c));
                }
            }
            ThreadIdx | BlockIdx | BlockDim | GridDim | LaneId | WarpId => self.id(inst),
            VecMake | VecExtract | VecInsert => self.vector(inst),
            Select => {
                let [c, a, b] = [0, 1, 2].map(|i| self.get(inst.operands[i]));
                let ty = text(self.ty(inst.operands[1]));
                let value = self.w.select(&c, None, &ty, [&a, &b]);
                self.define(inst, value);
            }
            Bitcast => {
                let (from, to) = (self.ty(inst.operands[0]), self.ty(inst.results[0]));
                let value = self.get(inst.operands[0]);
                let value = self.w.value(format!("bitcast {} {value} to {}", text(from), text(to)));
                self.define(inst, value);
            }
            Eq | Ne if self.ty(inst.operands[0]).is_ptr() => {
                let [a, b] = [0, 1].map(|i| self.get(inst.operands[i]));
                let op = if inst.op == Eq { "eq" } else { "ne" };
                let ty = text(self.ty(inst.operands[0]));
                let value = self.w.value(format!("icmp {op} {ty} {a}, {b}"));
                self.define(inst, value);
            }
            Exp2Fast => {
                let value = self.get(inst.operands[0]);
                let arguments = [("float".to_owned(), value)];
                let value = self.w.call("float", "llvm.amdgcn.exp2.f32", &arguments);
                self.define(inst, value);
            }
            Dot4 => self.dot4(inst),
            // `v_dot2_f32_bf16` rounds otherwise than two multiply-adds.
            Dot2 => {
                let [a, b, sum] = [0, 1, 2].map(|i| self.get(inst.operands[i]));
                let value = self.w.dot2([&a, &b, &sum], None);
                self.define(inst, value);
            }
            SharedAddr | LocalAddr | PtrAdd | PtrCast | Load | Store | AtomicRmw | AtomicCas
            | AtomicLoad | AtomicStore | Fence | Prefetch | CpAsync | CpAsyncCommit
            | CpAsyncWait => self.memory(inst)?,
            Barrier | WarpSync | ShuffleIdx | ShuffleXor | ShuffleUp | ShuffleDown | VoteAll
            | VoteAny | Ballot | WarpReduce => self.cooperate(inst)?,
            Mma => self.mma(inst)?,
            Check => self.check(inst),
            VarLoad | VarStore | VarLoadAt | VarStoreAt => {
                return Err(self.unsupported(inst, "the kernel is not prepared"));
            }
            _ => self.pure(inst)?,
        }
        Ok(())
    }

    fn pure(&mut self, inst: &Inst) -> Result<(), Error> {
        let operands: Vec<String> = inst.operands.iter().map(|&v| self.get(v)).collect();
        let (from, to) = (self.ty(inst.operands[0]), self.ty(inst.results[0]));
        let lanes = match from {
            Type::Vector(_, n) => Some(n.into()),
            _ => None,
        };
        match self.w.pure(inst.op, &operands, from.elem(), to.elem(), lanes) {
            Some(value) => {
                self.define(inst, value);
                Ok(())
            }
            None => Err(self.unsupported(inst, "it is expanded when a kernel is prepared")),
        }
    }

    /// RDNA has one instruction for all signs; CDNA has one for signed bytes and one for unsigned
    /// (LLVM AMDGPU usage guide, "LLVM IR Intrinsics": sudot4, sdot4, udot4).
    fn dot4(&mut self, inst: &Inst) {
        let word = |i: usize| ("i32".to_owned(), self.get(inst.operands[i]));
        let (a, b, c) = (word(0), word(1), word(2));
        let [a_signed, b_signed] = [0, 1].map(|i| self.ty(inst.operands[i]).elem().is_signed());
        let bit = |x: bool| ("i1".to_owned(), x.to_string());
        let value = if !self.gfx.is_cdna() {
            let arguments = [bit(a_signed), a, bit(b_signed), b, c, bit(false)];
            self.w.call("i32", "llvm.amdgcn.sudot4", &arguments)
        } else if a_signed == b_signed {
            let name = if a_signed { "llvm.amdgcn.sdot4" } else { "llvm.amdgcn.udot4" };
            self.w.call("i32", name, &[a, b, c, bit(false)])
        } else {
            self.w.dot4([&a.1, &b.1, &c.1], [a_signed, b_signed], None)
        };
        self.define(inst, value);
    }

    fn vector(&mut self, inst: &Inst) {
        let operands: Vec<String> = inst.operands.iter().map(|&v| self.get(v)).collect();
        let (from, to) = (self.ty(inst.operands[0]), self.ty(inst.results[0]));
        let value = match (inst.op, &inst.attr) {
            (Opcode::VecExtract, Attr::Lane(lane)) => {
                self.w.value(format!("extractelement {} {}, i32 {lane}", text(from), operands[0]))
            }
            (Opcode::VecInsert, Attr::Lane(lane)) => {
                let elem = text(Type::Scalar(to.elem()));
                self.w.value(format!(
                    "insertelement {} {}, {elem} {}, i32 {lane}",
                    text(to),
                    operands[0],
                    operands[1]
                ))
            }
            _ => {
                let (ty, elem) = (text(to), text(Type::Scalar(to.elem())));
                operands.iter().enumerate().fold("poison".to_owned(), |vector, (i, operand)| {
                    self.w.value(format!("insertelement {ty} {vector}, {elem} {operand}, i32 {i}"))
                })
            }
        };
        self.define(inst, value);
    }

    /// Reads a 32-bit id by an intrinsic.
    fn intrinsic_id(&mut self, name: &str) -> String {
        self.w.call("i32", name, &[])
    }

    /// A thread's index along an axis.
    pub(super) fn thread_idx(&mut self, axis: usize) -> String {
        let name = ["x", "y", "z"][axis];
        self.intrinsic_id(&format!("llvm.amdgcn.workitem.id.{name}"))
    }

    fn block_idx(&mut self, axis: usize) -> String {
        let name = ["x", "y", "z"][axis];
        self.intrinsic_id(&format!("llvm.amdgcn.workgroup.id.{name}"))
    }

    /// Threads of a block along an axis.
    pub(super) fn block_dim(&mut self, axis: usize) -> String {
        if let Some(block) = self.kernel.block_dim {
            return block[axis].to_string();
        }
        let size = self.implicit(GROUP_SIZES + 2 * axis as u32, "i16");
        self.w.value(format!("zext i16 {size} to i32"))
    }

    /// Reads an implicit argument.
    fn implicit(&mut self, offset: u32, ty: &str) -> String {
        let base = self.w.call("ptr addrspace(4)", "llvm.amdgcn.implicitarg.ptr", &[]);
        let at = self.w.value(format!("getelementptr i8, ptr addrspace(4) {base}, i64 {offset}"));
        let align = if ty == "i16" { 2 } else { 4 };
        self.w.value(format!(
            "load {ty}, ptr addrspace(4) {at}, align {align}, !invariant.load !{{}}"
        ))
    }

    fn id(&mut self, inst: &Inst) {
        let axis = match inst.attr {
            Attr::Dim(Dim::Y) => 1,
            Attr::Dim(Dim::Z) => 2,
            _ => 0,
        };
        let value = match inst.op {
            Opcode::ThreadIdx => self.thread_idx(axis),
            Opcode::BlockIdx => self.block_idx(axis),
            Opcode::BlockDim => self.block_dim(axis),
            Opcode::GridDim => self.implicit(BLOCK_COUNTS + 4 * axis as u32, "i32"),
            Opcode::LaneId => self.lane_id(),
            _ => {
                let thread = self.linear_thread();
                let shift = self.warp_size().trailing_zeros();
                self.w.value(format!("lshr i32 {thread}, {shift}"))
            }
        };
        self.define(inst, value);
    }

    /// The thread's index in its block, x fastest.
    pub(super) fn linear_thread(&mut self) -> String {
        let [x, y, z] = [0, 1, 2].map(|axis| self.thread_idx(axis));
        let [dx, dy] = [0, 1].map(|axis| self.block_dim(axis));
        let plane = self.w.value(format!("mul i32 {z}, {dy}"));
        let row = self.w.value(format!("add i32 {plane}, {y}"));
        let start = self.w.value(format!("mul i32 {row}, {dx}"));
        self.w.value(format!("add i32 {start}, {x}"))
    }

    /// Claims the error record and ends the thread where the condition is false.
    fn check(&mut self, inst: &Inst) {
        let number = self.checks;
        self.checks += 1;
        let [fail, claimed, ended, pass] =
            ["fail", "claimed", "ended", "pass"].map(|what| self.w.label(what));
        let condition = self.get(inst.operands[0]);
        self.w.line(format!(
            "br i1 {condition}, label %{pass}, label %{fail}, !prof !{{!\"branch_weights\", i32 1048575, i32 1}}"
        ));
        self.start(&fail);
        let record = self.record.clone();
        let pair = self.w.value(format!(
            "cmpxchg ptr addrspace(1) {record}, i32 0, i32 1 syncscope(\"agent\") monotonic monotonic"
        ));
        let won = self.w.value(format!("extractvalue {{ i32, i1 }} {pair}, 1"));
        self.w.line(format!("br i1 {won}, label %{claimed}, label %{ended}"));
        self.start(&claimed);
        self.record_field(ErrorRecord::CHECK, "i32", &number.to_string());
        for (i, &value) in inst.operands[1..].iter().enumerate() {
            let value = self.get(value);
            self.record_field(ErrorRecord::VALUES + 8 * i as u32, "i64", &value);
        }
        for axis in 0..3 {
            let (block, thread) = (self.block_idx(axis), self.thread_idx(axis));
            let offset = 4 * axis as u32;
            self.record_field(ErrorRecord::BLOCK + offset, "i32", &block);
            self.record_field(ErrorRecord::THREAD + offset, "i32", &thread);
        }
        self.w.line(format!("br label %{ended}"));
        self.start(&ended);
        self.w.line("ret void");
        self.start(&pass);
    }

    fn record_field(&mut self, offset: u32, ty: &str, value: &str) {
        let record = self.record.clone();
        let at = self.w.value(format!("getelementptr i8, ptr addrspace(1) {record}, i64 {offset}"));
        self.w.line(format!("store {ty} {value}, ptr addrspace(1) {at}, align 4"));
    }
}
