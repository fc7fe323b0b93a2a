//! The one table of operations.
//!
//! The builder, verifier, printer, parser, reference page and the backends' legality checks read
//! it. To add an operation: add its row here, its meaning in the interpreter, and its lowering in
//! each backend that [`Availability`] names.

pub mod doc;

use crate::target::Target;
use crate::types::Scalar;

/// What an operation does besides computing its results; decides what passes may do with it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Effect {
    /// Nothing: may be duplicated, moved, merged and removed.
    Pure,
    /// Pure, but its value depends on the other lanes that execute it: must not be moved into or
    /// out of control flow.
    Collective,
    /// Reads memory.
    Read,
    /// Writes memory, or both reads and writes.
    Write,
    /// Reads or writes a variable slot (before mem2reg only).
    Var,
    /// Synchronises threads or asynchronous copies; orders memory.
    Sync,
    /// May end the thread.
    Check,
    /// Holds regions.
    Control,
    /// Ends a region.
    Terminator,
}

/// The scalars an operand may have.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Class {
    /// Integers.
    Int,
    /// Floats arithmetic is defined on.
    Float,
    /// Integers and floats.
    Num,
    /// Signed integers and floats.
    Signed,
    /// Integers and `bool`.
    Bits,
    /// Numbers and `bool`: everything that is computed with. The small formats that are only
    /// stored or given to matrix instructions are not.
    Any,
}

impl Class {
    /// Whether a scalar is one of the class.
    pub const fn contains(self, scalar: Scalar) -> bool {
        match self {
            Class::Int => scalar.is_int(),
            Class::Float => scalar.is_float(),
            Class::Num => scalar.is_num(),
            Class::Signed => scalar.is_signed() || scalar.is_float(),
            Class::Bits => scalar.is_int() || matches!(scalar, Scalar::Bool),
            Class::Any => scalar.is_num() || matches!(scalar, Scalar::Bool),
        }
    }

    /// In words, for errors and the reference page.
    pub const fn describe(self) -> &'static str {
        match self {
            Class::Int => "an integer",
            Class::Float => "a float",
            Class::Num => "a number",
            Class::Signed => "a signed integer or float",
            Class::Bits => "an integer or bool",
            Class::Any => "a number or bool",
        }
    }
}

