//! What is done with arrays: loops and iterators.

use super::{Generator, Kind, Stage, Want};
use crate::program::{Block, Code, code};
use crate::types::{Scalar, Type};

/// An array that a name holds.
#[derive(Clone)]
struct Array {
    name: String,
    element: Type,
    len: usize,
    /// Whether it can be changed.
    mutable: bool,
}

/// What a loop goes over, and what its pattern binds.
struct Over {
    text: String,
    pattern: String,
    bound: Vec<(String, Type, Kind)>,
    /// What the body begins with.
    head: String,
    /// Whether the array is borrowed while the loop runs.
    borrows: Vec<String>,
}

impl Generator {
    fn array(&mut self) -> Option<Array> {
        let found: Vec<Array> = self
            .names
            .iter()
            .enumerate()
            .filter_map(|(i, name)| match (&name.ty, &name.kind) {
                (Type::Array(element, len), Kind::Let(_) | Kind::Variable)
                    if !name.hidden
                        && !self.names[i + 1..].iter().any(|later| later.name == name.name) =>
                {
                    let mutable = name.kind == Kind::Variable && self.pure == 0;
                    let (name, element) = (name.name.clone(), (**element).clone());
                    Some(Array { name, element, len: *len, mutable })
                }
                _ => None,
            })
            .collect();
        (!found.is_empty()).then(|| self.random.pick(&found).clone())
    }

    /// `for` over an array.
    pub(super) fn for_array(&mut self) -> Option<Code> {
        let array = self.array()?;
        let (label, text) = self.label();
        let over = match self.random.below(if array.mutable { 6 } else { 4 }) {
            0 => self.by_value(&array),
            1 => self.zipped(&array),
            2 => self.windows(&array),
            3 => self.by_reference(&array),
            _ => self.changing(&array),
        };
        let n = array.len as u64;
        let Over { text: of, pattern, bound, head, borrows } = over;
        let body = self.hiding(
            |name| borrows.contains(&name.name),
            |g| {
                g.body(label, n, n, |g| {
                    bound.into_iter().for_each(|(name, ty, kind)| g.declare(name, ty, kind));
                })
            },
        );
        let body = Block { head, ..body };
        Some(code(format!("{text}for {pattern} in {of} ")).block(body))
    }

    fn by_value(&mut self, array: &Array) -> Over {
        let item = self.name("e");
        let how = *self.random.pick(&["", ".into_iter()", ".into_iter().rev()"]);
        Over {
            text: array.name.clone() + how,
            pattern: item.clone(),
            bound: vec![(item, array.element.clone(), Kind::Let(Stage::Run))],
            head: String::new(),
            borrows: Vec::new(),
        }
    }

    /// Adaptors that leave the items as they are.
    fn adaptors(&mut self) -> String {
        let n = self.random.below(3);
        let all = [
            ".rev()".to_owned(),
            format!(".skip({n})"),
            format!(".take({})", n + 1),
            format!(".step_by({})", n + 1),
        ];
        (0..self.random.below(3)).map(|_| self.random.pick(&all).as_str()).collect()
    }

    fn by_reference(&mut self, array: &Array) -> Over {
        let (item, index) = (self.name("e"), self.name("i"));
        let from = self.random.below(array.len);
        let start = match self.random.below(4) {
            0 => format!("{}[{from}..]", array.name),
            1 => format!("{}[..{}]", array.name, from + 1),
            _ => array.name.clone(),
        };
        let copied = self.random.chance(25);
        let mut text = format!("{start}.iter(){}", self.adaptors());
        text += if copied { ".copied()" } else { "" };
        let numbered = self.random.chance(40);
        if numbered {
            text += ".enumerate()";
            text += if self.random.chance(40) { ".rev()" } else { "" };
        } else if !copied && text.ends_with(".iter()") && self.random.chance(40) {
            text = format!("&{start}");
        }
        let kind = if copied { Kind::Let(Stage::Run) } else { Kind::Shared };
        let mut bound = vec![(item.clone(), array.element.clone(), kind)];
        let mut pattern = item;
        if numbered {
            pattern = format!("({index}, {pattern})");
            bound.push((index, Scalar::Usize.into(), Kind::Let(Stage::Host)));
        }
        let borrows = vec![array.name.clone()];
        Over { text, pattern, bound, head: String::new(), borrows }
    }

