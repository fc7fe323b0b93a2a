//! A module of LLVM IR.

use std::fmt;
use std::ptr::null_mut;

use crate::ffi::Ref;
use crate::ffi::c_string;
use crate::machine::TargetMachine;
use crate::{Context, Error, Output};

/// A module of LLVM IR. Its [`Display`](fmt::Display) is its textual form.
pub struct Module<'cx> {
    context: &'cx Context,
    raw: Ref,
}

impl<'cx> Module<'cx> {
    /// Parses textual IR.
    ///
    /// # Errors
    /// [`Error::InvalidIr`] with LLVM's message, which has the line and its text.
    pub fn parse(context: &'cx Context, text: &str) -> Result<Module<'cx>, Error> {
        let llvm = context.llvm;
        let (mut raw, mut message) = (null_mut(), null_mut());
        // SAFETY: the buffer is consumed by parsing, also when that fails.
        let failed = unsafe {
            let buffer = llvm.buffer(text.as_bytes(), c"kernel.ll");
            (llvm.parse_ir)(context.raw, buffer, &mut raw, &mut message) != 0
        };
        if failed {
            // SAFETY: on failure there is no module, and the message is ours.
            return Err(Error::InvalidIr(unsafe { llvm.take_message(message) }));
        }
        Ok(Module { context, raw })
    }

    /// Sets triple and data layout to the machine's.
    pub fn set_machine(&self, machine: &TargetMachine<'cx>) {
        let llvm = self.context.llvm;
        // SAFETY: module and machine are alive; triple and layout are copied into the module.
        unsafe {
            (llvm.set_target)(self.raw, machine.triple.as_ptr());
            let layout = (llvm.create_data_layout)(machine.raw);
            (llvm.set_data_layout)(self.raw, layout);
            (llvm.dispose_data_layout)(layout);
        }
    }

    /// Checks LLVM's own rules.
    ///
    /// # Errors
    /// [`Error::InvalidIr`] with the rule that is broken and by what.
    pub fn verify(&self) -> Result<(), Error> {
        /// `LLVMReturnStatusAction`.
        const RETURN_STATUS: i32 = 2;
        let llvm = self.context.llvm;
        let mut message = null_mut();
        // SAFETY: the module is alive; the message is ours in either case.
        unsafe {
            let failed = (llvm.verify_module)(self.raw, RETURN_STATUS, &mut message) != 0;
            let text = llvm.take_message(message);
            if failed { Err(Error::InvalidIr(text)) } else { Ok(()) }
        }
    }

    /// Runs a pass pipeline, as `opt -passes=` takes it: `default<O2>`, for example. An empty one
    /// does nothing.
    ///
    /// # Errors
    /// [`Error::Passes`] if the pipeline is wrong, [`Error::Codegen`] for what passes report.
    pub fn run_passes(&self, passes: &str, machine: &TargetMachine<'cx>) -> Result<(), Error> {
        if passes.is_empty() {
            return Ok(());
        }
        let llvm = self.context.llvm;
        let pipeline = c_string(passes)?;
        // SAFETY: module and machine are alive; the options are freed after use.
        let result = unsafe {
            let options = (llvm.create_pass_options)();
            let error = (llvm.run_passes)(self.raw, pipeline.as_ptr(), machine.raw, options);
            (llvm.dispose_pass_options)(options);
            llvm.check(error)
        };
        result.map_err(|message| Error::Passes { pipeline: passes.to_owned(), message })?;
        self.context.check()
    }

    /// The module in the form asked for. Takes the module, as generating code changes its IR.
    ///
    /// # Errors
    /// [`Error::Codegen`] if LLVM cannot generate code for it.
    pub fn emit(self, machine: &TargetMachine<'cx>, output: Output) -> Result<Vec<u8>, Error> {
        // LLVMAssemblyFile = 0, LLVMObjectFile = 1
        let kind = match output {
            Output::Ir => return Ok(self.to_string().into_bytes()),
            Output::Assembly => 0,
            Output::Object => 1,
        };
        let llvm = self.context.llvm;
        let (mut message, mut buffer) = (null_mut(), null_mut());
        // SAFETY: module and machine are alive; message or buffer is ours by the outcome.
        let bytes = unsafe {
            if (llvm.emit_to_buffer)(machine.raw, self.raw, kind, &mut message, &mut buffer) != 0 {
                return Err(Error::Codegen(llvm.take_message(message)));
            }
            llvm.take_buffer(buffer)
        };
        self.context.check()?;
        Ok(bytes)
    }
}

impl fmt::Display for Module<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let llvm = self.context.llvm;
        // SAFETY: the module is alive and the string is ours.
        f.write_str(&unsafe { llvm.take_message((llvm.print_module)(self.raw)) })
    }
}

impl Drop for Module<'_> {
    fn drop(&mut self) {
        // SAFETY: the module is ours, and its context is alive.
        unsafe { (self.context.llvm.dispose_module)(self.raw) }
    }
}
