//! The C functions of LLVM that we call, looked up once.

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libloading::Library;

use crate::Error;
use crate::find::{self, Place};

/// An opaque LLVM object.
pub(crate) type Ref = *mut c_void;

/// `LLVMDiagnosticHandler`.
pub(crate) type DiagnosticHandler = extern "C" fn(Ref, *mut c_void);
/// `LLVMFatalErrorHandler`.
pub(crate) type FatalErrorHandler = extern "C" fn(*const c_char);
/// `LLVMOrcErrorReporterFunction`.
pub(crate) type ErrorReporter = extern "C" fn(*mut c_void, Ref);

/// `LLVMOrcCSymbolMapPair`, with the `LLVMJITEvaluatedSymbol` and its flags written out.
#[repr(C)]
pub(crate) struct SymbolMapPair {
    /// An interned name.
    pub(crate) name: Ref,
    /// Where the symbol is.
    pub(crate) address: u64,
    /// Bits of `LLVMJITSymbolGenericFlags`.
    pub(crate) generic_flags: u8,
    /// None on the machines we generate code for.
    pub(crate) target_flags: u8,
}

macro_rules! functions {
    ($($name:ident = $symbol:literal: fn($($arg:ty),*) $(-> $ret:ty)?;)*) => {
        /// LLVM, opened.
        pub(crate) struct Llvm {
            /// Where from.
            pub(crate) path: PathBuf,
            /// Major, minor, patch.
            pub(crate) version: (u32, u32, u32),
            /// Never closed: JIT-compiled code, handlers and parked threads may outlive any owner.
            library: Library,
            $(pub(crate) $name: unsafe extern "C" fn($($arg),*) $(-> $ret)?,)*
        }

        impl Llvm {
            /// # Safety
            /// `library` must be an LLVM with the C API.
            unsafe fn load(path: PathBuf, library: Library) -> Result<Llvm, libloading::Error> {
                // SAFETY: the signatures are those of LLVM's C headers. LLVM keeps them stable, but
                // for those of ORC, which have not changed since before the oldest we accept.
                unsafe {
                    $(let $name = *library.get($symbol.as_bytes())?;)*
                    Ok(Llvm { path, version: (0, 0, 0), library, $($name),* })
                }
            }
        }
    };
}

