//! The language of kernels: the types and functions that `#[kernel]` functions are made of once
//! the macro has rewritten them.

pub mod cast;
pub mod compare;
pub mod contract;
pub mod control;
pub mod copies;
pub mod element;
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
pub mod ranges;
pub mod slicing;
pub mod stage;
pub mod staged;
pub mod thread;
pub mod val;

pub use element::{Bits, Element, Float, Int, Num, Signed};
pub use memory::{Shared, Slice, SliceMut, ViewMut, ViewRef, shared};
pub use option::RunOption;
pub use place::Place;
pub use stage::StagingError;
pub use staged::Staged;
pub use val::Val;
