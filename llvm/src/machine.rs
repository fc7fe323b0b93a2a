//! From IR text to machine code, for one target.

use std::ffi::c_char;
use std::ptr::null_mut;
use std::sync::Mutex;

use crate::ffi::{Llvm, Ref, llvm};
use crate::module::{Module, c_string};
use crate::{Error, worker};

/// How hard LLVM's instruction selection and register allocation try.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effort {
    /// `-O1`.
    Less,
    /// `-O2`.
    Default,
    /// `-O3`.
    Aggressive,
}

/// A machine to generate code for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MachineOptions {
    /// The target triple.
    pub triple: String,
    /// The processor, as `-mcpu` takes it.
    pub cpu: String,
    /// Features, as `-mattr` takes them.
    pub features: String,
    /// Effort of the code generator.
    pub effort: Effort,
}

/// A machine to generate code for. Each use builds LLVM's own objects anew on a worker thread:
/// they are cheap, and not thread-safe.
#[derive(Clone, Debug)]
pub struct Machine {
    options: MachineOptions,
}

/// What to generate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Output {
    /// The IR after the passes, as text.
    Ir,
    /// Assembly text.
    Assembly,
    /// A relocatable object file.
    Object,
}

/// The name LLVM gives to this process's own triple, processor and features.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Host {
    /// The triple.
    pub triple: String,
    /// The processor's name.
    pub cpu: String,
    /// The features, as `-mattr` takes them.
    pub features: String,
}

impl Host {
    /// Asks LLVM.
    ///
    /// # Errors
    /// If no LLVM is found.
    pub fn detect() -> Result<Host, Error> {
        let llvm = llvm()?;
        // SAFETY: the three strings are ours.
        unsafe {
            Ok(Host {
                triple: llvm.take_message((llvm.default_triple)()),
                cpu: llvm.take_message((llvm.host_cpu_name)()),
                features: llvm.take_message((llvm.host_cpu_features)()),
            })
        }
    }
}

impl Machine {
    /// A machine, of which nothing is checked yet but that LLVM knows its target.
    ///
    /// # Errors
    /// If no LLVM is found, or it lacks the target.
    pub fn new(options: MachineOptions) -> Result<Machine, Error> {
        initialize(llvm()?, &options.triple)?;
        let machine = Machine { options };
        machine.with_raw(|_| Ok(()))?;
        Ok(machine)
    }

    /// The options it was made with.
    pub fn options(&self) -> &MachineOptions {
        &self.options
    }

    /// Generates code from IR text, after running a pass pipeline (as `opt -passes=` takes it;
    /// none if empty).
    ///
    /// # Errors
    /// If the IR is not valid, or LLVM cannot generate code for it.
    pub fn compile(&self, ir: String, passes: &str, output: Output) -> Result<Vec<u8>, Error> {
        let machine = self.clone();
        let passes = passes.to_owned();
        worker::run(move || {
            machine.with_raw(|raw| {
                let module = Module::parse(&ir)?;
                module.set_machine(&machine.options.triple, raw)?;
                module.verify()?;
                if !passes.is_empty() {
                    module.run_passes(&passes, raw)?;
                }
                match output {
                    Output::Ir => Ok(module.text().into_bytes()),
                    Output::Assembly => module.emit(raw, false),
                    Output::Object => module.emit(raw, true),
                }
            })
        })
    }

    fn with_raw<T>(&self, use_it: impl FnOnce(Ref) -> Result<T, Error>) -> Result<T, Error> {
        struct Guard(&'static Llvm, Ref);
        impl Drop for Guard {
            fn drop(&mut self) {
                // SAFETY: the machine is ours and no longer used.
                unsafe { (self.0.dispose_machine)(self.1) }
            }
        }
        /// `LLVMRelocPIC`.
        const PIC: i32 = 2;
        /// `LLVMCodeModelDefault`.
        const CODE_MODEL: i32 = 0;

        let llvm = llvm()?;
        let MachineOptions { triple, cpu, features, effort } = &self.options;
        let [c_triple, cpu, features] = [c_string(triple)?, c_string(cpu)?, c_string(features)?];
        let no_target = |message| Error::NoTarget { triple: triple.clone(), message };
        let (mut target, mut message): (Ref, *mut c_char) = (null_mut(), null_mut());
        // SAFETY: all strings outlive the calls; on failure the message is ours.
        let raw = unsafe {
            if (llvm.target_from_triple)(c_triple.as_ptr(), &mut target, &mut message) != 0 {
                return Err(no_target(llvm.take_message(message)));
            }
            (llvm.create_machine)(
                target,
                c_triple.as_ptr(),
                cpu.as_ptr(),
                features.as_ptr(),
                *effort as i32 + 1, // LLVMCodeGenLevelNone = 0
                PIC,
                CODE_MODEL,
            )
        };
        if raw.is_null() {
            return Err(no_target("LLVM has no code generator for it".into()));
        }
        let guard = Guard(llvm, raw);
        use_it(guard.1)
    }
}

/// Initialises the target a triple needs, once.
fn initialize(llvm: &Llvm, triple: &str) -> Result<(), Error> {
    static DONE: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());
    let name = match triple.split('-').next() {
        Some("x86_64") => "X86",
        Some("aarch64" | "arm64") => "AArch64",
        Some("amdgcn") => "AMDGPU",
        _ => {
            return Err(Error::NoTarget {
                triple: triple.to_owned(),
                message: "expected an x86_64, aarch64 or amdgcn triple".into(),
            });
        }
    };
    let mut done = DONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if !done.contains(&name) {
        llvm.initialize_target(name)?;
        done.push(name);
    }
    Ok(())
}
