//! What an instruction carries besides its operands: everything fixed while compiling.

use crate::fp8::Format;
use crate::kernel::{Label, LocalId, SharedId, VarId};
use crate::mma::MmaShape;
use crate::op::Opcode;
use crate::rounding::{f64_to_bf16, f64_to_f16};
use crate::tcgen05::Tcgen05;
use crate::tcgen05::copy::TensorCopy;
use crate::tcgen05::group::Group;
use crate::types::Scalar;
use crate::wgmma::Wgmma;

/// A scalar constant as the bits of its type, zero-extended to 64.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Const {
    /// The type.
    pub ty: Scalar,
    /// The bits; those above the type's width are zero.
    pub bits: u64,
}

impl Const {
    /// A constant from bits; those above the type's width are cut off.
    pub const fn new(ty: Scalar, bits: u64) -> Const {
        let mask = if ty.bits() == 64 { u64::MAX } else { (1 << ty.bits()) - 1 };
        Const { ty, bits: bits & mask }
    }

    /// An `f32`.
    pub const fn f32(x: f32) -> Const {
        Const::new(Scalar::F32, x.to_bits() as u64)
    }

    /// An `f64`.
    pub const fn f64(x: f64) -> Const {
        Const::new(Scalar::F64, x.to_bits())
    }

    /// A `bool`.
    pub const fn bool(x: bool) -> Const {
        Const::new(Scalar::Bool, x as u64)
    }

    /// An integer, wrapped to the type's width.
    pub const fn int(ty: Scalar, x: i128) -> Const {
        Const::new(ty, x as u64)
    }

    /// The value of an integer or bool constant, sign-extended where the type is signed.
    pub fn as_int(self) -> i128 {
        if self.ty.is_signed() {
            let shift = 64 - self.ty.bits();
            (((self.bits << shift) as i64) >> shift) as i128
        } else {
            self.bits as i128
        }
    }

    /// The value of a float constant; `None` for other types.
    pub fn as_f64(self) -> Option<f64> {
        Some(match self.ty {
            Scalar::F16 => half::f16::from_bits(self.bits as u16).to_f64(),
            Scalar::BF16 => half::bf16::from_bits(self.bits as u16).to_f64(),
            Scalar::F32 => f32::from_bits(self.bits as u32) as f64,
            Scalar::F64 => f64::from_bits(self.bits),
            ty => Format::of(ty)?.decode(self.bits as u8),
        })
    }

    /// A float of type `ty`, rounded to nearest even from `x`; the 8-bit ones saturate.
    ///
    /// # Panics
    /// If `ty` is not a float: a bug in the compiler.
    pub fn float(ty: Scalar, x: f64) -> Const {
        match ty {
            Scalar::F16 => Const::new(ty, f64_to_f16(x).to_bits() as u64),
            Scalar::BF16 => Const::new(ty, f64_to_bf16(x).to_bits() as u64),
            Scalar::F32 => Const::f32(x as f32),
            Scalar::F64 => Const::f64(x),
            _ => match Format::of(ty) {
                Some(format) => Const::new(ty, format.encode(x).into()),
                None => panic!("Const::float of type {ty}"),
            },
        }
    }
}

/// Declares an attribute enum with its names in the text form.
macro_rules! named_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum $name { $($(#[$vmeta])* $variant),* }

        impl $name {
            /// Every variant, in declaration order.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            /// The name in the text form.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text),* }
            }

            /// The variant of that name, if there is one.
            pub fn from_name(name: &str) -> Option<$name> {
                $name::ALL.iter().copied().find(|v| v.name() == name)
            }
        }
    };
}
pub(crate) use named_enum;

named_enum! {
    /// An axis of the grid or of a block.
    Dim {
        /// The fastest-varying axis.
        X = "x",
        /// The middle axis.
        Y = "y",
        /// The slowest-varying axis.
        Z = "z",
    }
}

