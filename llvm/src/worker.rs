//! Running LLVM where its fatal errors do not end the process.
//!
//! `report_fatal_error` never returns to LLVM's caller: after the installed handler it exits. So
//! all code generation happens on worker threads, and the handler, which runs on the thread that
//! failed, reports over that thread's channel and then parks it for ever. What the thread held (an
//! LLVM context and a module) is lost; that is the price, and such errors are bugs to be fixed.

use std::cell::RefCell;
use std::ffi::{CStr, c_char};
use std::panic::resume_unwind;
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

/// Runs `work` on a thread of its own and waits for it. A panic of `work` goes on in the caller.
///
/// # Errors
/// Those of `work`, and [`Error::Codegen`] for a fatal error of LLVM. After one, nothing that
/// `work` owned is ever dropped: that is why it must own all it uses.
pub(crate) fn run<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let (done, outcome) = channel();
    let body = move || {
        let fatal = done.clone();
        let report: Report = Box::new(move |message| {
            // It can only fail if nobody waits any more.
            let _ = fatal.send(Err(Error::Codegen(message)));
        });
        REPORT.with(|r| *r.borrow_mut() = Some(report));
        let _ = done.send(work());
    };
    let thread = thread::Builder::new()
        .name("kernelsmith-llvm".into())
        .stack_size(STACK_BYTES)
        .spawn(body)
        .map_err(|e| Error::Thread(e.to_string()))?;
    match outcome.recv() {
        Ok(result) => result,
        // Both senders went without a word: the thread unwound.
        Err(_) => match thread.join() {
            Err(panic) => resume_unwind(panic),
            Ok(()) => Err(Error::Thread("it ended without a result".into())),
        },
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_goes_on_in_the_caller() {
        let caught = std::panic::catch_unwind(|| run(|| -> Result<(), Error> { panic!("oh") }));
        let message = caught.unwrap_err();
        assert_eq!(*message.downcast_ref::<&str>().unwrap(), "oh");
    }
}
