//! A kernel as a PTX entry: directives, parameters, body.

use std::fmt::Write;

use kernelsmith_ir::attr::{Attr, Dim};
use kernelsmith_ir::target::{Ptx, Target};
use kernelsmith_ir::{Inst, Kernel, Opcode, ParamKind, Scalar, Space, Type, Value};

use crate::address::{Address, Base};
use crate::emit::{Binding, Emitter, ins};
use crate::error::Error;
use crate::memory::Unit;
use crate::module::{ParamSlot, PtxModule};
use crate::reg::{Class, Operand, Reg};
use crate::shared::{SharedPlan, local_declarations};

/// Compiles a prepared kernel.
///
/// # Errors
/// The kernel was not prepared, uses what the architecture lacks, or needs too much shared memory.
pub fn compile(kernel: &Kernel, target: Ptx) -> Result<PtxModule, Error> {
    let plan = SharedPlan::new(kernel, target)?;
    let (static_shared, hidden_dynamic_shared) = (plan.static_bytes(), plan.hidden_bytes());
    let declarations = plan.declarations(kernel);
    let mut emitter = Emitter::new(kernel, target, plan);
    emitter.params()?;
    emitter.find_warpgroup();
    emitter.region(&kernel.body)?;
    emitter.failure_tail(&record_name(kernel));
    let (offsets, record_offset) = kernel.param_layout();
    let params = kernel.params.iter().zip(offsets).map(|(param, offset)| ParamSlot {
        name: param.name.clone(),
        offset,
        size: kernel.ty(param.value).size(),
    });
    Ok(PtxModule {
        text: text(&emitter, &declarations),
        entry: kernel.name.clone(),
        target,
        version: emitter.version,
        params: params.collect(),
        record_offset,
        param_bytes: record_offset + 8,
        static_shared,
        hidden_dynamic_shared,
        has_checks: emitter.checks != 0,
    })
}

fn text(emitter: &Emitter<'_>, declarations: &str) -> String {
    let kernel = emitter.kernel;
    let mut out = format!(
        ".version {}\n.target {}\n.address_size 64\n\n",
        emitter.version,
        Target::Ptx(emitter.target)
    );
    let mut add = |text: std::fmt::Arguments<'_>| out.write_fmt(text).expect("writing to a String");
    for (i, file) in kernel.sources.files.iter().enumerate() {
        add(format_args!(".file {} {file:?}\n", i + 1));
    }
    add(format_args!("{declarations}"));
    add(format_args!(".visible .entry {}(\n", kernel.name));
    for (i, param) in kernel.params.iter().enumerate() {
        let declaration = param_declaration(kernel.ty(param.value), &param_name(kernel, i));
        add(format_args!("\t.param {declaration},\n"));
    }
    add(format_args!("\t.param .u64 .ptr .global .align 8 {}\n)\n", record_name(kernel)));
    if let Some([x, y, z]) = kernel.block_dim {
        // Told nothing more, ptxas aims at many blocks on a multiprocessor and rather spills than
        // takes more registers; one block is enough (PTX ISA, "Performance-Tuning Directives").
        add(format_args!(".reqntid {x}, {y}, {z}\n.minnctapersm 1\n"));
    }
    if let Some([x, y, z]) = kernel.cluster_dim {
        add(format_args!(".explicitcluster\n.reqnctapercluster {x}, {y}, {z}\n"));
    }
    add(format_args!("{{\n{}{}\n", emitter.declarations(), local_declarations(kernel)));
    add(format_args!("{}}}\n", emitter.body));
    out
}

fn param_name(kernel: &Kernel, index: usize) -> String {
    format!("{}_param{index}", kernel.name)
}

fn record_name(kernel: &Kernel) -> String {
    format!("{}_record", kernel.name)
}

fn param_declaration(ty: Type, name: &str) -> String {
    match ty {
        Type::Ptr(_, elem) => format!(".u64 .ptr .global .align {} {name}", elem.size()),
        // An opaque object (PTX ISA, "Tensors: Tensor-map").
        Type::TensorMap(..) => format!(".align {} .b8 {name}[{}]", ty.argument_align(), ty.size()),
        _ => format!(".{} {name}", Unit::of(ty.elem()).suffix),
    }
}

