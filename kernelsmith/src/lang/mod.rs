//! The language of kernels: the types and functions that `#[kernel]` functions are made of once
//! the macro has rewritten them.

pub mod atomic;
pub mod cast;
pub mod collectives;
pub mod compare;
pub mod contract;
pub mod control;
pub mod copies;
pub mod dot;
pub mod element;
pub mod extremes;
pub mod index;
pub mod integer;
pub mod iter;
pub mod math;
pub mod matrix;
pub mod memory;
pub mod ops;
pub mod option;
pub mod overflow;
pub mod part;
pub mod place;
pub mod printing;
pub mod ranges;
pub mod search;
pub mod sequence;
pub mod shared;
pub mod slicing;
pub mod stage;
pub mod staged;
pub mod subject;
pub mod tensor_map;
pub mod thread;
pub mod val;

pub use element::{Bits, Element, Float, Int, Num, Signed};
pub use memory::{Slice, SliceMut, ViewMut, ViewRef};
pub use option::RunOption;
pub use place::Place;
pub use shared::{Shared, SharedTile, dynamic_shared, shared, shared_tile};
pub use stage::StagingError;
pub use staged::Staged;
pub use tensor_map::{Swizzle, TensorMap, TensorMapMut, TensorTile, TensorTileMut};
pub use val::Val;
