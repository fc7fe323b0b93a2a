//! Takes out `agreed`, which tells the check of convergence what threads agree on.

use super::edit::{Subst, rebuild};
use crate::kernel::Kernel;
use crate::op::Opcode;

/// Replaces what is agreed by what it is.
pub(super) fn run(kernel: &mut Kernel) {
    let mut subst = Subst::default();
    rebuild(&mut kernel.body, &mut |inst, out| match inst.op {
        Opcode::Agreed => subst.set(inst.result(), inst.operands[0]),
        _ => out.push(inst),
    });
    subst.apply_region(&mut kernel.body);
}
