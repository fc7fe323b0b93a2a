//! The types of the IR: scalars, short vectors of scalars, and typed pointers by address space.
//!
//! Signedness lives in the type, as in Rust, so one `div` or `lt` serves all of them. `usize` is
//! `u64` and `isize` is `i64` on every target.

use std::fmt;

/// A scalar type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Scalar {
    /// One bit in a register, one byte (0 or 1) in memory.
    Bool,
    /// Two's complement, 8 bits.
    I8,
    /// Two's complement, 16 bits.
    I16,
    /// Two's complement, 32 bits.
    I32,
    /// Two's complement, 64 bits.
    I64,
    /// Unsigned, 8 bits.
    U8,
    /// Unsigned, 16 bits.
    U16,
    /// Unsigned, 32 bits.
    U32,
    /// Unsigned, 64 bits.
    U64,
    /// IEEE 754 binary16.
    F16,
    /// bfloat16: the upper half of a binary32.
    BF16,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
    /// OCP FP8 E4M3 (finite only, with NaN). Storage, conversion from and to f32, matrix operands.
    E4M3,
    /// OCP FP8 E5M2. As [`Scalar::E4M3`].
    E5M2,
    /// A binary32 container of which the tensor core reads 19 bits. Matrix operands only.
    TF32,
}

impl Scalar {
    /// Every scalar type, in declaration order.
    pub const ALL: [Scalar; 16] = {
        use Scalar::*;
        [Bool, I8, I16, I32, I64, U8, U16, U32, U64, F16, BF16, F32, F64, E4M3, E5M2, TF32]
    };

    /// The name in the text form, which is Rust's where Rust has one.
    pub const fn name(self) -> &'static str {
        use Scalar::*;
        match self {
            Bool => "bool",
            I8 => "i8",
            I16 => "i16",
            I32 => "i32",
            I64 => "i64",
            U8 => "u8",
            U16 => "u16",
            U32 => "u32",
            U64 => "u64",
            F16 => "f16",
            BF16 => "bf16",
            F32 => "f32",
            F64 => "f64",
            E4M3 => "e4m3",
            E5M2 => "e5m2",
            TF32 => "tf32",
        }
    }

    /// The scalar of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Scalar> {
        Scalar::ALL.into_iter().find(|s| s.name() == name)
    }

    /// Size and alignment in memory, in bytes. `bool` takes one byte.
    pub const fn size(self) -> u32 {
        use Scalar::*;
        match self {
            Bool | I8 | U8 | E4M3 | E5M2 => 1,
            I16 | U16 | F16 | BF16 => 2,
            I32 | U32 | F32 | TF32 => 4,
            I64 | U64 | F64 => 8,
        }
    }

    /// Width of the value in bits; 1 for `bool`.
    pub const fn bits(self) -> u32 {
        match self {
            Scalar::Bool => 1,
            _ => self.size() * 8,
        }
    }

    /// A signed or unsigned integer (not `bool`).
    pub const fn is_int(self) -> bool {
        self.is_signed() || self.is_unsigned()
    }

    /// A signed integer.
    pub const fn is_signed(self) -> bool {
        matches!(self, Scalar::I8 | Scalar::I16 | Scalar::I32 | Scalar::I64)
    }

    /// An unsigned integer.
    pub const fn is_unsigned(self) -> bool {
        matches!(self, Scalar::U8 | Scalar::U16 | Scalar::U32 | Scalar::U64)
    }

    /// A float that arithmetic is defined on (f16, bf16, f32, f64).
    pub const fn is_float(self) -> bool {
        matches!(self, Scalar::F16 | Scalar::BF16 | Scalar::F32 | Scalar::F64)
    }

    /// A type arithmetic is defined on.
    pub const fn is_num(self) -> bool {
        self.is_int() || self.is_float()
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The address space of a pointer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Space {
    /// Device memory, visible to every thread and to the host.
    Global,
    /// Memory of one block.
    Shared,
    /// Shared memory of any block of the cluster (NVIDIA's distributed shared memory).
    Cluster,
    /// Memory of one thread.
    Local,
}

impl Space {
    /// The name in the text form.
    pub const fn name(self) -> &'static str {
        match self {
            Space::Global => "global",
            Space::Shared => "shared",
            Space::Cluster => "cluster",
            Space::Local => "local",
        }
    }

    /// The space of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Space> {
        use Space::*;
        [Global, Shared, Cluster, Local].into_iter().find(|s| s.name() == name)
    }
}

