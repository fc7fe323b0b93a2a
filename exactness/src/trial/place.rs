//! Where programs run or are compiled.

use std::fmt::{self, Display};

use kernelsmith::ir::passes::prepare;
use kernelsmith::ir::target::{Gfx, Ptx};
use kernelsmith::{Buffer, Device, Launch, Target};

use super::{Cell, ROWS};

/// Where a program runs, or what it is compiled for.
#[derive(Clone, Debug)]
pub enum Place {
    /// A device, by its name.
    Device(&'static str, Device),
    /// The PTX emulator, and `ptxas` if it is installed.
    Ptx(Ptx),
    /// AMD's linker.
    Amdgcn(Gfx),
}

impl Place {
    /// A column of arguments. What is only compiled has no use for it.
    pub fn buffer<T: Cell>(&self, values: &[T]) -> Buffer<T> {
        match self {
            Place::Device(_, device) => {
                Buffer::from_slice(device, values).expect("memory for a few rows")
            }
            _ => Buffer::zeros(&Device::cpu(), 1).expect("memory for a row"),
        }
    }

    /// A column for results, `each` a row.
    pub fn results<T: Cell>(&self, each: usize) -> Buffer<T> {
        self.buffer(&vec![T::zeroed(); ROWS * each])
    }
}

impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Device(name, _) => f.write_str(name),
            Place::Ptx(target) => Target::Ptx(*target).fmt(f),
            Place::Amdgcn(target) => Target::Amdgcn(*target).fmt(f),
        }
    }
}

/// Compiles and links for an AMD GPU.
pub(super) fn link(target: Gfx, launch: Launch<'_>) -> Result<(), String> {
    let target_name = Target::Amdgcn(target);
    let kernel = launch.ir(&target_name).map_err(|e| e.to_string())?;
    let kernel = prepare(&kernel, &target_name).map_err(|e| e.to_string())?;
    kernelsmith_codegen_amdgcn::compile(&kernel, target).map_err(|e| e.to_string())?;
    Ok(())
}
