//! A module of LLVM IR in a context of its own. Not `Send`: it stays on its worker thread.

use std::cell::RefCell;
use std::ffi::{CString, c_void};
use std::ptr::null_mut;

use crate::Error;
use crate::ffi::{Llvm, Ref, llvm};

/// A parsed module with its context.
pub(crate) struct Module {
    llvm: &'static Llvm,
    context: Ref,
    pub(crate) raw: Ref,
    /// Errors the diagnostic handler was told, boxed so that their address is stable.
    diagnostics: Box<RefCell<Vec<String>>>,
}

/// `LLVMDSError`.
const SEVERITY_ERROR: i32 = 0;

extern "C" fn on_diagnostic(info: Ref, sink: *mut c_void) {
    let Ok(llvm) = llvm() else { return };
    // SAFETY: `sink` is the `diagnostics` of the module whose context reports.
    unsafe {
        if (llvm.get_diag_info_severity)(info) == SEVERITY_ERROR {
            let text = llvm.take_message((llvm.get_diag_info_description)(info));
            (*sink.cast::<RefCell<Vec<String>>>()).borrow_mut().push(text);
        }
    }
}

impl Module {
    /// Parses textual IR.
    ///
    /// # Errors
    /// With LLVM's message, which has the line.
    pub(crate) fn parse(text: &str) -> Result<Module, Error> {
        let llvm = llvm()?;
        let diagnostics = Box::new(RefCell::new(Vec::new()));
        // SAFETY: the context is ours; the handler's sink lives as long as it, in the module.
        let context = unsafe {
            let context = (llvm.context_create)();
            let sink = (&raw const *diagnostics).cast_mut().cast();
            (llvm.context_set_diagnostic_handler)(context, on_diagnostic, sink);
            context
        };
        let mut module = Module { llvm, context, raw: null_mut(), diagnostics };
        let mut message = null_mut();
        // SAFETY: the buffer copies the text and is consumed by parsing, also when that fails.
        let failed = unsafe {
            let name = c"kernel.ll";
            let buffer = (llvm.create_buffer)(text.as_ptr().cast(), text.len(), name.as_ptr());
            (llvm.parse_ir)(context, buffer, &mut module.raw, &mut message) != 0
        };
        if failed {
            module.raw = null_mut();
            // SAFETY: on failure the message is ours.
            return Err(Error::InvalidIr(unsafe { llvm.take_message(message) }));
        }
        Ok(module)
    }

    /// Checks LLVM's own rules.
    pub(crate) fn verify(&self) -> Result<(), Error> {
        /// `LLVMReturnStatusAction`.
        const RETURN_STATUS: i32 = 2;
        let mut message = null_mut();
        // SAFETY: the module is alive; the message is ours in either case.
        unsafe {
            let failed = (self.llvm.verify_module)(self.raw, RETURN_STATUS, &mut message) != 0;
            let text = self.llvm.take_message(message);
            if failed { Err(Error::InvalidIr(text)) } else { Ok(()) }
        }
    }

    /// Sets triple and data layout to a machine's.
    pub(crate) fn set_machine(&self, triple: &str, machine: Ref) -> Result<(), Error> {
        let triple = c_string(triple)?;
        // SAFETY: module and machine are alive; the layout is copied into the module.
        unsafe {
            (self.llvm.set_target)(self.raw, triple.as_ptr());
            let layout = (self.llvm.create_data_layout)(machine);
            (self.llvm.set_data_layout)(self.raw, layout);
            (self.llvm.dispose_data_layout)(layout);
        }
        Ok(())
    }

    /// Runs a pass pipeline, as `opt -passes=` takes it.
    pub(crate) fn run_passes(&self, passes: &str, machine: Ref) -> Result<(), Error> {
        let passes = c_string(passes)?;
        // SAFETY: module and machine are alive; the options are freed after use.
        unsafe {
            let options = (self.llvm.create_pass_options)();
            let error = (self.llvm.run_passes)(self.raw, passes.as_ptr(), machine, options);
            (self.llvm.dispose_pass_options)(options);
            self.llvm.check(error)
        }
    }

    /// Machine code: assembly text or an object file.
    pub(crate) fn emit(&self, machine: Ref, object: bool) -> Result<Vec<u8>, Error> {
        let (mut message, mut buffer) = (null_mut(), null_mut());
        // SAFETY: module and machine are alive; message or buffer is ours by the outcome.
        let bytes = unsafe {
            let kind = i32::from(object); // LLVMAssemblyFile = 0, LLVMObjectFile = 1
            let failed =
                (self.llvm.emit_to_buffer)(machine, self.raw, kind, &mut message, &mut buffer) != 0;
            if failed {
                return Err(Error::Other(self.llvm.take_message(message)));
            }
            self.llvm.take_buffer(buffer)
        };
        // Some errors of code generation only reach the diagnostic handler.
        match self.diagnostics.borrow().first() {
            Some(error) => Err(Error::Fatal(error.clone())),
            None => Ok(bytes),
        }
    }

    /// The module as text.
    pub(crate) fn text(&self) -> String {
        // SAFETY: the module is alive and the string is ours.
        unsafe { self.llvm.take_message((self.llvm.print_module)(self.raw)) }
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        // SAFETY: both are ours; the module goes before its context.
        unsafe {
            if !self.raw.is_null() {
                (self.llvm.dispose_module)(self.raw);
            }
            (self.llvm.context_dispose)(self.context);
        }
    }
}

/// A C string; no text we make has a NUL in it.
pub(crate) fn c_string(text: &str) -> Result<CString, Error> {
    CString::new(text).map_err(|_| Error::Other(format!("NUL in {text:?}")))
}
