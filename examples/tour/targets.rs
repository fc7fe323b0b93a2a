//! The library's kernels for targets without their devices.

use kernelsmith::Target;
use kernelsmith::codegen::{Resources, resources};
use kernelsmith_kernels::catalog::KERNELS;

use crate::table;

/// The GPUs of the tour.
const TARGETS: [&str; 3] = ["sm_90a", "gfx942", "gfx1100"];

pub(crate) fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut rows = Vec::new();
    let mut notes = Vec::new();
    for entry in KERNELS {
        for name in TARGETS {
            let target: Target = name.parse()?;
            let kernel = (entry.ir)(&target)?;
            let Resources { code_bytes, registers, spills, shared_bytes, checks, note } =
                resources(&kernel, None, &target)?;
            let number = |n: Option<u32>| n.map_or("?".to_owned(), |n| n.to_string());
            rows.push(vec![
                entry.name.to_owned(),
                name.to_owned(),
                number(registers),
                number(spills),
                format!("{shared_bytes} B"),
                checks.to_string(),
                format!("{:.1} KiB", code_bytes as f64 / 1024.0),
            ]);
            if let Some(note) = note.filter(|note| !notes.contains(note)) {
                notes.push(note);
            }
        }
    }
    table::print(&["kernel", "target", "registers", "spills", "shared", "checks", "code"], &rows);
    for note in notes {
        println!("\n  ?: {note}");
    }
    Ok(())
}
