//! Whether LLVM knows a processor.
//!
//! LLVM only prints a warning about a name it does not know and goes on with some other processor,
//! and its C API has no list of names. That must not go unnoticed: an older system LLVM lacks the
//! newest chips. So a name is tried on an empty module, in the way its target would fail.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use object::Object as _;

use crate::ffi::llvm;
use crate::machine::{Effort, MachineOptions, emit};
use crate::{Error, Host, Output};

/// Fails unless LLVM knows the processor of `options`. An empty name is the target's default.
pub(crate) fn processor(options: &MachineOptions) -> Result<(), Error> {
    static KNOWN: Mutex<BTreeSet<(String, String)>> = Mutex::new(BTreeSet::new());
    let MachineOptions { triple, cpu, .. } = options;
    let amd = triple.starts_with("amdgcn");
    if !amd && (cpu.is_empty() || *cpu == Host::detect()?.cpu) {
        return Ok(());
    }
    let key = (triple.clone(), cpu.clone());
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if known().contains(&key) {
        return Ok(());
    }
    if !try_out(options, amd)? {
        let llvm = llvm()?;
        let ((major, minor, patch), path) = (llvm.version, llvm.path.display());
        return Err(Error::NoTarget {
            triple: triple.clone(),
            message: format!("LLVM {major}.{minor}.{patch} ({path}) has no processor `{cpu}`"),
        });
    }
    known().insert(key);
    Ok(())
}

fn try_out(options: &MachineOptions, amd: bool) -> Result<bool, Error> {
    let MachineOptions { triple, cpu, .. } = options;
    // Features asked for would hide that the processor has none.
    let options =
        MachineOptions { features: String::new(), effort: Effort::None, ..options.clone() };
    let ir = if triple.starts_with("aarch64") || triple.starts_with("arm64") {
        // The assembler does refuse it.
        format!("module asm \".cpu {cpu}\"")
    } else {
        // An unknown x86 processor lacks 64-bit mode, a fatal error.
        "define void @probe() { ret void }".to_owned()
    };
    match emit(&options, ir, "", Output::Object) {
        Ok(object) => Ok(!amd || amd_processor(&object)? != 0),
        Err(Error::Codegen(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The processor in the header of an AMD object, 0 for none (`EF_AMDGPU_MACH` under "ELF Code
/// Object, Header" in LLVM's AMDGPU guide).
fn amd_processor(object: &[u8]) -> Result<u32, Error> {
    let file = object::File::parse(object).map_err(|e| Error::Object(e.to_string()))?;
    match file.flags() {
        object::FileFlags::Elf { e_flags, .. } => Ok(e_flags.0 & 0xff),
        _ => Err(Error::Object("AMD objects are ELF".into())),
    }
}
