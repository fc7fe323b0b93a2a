//! Atomics: single instructions where PTX has them, a compare-and-swap loop elsewhere.

use kernelsmith_ir::attr::{AtomicOp, Attr, Order, Scope};
use kernelsmith_ir::{Inst, Opcode, Scalar, Space};

use crate::address::{Address, Base, space_name};
use crate::emit::{Emitter, ins};
use crate::error::Error;
use crate::memory::Unit;
use crate::reg::{Class, Operand, Reg};

/// The qualifier of a scope.
pub(crate) const fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::Block => "cta",
        Scope::Device => "gpu",
        Scope::System => "sys",
    }
}

const fn order_name(order: Order) -> &'static str {
    match order {
        Order::Relaxed => "relaxed",
        Order::Acquire => "acquire",
        Order::Release => "release",
        Order::AcqRel => "acq_rel",
    }
}

/// What becomes of the old value.
#[derive(Clone, Copy)]
enum Update {
    Combine(Opcode, Operand),
    Replace(Operand),
    /// The second where the old value is the first.
    Exchange(Operand, Operand),
}

/// The memory a compare-and-swap works on.
struct Cell {
    /// As memory operand.
    at: String,
    /// Its register class.
    class: Class,
    /// For an 8-bit element, where in its word it lies: there is no narrower compare-and-swap
    /// than one of 16 bits (PTX ISA, `atom`).
    shift: Option<Reg>,
}

/// Access of an instruction: `.relaxed.gpu.global`, and of a plain load before a loop.
struct Access {
    atom: String,
    load: String,
    /// Whether a reduction without result has the order (PTX ISA, `red`).
    may_reduce: bool,
}

impl<'k> Emitter<'k> {
    pub(crate) fn atomic(&mut self, inst: &Inst) -> Result<(), Error> {
        let Attr::Atomic { op, order, scope } = inst.attr else {
            unreachable!("the kernel is verified: an atomic has an order")
        };
        let address = self.address(inst.operands[0]);
        let elem = self.ty(inst.operands[0]).elem();
        if address.space == Space::Local {
            return Err(self.unsupported(elem.into(), "memory of one thread has no atomics"));
        }
        if !elem.is_num() {
            return Err(self.unsupported(elem.into(), "atomics are on integers and floats"));
        }
        let (scope, space) = (scope_name(scope), space_name(address.space));
        let access = Access {
            atom: format!("{}.{scope}.{space}", order_name(order)),
            load: format!("relaxed.{scope}.{space}"),
            may_reduce: !self.is_used(inst.result())
                && matches!(order, Order::Relaxed | Order::Release),
        };
        let result = if inst.op == Opcode::AtomicCas {
            self.compare_and_swap(inst, elem, address, &access)?
        } else {
            self.read_modify_write(inst, op, elem, address, &access)?
        };
        if let Some(result) = result {
            self.bind_reg(inst.result(), result);
        }
        Ok(())
    }

    /// A load or store that is one access, with an order (PTX ISA, `ld`, `st`).
    pub(crate) fn atomic_access(&mut self, inst: &Inst) {
        let Attr::Fence { order, scope } = inst.attr else {
            unreachable!("the kernel is verified: an atomic access has an order")
        };
        let address = self.address(inst.operands[0]);
        let elem = self.ty(inst.operands[0]).elem();
        let unit = Unit::of(elem);
        let access = format!(
            "{}.{}.{}.{}",
            order_name(order),
            scope_name(scope),
            space_name(address.space),
            unit.suffix
        );
        let at = self.memory_operand(address);
        if inst.op == Opcode::AtomicLoad {
            let value = self.new_reg(unit.class);
            ins!(self, "ld.{access} {value}, {at};");
            self.bind_reg(inst.result(), value);
        } else {
            let value = self.reg(inst.operands[1]);
            ins!(self, "st.{access} {at}, {value};");
        }
    }