/// The type of a [`Value`](crate::Value).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Type {
    /// One scalar.
    Scalar(Scalar),
    /// 2 to 128 scalars held by one thread: a vector load, or a fragment of a matrix.
    Vector(Scalar, u8),
    /// What a launch knows of a tensor in global memory, for the copy engine (TMA): its elements
    /// and its number of axes. Only parameters have this type.
    TensorMap(Scalar, u8),
    /// A pointer to elements of a scalar type; `ptr_add` moves it by whole elements.
    Ptr(Space, Scalar),
}

impl Type {
    /// `bool`.
    pub const BOOL: Type = Type::Scalar(Scalar::Bool);
    /// `u32`.
    pub const U32: Type = Type::Scalar(Scalar::U32);
    /// `u64`, which is `usize`.
    pub const U64: Type = Type::Scalar(Scalar::U64);
    /// `f32`.
    pub const F32: Type = Type::Scalar(Scalar::F32);

    /// The scalar: itself, the vector's element, or the pointee.
    pub const fn elem(self) -> Scalar {
        match self {
            Type::Scalar(s) | Type::Vector(s, _) | Type::Ptr(_, s) | Type::TensorMap(s, _) => s,
        }
    }

    /// The number of scalars a value of this type holds; 1 for pointers and tensor maps.
    pub const fn lanes(self) -> u32 {
        match self {
            Type::Vector(_, n) => n as u32,
            _ => 1,
        }
    }

    /// Size in memory in bytes; 8 for a pointer.
    pub const fn size(self) -> u32 {
        match self {
            Type::Scalar(s) => s.size(),
            Type::Vector(s, n) => s.size() * n as u32,
            Type::Ptr(..) => 8,
            Type::TensorMap(..) => crate::tensor_map::BYTES as u32,
        }
    }

    /// Alignment in the packed arguments of a launch, in bytes.
    pub const fn argument_align(self) -> u32 {
        match self {
            Type::TensorMap(..) => crate::tensor_map::ALIGN as u32,
            other => other.size(),
        }
    }

    /// The same shape (scalar or vector) with another element.
    ///
    /// # Panics
    /// On a pointer or tensor map: this is a bug in the compiler, never the user's.
    pub const fn with_elem(self, elem: Scalar) -> Type {
        match self {
            Type::Scalar(_) => Type::Scalar(elem),
            Type::Vector(_, n) => Type::Vector(elem, n),
            Type::Ptr(..) | Type::TensorMap(..) => panic!("with_elem of what is no number"),
        }
    }

    /// Whether this is a scalar or a vector: something to compute with and to store.
    pub const fn is_data(self) -> bool {
        matches!(self, Type::Scalar(_) | Type::Vector(..))
    }

    /// Whether this is a pointer.
    pub const fn is_ptr(self) -> bool {
        matches!(self, Type::Ptr(..))
    }
}

impl From<Scalar> for Type {
    fn from(s: Scalar) -> Type {
        Type::Scalar(s)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Scalar(s) => write!(f, "{s}"),
            Type::Vector(s, n) => write!(f, "<{n} x {s}>"),
            Type::Ptr(space, s) => write!(f, "ptr<{}, {s}>", space.name()),
            Type::TensorMap(s, rank) => write!(f, "tensor_map<{s}, {rank}>"),
        }
    }
}
