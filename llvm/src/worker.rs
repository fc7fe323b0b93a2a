//! Running LLVM where its fatal errors do not end the process.
//!
//! `report_fatal_error` never returns to LLVM's caller: after the installed handler it exits. So
//! all code generation happens on worker threads, and the handler, which runs on the thread that
//! failed, reports over that thread's channel and then parks it for ever. What the thread held (an
//! LLVM context and a module) is lost; that is the price, and such errors are bugs to be fixed.

use std::cell::RefCell;
use std::ffi::{CStr, c_char};
use std::sync::mpsc::channel;
use std::thread;

use crate::Error;

/// Tells the thread that waits for this one what went wrong.
type Report = Box<dyn FnOnce(String)>;

thread_local! {
    /// How a fatal error on this thread is reported; `None` on threads that are not workers.
    static REPORT: RefCell<Option<Report>> = const { RefCell::new(None) };
}

/// Stack of a worker: LLVM recurses over expression trees.
const STACK_BYTES: usize = 16 << 20;

/// Runs `work` on a thread of its own.
///
/// # Errors
/// Those of `work`, and [`Error::Fatal`].
pub(crate) fn run<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let (done, outcome) = channel();
    let body = move || {
        let fatal = done.clone();
        let report: Report = Box::new(move |message| {
            // The receiver is waiting for this.
            let _ = fatal.send(Err(Error::Fatal(message)));
        });
        REPORT.with(|r| *r.borrow_mut() = Some(report));
        let result = work();
        // So that the channel closes, should `work` have panicked.
        REPORT.with(|r| r.borrow_mut().take());
        let _ = done.send(result);
    };
    thread::Builder::new()
        .name("kernelsmith-llvm".into())
        .stack_size(STACK_BYTES)
        .spawn(body)
        .map_err(|e| Error::Other(format!("no thread for code generation: {e}")))?;
    let panicked = || Err(Error::Other("the code generation thread panicked".into()));
    outcome.recv().unwrap_or_else(|_| panicked())
}

/// LLVM's fatal error handler.
pub(crate) extern "C" fn on_fatal_error(reason: *const c_char) {
    // SAFETY: LLVM passes a string that ends in NUL.
    let reason = unsafe { CStr::from_ptr(reason) }.to_string_lossy().into_owned();
    let Some(report) = REPORT.with(|r| r.borrow_mut().take()) else {
        // Not one of our threads: nobody waits for an answer, and LLVM will exit.
        eprintln!("kernelsmith: fatal LLVM error: {reason}");
        return;
    };
    report(reason);
    loop {
        thread::park();
    }
}