    fn read_modify_write(
        &mut self,
        inst: &Inst,
        op: AtomicOp,
        elem: Scalar,
        address: Address,
        access: &Access,
    ) -> Result<Option<Reg>, Error> {
        let mut value = self.operand(inst.operands[1]);
        let mut native = op;
        if op == AtomicOp::Sub {
            let negate = self.negated(elem, value)?;
            if self.native(AtomicOp::Add, elem).is_some() {
                (native, value) = (AtomicOp::Add, negate.into());
            }
        }
        let Some(name) = self.native(native, elem) else {
            let update = match op.opcode() {
                None => Update::Replace(value),
                Some(code) => Update::Combine(code, value),
            };
            return Ok(Some(self.swap_loop(elem, address, access, update)?));
        };
        let value = self.in_reg(value);
        let at = self.memory_operand(address);
        if access.may_reduce && op != AtomicOp::Exchange {
            ins!(self, "red.{}.{name} {at}, {value};", access.atom);
            return Ok(None);
        }
        let old = self.new_reg(Class::of(elem));
        ins!(self, "atom.{}.{name} {old}, {at}, {value};", access.atom);
        Ok(Some(old))
    }

    fn negated(&mut self, elem: Scalar, value: Operand) -> Result<Reg, Error> {
        let signed = match elem {
            Scalar::U32 => Scalar::I32,
            Scalar::U64 => Scalar::I64,
            Scalar::U8 => Scalar::I8,
            Scalar::U16 => Scalar::I16,
            other => other,
        };
        self.scalar(Opcode::Neg, signed, &[value])
    }

    /// Operation and type of the instruction that does it, where there is one (PTX ISA, `atom`).
    fn native(&self, op: AtomicOp, elem: Scalar) -> Option<String> {
        use Scalar::*;
        let bits = elem.bits();
        let wide_int = matches!(elem, I32 | U32 | I64 | U64);
        let sign = if elem.is_signed() { 's' } else { 'u' };
        Some(match op {
            AtomicOp::Add if wide_int => format!("add.u{bits}"),
            AtomicOp::Add => match elem {
                F32 | F64 => format!("add.{elem}"),
                F16 => "add.noftz.f16".to_owned(),
                BF16 if self.target.sm >= 90 => "add.noftz.bf16".to_owned(),
                _ => return None,
            },
            AtomicOp::Min if wide_int => format!("min.{sign}{bits}"),
            AtomicOp::Max if wide_int => format!("max.{sign}{bits}"),
            AtomicOp::And if wide_int => format!("and.b{bits}"),
            AtomicOp::Or if wide_int => format!("or.b{bits}"),
            AtomicOp::Xor if wide_int => format!("xor.b{bits}"),
            AtomicOp::Exchange if elem.size() >= 4 => format!("exch.b{bits}"),
            _ => return None,
        })
    }

    fn compare_and_swap(
        &mut self,
        inst: &Inst,
        elem: Scalar,
        address: Address,
        access: &Access,
    ) -> Result<Option<Reg>, Error> {
        let (expected, new) = (self.operand(inst.operands[1]), self.operand(inst.operands[2]));
        if elem.size() == 1 {
            let update = Update::Exchange(expected, new);
            return Ok(Some(self.swap_loop(elem, address, access, update)?));
        }
        let cell = self.cell(elem, address);
        let (expected, new) = (self.bits_of(elem, expected), self.bits_of(elem, new));
        let old = self.swap(&cell, access, expected, new);
        Ok(Some(self.value_of(elem, old)))
    }

    fn swap(&mut self, cell: &Cell, access: &Access, expected: Reg, new: Reg) -> Reg {
        let old = self.new_reg(cell.class);
        let ty = cell.class.suffix();
        ins!(self, "atom.{}.cas.{ty} {old}, {}, {expected}, {new};", access.atom, cell.at);
        old
    }

