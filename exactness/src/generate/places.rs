//! Names and the parts of what they hold.

use super::{Ex, Generator, Kind, Name, Stage, Want};
use crate::program::{Code, code};
use crate::types::{Scalar, Type};

/// A step from a value to a part of it.
#[derive(Clone)]
enum Step {
    Field(String),
    Index(usize),
    /// Of a slice, which is not empty.
    Element,
}

/// The ways to the parts of `from` that have type `to`.
fn ways(from: &Type, to: &Type, way: &mut Vec<Step>, found: &mut Vec<Vec<Step>>) {
    if from == to {
        found.push(way.clone());
    }
    let mut go = |step, part: &Type| {
        way.push(step);
        ways(part, to, way, found);
        way.pop();
    };
    from.fields().into_iter().for_each(|(field, part)| go(Step::Field(field), &part));
    if let Type::Array(element, len) = from {
        go(Step::Index(*len), element);
    }
    if let Type::Slice(element) = from {
        go(Step::Element, &(*element).into());
    }
}

impl Name {
    fn is_readable(&self) -> bool {
        !self.hidden && !matches!(self.kind, Kind::Closure { .. } | Kind::Maybe { .. })
    }

    fn is_assignable(&self) -> bool {
        !self.hidden && matches!(self.kind, Kind::Variable | Kind::Reference)
    }
}

impl Generator {
    /// Names and ways to a type. A name that is shadowed is not there.
    fn parts(&self, ty: &Type, which: impl Fn(&Name) -> bool) -> Vec<(usize, Vec<Step>)> {
        let mut found = Vec::new();
        for (i, name) in self.names.iter().enumerate() {
            let shadowed = self.names[i + 1..].iter().any(|later| later.name == name.name);
            if !shadowed && which(name) {
                let mut here = Vec::new();
                ways(&name.ty, ty, &mut Vec::new(), &mut here);
                found.extend(here.into_iter().map(|way| (i, way)));
            }
        }
        found
    }

    /// A part of a name, as an expression.
    fn part(&mut self, name: usize, way: &[Step]) -> Code {
        let Name { name, kind, .. } = self.names[name].clone();
        let referenced = matches!(kind, Kind::Reference | Kind::Shared);
        let mut out = match way {
            [] if referenced => code(format!("(*{name})")),
            _ => code(&name),
        };
        for step in way {
            out = match step {
                Step::Field(i) => out.text(format!(".{i}")),
                Step::Index(len) => {
                    let index = self.index(*len);
                    out.text("[").code(index).text("]")
                }
                Step::Element => {
                    let index = self.unbounded_index();
                    out.text("[").code(index).text(format!(" % {name}.len()]"))
                }
            };
        }
        out
    }

    /// An index into an array.
    fn index(&mut self, len: usize) -> Code {
        if self.random.chance(30) {
            return code(self.random.below(len));
        }
        let index = self.unbounded_index();
        let reduce = if len.is_power_of_two() && self.random.chance(50) {
            format!(" & {}", len - 1)
        } else {
            format!(" % {len}")
        };
        index.text(reduce)
    }

    /// A `usize`.
    pub(super) fn unbounded_index(&mut self) -> Code {
        if self.random.chance(33) {
            return self.scalar(Scalar::Usize, Want::Any, 1).code;
        }
        let ty = *self.random.pick(&[Scalar::U32, Scalar::I32, Scalar::U8]);
        let e = self.scalar(ty, Want::Any, 1).code;
        code("(").code(e).text(" as usize)")
    }

    /// A name, or a part of what it holds; `None` if there is none of this type.
    pub(super) fn read(&mut self, ty: &Type, want: Want) -> Option<Ex> {
        let found = self.parts(ty, |name| {
            name.is_readable() && (want == Want::Any || name.kind != Kind::Let(Stage::Host))
        });
        if found.is_empty() {
            return None;
        }
        // Late names more often than early ones.
        let at = self.random.below(found.len()).max(self.random.below(found.len()));
        let (name, way) = &found[at];
        let stage = match self.names[*name].kind {
            Kind::Let(stage) => stage,
            _ => Stage::Run,
        };
        Some(Ex { code: self.part(*name, way), stage })
    }

