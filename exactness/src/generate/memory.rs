//! Memory of which only the running kernel knows the length: `&[T]` and `&mut [T]`, parts of them,
//! and iterators over them. No slice is empty, so that an index can be made for it.

use super::{Generator, How, Kind, Name, Param, Stage, Want};
use crate::program::{Block, Code, Memory, code};
use crate::types::{Scalar, Type};

/// Elements that a slice has, at most.
const MOST: u64 = crate::program::ELEMENTS as u64;

impl Generator {
    /// The memory that a program is given.
    pub(super) fn new_memory(&mut self) -> Vec<Memory> {
        if !self.random.chance(45) {
            return Vec::new();
        }
        let memory = (0..self.random.within(1, 2))
            .map(|_| Memory { element: self.number(), changes: self.random.chance(60) });
        let memory: Vec<Memory> = memory.collect();
        self.memory = memory.iter().map(|of| of.element).collect();
        memory
    }

    /// A parameter for it.
    pub(super) fn memory_param(of: &Memory) -> Param {
        let how = if of.changes { How::Changed } else { How::Shared };
        Param { ty: Type::Slice(of.element), how }
    }

    /// The type of a slice that some function may have.
    pub(super) fn slice_type(&mut self) -> Option<Type> {
        (!self.memory.is_empty()).then(|| Type::Slice(*self.random.pick(&self.memory)))
    }

    /// A slice that a name stands for.
    fn slice(&mut self, changed: bool) -> Option<(Name, Scalar)> {
        let found: Vec<(Name, Scalar)> = self
            .names
            .iter()
            .filter_map(|name| match name.ty {
                Type::Slice(element) if !name.hidden => Some((name.clone(), element)),
                _ => None,
            })
            .filter(|(name, _)| !changed || self.pure == 0 && name.kind == Kind::Reference)
            .collect();
        (!found.is_empty()).then(|| self.random.pick(&found).clone())
    }

    /// `a`, `a[lo..]` or `a[..hi]`, without `&`, given the length as an expression.
    fn part_of_slice(&mut self, name: &str, len: &str) -> Code {
        match self.random.below(4) {
            0 => {
                let low = self.unbounded_index();
                code(format!("{name}[")).code(low).text(format!(" % {len}..]"))
            }
            1 => {
                let high = self.unbounded_index();
                code(format!("{name}[..(")).code(high).text(format!(" % {len}) + 1]"))
            }
            2 => code(format!("{name}[{len}.min({}) - 1..]", self.random.within(1, 6))),
            _ => code(name),
        }
    }

    /// The same while nothing of it can be named; first what the length is called, if it has to be:
    /// what is borrowed to change has none.
    fn borrowed_part(&mut self, name: &str, changes: bool) -> (String, Code) {
        let len = if changes { self.name("n") } else { format!("{name}.len()") };
        let part = self.hiding(|n| n.name == name, |g| g.purely(|g| g.part_of_slice(name, &len)));
        let head = if changes { format!("let {len} = {name}.len(); ") } else { String::new() };
        (head, part)
    }

    /// A slice as an argument: all of it or a part.
    pub(super) fn slice_argument(&mut self, name: usize, borrow: &str, taken: &[usize]) -> Code {
        let lent = taken.iter().chain([&name]).map(|&at| self.names[at].name.clone());
        let lent: Vec<String> = lent.collect();
        let Name { name, kind, .. } = self.names[name].clone();
        let part = match borrow {
            // Of what is borrowed to change the length is not to be had.
            "&mut " => code(&name).text(self.random.pick(&["", "[..]", "[..1]", "[0..]"])),
            _ => {
                let len = format!("{name}.len()");
                self.hiding(
                    |n| lent.contains(&n.name),
                    |g| g.purely(|g| g.part_of_slice(&name, &len)),
                )
            }
        };
        if part.to_string() != name {
            return code(borrow).code(part);
        }
        match kind == Kind::Shared || borrow == "&mut " {
            true => part,
            false => code(borrow).code(part).text("[..]"),
        }
    }

    /// Adaptors that leave the items as they are, of amounts that may be known only at run time.
    fn memory_adaptors(&mut self) -> Code {
        let mut out = code("");
        for _ in 0..self.random.below(3) {
            if self.random.chance(30) {
                out = out.text(".rev()");
                continue;
            }
            let (name, least) = *self.random.pick(&[("skip", 0), ("take", 0), ("step_by", 1)]);
            out = match self.random.chance(50) {
                true => out.text(format!(".{name}({})", self.random.within(least, 4))),
                false => {
                    let e = self.purely(|g| g.unbounded_index());
                    out.text(format!(".{name}((")).code(e).text(format!(" & 3) + {least})"))
                }
            };
        }
        out
    }

