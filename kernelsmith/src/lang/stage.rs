//! Staging: running a kernel's function once to write down what it does.
//!
//! The operations of the language reach the builder through a thread-local, so that `Val` can be
//! `Copy` and arithmetic can be operators. An error while staging (a host value changed under
//! run-time control flow, say) unwinds with a [`StagingError`] as payload up to [`stage`], past the
//! panic hook, and comes back as an ordinary error.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};

use kernelsmith_ir::{Builder, Kernel, Target};

/// A kernel that rustc accepts but that cannot be staged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StagingError {
    /// What is wrong and how to mend it.
    pub message: String,
    /// The place in the kernel.
    pub location: String,
}

impl fmt::Display for StagingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.location, self.message)
    }
}

impl std::error::Error for StagingError {}

/// What the operations of the language work on.
pub(crate) struct Stage {
    pub(crate) builder: Builder,
    pub(crate) target: Target,
    /// For each `while` whose condition is being staged for the first time, innermost last: what is
    /// wrong should it turn out to loop when the kernel runs.
    undecided: Vec<Option<StagingError>>,
}

thread_local! {
    static STAGE: RefCell<Option<Stage>> = const { RefCell::new(None) };
}

/// Runs `body`, which declares the parameters and performs the kernel, and returns what it built.
///
/// # Errors
/// A [`StagingError`] raised by the language.
///
/// # Panics
/// Passes on panics of the kernel's own host code.
pub fn stage(name: &str, target: &Target, body: impl FnOnce()) -> Result<Kernel, StagingError> {
    let outer = STAGE.with(|s| {
        s.borrow_mut().replace(Stage {
            builder: Builder::new(name),
            target: target.clone(),
            undecided: Vec::new(),
        })
    });
    let outcome = catch_unwind(AssertUnwindSafe(body));
    let inner = STAGE.with(|s| std::mem::replace(&mut *s.borrow_mut(), outer));
    match outcome {
        Ok(()) => Ok(inner.expect("stage() put it there").builder.finish()),
        Err(payload) => match payload.downcast::<StagingError>() {
            Ok(error) => Err(*error),
            Err(payload) => resume_unwind(payload),
        },
    }
}

/// A device function being inlined.
pub struct Frame(());

thread_local! {
    static FRAMES: Cell<u32> = const { Cell::new(0) };
}

impl Frame {
    /// How many device functions may be inlined into one another.
    const MOST: u32 = 200;

    /// Begins a device function.
    #[track_caller]
    pub fn enter(name: &str) -> Frame {
        let depth = FRAMES.get() + 1;
        if depth > Frame::MOST {
            fail(format!(
                "`{name}` calls itself without end: device functions are inlined, so that only host \
                 values (`#[comptime]` parameters, constant generics) end a recursion; write a loop"
            ));
        }
        FRAMES.set(depth);
        Frame(())
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        FRAMES.set(FRAMES.get() - 1);
    }
}

/// The `while`s that are not yet known to be of the host or not.
#[track_caller]
pub(crate) fn undecided<R>(act: impl FnOnce(&mut Vec<Option<StagingError>>) -> R) -> R {
    let location = Location::caller();
    STAGE
        .with(|s| s.borrow_mut().as_mut().map(|stage| act(&mut stage.undecided)))
        .unwrap_or_else(|| outside(location))
}

/// Performs an operation on the builder, at the caller's line.
#[track_caller]
pub(crate) fn build<R>(operation: impl FnOnce(&mut Builder) -> R) -> R {
    let location = Location::caller();
    STAGE
        .with(|s| match s.borrow_mut().as_mut() {
            Some(stage) => {
                let loc = stage.builder.kernel_mut().sources.intern_caller(location);
                stage.builder.set_loc(loc);
                Some(operation(&mut stage.builder))
            }
            None => None,
        })
        .unwrap_or_else(|| outside(location))
}

/// The target the kernel is being staged for.
#[track_caller]
pub fn target() -> Target {
    STAGE
        .with(|s| s.borrow().as_ref().map(|stage| stage.target.clone()))
        .unwrap_or_else(|| outside(Location::caller()))
}

/// Ends staging with an error at the caller's line.
#[track_caller]
pub(crate) fn fail(message: impl Into<String>) -> ! {
    let location = Location::caller().to_string();
    raise(StagingError { message: message.into(), location })
}

/// Ends staging with an error.
pub(crate) fn raise(error: StagingError) -> ! {
    resume_unwind(Box::new(error))
}

#[cold]
fn outside(location: &Location<'_>) -> ! {
    panic!(
        "{location}: a kernel operation outside a kernel: only #[kernel] and #[device] functions may use it"
    )
}
