//! Machine code in this process, by ORC.

use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::{Arc, Mutex, PoisonError};

use crate::ffi::{Llvm, Ref, SymbolMapPair, c_string, llvm};
use crate::machine::{Host, initialize};
use crate::{Error, worker};

/// An object file loaded into this process. Its code and data live as long as the last clone of
/// the handle.
///
/// Each has an LLJIT of its own, so that objects may use the same names and one that fails takes
/// nothing else with it; making one costs half a millisecond.
#[derive(Clone)]
pub struct Jit(Arc<Code>);

struct Code {
    llvm: &'static Llvm,
    raw: Ref,
    /// What the session reported besides the errors its functions returned. Boxed, because LLVM has
    /// its address.
    reports: Box<Reports>,
}

type Reports = Mutex<Vec<String>>;

// SAFETY: an LLJIT locks its own state, and belongs to no thread.
unsafe impl Send for Code {}
// SAFETY: as above.
unsafe impl Sync for Code {}

extern "C" fn on_session_error(reports: *mut c_void, error: Ref) {
    let Ok(llvm) = llvm() else { return };
    // SAFETY: `reports` is the box of the code whose session reports; the error is ours.
    unsafe {
        if let Err(message) = llvm.check(error) {
            let mut reports =
                (*reports.cast::<Reports>()).lock().unwrap_or_else(PoisonError::into_inner);
            reports.push(message);
        }
    }
}

impl Jit {
    /// Loads an object file for this machine. Symbols it lacks are taken from the process (`memset`
    /// and the like).
    ///
    /// # Errors
    /// If no LLVM is found, or the object is damaged or for another machine.
    pub fn load(object: &[u8]) -> Result<Jit, Error> {
        Jit::load_with(object, &[])
    }

    /// Like [`Jit::load`], with symbols of the caller's, to call back into Rust for example. They
    /// go before the process's own. Whoever runs the code answers for their types and lifetimes.
    ///
    /// # Errors
    /// As [`Jit::load`], and if the object defines one of the symbols itself.
    pub fn load_with(object: &[u8], symbols: &[(&str, *const u8)]) -> Result<Jit, Error> {
        let llvm = llvm()?;
        let object = object.to_vec();
        let symbols: Vec<(String, u64)> =
            symbols.iter().map(|(name, at)| ((*name).to_owned(), *at as u64)).collect();
        worker::run(move || {
            initialize(llvm, &Host::detect()?.triple)?;
            let code = Code::new(llvm)?;
            code.define(&symbols)?;
            code.add(&object)?;
            Ok(Jit(Arc::new(code)))
        })
    }

    /// The address of a symbol. Linking happens at the first look-up, and for all symbols: when it
    /// has succeeded once, only unknown names fail.
    ///
    /// # Errors
    /// If there is no such symbol, or linking fails.
    pub fn lookup(&self, symbol: &str) -> Result<*const u8, Error> {
        let code = self.0.clone();
        let symbol = symbol.to_owned();
        // Linking is code generation of a kind, with fatal errors of its own.
        worker::run(move || code.lookup(&symbol)).map(|address| address as *const u8)
    }
}

impl Code {
    fn new(llvm: &'static Llvm) -> Result<Code, Error> {
        let mut raw = null_mut();
        // SAFETY: a null builder means the defaults; the JIT is ours once made.
        unsafe { llvm.check((llvm.create_lljit)(&mut raw, null_mut())) }.map_err(Error::Load)?;
        let code = Code { llvm, raw, reports: Box::default() };
        let sink = (&raw const *code.reports).cast_mut().cast();
        // SAFETY: the session belongs to the JIT, which goes before the box.
        unsafe {
            (llvm.session_set_error_reporter)((llvm.lljit_session)(raw), on_session_error, sink);
        }
        Ok(code)
    }

    fn define(&self, symbols: &[(String, u64)]) -> Result<(), Error> {
        /// `LLVMJITSymbolGenericFlagsExported | LLVMJITSymbolGenericFlagsCallable`.
        const EXPORTED_CALLABLE: u8 = 1 | 4;
        if symbols.is_empty() {
            return Ok(());
        }
        let names =
            symbols.iter().map(|(name, _)| c_string(name)).collect::<Result<Vec<_>, _>>()?;
        let llvm = self.llvm;
        // SAFETY: LLVM consumes the interned names and copies the pairs; it takes the definitions
        // unless it returns an error.
        unsafe {
            let mut pairs: Vec<SymbolMapPair> = names
                .iter()
                .zip(symbols)
                .map(|(name, (_, address))| SymbolMapPair {
                    name: (llvm.lljit_intern)(self.raw, name.as_ptr()),
                    address: *address,
                    generic_flags: EXPORTED_CALLABLE,
                    target_flags: 0,
                })
                .collect();
            let definitions = (llvm.absolute_symbols)(pairs.as_mut_ptr(), pairs.len());
            let dylib = (llvm.lljit_main_dylib)(self.raw);
            let defined = self.check((llvm.dylib_define)(dylib, definitions));
            if defined.is_err() {
                (llvm.dispose_definitions)(definitions);
            }
            defined
        }
    }

    fn add(&self, object: &[u8]) -> Result<(), Error> {
        // SAFETY: the dylib belongs to the JIT; the buffer is consumed by it.
        unsafe {
            let dylib = (self.llvm.lljit_main_dylib)(self.raw);
            let buffer = self.llvm.buffer(object, c"kernel.o");
            self.check((self.llvm.lljit_add_object)(self.raw, dylib, buffer))
        }
    }

    fn lookup(&self, symbol: &str) -> Result<u64, Error> {
        let symbol = c_string(symbol)?;
        let mut address = 0;
        // SAFETY: the JIT is alive.
        unsafe {
            self.check((self.llvm.lljit_lookup)(self.raw, &mut address, symbol.as_ptr()))?;
        }
        Ok(address)
    }

    /// An error with what the session had to say on it, which is where the reason stands.
    ///
    /// # Safety
    /// As for [`Llvm::check`].
    unsafe fn check(&self, error: Ref) -> Result<(), Error> {
        // SAFETY: as our caller says.
        unsafe { self.llvm.check(error) }.map_err(|message| {
            let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
            let mut parts = std::mem::take(&mut *reports);
            parts.push(message);
            Error::Load(parts.join("; "))
        })
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        // SAFETY: the JIT is ours; nobody may call its code any more, as the owners of addresses
        // keep it alive. An error while freeing leaves nothing to do.
        unsafe {
            let _ = self.llvm.check((self.llvm.dispose_lljit)(self.raw));
        }
    }
}

impl std::fmt::Debug for Jit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jit").finish_non_exhaustive()
    }
}
