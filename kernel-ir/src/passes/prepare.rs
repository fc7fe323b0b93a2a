//! The pipeline every backend runs before it emits code.

use std::path::PathBuf;

use super::convergence::{self, ConvergenceError};
use super::in_flight::{self, InFlightError};
use super::{
    agreements, assumptions, cse, dce, expand_math, flatten, fold, fp8, licm, match_lanes, mem2reg,
    ranges, small_floats,
};
use crate::kernel::Kernel;
use crate::legal::{self, LegalError};
use crate::target::Target;
use crate::verify::{VerifyError, verify};

/// Names a folder; each pass of [`prepare`] then leaves the kernel's text there, in a file
/// `<kernel>.<target>.<number>-<pass>.kir`.
pub const DUMP_VARIABLE: &str = "KERNELSMITH_DUMP_IR";

/// Set to 1, [`prepare`] verifies the kernel after each pass, so that a pass with a mistake is known
/// by name. Always so in debug builds; 0 turns it off there.
pub const VERIFY_VARIABLE: &str = "KERNELSMITH_VERIFY";

/// How often the simplifying passes run at most. Mostly the third round finds nothing to do.
const ROUNDS: usize = 4;

/// Why a kernel cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel breaks a rule of the IR.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The kernel uses what the target lacks.
    #[error(transparent)]
    Legal(#[from] LegalError),
    /// A pass made a kernel that breaks a rule: a mistake in the compiler, not in the kernel.
    #[error("a mistake in the compiler: after `{pass}`, {broken}")]
    Pass {
        /// The pass; in release builds `prepare`, all of them.
        pass: &'static str,
        /// What is broken.
        broken: VerifyError,
    },
    /// A barrier or collective operation under divergent control flow.
    #[error(transparent)]
    Convergence(#[from] ConvergenceError),
    /// Sums of `wgmma` are used before they are there.
    #[error(transparent)]
    InFlight(#[from] InFlightError),
    /// The text of a pass could not be written.
    #[error("{DUMP_VARIABLE}: cannot write {path}: {source}")]
    Dump {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
}

/// A kernel as backends take it: checked, without variable slots, legal for the target, simplified.
///
/// # Errors
/// If the kernel breaks a rule of the IR, or uses what the target lacks.
pub fn prepare(kernel: &Kernel, target: &Target) -> Result<Kernel, Error> {
    let mut pipeline = Pipeline::new(kernel, target);
    pipeline.dump("staged")?;
    verify(kernel)?;
    legal::check(kernel, target)?;
    pipeline.run("mem2reg", mem2reg::run)?;
    // Before anything is removed: a collective operation whose result nobody uses is wrong too.
    convergence::check(&pipeline.kernel, target)?;
    in_flight::check(&pipeline.kernel)?;
    pipeline.run("agreements", agreements::run)?;
    pipeline.run("dce", dce::run)?;
    pipeline.run("match_lanes", |k| match_lanes::run(k, target))?;
    pipeline.run("small_floats", |k| small_floats::run(k, target))?;
    pipeline.run("fp8", |k| fp8::run(k, target))?;
    pipeline.run("expand_math", |k| expand_math::run(k, target))?;
    for _ in 0..ROUNDS {
        let before = pipeline.kernel.body.clone();
        pipeline.run("fold", fold::run)?;
        pipeline.run("flatten", flatten::run)?;
        pipeline.run("cse", cse::run)?;
        pipeline.run("ranges", |k| ranges::run(k, target))?;
        pipeline.run("licm", licm::run)?;
        pipeline.run("dce", dce::run)?;
        if pipeline.kernel.body == before {
            break;
        }
    }
    let mut assumed = false;
    pipeline.run("assumptions", |k| assumed = assumptions::run(k))?;
    if assumed {
        // What stood in the way of motion is gone, and what only assumptions used is dead.
        pipeline.run("flatten", flatten::run)?;
        pipeline.run("licm", licm::run)?;
        pipeline.run("dce", dce::run)?;
    }
    pipeline.verify("prepare")?;
    Ok(pipeline.kernel)
}

struct Pipeline {
    kernel: Kernel,
    target: String,
    folder: Option<PathBuf>,
    step: usize,
    /// Whether the kernel is verified after every pass.
    verifies: bool,
}

impl Pipeline {
    fn new(kernel: &Kernel, target: &Target) -> Pipeline {
        let folder = std::env::var_os(DUMP_VARIABLE).filter(|f| !f.is_empty()).map(PathBuf::from);
        let verifies = match std::env::var_os(VERIFY_VARIABLE) {
            Some(value) => value == "1",
            None => cfg!(debug_assertions),
        };
        Pipeline { kernel: kernel.clone(), target: target.to_string(), folder, step: 0, verifies }
    }

    fn run(&mut self, name: &'static str, pass: impl FnOnce(&mut Kernel)) -> Result<(), Error> {
        pass(&mut self.kernel);
        self.dump(name)?;
        if self.verifies { self.verify(name) } else { Ok(()) }
    }

    fn verify(&self, pass: &'static str) -> Result<(), Error> {
        verify(&self.kernel).map_err(|broken| Error::Pass { pass, broken })
    }

    fn dump(&mut self, name: &str) -> Result<(), Error> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let file = format!("{}.{}.{:02}-{name}.kir", self.kernel.name, self.target, self.step);
        self.step += 1;
        let path = folder.join(file);
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&path, self.kernel.to_string()))
            .map_err(|source| Error::Dump { path, source })
    }
}
