//! `kernelsmith doctor`.

use std::process::ExitCode;

use kernelsmith::{Device, cache::Cache, codegen};

use crate::Outcome;

/// What was found of one thing.
enum Finding {
    Good(String),
    /// Not here, and only some uses need it.
    Absent(String),
    Bad(String),
}

pub(crate) fn run() -> Outcome {
    let mut healthy = true;
    for (name, finding) in findings() {
        let (mark, text) = match finding {
            Finding::Good(text) => ("ok    ", text),
            Finding::Absent(text) => ("absent", text),
            Finding::Bad(text) => {
                healthy = false;
                ("BAD   ", text)
            }
        };
        println!("{mark}  {name:<14}{}", text.replace('\n', "\n                      "));
    }
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn findings() -> Vec<(&'static str, Finding)> {
    let mut out = vec![("LLVM", llvm()), ("linker", linker()), ("CPU kernels", cpu())];
    out.push((
        "ptxas",
        match codegen::ptxas() {
            Ok(found) => Finding::Good(found),
            Err(reason) => Finding::Absent(reason),
        },
    ));
    out.push(("cache", cache()));
    let available = Device::available();
    for present in &available.present {
        out.push((
            "device",
            Finding::Good(format!("{}, through {}", present.device, present.driver)),
        ));
    }
    for missing in &available.missing {
        out.push(("device", Finding::Absent(format!("{}: {}", missing.kind, missing.reason))));
    }
    out
}

fn llvm() -> Finding {
    match codegen::llvm() {
        Ok(found) => Finding::Good(found),
        Err(reason) => Finding::Bad(reason),
    }
}

fn linker() -> Finding {
    match codegen::linker() {
        Ok(found) => Finding::Good(found),
        Err(reason) => Finding::Absent(format!("AMD kernels cannot be linked: {reason}")),
    }
}

/// Compiles and runs a kernel.
fn cpu() -> Finding {
    let run = || -> Result<(), Box<dyn std::error::Error>> {
        let device = Device::cpu();
        let x = kernelsmith::Buffer::from_slice(&device, &[1.0f32, 2.0, 3.0])?;
        let mut y = kernelsmith::Buffer::from_slice(&device, &[10.0f32, 20.0, 30.0])?;
        kernelsmith_kernels::elementwise::saxpy(2.0, &x, &mut y)?;
        match y.to_vec()?[..] {
            [12.0, 24.0, 36.0] => Ok(()),
            ref wrong => Err(format!("saxpy gave {wrong:?}").into()),
        }
    };
    match run() {
        Ok(()) => Finding::Good("a kernel was compiled and gave the right result".into()),
        Err(error) => Finding::Bad(error.to_string()),
    }
}

fn cache() -> Finding {
    match Cache::from_env().dir() {
        Some(dir) => Finding::Good(dir.display().to_string()),
        None => Finding::Absent("compiled kernels are not kept (KERNELSMITH_CACHE)".into()),
    }
}