named_enum! {
    /// What an atomic read-modify-write does; the same names as in `std::sync::atomic`.
    AtomicOp {
        /// `old + v`, wrapping; floats too.
        Add = "add",
        /// `old - v`, wrapping.
        Sub = "sub",
        /// The smaller.
        Min = "min",
        /// The larger.
        Max = "max",
        /// Bitwise and.
        And = "and",
        /// Bitwise or.
        Or = "or",
        /// Bitwise exclusive or.
        Xor = "xor",
        /// `v`.
        Exchange = "exchange",
    }
}

named_enum! {
    /// Memory ordering, with the meaning of `std::sync::atomic::Ordering`.
    Order {
        /// No ordering of other accesses.
        Relaxed = "relaxed",
        /// Later accesses stay after.
        Acquire = "acquire",
        /// Earlier accesses stay before.
        Release = "release",
        /// Both.
        AcqRel = "acq_rel",
    }
}

named_enum! {
    /// Who is ordered by a fence or sees an atomic access as one.
    Scope {
        /// The threads of the block.
        Block = "block",
        /// The threads of the device.
        Device = "device",
        /// Every thread, the host's included.
        System = "system",
    }
}

named_enum! {
    /// What a collective reduction combines with.
    ReduceOp {
        /// The sum.
        Add = "add",
        /// The smallest; NaN is ignored as in `f32::min`.
        Min = "min",
        /// The largest; NaN is ignored as in `f32::max`.
        Max = "max",
        /// Bitwise and.
        And = "and",
        /// Bitwise or.
        Or = "or",
        /// Bitwise exclusive or.
        Xor = "xor",
    }
}

named_enum! {
    /// What a failing `check` says.
    CheckKind {
        /// `index < len`; operands: the condition, the index, the length (both u64).
        Bounds = "bounds",
        /// The divisor is not zero.
        DivZero = "div_zero",
        /// Not `MIN / -1` or `MIN % -1`.
        DivOverflow = "div_overflow",
        /// A condition the kernel's author asserted.
        Assert = "assert",
        /// A condition that the front end knows to hold. Passes learn from it; no code is made.
        Assumption = "assumption",
    }
}

named_enum! {
    /// How long a loaded line is worth keeping.
    CacheHint {
        /// The target's default.
        Normal = "normal",
        /// Read or written once.
        Streaming = "streaming",
        /// The first that the L2 cache of global memory gives up, on targets that take hints for it.
        EvictFirst = "evict_first",
        /// The last that the L2 cache gives up.
        EvictLast = "evict_last",
        /// Not kept in the L1 cache of global memory: no other thread of the multiprocessor wants it. On
        /// targets that take hints for it.
        PastL1 = "past_l1",
    }
}

named_enum! {
    /// How long the L2 cache keeps what a bulk copy moves.
    Eviction {
        /// As it does by itself.
        Normal = "normal",
        /// It goes first: it is used once.
        First = "evict_first",
        /// It goes last: others will use it too.
        Last = "evict_last",
    }
}

named_enum! {
    /// What of a tensor a copy by the engine moves (PTX ISA, "Tensors": "Tiled mode",
    /// "tile::scatter4 and tile::gather4 modes", "im2col mode").
    BoxMode {
        /// A box: as many indices along each axis as the tile says.
        Tile = "tile",
        /// Four rows of a matrix that lie apart, each a box of one row: the coordinates are the first
        /// column, then four rows.
        Rows = "rows",
        /// Pixels of images one after the other, as a convolution's window walks over them; see
        /// [`Walk`](crate::tensor_map::Walk).
        Pixels = "pixels",
    }
}

impl AtomicOp {
    /// What is computed of the old value and the operand; an exchange computes nothing.
    pub const fn opcode(self) -> Option<Opcode> {
        Some(match self {
            AtomicOp::Add => Opcode::Add,
            AtomicOp::Sub => Opcode::Sub,
            AtomicOp::Min => Opcode::Min,
            AtomicOp::Max => Opcode::Max,
            AtomicOp::And => Opcode::And,
            AtomicOp::Or => Opcode::Or,
            AtomicOp::Xor => Opcode::Xor,
            AtomicOp::Exchange => return None,
        })
    }
}

