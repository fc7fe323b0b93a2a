//! Rules of control flow: regions, what goes into them and comes out, and jumps.

use super::{Rule, Verifier, list};
use crate::attr::Attr;
use crate::kernel::{Inst, Value};
use crate::op::{Opcode, Signature};
use crate::passes::edit::{fixed_args, fixed_operands};
use crate::types::Type;

impl<'k> Verifier<'k> {
    pub(super) fn region_count(&mut self, inst: &Inst) {
        let expected = match inst.op.info().signature {
            Signature::If => 2,
            Signature::For | Signature::Loop | Signature::Block => 1,
            _ => 0,
        };
        if inst.regions.len() != expected {
            let found = format!("{} regions", inst.regions.len());
            self.breach(Rule::RegionCount, Some(inst), found, expected);
        }
    }

    pub(super) fn control(&mut self, inst: &'k Inst) {
        match inst.op {
            Opcode::If => {
                if self.operand_count(inst, 1..=1) {
                    self.operand_is(inst, 0, Type::BOOL);
                }
                self.region_arguments(inst, &[]);
            }
            Opcode::Block => {
                self.operand_count(inst, 0..=0);
                self.region_arguments(inst, &[]);
            }
            Opcode::For => {
                if !self.operand_count(inst, 2..=usize::MAX) {
                    return;
                }
                let ty = self.operand(inst, 0);
                let fits = matches!(ty, Type::Scalar(s) if s.is_int());
                self.operand_fits(inst, 0, fits, "an integer");
                self.operand_is(inst, 1, ty);
                self.carried(inst);
            }
            Opcode::Loop => self.carried(inst),
            _ => self.terminator(inst),
        }
    }

    fn types_of<'v>(&self, values: impl IntoIterator<Item = &'v Value>) -> Vec<Type> {
        // A value without a type is reported where it is defined or read.
        values.into_iter().filter(|v| self.has_type(**v)).map(|&v| self.ty(v)).collect()
    }

    fn region_arguments(&mut self, inst: &Inst, expected: &[Type]) {
        for region in &inst.regions {
            let found = self.types_of(&region.args);
            if found != expected {
                let found = format!("region arguments {}", list(found));
                let expected = list(expected.iter().copied());
                self.breach(Rule::RegionArguments, Some(inst), found, expected);
            }
        }
    }

    /// What a loop carries into its region and, for a `for`, out of it.
    fn carried(&mut self, inst: &Inst) {
        let carried = self.types_of(&inst.operands[fixed_operands(inst.op)..]);
        let own = fixed_args(inst.op);
        let mut arguments = self.types_of(&inst.operands[..own]);
        arguments.extend(&carried);
        self.region_arguments(inst, &arguments);
        if inst.op == Opcode::For && self.result_count(inst, carried.len()) {
            let results = self.types_of(&inst.results);
            if results != carried {
                let found = format!("results {}", list(results));
                self.breach(Rule::ResultType, Some(inst), found, list(carried));
            }
        }
    }

    fn terminator(&mut self, inst: &'k Inst) {
        self.result_count(inst, 0);
        match (inst.op, &inst.attr) {
            (Opcode::Yield, _) => match self.scope.owner() {
                Some(owner) if matches!(owner.op, Opcode::If | Opcode::Block) => {
                    self.passes(inst, &owner.results);
                }
                owner => {
                    let found = owner.map_or("the body of the kernel".to_owned(), |owner| {
                        format!("the region of a `{}`", owner.op.name())
                    });
                    self.breach(Rule::TerminatorKind, Some(inst), found, "an `if` or `block`");
                }
            },
            (Opcode::Break, Attr::Label(label)) => match self.scope.labelled(*label) {
                Some(owner) => self.passes(inst, &owner.results),
                None => self.no_target(inst, label.0, "that of an enclosing operation"),
            },
            (Opcode::Continue, Attr::Label(label)) => match self.scope.labelled(*label) {
                Some(owner) if owner.op != Opcode::Block => {
                    let own = fixed_operands(owner.op).min(owner.operands.len());
                    self.passes(inst, &owner.operands[own..]);
                }
                _ => self.no_target(inst, label.0, "that of an enclosing `for` or `loop`"),
            },
            _ => {
                self.operand_count(inst, 0..=0);
            }
        }
    }

    fn no_target(&mut self, inst: &Inst, label: u32, expected: &str) {
        self.breach(Rule::JumpTarget, Some(inst), format!("label ${label}"), expected);
    }

    /// Checks what a terminator passes against what that becomes.
    fn passes(&mut self, inst: &Inst, becomes: &[Value]) {
        let same =
            inst.operands.len() == becomes.len()
                && inst.operands.iter().zip(becomes).all(|(&a, &b)| {
                    self.has_type(a) && self.has_type(b) && self.ty(a) == self.ty(b)
                });
        if !same {
            let found = list(self.types_of(&inst.operands));
            let expected = list(self.types_of(becomes));
            self.breach(Rule::JumpValues, Some(inst), found, expected);
        }
    }
}