    /// `for` over a slice.
    pub(super) fn for_memory(&mut self) -> Option<Code> {
        let changes = self.random.chance(40);
        let (of, element) = self.slice(changes)?;
        let (label, text) = self.label();
        let (item, index) = (self.name("e"), self.name("i"));
        let (head, start) = self.borrowed_part(&of.name, changes);
        let how = if changes { ".iter_mut()" } else { ".iter()" };
        let adaptors = self.hiding(|name| name.name == of.name, Generator::memory_adaptors);
        let mut over = start.text(how).code(adaptors);
        let mut kind = if changes { Kind::Reference } else { Kind::Shared };
        let mut pattern = item.clone();
        let mut hidden = vec![of.name.clone()];
        if !changes && self.random.chance(30) {
            over = over.text(".copied()");
            kind = Kind::Let(Stage::Run);
        } else if !changes && self.random.chance(30) {
            pattern = format!("&{item}");
            kind = Kind::Let(Stage::Run);
        }
        let mut bound = vec![(item, Type::from(element), kind)];
        match self.random.below(4) {
            0 => {
                over = over.text(".enumerate()");
                pattern = format!("({index}, {pattern})");
                bound.push((index, Scalar::Usize.into(), Kind::Let(Stage::Run)));
            }
            1 => {
                let other = self.hiding(|name| name.name == of.name, |g| g.slice(false));
                if let Some((other, element)) = other {
                    over = over.text(format!(".zip({}.iter()", other.name));
                    let hide = [&of.name, &other.name];
                    let adaptors =
                        self.hiding(|name| hide.contains(&&name.name), Generator::memory_adaptors);
                    over = over.code(adaptors).text(")");
                    pattern = format!("({pattern}, {index})");
                    bound.push((index, element.into(), Kind::Shared));
                    hidden.push(other.name);
                }
            }
            _ => {}
        }
        // What is only read may be read within, too.
        let body = self.hiding(
            |name| hidden.contains(&name.name) && (changes || name.kind != Kind::Shared),
            |g| {
                g.body(label, MOST, 1, |g| {
                    bound.into_iter().for_each(|(name, ty, kind)| g.declare(name, ty, kind));
                })
            },
        );
        let (open, close) = if head.is_empty() { ("", "") } else { ("{ ", " }") };
        let out = code(format!("{open}{head}{text}for {pattern} in ")).code(over).text(" ");
        Some(out.block(body).text(close))
    }

    /// What a closure makes of an item, and perhaps of what there was before.
    fn of_items(&mut self, ty: Scalar, known: &[(&str, Scalar, Kind)]) -> Code {
        self.repeating(MOST, 1, |g| {
            g.scoped(|g| {
                g.purely(|g| {
                    g.hiding(
                        |name| !matches!(name.kind, Kind::Let(_)),
                        |g| {
                            for (name, ty, kind) in known {
                                g.declare(*name, *ty, kind.clone());
                            }
                            g.apart(|g| g.scalar(ty, Want::Run, 3).code)
                        },
                    )
                })
            })
        })
    }

    /// `a.iter()` with adaptors.
    fn items(&mut self) -> Option<(Code, Scalar)> {
        let (of, element) = self.slice(false)?;
        let (_, start) = self.borrowed_part(&of.name, false);
        Some((start.text(".iter()").code(self.memory_adaptors()), element))
    }

    /// One number of the elements of a slice.
    pub(super) fn folded_memory(&mut self, ty: Scalar) -> Option<Code> {
        let (over, element) = self.items()?;
        let (item, all) = (self.name("e"), self.name("all"));
        if element == ty && ty.is_int() && self.random.chance(40) {
            let least = *self.random.pick(&["min", "max"]);
            let mapped = match self.random.chance(40) {
                true => {
                    let of = self.of_items(ty, &[(&item, element, Kind::Shared)]);
                    over.text(format!(".map(|{item}| ")).code(of).text(")")
                }
                false => over.text(".copied()"),
            };
            let other = self.scalar(ty, Want::Run, 1).code;
            return Some(mapped.text(format!(".{least}().unwrap_or(")).code(other).text(")"));
        }
        if ty == Scalar::Usize && self.random.chance(40) {
            let holds = self.of_items(Scalar::Bool, &[(&item, element, Kind::Let(Stage::Run))]);
            let found = over.text(format!(".position(|&{item}| ")).code(holds);
            return Some(found.text(format!(").unwrap_or({})", self.random.below(99))));
        }
        let start = self.purely(|g| g.scalar(ty, Want::Run, 1).code);
        let of = [(&*all, ty, Kind::Let(Stage::Run)), (&*item, element, Kind::Shared)];
        let step = self.of_items(ty, &of);
        let open = over.text(".fold(").code(start).text(format!(", |{all}, {item}| "));
        Some(open.code(step).text(")"))
    }

    /// Whether something holds for any element of a slice, or for all.
    pub(super) fn any_element(&mut self) -> Option<Code> {
        let (over, element) = self.items()?;
        let item = self.name("e");
        let holds = self.of_items(Scalar::Bool, &[(&item, element, Kind::Shared)]);
        let how = *self.random.pick(&["any", "all"]);
        Some(over.text(format!(".{how}(|{item}| ")).code(holds).text(")"))
    }

    /// A name for a part of a slice, used in a block.
    pub(super) fn slice_statement(&mut self) -> Code {
        let changes = self.random.chance(40);
        let Some((of, element)) = self.slice(changes) else { return self.let_statement() };
        let (length, part) = self.borrowed_part(&of.name, changes);
        let part = match part.to_string() == of.name {
            true => part.text("[..]"),
            false => part,
        };
        let name = self.name("w");
        let (borrow, kind) = match changes {
            true => ("&mut ", Kind::Reference),
            false => ("&", Kind::Shared),
        };
        let body = self.hiding(
            |n| n.name == of.name,
            |g| {
                g.scoped(|g| {
                    g.declare(&name, Type::Slice(element), kind);
                    let n = g.random.within(1, 3);
                    Block { statements: g.statements(n), ..Block::default() }
                })
            },
        );
        // The name stays when statements are dropped.
        let head = code(format!("{length}let {name} = {borrow}")).code(part).text(";").to_string();
        code("").block(Block { head, ..body })
    }
}
