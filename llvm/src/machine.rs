//! The machines that code is generated for.

use std::ffi::{CString, c_char};
use std::ptr::null_mut;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::ffi::{Llvm, Ref, c_string, llvm};
use crate::{Context, Error, Module, probe};

/// How hard LLVM's instruction selection and register allocation try.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Effort {
    /// `-O0`: the fast instruction selector. For code that runs once.
    None,
    /// `-O1`.
    Less,
    /// `-O2`.
    Default,
    /// `-O3`.
    Aggressive,
}

/// What defines a [`Machine`].
///
/// Code is always position independent, and in the target's default code model: AMD's loader and
/// the in-process linker both ask for that.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct MachineOptions {
    /// The target triple.
    pub triple: String,
    /// The processor, as `-mcpu` takes it.
    pub cpu: String,
    /// Features, as `-mattr` takes them. LLVM ignores those it does not know.
    pub features: String,
    /// Effort of the code generator.
    pub effort: Effort,
}

/// A machine to generate code for: a description, to be kept and shared. LLVM's own object for it,
/// [`TargetMachine`], is cheap and not thread-safe, so each use makes a new one.
#[derive(Clone, Debug)]
pub struct Machine {
    options: MachineOptions,
}

/// What to generate.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Output {
    /// The IR after the passes, as text.
    Ir,
    /// Assembly text.
    Assembly,
    /// A relocatable object file.
    Object,
}

/// The names LLVM gives to this process's own target.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Host {
    /// The triple.
    pub triple: String,
    /// The processor's name.
    pub cpu: String,
    /// The features, as `-mattr` takes them: what the processor has (`+avx512f`) and has not.
    pub features: String,
}

impl Host {
    /// Asks LLVM, once.
    ///
    /// # Errors
    /// If no LLVM is found.
    pub fn detect() -> Result<Host, Error> {
        static HOST: OnceLock<Host> = OnceLock::new();
        let llvm = llvm()?;
        // SAFETY: the three strings are ours.
        let ask = || unsafe {
            Host {
                triple: llvm.take_message((llvm.default_triple)()),
                cpu: llvm.take_message((llvm.host_cpu_name)()),
                features: llvm.take_message((llvm.host_cpu_features)()),
            }
        };
        Ok(HOST.get_or_init(ask).clone())
    }

    /// Whether the processor has a feature, by LLVM's name for it: `avx512bf16`.
    pub fn has(&self, feature: &str) -> bool {
        self.features.split(',').any(|f| f.strip_prefix('+') == Some(feature))
    }
}

impl Machine {
    /// A machine. Checks that LLVM has the target, a code generator for it, and the processor.
    ///
    /// # Errors
    /// If no LLVM is found, or it lacks one of these.
    pub fn new(options: MachineOptions) -> Result<Machine, Error> {
        let machine = Machine { options };
        let checked = machine.clone();
        Context::with(move |context| TargetMachine::new(context, &checked.options).map(drop))?;
        probe::processor(&machine.options)?;
        Ok(machine)
    }

    /// The machine this process runs on.
    ///
    /// # Errors
    /// As [`Machine::new`].
    pub fn host(effort: Effort) -> Result<Machine, Error> {
        let Host { triple, cpu, features } = Host::detect()?;
        Machine::new(MachineOptions { triple, cpu, features, effort })
    }

    /// The options it was made with.
    pub fn options(&self) -> &MachineOptions {
        &self.options
    }

    /// Generates code from IR text, after running a pass pipeline (as `opt -passes=` takes it;
    /// none if empty). Triple and data layout need not be in the text.
    ///
    /// # Errors
    /// If the IR or the pipeline is not valid, or LLVM cannot generate code.
    pub fn compile(&self, ir: String, passes: &str, output: Output) -> Result<Vec<u8>, Error> {
        emit(&self.options, ir, passes, output)
    }
}

pub(crate) fn emit(
    options: &MachineOptions,
    ir: String,
    passes: &str,
    output: Output,
) -> Result<Vec<u8>, Error> {
    let (options, passes) = (options.clone(), passes.to_owned());
    Context::with(move |context| {
        let machine = TargetMachine::new(context, &options)?;
        let module = Module::parse(context, &ir)?;
        module.set_machine(&machine);
        module.verify()?;
        module.run_passes(&passes, &machine)?;
        module.emit(&machine, output)
    })
}

/// LLVM's object for a [`Machine`].
pub struct TargetMachine<'cx> {
    context: &'cx Context,
    pub(crate) raw: Ref,
    pub(crate) triple: CString,
}

impl<'cx> TargetMachine<'cx> {
    /// Makes one.
    ///
    /// # Errors
    /// If LLVM lacks the target or a code generator for it.
    pub fn new(
        context: &'cx Context,
        options: &MachineOptions,
    ) -> Result<TargetMachine<'cx>, Error> {
        /// `LLVMRelocPIC`.
        const PIC: i32 = 2;
        /// `LLVMCodeModelDefault`.
        const CODE_MODEL: i32 = 0;

        let llvm = context.llvm;
        let MachineOptions { triple, cpu, features, effort } = options;
        initialize(llvm, triple)?;
        let no_target = |message| Error::NoTarget { triple: triple.clone(), message };
        let [c_triple, cpu, features] = [c_string(triple)?, c_string(cpu)?, c_string(features)?];
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
                *effort as i32, // LLVMCodeGenLevelNone = 0 to LLVMCodeGenLevelAggressive = 3
                PIC,
                CODE_MODEL,
            )
        };
        if raw.is_null() {
            return Err(no_target("LLVM has no code generator for it".into()));
        }
        Ok(TargetMachine { context, raw, triple: c_triple })
    }
}

impl Drop for TargetMachine<'_> {
    fn drop(&mut self) {
        // SAFETY: the machine is ours.
        unsafe { (self.context.llvm.dispose_machine)(self.raw) }
    }
}

/// Initialises the target a triple needs, once. Others would only cost time.
pub(crate) fn initialize(llvm: &Llvm, triple: &str) -> Result<(), Error> {
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
    // Registering is not thread-safe in LLVM.
    let mut done = DONE.lock().unwrap_or_else(PoisonError::into_inner);
    if !done.contains(&name) {
        let parts = ["TargetInfo", "Target", "TargetMC", "AsmPrinter", "AsmParser", "Disassembler"];
        llvm.initialize(name, &parts)?;
        done.push(name);
    }
    Ok(())
}