impl ReduceOp {
    /// What combines two lanes' values.
    pub const fn opcode(self) -> Opcode {
        match self {
            ReduceOp::Add => Opcode::Add,
            ReduceOp::Min => Opcode::Min,
            ReduceOp::Max => Opcode::Max,
            ReduceOp::And => Opcode::And,
            ReduceOp::Or => Opcode::Or,
            ReduceOp::Xor => Opcode::Xor,
        }
    }
}

impl Attr {
    /// The group of blocks that an instruction is of, if it is one of tensor memory that has one.
    pub const fn group(&self) -> Option<Group> {
        match self {
            Attr::Columns { group, .. } | Attr::Group(group) | Attr::Commit { group, .. } => {
                Some(*group)
            }
            Attr::Tcgen05(product) => Some(product.group),
            Attr::Tcgen05Copy(copy) => Some(copy.group),
            _ => None,
        }
    }
}

/// The part of an instruction that is not a value.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Attr {
    /// Nothing.
    None,
    /// `const`.
    Const(Const),
    /// An id's or extent's axis.
    Dim(Dim),
    /// The first slot, and for `var_load_at`/`var_store_at` how slots are strided: the access
    /// reaches slot `var + index * stride`, `index < count`. Plain accesses have 1, 1.
    Var {
        /// The first slot.
        var: VarId,
        /// Slots from one index to the next.
        stride: u32,
        /// The number of indices.
        count: u32,
    },
    /// A shared array.
    Shared(SharedId),
    /// A local array.
    Local(LocalId),
    /// The label of a `for`, `loop` or `block`, or the one a `break` or `continue` names.
    Label(Label),
    /// A load or store.
    Mem {
        /// Alignment of the address in bytes that the program promises.
        align: u32,
        /// Cache hint.
        cache: CacheHint,
    },
    /// An atomic access.
    Atomic {
        /// What it does.
        op: AtomicOp,
        /// Ordering.
        order: Order,
        /// Scope.
        scope: Scope,
    },
    /// A fence, an atomic load or an atomic store.
    Fence {
        /// Ordering.
        order: Order,
        /// Scope.
        scope: Scope,
    },
    /// A named barrier.
    Barrier {
        /// 1 to 15.
        id: u8,
        /// The threads that come there: a multiple of the warp's.
        threads: u16,
    },
    /// A collective reduction.
    Reduce(ReduceOp),
    /// A matrix multiply-accumulate.
    Mma(MmaShape),
    /// A lane of a vector held by one thread.
    Lane(u8),
    /// A check; for `Assert` the message.
    Check(CheckKind, Option<Box<str>>),
    /// A count: bytes of `cp_async`, groups left of `cp_async_wait`.
    Count(u32),
    /// A copy by the engine (TMA).
    Bulk {
        /// Whether it arrives in several blocks of the cluster.
        multicast: bool,
        /// What the target is combined with, where it is not simply written.
        reduce: Option<ReduceOp>,
        /// How long the L2 cache keeps what is moved.
        eviction: Eviction,
        /// What of a tensor is moved.
        mode: BoxMode,
    },
    /// A warpgroup's matrix multiply-accumulate.
    Wgmma(Wgmma),
    /// Columns of tensor memory that are taken or given back.
    Columns {
        /// How many, in each block.
        count: u32,
        /// By which blocks.
        group: Group,
    },
    /// The blocks that say together that they take no more tensor memory.
    Group(Group),
    /// A `tcgen05_commit`.
    Commit {
        /// Whose products and copies it is of.
        group: Group,
        /// Whether barriers of several blocks of the cluster are come to.
        multicast: bool,
    },
    /// A matrix multiply-accumulate in tensor memory.
    Tcgen05(Tcgen05),
    /// A copy from shared to tensor memory.
    Tcgen05Copy(TensorCopy),
    /// A share of registers.
    Registers {
        /// Registers of each thread: a multiple of 8 from 24 to 256.
        count: u16,
        /// Whether it is more than before.
        raise: bool,
    },
    /// `ldmatrix`, `stmatrix`: how many 8x8 matrices (1, 2 or 4), and whether each is transposed.
    Ldmatrix {
        /// 1, 2 or 4.
        count: u8,
        /// Transposed.
        trans: bool,
    },
}
