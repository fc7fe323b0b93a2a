//! `match` on numbers within tuples and structs: ranges, alternatives that bind, guards, nesting.

use std::rc::Rc;

use super::{Generator, Kind, Stage, Want};
use crate::program::{Code, code};
use crate::types::{Scalar, Struct, Type};

impl Generator {
    /// `match ((a, f), b) { .. }`
    pub(super) fn match_pair(&mut self, mut body: impl FnMut(&mut Generator) -> Code) -> Code {
        let ty = self.int();
        let nested = self.random.chance(50);
        let modulus = self.random.within(2, 12);
        let [first, second] = [(); 2].map(|()| self.scalar(ty, Want::Run, 2).code);
        let mut head = code("match (");
        if nested {
            let flag = self.scalar(Scalar::Bool, Want::Run, 1).code;
            head = head.text("(").code(first).text(format!(" % {modulus}, ")).code(flag).text(")");
        } else {
            head = head.code(first).text(format!(" % {modulus}"));
        }
        let mut out = head.text(", ").code(second).text(format!(" % {modulus}) {{\n"));
        let with = |first: &str, flag: &str, second: &str| match nested {
            true => format!("(({first}, {flag}), {second})"),
            false => format!("({first}, {second})"),
        };
        for _ in 0..self.random.within(1, 3) {
            let flag = *self.random.pick(&["true", "false", "_"]);
            let (name, a, b) = (self.name("m"), self.random.below(6), self.random.within(6, 9));
            if self.random.chance(35) {
                // One of two that bind the same name; such an arm takes no guard.
                let one = with(&name, flag, &a.to_string());
                let other = with(&format!("{a}..={b}"), "_", &name);
                out =
                    self.bound_arm(out, &format!("{one} | {other}"), &[(&name, ty)], 0, &mut body);
                continue;
            }
            let first = format!("{a} | {b}..={}", b + 2);
            let (pattern, names) = match self.random.below(3) {
                0 => (with(&first, flag, &name), vec![(&*name, ty)]),
                1 => (
                    with(&format!("{name} @ ({first})"), flag, &format!("..{b}")),
                    vec![(&*name, ty)],
                ),
                _ => (with("_", flag, &format!("{a}..")), vec![]),
            };
            out = self.bound_arm(out, &pattern, &names, 40, &mut body);
        }
        let (x, flag, y) = (self.name("m"), self.name("m"), self.name("m"));
        let mut names = vec![(&*x, ty), (&*y, ty)];
        if nested {
            names.push((&flag, Scalar::Bool));
        }
        self.bound_arm(out, &with(&x, &flag, &y), &names, 0, &mut body).text("}")
    }

    /// `match S { .. } { S { f0: 1..=3, f1: x, .. } => .., S { f0: y, .. } => .. }`
    pub(super) fn match_struct(
        &mut self,
        of: &Rc<Struct>,
        mut body: impl FnMut(&mut Generator) -> Code,
    ) -> Code {
        let fields: Vec<(String, Scalar)> = of
            .fields
            .iter()
            .filter_map(|(field, ty)| match ty {
                Type::Scalar(scalar) if scalar.is_int() => Some((field.clone(), *scalar)),
                _ => None,
            })
            .collect();
        let scrutinee = self.any(&Type::Struct(of.clone()), Want::Run, 2);
        let mut out = code("match { ").code(scrutinee).text(" } {\n");
        for (field, _) in &fields {
            let (a, name) = (self.random.below(9), self.name("m"));
            let (other, ty) = self.random.pick(&fields).clone();
            let (pattern, names) = match other == *field {
                true => (format!("{field}: {name} @ {a}..={}", a + 7), vec![(&*name, ty)]),
                false => (format!("{field}: {a}.., {other}: {name}"), vec![(&*name, ty)]),
            };
            let pattern = format!("{} {{ {pattern}, .. }}", of.bare());
            out = self.bound_arm(out, &pattern, &names, 40, &mut body);
        }
        out.text("_ => ").code(self.scoped(&mut body)).text(",\n}")
    }

    /// An arm that binds names, with a guard `percent` times of a hundred.
    fn bound_arm(
        &mut self,
        arms: Code,
        pattern: &str,
        names: &[(&str, Scalar)],
        percent: usize,
        body: &mut impl FnMut(&mut Generator) -> Code,
    ) -> Code {
        self.scoped(|g| {
            for (name, ty) in names {
                g.declare(*name, *ty, Kind::Let(Stage::Run));
            }
            let mut arm = arms.text(pattern);
            if g.random.chance(percent) {
                arm = arm.text(" if ").code(g.scalar(Scalar::Bool, Want::Run, 2).code);
            }
            arm.text(" => ").code(body(g)).text(",\n")
        })
    }
}
