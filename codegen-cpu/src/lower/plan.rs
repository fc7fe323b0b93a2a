//! What must be known of control flow before code is written.

use std::collections::{HashMap, HashSet};

use kernelsmith_ir::passes::uniformity::{Level, Uniformity};
use kernelsmith_ir::{Attr, Inst, Kernel, Label, Opcode, Region, Value};

use super::value::LANES;

/// Facts about control operations, by the address of their instructions in the kernel.
#[derive(Default)]
pub(super) struct Plan {
    /// Labels that lanes of one warp leave, or go round, at different times.
    divergent: HashSet<Label>,
    /// Operations that hold a barrier between several warps, or a jump of such an operation: they
    /// are executed by the block as one.
    whole_block: HashSet<*const Inst>,
    /// The number of each check, in program order.
    checks: HashMap<*const Inst, u32>,
    /// Where each value is defined, to make cheap ones again.
    pub(super) definitions: HashMap<Value, Inst>,
}

impl Plan {
    pub(super) fn new(kernel: &Kernel, uniformity: &Uniformity, block: [u32; 3]) -> Plan {
        let mut plan = Plan::default();
        plan.find_divergence(&kernel.body, uniformity, &mut Vec::new());
        if block.iter().product::<u32>() > LANES {
            plan.find_barriers(&kernel.body, &mut Vec::new());
        }
        kernel.body.walk(&mut |inst| {
            if inst.op == Opcode::Check {
                let number = plan.checks.len() as u32;
                plan.checks.insert(inst, number);
            }
            if inst.op.is_pure() && inst.results.len() == 1 {
                plan.definitions.insert(inst.results[0], inst.clone());
            }
        });
        plan
    }

    pub(super) fn is_divergent(&self, label: Label) -> bool {
        self.divergent.contains(&label)
    }

    pub(super) fn is_whole_block(&self, inst: &Inst) -> bool {
        self.whole_block.contains(&std::ptr::from_ref(inst))
    }

    /// The number of a check among the kernel's.
    pub(super) fn check_number(&self, inst: &Inst) -> u32 {
        self.checks.get(&std::ptr::from_ref(inst)).copied().unwrap_or(u32::MAX)
    }

    /// Marks labels that a jump under varying control names.
    fn find_divergence(
        &mut self,
        region: &Region,
        uniformity: &Uniformity,
        open: &mut Vec<(Option<Label>, bool)>,
    ) {
        let varies = |value: Value| uniformity.level(value) > Level::Warp;
        for inst in &region.insts {
            let label = match inst.attr {
                Attr::Label(label) => Some(label),
                _ => None,
            };
            match inst.op {
                Opcode::If => {
                    open.push((None, varies(inst.operands[0])));
                    inst.regions.iter().for_each(|r| self.find_divergence(r, uniformity, open));
                    open.pop();
                }
                Opcode::For | Opcode::Loop | Opcode::Block => {
                    let label = label.expect("labelled operations have labels");
                    let ragged = match inst.op {
                        Opcode::For => varies(inst.operands[0]) || varies(inst.operands[1]),
                        _ => false,
                    };
                    let diverges = ragged || uniformity.exit(label) > Level::Warp;
                    if diverges {
                        self.divergent.insert(label);
                    }
                    // Twice, as a divergent jump makes what is inside divergent as well.
                    for _ in 0..2 {
                        open.push((Some(label), self.divergent.contains(&label)));
                        self.find_divergence(&inst.regions[0], uniformity, open);
                        open.pop();
                    }
                }
                Opcode::Break | Opcode::Continue => {
                    let target = open.iter().rposition(|(l, _)| *l == label);
                    let target = target.expect("labels enclose their jumps");
                    if open[target + 1..].iter().any(|(_, varying)| *varying) {
                        self.divergent.extend(label);
                    }
                }
                _ => {}
            }
        }
    }

    /// Marks what holds a barrier, and what jumps to what is marked; whether anything was.
    fn find_barriers(&mut self, body: &Region, _open: &mut Vec<Label>) {
        let mut labels = HashSet::new();
        loop {
            let before = (self.whole_block.len(), labels.len());
            self.mark(body, &mut labels);
            if (self.whole_block.len(), labels.len()) == before {
                return;
            }
        }
    }

    fn mark(&mut self, region: &Region, labels: &mut HashSet<Label>) -> bool {
        let mut any = false;
        for inst in &region.insts {
            let mut inside = false;
            for region in &inst.regions {
                inside |= self.mark(region, labels);
            }
            let jumps = matches!(inst.op, Opcode::Break | Opcode::Continue)
                && matches!(inst.attr, Attr::Label(l) if labels.contains(&l));
            if inside {
                self.whole_block.insert(inst);
                if let Attr::Label(label) = inst.attr {
                    labels.insert(label);
                }
            }
            any |= inside || jumps || inst.op == Opcode::Barrier;
        }
        any
    }
}

/// Whether control can leave a region other than by its end.
pub(super) fn has_exit(region: &Region) -> bool {
    leaves(region, HashSet::new())
}

/// Whether control can leave a labelled operation for elsewhere than what follows it.
pub(super) fn escapes(region: &Region, own: Label) -> bool {
    leaves(region, HashSet::from([own]))
}

/// Whether a region returns or jumps to a label other than those `inside`.
fn leaves(region: &Region, mut inside: HashSet<Label>) -> bool {
    region.walk(&mut |inst| {
        if let (Opcode::For | Opcode::Loop | Opcode::Block, Attr::Label(label)) =
            (inst.op, &inst.attr)
        {
            inside.insert(*label);
        }
    });
    let mut exits = false;
    region.walk(&mut |inst| {
        exits |= match (inst.op, &inst.attr) {
            (Opcode::Return, _) => true,
            (Opcode::Break | Opcode::Continue, Attr::Label(label)) => !inside.contains(label),
            _ => false,
        };
    });
    exits
}

/// Whether a loop's body holds no other loop and goes on with the loop on every way.
pub(super) fn is_straight_innermost(region: &Region, own: Label) -> bool {
    let (mut loops, mut jumps) = (0, 0);
    region.walk(&mut |inst| match inst.op {
        Opcode::For | Opcode::Loop => loops += 1,
        Opcode::Break | Opcode::Continue | Opcode::Return => jumps += 1,
        _ => {}
    });
    let next = |t: &Inst| t.op == Opcode::Continue && t.attr == Attr::Label(own);
    let ends = region.terminator().is_some_and(next);
    loops == 0 && ends && jumps == 1
}
