//! Loads, stores, fences and prefetches.

use kernelsmith_ir::attr::{Attr, CacheHint, Order};
use kernelsmith_ir::{Inst, Scalar, Space, Type};

use crate::address::{Address, space_name};
use crate::emit::{Emitter, ins};
use crate::error::Error;
use crate::reg::{Class, Operand, Reg, is_packed};

/// What one register of an access moves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Unit {
    /// The type in the instruction.
    pub(crate) suffix: &'static str,
    /// The register's class. Loads extend into wider registers, by the type's signedness, and
    /// stores cut off (PTX ISA, "Operand Size Exceeding Instruction-Type Size").
    pub(crate) class: Class,
    size: u32,
}

impl Unit {
    /// How one scalar is moved. `bool` is a byte.
    pub(crate) fn of(elem: Scalar) -> Unit {
        use Scalar::*;
        let (suffix, class) = match elem {
            Bool | U8 | E4M3 | E5M2 => ("u8", Class::B32),
            I8 => ("s8", Class::B32),
            U16 => ("u16", Class::B32),
            I16 => ("s16", Class::B32),
            F16 | BF16 => ("b16", Class::B16),
            I32 | U32 | TF32 => ("b32", Class::B32),
            I64 | U64 => ("b64", Class::B64),
            F32 => ("f32", Class::F32),
            F64 => ("f64", Class::F64),
        };
        Unit { suffix, class, size: elem.size() }
    }

    /// A word of packed elements.
    const WORD: Unit = Unit { suffix: "b32", class: Class::B32, size: 4 };
}

/// How a value of a type is cut into units: whole words where the alignment allows them, single
/// elements elsewhere.
struct Cut {
    words: usize,
    /// Elements behind the words.
    elements: usize,
}

impl Cut {
    fn new(ty: Type, align: u32) -> Cut {
        let packed = matches!(ty, Type::Vector(..)) && is_packed(ty.elem());
        if !packed || align < 4 {
            return Cut { words: 0, elements: ty.lanes() as usize };
        }
        let words = ty.size() / 4;
        let elements = (ty.size() % 4) / ty.elem().size();
        Cut { words: words as usize, elements: elements as usize }
    }

    fn units(&self, elem: Scalar) -> Vec<Unit> {
        let mut units = vec![Unit::WORD; self.words];
        units.resize(self.words + self.elements, Unit::of(elem));
        units
    }
}

/// One instruction of an access: some units, from an offset on.
struct Group {
    offset: u32,
    units: std::ops::Range<usize>,
}

/// Joins units into the widest vectors that alignment and hardware allow: `widest` bytes.
fn group(units: &[Unit], align: u32, widest: u32) -> Vec<Group> {
    let mut groups = Vec::new();
    let (mut at, mut offset) = (0, 0u32);
    while at < units.len() {
        let size = units[at].size;
        let fits = |n: &usize| {
            let bytes = size * *n as u32;
            // Of vectors of 8 there are only those of words (PTX ISA, `ld`).
            units.len() - at >= *n
                && (*n < 8 || size == 4)
                && units[at..at + n].iter().all(|u| u.size == size)
                && bytes <= widest
                && align.is_multiple_of(bytes)
                && offset.is_multiple_of(bytes)
        };
        let n = [8, 4, 2].into_iter().find(fits).unwrap_or(1);
        groups.push(Group { offset, units: at..at + n });
        at += n;
        offset += size * n as u32;
    }
    groups
}

fn mem_attr(inst: &Inst) -> (u32, CacheHint) {
    match inst.attr {
        Attr::Mem { align, cache } => (align, cache),
        _ => unreachable!("the kernel is verified: {} has an alignment", inst.op.name()),
    }
}

/// `{a, b}`, or `a` alone.
fn register_list(regs: &[Reg]) -> String {
    match regs {
        [only] => only.to_string(),
        _ => braced(regs.iter()),
    }
}

/// `{a, b}`.
pub(crate) fn braced<T: std::fmt::Display>(items: impl Iterator<Item = T>) -> String {
    let items: Vec<String> = items.map(|item| item.to_string()).collect();
    format!("{{{}}}", items.join(", "))
}

