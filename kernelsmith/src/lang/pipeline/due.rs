//! What a token owes: that it is used up, once, on the way that every thread takes that got it.
//!
//! That a token is used *at most* once is Rust's own rule, since tokens can neither be copied nor
//! cloned. That it is used *at least* once no type of Rust says: a value may always be dropped. Here
//! a dropped token ends the staging of the kernel, with the line at which it came to be; and so does
//! one that is used up under a condition of the running kernel that it did not come to be under,
//! since threads that do not take that way would never use theirs.

use std::panic::Location;

use super::super::stage::{StagingError, build, fail, raise};

/// A debt of the kernel.
pub(super) struct Due {
    /// What came to be, as in "the stage that is waited for here".
    what: &'static str,
    /// What has to be done with it, as in "released".
    must: &'static str,
    /// How to do it, for errors.
    hint: &'static str,
    made: &'static Location<'static>,
    depth: usize,
    paid: bool,
}

impl Due {
    #[track_caller]
    pub(super) fn new(what: &'static str, must: &'static str, hint: &'static str) -> Due {
        let depth = build(|b| b.run_time_depth());
        Due { what, must, hint, made: Location::caller(), depth, paid: false }
    }

    /// It is used up here.
    #[track_caller]
    pub(super) fn pay(mut self) {
        self.paid = true;
        self.same_way(self.must);
    }

    /// What is done with it is done by every thread that has it.
    #[track_caller]
    pub(super) fn same_way(&self, done: &str) {
        if build(|b| b.run_time_depth()) == self.depth {
            return;
        }
        let Due { what, must, hint, made, .. } = self;
        fail(format!(
            "what came to be at {made}, {what}, is {done} under a condition or in a loop of the \
             running kernel that began after it: it is {must} once by every thread that has it; {hint}"
        ));
    }
}

impl Drop for Due {
    fn drop(&mut self) {
        // An error that is already on its way says more.
        if self.paid || std::thread::panicking() {
            return;
        }
        let Due { what, must, hint, made, .. } = self;
        let message = format!("{what} is never {must}: {hint}");
        raise(StagingError { message, location: made.to_string() });
    }
}
