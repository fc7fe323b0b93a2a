//! Addresses: pointer arithmetic folded into the base and offset of memory operands.
//!
//! A `ptr_add` by a constant costs nothing: it goes into the offset. One by `x + c` becomes one by
//! `x`, whose address is shared with the other accesses around `x`, and `c` in the offset. Both are
//! exact, as addresses wrap like the integers they are.

use std::collections::HashMap;
use std::fmt::Write;

use kernelsmith_ir::{Inst, Kernel, Opcode, Scalar, Space, Type, Value};

use crate::emit::{Binding, Emitter, ins};
use crate::reg::{Class, Operand, Reg};

/// A name the assembler gives an address to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Symbol {
    /// A static shared array.
    Shared(u32),
    /// The begin of dynamic shared memory.
    Dynamic,
    /// A local array.
    Local(u32),
}

impl Symbol {
    pub(crate) fn name(self, kernel: &Kernel) -> String {
        let kernel = &kernel.name;
        match self {
            Symbol::Shared(i) => format!("{kernel}_shared{i}"),
            Symbol::Dynamic => format!("{kernel}_dynamic"),
            Symbol::Local(i) => format!("{kernel}_local{i}"),
        }
    }
}

/// What an address is counted from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Base {
    Reg(Reg),
    Symbol(Symbol),
}

/// An address in a space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Address {
    pub(crate) base: Base,
    pub(crate) offset: i64,
    pub(crate) space: Space,
    /// Whether it leads to memory that nobody writes while the kernel runs.
    pub(crate) read_only: bool,
}

impl Address {
    pub(crate) fn of(base: Base, space: Space) -> Address {
        Address { base, offset: 0, space, read_only: false }
    }

    pub(crate) fn plus(self, bytes: u32) -> Address {
        Address { offset: self.offset + i64::from(bytes), ..self }
    }
}

/// The variable part of an index: a register, and how it widens to 64 bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Index {
    reg: Reg,
    signed: bool,
}

/// The addresses computed so far, by what they were computed from. An entry ends with the region
/// that made it.
#[derive(Default)]
pub(crate) struct Bases {
    known: HashMap<(Base, Option<Index>, u32), Reg>,
    log: Vec<(Base, Option<Index>, u32)>,
}

impl Bases {
    pub(crate) fn mark(&self) -> usize {
        self.log.len()
    }

    /// Forgets what was learnt since the mark.
    pub(crate) fn reset(&mut self, mark: usize) {
        for key in self.log.drain(mark..) {
            self.known.remove(&key);
        }
    }
}

impl<'k> Emitter<'k> {
    /// Where a pointer points.
    pub(crate) fn address(&mut self, pointer: Value) -> Address {
        match self.binding(pointer) {
            Binding::Address(address) => *address,
            _ => {
                let Type::Ptr(space, _) = self.ty(pointer) else {
                    unreachable!("the kernel is verified: {} is a pointer", self.ty(pointer))
                };
                Address::of(Base::Reg(self.reg(pointer)), space)
            }
        }
    }

    /// An address as a memory operand.
    pub(crate) fn memory_operand(&self, address: Address) -> String {
        let mut text = match address.base {
            Base::Reg(reg) => format!("[{reg}"),
            Base::Symbol(symbol) => format!("[{}", symbol.name(self.kernel)),
        };
        if address.offset != 0 {
            // Negative ones too follow a plus (PTX ISA, "Addresses as Operands").
            write!(text, "+{}", address.offset).expect("writing to a String");
        }
        text.push(']');
        text
    }

    /// An address in one register.
    pub(crate) fn materialize(&mut self, address: Address) -> Reg {
        let base = self.base_reg(address.base);
        if address.offset == 0 {
            return base;
        }
        let key = (address.base, None, address.offset as u32);
        let op = if base.class == Class::B64 { "add.s64" } else { "add.s32" };
        self.remembered(key, |e| {
            let offset = Emitter::int(Scalar::I64, address.offset.into());
            e.op(op, base.class, &[base.into(), offset])
        })
    }

    fn base_reg(&mut self, base: Base) -> Reg {
        match base {
            Base::Reg(reg) => reg,
            Base::Symbol(symbol) => self.remembered((base, None, 0), |e| {
                let reg = e.new_reg(Class::B32);
                let name = symbol.name(e.kernel);
                ins!(e, "mov.u32 {reg}, {name};");
                reg
            }),
        }
    }

    fn remembered(
        &mut self,
        key: (Base, Option<Index>, u32),
        make: impl FnOnce(&mut Self) -> Reg,
    ) -> Reg {
        if let Some(&reg) = self.bases.known.get(&key) {
            return reg;
        }
        let reg = make(self);
        self.bases.known.insert(key, reg);
        self.bases.log.push(key);
        reg
    }

