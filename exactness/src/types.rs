//! The types of generated programs.

use std::fmt::{self, Display};

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

/// A type.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Type {
    Scalar(Scalar),
    Tuple(Vec<Type>),
    Array(Box<Type>, usize),
}

impl Type {
    /// The number of scalars in it.
    pub fn leaves(&self) -> usize {
        match self {
            Type::Scalar(_) => 1,
            Type::Tuple(parts) => parts.iter().map(Type::leaves).sum(),
            Type::Array(element, len) => element.leaves() * len,
        }
    }

    /// Whether it is or contains a half float.
    pub fn has_half(&self) -> bool {
        match self {
            Type::Scalar(scalar) => scalar.is_half(),
            Type::Tuple(parts) => parts.iter().any(Type::has_half),
            Type::Array(element, _) => element.has_half(),
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
        }
    }
}
