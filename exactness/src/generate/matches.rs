//! `match`, on numbers, bools and tuples of them.

use std::rc::Rc;

use super::{Generator, Kind, Stage, Want};
use crate::program::{Block, Code, code};
use crate::types::{Enum, Scalar, Type};

impl Generator {
    /// `match` with a value.
    pub(super) fn match_value(&mut self, ty: &Type, depth: usize) -> Code {
        self.matching(depth, |g| {
            let block = g.value_block(ty, Want::Run, depth);
            match block.statements.is_empty() {
                true => block.tail.unwrap_or_default(),
                false => code("").block(block),
            }
        })
    }

    /// `match` as a statement.
    pub(super) fn match_statement(&mut self) -> Code {
        self.matching(2, |g| {
            let block = g.statement_block(2);
            code("").block(block)
        })
    }

    fn matching(&mut self, depth: usize, mut body: impl FnMut(&mut Generator) -> Code) -> Code {
        if self.random.chance(15) {
            return self.match_bool(body);
        }
        if self.random.chance(20) {
            return self.match_tuple(body);
        }
        if self.random.chance(20) {
            return self.match_pair(body);
        }
        if self.random.chance(25)
            && let Some(Type::Struct(of)) = self.own_type()
            && !of.is_tuple()
            && of.opaque.is_none()
        {
            return self.match_struct(&of, body);
        }
        if self.random.chance(40)
            && let Some(of) = self.enum_type()
        {
            return self.match_enum(&of, body);
        }
        let ty = self.int();
        // Not a place: a guard may change what places hold.
        let scrutinee = self.scalar(ty, Want::Run, depth.min(2)).code;
        let modulus = self.random.within(2, 40);
        let mut arms = code("");
        for _ in 0..self.random.within(1, 4) {
            let (pattern, binding) = self.pattern(ty);
            arms = self.arm(arms, pattern, binding, ty, &mut body);
        }
        let last = self.random.chance(40).then(|| self.name("m"));
        let pattern = last.clone().unwrap_or("_".to_owned());
        let arms = self.arm_without_guard(arms, &pattern, last, ty, &mut body);
        code("match (").code(scrutinee).text(format!(" % {modulus}) {{\n")).code(arms).text("}")
    }

    fn arm(
        &mut self,
        arms: Code,
        pattern: String,
        binding: Option<String>,
        ty: Scalar,
        body: &mut impl FnMut(&mut Generator) -> Code,
    ) -> Code {
        if !self.random.chance(30) {
            return self.arm_without_guard(arms, &pattern, binding, ty, body);
        }
        self.scoped(|g| {
            if let Some(name) = binding {
                g.declare(name, ty, Kind::Let(Stage::Run));
            }
            // Guards of arms that were passed over have had their effects.
            let guard = g.scalar(Scalar::Bool, Want::Run, 2).code;
            let body = body(g);
            arms.text(format!("{pattern} if ")).code(guard).text(" => ").code(body).text(",\n")
        })
    }

    fn arm_without_guard(
        &mut self,
        arms: Code,
        pattern: &str,
        binding: Option<String>,
        ty: Scalar,
        body: &mut impl FnMut(&mut Generator) -> Code,
    ) -> Code {
        self.scoped(|g| {
            let mut pattern = pattern.to_owned();
            if let Some(name) = binding {
                let mutable = g.random.chance(20) && pattern.starts_with(&name);
                if mutable {
                    pattern = format!("mut {pattern}");
                }
                let kind = if mutable { Kind::Variable } else { Kind::Let(Stage::Run) };
                g.declare(name, ty, kind);
            }
            let body = body(g);
            arms.text(format!("{pattern} => ")).code(body).text(",\n")
        })
    }

