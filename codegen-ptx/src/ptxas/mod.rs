//! NVIDIA's assembler and disassembler, where they are installed.
//!
//! Kernelsmith needs neither to run kernels: the CUDA driver assembles PTX itself. They show what
//! PTX becomes: the tests assert it, and the tour and the command line print it.

mod sass;
mod usage;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::module::PtxModule;
use kernelsmith_ir::Target;

pub use sass::Sass;
pub use usage::Usage;

/// Where `scripts/install-ptxas` puts the programs, below the root of the checkout.
const INSTALLED: &str = ".tools/cuda/nvidia/cu13/bin";

/// What goes wrong with NVIDIA's programs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ToolError {
    /// The program is not installed.
    #[error(
        "`{program}` was not found in .tools/cuda of this folder or one above it, in $CUDA_HOME or \
         $CUDA_PATH, on the PATH, or in /usr/local/cuda: run `scripts/install-ptxas`"
    )]
    NotFound {
        /// Its name.
        program: &'static str,
    },
    /// The program does not run, or its files cannot be written or read.
    #[error("{}: {source}", .program.display())]
    Io {
        /// Its path.
        program: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The program rejects its input.
    #[error("{} failed: {message}", .program.display())]
    Failed {
        /// Its path.
        program: PathBuf,
        /// What it printed.
        message: String,
    },
    /// The program printed something else than it does in the versions known.
    #[error("{} printed no {what}: {output}", .program.display())]
    Output {
        /// Its path.
        program: PathBuf,
        /// What is missing.
        what: &'static str,
        /// What it printed.
        output: String,
    },
}

/// A program of the CUDA toolkit, by where it was found.
fn find(program: &'static str) -> Result<PathBuf, ToolError> {
    let here = std::env::current_dir().unwrap_or_default();
    let installed = here.ancestors().map(|folder| folder.join(INSTALLED));
    let homes = ["CUDA_HOME", "CUDA_PATH"].into_iter().filter_map(std::env::var_os);
    let homes = homes.map(|home| Path::new(&home).join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let file = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    installed
        .chain(homes)
        .chain(path)
        .chain([PathBuf::from("/usr/local/cuda/bin")])
        .map(|folder| folder.join(&file))
        .find(|candidate| candidate.is_file())
        .ok_or(ToolError::NotFound { program })
}

fn run(program: &Path, command: &mut Command) -> Result<std::process::Output, ToolError> {
    let output = command.output().map_err(|e| io(program, e))?;
    if output.status.success() {
        return Ok(output);
    }
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let message = String::from_utf8_lossy(&text).trim().to_owned();
    Err(ToolError::Failed { program: program.to_owned(), message })
}

fn io(program: &Path, source: std::io::Error) -> ToolError {
    ToolError::Io { program: program.to_owned(), source }
}

/// NVIDIA's PTX assembler.
#[derive(Clone, Debug)]
pub struct Ptxas {
    program: PathBuf,
}

/// A kernel as the assembler made it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Assembled {
    /// The machine code, an ELF file.
    pub cubin: Vec<u8>,
    /// What it takes to run.
    pub usage: Usage,
    /// What the assembler did that costs speed, in its words: matrix instructions that wait for one
    /// another, shares of registers that it ignores.
    pub losses: Vec<String>,
}

impl Ptxas {
    /// Looks for the assembler.
    ///
    /// # Errors
    /// It is nowhere; the error names the command that installs it.
    pub fn find() -> Result<Ptxas, ToolError> {
        Ok(Ptxas { program: find("ptxas")? })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.program
    }

    /// Its release, as in `13.0`.
    ///
    /// # Errors
    /// It does not run, or names no release.
    pub fn release(&self) -> Result<String, ToolError> {
        let output = run(&self.program, Command::new(&self.program).arg("--version"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let release = text.split("release ").nth(1).and_then(|rest| rest.split(',').next());
        match release {
            Some(release) => Ok(release.to_owned()),
            None => Err(self.missing("release", text)),
        }
    }

    /// Assembles a module for its own architecture.
    ///
    /// # Errors
    /// The assembler rejects the text.
    pub fn assemble(&self, module: &PtxModule) -> Result<Assembled, ToolError> {
        let folder = tempfile::tempdir().map_err(|e| io(&self.program, e))?;
        let (source, object) = (folder.path().join("k.ptx"), folder.path().join("k.cubin"));
        std::fs::write(&source, &module.text).map_err(|e| io(&self.program, e))?;
        let arch = format!("-arch={}", Target::Ptx(module.target));
        let mut command = Command::new(&self.program);
        let command = command.args(["-v", "-lineinfo", &arch]).arg(&source).arg("-o").arg(&object);
        let output = run(&self.program, command)?;
        let log = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let Some(usage) = Usage::parse(&log) else { return Err(self.missing("usage", log)) };
        let cubin = std::fs::read(&object).map_err(|e| io(&self.program, e))?;
        let losses = log.lines().filter(|line| line.contains("Potential Performance Loss"));
        let losses = losses.map(|line| line.trim().to_owned()).collect();
        Ok(Assembled { cubin, usage, losses })
    }

    fn missing(&self, what: &'static str, output: String) -> ToolError {
        ToolError::Output { program: self.program.clone(), what, output }
    }
}

/// NVIDIA's disassembler.
#[derive(Clone, Debug)]
pub struct Nvdisasm {
    program: PathBuf,
}

impl Nvdisasm {
    /// Looks for the disassembler.
    ///
    /// # Errors
    /// It is nowhere; the error names the command that installs it.
    pub fn find() -> Result<Nvdisasm, ToolError> {
        Ok(Nvdisasm { program: find("nvdisasm")? })
    }

    /// The machine instructions of an assembled kernel, with the source lines they come from.
    ///
    /// # Errors
    /// The disassembler rejects the file.
    pub fn disassemble(&self, assembled: &Assembled) -> Result<Sass, ToolError> {
        let folder = tempfile::tempdir().map_err(|e| io(&self.program, e))?;
        let object = folder.path().join("k.cubin");
        std::fs::write(&object, &assembled.cubin).map_err(|e| io(&self.program, e))?;
        let output =
            run(&self.program, Command::new(&self.program).args(["-c", "-g"]).arg(&object))?;
        Ok(Sass::parse(String::from_utf8_lossy(&output.stdout).into_owned()))
    }
}
