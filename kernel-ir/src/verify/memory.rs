//! Typing rules of slots, arrays, pointers and memory.

use super::{Rule, Verifier};
use crate::attr::{AtomicOp, Attr};
use crate::kernel::{Inst, VarId};
use crate::op::{Opcode, Signature};
use crate::types::{Scalar, Space, Type};

/// The spaces whose memory several threads share.
const ATOMIC: &[Space] = &[Space::Global, Space::Shared, Space::Cluster];

impl Verifier<'_> {
    pub(super) fn memory(&mut self, inst: &Inst) {
        match inst.op.info().signature {
            Signature::VarAccess => self.slot(inst),
            Signature::Address => self.array(inst),
            Signature::PtrAdd => self.ptr_add(inst),
            Signature::Load | Signature::Store => self.access(inst),
            Signature::AtomicRmw | Signature::AtomicCas => self.atomic(inst),
            Signature::AtomicLoad | Signature::AtomicStore => self.atomic_access(inst),
            Signature::PtrCast => self.ptr_cast(inst),
            Signature::Prefetch => {
                self.pointer(inst, 0, &[Space::Global]);
            }
            Signature::CpAsync => {
                self.pointer(inst, 0, &[Space::Shared]);
                self.pointer(inst, 1, &[Space::Global]);
            }
            _ => {}
        }
    }

    fn slot(&mut self, inst: &Inst) {
        let Attr::Var { var, stride, count } = inst.attr else { return };
        let Some(ty) = self.slot_type(inst, var, stride, count) else { return };
        match inst.op {
            Opcode::VarLoad => self.result_is(inst, ty),
            Opcode::VarStore => self.operand_is(inst, 0, ty),
            Opcode::VarLoadAt => {
                self.operand_is(inst, 0, Type::U64);
                self.result_is(inst, ty);
            }
            _ => {
                self.operand_is(inst, 0, Type::U64);
                self.operand_is(inst, 1, ty);
            }
        }
    }

    /// The type of all the slots that an access reaches.
    fn slot_type(&mut self, inst: &Inst, var: VarId, stride: u32, count: u32) -> Option<Type> {
        let vars = &self.kernel.vars;
        let plain = matches!(inst.op, Opcode::VarLoad | Opcode::VarStore);
        if plain && (stride, count) != (1, 1) {
            let found = format!("stride {stride} count {count}");
            self.breach(Rule::SlotDeclared, Some(inst), found, "one slot");
            return None;
        }
        let last = u64::from(var.0) + u64::from(count.saturating_sub(1)) * u64::from(stride);
        if last >= vars.len() as u64 || count == 0 {
            let found = format!("slots v{} to v{last}, {count} of them", var.0);
            let expected = format!("some of the {} declared", vars.len());
            self.breach(Rule::SlotDeclared, Some(inst), found, expected);
            return None;
        }
        let ty = vars[var.index()].ty;
        let mut reached = (0..count).map(|i| (var.0 + i * stride) as usize);
        if let Some(other) = reached.find(|&v| vars[v].ty != ty) {
            let found = format!("slot v{other} of type {}", vars[other].ty);
            self.breach(Rule::SlotDeclared, Some(inst), found, ty);
        }
        Some(ty)
    }

    fn array(&mut self, inst: &Inst) {
        let (name, known, ty) = match inst.attr {
            Attr::Shared(id) => {
                let known = self.kernel.shared.len();
                let there = id.index() < known;
                (format!("s{}", id.0), known, there.then(|| self.kernel.shared_type(id)))
            }
            Attr::Local(id) => {
                let known = self.kernel.locals.len();
                let there = id.index() < known;
                (format!("l{}", id.0), known, there.then(|| self.kernel.local_type(id)))
            }
            _ => return,
        };
        match ty {
            Some(ty) => self.result_is(inst, ty),
            None => {
                let expected = format!("one of the {known} declared");
                self.breach(Rule::ArrayDeclared, Some(inst), name, expected);
            }
        }
    }

    fn ptr_add(&mut self, inst: &Inst) {
        let ty = self.operand(inst, 0);
        self.operand_fits(inst, 0, ty.is_ptr(), "a pointer");
        let index = self.operand(inst, 1);
        let fits = matches!(index, Type::Scalar(Scalar::I64 | Scalar::U64 | Scalar::U32));
        self.operand_fits(inst, 1, fits, "i64, u64 or u32");
        self.result_is(inst, ty);
    }

    /// The pointee of an operand that must be a pointer to one of some spaces.
    pub(super) fn pointer(
        &mut self,
        inst: &Inst,
        index: usize,
        spaces: &[Space],
    ) -> Option<Scalar> {
        let ty = self.operand(inst, index);
        let Type::Ptr(space, elem) = ty else {
            self.operand_fits(inst, index, false, "a pointer");
            return None;
        };
        if !spaces.contains(&space) {
            let names: Vec<&str> = spaces.iter().map(|s| s.name()).collect();
            let found = format!("operand {index} of type {ty}");
            let expected = format!("a pointer to {} memory", names.join(" or "));
            self.breach(Rule::AddressSpace, Some(inst), found, expected);
        }
        Some(elem)
    }

    fn access(&mut self, inst: &Inst) {
        let spaces = [Space::Global, Space::Shared, Space::Cluster, Space::Local];
        let Some(elem) = self.pointer(inst, 0, &spaces) else { return };
        let holds = |ty: Type| ty.is_data() && ty.elem() == elem;
        if inst.op == Opcode::Load {
            let fits = holds(self.result(inst));
            self.result_fits(inst, fits, format_args!("{elem} or a vector of it"));
        } else {
            let fits = holds(self.operand(inst, 1));
            self.operand_fits(inst, 1, fits, format_args!("{elem} or a vector of it"));
        }
        if let Attr::Mem { align, .. } = inst.attr
            && (!align.is_power_of_two() || align < elem.size())
        {
            let expected = format!("a power of two that is at least {}", elem.size());
            self.breach(Rule::AccessAlignment, Some(inst), format!("align {align}"), expected);
        }
    }

    fn ptr_cast(&mut self, inst: &Inst) {
        let ty = self.operand(inst, 0);
        // Local memory may lie otherwise for each size of element.
        let Some(_) = self.pointer(inst, 0, &[Space::Global, Space::Shared]) else { return };
        let Type::Ptr(from, _) = ty else { return };
        let fits = matches!(self.result(inst), Type::Ptr(to, _) if to == from);
        self.result_fits(inst, fits, format_args!("a pointer to {} memory", from.name()));
    }

    fn atomic_access(&mut self, inst: &Inst) {
        let Some(elem) = self.pointer(inst, 0, ATOMIC) else { return };
        self.operand_fits(inst, 0, elem.is_num(), "a pointer to numbers");
        if inst.op == Opcode::AtomicLoad {
            self.result_is(inst, elem.into());
        } else {
            self.operand_is(inst, 1, elem.into());
        }
    }

    fn atomic(&mut self, inst: &Inst) {
        let Some(elem) = self.pointer(inst, 0, ATOMIC) else { return };
        for i in 1..inst.operands.len() {
            self.operand_is(inst, i, elem.into());
        }
        self.result_is(inst, elem.into());
        let Attr::Atomic { op, .. } = inst.attr else { return };
        let bitwise = matches!(op, AtomicOp::And | AtomicOp::Or | AtomicOp::Xor);
        // What a compare-and-swap does needs no arithmetic, and its `op` says nothing.
        let fits = match inst.op {
            Opcode::AtomicRmw if bitwise => elem.is_int(),
            _ => elem.is_num(),
        };
        if !fits {
            let found = format!("`{}` on {elem}", op.name());
            let expected = if bitwise { "an integer" } else { "a number" };
            self.breach(Rule::CombinesType, Some(inst), found, expected);
        }
    }
}