    /// A pattern of an integer and what it binds.
    fn pattern(&mut self, ty: Scalar) -> (String, Option<String>) {
        let low = if ty.is_signed() { -(self.random.below(20) as i64) } else { 0 };
        let a = low + self.random.below(20) as i64;
        let b = a + self.random.within(1, 12) as i64;
        let pattern = match self.random.below(7) {
            0 | 1 => a.to_string(),
            2 => format!("{a}..{b}"),
            3 => format!("{a}..={b}"),
            4 => format!("{b}.."),
            5 => format!("{a} | {b} | {}", b + 3),
            _ => format!("({a} | {}..={})", b, b + 2),
        };
        if !self.random.chance(25) {
            return (pattern, None);
        }
        let name = self.name("m");
        let pattern = match pattern.contains('|') {
            true => format!("{name} @ ({pattern})"),
            false => format!("{name} @ {pattern}"),
        };
        (pattern, Some(name))
    }

    fn match_bool(&mut self, mut body: impl FnMut(&mut Generator) -> Code) -> Code {
        let scrutinee = self.scalar(Scalar::Bool, Want::Run, 2).code;
        let (yes, no) = (self.scoped(&mut body), self.scoped(&mut body));
        let open = code("match (").code(scrutinee).text(" ^ false) {\ntrue => ");
        open.code(yes).text(",\nfalse => ").code(no).text(",\n}")
    }

    /// Every variant has an arm in the end, or `_`.
    fn match_enum(&mut self, of: &Rc<Enum>, mut body: impl FnMut(&mut Generator) -> Code) -> Code {
        let want = if self.random.chance(10) { Want::Any } else { Want::Run };
        let scrutinee = self.enumerated(of, want, 2).code;
        let (mut arms, mut left) = (code(""), of.variants.clone());
        while let Some(variant) = left.pop() {
            let mut pattern = format!("{}::{variant}", of.name);
            if self.random.chance(30)
                && let Some(other) = left.pop()
            {
                pattern += &format!(" | {}::{other}", of.name);
            }
            if self.random.chance(25) {
                let guard = self.scoped(|g| g.scalar(Scalar::Bool, Want::Run, 2).code);
                let value = self.scoped(&mut body);
                let arm = arms.text(format!("{pattern} if ")).code(guard).text(" => ");
                arms = arm.code(value).text(",\n");
            }
            let rest = left.is_empty() || self.random.chance(15);
            if rest && self.random.chance(40) {
                left.clear();
                pattern = "_".to_owned();
            }
            arms = arms.text(format!("{pattern} => ")).code(self.scoped(&mut body)).text(",\n");
        }
        code("match { ").code(scrutinee).text(" } {\n").code(arms).text("}")
    }

    fn match_tuple(&mut self, mut body: impl FnMut(&mut Generator) -> Code) -> Code {
        let ty = self.int();
        let first = self.scalar(ty, Want::Run, 2).code;
        let second = self.scalar(Scalar::Bool, Want::Run, 2).code;
        let mut arms = code("");
        for _ in 0..self.random.within(1, 3) {
            let (pattern, binding) = match self.random.chance(70) {
                true => self.pattern(ty),
                false => ("_".to_owned(), None),
            };
            let pattern = match pattern.contains(" | ") && !pattern.starts_with(['(', 'm']) {
                true => format!("({pattern})"),
                false => pattern,
            };
            let flag = *self.random.pick(&["true", "false", "_"]);
            let flag = if pattern == "_" { "true" } else { flag };
            arms = self.arm(arms, format!("({pattern}, {flag})"), binding, ty, &mut body);
        }
        let (name, flag) = (self.name("m"), self.name("m"));
        let last = self.scoped(|g| {
            g.declare(&name, ty, Kind::Let(Stage::Run));
            g.declare(&flag, Scalar::Bool, Kind::Let(Stage::Run));
            body(g)
        });
        let modulus = self.random.within(2, 9);
        let open = code("match (").code(first).text(format!(" % {modulus}, ")).code(second);
        let open = open.text(") {\n").code(arms).text(format!("({name}, {flag}) => "));
        open.code(last).text(",\n}")
    }
}

impl Generator {
    /// `{ statements }`.
    pub(super) fn statement_block(&mut self, most: usize) -> Block {
        self.scoped(|g| {
            let n = g.random.within(1, most);
            Block { statements: g.statements(n), ..Block::default() }
        })
    }
}