functions! {
    get_version = "LLVMGetVersion": fn(*mut c_uint, *mut c_uint, *mut c_uint);
    install_fatal_error_handler = "LLVMInstallFatalErrorHandler": fn(FatalErrorHandler);
    // contexts, modules, buffers
    context_create = "LLVMContextCreate": fn() -> Ref;
    context_dispose = "LLVMContextDispose": fn(Ref);
    context_set_diagnostic_handler = "LLVMContextSetDiagnosticHandler": fn(Ref, DiagnosticHandler, *mut c_void);
    get_diag_info_description = "LLVMGetDiagInfoDescription": fn(Ref) -> *mut c_char;
    get_diag_info_severity = "LLVMGetDiagInfoSeverity": fn(Ref) -> c_int;
    dispose_message = "LLVMDisposeMessage": fn(*mut c_char);
    create_buffer = "LLVMCreateMemoryBufferWithMemoryRangeCopy": fn(*const c_char, usize, *const c_char) -> Ref;
    buffer_start = "LLVMGetBufferStart": fn(Ref) -> *const c_char;
    buffer_size = "LLVMGetBufferSize": fn(Ref) -> usize;
    dispose_buffer = "LLVMDisposeMemoryBuffer": fn(Ref);
    parse_ir = "LLVMParseIRInContext": fn(Ref, Ref, *mut Ref, *mut *mut c_char) -> c_int;
    verify_module = "LLVMVerifyModule": fn(Ref, c_int, *mut *mut c_char) -> c_int;
    dispose_module = "LLVMDisposeModule": fn(Ref);
    print_module = "LLVMPrintModuleToString": fn(Ref) -> *mut c_char;
    set_target = "LLVMSetTarget": fn(Ref, *const c_char);
    set_data_layout = "LLVMSetModuleDataLayout": fn(Ref, Ref);
    // targets
    default_triple = "LLVMGetDefaultTargetTriple": fn() -> *mut c_char;
    host_cpu_name = "LLVMGetHostCPUName": fn() -> *mut c_char;
    host_cpu_features = "LLVMGetHostCPUFeatures": fn() -> *mut c_char;
    target_from_triple = "LLVMGetTargetFromTriple": fn(*const c_char, *mut Ref, *mut *mut c_char) -> c_int;
    create_machine = "LLVMCreateTargetMachine": fn(Ref, *const c_char, *const c_char, *const c_char, c_int, c_int, c_int) -> Ref;
    dispose_machine = "LLVMDisposeTargetMachine": fn(Ref);
    create_data_layout = "LLVMCreateTargetDataLayout": fn(Ref) -> Ref;
    dispose_data_layout = "LLVMDisposeTargetData": fn(Ref);
    emit_to_buffer = "LLVMTargetMachineEmitToMemoryBuffer": fn(Ref, Ref, c_int, *mut *mut c_char, *mut Ref) -> c_int;
    // passes
    create_pass_options = "LLVMCreatePassBuilderOptions": fn() -> Ref;
    dispose_pass_options = "LLVMDisposePassBuilderOptions": fn(Ref);
    run_passes = "LLVMRunPasses": fn(Ref, *const c_char, Ref, Ref) -> Ref;
    error_message = "LLVMGetErrorMessage": fn(Ref) -> *mut c_char;
    dispose_error_message = "LLVMDisposeErrorMessage": fn(*mut c_char);
    // ORC
    create_lljit = "LLVMOrcCreateLLJIT": fn(*mut Ref, Ref) -> Ref;
    dispose_lljit = "LLVMOrcDisposeLLJIT": fn(Ref) -> Ref;
    lljit_session = "LLVMOrcLLJITGetExecutionSession": fn(Ref) -> Ref;
    lljit_main_dylib = "LLVMOrcLLJITGetMainJITDylib": fn(Ref) -> Ref;
    lljit_add_object = "LLVMOrcLLJITAddObjectFile": fn(Ref, Ref, Ref) -> Ref;
    lljit_lookup = "LLVMOrcLLJITLookup": fn(Ref, *mut u64, *const c_char) -> Ref;
    lljit_intern = "LLVMOrcLLJITMangleAndIntern": fn(Ref, *const c_char) -> Ref;
    session_set_error_reporter = "LLVMOrcExecutionSessionSetErrorReporter": fn(Ref, ErrorReporter, *mut c_void);
    absolute_symbols = "LLVMOrcAbsoluteSymbols": fn(*mut SymbolMapPair, usize) -> Ref;
    dylib_define = "LLVMOrcJITDylibDefine": fn(Ref, Ref) -> Ref;
    dispose_definitions = "LLVMOrcDisposeMaterializationUnit": fn(Ref);
    // disassembly
    create_disassembler = "LLVMCreateDisasmCPUFeatures": fn(*const c_char, *const c_char, *const c_char, *mut c_void, c_int, *mut c_void, *mut c_void) -> Ref;
    set_disassembler_options = "LLVMSetDisasmOptions": fn(Ref, u64) -> c_int;
    disassemble = "LLVMDisasmInstruction": fn(Ref, *const u8, u64, u64, *mut c_char, usize) -> usize;
    dispose_disassembler = "LLVMDisasmDispose": fn(Ref);
}

impl Llvm {
    /// Calls `LLVMInitialize<target><part>` for each of the parts, which registers them.
    ///
    /// # Errors
    /// If this LLVM was built without the target.
    pub(crate) fn initialize(&self, target: &str, parts: &[&str]) -> Result<(), Error> {
        for part in parts {
            let symbol = format!("LLVMInitialize{target}{part}");
            // SAFETY: these functions take and return nothing, and may be called repeatedly.
            unsafe {
                let initialize = self
                    .library
                    .get::<unsafe extern "C" fn()>(symbol.as_bytes())
                    .map_err(|_| Error::NoTarget {
                        triple: target.to_owned(),
                        message: format!("{} has no {symbol}", self.path.display()),
                    })?;
                initialize();
            }
        }
        Ok(())
    }

