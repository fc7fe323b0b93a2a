//! Machine code in this process, by ORC.

use std::ptr::null_mut;

use crate::Error;
use crate::ffi::{Llvm, Ref, llvm};
use crate::machine::Host;
use crate::module::c_string;

/// An object file loaded into this process. Its code and data live until it is dropped.
pub struct Jit {
    llvm: &'static Llvm,
    raw: Ref,
}

// SAFETY: an LLJIT locks its own state, and we only look symbols up once it is made.
unsafe impl Send for Jit {}
// SAFETY: as above.
unsafe impl Sync for Jit {}

impl Jit {
    /// Loads an object file for this machine. Symbols it lacks are taken from the process (memset
    /// and the like).
    ///
    /// # Errors
    /// If no LLVM is found, or the object is damaged or for another machine.
    pub fn load(object: &[u8]) -> Result<Jit, Error> {
        let llvm = llvm()?;
        // The JIT asks for the host's target, also when the object was compiled elsewhere.
        crate::Machine::new(crate::MachineOptions {
            triple: Host::detect()?.triple,
            cpu: String::new(),
            features: String::new(),
            effort: crate::machine::Effort::Default,
        })?;
        let mut raw = null_mut();
        // SAFETY: a null builder means the defaults; the JIT is ours once made.
        unsafe { llvm.check((llvm.create_lljit)(&mut raw, null_mut()))? };
        let jit = Jit { llvm, raw };
        // SAFETY: the dylib belongs to the JIT; generator and buffer are consumed by it.
        unsafe {
            let dylib = (llvm.lljit_main_dylib)(raw);
            let mut generator = null_mut();
            let prefix = (llvm.lljit_global_prefix)(raw);
            let made = (llvm.process_symbols)(&mut generator, prefix, null_mut(), null_mut());
            llvm.check(made)?;
            (llvm.add_generator)(dylib, generator);
            let name = c"kernel.o";
            let buffer = (llvm.create_buffer)(object.as_ptr().cast(), object.len(), name.as_ptr());
            llvm.check((llvm.lljit_add_object)(raw, dylib, buffer))?;
        }
        Ok(jit)
    }

    /// The address of a symbol. Linking happens at the first look-up.
    ///
    /// # Errors
    /// If there is no such symbol, or linking fails.
    pub fn lookup(&self, symbol: &str) -> Result<*const u8, Error> {
        let symbol = c_string(symbol)?;
        let mut address = 0;
        // SAFETY: the JIT is alive.
        unsafe {
            self.llvm.check((self.llvm.lljit_lookup)(self.raw, &mut address, symbol.as_ptr()))?;
        }
        Ok(address as *const u8)
    }
}

impl Drop for Jit {
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
