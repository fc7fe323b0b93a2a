//! The slots that hold a run-time variable. Nothing here is generic: rustc compiles what is for each
//! type that each kernel has variables of.

use kernelsmith_ir::attr::Const;
use kernelsmith_ir::builder::Builder;
use kernelsmith_ir::kernel::VarId;
use kernelsmith_ir::{Opcode, Type, Value};

use super::stage::build;
use super::val::Val;

/// A variable, or a part of one: consecutive slots of the IR, one for each leaf.
#[derive(Clone, Copy)]
pub(super) struct Slots {
    first: VarId,
    /// Where a run-time index was passed on the way here.
    dynamic: Option<Dynamic>,
}

impl Slots {
    /// Declares a variable of these leaves.
    #[track_caller]
    pub(super) fn declare(name: &str, types: Vec<Type>) -> Slots {
        let first = build(|b| {
            let first = VarId(b.kernel().vars.len() as u32);
            for ty in types {
                b.var(name, ty);
            }
            first
        });
        Slots { first, dynamic: None }
    }

    /// Reads the first leaves.
    #[track_caller]
    pub(super) fn load(&self, leaves: usize) -> Vec<Value> {
        build(|b| {
            let slots = (0..leaves as u32).map(|leaf| VarId(self.first.0 + leaf));
            slots
                .map(|slot| match self.dynamic {
                    None => b.var_load(slot),
                    Some(d) => d.load(b, slot),
                })
                .collect()
        })
    }

    /// Writes the leaves.
    #[track_caller]
    pub(super) fn store(&self, leaves: Vec<Value>) {
        if leaves.is_empty() {
            return;
        }
        build(|b| {
            for (leaf, value) in leaves.into_iter().enumerate() {
                self.store_leaf(b, leaf, value);
            }
        });
    }

    /// Writes the leaves that differ.
    #[track_caller]
    pub(super) fn write_back(&self, old: Vec<Value>, new: Vec<Value>) {
        if old == new {
            return;
        }
        build(|b| {
            for (leaf, (old, new)) in old.into_iter().zip(new).enumerate() {
                if old != new {
                    self.store_leaf(b, leaf, new);
                }
            }
        });
    }

    fn store_leaf(&self, b: &mut Builder, leaf: usize, value: Value) {
        let slot = VarId(self.first.0 + leaf as u32);
        match self.dynamic {
            None => b.var_store(slot, value),
            Some(d) => d.store(b, slot, value),
        }
    }

    /// The part that begins at a leaf.
    pub(super) fn part(&self, leaf: usize) -> Slots {
        Slots { first: VarId(self.first.0 + leaf as u32), dynamic: self.dynamic }
    }

    /// An element of an array, at an index that is checked.
    #[track_caller]
    pub(super) fn at(&self, index: Val<usize>, count: usize, leaves: usize) -> Slots {
        let stride = leaves as u32;
        let dynamic = build(|b| {
            let len = b.constant(Const::int(kernelsmith_ir::Scalar::U64, count as i128));
            b.check_bounds(index.id, len);
            let inner = Dynamic { stride, count: count as u32, index: index.id, outer: None };
            match self.dynamic {
                None => inner,
                Some(outer) => outer.then(b, self.first, stride, inner),
            }
        });
        Slots { first: self.first, dynamic: Some(dynamic) }
    }
}

/// The leaf `l` of a place below run-time indices is slot `first + l + index * stride`, with
/// `index < count`; to which each of the outer levels adds its own `index * stride`.
#[derive(Clone, Copy)]
struct Dynamic {
    stride: u32,
    count: u32,
    index: Value,
    /// Levels that do not fold into this one. They live as long as the program: a few bytes for each
    /// such place of each kernel staged.
    outer: Option<&'static Dynamic>,
}

impl Dynamic {
    /// The place of index `inner` below this one, of `leaves` leaves from `first` on.
    ///
    /// Both strides are multiples of their greatest common divisor, so one index does for both where
    /// all slots that it may reach are of one type. In an array of structs with arrays they are not.
    fn then(self, b: &mut Builder, first: VarId, leaves: u32, inner: Dynamic) -> Dynamic {
        let unit = gcd(self.stride, inner.stride).max(1);
        let (outer_units, inner_units) = (self.stride / unit, inner.stride / unit);
        let last = (self.count - 1) * outer_units + (inner.count - 1) * inner_units;
        let ty = |slot: u32| b.kernel().vars[(first.0 + slot) as usize].ty;
        if (0..leaves).any(|l| (1..=last).any(|i| ty(l + i * unit) != ty(l))) {
            return Dynamic { outer: Some(Box::leak(Box::new(self))), ..inner };
        }
        let mut scaled = |x, factor: u32| {
            let factor = b.constant(Const::int(kernelsmith_ir::Scalar::U64, factor.into()));
            b.same(Opcode::Mul, &[x, factor])
        };
        let parts = [scaled(self.index, outer_units), scaled(inner.index, inner_units)];
        let index = b.same(Opcode::Add, &parts);
        Dynamic { stride: unit, count: last + 1, index, outer: self.outer }
    }

    /// Whether the index is `i`.
    fn is(&self, b: &mut Builder, i: u32) -> Value {
        let i = b.constant(Const::int(kernelsmith_ir::Scalar::U64, i.into()));
        b.compare(Opcode::Eq, self.index, i)
    }

    fn load(&self, b: &mut Builder, slot: VarId) -> Value {
        let Some(outer) = self.outer else {
            return b.var_load_at(slot, self.stride, self.count, self.index);
        };
        // What each element of the outer level has at the inner index; the index chooses.
        let inner = Dynamic { outer: outer.outer, ..*self };
        let mut value = inner.load(b, slot);
        for i in 1..outer.count {
            let there = inner.load(b, VarId(slot.0 + i * outer.stride));
            let is = outer.is(b, i);
            value = b.select(is, there, value);
        }
        value
    }

    fn store(&self, b: &mut Builder, slot: VarId, value: Value) {
        let Some(outer) = self.outer else {
            return b.var_store_at(slot, self.stride, self.count, self.index, value);
        };
        let inner = Dynamic { outer: outer.outer, ..*self };
        for i in 0..outer.count {
            let slot = VarId(slot.0 + i * outer.stride);
            let old = inner.load(b, slot);
            let is = outer.is(b, i);
            let new = b.select(is, value, old);
            inner.store(b, slot, new);
        }
    }
}

const fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
