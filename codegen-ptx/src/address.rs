//! Addresses: pointer arithmetic folded into the base and offset of memory operands.
//!
//! A `ptr_add` by a constant costs nothing: it goes into the offset. Of several by indices that are
//! equal but for a constant, as `32 * (8 * y + j) + k` for different `j`, only the first computes
//! an address; the others are offsets from it. Both are exact, as addresses wrap like the integers
//! they are.

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

/// An index in a register, and how it widens to 64 bits.
#[derive(Clone, Copy, Debug)]
struct Index {
    reg: Reg,
    signed: bool,
}

/// An index in bytes as a sum modulo 2^64: multiples of values, in order, and a constant.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Linear {
    terms: Vec<(Value, i64)>,
    constant: i64,
}

impl Linear {
    fn add(&mut self, value: Value, factor: i64) {
        match self.terms.binary_search_by_key(&value, |(v, _)| *v) {
            Ok(i) => self.terms[i].1 = self.terms[i].1.wrapping_add(factor),
            Err(i) => self.terms.insert(i, (value, factor)),
        }
    }
}

/// Sums of more terms are taken as they are: they are rarely met twice.
const MOST_TERMS: usize = 6;

/// What an address was computed from: its base, and the terms of its index in bytes.
type Indexed = (Base, Vec<(Value, i64)>);

/// The addresses computed so far. An entry ends with the region that made it.
#[derive(Default)]
pub(crate) struct Bases {
    /// Of a base moved by an offset, and of symbols.
    moved: HashMap<(Base, i64), Reg>,
    moved_log: Vec<(Base, i64)>,
    /// Of a base moved by the terms, and the constant that is in the register too.
    indexed: HashMap<Indexed, (Reg, i64)>,
    indexed_log: Vec<Indexed>,
}

impl Bases {
    pub(crate) fn mark(&self) -> (usize, usize) {
        (self.moved_log.len(), self.indexed_log.len())
    }

    /// Forgets what was learnt since the mark.
    pub(crate) fn reset(&mut self, mark: (usize, usize)) {
        for key in self.moved_log.drain(mark.0..) {
            self.moved.remove(&key);
        }
        for key in self.indexed_log.drain(mark.1..) {
            self.indexed.remove(&key);
        }
    }
}

