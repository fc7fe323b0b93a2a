//! Messages with values in them: what `device_print!` and `device_assert!` say.
//!
//! A message is put together on the host, from values that come back from the device as bits. Its
//! text form, which is what kernels hold, is a format string whose holes begin with the type of
//! their value: `x = {f32:>8.3} of {u64}`. Behind the colon stands what `std::fmt` has there;
//! `{{` and `}}` are braces.

mod render;

use std::fmt::{self, Display, Write};
use std::str::FromStr;

use crate::types::Scalar;

/// A part of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Piece {
    /// Text as it is.
    Text(String),
    /// A value.
    Value(Hole),
}

/// Where a value stands, and how it is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hole {
    /// The value's type: `bool` or a number.
    pub ty: Scalar,
    /// How it is written.
    pub spec: Spec,
}

/// The side on which a value that is narrower than its width stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Align {
    /// `<`.
    Left,
    /// `^`.
    Center,
    /// `>`.
    Right,
}

/// The trait of `std::fmt` that writes a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Form {
    /// `{}`.
    #[default]
    Display,
    /// `{:?}`.
    Debug,
    /// `{:x}`.
    LowerHex,
    /// `{:X}`.
    UpperHex,
    /// `{:o}`.
    Octal,
    /// `{:b}`.
    Binary,
    /// `{:e}`.
    LowerExp,
    /// `{:E}`.
    UpperExp,
}

impl Form {
    const ALL: [(Form, &'static str); 8] = [
        (Form::Display, ""),
        (Form::Debug, "?"),
        (Form::LowerHex, "x"),
        (Form::UpperHex, "X"),
        (Form::Octal, "o"),
        (Form::Binary, "b"),
        (Form::LowerExp, "e"),
        (Form::UpperExp, "E"),
    ];

    fn suffix(self) -> &'static str {
        Form::ALL.into_iter().find(|(form, _)| *form == self).map_or("", |(_, suffix)| suffix)
    }

    /// Whether values of a type are written so, as `std` has it.
    pub fn is_for(self, ty: Scalar) -> bool {
        match self {
            Form::Display | Form::Debug => ty == Scalar::Bool || ty.is_num(),
            Form::LowerExp | Form::UpperExp => ty.is_num(),
            _ => ty.is_int(),
        }
    }
}

/// What stands behind the colon in a format string's hole, as in `std::fmt`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spec {
    /// What fills up to the width.
    pub fill: char,
    /// Where a narrow value stands; `None`: numbers right, `bool` left.
    pub align: Option<Align>,
    /// `+`.
    pub plus: bool,
    /// `#`.
    pub alternate: bool,
    /// `0`.
    pub zero: bool,
    /// The least number of characters.
    pub width: Option<u16>,
    /// Digits behind the point.
    pub precision: Option<u16>,
    /// The trait.
    pub form: Form,
}

impl Default for Spec {
    fn default() -> Spec {
        Spec {
            fill: ' ',
            align: None,
            plus: false,
            alternate: false,
            zero: false,
            width: None,
            precision: None,
            form: Form::Display,
        }
    }
}

/// A message.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Message {
    /// Its parts, in order.
    pub pieces: Vec<Piece>,
}

/// A text that is no message.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{0}` is no message: expected text and holes such as `{{f32}}` or `{{u64:>8x}}`")]
pub struct NoMessage(pub String);

impl Message {
    /// A message of text alone.
    pub fn text(text: impl Into<String>) -> Message {
        Message { pieces: vec![Piece::Text(text.into())] }
    }

    /// Its holes, in order.
    pub fn holes(&self) -> impl Iterator<Item = &Hole> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Value(hole) => Some(hole),
            Piece::Text(_) => None,
        })
    }

    /// The message with values in its holes, each as bits of its type; missing ones are `?`.
    pub fn fill(&self, values: impl IntoIterator<Item = u64>) -> String {
        let mut values = values.into_iter();
        let mut out = String::new();
        for piece in &self.pieces {
            match (piece, piece.is_hole().then(|| values.next()).flatten()) {
                (Piece::Text(text), _) => out.push_str(text),
                (Piece::Value(hole), Some(bits)) => out.push_str(&hole.write(bits)),
                (Piece::Value(_), None) => out.push('?'),
            }
        }
        out
    }
}

impl Piece {
    fn is_hole(&self) -> bool {
        matches!(self, Piece::Value(_))
    }
}

impl Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => {
                    f.write_str(&text.replace('{', "{{").replace('}', "}}"))?;
                }
                Piece::Value(Hole { ty, spec }) => match spec.to_string() {
                    spec if spec.is_empty() => write!(f, "{{{ty}}}")?,
                    spec => write!(f, "{{{ty}:{spec}}}")?,
                },
            }
        }
        Ok(())
    }
}

impl FromStr for Message {
    type Err = NoMessage;

    fn from_str(text: &str) -> Result<Message, NoMessage> {
        let wrong = || NoMessage(text.to_owned());
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = &rest[at..at + 1];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                plain.push_str(brace);
                rest = after;
                continue;
            }
            let (hole, after) = rest.split_once('}').filter(|_| brace == "{").ok_or_else(wrong)?;
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::Value(hole_of(hole).ok_or_else(wrong)?));
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Message { pieces })
    }
}

fn hole_of(text: &str) -> Option<Hole> {
    let (ty, spec) = text.split_once(':').unwrap_or((text, ""));
    let hole = Hole { ty: Scalar::from_name(ty)?, spec: spec_of(spec)? };
    hole.spec.form.is_for(hole.ty).then_some(hole)
}

impl Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(align) = self.align {
            if self.fill != ' ' {
                f.write_char(self.fill)?;
            }
            f.write_char(match align {
                Align::Left => '<',
                Align::Center => '^',
                Align::Right => '>',
            })?;
        }
        for (set, flag) in [(self.plus, '+'), (self.alternate, '#'), (self.zero, '0')] {
            if set {
                f.write_char(flag)?;
            }
        }
        if let Some(width) = self.width {
            write!(f, "{width}")?;
        }
        if let Some(precision) = self.precision {
            write!(f, ".{precision}")?;
        }
        f.write_str(self.form.suffix())
    }
}

/// The grammar of `std::fmt`, "Syntax".
fn spec_of(text: &str) -> Option<Spec> {
    let align = |c: char| match c {
        '<' => Some(Align::Left),
        '^' => Some(Align::Center),
        '>' => Some(Align::Right),
        _ => None,
    };
    let mut spec = Spec::default();
    let mut rest = text;
    let mut chars = text.chars();
    let (first, second) = (chars.next(), chars.next());
    if let (Some(fill), Some(found)) = (first, second.and_then(align)) {
        (spec.fill, spec.align) = (fill, Some(found));
        rest = chars.as_str();
    } else if let Some(found) = first.and_then(align) {
        spec.align = Some(found);
        rest = &text[1..];
    }
    for (set, flag) in [(&mut spec.plus, '+'), (&mut spec.alternate, '#'), (&mut spec.zero, '0')] {
        if let Some(after) = rest.strip_prefix(flag) {
            (*set, rest) = (true, after);
        }
    }
    (spec.width, rest) = number(rest);
    if let Some(after) = rest.strip_prefix('.') {
        (spec.precision, rest) = number(after);
        spec.precision?;
    }
    (spec.form, _) = Form::ALL.into_iter().find(|(_, suffix)| *suffix == rest)?;
    Some(spec)
}

fn number(text: &str) -> (Option<u16>, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (text[..end].parse().ok(), &text[end..])
}