/// The typing rule of an operation; the verifier has one function for each.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Signature {
    /// `() -> scalar of the attribute's type`.
    Const,
    /// `() -> u32`; with an axis as attribute where `bool` is true.
    Id(bool),
    /// `(t) -> t`, scalar or vector.
    Unary(Class),
    /// `(t) -> u32`, scalar `t`.
    Count(Class),
    /// `(t, t) -> t`, scalar or vector.
    Binary(Class),
    /// `(t, u32) -> t`: a shift; vector with vector.
    Shift,
    /// `(t, t, t) -> t`.
    Ternary(Class),
    /// `(a, b, i32) -> i32`: `a` and `b` words of four bytes, `i32` if they are signed, else `u32`.
    Dot4,
    /// `(u32, u32, f32) -> f32`: words of two bf16.
    Dot2,
    /// `(t, t) -> bool`, scalars (pointers too for `eq` and `ne`).
    Compare(Class),
    /// `(bool, t, t) -> t`, any `t`; the condition is a scalar.
    Select,
    /// `(t) -> u` between scalars, or vectors of one length.
    Cast,
    /// `(t) -> u` of the same size in bits.
    Bitcast,
    /// `(s, ..., s) -> vector`.
    VecMake,
    /// `(vector) -> s`, the lane as attribute.
    VecExtract,
    /// `(vector, s) -> vector`, the lane as attribute.
    VecInsert,
    /// `() -> t` / `(t) -> ()` / `(index: u64) -> t` / `(index: u64, t) -> ()` on a slot.
    VarAccess,
    /// `() -> ptr` to a shared or local array.
    Address,
    /// `(ptr, i64 or u64 or u32) -> ptr`.
    PtrAdd,
    /// `(ptr<s>) -> s or vector of s`.
    Load,
    /// `(ptr<s>, s or vector of s) -> ()`.
    Store,
    /// `(ptr<s>, s) -> s`.
    AtomicRmw,
    /// `(ptr<s>, expected: s, new: s) -> s` (the old value).
    AtomicCas,
    /// `(ptr<s>) -> s`.
    AtomicLoad,
    /// `(ptr<s>, s) -> ()`.
    AtomicStore,
    /// `(ptr<a>) -> ptr<b>` in one space.
    PtrCast,
    /// `() -> ()`.
    Nothing,
    /// `(ptr) -> ()`.
    Prefetch,
    /// `(t, u32) -> t`, `t` a scalar of 4 or 8 bytes, or smaller.
    Shuffle,
    /// `(bool) -> bool`.
    Vote,
    /// `(bool) -> u64`: bit `i` is lane `i`'s.
    Ballot,
    /// `(t) -> u64`, scalar: bit `i` is whether lane `i` has the value of this one.
    Match,
    /// `(t) -> t`, scalar, with a reduction as attribute.
    Reduce,
    /// `(a, b, c) -> d` by the attribute's shape.
    Mma,
    /// `(ptr<shared, f16 or bf16>) -> vector of 2, 4 or 8`.
    Ldmatrix,
    /// `(ptr<shared, f16 or bf16>, vector of 2, 4 or 8) -> ()`.
    Stmatrix,
    /// `() -> bool`.
    Elect,
    /// `(a, b: ptr<shared>, c, bool) -> d` by the attribute's shape; `a` as `b`, or a fragment.
    Wgmma,
    /// `(accumulators...) -> the same`.
    WgmmaWait,
    /// `(ptr<shared, u32>) -> ()`.
    TensorAlloc,
    /// `(address: u32) -> ()`.
    TensorFree,
    /// `() -> ()`.
    TensorYield,
    /// `(ptr<shared, u64>) -> ()`, and with multicast the blocks as `u32` bits last.
    TensorCommit,
    /// `(address: u32) -> vector of u32`.
    TensorLoad,
    /// `(address: u32, vector of u32) -> ()`.
    TensorStore,
    /// `(d: u32, a: ptr<shared> or u32, b: ptr<shared>, bool) -> ()` by the attribute's shape; with scales,
    /// their addresses behind.
    Tcgen05,
    /// `(to: u32, from: ptr<shared>) -> ()`.
    TensorCopy,
    /// `(dst: ptr<shared>, src: ptr<global>) -> ()`.
    CpAsync,
    /// `(ptr<shared, u64>, count: u32) -> ()`.
    MbarrierInit,
    /// `(ptr<shared or cluster, u64>) -> ()`.
    MbarrierArrive,
    /// `(ptr<shared, u64>, bytes: u32) -> ()`.
    MbarrierExpect,
    /// `(ptr<shared, u64>, parity: u32) -> ()`.
    MbarrierWait,
    /// `(ptr<shared, u64>, parity: u32) -> bool`.
    MbarrierTest,
    /// `(ptr<shared, s>, rank: u32) -> ptr<cluster, s>`.
    MapShared,
    /// `(to: ptr<shared, s>, tensor_map<s>, barrier: ptr<shared or cluster, u64>, coordinates: i32...) -> ()`,
    /// of pixels behind them the offsets in the window, and with multicast the blocks as `u32` bits last.
    TmaLoad,
    /// `(tensor_map<s>, from: ptr<shared, s>, coordinates: i32...) -> ()`.
    TmaStore,
    /// `(tensor_map) -> ()`.
    TmaPrefetch,
    /// `(tensor_map<s>, coordinates: i32...) -> ()`.
    TmaFetch,
    /// `(from: ptr<global, s>, bytes: u32) -> ()`.
    BulkFetch,
    /// `(to: ptr<shared, s>, from: ptr<global, s>, bytes: u32, barrier: ptr<shared, u64>) -> ()`,
    /// and with multicast the blocks as `u32` bits last.
    BulkLoad,
    /// `(to: ptr<global, s>, from: ptr<shared, s>, bytes: u32) -> ()`.
    BulkStore,
    /// `(bool, values: u64...) -> ()`: index and length of bounds checks, up to four of assertions.
    Check,
    /// `(bool) -> results`, two regions.
    If,
    /// `(lo: int, hi: int, carried...) -> carried types`, one region `(iv, carried...)`.
    For,
    /// `(carried...) -> results of break`, one region `(carried...)`.
    Loop,
    /// `() -> results`, one region.
    Block,
    /// A terminator; its operands follow from what it ends.
    Terminator,
}

