//! PTX: what it does in the emulator, and whether NVIDIA's assembler takes it.

use kernelsmith::ir::check::ErrorRecord;
use kernelsmith::ir::passes::prepare;
use kernelsmith::ir::target::Ptx;
use kernelsmith::{Launch, Target};
use kernelsmith_codegen_ptx::emulator::{self, Memory};
use kernelsmith_codegen_ptx::ptxas::Ptxas;
use kernelsmith_codegen_ptx::{PtxModule, compile};

use super::{Place, Trial};

/// Rows that the emulator runs: a warp.
const ROWS: usize = 32;

/// Compiles a program, runs it in the emulator and compares; keeps the PTX for `ptxas`.
pub(super) fn go(trial: &mut Trial, target: Ptx, launch: Launch<'_>) -> Result<(), String> {
    let text = |e: &dyn std::fmt::Display| e.to_string();
    let kernel = launch.ir(&Target::Ptx(target)).map_err(|e| text(&e))?;
    let kernel = prepare(&kernel, &Target::Ptx(target)).map_err(|e| text(&e))?;
    let module = compile(&kernel, target).map_err(|e| text(&e))?;
    let mut memory = Memory::new();
    let (offsets, size) = kernel.param_layout();
    let mut packed = vec![0; size as usize];
    let mut results = Vec::new();
    for (param, at) in kernel.params.iter().zip(offsets) {
        let bytes = match (param.name.strip_suffix(".len"), param.name.split_at(1)) {
            (Some(name), _) => {
                let (which, number) = name.split_at(1);
                let number: usize = number.parse().map_err(|e| text(&e))?;
                let columns = if which == "i" { &trial.inputs } else { &trial.expected };
                (ROWS * columns[number].each()) as u64
            }
            (None, ("i", number)) => {
                let number: usize = number.parse().map_err(|e| text(&e))?;
                memory.alloc(trial.inputs[number].first(ROWS))
            }
            (None, (_, number)) => {
                let number: usize = number.parse().map_err(|e| text(&e))?;
                let empty = vec![0xA5; trial.expected[number].first(ROWS).len()];
                let address = memory.alloc(&empty);
                results.push((number, address));
                address
            }
        };
        packed[at as usize..at as usize + 8].copy_from_slice(&bytes.to_le_bytes());
    }
    let grid =
        emulator::Launch { grid: [1; 3], block: [ROWS as u32, 1, 1], dynamic_shared: 0, order: 1 };
    let record = emulator::run(&module, &kernel, grid, &packed, &mut memory)
        .map_err(|fault| text(&fault))?;
    if record != ErrorRecord::default() {
        return Err(format!("a check failed in the emulator: {record:?}"));
    }
    for (number, address) in results {
        let found = trial.expected[number].with(memory.bytes(address));
        trial.compare(&Place::Ptx(target), number, &found);
    }
    trial.modules.push(module);
    Ok(())
}

/// Assembles modules of one target, all at once if none is wrong; says which ones are.
pub(super) fn assemble(ptxas: &Ptxas, modules: &[PtxModule]) -> Vec<(String, String)> {
    let Some(first) = modules.first() else { return Vec::new() };
    let mut all = PtxModule { text: String::new(), ..first.clone() };
    for (i, module) in modules.iter().enumerate() {
        // Each module's head is the same, and its lines are of files by numbers of its own.
        let lines = module.text.lines().filter(|line| {
            let line = line.trim_start();
            let head = [".version", ".target", ".address_size"];
            let repeated = i > 0 && head.iter().any(|word| line.starts_with(word));
            !repeated && !line.starts_with(".file") && !line.starts_with(".loc")
        });
        lines.for_each(|line| {
            all.text.push_str(line);
            all.text.push('\n');
        });
    }
    if ptxas.assemble(&all).is_ok() {
        return Vec::new();
    }
    let each = modules.iter().filter_map(|module| match ptxas.assemble(module) {
        Ok(_) => None,
        Err(error) => Some((module.entry.clone(), error.to_string())),
    });
    each.collect()
}