impl<'k> Emitter<'k> {
    /// 32 bytes at once exist for global memory on Blackwell (PTX ISA, `ld`, `.v8`).
    fn widest(&self, address: Address, align: u32) -> u32 {
        let wide = self.target.sm >= 100 && address.space == Space::Global && align >= 32;
        if wide { 32 } else { 16 }
    }

    fn vector_suffix(&mut self, units: &[Unit]) -> String {
        let (n, suffix) = (units.len(), units[0].suffix);
        if units[0].size * n as u32 == 32 {
            self.need(8, 8);
        }
        if n == 1 { format!(".{suffix}") } else { format!(".v{n}.{suffix}") }
    }

    pub(crate) fn load(&mut self, inst: &Inst) {
        let (align, cache) = mem_attr(inst);
        let ty = self.ty(inst.result());
        let address = self.address(inst.operands[0]);
        let cut = Cut::new(ty, align);
        let units = cut.units(ty.elem());
        let regs: Vec<Reg> = units.iter().map(|u| self.new_reg(u.class)).collect();
        // PTX ISA, `ld`, `ld.global.nc`: cache operators are for global memory.
        let global = address.space == Space::Global;
        let (hint, policy) = self.cache_hint(global, cache);
        let coherence = if global && address.read_only { ".nc" } else { "" };
        let hints = match cache {
            CacheHint::Streaming => format!("{hint}{coherence}"),
            _ => format!("{coherence}{hint}"),
        };
        for group in group(&units, align, self.widest(address, align)) {
            let suffix = self.vector_suffix(&units[group.units.clone()]);
            let list = register_list(&regs[group.units]);
            let at = self.memory_operand(address.plus(group.offset));
            let space = space_name(address.space);
            ins!(self, "ld.{space}{hints}{suffix} {list}, {at}{policy};");
        }
        let (words, elements) = regs.split_at(cut.words);
        let elements = elements.iter().map(|&r| self.after_load(ty.elem(), r)).collect();
        let mut value = words.to_vec();
        value.extend(self.pack(ty, elements));
        self.bind_regs(inst.result(), value);
    }

    /// What a load or store says of caches, in its name and behind its operands. Policies for the L2
    /// cache are there from sm_80 on (PTX ISA, `ld`, `.L2::cache_hint`).
    fn cache_hint(&mut self, global: bool, cache: CacheHint) -> (&'static str, String) {
        match cache {
            CacheHint::Streaming if global => (".cs", String::new()),
            CacheHint::EvictFirst | CacheHint::EvictLast if global && self.target.sm >= 80 => {
                let policy = self.policy(cache.name());
                (".L2::cache_hint", format!(", {policy}"))
            }
            // PTX ISA, `ld` and `st`, "level::eviction_priority": from sm_70 on, which all targets are.
            CacheHint::PastL1 if global => {
                self.need(7, 4);
                (".L1::no_allocate", String::new())
            }
            _ => ("", String::new()),
        }
    }

    /// A scalar from the register it was loaded into.
    pub(crate) fn after_load(&mut self, elem: Scalar, reg: Reg) -> Reg {
        match elem {
            Scalar::Bool => self.op("setp.ne.u32", Class::Pred, &[reg.into(), Operand::u32(0)]),
            _ => reg,
        }
    }

    pub(crate) fn store(&mut self, inst: &Inst) {
        let (align, cache) = mem_attr(inst);
        let ty = self.ty(inst.operands[1]);
        let address = self.address(inst.operands[0]);
        let cut = Cut::new(ty, align);
        let units = cut.units(ty.elem());
        let regs = self.stored_regs(ty, &cut, inst);
        let global = address.space == Space::Global;
        let (hint, policy) = self.cache_hint(global, cache);
        for group in group(&units, align, self.widest(address, align)) {
            let suffix = self.vector_suffix(&units[group.units.clone()]);
            let list = register_list(&regs[group.units]);
            let at = self.memory_operand(address.plus(group.offset));
            ins!(self, "st.{}{hint}{suffix} {at}, {list}{policy};", space_name(address.space));
        }
    }

