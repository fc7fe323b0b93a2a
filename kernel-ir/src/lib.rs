//! Kernelsmith's portable kernel IR.
//!
//! A [`Kernel`] is structured SSA: a tree of [`Region`]s holding [`Inst`]s, with no arbitrary
//! control-flow graph. Control flow is four region operations (`if`, `for`, `loop`, `block`) and
//! four terminators (`yield`, `break`, `continue`, `return`), where `break` and `continue` name the
//! label of an enclosing operation, as in WebAssembly. Everything that is known of an operation
//! (its operands, types, effects, the targets that have it) stands in one table, [`op::Opcode::info`].
//!
//! The module map, in the order data flows:
//! * [`types`], [`op`], [`attr`], [`mma`]: what can be said.
//! * [`kernel`], [`builder`]: saying it.
//! * [`print`](mod@print), [`mod@parse`]: writing and reading the text form.
//! * [`mod@verify`], [`legal`]: whether it keeps the rules, and whether a target has it.
//! * [`interp`]: running it, and finding what is wrong.
//! * [`passes`]: from what the front end said to what backends are given.
#![deny(missing_docs)]

pub mod attr;
pub mod builder;
pub mod check;
pub mod contract;
pub mod eval;
mod fp8;
pub mod interp;
pub mod kernel;
pub mod legal;
pub mod loc;
pub mod message;
pub mod mma;
pub mod op;
pub mod parse;
pub mod passes;
pub mod print;
pub mod printing;
mod rounding;
pub mod target;
pub mod tcgen05;
pub mod tensor_map;
pub mod types;
pub mod verify;
pub mod wgmma;

pub use attr::Attr;
pub use builder::Builder;
pub use kernel::{Inst, Kernel, Label, Param, ParamKind, Region, Value};
pub use loc::Loc;
pub use op::Opcode;
pub use parse::{ParseError, parse};
pub use target::Target;
pub use types::{Scalar, Space, Type};
pub use verify::verify;