    /// Takes ownership of a message that LLVM allocated.
    ///
    /// # Safety
    /// `message` must be null or a string from LLVM that nobody else frees.
    pub(crate) unsafe fn take_message(&self, message: *mut c_char) -> String {
        if message.is_null() {
            return String::new();
        }
        // SAFETY: LLVM's strings end in NUL, and this one is ours to free.
        unsafe {
            let text = CStr::from_ptr(message).to_string_lossy().into_owned();
            (self.dispose_message)(message);
            text
        }
    }

    /// Turns an `LLVMErrorRef` into a result with LLVM's message; null is success.
    ///
    /// # Safety
    /// `error` must come from LLVM and not be used again.
    pub(crate) unsafe fn check(&self, error: Ref) -> Result<(), String> {
        if error.is_null() {
            return Ok(());
        }
        // SAFETY: getting the message consumes the error; the message is then ours.
        unsafe {
            let message = (self.error_message)(error);
            let text = CStr::from_ptr(message).to_string_lossy().into_owned();
            (self.dispose_error_message)(message);
            Err(text)
        }
    }

    /// A memory buffer with a copy of `bytes`, to be consumed by LLVM.
    pub(crate) fn buffer(&self, bytes: &[u8], name: &CStr) -> Ref {
        // SAFETY: LLVM copies the range, and adds the NUL that its parsers want.
        unsafe { (self.create_buffer)(bytes.as_ptr().cast(), bytes.len(), name.as_ptr()) }
    }

    /// Takes the bytes out of a memory buffer and frees it.
    ///
    /// # Safety
    /// `buffer` must be a memory buffer that nobody else frees.
    pub(crate) unsafe fn take_buffer(&self, buffer: Ref) -> Vec<u8> {
        // SAFETY: start and size describe the buffer's memory, copied before it is freed.
        unsafe {
            let (start, size) = ((self.buffer_start)(buffer), (self.buffer_size)(buffer));
            let bytes = std::slice::from_raw_parts(start.cast::<u8>(), size).to_vec();
            (self.dispose_buffer)(buffer);
            bytes
        }
    }
}

/// A C string.
pub(crate) fn c_string(text: &str) -> Result<CString, Error> {
    CString::new(text).map_err(|_| Error::Nul(text.to_owned()))
}

/// LLVM, opened on first use.
pub(crate) fn llvm() -> Result<&'static Llvm, Error> {
    static LLVM: OnceLock<Result<Llvm, Error>> = OnceLock::new();
    LLVM.get_or_init(open).as_ref().map_err(Clone::clone)
}

fn open() -> Result<Llvm, Error> {
    /// A long list of names the loader does not know says no more than the first.
    const SHOWN: usize = 2;
    let mut tried = Vec::new();
    for Place { name, files } in find::places() {
        let mut failures = Vec::new();
        for file in &files {
            match open_one(file) {
                Ok(llvm) => {
                    // SAFETY: the handler has the type LLVM wants and lives as long as the process.
                    unsafe { (llvm.install_fatal_error_handler)(crate::worker::on_fatal_error) };
                    return Ok(llvm);
                }
                Err(failure) => failures.push(failure),
            }
        }
        let more = failures.len().saturating_sub(SHOWN);
        failures.truncate(SHOWN);
        let text = if failures.is_empty() { "nothing there".into() } else { failures.join("; ") };
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        tried.push(format!("{name}: {text}{more}"));
    }
    Err(Error::NotFound { tried })
}

fn open_one(path: &Path) -> Result<Llvm, String> {
    // SAFETY: loading LLVM runs its static initialisers, which register options and no more.
    let mut llvm = unsafe {
        let library = Library::new(path).map_err(|e| describe(&e))?;
        Llvm::load(path.to_owned(), library).map_err(|e| describe(&e))?
    };
    let (mut major, mut minor, mut patch) = (0, 0, 0);
    // SAFETY: the three are written.
    unsafe { (llvm.get_version)(&mut major, &mut minor, &mut patch) };
    if major < find::OLDEST {
        let path = path.display();
        return Err(format!("{path} is LLVM {major}, older than {}", find::OLDEST));
    }
    llvm.version = (major, minor, patch);
    Ok(llvm)
}

/// The loader's own words, which name the file or symbol.
fn describe(error: &libloading::Error) -> String {
    use std::error::Error as _;
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}