    /// The registers of a stored value, one for each unit.
    fn stored_regs(&mut self, ty: Type, cut: &Cut, inst: &Inst) -> Vec<Reg> {
        let value = inst.operands[1];
        if cut.words == 0 {
            let lanes = self.lanes(value);
            return lanes.into_iter().map(|lane| self.before_store(lane)).collect();
        }
        let mut regs = self.regs(value);
        let tail = regs.split_off(cut.words).into_iter().map(Operand::from).collect();
        let rest = Type::Vector(ty.elem(), cut.elements as u8);
        let tail = self.unpack(rest, tail);
        regs.extend(tail.into_iter().map(|lane| self.before_store(lane)).collect::<Vec<_>>());
        regs
    }

    /// The register a scalar is stored from.
    fn before_store(&mut self, lane: Operand) -> Reg {
        match lane {
            Operand::Reg(reg) if reg.class == Class::Pred => self.bit(reg),
            Operand::Const(c) if c.ty == Scalar::Bool => self.in_reg(Operand::u32(c.bits as u32)),
            _ => self.in_reg(lane),
        }
    }

    /// A predicate as 0 or 1.
    pub(crate) fn bit(&mut self, reg: Reg) -> Reg {
        self.op("selp.u32", Class::B32, &[Operand::u32(1), Operand::u32(0), reg.into()])
    }

    pub(crate) fn fence(&mut self, inst: &Inst) {
        let Attr::Fence { order, scope } = inst.attr else {
            unreachable!("the kernel is verified: a fence has an order")
        };
        // There is one fence for all of acquire and release (PTX ISA, `fence`).
        if order != Order::Relaxed {
            ins!(self, "fence.acq_rel.{};", crate::atomic::scope_name(scope));
        }
    }

    pub(crate) fn prefetch(&mut self, inst: &Inst) -> Result<(), Error> {
        let address = self.address(inst.operands[0]);
        if address.space != Space::Global {
            return Err(self.unsupported(
                self.ty(inst.operands[0]),
                "only global memory is cached in lines that can be prefetched",
            ));
        }
        let at = self.memory_operand(address);
        ins!(self, "prefetch.global.L2 {at};");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(ty: Type, align: u32, widest: u32) -> Vec<(u32, usize, u32)> {
        let units = Cut::new(ty, align).units(ty.elem());
        group(&units, align, widest)
            .into_iter()
            .map(|g| (g.offset, g.units.len(), units[g.units.start].size))
            .collect()
    }

    #[test]
    fn accesses_are_as_wide_as_alignment_allows() {
        use Scalar::*;
        assert_eq!(shape(Type::Vector(F32, 4), 16, 16), [(0, 4, 4)]);
        assert_eq!(shape(Type::Vector(F32, 4), 8, 16), [(0, 2, 4), (8, 2, 4)]);
        assert_eq!(shape(Type::Vector(F32, 3), 16, 16), [(0, 2, 4), (8, 1, 4)]);
        assert_eq!(shape(Type::Vector(F32, 8), 32, 16), [(0, 4, 4), (16, 4, 4)]);
        assert_eq!(shape(Type::Vector(F32, 8), 32, 32), [(0, 8, 4)]);
        assert_eq!(shape(Type::Vector(F64, 4), 32, 32), [(0, 4, 8)]);
        assert_eq!(shape(Type::Vector(F16, 8), 16, 16), [(0, 4, 4)]);
        assert_eq!(shape(Type::Vector(F16, 3), 4, 16), [(0, 1, 4), (4, 1, 2)]);
        assert_eq!(shape(Type::Vector(F16, 2), 2, 16), [(0, 1, 2), (2, 1, 2)]);
        assert_eq!(shape(Type::Vector(I8, 16), 16, 16), [(0, 4, 4)]);
        assert_eq!(shape(Type::Vector(I8, 2), 2, 16), [(0, 2, 1)]);
        assert_eq!(shape(Type::F32, 4, 16), [(0, 1, 4)]);
    }
}
