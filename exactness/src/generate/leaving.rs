//! Ways to leave loops, blocks and functions.

use super::{Generator, Want};
use crate::program::{Block, Code, code};
use crate::types::Scalar;

impl Generator {
    /// `if c { break; }`, or another way to leave; a declaration where there is none.
    pub(super) fn leave_sometimes(&mut self) -> Code {
        if self.targets.is_empty() && self.returns.is_none() || self.pure > 0 {
            return self.let_statement();
        }
        let condition = self.scalar(Scalar::Bool, Want::Run, 3).code;
        let body = self.scoped(|g| {
            let n = g.random.below(2);
            let mut statements = g.statements(n);
            statements.push(g.leave());
            Block { statements, ..Block::default() }
        });
        code("if ").code(condition).text(" ").block(body)
    }

    /// `return`, `break` or `continue`; there is something to leave.
    pub(super) fn leave(&mut self) -> Code {
        let returns = match self.returns.clone() {
            Some(ty) if self.targets.is_empty() || self.random.chance(20) => Some(ty),
            _ => None,
        };
        if let Some(ty) = returns {
            let value = self.value(&ty, 2);
            return code("return ").code(value).text(";");
        }
        if self.targets.is_empty() {
            // In a closure there is nothing to leave.
            return code("let _ = 0;");
        }
        let innermost = self.targets.len() - 1;
        let at = if self.random.chance(60) { innermost } else { self.random.below(innermost + 1) };
        let target = self.targets[at].clone();
        let label = match target.label {
            Some(label) if at < innermost || !target.is_loop || self.random.chance(50) => {
                format!(" {label}")
            }
            None if at < innermost => return self.leave_innermost(),
            _ => String::new(),
        };
        if target.is_loop && self.random.chance(35) {
            return code(format!("continue{label};"));
        }
        let leave = code(format!("break{label}"));
        match target.value {
            Some(ty) => {
                let value = self.any(&ty, Want::Run, 2);
                leave.text(" ").code(value).text(";")
            }
            None => leave.text(";"),
        }
    }

    /// Leaves the innermost target; a loop outside it has no name.
    fn leave_innermost(&mut self) -> Code {
        let outer = std::mem::take(&mut self.targets);
        let returns = self.returns.take();
        self.targets.extend(outer.last().cloned());
        let code = self.leave();
        (self.targets, self.returns) = (outer, returns);
        code
    }

    /// A labelled block that is left early.
    pub(super) fn labelled_statement(&mut self) -> Code {
        let label = self.name("'l");
        let target = super::Target { label: Some(label.clone()), is_loop: false, value: None };
        self.targets.push(target);
        let block = self.scoped(|g| {
            let n = g.random.within(1, 2);
            let mut statements = g.statements(n);
            statements.push(g.leave_sometimes());
            let n = g.random.within(1, 2);
            statements.extend(g.statements(n));
            Block { statements, ..Block::default() }
        });
        self.targets.pop();
        code(format!("{label}: ")).block(block)
    }
}
