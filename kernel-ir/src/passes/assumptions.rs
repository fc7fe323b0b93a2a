//! Takes out assumptions, when nobody is left to make use of them.
//!
//! An assumption is a check whose condition the front end knows to hold: from how a stepped range is
//! made, say. The passes before this learn from it as from any check; an interpreter that runs the
//! kernel as staged tests it as any check. No code is made for it.

use crate::attr::{Attr, CheckKind};
use crate::kernel::{Inst, Kernel, Region};

/// Removes every assumption. Whether there was one.
pub fn run(kernel: &mut Kernel) -> bool {
    region(&mut kernel.body)
}

fn region(block: &mut Region) -> bool {
    let before = block.insts.len();
    block.insts.retain(|inst| !is_assumption(inst));
    let mut changed = block.insts.len() != before;
    for inner in block.insts.iter_mut().flat_map(|inst| &mut inst.regions) {
        changed |= region(inner);
    }
    changed
}

fn is_assumption(inst: &Inst) -> bool {
    matches!(inst.attr, Attr::Check(CheckKind::Assumption, _))
}
