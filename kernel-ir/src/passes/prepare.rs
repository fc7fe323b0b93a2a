//! The pipeline every backend runs before it emits code.

use std::path::PathBuf;

use super::convergence::{self, ConvergenceError};
use super::{cse, dce, expand_math, flatten, fold, licm, mem2reg, ranges, small_floats};
use crate::kernel::Kernel;
use crate::target::Target;

/// Names a folder; each pass of [`prepare`] then leaves the kernel's text there, in a file
/// `<kernel>.<target>.<number>-<pass>.kir`.
pub const DUMP_VARIABLE: &str = "KERNELSMITH_DUMP_IR";

/// How often the simplifying passes run at most. Mostly the third round finds nothing to do.
const ROUNDS: usize = 4;

/// Why a kernel cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A barrier or collective operation under divergent control flow.
    #[error(transparent)]
    Convergence(#[from] ConvergenceError),
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
    pipeline.run("mem2reg", mem2reg::run)?;
    pipeline.run("dce", dce::run)?;
    convergence::check(&pipeline.kernel, target)?;
    pipeline.run("small_floats", |k| small_floats::run(k, target))?;
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
    Ok(pipeline.kernel)
}

struct Pipeline {
    kernel: Kernel,
    target: String,
    folder: Option<PathBuf>,
    step: usize,
}

impl Pipeline {
    fn new(kernel: &Kernel, target: &Target) -> Pipeline {
        let folder = std::env::var_os(DUMP_VARIABLE).filter(|f| !f.is_empty()).map(PathBuf::from);
        Pipeline { kernel: kernel.clone(), target: target.to_string(), folder, step: 0 }
    }

    fn run(&mut self, name: &str, pass: impl FnOnce(&mut Kernel)) -> Result<(), Error> {
        pass(&mut self.kernel);
        self.dump(name)
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
