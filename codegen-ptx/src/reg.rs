//! Registers and operands.

use std::fmt;

use kernelsmith_ir::attr::Const;
use kernelsmith_ir::{Scalar, Space, Type};

/// The type a register is declared with.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Class {
    Pred,
    B16,
    B32,
    B64,
    F32,
    F64,
}

impl Class {
    pub(crate) const ALL: [Class; 6] =
        [Class::Pred, Class::B16, Class::B32, Class::B64, Class::F32, Class::F64];

    /// What the register names of this class begin with, as `nvcc` has them.
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Class::Pred => "%p",
            Class::B16 => "%h",
            Class::B32 => "%r",
            Class::B64 => "%rd",
            Class::F32 => "%f",
            Class::F64 => "%fd",
        }
    }

    /// The type in declarations and moves.
    pub(crate) const fn suffix(self) -> &'static str {
        match self {
            Class::Pred => "pred",
            Class::B16 => "b16",
            Class::B32 => "b32",
            Class::B64 => "b64",
            Class::F32 => "f32",
            Class::F64 => "f64",
        }
    }

    /// The class one scalar is held in.
    pub(crate) const fn of(scalar: Scalar) -> Class {
        match scalar {
            Scalar::Bool => Class::Pred,
            Scalar::F16 | Scalar::BF16 => Class::B16,
            Scalar::F32 => Class::F32,
            Scalar::F64 => Class::F64,
            Scalar::I64 | Scalar::U64 => Class::B64,
            _ => Class::B32,
        }
    }

    /// The class of an address.
    pub(crate) const fn of_address(space: Space) -> Class {
        match space {
            Space::Global => Class::B64,
            Space::Shared | Space::Cluster | Space::Local => Class::B32,
        }
    }
}

/// Whether a vector of this element is packed into 32-bit words.
pub(crate) const fn is_packed(elem: Scalar) -> bool {
    elem.size() < 4 && !matches!(elem, Scalar::Bool)
}

/// The registers a value takes.
pub(crate) fn classes(ty: Type) -> Vec<Class> {
    match ty {
        Type::Scalar(s) => vec![Class::of(s)],
        Type::Vector(s, _) if is_packed(s) => vec![Class::B32; ty.size().div_ceil(4) as usize],
        Type::Vector(s, n) => vec![Class::of(s); n as usize],
        Type::Ptr(space, _) => vec![Class::of_address(space)],
        // The generic address of the parameter.
        Type::TensorMap(..) => vec![Class::B64],
    }
}

/// A virtual register.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Reg {
    pub(crate) class: Class,
    pub(crate) number: u32,
}

impl fmt::Display for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.class.prefix(), self.number)
    }
}

/// A register or an immediate.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Operand {
    Reg(Reg),
    Const(Const),
}

impl Operand {
    pub(crate) fn class(self) -> Class {
        match self {
            Operand::Reg(reg) => reg.class,
            Operand::Const(c) => Class::of(c.ty),
        }
    }

    /// A `u32` immediate.
    pub(crate) fn u32(x: u32) -> Operand {
        Operand::Const(Const::int(Scalar::U32, x.into()))
    }
}

impl From<Reg> for Operand {
    fn from(reg: Reg) -> Operand {
        Operand::Reg(reg)
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operand::Reg(reg) => reg.fmt(f),
            Operand::Const(c) => match c.ty {
                Scalar::F32 => write!(f, "0f{:08X}", c.bits),
                Scalar::F64 => write!(f, "0d{:016X}", c.bits),
                Scalar::F16 | Scalar::BF16 | Scalar::TF32 => write!(f, "0x{:X}", c.bits),
                _ if c.as_int() > i64::MAX.into() => write!(f, "0x{:X}", c.bits),
                _ => write!(f, "{}", c.as_int()),
            },
        }
    }
}
