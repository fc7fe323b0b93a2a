//! Programs as text in which statements can be dropped.

use std::fmt::{self, Display, Write};

use crate::types::Scalar;

/// Source text with blocks in it.
#[derive(Clone, Default, Debug)]
pub struct Code(Vec<Piece>);

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Block(Block),
}

/// `{ statements; value }`.
#[derive(Clone, Default, Debug)]
pub struct Block {
    /// What always comes first: a loop's count, without which it would not end.
    pub head: String,
    /// The statements, any of which may be dropped if the rest still compiles.
    pub statements: Vec<Code>,
    /// The value.
    pub tail: Option<Code>,
}

impl Code {
    /// Adds text.
    pub fn text(mut self, text: impl Display) -> Code {
        match self.0.last_mut() {
            Some(Piece::Text(last)) => {
                write!(last, "{text}").expect("a String takes all text");
            }
            _ => self.0.push(Piece::Text(text.to_string())),
        }
        self
    }

    /// Adds code.
    pub fn code(mut self, other: Code) -> Code {
        for piece in other.0 {
            match piece {
                Piece::Text(text) => self = self.text(text),
                block => self.0.push(block),
            }
        }
        self
    }

    /// Adds a block.
    pub fn block(mut self, block: Block) -> Code {
        self.0.push(Piece::Block(block));
        self
    }

    /// The code without text that it begins with.
    pub fn without_prefix(mut self, prefix: &str) -> Code {
        if let Some(Piece::Text(first)) = self.0.first_mut()
            && let Some(rest) = first.strip_prefix(prefix)
        {
            *first = rest.to_owned();
        }
        self
    }

    /// Whether it may be a name or a part of what one holds.
    pub fn is_place(&self) -> bool {
        let text = self.to_string();
        let named = text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
        text.starts_with("(*") || named && !text.ends_with([')', '}'])
    }

    /// The code of a function with one more parameter, as the first.
    pub fn with_parameter(mut self, parameter: &str) -> Code {
        if let Some(Piece::Text(first)) = self.0.first_mut()
            && let Some(at) = first.find('(')
        {
            first.insert_str(at + 1, parameter);
        }
        self
    }

    fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Block(block) => Some(block),
            Piece::Text(_) => None,
        })
    }

    fn statements(&self) -> usize {
        self.blocks().map(Block::statements).sum()
    }

    fn print(&self, indent: usize, out: &mut String) {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Block(block) => block.print(indent, out),
            }
        }
    }

    fn without(&self, dropped: &mut dyn FnMut() -> bool) -> Code {
        let pieces = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => Piece::Text(text.clone()),
            Piece::Block(block) => Piece::Block(block.without(dropped)),
        });
        Code(pieces.collect())
    }
}

impl Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        self.print(0, &mut out);
        f.write_str(&out)
    }
}

/// Code of text alone.
pub fn code(text: impl Display) -> Code {
    Code::default().text(text)
}

impl Block {
    /// The number of statements, those of blocks within included.
    pub fn statements(&self) -> usize {
        let nested = self.statements.iter().chain(&self.tail).map(Code::statements);
        self.statements.len() + nested.sum::<usize>()
    }

    fn print(&self, indent: usize, out: &mut String) {
        if self.statements.is_empty() && self.tail.is_none() && self.head.is_empty() {
            out.push_str("{}");
            return;
        }
        out.push_str("{\n");
        let head = (!self.head.is_empty()).then(|| code(&self.head));
        for line in head.iter().chain(&self.statements).chain(&self.tail) {
            out.extend(std::iter::repeat_n(' ', indent + 4));
            line.print(indent + 4, out);
            out.push('\n');
        }
        out.extend(std::iter::repeat_n(' ', indent));
        out.push('}');
    }

    /// The block without the statements that `dropped` says, which is asked for each in turn, first
    /// for a statement, then for those in it.
    fn without(&self, dropped: &mut dyn FnMut() -> bool) -> Block {
        let mut statements = Vec::new();
        for statement in &self.statements {
            let drop = dropped();
            let inner = statement.without(dropped);
            if !drop {
                statements.push(inner);
            }
        }
        let tail = self.tail.as_ref().map(|tail| tail.without(dropped));
        Block { head: self.head.clone(), statements, tail }
    }
}

/// Which of its two lives a program is written for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// For kernels: items have the attributes of the kernel language.
    Kernel,
    /// Plain Rust: the same items without them.
    Plain,
}

/// What marks an item in kernels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mark {
    /// `#[device]`.
    Device,
    /// A struct of run-time values.
    Struct,
    /// An enum of which a run-time value says the variant.
    Enum,
    /// Nothing.
    None,
}

/// A function, type, trait or implementation.
#[derive(Clone, Debug)]
pub struct Item {
    /// What marks it.
    pub mark: Mark,
    /// The item.
    pub code: Code,
}

impl Item {
    fn attributes(&self, form: Form) -> &'static str {
        match (self.mark, form) {
            (Mark::Device, Form::Kernel) => "#[device]\n",
            (Mark::Struct, Form::Kernel) => "#[derive(KernelValue, Clone, Copy)]\n",
            (Mark::Struct, Form::Plain) => "#[derive(Clone, Copy)]\n",
            (Mark::Enum, Form::Kernel) => "#[derive(KernelValue, Clone, Copy, PartialEq, Debug)]\n",
            (Mark::Enum, Form::Plain) => "#[derive(Clone, Copy, PartialEq, Debug)]\n",
            (Mark::None, _) | (Mark::Device, Form::Plain) => "",
        }
    }
}

/// Elements of the memory of one row, at most.
pub const ELEMENTS: usize = 8;

/// A slice that a program is given, of 1 to [`ELEMENTS`] elements.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Memory {
    /// The type of the elements.
    pub element: Scalar,
    /// Whether it is `&mut [T]`.
    pub changes: bool,
}

/// A program: a function that can be a kernel's whole work, and those it calls.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its name: that of its main function.
    pub name: String,
    /// The items, the main function last.
    pub items: Vec<Item>,
    /// The types of the parameters of the main function.
    pub inputs: Vec<Scalar>,
    /// Memory that it is given after these parameters.
    pub memory: Vec<Memory>,
    /// The types of its results: a tuple.
    pub outputs: Vec<Scalar>,
    /// Whether the last result is that of a transcendental function, with a tolerance.
    pub approximate: bool,
}

impl Program {
    /// The number of statements.
    pub fn statements(&self) -> usize {
        self.items.iter().map(|item| item.code.statements()).sum()
    }

    /// The program without some statements, by their numbers.
    pub fn without(&self, dropped: &[usize]) -> Program {
        let mut next = 0;
        let mut ask = || {
            next += 1;
            dropped.contains(&(next - 1))
        };
        let items = self
            .items
            .iter()
            .map(|item| Item { mark: item.mark, code: item.code.without(&mut ask) });
        Program { items: items.collect(), ..self.clone() }
    }

    /// The source text.
    pub fn text(&self, form: Form) -> String {
        let items = self.items.iter();
        let text: String =
            items.map(|item| format!("{}{}\n\n", item.attributes(form), item.code)).collect();
        match form {
            Form::Kernel => text,
            // Those of `half` do not round once (`trial::plain`).
            Form::Plain => text.replace("f16::from_f64(", "f16_from_f64("),
        }
    }
}

impl Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(Form::Kernel))
    }
}
