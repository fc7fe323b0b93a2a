//! What the macros' expansions name. No part of the public interface.

pub use kernelsmith_ir::attr::Const;
pub use kernelsmith_ir::{Kernel, Opcode, Scalar, Target, Type, Value};
pub use kernelsmith_runtime::Buffer;

pub use crate::lang::cast::{CastTo, cast};
pub use crate::lang::compare::{Compare, and, compare_host, eq, equality, ge, gt, le, lt, ne, or};
pub use crate::lang::contract::{Comparison, extent, require};
pub use crate::lang::control::{
    Body, Comptime, Condition, HostMerge, Jump, Loop, While, panic, ret, unreached,
};
pub use crate::lang::element::{Comparable, Element, InKernel, Num};
pub use crate::lang::extremes::{IteratorReceiver, OtherReceiver, Receiver};
pub use crate::lang::index::{index, slot};
pub use crate::lang::memory::{Param, Slice, SliceMut, ViewMut, ViewRef};
pub use crate::lang::ops::{AfterLiteral, UserOperators};
pub use crate::lang::option::{IntoOption, OptionLike, OptionParts, RunOption};
pub use crate::lang::part::Part;
pub use crate::lang::passing::{IntoSlice, IntoSliceMut, place_range};
pub use crate::lang::place::{
    Place, fix_block, fix_cluster, host, in_order, lit_float, lit_int, val_float, val_host,
    val_int, var,
};
pub use crate::lang::printing::{check, print};
pub use crate::lang::ranges::{for_loop, range_through, range_to};
pub use crate::lang::slicing::{shared_part, sliced};
pub use crate::lang::stage::{Frame, stage};
pub use crate::lang::subject::{ArrayParts, HostGuard, HostSubject, RunSubject, Subject};
pub use crate::lang::tensor_map::{TensorMap, TensorMapMut};
pub use crate::lang::val::{IntoStaged, StoredAs};
pub use crate::lang::{Staged, StagingError, Val};
pub use crate::launch::{
    Launch, PartArg, SliceArg, SliceArgument, SliceMutArg, SliceMutArgument, StageId, ViewArg,
    ViewMutArg,
};
