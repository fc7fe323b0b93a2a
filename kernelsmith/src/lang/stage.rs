//! Staging: running a kernel's function once to write down what it does.
//!
//! The operations of the language reach the builder through a thread-local, so that `Val` can be
//! `Copy` and arithmetic can be operators. An error while staging (a host value changed under
//! run-time control flow, say) unwinds with a [`StagingError`] as payload up to [`stage`], past the
//! panic hook, and comes back as an ordinary error.

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};

use kernelsmith_ir::{Builder, Kernel, ParamKind, Target, Value};

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
    /// Tensor maps, and what is wrong should the kernel not declare their tile.
    tensor_maps: Vec<(Value, StagingError)>,
}

thread_local! {
    static STAGE: Cell<Option<Box<Stage>>> = const { Cell::new(None) };
}

/// The stage while an operation works on it; afterwards it is back, whatever happens. No part of
/// this is generic: rustc compiles what is for every operation of every kernel.
struct Held(Option<Box<Stage>>);

impl Held {
    fn get(location: &Location<'_>) -> Held {
        match STAGE.take() {
            Some(stage) => Held(Some(stage)),
            None => outside(location),
        }
    }

    /// The builder, at a line of the kernel.
    fn at(location: &'static Location<'static>) -> Held {
        let mut held = Held::get(location);
        let builder = &mut held.stage().builder;
        let loc = builder.kernel_mut().sources.intern_caller(location);
        builder.set_loc(loc);
        held
    }

    fn stage(&mut self) -> &mut Stage {
        self.0.as_mut().expect("there until it is dropped")
    }

    fn builder(&mut self) -> &mut Builder {
        &mut self.stage().builder
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        STAGE.set(self.0.take());
    }
}

/// Runs `body`, which declares the parameters and performs the kernel, and returns what it built.
///
/// # Errors
/// A [`StagingError`] raised by the language.
///
/// # Panics
/// Passes on panics of the kernel's own host code.
pub fn stage(name: &str, target: &Target, body: impl FnOnce()) -> Result<Kernel, StagingError> {
    let outer = STAGE.replace(Some(Box::new(Stage {
        builder: Builder::new(name),
        target: target.clone(),
        undecided: Vec::new(),
        tensor_maps: Vec::new(),
    })));
    let outcome = catch_unwind(AssertUnwindSafe(body));
    let inner = STAGE.replace(outer);
    match outcome {
        Ok(()) => inner.expect("stage() put it there").finish(),
        Err(payload) => match payload.downcast::<StagingError>() {
            Ok(error) => Err(*error),
            Err(payload) => resume_unwind(payload),
        },
    }
}

impl Stage {
    /// The kernel, if it said all that it had to.
    fn finish(self) -> Result<Kernel, StagingError> {
        let Stage { builder, tensor_maps, .. } = self;
        let kernel = builder.finish();
        let lacks_tile = |map: &Value| {
            let param = kernel.params.iter().find(|p| p.value == *map);
            param.is_some_and(|p| matches!(p.kind, ParamKind::TensorMap(tile) if tile.rank == 0))
        };
        match tensor_maps.into_iter().find(|(map, _)| lacks_tile(map)) {
            Some((_, error)) => Err(error),
            None => Ok(kernel),
        }
    }
}

/// Notes a tensor map, and what to say at the caller's line should its tile never be declared.
#[track_caller]
pub(crate) fn declared_later(map: Value, message: String) {
    let location = Location::caller();
    let error = StagingError { message, location: location.to_string() };
    Held::get(location).stage().tensor_maps.push((map, error));
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
    act(&mut Held::get(Location::caller()).stage().undecided)
}

/// Performs an operation on the builder, at the caller's line.
#[track_caller]
pub(crate) fn build<R>(operation: impl FnOnce(&mut Builder) -> R) -> R {
    operation(Held::at(Location::caller()).builder())
}

/// The target the kernel is being staged for.
#[track_caller]
pub fn target() -> Target {
    Held::get(Location::caller()).stage().target.clone()
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