    fn changing(&mut self, array: &Array) -> Over {
        let (item, index) = (self.name("e"), self.name("i"));
        let how = self.random.below(3);
        let text = match how {
            0 => format!("&mut {}", array.name),
            1 => format!("{}.iter_mut()", array.name),
            _ => format!("{}.iter_mut().enumerate()", array.name),
        };
        let mut bound = vec![(item.clone(), array.element.clone(), Kind::Reference)];
        let mut pattern = item;
        if how == 2 {
            pattern = format!("({index}, {pattern})");
            bound.push((index, Scalar::Usize.into(), Kind::Let(Stage::Host)));
        }
        let borrows = vec![array.name.clone()];
        Over { text, pattern, bound, head: String::new(), borrows }
    }

    /// Two arrays at once.
    fn zipped(&mut self, array: &Array) -> Over {
        let Some(other) = self.array() else { return self.by_value(array) };
        let (item, second) = (self.name("e"), self.name("e"));
        let by_value = self.random.chance(30);
        let right = match by_value {
            true => other.name.clone(),
            false => format!("{}.iter(){}", other.name, self.adaptors()),
        };
        let text = format!("{}.iter(){}.zip({right})", array.name, self.adaptors());
        let kind = if by_value { Kind::Let(Stage::Run) } else { Kind::Shared };
        Over {
            text,
            pattern: format!("({item}, {second})"),
            bound: vec![(item, array.element.clone(), Kind::Shared), (second, other.element, kind)],
            head: String::new(),
            borrows: vec![array.name.clone(), other.name],
        }
    }

    /// Neighbours, or parts.
    fn windows(&mut self, array: &Array) -> Over {
        let (item, first, last) = (self.name("w"), self.name("e"), self.name("e"));
        let n = self.random.within(1, array.len);
        let how = *self.random.pick(&["windows", "chunks", "chunks_exact"]);
        let end = match how {
            "chunks" => format!("{item}.len() - 1"),
            _ => (n - 1).to_string(),
        };
        let of = |name: &String| (name.clone(), array.element.clone(), Kind::Let(Stage::Run));
        Over {
            text: format!("{}.{how}({n})", array.name),
            pattern: item.clone(),
            bound: vec![of(&first), of(&last)],
            head: format!("let {first} = {item}[0]; let {last} = {item}[{end}];"),
            borrows: vec![array.name.clone()],
        }
    }

    /// One number of an array's elements.
    pub(super) fn folded(&mut self, ty: Scalar) -> Option<Code> {
        let array = self.array()?;
        let (all, item) = (self.name("all"), self.name("e"));
        // The array is borrowed when the start is evaluated.
        let start = self.purely(|g| g.scalar(ty, Want::Run, 1).code);
        let sums = !ty.is_half() && self.random.chance(40);
        let adaptors = self.adaptors();
        let n = array.len as u64;
        let step = self.repeating(n, n, |g| {
            g.scoped(|g| {
                g.purely(|g| {
                    g.hiding(
                        |name| !matches!(name.kind, Kind::Let(_)),
                        |g| {
                            g.declare(&item, array.element.clone(), Kind::Shared);
                            if !sums {
                                g.declare(&all, ty, Kind::Let(Stage::Run));
                            }
                            g.apart(|g| g.scalar(ty, Want::Run, 3).code)
                        },
                    )
                })
            })
        });
        let open = code(format!("{}.iter(){adaptors}", array.name));
        if sums {
            let how = *self.random.pick(&["sum", "product"]);
            let open = open.text(format!(".map(|{item}| ")).code(step);
            return Some(open.text(format!(").{how}::<{ty}>()")));
        }
        let open = open.text(".fold(").code(start).text(format!(", |{all}, {item}| "));
        Some(open.code(step).text(")"))
    }
}
