//! What memory a pointer points into.

use crate::kernel::{Kernel, ParamKind};
use crate::op::Opcode;

/// By value, whether it surely points into memory that nobody writes while the kernel runs.
pub(crate) fn read_only(kernel: &Kernel) -> Vec<bool> {
    let mut known = vec![false; kernel.types.len()];
    for param in kernel.params.iter().filter(|p| p.kind == ParamKind::ReadOnly) {
        known[param.value.index()] = true;
    }
    kernel.body.walk(&mut |inst| {
        let of = |i: usize| known[inst.operands[i].index()];
        let from = match inst.op {
            Opcode::PtrAdd | Opcode::PtrCast => of(0),
            Opcode::Select => of(1) && of(2),
            _ => return,
        };
        known[inst.result().index()] = from;
    });
    known
}