/// The name of a space in instructions (PTX ISA, "State Spaces").
pub(crate) const fn space_name(space: Space) -> &'static str {
    match space {
        Space::Cluster => "shared::cluster",
        other => other.name(),
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
        self.remembered((address.base, address.offset), |e| {
            if base.class == Class::B64 {
                let offset = Emitter::int(Scalar::I64, address.offset.into());
                e.op("add.s64", Class::B64, &[base.into(), offset])
            } else {
                let offset = Emitter::int(Scalar::I32, (address.offset as i32).into());
                e.op("add.s32", Class::B32, &[base.into(), offset])
            }
        })
    }

    fn base_reg(&mut self, base: Base) -> Reg {
        match base {
            Base::Reg(reg) => reg,
            Base::Symbol(symbol) => self.remembered((base, 0), |e| {
                let reg = e.new_reg(Class::B32);
                let name = symbol.name(e.kernel);
                ins!(e, "mov.u32 {reg}, {name};");
                reg
            }),
        }
    }

    fn remembered(&mut self, key: (Base, i64), make: impl FnOnce(&mut Self) -> Reg) -> Reg {
        if let Some(&reg) = self.bases.moved.get(&key) {
            return reg;
        }
        let reg = make(self);
        self.bases.moved.insert(key, reg);
        self.bases.moved_log.push(key);
        reg
    }

    pub(crate) fn ptr_add(&mut self, inst: &Inst) {
        let address = self.address(inst.operands[0]);
        let size = self.ty(inst.operands[0]).elem().size();
        let mut sum = Linear::default();
        self.linear(inst.operands[1], size.into(), address.space, &mut sum);
        let mut moved = match sum.terms.len() {
            0 => Address { offset: address.offset.wrapping_add(sum.constant), ..address },
            1..=MOST_TERMS => self.shared_base(address, inst.operands[1], size, &sum),
            _ => {
                let base = self.base_reg(address.base);
                let base = Base::Reg(self.indexed(base, inst.operands[1], size));
                Address { base, ..address }
            }
        };
        // Offsets of memory operands are 32-bit (PTX ISA, "Addresses as Operands"); so large a one
        // becomes part of the base.
        if i32::try_from(moved.offset).is_err() {
            moved = Address { base: Base::Reg(self.materialize(moved)), offset: 0, ..moved };
        }
        self.bind(inst.result(), Binding::Address(moved));
    }

    /// The address moved by an index, as an offset from another that differs by a constant, where
    /// there is one.
    fn shared_base(&mut self, address: Address, index: Value, size: u32, sum: &Linear) -> Address {
        let key = (address.base, sum.terms.clone());
        let known = self.bases.indexed.get(&key).copied();
        let offset = |in_reg: i64| address.offset.wrapping_add(sum.constant.wrapping_sub(in_reg));
        if let Some((reg, in_reg)) = known
            && i32::try_from(offset(in_reg)).is_ok()
        {
            return Address { base: Base::Reg(reg), offset: offset(in_reg), ..address };
        }
        let (index, outside) = self.without_constant(index, address.space);
        let in_reg = sum.constant.wrapping_sub(outside.wrapping_mul(size.into()));
        let base = self.base_reg(address.base);
        let reg = self.indexed(base, index, size);
        if known.is_none() {
            self.bases.indexed.insert(key.clone(), (reg, in_reg));
            self.bases.indexed_log.push(key);
        }
        Address { base: Base::Reg(reg), offset: offset(in_reg), ..address }
    }

    /// Whether an operation on this type is one modulo the size of addresses: a 32-bit sum wraps
    /// before it is widened to a global address, but offsets in the other windows have 32 bits.
    fn is_linear(&self, ty: Type, space: Space) -> bool {
        ty.size() == 8 || (ty.size() == 4 && space != Space::Global)
    }

    /// Operand and factor or summand of an operation with a constant.
    fn with_constant(&self, inst: &Inst) -> Option<(Value, i64)> {
        let [a, b] = inst.operands[..] else { return None };
        let constant = |x: Value| self.constant(x).map(|c| c.as_int() as i64);
        let swaps = matches!(inst.op, Opcode::Add | Opcode::Mul);
        match (constant(a), constant(b)) {
            (_, Some(c)) => Some((a, c)),
            (Some(c), _) if swaps => Some((b, c)),
            _ => None,
        }
    }

    /// Adds `factor * index` to a sum.
    fn linear(&self, index: Value, factor: i64, space: Space, sum: &mut Linear) {
        if let Some(c) = self.constant(index) {
            let bytes = (c.as_int() as i64).wrapping_mul(factor);
            sum.constant = sum.constant.wrapping_add(bytes);
            return;
        }
        let ty = self.ty(index);
        let inst = self.definition(index).filter(|_| self.is_linear(ty, space));
        let Some(inst) = inst.filter(|_| sum.terms.len() <= MOST_TERMS) else {
            return sum.add(index, factor);
        };
        match inst.op {
            Opcode::Add | Opcode::Sub => {
                let second = if inst.op == Opcode::Add { factor } else { factor.wrapping_neg() };
                self.linear(inst.operands[0], factor, space, sum);
                self.linear(inst.operands[1], second, space, sum);
            }
            Opcode::Mul | Opcode::Shl => match self.with_constant(inst) {
                Some((x, c)) => {
                    let times = match inst.op {
                        Opcode::Mul => c,
                        _ => 1i64 << (c as u32 & (ty.elem().bits() - 1)),
                    };
                    self.linear(x, factor.wrapping_mul(times), space, sum);
                }
                None => sum.add(index, factor),
            },
            // The lower half is all that counts of an offset.
            Opcode::Cast if space != Space::Global => {
                let from = inst.operands[0];
                match self.ty(from).elem().is_int() && self.is_linear(self.ty(from), space) {
                    true => self.linear(from, factor, space, sum),
                    false => sum.add(index, factor),
                }
            }
            _ => sum.add(index, factor),
        }
    }

    /// An index without the constants added to it last.
    fn without_constant(&self, index: Value, space: Space) -> (Value, i64) {
        let (mut index, mut outside) = (index, 0i64);
        while let Some(inst) = self.definition(index) {
            let ty = self.ty(index);
            let sums = matches!(inst.op, Opcode::Add | Opcode::Sub) && self.is_linear(ty, space);
            let Some((x, c)) = self.with_constant(inst).filter(|_| sums) else { break };
            let c = if inst.op == Opcode::Add { c } else { c.wrapping_neg() };
            outside = outside.wrapping_add(c);
            index = x;
        }
        (index, outside)
    }

    /// A base moved by `index` elements.
    fn indexed(&mut self, base: Reg, index: Value, size: u32) -> Reg {
        let index = match self.narrow_index(index) {
            Some(index) => index,
            None => {
                let reg = self.reg(index);
                // Offsets into the shared and local windows are 32-bit.
                let reg = match base.class {
                    Class::B32 => self.op("cvt.u32.u64", Class::B32, &[reg.into()]),
                    _ => reg,
                };
                Index { reg, signed: false }
            }
        };
        self.scaled(base, index, size)
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