    /// What can be assigned, and the name it is part of.
    pub(super) fn assignable(&mut self, ty: &Type) -> Option<(Code, usize)> {
        if self.pure > 0 {
            return None;
        }
        let found = self.parts(ty, Name::is_assignable);
        if found.is_empty() {
            return None;
        }
        let (name, way) = self.random.pick(&found).clone();
        Some((self.part(name, &way), name))
    }

    /// `&mut` of a part of a name other than `taken`, and the name. All indices are literals or
    /// names that stay as they are.
    pub(super) fn lendable(&mut self, ty: &Type, taken: &[usize]) -> Option<(Code, usize)> {
        if self.pure > 0 {
            return None;
        }
        let mut found = self.parts(ty, Name::is_assignable);
        found.retain(|(name, _)| !taken.contains(name));
        if found.is_empty() {
            return None;
        }
        let (name, way) = self.random.pick(&found).clone();
        if let Type::Slice(_) = ty {
            return Some((self.slice_argument(name, "&mut ", taken), name));
        }
        if way.is_empty() && self.names[name].kind == Kind::Reference {
            return Some((code(&self.names[name].name), name));
        }
        let lent = taken.iter().chain([&name]).map(|&at| self.names[at].name.clone());
        let lent: Vec<String> = lent.collect();
        let part = self.hiding(|n| lent.contains(&n.name), |g| g.purely(|g| g.part(name, &way)));
        Some((code("&mut ").code(part), name))
    }

    /// `&` of a part of a name other than `taken`, and the name.
    pub(super) fn shareable(&mut self, ty: &Type, taken: &[usize]) -> Option<(Code, usize)> {
        let mut found =
            self.parts(ty, |name| name.is_readable() && name.kind != Kind::Let(Stage::Host));
        found.retain(|(name, _)| !taken.contains(name));
        if found.is_empty() {
            return None;
        }
        let (name, way) = self.random.pick(&found).clone();
        if let Type::Slice(_) = ty {
            return Some((self.slice_argument(name, "&", taken), name));
        }
        if way.is_empty() && self.names[name].kind == Kind::Shared {
            return Some((code(&self.names[name].name), name));
        }
        let lent: Vec<String> =
            taken.iter().chain([&name]).map(|&at| self.names[at].name.clone()).collect();
        let part = self.hiding(|n| lent.contains(&n.name), |g| g.purely(|g| g.part(name, &way)));
        Some((code("&").code(part), name))
    }

    /// The scalars that names hold now, with literal indices.
    pub(super) fn live(&self) -> Vec<(String, Scalar)> {
        let mut out = Vec::new();
        for (i, name) in self.names.iter().enumerate() {
            let shadowed = self.names[i + 1..].iter().any(|later| later.name == name.name);
            if !shadowed && name.is_readable() && name.kind != Kind::Let(Stage::Host) {
                let text = match name.kind {
                    _ if matches!(name.ty, Type::Slice(_)) => name.name.clone(),
                    Kind::Reference | Kind::Shared => format!("(*{})", name.name),
                    _ => name.name.clone(),
                };
                leaves(&name.ty, text, &mut out);
            }
        }
        out
    }
}

fn leaves(ty: &Type, text: String, out: &mut Vec<(String, Scalar)>) {
    match ty {
        _ if ty.opaque().is_some() => {}
        Type::Scalar(scalar) => out.push((text, *scalar)),
        Type::Enum(_) => out.push((format!("({text} as i32)"), Scalar::I32)),
        Type::Slice(element) => {
            out.push((format!("{text}[0]"), *element));
            out.push((format!("{text}[{text}.len() - 1]"), *element));
            out.push((format!("{text}.len()"), Scalar::Usize));
        }
        Type::Tuple(_) | Type::Struct(_) => {
            let fields = ty.fields();
            fields.iter().for_each(|(field, part)| leaves(part, format!("{text}.{field}"), out));
        }
        Type::Array(element, len) => {
            (0..*len).for_each(|i| leaves(element, format!("{text}[{i}]"), out));
        }
    }
}
