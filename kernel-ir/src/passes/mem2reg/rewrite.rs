//! The walk that replaces variable accesses by values.

use std::collections::HashMap;

use super::liveness::Merge;
use crate::attr::{Attr, Const};
use crate::kernel::{Inst, Kernel, Label, Region, Value};
use crate::loc::Loc;
use crate::op::Opcode;
use crate::passes::edit::{Emit, Subst};
use crate::types::{Scalar, Type};

/// Replaces every variable access, given what control operations merge.
pub(super) fn rewrite(kernel: &mut Kernel, merges: &[Merge]) {
    let mut body = std::mem::take(&mut kernel.body);
    let mut rewriter = Rewriter {
        current: vec![None; kernel.vars.len()],
        kernel,
        merges,
        next: 0,
        undo: Vec::new(),
        labels: HashMap::new(),
        subst: Subst::default(),
        zeros: HashMap::new(),
        head: Vec::new(),
    };
    rewriter.region(&mut body, None);
    let mut insts = rewriter.head;
    insts.append(&mut body.insts);
    body.insts = insts;
    kernel.body = body;
}

struct Rewriter<'a> {
    kernel: &'a mut Kernel,
    merges: &'a [Merge],
    /// The number of the next control operation, in program order.
    next: usize,
    /// Each variable's value here; `None` before the first write.
    current: Vec<Option<Value>>,
    /// What `current` held before the writes since each control operation began.
    undo: Vec<(usize, Option<Value>)>,
    /// The control operation of each label.
    labels: HashMap<Label, usize>,
    subst: Subst,
    zeros: HashMap<Type, Value>,
    /// Instructions for the kernel's start.
    head: Vec<Inst>,
}

impl Rewriter<'_> {
    /// `owner` is the number of the `if` or `block` that a `yield` belongs to.
    fn region(&mut self, region: &mut Region, owner: Option<usize>) {
        let old = std::mem::take(&mut region.insts);
        let mut out = Vec::with_capacity(old.len());
        for mut inst in old {
            self.subst.apply(&mut inst);
            match (inst.op, &inst.attr) {
                (Opcode::VarLoad, &Attr::Var { var, .. }) => {
                    let value = self.read(var.index());
                    self.subst.set(inst.result(), value);
                    continue;
                }
                (Opcode::VarStore, &Attr::Var { var, .. }) => {
                    self.write(var.index(), inst.operands[0]);
                    continue;
                }
                (Opcode::Yield, _) => {
                    let owner = owner.expect("the verifier ties yields to if and block");
                    self.pass(&mut inst, owner, false);
                }
                (Opcode::Break, &Attr::Label(l)) => {
                    let target = self.labels[&l];
                    self.pass(&mut inst, target, false);
                }
                (Opcode::Continue, &Attr::Label(l)) => {
                    let target = self.labels[&l];
                    self.pass(&mut inst, target, true);
                }
                _ if !inst.regions.is_empty() => self.control(&mut inst),
                _ => {}
            }
            out.push(inst);
        }
        region.insts = out;
    }

    /// A terminator hands the merged variables' values on.
    fn pass(&mut self, inst: &mut Inst, target: usize, carried: bool) {
        let merge = &self.merges[target];
        let vars = if carried { &merge.carried } else { &merge.results };
        for &var in vars {
            let value = self.read(var);
            inst.operands.push(value);
        }
    }

    fn control(&mut self, inst: &mut Inst) {
        let number = self.next;
        self.next += 1;
        let merge = &self.merges[number];
        if let Attr::Label(label) = inst.attr {
            self.labels.insert(label, number);
        }
        for &var in &merge.carried {
            let value = self.read(var);
            inst.operands.push(value);
        }
        for region in &mut inst.regions {
            let mark = self.undo.len();
            for &var in &merge.carried {
                let arg = self.kernel.new_value(self.kernel.vars[var].ty);
                region.args.push(arg);
                self.write(var, arg);
            }
            self.region(region, Some(number));
            self.roll_back(mark);
        }
        for &var in &merge.results {
            let result = self.kernel.new_value(self.kernel.vars[var].ty);
            inst.results.push(result);
            self.write(var, result);
        }
    }

    fn write(&mut self, var: usize, value: Value) {
        let old = self.current[var].replace(value);
        self.undo.push((var, old));
    }

    fn roll_back(&mut self, mark: usize) {
        for (var, old) in self.undo.drain(mark..).rev() {
            self.current[var] = old;
        }
    }

    fn read(&mut self, var: usize) -> Value {
        match self.current[var] {
            Some(value) => value,
            None => self.zero(self.kernel.vars[var].ty),
        }
    }

    fn zero(&mut self, ty: Type) -> Value {
        if let Some(&zero) = self.zeros.get(&ty) {
            return zero;
        }
        let elem = if ty.is_ptr() { Scalar::U64 } else { ty.elem() };
        let mut emit = Emit { kernel: self.kernel, out: &mut self.head, loc: Loc::NONE };
        let scalar = emit.constant(Const::new(elem, 0));
        let zero = match ty {
            Type::Scalar(_) => scalar,
            Type::Vector(_, n) => emit.op(Opcode::VecMake, Attr::None, &vec![scalar; n.into()], ty),
            Type::Ptr(..) => emit.op(Opcode::Bitcast, Attr::None, &[scalar], ty),
            Type::TensorMap(..) => unreachable!("the kernel is verified: no slot holds one"),
        };
        self.zeros.insert(ty, zero);
        zero
    }
}
