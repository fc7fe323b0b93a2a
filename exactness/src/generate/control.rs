//! Control flow with values: branches, blocks, loops as expressions.

use super::{Ex, Generator, Kind, Stage, Target, Want};
use crate::program::{Block, Code, code};
use crate::types::{Scalar, Type};

/// Levels of blocks within each other.
const MAX_DEPTH: usize = 4;

impl Generator {
    /// An expression that is control flow, if there is room for one.
    pub(super) fn control(&mut self, ty: &Type, want: Want, depth: usize) -> Option<Ex> {
        if self.depth >= MAX_DEPTH || self.is_full() {
            return None;
        }
        // Where host values will do, the value of a branch is still a run-time one.
        let want = if want == Want::Any { Want::Run } else { want };
        let flow = match self.random.below(10) {
            0..3 => self.if_value(ty, want, depth),
            3 => self.match_option(ty, depth),
            4..6 => self.match_value(ty, depth),
            6..8 => {
                let block = self.value_block(ty, Want::Run, depth);
                code("").block(block)
            }
            8 => self.labelled_value(ty, depth),
            _ => self.loop_value(ty, depth),
        };
        Some(Ex::run(code("(").code(flow).text(")")))
    }

    /// `{ statements; value }`.
    pub(super) fn value_block(&mut self, ty: &Type, want: Want, depth: usize) -> Block {
        self.scoped(|g| {
            let n = g.random.below(3);
            let statements = g.statements(n);
            let tail = g.any(ty, want, depth);
            Block { head: String::new(), statements, tail: Some(tail) }
        })
    }

    /// `if c { a } else { b }`, perhaps with `else if`s. Not all branches are literals, from which
    /// no type could be found.
    fn if_value(&mut self, ty: &Type, want: Want, depth: usize) -> Code {
        let condition = self.condition(depth.min(2));
        let other = if condition.stage == Stage::Host { Want::Run } else { want };
        let then = self.value_block(ty, Want::Run, depth);
        let decided = condition.stage == Stage::Host;
        let mut out = code("if ").code(condition.code).text(" ").block(then).text(" else ");
        if self.random.chance(25) {
            let condition = self.scalar(Scalar::Bool, Want::Run, depth.min(2));
            let then = self.value_block(ty, Want::Run, depth);
            out = out.text("if ").code(condition.code).text(" ").block(then).text(" else ");
        }
        // What is decided while staging has a value, and one of the branches only.
        if !decided && self.returns.is_some() && self.pure == 0 && self.random.chance(6) {
            let leave = self.scoped(|g| g.leave());
            return out.block(Block { statements: vec![leave], ..Block::default() });
        }
        let otherwise = self.value_block(ty, other, depth);
        out.block(otherwise)
    }

    /// `'l: { ...; break 'l value; ... }`.
    fn labelled_value(&mut self, ty: &Type, depth: usize) -> Code {
        let label = self.name("'l");
        self.targets.push(Target {
            label: Some(label.clone()),
            is_loop: false,
            value: Some(ty.clone()),
        });
        let block = self.scoped(|g| {
            let before = g.random.below(2);
            let mut statements = g.statements(before);
            let condition = g.scalar(Scalar::Bool, Want::Run, 2).code;
            let value = g.any(ty, Want::Run, depth);
            let body = code(format!("break {label} ")).code(value).text(";");
            let body = Block { statements: vec![body], ..Block::default() };
            statements.push(code("if ").code(condition).text(" ").block(body));
            let after = g.random.below(2);
            statements.extend(g.statements(after));
            let tail = g.any(ty, Want::Run, depth);
            Block { head: String::new(), statements, tail: Some(tail) }
        });
        self.targets.pop();
        code(format!("{label}: ")).block(block)
    }

    /// A `loop` that breaks with a value.
    fn loop_value(&mut self, ty: &Type, depth: usize) -> Code {
        let (count, most) = (self.name("n"), self.random.within(1, 4));
        let label = self.random.chance(40).then(|| self.name("'l"));
        self.scoped(|g| {
            // The value at the end is a name or literals.
            let last = g.purely(|g| g.any(ty, Want::Run, 0));
            g.declare(&count, Scalar::U32, Kind::Count);
            let value = Some(ty.clone());
            g.targets.push(Target { label: label.clone(), is_loop: true, value });
            let body = g.repeating(most as u64, 1, |g| {
                g.scoped(|g| {
                    let n = g.random.within(1, 3);
                    let mut statements = g.statements(n);
                    let condition = g.scalar(Scalar::Bool, Want::Run, 2).code;
                    let value = g.any(ty, Want::Run, depth);
                    let leave = code("break ").code(value).text(";");
                    let leave = Block { statements: vec![leave], ..Block::default() };
                    statements.push(code("if ").code(condition).text(" ").block(leave));
                    let head = String::new();
                    Block { head, statements, tail: None }
                })
            });
            g.targets.pop();
            let head = code(format!("{count} += 1; if {count} > {most} {{ break ")).code(last);
            let body = Block { head: head.text("; }").to_string(), ..body };
            let label = label.map_or(String::new(), |label| format!("{label}: "));
            code(format!("{{ let mut {count} = 0u32; {label}loop ")).block(body).text(" }")
        })
    }
}
