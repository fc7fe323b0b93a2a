//! The C functions of LLVM that we call, looked up once.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::path::PathBuf;
use std::sync::OnceLock;

use libloading::Library;

use crate::Error;
use crate::find::{self, Candidate};

/// An opaque LLVM object.
pub(crate) type Ref = *mut c_void;

/// `LLVMDiagnosticHandler`.
pub(crate) type DiagnosticHandler = extern "C" fn(Ref, *mut c_void);
/// `LLVMFatalErrorHandler`.
pub(crate) type FatalErrorHandler = extern "C" fn(*const c_char);

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
                // SAFETY: the signatures are those of LLVM's C headers, which keep them stable.
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
    lljit_main_dylib = "LLVMOrcLLJITGetMainJITDylib": fn(Ref) -> Ref;
    lljit_add_object = "LLVMOrcLLJITAddObjectFile": fn(Ref, Ref, Ref) -> Ref;
    lljit_lookup = "LLVMOrcLLJITLookup": fn(Ref, *mut u64, *const c_char) -> Ref;
    lljit_global_prefix = "LLVMOrcLLJITGetGlobalPrefix": fn(Ref) -> c_char;
    process_symbols = "LLVMOrcCreateDynamicLibrarySearchGeneratorForProcess": fn(*mut Ref, c_char, *mut c_void, *mut c_void) -> Ref;
    add_generator = "LLVMOrcJITDylibAddGenerator": fn(Ref, Ref);
}

impl Llvm {
    /// Initialises one target: its info, code generator, and assembly printer and parser.
    ///
    /// # Errors
    /// If this LLVM was built without the target.
    pub(crate) fn initialize_target(&self, target: &str) -> Result<(), Error> {
        for part in ["TargetInfo", "Target", "TargetMC", "AsmPrinter", "AsmParser"] {
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

    /// Turns an `LLVMErrorRef` into a result; null is success.
    ///
    /// # Safety
    /// `error` must come from LLVM and not be used again.
    pub(crate) unsafe fn check(&self, error: Ref) -> Result<(), Error> {
        if error.is_null() {
            return Ok(());
        }
        // SAFETY: getting the message consumes the error; the message is then ours.
        unsafe {
            let message = (self.error_message)(error);
            let text = CStr::from_ptr(message).to_string_lossy().into_owned();
            (self.dispose_error_message)(message);
            Err(Error::Other(text))
        }
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

/// LLVM, opened on first use.
pub(crate) fn llvm() -> Result<&'static Llvm, Error> {
    static LLVM: OnceLock<Result<Llvm, Error>> = OnceLock::new();
    LLVM.get_or_init(open).as_ref().map_err(Clone::clone)
}

fn open() -> Result<Llvm, Error> {
    let mut tried = Vec::new();
    for Candidate { path, forced } in find::candidates() {
        match open_one(&path) {
            Ok(llvm) if llvm.version.0 >= find::OLDEST => {
                // SAFETY: the handler has the type LLVM wants and lives as long as the process.
                unsafe { (llvm.install_fatal_error_handler)(crate::worker::on_fatal_error) };
                return Ok(llvm);
            }
            Ok(llvm) => tried.push(format!(
                "{}: version {} is older than {}",
                path.display(),
                llvm.version.0,
                find::OLDEST
            )),
            Err(e) => {
                let by = if forced { " (named by KERNELSMITH_LLVM)" } else { "" };
                tried.push(format!("{}{by}: {e}", path.display()));
            }
        }
    }
    Err(Error::NotFound { tried })
}

fn open_one(path: &std::path::Path) -> Result<Llvm, libloading::Error> {
    // SAFETY: loading LLVM runs its static initialisers, which register options and no more.
    unsafe {
        let library = Library::new(path)?;
        let mut llvm = Llvm::load(path.to_owned(), library)?;
        let (mut major, mut minor, mut patch) = (0, 0, 0);
        (llvm.get_version)(&mut major, &mut minor, &mut patch);
        llvm.version = (major, minor, patch);
        Ok(llvm)
    }
}