    pub(crate) fn ptr_add(&mut self, inst: &Inst) {
        let address = self.address(inst.operands[0]);
        let size = self.ty(inst.operands[0]).elem().size();
        let (index, constant) = self.split_index(inst.operands[1]);
        let offset = address.offset.wrapping_add(constant.wrapping_mul(size.into()));
        let mut moved = Address { offset, ..address };
        // Offsets of memory operands are 32-bit (PTX ISA, "Addresses as Operands"); so large a one
        // is part of the base.
        if i32::try_from(offset).is_err() {
            moved = Address { base: Base::Reg(self.far(moved)), offset: 0, ..moved };
        }
        if let Some(value) = index {
            moved.base = Base::Reg(self.indexed(moved, value, size));
        }
        self.bind(inst.result(), Binding::Address(moved));
    }

    /// A base moved by an offset that no memory operand can hold.
    fn far(&mut self, address: Address) -> Reg {
        let base = self.base_reg(address.base);
        if base.class == Class::B64 {
            let offset = Emitter::int(Scalar::I64, address.offset.into());
            self.op("add.s64", Class::B64, &[base.into(), offset])
        } else {
            let offset = Emitter::int(Scalar::I32, (address.offset as i32).into());
            self.op("add.s32", Class::B32, &[base.into(), offset])
        }
    }

    /// An index as a variable and a constant part, whose sum it is modulo 2^64.
    fn split_index(&self, index: Value) -> (Option<Value>, i64) {
        if let Some(c) = self.constant(index) {
            return (None, c.as_int() as i64);
        }
        // A 32-bit sum wraps before it is widened.
        let wide = self.ty(index).size() == 8;
        if let Some(inst) = self.definition(index).filter(|_| wide) {
            let constant = |i: usize| self.constant(inst.operands[i]).map(|c| c.as_int() as i64);
            let parts = match inst.op {
                Opcode::Add => constant(1)
                    .map(|c| (inst.operands[0], c))
                    .or_else(|| constant(0).map(|c| (inst.operands[1], c))),
                Opcode::Sub => constant(1).map(|c| (inst.operands[0], c.wrapping_neg())),
                _ => None,
            };
            if let Some((rest, c)) = parts {
                let (rest, inner) = self.split_index(rest);
                return (rest, inner.wrapping_add(c));
            }
        }
        (Some(index), 0)
    }

    /// The base of `address` moved by `index` elements; the offset stays outside.
    fn indexed(&mut self, address: Address, index: Value, size: u32) -> Reg {
        let narrow = self.narrow_index(index);
        let base = self.base_reg(address.base);
        let index = match (narrow, base.class) {
            (Some(index), _) => index,
            (None, class) => {
                let reg = self.reg(index);
                // Offsets into the shared and local windows are 32-bit.
                let reg = match class {
                    Class::B32 => self.op("cvt.u32.u64", Class::B32, &[reg.into()]),
                    _ => reg,
                };
                Index { reg, signed: false }
            }
        };
        self.remembered((address.base, Some(index), size), |e| e.scaled(base, index, size))
    }

    fn scaled(&mut self, base: Reg, index: Index, size: u32) -> Reg {
        let (base, reg) = (Operand::from(base), Operand::from(index.reg));
        match (base.class(), reg.class()) {
            (Class::B64, Class::B32) => {
                let op = if index.signed { "mad.wide.s32" } else { "mad.wide.u32" };
                self.op(op, Class::B64, &[reg, Operand::u32(size), base])
            }
            (class, _) => {
                let bits = if class == Class::B64 { 64 } else { 32 };
                let scaled = match size {
                    1 => reg,
                    _ => {
                        let shift = Operand::u32(size.trailing_zeros());
                        self.op(&format!("shl.b{bits}"), class, &[reg, shift]).into()
                    }
                };
                self.op(&format!("add.s{bits}"), class, &[base, scaled])
            }
        }
    }

    /// The 32-bit register an index was widened from, if it was.
    fn narrow_index(&mut self, index: Value) -> Option<Index> {
        let signed = |ty: Type| ty.elem().is_signed();
        if self.ty(index).size() < 8 {
            let ty = self.ty(index);
            return Some(Index { reg: self.reg(index), signed: signed(ty) });
        }
        let inst = self.definition(index).filter(|i| i.op == Opcode::Cast)?;
        let from = inst.operands[0];
        let ty = self.ty(from);
        if !ty.elem().is_int() || ty.size() == 8 {
            return None;
        }
        Some(Index { reg: self.reg(from), signed: signed(ty) })
    }
}
