//! Tools every pass shares: emitting instructions, replacing values, rebuilding regions.

use crate::attr::{Attr, Const};
use crate::kernel::{Inst, Kernel, Region, Value};
use crate::loc::Loc;
use crate::op::Opcode;
use crate::types::Type;

/// Emits new instructions at the end of a list.
pub(crate) struct Emit<'a> {
    /// Gives out values.
    pub(crate) kernel: &'a mut Kernel,
    /// Where the instructions go.
    pub(crate) out: &'a mut Vec<Inst>,
    /// The location they get.
    pub(crate) loc: Loc,
}

impl Emit<'_> {
    /// An instruction with one result.
    pub(crate) fn op(&mut self, op: Opcode, attr: Attr, operands: &[Value], ty: Type) -> Value {
        let result = self.kernel.new_value(ty);
        self.push(op, attr, operands, vec![result]);
        result
    }

    /// An instruction without results.
    pub(crate) fn effect(&mut self, op: Opcode, attr: Attr, operands: &[Value]) {
        self.push(op, attr, operands, Vec::new());
    }

    /// A constant.
    pub(crate) fn constant(&mut self, c: Const) -> Value {
        self.op(Opcode::Const, Attr::Const(c), &[], Type::Scalar(c.ty))
    }

    fn push(&mut self, op: Opcode, attr: Attr, operands: &[Value], results: Vec<Value>) {
        let operands = operands.to_vec();
        self.out.push(Inst { op, attr, operands, results, regions: Vec::new(), loc: self.loc });
    }
}

/// Which value stands for which. Replacements are followed to their end.
#[derive(Default)]
pub(crate) struct Subst {
    map: Vec<Option<Value>>,
}

impl Subst {
    /// From now on `new` stands for `old`.
    pub(crate) fn set(&mut self, old: Value, new: Value) {
        let new = self.get(new);
        if old.index() >= self.map.len() {
            self.map.resize(old.index() + 1, None);
        }
        debug_assert_ne!(old, new, "a value cannot replace itself");
        self.map[old.index()] = Some(new);
    }

    /// What stands for `value` now.
    pub(crate) fn get(&self, value: Value) -> Value {
        let mut at = value;
        while let Some(Some(next)) = self.map.get(at.index()) {
            at = *next;
        }
        at
    }

    /// Replaces an instruction's own operands, not those in its regions.
    pub(crate) fn apply(&self, inst: &mut Inst) {
        for operand in &mut inst.operands {
            *operand = self.get(*operand);
        }
    }

    /// Whether nothing was replaced.
    pub(crate) fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Replaces operands in a whole region.
    pub(crate) fn apply_region(&self, region: &mut Region) {
        if !self.is_empty() {
            region.walk_mut(&mut |inst| self.apply(inst));
        }
    }
}

/// Rebuilds a region from the inside out: each instruction, with its regions already rebuilt, goes
/// through `step`, which pushes what shall stand in its place.
pub(crate) fn rebuild(region: &mut Region, step: &mut dyn FnMut(Inst, &mut Vec<Inst>)) {
    let old = std::mem::take(&mut region.insts);
    let mut out = Vec::with_capacity(old.len());
    for mut inst in old {
        for inner in &mut inst.regions {
            rebuild(inner, step);
        }
        step(inst, &mut out);
    }
    region.insts = out;
}

/// The constant each value is, by value number.
pub(crate) fn constants(kernel: &Kernel) -> Vec<Option<Const>> {
    let mut consts = vec![None; kernel.types.len()];
    kernel.body.walk(&mut |inst| {
        if let Attr::Const(c) = inst.attr {
            consts[inst.result().index()] = Some(c);
        }
    });
    consts
}

/// How many leading operands of a control operation are its own; the rest it carries.
pub(crate) fn fixed_operands(op: Opcode) -> usize {
    match op {
        Opcode::If => 1,
        Opcode::For => 2,
        _ => 0,
    }
}

/// How many leading arguments of a region are its owner's own; the rest are carried.
pub(crate) fn fixed_args(op: Opcode) -> usize {
    usize::from(op == Opcode::For)
}

/// Whether an operation costs about one instruction on most targets.
pub(crate) fn is_cheap(op: Opcode) -> bool {
    use Opcode::{Cos, Div, Erf, Exp, Exp2, Log, Log2, Pow, Rem, Rsqrt, Sin, Sqrt, Tanh};
    !matches!(op, Div | Rem | Sqrt | Rsqrt | Exp | Exp2 | Log | Log2 | Sin | Cos | Tanh | Erf | Pow)
}