impl<'k> Emitter<'k> {
    /// Loads the parameters that are used.
    fn params(&mut self) -> Result<(), Error> {
        for (i, param) in self.kernel.params.iter().enumerate() {
            let ty = self.ty(param.value);
            if !matches!(ty, Type::Scalar(_) | Type::Ptr(Space::Global, _) | Type::TensorMap(..)) {
                let rule = "parameters are scalars, global pointers and tensor maps";
                return Err(self.unsupported(ty, rule));
            }
            if !self.is_used(param.value) {
                continue;
            }
            let name = param_name(self.kernel, i);
            if matches!(ty, Type::TensorMap(..)) {
                // The engine reads it where it is: it takes a generic address, also of a parameter
                // (PTX ISA, "cp.async.bulk.tensor").
                let at = self.new_reg(Class::B64);
                ins!(self, "mov.b64 {at}, {name};");
                let generic = self.op("cvta.param.u64", Class::B64, &[at.into()]);
                self.bind_reg(param.value, generic);
            } else if ty.is_ptr() {
                let generic = self.new_reg(Class::B64);
                ins!(self, "ld.param.u64 {generic}, [{name}];");
                let reg = self.op("cvta.to.global.u64", Class::B64, &[generic.into()]);
                let read_only = param.kind == ParamKind::ReadOnly;
                let address = Address { read_only, ..Address::of(Base::Reg(reg), Space::Global) };
                self.bind(param.value, Binding::Address(address));
            } else {
                let unit = Unit::of(ty.elem());
                let reg = self.new_reg(unit.class);
                ins!(self, "ld.param.{} {reg}, [{name}];", unit.suffix);
                let reg = self.after_load(ty.elem(), reg);
                self.bind_reg(param.value, reg);
            }
        }
        Ok(())
    }

    /// Writes an instruction without regions.
    pub(crate) fn inst(&mut self, inst: &'k Inst) -> Result<(), Error> {
        use Opcode::*;
        if !self.is_available(inst) {
            let ty = inst.operands.first().map_or(Type::U32, |&v| self.ty(v));
            let rule = format!("it is there on {}", inst.op.info().availability.describe());
            return Err(self.unsupported(ty, rule));
        }
        match inst.op {
            Const => self.const_(inst),
            ThreadIdx | BlockIdx | BlockDim | GridDim | LaneId | WarpId => self.id(inst),
            VecMake | VecExtract | VecInsert => self.vector(inst),
            Cast => self.cast(inst)?,
            Bitcast => self.bitcast(inst),
            Select => self.select(inst),
            Eq | Ne | Lt | Le | Gt | Ge => self.compare(inst),
            SharedAddr | LocalAddr => match inst.attr {
                Attr::Shared(id) => self.shared_addr(inst, id),
                Attr::Local(id) => self.local_addr(inst, id),
                _ => unreachable!("the kernel is verified: {} has an array", inst.op.name()),
            },
            PtrAdd => self.ptr_add(inst),
            PtrCast => {
                let binding = self.binding(inst.operands[0]).clone();
                self.bind(inst.result(), binding);
            }
            Load => self.load(inst),
            Store => self.store(inst),
            AtomicRmw | AtomicCas => self.atomic(inst)?,
            AtomicLoad | AtomicStore => self.atomic_access(inst),
            Fence => self.fence(inst),
            Prefetch => self.prefetch(inst)?,
            Barrier => ins!(self, "bar.sync 0;"),
            BarrierSync | BarrierArrive => self.named_barrier(inst),
            MatchAny => self.match_any(inst),
            WarpSync => ins!(self, "bar.warp.sync 0xFFFFFFFF;"),
            ShuffleIdx | ShuffleXor | ShuffleUp | ShuffleDown => self.shuffle(inst)?,
            VoteAll | VoteAny | Ballot => self.vote(inst),
            WarpReduce => self.warp_reduce(inst)?,
            WarpgroupId | ClusterRank | ClusterArrive | ClusterWait | MapShared | GridWait
            | GridRelease | Elect => self.cluster(inst),
            SetMaxRegisters => self.set_max_registers(inst),
            Mma => self.mma(inst)?,
            Wgmma => self.wgmma(inst)?,
            WgmmaCommit => ins!(self, "wgmma.commit_group.sync.aligned;"),
            WgmmaWait => self.wgmma_wait(inst),
            WgmmaFence => unreachable!("written by `region`, with what follows"),
            Stmatrix => self.stmatrix(inst)?,
            Tcgen05Alloc | Tcgen05Free | Tcgen05Yield | Tcgen05Mma | Tcgen05Copy
            | Tcgen05Commit | Tcgen05Load | Tcgen05Store | Tcgen05WaitLoad | Tcgen05WaitStore
            | Tcgen05FenceBefore | Tcgen05FenceAfter => self.tcgen05(inst)?,
            MbarrierInit | MbarrierFence | MbarrierArrive | MbarrierExpect | MbarrierTest
            | MbarrierWait | CpAsyncArrive => self.mbarrier(inst)?,
            AsyncFence | TmaLoad | TmaStore | TmaPrefetch | TmaFetch | BulkLoad | BulkStore
            | BulkFetch => {
                self.bulk(inst)?;
            }
            BulkCommit | BulkWait | BulkWaitRead => self.bulk_group(inst),
            Ldmatrix => self.ldmatrix(inst)?,
            CpAsync | CpAsyncCommit | CpAsyncWait => self.cp_async(inst)?,
            Check => self.check(inst),
            VarLoad | VarStore | VarLoadAt | VarStoreAt => return Err(self.not_prepared()),
            If | For | Loop | Block | Yield | Break | Continue | Return => {
                unreachable!("regions are written by `region`")
            }
            _ => self.elementwise(inst)?,
        }
        Ok(())
    }

