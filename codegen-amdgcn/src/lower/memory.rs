//! Loads, stores, atomics and fences.

use kernelsmith_ir::attr::{AtomicOp, CacheHint, Order, Scope};
use kernelsmith_ir::{Attr, Inst, Opcode, ParamKind, Scalar, Type, Value};
use kernelsmith_llvm::emit::{atomic_name, failure_ordering, llvm_type, ordering};

use super::{Lowering, memory_text, text};
use crate::Error;

/// `syncscope(..)` with its trailing space; nothing for the whole system.
fn scope(scope: Scope) -> &'static str {
    match scope {
        Scope::Block => "syncscope(\"workgroup\") ",
        Scope::Device => "syncscope(\"agent\") ",
        Scope::System => "",
    }
}

impl Lowering<'_> {
    pub(super) fn memory(&mut self, inst: &Inst) -> Result<(), Error> {
        match (inst.op, &inst.attr) {
            (Opcode::SharedAddr, Attr::Shared(id)) => {
                self.define(inst, format!("@shared{}", id.0));
            }
            (Opcode::LocalAddr, Attr::Local(id)) => self.define(inst, format!("%local{}", id.0)),
            (Opcode::PtrAdd, _) => self.ptr_add(inst),
            (Opcode::Load, Attr::Mem { align, .. }) => self.load(inst, *align),
            (Opcode::Store, Attr::Mem { align, cache }) => self.store(inst, *align, *cache),
            (Opcode::AtomicRmw, Attr::Atomic { op, order, scope }) => {
                return self.atomic(inst, *op, *order, *scope);
            }
            (Opcode::AtomicCas, Attr::Atomic { order, scope, .. }) => {
                return self.compare_exchange(inst, *order, *scope);
            }
            (Opcode::AtomicLoad | Opcode::AtomicStore, Attr::Fence { order, scope }) => {
                self.atomic_access(inst, *order, *scope);
            }
            (Opcode::PtrCast, _) => {
                let at = self.get(inst.operands[0]);
                self.define(inst, at);
            }
            (Opcode::Fence, Attr::Fence { order: o, scope: s }) if *o != Order::Relaxed => {
                self.w.line(format!("fence {}{}", scope(*s), ordering(*o)));
            }
            (Opcode::CpAsync, Attr::Count(bytes)) => self.copy(inst, *bytes),
            // Copies are done when they are made, and a prefetch is a hint that only gfx12 has an
            // instruction for.
            (Opcode::CpAsyncCommit | Opcode::CpAsyncWait | Opcode::Prefetch | Opcode::Fence, _) => {
            }
            _ => return Err(self.unsupported(inst, "its attribute is of another operation")),
        }
        Ok(())
    }

    fn ptr_add(&mut self, inst: &Inst) {
        let [base, index] = [0, 1].map(|i| self.get(inst.operands[i]));
        let ty = self.ty(inst.operands[0]);
        let index_ty = self.ty(inst.operands[1]).elem();
        let index = self.w.cast(&index, index_ty, Scalar::I64, None);
        let elem = memory_text(Type::Scalar(ty.elem()));
        let value = self.w.value(format!("getelementptr {elem}, {} {base}, i64 {index}", text(ty)));
        self.define(inst, value);
    }

    /// Whether an address comes from a parameter nobody writes through.
    fn is_read_only(&self, address: Value) -> bool {
        // Only direct parameters and their elements: `ptr_add` chains keep the parameter's name in
        // LLVM, whose own analysis sees `noalias readonly`.
        self.kernel.params.iter().any(|p| p.value == address && p.kind == ParamKind::ReadOnly)
    }

    fn load(&mut self, inst: &Inst, align: u32) {
        let (address, ty) = (self.get(inst.operands[0]), self.ty(inst.results[0]));
        let pointer = text(self.ty(inst.operands[0]));
        let invariant =
            if self.is_read_only(inst.operands[0]) { ", !invariant.load !{}" } else { "" };
        let value = self.w.value(format!(
            "load {}, {pointer} {address}, align {align}{invariant}",
            memory_text(ty)
        ));
        let value = match ty {
            Type::Scalar(Scalar::Bool) => self.w.value(format!("trunc i8 {value} to i1")),
            _ => value,
        };
        self.define(inst, value);
    }

    fn store(&mut self, inst: &Inst, align: u32, cache: CacheHint) {
        let [address, value] = [0, 1].map(|i| self.get(inst.operands[i]));
        let (pointer, ty) = (text(self.ty(inst.operands[0])), self.ty(inst.operands[1]));
        let value = match ty {
            Type::Scalar(Scalar::Bool) => self.w.value(format!("zext i1 {value} to i8")),
            _ => value,
        };
        let ty = memory_text(ty);
        // LLVM, "AMDGPU Memory Model": such stores get the `nt` or `slc` bit.
        let hint = if cache == CacheHint::Streaming { ", !nontemporal !{i32 1}" } else { "" };
        self.w.line(format!("store {ty} {value}, {pointer} {address}, align {align}{hint}"));
    }

    fn atomic(&mut self, inst: &Inst, op: AtomicOp, o: Order, s: Scope) -> Result<(), Error> {
        let [address, value] = [0, 1].map(|i| self.get(inst.operands[i]));
        let (pointer, ty) = (text(self.ty(inst.operands[0])), self.ty(inst.operands[1]).elem());
        if ty.size() < 4 {
            return Err(self.unsupported(inst, format!("atomics have 4 or 8 bytes, not {ty}")));
        }
        let Some(name) = atomic_name(op, ty) else {
            return Err(self.unsupported(inst, format!("`{}` of {ty}", op.name())));
        };
        let ty = llvm_type(ty, None);
        let value = self.w.value(format!(
            "atomicrmw {name} {pointer} {address}, {ty} {value} {}{}",
            scope(s),
            ordering(o)
        ));
        self.define(inst, value);
        Ok(())
    }

    /// A load or store that is one access.
    fn atomic_access(&mut self, inst: &Inst, o: Order, s: Scope) {
        let at = format!("{} {}", text(self.ty(inst.operands[0])), self.get(inst.operands[0]));
        let elem = self.ty(inst.operands[0]).elem();
        let (ty, align) = (llvm_type(elem, None), elem.size());
        let access = format!("{at} {}{}, align {align}", scope(s), ordering(o));
        if inst.op == Opcode::AtomicLoad {
            let value = self.w.value(format!("load atomic {ty}, {access}"));
            self.define(inst, value);
        } else {
            let value = self.get(inst.operands[1]);
            self.w.line(format!("store atomic {ty} {value}, {access}"));
        }
    }

    fn compare_exchange(&mut self, inst: &Inst, o: Order, s: Scope) -> Result<(), Error> {
        let [address, expected, new] = [0, 1, 2].map(|i| self.get(inst.operands[i]));
        let (pointer, ty) = (text(self.ty(inst.operands[0])), self.ty(inst.operands[1]).elem());
        if ty.size() < 4 {
            return Err(self.unsupported(inst, format!("atomics have 4 or 8 bytes, not {ty}")));
        }
        // LLVM compares integers only.
        let int = if ty.size() == 4 { Scalar::U32 } else { Scalar::U64 };
        let [expected, new] = [expected, new].map(|v| match ty.is_float() {
            true => self.w.bits_as(&v, ty, int, None),
            false => v,
        });
        let text = llvm_type(int, None);
        let failure = failure_ordering(o);
        let pair = self.w.value(format!(
            "cmpxchg {pointer} {address}, {text} {expected}, {text} {new} {}{} {failure}",
            scope(s),
            ordering(o)
        ));
        let old = self.w.value(format!("extractvalue {{ {text}, i1 }} {pair}, 0"));
        let old = match ty.is_float() {
            true => self.w.bits_as(&old, int, ty, None),
            false => old,
        };
        self.define(inst, old);
        Ok(())
    }

    /// `cp_async`: by way of registers.
    fn copy(&mut self, inst: &Inst, bytes: u32) {
        let [to, from] = [0, 1].map(|i| self.get(inst.operands[i]));
        let [to_ty, from_ty] = [0, 1].map(|i| text(self.ty(inst.operands[i])));
        let ty = if bytes == 4 { "i32".to_owned() } else { format!("<{} x i32>", bytes / 4) };
        let value = self.w.value(format!("load {ty}, {from_ty} {from}, align {bytes}"));
        self.w.line(format!("store {ty} {value}, {to_ty} {to}, align {bytes}"));
    }
}