/// The targets that have an operation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Availability {
    /// Every one, natively or by expansion.
    All,
    /// NVIDIA from this compute capability on.
    Sm(u32),
    /// NVIDIA of this compute capability, with the features of its own (`sm_90a`).
    SmOnly(u32),
    /// NVIDIA from this compute capability on, with the features of its own (`sm_90a`, `sm_100a`).
    SmSpecific(u32),
    /// NVIDIA from this compute capability on, AMD and the CPU by a plain form of the same meaning.
    SmElsePlain(u32),
    /// By shape: see [`crate::mma::MmaShape::available`].
    ByShape,
}

impl Availability {
    /// Whether a target has the operation, shapes aside.
    pub fn on(self, target: &Target) -> bool {
        match (self, target) {
            (Availability::All | Availability::ByShape, _) => true,
            (Availability::SmElsePlain(min) | Availability::Sm(min), Target::Ptx(p)) => p.sm >= min,
            (Availability::SmOnly(sm), Target::Ptx(p)) => p.specific && p.sm == sm,
            (Availability::SmSpecific(min), Target::Ptx(p)) => p.specific && p.sm >= min,
            (Availability::SmElsePlain(_), _) => true,
            (Availability::Sm(_) | Availability::SmOnly(_) | Availability::SmSpecific(_), _) => {
                false
            }
        }
    }

