//! Devices, buffers, streams, launches and caches of Kernelsmith.
//!
//! A [`Device`] is a run-time value: the CPU, which is always here, or a GPU behind a driver that
//! is opened at run time. Nothing of CUDA or ROCm is needed to build, and their absence is a reason
//! in [`Device::available`], never a panic.
//!
//! ```
//! # fn main() -> kernelsmith_runtime::Result<()> {
//! use kernelsmith_runtime::{Buffer, Device};
//!
//! let device = Device::best();
//! let x = Buffer::from_slice(&device, &[1.0f32, 2.0, 3.0])?;
//! let y = x.try_clone()?;
//! assert_eq!(y.to_vec()?, [1.0, 2.0, 3.0]);
//! # Ok(())
//! # }
//! ```
//!
//! How the parts lie, from the bottom up:
//! * `driver` is what a device must do, as a trait; `cpu`, `cuda` and `hip` do it;
//! * [`Stream`], [`Event`], [`Buffer`] are written once over that trait, and so is the order between
//!   streams, which keeps safe code from racing;
//! * [`Stream::launch`] checks a launch against the device and the kernel; a check that fails inside
//!   a kernel comes back from [`Stream::synchronize`] with file, line, index and length;
//! * [`Device::compile`] turns IR into code for a device, [`codegen`] shows code for any target, and
//!   [`cache`] keeps what is slow to compile on disk.
#![deny(missing_docs)]

pub mod cache;
pub mod codegen;

mod args;
mod buffer;
mod compile;
mod contract;
mod cpu;
mod cuda;
mod device;
mod driver;
mod element;
mod error;
mod event;
mod fp8;
mod hip;
mod interpreter;
mod kernel;
mod launch;
mod library;
mod limits;
mod machine;
mod prints;
mod records;
mod stream;
mod sync;
mod tensor;
#[cfg(test)]
mod tests;

pub use args::Args;
pub use buffer::{ALIGNMENT, Buffer, BufferView, BufferViewMut, RawBuffer};
pub use contract::ContractBroken;
pub use device::{Availability, Device, DeviceKind, Present, Unavailable};
pub use element::Element;
pub use error::{CheckFailed, Error, Result};
pub use event::Event;
pub use fp8::{e4m3, e5m2};
pub use kernel::CompiledKernel;
pub use kernelsmith_ir::Target;
pub use kernelsmith_ir::interp::{Agent, Finding, FindingKind, Other};
pub use kernelsmith_ir::tensor_map::Swizzle;
pub use launch::LaunchConfig;
pub use limits::DeviceLimits;
pub use machine::Machine;
pub use stream::Stream;