    fn const_(&mut self, inst: &Inst) {
        let Attr::Const(c) = inst.attr else {
            unreachable!("the kernel is verified: a constant has a value")
        };
        self.bind(inst.result(), Binding::Const(c));
    }

    fn id(&mut self, inst: &Inst) {
        let axis = match inst.attr {
            Attr::Dim(dim) => dim,
            _ => Dim::X,
        };
        let fixed = self.kernel.block_dim.filter(|_| inst.op == Opcode::BlockDim);
        if let Some(size) = fixed {
            let c = kernelsmith_ir::attr::Const::new(Scalar::U32, size[axis as usize].into());
            return self.bind(inst.result(), Binding::Const(c));
        }
        let reg = match inst.op {
            Opcode::ThreadIdx => self.special(&format!("%tid.{}", axis.name())),
            Opcode::BlockIdx => self.special(&format!("%ctaid.{}", axis.name())),
            Opcode::BlockDim => self.special(&format!("%ntid.{}", axis.name())),
            Opcode::GridDim => self.special(&format!("%nctaid.{}", axis.name())),
            Opcode::LaneId => self.special("%laneid"),
            _ => self.warp_id(),
        };
        self.bind_reg(inst.result(), reg);
    }

    pub(crate) fn special(&mut self, name: &str) -> Reg {
        let reg = self.new_reg(Class::B32);
        ins!(self, "mov.u32 {reg}, {name};");
        reg
    }

    /// `%warpid` may change while a thread runs (PTX ISA, "Special Registers: %warpid"), so the
    /// index comes from the thread's.
    pub(crate) fn warp_id(&mut self) -> Reg {
        let mut linear: Operand = self.special("%tid.x").into();
        let block = self.kernel.block_dim;
        if block.is_none_or(|[_, y, z]| y * z > 1) {
            let extent = |e: &mut Self, axis: usize, name: &str| match block {
                Some(size) => Operand::u32(size[axis]),
                None => e.special(name).into(),
            };
            let (y, z) = (self.special("%tid.y"), self.special("%tid.z"));
            let (nx, ny) = (extent(self, 0, "%ntid.x"), extent(self, 1, "%ntid.y"));
            let rows = self.op("mad.lo.u32", Class::B32, &[z.into(), ny, y.into()]);
            linear = self.op("mad.lo.u32", Class::B32, &[rows.into(), nx, linear]).into();
        }
        self.op("shr.u32", Class::B32, &[linear, Operand::u32(5)])
    }

    fn select(&mut self, inst: &Inst) {
        let condition = self.reg(inst.operands[0]);
        let (a, b) = (self.parts(inst.operands[1]), self.parts(inst.operands[2]));
        let regs = a.into_iter().zip(b).map(|(a, b)| self.choose(condition, a, b)).collect();
        self.bind_regs(inst.result(), regs);
    }

    /// `a` where the condition holds, else `b`.
    pub(crate) fn choose(&mut self, condition: Reg, a: Operand, b: Operand) -> Reg {
        let class = a.class();
        if class != Class::Pred {
            let op = format!("selp.{}", class.suffix());
            return self.op(&op, class, &[a, b, condition.into()]);
        }
        // `selp` does not choose between predicates.
        let (a, b) = (self.in_reg(a), self.in_reg(b));
        let first = self.op("and.pred", class, &[condition.into(), a.into()]);
        let not = self.op("not.pred", class, &[condition.into()]);
        let second = self.op("and.pred", class, &[not.into(), b.into()]);
        self.op("or.pred", class, &[first.into(), second.into()])
    }

    /// Lanes of a vector, or the one of a scalar, each in a register of its own class.
    pub(crate) fn lanes(&mut self, value: Value) -> Vec<Operand> {
        let ty = self.ty(value);
        let parts = self.parts(value);
        self.unpack(ty, parts)
    }

    /// Binds a value to its lanes.
    pub(crate) fn bind_lanes(&mut self, value: Value, lanes: Vec<Reg>) {
        let regs = self.pack(self.ty(value), lanes);
        self.bind_regs(value, regs);
    }
}
