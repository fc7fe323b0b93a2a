//! LLVM contexts, and with them the right to use LLVM's objects.

use std::cell::RefCell;
use std::ffi::c_void;
use std::rc::Rc;

use crate::ffi::{Llvm, Ref, llvm};
use crate::{Error, worker};

/// An LLVM context on a thread made for it. Modules and target machines borrow it, so all of them
/// stay on that thread, where LLVM's fatal errors are caught, and go before it.
pub struct Context {
    pub(crate) llvm: &'static Llvm,
    pub(crate) raw: Ref,
    /// Errors that the diagnostic handler was told.
    errors: Rc<Errors>,
}

type Errors = RefCell<Vec<String>>;

/// `LLVMDSError`.
const SEVERITY_ERROR: i32 = 0;

/// Keeps errors instead of printing them; drops warnings and remarks, which are for people who
/// write IR by hand.
extern "C" fn on_diagnostic(info: Ref, errors: *mut c_void) {
    let Ok(llvm) = llvm() else { return };
    // SAFETY: `errors` points into the `Rc` of the context that reports, which is alive.
    unsafe {
        if (llvm.get_diag_info_severity)(info) == SEVERITY_ERROR {
            let text = llvm.take_message((llvm.get_diag_info_description)(info));
            (*errors.cast::<Errors>()).borrow_mut().push(text);
        }
    }
}

impl Context {
    /// Runs `work` with a new context on a thread of its own, and waits for it.
    ///
    /// # Errors
    /// If no LLVM is found, those of `work`, and [`Error::Codegen`] for a fatal error of LLVM.
    pub fn with<T: Send + 'static>(
        work: impl FnOnce(&Context) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let llvm = llvm()?;
        worker::run(move || {
            let errors = Rc::new(Errors::default());
            // SAFETY: the context is ours; the handler's errors live as long as it does.
            let raw = unsafe {
                let raw = (llvm.context_create)();
                let sink = Rc::as_ptr(&errors).cast_mut().cast();
                (llvm.context_set_diagnostic_handler)(raw, on_diagnostic, sink);
                raw
            };
            work(&Context { llvm, raw, errors })
        })
    }

    /// Fails if LLVM has reported an error since the last call: some of its functions have no other
    /// way to say so.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let errors = std::mem::take(&mut *self.errors.borrow_mut());
        if errors.is_empty() { Ok(()) } else { Err(Error::Codegen(errors.join("\n"))) }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the context is ours, and what borrowed it is gone.
        unsafe { (self.llvm.context_dispose)(self.raw) }
    }
}
