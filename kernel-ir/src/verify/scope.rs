//! The walk: what is defined where it stands, and which labels are open.

use super::{Rule, Verifier};
use crate::kernel::{Inst, Kernel, Label, Region, Value};

/// Whether a value can be used.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Not,
    Visible,
    /// The region that defined it is closed.
    Closed,
}

/// Whether a label can be named.
#[derive(Clone, Copy)]
enum LabelState<'k> {
    Unused,
    Open(&'k Inst),
    Closed,
}

/// What encloses the place where the walk stands.
pub(super) struct Scope<'k> {
    values: Vec<Seen>,
    /// The visible values, the latest last: what a closing region takes with it.
    visible: Vec<Value>,
    labels: Vec<LabelState<'k>>,
    /// The operations whose regions are open, the innermost last.
    owners: Vec<&'k Inst>,
}

impl<'k> Scope<'k> {
    pub(super) fn new(kernel: &Kernel) -> Scope<'k> {
        Scope {
            values: vec![Seen::Not; kernel.types.len()],
            visible: Vec::with_capacity(kernel.types.len()),
            labels: vec![LabelState::Unused; kernel.labels as usize],
            owners: Vec::new(),
        }
    }

    /// The open operation of a label.
    pub(super) fn labelled(&self, label: Label) -> Option<&'k Inst> {
        match self.labels.get(label.index()) {
            Some(LabelState::Open(inst)) => Some(inst),
            _ => None,
        }
    }

    /// The operation whose region is the innermost; `None` in the body.
    pub(super) fn owner(&self) -> Option<&'k Inst> {
        self.owners.last().copied()
    }
}

impl<'k> Verifier<'k> {
    /// Verifies the body and all in it.
    pub(super) fn body(&mut self) {
        let kernel = self.kernel;
        if !kernel.body.args.is_empty() {
            let found = format!("{} arguments of the body", kernel.body.args.len());
            self.breach(Rule::RegionArguments, None, found, "parameters only");
        }
        self.region(&kernel.body);
    }

    /// Defines a value; whether it has a type.
    pub(super) fn define(&mut self, value: Value, by: Option<&Inst>) -> bool {
        if !self.has_type(value) {
            self.untyped(value, by);
            return false;
        }
        if self.scope.values[value.index()] != Seen::Not {
            let found = format!("another definition of value {}", value.0);
            self.breach(Rule::DefinedOnce, by, found, "a new value");
        }
        self.scope.values[value.index()] = Seen::Visible;
        self.scope.visible.push(value);
        true
    }

    fn untyped(&mut self, value: Value, inst: Option<&Inst>) {
        let found = format!("value {}", value.0);
        let expected = format!("one of the {} that have a type", self.kernel.types.len());
        self.breach(Rule::ValueNumber, inst, found, expected);
    }

    /// Checks that an operand can be used here; whether it has a type.
    fn reads(&mut self, inst: &Inst, index: usize) -> bool {
        let value = inst.operands[index];
        if !self.has_type(value) {
            self.untyped(value, Some(inst));
            return false;
        }
        let (rule, state) = match self.scope.values[value.index()] {
            Seen::Visible => return true,
            Seen::Not => (Rule::DefinedBeforeUse, "not defined so far"),
            Seen::Closed => (Rule::InScope, "defined in a region that is closed"),
        };
        let found = format!("operand {index} (value {}) {state}", value.0);
        self.breach(rule, Some(inst), found, "a value that is defined here");
        true
    }

    fn region(&mut self, region: &'k Region) {
        if region.terminator().is_none() {
            let last = region.insts.last().or(self.scope.owner());
            let found = region.insts.last().map_or("an empty region".to_owned(), |inst| {
                format!("a region that ends in `{}`", inst.op.name())
            });
            self.breach(Rule::EndsInTerminator, last, found, "a terminator at the end");
        }
        for (i, inst) in region.insts.iter().enumerate() {
            self.inst(inst);
            if inst.op.is_terminator() && i + 1 < region.insts.len() {
                let found = format!("{} operations behind it", region.insts.len() - i - 1);
                self.breach(Rule::TerminatorLast, Some(inst), found, "none");
            }
        }
    }

    fn inst(&mut self, inst: &'k Inst) {
        let mut typed = true;
        for i in 0..inst.operands.len() {
            typed &= self.reads(inst, i);
        }
        for &result in &inst.results {
            if !self.has_type(result) {
                self.untyped(result, Some(inst));
                typed = false;
            }
        }
        if typed {
            self.form(inst);
        }
        if !inst.regions.is_empty() {
            self.regions(inst);
        }
        for &result in inst.results.iter() {
            if self.has_type(result) {
                self.define(result, Some(inst));
            }
        }
    }

    /// The regions of an operation; what they define is gone behind it.
    fn regions(&mut self, inst: &'k Inst) {
        let label = self.open_label(inst);
        self.scope.owners.push(inst);
        for region in &inst.regions {
            let outside = self.scope.visible.len();
            for &arg in &region.args {
                self.define(arg, Some(inst));
            }
            self.region(region);
            for value in self.scope.visible.drain(outside..) {
                self.scope.values[value.index()] = Seen::Closed;
            }
        }
        self.scope.owners.pop();
        if let Some(label) = label {
            self.scope.labels[label.index()] = LabelState::Closed;
        }
    }

    /// Opens the label of an operation, if it has one of its own.
    fn open_label(&mut self, inst: &'k Inst) -> Option<Label> {
        let crate::Attr::Label(label) = inst.attr else { return None };
        match self.scope.labels.get(label.index()) {
            Some(LabelState::Unused) => {
                self.scope.labels[label.index()] = LabelState::Open(inst);
                return Some(label);
            }
            Some(_) => {
                let found = format!("another operation with label ${}", label.0);
                self.breach(Rule::LabelUnique, Some(inst), found, "a new label");
            }
            None => {
                let found = format!("label ${}", label.0);
                let expected = format!("one below {}", self.kernel.labels);
                self.breach(Rule::LabelUnique, Some(inst), found, expected);
            }
        }
        None
    }
}