    /// The targets in words, for errors and the reference page.
    pub fn describe(self) -> String {
        match self {
            Availability::SmOnly(sm) => Target::sm(sm, true).to_string(),
            Availability::SmSpecific(min) => {
                let those = Target::SMS.into_iter().filter(|&sm| sm >= min);
                let names: Vec<_> = those.map(|sm| Target::sm(sm, true).to_string()).collect();
                names.join(", ")
            }
            other => Target::describe_where(|target| other.on(target)),
        }
    }
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct OpInfo {
    /// The operation.
    pub op: Opcode,
    /// The name in the text form.
    pub name: &'static str,
    /// What it does besides its results.
    pub effect: Effect,
    /// Its typing rule.
    pub signature: Signature,
    /// Who has it.
    pub availability: Availability,
    /// One line for the reference page.
    pub doc: &'static str,
}

macro_rules! table {
    ($($op:ident $name:literal $effect:ident, $sig:expr, $avail:expr, $doc:literal;)*) => {
        /// An operation.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
        pub enum Opcode { $(#[doc = $doc] $op),* }

        /// The table, in the order of [`Opcode`].
        pub const TABLE: &[OpInfo] = {
            use Availability::*;
            use Class::*;
            use Signature as S;
            &[$(OpInfo {
                op: Opcode::$op,
                name: $name,
                effect: Effect::$effect,
                signature: $sig,
                availability: $avail,
                doc: $doc,
            }),*]
        };
    };
}

table! {
    // constants and ids
    Const "const" Pure, S::Const, All, "A scalar constant.";
    ThreadIdx "thread_idx" Pure, S::Id(true), All, "The thread's index in its block along an axis.";
    BlockIdx "block_idx" Pure, S::Id(true), All, "The block's index in the grid along an axis.";
    BlockDim "block_dim" Pure, S::Id(true), All, "Threads of a block along an axis.";
    GridDim "grid_dim" Pure, S::Id(true), All, "Blocks of the grid along an axis.";
    LaneId "lane_id" Pure, S::Id(false), All, "The thread's index in its warp; threads are numbered x fastest.";
    WarpId "warp_id" Pure, S::Id(false), All, "The warp's index in its block.";
    WarpgroupId "warpgroup_id" Pure, S::Id(false), Sm(90), "The index in its block of the thread's warpgroup, four warps that begin at a multiple of four.";
    ClusterRank "cluster_rank" Pure, S::Id(false), Sm(90), "The block's number in its cluster, x fastest.";
    // arithmetic
    Add "add" Pure, S::Binary(Num), All, "Sum; integers wrap.";
    Sub "sub" Pure, S::Binary(Num), All, "Difference; integers wrap.";
    Mul "mul" Pure, S::Binary(Num), All, "Product; integers wrap.";
    Div "div" Pure, S::Binary(Num), All, "Quotient, integers toward zero; a zero divisor must have been checked.";
    Rem "rem" Pure, S::Binary(Num), All, "Remainder with the dividend's sign, floats as fmod; a zero integer divisor must have been checked.";
    MulHi "mul_hi" Pure, S::Binary(Int), All, "Upper half of the double-width product.";
    Neg "neg" Pure, S::Unary(Signed), All, "Negation; integers wrap.";
    Abs "abs" Pure, S::Unary(Signed), All, "Absolute value; integers wrap.";
    Min "min" Pure, S::Binary(Num), All, "The smaller; for floats a NaN operand is ignored, as f32::min.";
    Max "max" Pure, S::Binary(Num), All, "The larger; for floats a NaN operand is ignored, as f32::max.";
    Fma "fma" Pure, S::Ternary(Float), All, "a * b + c rounded once, as mul_add.";
    Dot4 "dot4" Pure, S::Dot4, All, "The sum of the products of four pairs of bytes, and of the third operand, wrapping. The bytes of an i32 are signed, those of a u32 are not.";
    Dot2 "dot2" Pure, S::Dot2, All, "Of words a and b of two bf16 each: the product of the upper two is added to the third operand, then that of the lower two, each rounded once, as fma. Whether denormals, among operands, sums and results, count as zero of their sign is the target's choice: they do for vdpbf16ps.";
    And "and" Pure, S::Binary(Bits), All, "Bitwise and.";
    Or "or" Pure, S::Binary(Bits), All, "Bitwise or.";
    Xor "xor" Pure, S::Binary(Bits), All, "Bitwise exclusive or.";
    Not "not" Pure, S::Unary(Bits), All, "Bitwise not.";
    Shl "shl" Pure, S::Shift, All, "Shift left by the amount modulo the width, as Rust's wrapping_shl.";
    Shr "shr" Pure, S::Shift, All, "Shift right by the amount modulo the width: arithmetic for signed types.";
    CountOnes "count_ones" Pure, S::Count(Int), All, "Number of one bits.";
    LeadingZeros "leading_zeros" Pure, S::Count(Int), All, "Number of leading zero bits; the width for 0.";
    TrailingZeros "trailing_zeros" Pure, S::Count(Int), All, "Number of trailing zero bits; the width for 0.";
    ReverseBits "reverse_bits" Pure, S::Unary(Int), All, "The bits in reverse order.";
    // float functions
    Sqrt "sqrt" Pure, S::Unary(Float), All, "Square root, correctly rounded.";
    Rsqrt "rsqrt" Pure, S::Unary(Float), All, "1 / sqrt(x), to 2 ulp.";
    Floor "floor" Pure, S::Unary(Float), All, "Round toward minus infinity.";
    Ceil "ceil" Pure, S::Unary(Float), All, "Round toward plus infinity.";
    Trunc "trunc" Pure, S::Unary(Float), All, "Round toward zero.";
    RoundEven "round_even" Pure, S::Unary(Float), All, "Round to nearest, ties to even.";
    CopySign "copysign" Pure, S::Binary(Float), All, "Magnitude of the first, sign of the second.";
    Exp "exp" Pure, S::Unary(Float), All, "e^x, to 2 ulp.";
    Exp2 "exp2" Pure, S::Unary(Float), All, "2^x, to 2 ulp.";
    Log "log" Pure, S::Unary(Float), All, "Natural logarithm, to 2 ulp.";
    Log2 "log2" Pure, S::Unary(Float), All, "Logarithm to base 2, to 2 ulp.";
    Sin "sin" Pure, S::Unary(Float), All, "Sine, to 2 ulp.";
    Cos "cos" Pure, S::Unary(Float), All, "Cosine, to 2 ulp.";
    Tanh "tanh" Pure, S::Unary(Float), All, "Hyperbolic tangent, to 2 ulp.";
    Erf "erf" Pure, S::Unary(Float), All, "Error function, to 2 ulp.";
    Pow "pow" Pure, S::Binary(Float), All, "x^y, to 2 ulp, special cases as f32::powf.";
    Exp2Fast "exp2_fast" Pure, S::Unary(Float), All, "2^x by the target's approximation (f32: relative error at most 2^-21, subnormal results may be 0); other floats as `exp2`.";
    // comparison and choice
    Eq "eq" Pure, S::Compare(Any), All, "Equal; false with NaN.";
    Ne "ne" Pure, S::Compare(Any), All, "Not equal; true with NaN.";
    Lt "lt" Pure, S::Compare(Num), All, "Less; false with NaN.";
    Le "le" Pure, S::Compare(Num), All, "Less or equal; false with NaN.";
    Gt "gt" Pure, S::Compare(Num), All, "Greater; false with NaN.";
    Ge "ge" Pure, S::Compare(Num), All, "Greater or equal; false with NaN.";
    Select "select" Pure, S::Select, All, "The second operand where the first is true, else the third.";
    // conversion
    Cast "cast" Pure, S::Cast, All, "Rust's `as`: integers wrap, float to integer saturates with NaN to 0, to a narrower float rounds to nearest even; bool to integer is 0 or 1. The 8-bit floats convert from and to f32, and saturate.";
    Bitcast "bitcast" Pure, S::Bitcast, All, "The same bits as another type; vector lane 0 is the lowest bits.";
    // vectors
    VecMake "vec_make" Pure, S::VecMake, All, "A vector of its operands.";
    VecExtract "vec_extract" Pure, S::VecExtract, All, "One lane of a vector.";
    VecInsert "vec_insert" Pure, S::VecInsert, All, "The vector with one lane replaced.";
    // variables (before mem2reg only)
    VarLoad "var_load" Var, S::VarAccess, All, "Reads a variable slot.";
    VarStore "var_store" Var, S::VarAccess, All, "Writes a variable slot.";
    VarLoadAt "var_load_at" Var, S::VarAccess, All, "Reads slot var + index * stride; the index must have been checked.";
    VarStoreAt "var_store_at" Var, S::VarAccess, All, "Writes slot var + index * stride; the index must have been checked.";
    // memory
    SharedAddr "shared_addr" Pure, S::Address, All, "The address of a shared array.";
    LocalAddr "local_addr" Pure, S::Address, All, "The address of a local array.";
    PtrAdd "ptr_add" Pure, S::PtrAdd, All, "The pointer moved by a number of elements.";
    PtrCast "ptr_cast" Pure, S::PtrCast, All, "The same address, of elements of another type; it must be aligned for them.";
    Load "load" Read, S::Load, All, "Reads a scalar or a vector of consecutive scalars.";
    Store "store" Write, S::Store, All, "Writes a scalar or a vector of consecutive scalars.";
    AtomicRmw "atomic_rmw" Write, S::AtomicRmw, All, "Atomic read-modify-write; the result is the old value.";
    AtomicCas "atomic_cas" Write, S::AtomicCas, All, "Atomic compare and exchange; the result is the old value.";
    AtomicLoad "atomic_load" Write, S::AtomicLoad, All, "Reads a scalar as one, with an ordering.";
    AtomicStore "atomic_store" Write, S::AtomicStore, All, "Writes a scalar as one, with an ordering.";
    Fence "fence" Sync, S::Nothing, All, "Orders memory accesses.";
    Prefetch "prefetch" Sync, S::Prefetch, All, "Brings a cache line of global memory closer.";
    // cooperation
    Barrier "barrier" Sync, S::Nothing, All, "Waits for every thread of the block and makes their writes visible.";
    BarrierSync "barrier_sync" Sync, S::Nothing, Sm(75), "Waits at a named barrier until as many threads have come there, in whole warps, as it says, and makes their writes visible.";
    BarrierArrive "barrier_arrive" Sync, S::Nothing, Sm(75), "Comes to a named barrier, so that others need not wait, and goes on.";
    WarpSync "warp_sync" Sync, S::Nothing, All, "Waits for every thread of the warp and makes their writes visible.";
    ShuffleIdx "shuffle_idx" Collective, S::Shuffle, All, "The value of the lane of that index (modulo the warp size), which there must be.";
    ShuffleXor "shuffle_xor" Collective, S::Shuffle, All, "The value of lane `lane ^ mask`, which there must be; the mask is less than the warp size.";
    ShuffleUp "shuffle_up" Collective, S::Shuffle, All, "The value of lane `lane - delta`; the own value where there is no such lane.";
    ShuffleDown "shuffle_down" Collective, S::Shuffle, All, "The value of lane `lane + delta`; the own value where there is no such lane, as in the last warp of a block whose threads do not fill it.";
    VoteAll "vote_all" Collective, S::Vote, All, "Whether the condition holds on every lane of the warp.";
    VoteAny "vote_any" Collective, S::Vote, All, "Whether the condition holds on some lane of the warp.";
    Ballot "ballot" Collective, S::Ballot, All, "The condition of every lane of the warp as bits.";
    MatchAny "match_any" Collective, S::Match, All, "The lanes of the warp that have the same bits as this one, as bits.";
    WarpReduce "warp_reduce" Collective, S::Reduce, All, "The reduction over the lanes of the warp that there are: the same bits on every lane.";
    Agreed "agreed" Pure, S::Unary(Any), All, "Its operand, on which the threads of the block that come here agree: whoever writes it has seen to that.";
    ClusterArrive "cluster_arrive" Sync, S::Nothing, Sm(90), "Comes to the cluster's barrier, lets its threads know of earlier writes, and goes on.";
    ClusterWait "cluster_wait" Sync, S::Nothing, Sm(90), "Waits until every thread of the cluster has come to its barrier, and sees their writes.";
    Elect "elect" Collective, S::Elect, Sm(90), "True on one lane of the warp, the same one each time.";
    SetMaxRegisters "set_max_registers" Sync, S::Nothing, SmSpecific(90), "Gives registers of the warpgroup back, or waits for more; its threads come together.";
    // matrices
    Mma "mma" Collective, S::Mma, ByShape, "D = A * B + C on the warp's fragments.";
    Ldmatrix "ldmatrix" Collective, S::Ldmatrix, Sm(75), "Loads 1, 2 or 4 8x8 matrices of 16-bit elements from shared memory: lane i gives the address of row i % 8 of matrix i / 8, and gets 2 elements of each.";
    Stmatrix "stmatrix" Sync, S::Stmatrix, Sm(90), "Stores what `ldmatrix` loads: lane i gives the address of row i % 8 of matrix i / 8.";
    WgmmaFence "wgmma_fence" Sync, S::Nothing, SmOnly(90), "Orders the warpgroup's accesses of registers before the `wgmma`s that follow: needed before the first, and after each wait.";
    Wgmma "wgmma" Sync, S::Wgmma, SmOnly(90), "Begins D = A * B + C (or D = A * B, where the condition is false) on the warpgroup. D is in flight: only another `wgmma` may add to it, once, until a `wgmma_wait` has passed it on.";
    WgmmaCommit "wgmma_commit" Sync, S::Nothing, SmOnly(90), "Closes a group of `wgmma`s.";
    WgmmaWait "wgmma_wait" Sync, S::WgmmaWait, SmOnly(90), "Waits until at most that many of the latest groups are in flight, and passes on accumulators of the others.";
    Tcgen05Alloc "tcgen05_alloc" Sync, S::TensorAlloc, SmOnly(100), "Takes columns of the block's tensor memory, a power of two from 32 to 512, or waits for them, and writes their address. Of a pair of blocks a warp of each comes here, and both get the same columns.";
    Tcgen05Free "tcgen05_free" Sync, S::TensorFree, SmOnly(100), "Gives columns of tensor memory back, as many as were taken. Every block gives back all that it took; of a pair a warp of each comes here.";
    Tcgen05Yield "tcgen05_yield" Sync, S::TensorYield, SmOnly(100), "Says that this block takes no more tensor memory; of a pair a warp of each comes here.";
    Tcgen05Mma "tcgen05_mma" Sync, S::Tcgen05, SmOnly(100), "Begins D = A * B + D (or D = A * B, where the condition is false), D in tensor memory, for one thread; a `tcgen05_commit` of it tells when it is over. With scales, runs of elements along k are multiplied by theirs, which lie in tensor memory, the same in the lanes of all four warps. Of a pair of blocks one thread of either begins it for both: each has half of the rows of A and half of the columns of B in its shared memory, at the same address, and half of the rows of D in its tensor memory.";
    Tcgen05Copy "tcgen05_copy" Sync, S::TensorCopy, SmOnly(100), "Begins to copy rows of shared memory to columns of tensor memory, for one thread. Its products that follow see them; a `tcgen05_commit` tells others. Of a pair, each block copies from its shared memory.";
    Tcgen05Commit "tcgen05_commit" Sync, S::TensorCommit, SmOnly(100), "Lets the barrier be come to once all products and copies to tensor memory that this thread has begun are over; with multicast, the barriers at its address in several blocks of the cluster.";
    Tcgen05Load "tcgen05_load" Sync, S::TensorLoad, SmOnly(100), "Begins to read columns of tensor memory, each lane of the warp those of its own: the address names lane 32 * w for warp w of a warpgroup. Only a `tcgen05_wait_load` takes the result.";
    Tcgen05Store "tcgen05_store" Sync, S::TensorStore, SmOnly(100), "Begins to write columns of tensor memory, as `tcgen05_load` reads them.";
    Tcgen05WaitLoad "tcgen05_wait_load" Sync, S::WgmmaWait, SmOnly(100), "Waits for this thread's reads of tensor memory, and passes on what they read.";
    Tcgen05WaitStore "tcgen05_wait_store" Sync, S::Nothing, SmOnly(100), "Waits for this thread's writes of tensor memory.";
    Tcgen05FenceBefore "tcgen05_fence_before" Sync, S::Nothing, SmOnly(100), "Orders accesses of tensor memory before what lets other threads know of them.";
    Tcgen05FenceAfter "tcgen05_fence_after" Sync, S::Nothing, SmOnly(100), "Orders accesses of tensor memory behind what this thread has waited for.";
    // asynchronous copies
    CpAsync "cp_async" Write, S::CpAsync, SmElsePlain(80), "Copies 4, 8 or 16 aligned bytes from global to shared memory, complete after a wait.";
    CpAsyncCommit "cp_async_commit" Sync, S::Nothing, SmElsePlain(80), "Closes a group of copies.";
    CpAsyncWait "cp_async_wait" Sync, S::Nothing, SmElsePlain(80), "Waits until at most that many of the latest groups are in flight.";
    CpAsyncArrive "cp_async_arrive" Sync, S::MbarrierArrive, Sm(90), "Lets the barrier in shared memory be come to, by this thread, when its copies so far have arrived; the arrival is among those that the barrier counts.";
    AsyncFence "async_fence" Sync, S::Nothing, Sm(90), "Lets bulk copies and `wgmma` see this thread's earlier writes to shared memory.";
    TmaLoad "tma_load" Write, S::TmaLoad, Sm(90), "Begins to copy a box of a tensor to shared memory; its bytes are counted by the barrier there, or (sm_100a) by one of the pair's other block, named in the cluster's memory. Elements outside of the tensor are 0.";
    TmaStore "tma_store" Write, S::TmaStore, Sm(90), "Begins to copy a box to a tensor, or to combine it with what is there; what is outside of the tensor is left out.";
    TmaPrefetch "tma_prefetch" Sync, S::TmaPrefetch, Sm(90), "Brings a tensor map closer.";
    TmaFetch "tma_fetch" Sync, S::TmaFetch, Sm(90), "Begins to bring a box of a tensor into the L2 cache.";
    BulkFetch "bulk_fetch" Sync, S::BulkFetch, Sm(90), "Begins to bring bytes of global memory into the L2 cache, a multiple of 16 at a multiple of 16.";
    BulkLoad "bulk_load" Write, S::BulkLoad, Sm(90), "Begins to copy bytes to shared memory, a multiple of 16 at multiples of 16; they are counted by the barrier there.";
    BulkStore "bulk_store" Write, S::BulkStore, Sm(90), "Begins to copy bytes to global memory, a multiple of 16 at multiples of 16, or to combine them with what is there.";
    BulkCommit "bulk_commit" Sync, S::Nothing, Sm(90), "Closes a group of this thread's copies to global memory.";
    BulkWait "bulk_wait" Sync, S::Nothing, Sm(90), "Waits until at most that many of this thread's latest groups are in flight.";
    BulkWaitRead "bulk_wait_read" Sync, S::Nothing, Sm(90), "Waits until at most that many of this thread's latest groups still read shared memory.";
    GridWait "grid_wait" Sync, S::Nothing, Sm(90), "Waits until the launches before, which this one overlaps, have ended, and sees their writes.";
    GridRelease "grid_release" Sync, S::Nothing, Sm(90), "Lets the launch behind begin once all blocks have come here or ended.";
    // barriers in shared memory
    MbarrierInit "mbarrier_init" Sync, S::MbarrierInit, Sm(90), "Makes a barrier of 8 bytes of shared memory, each of whose phases ends when as many arrivals have come, and all bytes that it was told to expect.";
    MbarrierFence "mbarrier_fence" Sync, S::Nothing, Sm(90), "Lets the cluster and bulk copies see the barriers that this thread has made.";
    MbarrierArrive "mbarrier_arrive" Sync, S::MbarrierArrive, Sm(90), "Comes to a barrier once, with all that this thread has done before.";
    MbarrierExpect "mbarrier_arrive_expect" Sync, S::MbarrierExpect, Sm(90), "Tells a barrier of bytes that copies will bring in this phase, then comes to it.";
    MbarrierTest "mbarrier_test" Sync, S::MbarrierTest, Sm(90), "Whether the phase of that parity has ended: the current phase has the other one. The first phase has parity 0.";
    MbarrierWait "mbarrier_wait" Sync, S::MbarrierWait, Sm(90), "Waits until the phase of that parity has ended, and sees what those did that came to it.";
    MapShared "map_shared" Pure, S::MapShared, Sm(90), "The same address in the shared memory of another block of the cluster.";
    // checks
    Check "check" Check, S::Check, All, "Reports an error and ends the thread where the condition is false.";
    // control
    If "if" Control, S::If, All, "Executes one of two regions; its results are what the region yields.";
    For "for" Control, S::For, All, "Executes its region for each integer from lo up to hi, exclusive; carries values.";
    Loop "loop" Control, S::Loop, All, "Executes its region until a break.";
    Block "block" Control, S::Block, All, "Executes its region once; a break leaves it early.";
    Yield "yield" Terminator, S::Terminator, All, "Ends a region of `if` or `block` with its results.";
    Break "break" Terminator, S::Terminator, All, "Leaves the labelled for, loop or block with its results.";
    Continue "continue" Terminator, S::Terminator, All, "Begins the next iteration of the labelled for or loop with its carried values.";
    Return "return" Terminator, S::Terminator, All, "Ends the thread's execution of the kernel.";
}

impl Opcode {
    /// The operation's row.
    pub const fn info(self) -> &'static OpInfo {
        &TABLE[self as usize]
    }

    /// The name in the text form.
    pub const fn name(self) -> &'static str {
        self.info().name
    }

    /// The operation of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Opcode> {
        TABLE.iter().find(|row| row.name == name).map(|row| row.op)
    }

    /// What it does besides its results.
    pub const fn effect(self) -> Effect {
        self.info().effect
    }

    /// Whether it may be duplicated, moved, merged and removed.
    pub const fn is_pure(self) -> bool {
        matches!(self.effect(), Effect::Pure)
    }

    /// Whether it ends a region.
    pub const fn is_terminator(self) -> bool {
        matches!(self.effect(), Effect::Terminator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_in_opcode_order_with_unique_names() {
        for (i, row) in TABLE.iter().enumerate() {
            assert_eq!(row.op as usize, i);
            assert_eq!(Opcode::from_name(row.name), Some(row.op));
        }
    }
}
