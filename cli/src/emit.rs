//! `kernelsmith emit`.

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use kernelsmith::Target;
use kernelsmith::codegen::{Stage, emit};
use kernelsmith_kernels::catalog::{self, KERNELS};

use crate::Outcome;
use crate::annotate::annotate;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The kernel; left out, the kernels are listed.
    kernel: Option<String>,
    /// What to compile for: cpu, sm_75 to sm_120 (sm_90a and the like), gfx90a, gfx942, gfx950,
    /// gfx1100, gfx1201.
    #[arg(long, default_value = "cpu")]
    target: Target,
    /// What to print.
    #[arg(long, value_enum, default_value = "asm")]
    stage: StageName,
    /// Threads of a block along x, where the kernel does not fix them.
    #[arg(long, value_name = "THREADS")]
    block: Option<u32>,
    /// Shows the source lines that IR, PTX or assembly come from, read from this folder.
    #[arg(long)]
    source: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum StageName {
    /// The IR as the macro's code made it.
    Staged,
    /// The IR as the code generator gets it.
    Ir,
    /// LLVM IR (not for NVIDIA: PTX is written without LLVM).
    Llvm,
    /// PTX or assembly.
    Asm,
    /// NVIDIA's machine code (needs `ptxas` and `nvdisasm`: scripts/install-ptxas).
    Sass,
}

impl From<StageName> for Stage {
    fn from(name: StageName) -> Stage {
        match name {
            StageName::Staged => Stage::Staged,
            StageName::Ir => Stage::Ir,
            StageName::Llvm => Stage::Llvm,
            StageName::Asm => Stage::Asm,
            StageName::Sass => Stage::Sass,
        }
    }
}

/// What begins a comment in a stage's text.
fn comment(target: &Target, stage: StageName) -> Result<&'static str, String> {
    match (stage, target) {
        (StageName::Llvm, _) => {
            Err("--source goes with --stage staged, ir, asm or sass".to_owned())
        }
        (StageName::Asm, Target::Cpu) => Ok("#"),
        (StageName::Asm, Target::Amdgcn(_)) => Ok(";"),
        _ => Ok("//"),
    }
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let Some(name) = &arguments.kernel else {
        for entry in KERNELS {
            println!("{:<18}{}", entry.name, entry.about);
        }
        return Ok(ExitCode::SUCCESS);
    };
    let entry = catalog::find(name).ok_or_else(|| {
        let names: Vec<&str> = KERNELS.iter().map(|entry| entry.name).collect();
        format!("there is no kernel `{name}`; there are {}", names.join(", "))
    })?;
    let kernel = (entry.ir)(&arguments.target)?;
    let block = arguments.block.map(|x| [x, 1, 1]);
    let text = emit(&kernel, block, &arguments.target, arguments.stage.into())?;
    let text = match arguments.source {
        true => annotate(&text, comment(&arguments.target, arguments.stage)?),
        false => text,
    };
    // A closed pipe (`| head`) is no error of ours.
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(e.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}