    /// Repeats until nobody came between; gives the old value.
    fn swap_loop(
        &mut self,
        elem: Scalar,
        address: Address,
        access: &Access,
        update: Update,
    ) -> Result<Reg, Error> {
        let cell = self.cell(elem, address);
        let ty = cell.class.suffix();
        let old = self.new_reg(cell.class);
        ins!(self, "ld.{}.{ty} {old}, {};", access.load, cell.at);
        let again = self.new_label("again");
        self.place(again);
        let current = self.read_cell(elem, &cell, old);
        let new = match update {
            Update::Combine(op, value) => self.scalar(op, elem, &[current.into(), value])?,
            Update::Replace(value) => self.in_reg(value),
            Update::Exchange(expected, new) => {
                let same = self.compare_scalars(Opcode::Eq, elem, current.into(), expected);
                self.choose(same, new, current.into())
            }
        };
        let bits = self.write_cell(elem, &cell, old, new);
        let seen = self.swap(&cell, access, old, bits);
        let changed = self.op(&format!("setp.ne.{ty}"), Class::Pred, &[seen.into(), old.into()]);
        self.mov(old, seen.into());
        ins!(self, "@{changed} bra {again};");
        Ok(self.read_cell(elem, &cell, old))
    }

    fn cell(&mut self, elem: Scalar, address: Address) -> Cell {
        let class = match elem.size() {
            2 => Class::B16,
            8 => Class::B64,
            _ => Class::B32,
        };
        if elem.size() != 1 {
            return Cell { at: self.memory_operand(address), class, shift: None };
        }
        let at = self.materialize(address);
        let (word, low) = if at.class == Class::B64 {
            let mask = Emitter::int(Scalar::I64, !3);
            let low = self.op("cvt.u32.u64", Class::B32, &[at.into()]);
            (self.op("and.b64", Class::B64, &[at.into(), mask]), low)
        } else {
            let mask = Emitter::int(Scalar::I32, !3);
            (self.op("and.b32", Class::B32, &[at.into(), mask]), at)
        };
        let byte = self.op("and.b32", Class::B32, &[low.into(), Operand::u32(3)]);
        let shift = self.op("shl.b32", Class::B32, &[byte.into(), Operand::u32(3)]);
        let at = self.memory_operand(Address::of(Base::Reg(word), address.space));
        Cell { at, class, shift: Some(shift) }
    }

    fn read_cell(&mut self, elem: Scalar, cell: &Cell, bits: Reg) -> Reg {
        match cell.shift {
            None => self.value_of(elem, bits),
            Some(shift) => {
                let low = self.op("shr.u32", Class::B32, &[bits.into(), shift.into()]);
                self.wrap(elem, low)
            }
        }
    }

    fn write_cell(&mut self, elem: Scalar, cell: &Cell, old: Reg, new: Reg) -> Reg {
        let Some(shift) = cell.shift else { return self.bits_of(elem, new.into()) };
        let mask = self.in_reg(Operand::u32(0xFF));
        let mask = self.op("shl.b32", Class::B32, &[mask.into(), shift.into()]);
        let not = self.op("not.b32", Class::B32, &[mask.into()]);
        let others = self.op("and.b32", Class::B32, &[old.into(), not.into()]);
        let low = self.low_bits(elem, new.into());
        let own = self.op("shl.b32", Class::B32, &[low.into(), shift.into()]);
        self.op("or.b32", Class::B32, &[others.into(), own.into()])
    }

    /// A scalar of 2 bytes or more as untyped bits of its size.
    fn bits_of(&mut self, elem: Scalar, value: Operand) -> Reg {
        let reg = self.in_reg(value);
        match (elem.size(), reg.class) {
            (2, Class::B32) => self.op("cvt.u16.u32", Class::B16, &[reg.into()]),
            (_, Class::F32) => self.op("mov.b32", Class::B32, &[reg.into()]),
            (_, Class::F64) => self.op("mov.b64", Class::B64, &[reg.into()]),
            _ => reg,
        }
    }

    fn value_of(&mut self, elem: Scalar, bits: Reg) -> Reg {
        match elem {
            Scalar::I16 => self.op("cvt.s32.s16", Class::B32, &[bits.into()]),
            Scalar::U16 => self.op("cvt.u32.u16", Class::B32, &[bits.into()]),
            Scalar::F32 => self.op("mov.b32", Class::F32, &[bits.into()]),
            Scalar::F64 => self.op("mov.b64", Class::F64, &[bits.into()]),
            _ => bits,
        }
    }
}
