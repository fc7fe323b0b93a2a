//! The types of generated programs.

use std::fmt::{self, Display};
use std::rc::Rc;

/// A type of numbers, or `bool`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Scalar {
    Bool,
    I8,
    I16,
    I32,
    I64,
    Isize,
    U8,
    U16,
    U32,
    U64,
    Usize,
    F16,
    BF16,
    F32,
    F64,
}

use Scalar::*;

impl Scalar {
    /// All integers.
    pub const INTS: [Scalar; 10] = [I8, I16, I32, I64, Isize, U8, U16, U32, U64, Usize];
    /// The floats that Rust has itself.
    pub const FLOATS: [Scalar; 2] = [F32, F64];
    /// The floats of the `half` crate.
    pub const HALVES: [Scalar; 2] = [F16, BF16];

    /// Whether this is an integer.
    pub fn is_int(self) -> bool {
        Scalar::INTS.contains(&self)
    }

    /// Whether this is `f32` or `f64`.
    pub fn is_float(self) -> bool {
        Scalar::FLOATS.contains(&self)
    }

    /// Whether this is `f16` or `bf16`.
    pub fn is_half(self) -> bool {
        Scalar::HALVES.contains(&self)
    }

    /// Whether this is a number that has negatives.
    pub fn is_signed(self) -> bool {
        matches!(self, I8 | I16 | I32 | I64 | Isize | F16 | BF16 | F32 | F64)
    }

    /// The width in bits.
    pub fn bits(self) -> u32 {
        match self {
            Bool | I8 | U8 => 8,
            I16 | U16 | F16 | BF16 => 16,
            I32 | U32 | F32 => 32,
            I64 | Isize | U64 | Usize | F64 => 64,
        }
    }

    /// The name in Rust.
    pub fn name(self) -> &'static str {
        match self {
            Bool => "bool",
            I8 => "i8",
            I16 => "i16",
            I32 => "i32",
            I64 => "i64",
            Isize => "isize",
            U8 => "u8",
            U16 => "u16",
            U32 => "u32",
            U64 => "u64",
            Usize => "usize",
            F16 => "f16",
            BF16 => "bf16",
            F32 => "f32",
            F64 => "f64",
        }
    }
}

impl Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A struct.
#[derive(PartialEq, Eq, Debug)]
pub struct Struct {
    /// Its name.
    pub name: String,
    /// Names and types of the fields; of a tuple struct, numbers.
    pub fields: Vec<(String, Type)>,
    /// Of a type parameter: what is known of it.
    pub opaque: Option<Opaque>,
}

/// A type parameter, or a type associated with one.
#[derive(PartialEq, Eq, Debug)]
pub struct Opaque {
    /// An expression of the type.
    pub value: String,
    /// The operators it has.
    pub operators: &'static [&'static str],
}

impl Struct {
    /// The name without arguments, as in patterns.
    pub fn bare(&self) -> &str {
        self.name.split('<').next().unwrap_or_default()
    }

    /// The name as in expressions: `S::<2>`.
    pub fn path(&self) -> String {
        self.name.replacen('<', "::<", 1)
    }

    /// Whether the fields are numbered.
    pub fn is_tuple(&self) -> bool {
        self.fields.first().is_some_and(|(name, _)| name == "0")
    }
}

/// An enum without payload.
#[derive(PartialEq, Eq, Debug)]
pub struct Enum {
    /// Its name.
    pub name: String,
    /// The variants' names.
    pub variants: Vec<String>,
}

/// A type.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Type {
    Scalar(Scalar),
    Tuple(Vec<Type>),
    Array(Box<Type>, usize),
    Struct(Rc<Struct>),
    Enum(Rc<Enum>),
    /// `[T]`, of which there are references only.
    Slice(Scalar),
}

impl Type {
    /// The name as in expressions.
    pub fn path(&self) -> String {
        match self {
            Type::Struct(of) => of.path(),
            _ => self.to_string(),
        }
    }

    /// What is known of a type parameter.
    pub fn opaque(&self) -> Option<&Opaque> {
        match self {
            Type::Struct(of) => of.opaque.as_ref(),
            _ => None,
        }
    }

    /// The types that it is made of, in order.
    pub fn parts(&self) -> Vec<Type> {
        match self {
            Type::Scalar(_) | Type::Enum(_) | Type::Slice(_) => Vec::new(),
            Type::Tuple(parts) => parts.clone(),
            Type::Array(element, len) => vec![(**element).clone(); *len],
            Type::Struct(of) => of.fields.iter().map(|(_, ty)| ty.clone()).collect(),
        }
    }

    /// The fields of a tuple or struct.
    pub fn fields(&self) -> Vec<(String, Type)> {
        match self {
            Type::Scalar(_) | Type::Enum(_) | Type::Array(..) | Type::Slice(_) => Vec::new(),
            Type::Tuple(parts) => {
                parts.iter().enumerate().map(|(i, ty)| (i.to_string(), ty.clone())).collect()
            }
            Type::Struct(of) => of.fields.clone(),
        }
    }

    /// The name as the type of a struct's field: scalars are run-time values by their spelling.
    pub fn of_field(&self) -> String {
        match self {
            Type::Scalar(scalar) => format!("Val<{scalar}>"),
            Type::Tuple(parts) => {
                format!("({})", parts.iter().map(|p| p.of_field() + ", ").collect::<String>())
            }
            Type::Array(element, len) => format!("[{}; {len}]", element.of_field()),
            Type::Struct(_) | Type::Enum(_) | Type::Slice(_) => self.to_string(),
        }
    }
}

impl From<Scalar> for Type {
    fn from(scalar: Scalar) -> Type {
        Type::Scalar(scalar)
    }
}

impl Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Scalar(scalar) => write!(f, "{scalar}"),
            Type::Tuple(parts) => {
                f.write_str("(")?;
                parts.iter().try_for_each(|part| write!(f, "{part}, "))?;
                f.write_str(")")
            }
            Type::Array(element, len) => write!(f, "[{element}; {len}]"),
            Type::Struct(of) => f.write_str(&of.name),
            Type::Slice(element) => write!(f, "[{element}]"),
            Type::Enum(of) => write!(f, "Val<{}>", of.name),
        }
    }
}
