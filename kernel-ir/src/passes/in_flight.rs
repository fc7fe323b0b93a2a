//! The sums of `wgmma` are left alone while they are computed.
//!
//! PTX ISA, "Asynchronous Warpgroup Level Matrix Instructions": registers of a `wgmma` in flight must
//! not be accessed, but by another one of the same shape that adds to them; a `wgmma.fence` orders
//! what was done to registers before the first one, and after each wait. Values say who holds sums
//! in flight, so both are followed through the kernel: a `wgmma`'s result is in flight, what a loop
//! carries is if any iteration leaves it so, and a `wgmma_wait` passes on what is not. That the wait
//! is for the right group, the interpreter sees.

use std::collections::HashMap;

use super::bitset::BitSet;
use crate::attr::Attr;
use crate::kernel::{Inst, Kernel, Label, Region, Value};
use crate::op::Opcode;

/// An accumulator or a `wgmma` out of order.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{location}: {trouble}")]
pub struct InFlightError {
    /// `file:line:column` of the operation.
    pub location: String,
    /// What is wrong, and what to do.
    pub trouble: String,
}

/// Checks a kernel without variable slots.
///
/// # Errors
/// At the first use of sums in flight, the second product that adds to the same sums, or a product
/// without a fence before it.
pub fn check(kernel: &Kernel) -> Result<(), InFlightError> {
    let mut any = false;
    kernel.body.walk(&mut |inst| any |= inst.op == Opcode::Wgmma);
    if !any {
        return Ok(());
    }
    let mut walk = Walk {
        kernel,
        owners: owners(&kernel.body),
        pending: BitSet::new(kernel.types.len()),
        exits: HashMap::new(),
        again: HashMap::new(),
        changed: true,
        error: None,
    };
    // What is in flight only grows; once it does not, errors are final.
    while std::mem::take(&mut walk.changed) {
        walk.error = None;
        let mut state = State { fenced: false, taken: BitSet::new(kernel.types.len()), live: true };
        walk.region(&kernel.body, &mut state);
    }
    match walk.error {
        None => Ok(()),
        Some(error) => Err(error),
    }
}

/// What is known at a place.
#[derive(Clone)]
struct State {
    /// Whether a fence came after the last wait, on every way here.
    fenced: bool,
    /// Sums in flight that a product has taken on, on some way here.
    taken: BitSet,
    /// Whether control gets here.
    live: bool,
}

impl State {
    fn join(&mut self, other: &State) {
        match (self.live, other.live) {
            (_, false) => {}
            (false, true) => *self = other.clone(),
            (true, true) => {
                self.fenced &= other.fenced;
                self.taken.union(&other.taken);
            }
        }
    }
}

struct Walk<'k> {
    kernel: &'k Kernel,
    /// The loops and blocks by their labels.
    owners: HashMap<Label, &'k Inst>,
    pending: BitSet,
    /// By label, the state at each break (of a loop or block) and at each continue.
    exits: HashMap<Label, State>,
    again: HashMap<Label, State>,
    changed: bool,
    error: Option<InFlightError>,
}

impl Walk<'_> {
    fn is_pending(&self, value: Value) -> bool {
        self.pending.contains(value.index())
    }

    fn make_pending(&mut self, value: Value) {
        self.changed |= !self.is_pending(value);
        self.pending.insert(value.index());
    }

    /// What becomes of values that are handed on.
    fn hand_on(&mut self, from: &[Value], to: &[Value]) {
        for (&from, &to) in from.iter().zip(to) {
            if self.is_pending(from) {
                self.make_pending(to);
            }
        }
    }

    fn fail(&mut self, inst: &Inst, trouble: String) {
        let location = self.kernel.sources.display(inst.loc);
        self.error.get_or_insert(InFlightError { location, trouble });
    }

    fn region(&mut self, region: &Region, state: &mut State) {
        for inst in &region.insts {
            match inst.op {
                Opcode::Wgmma => self.product(inst, state),
                Opcode::WgmmaFence => state.fenced = true,
                Opcode::WgmmaWait => state.fenced = false,
                Opcode::If => self.branch(inst, state),
                Opcode::For | Opcode::Loop => self.repeat(inst, state),
                Opcode::Block => self.block(inst, state),
                // The owner takes the values on.
                Opcode::Yield => {}
                Opcode::Break | Opcode::Continue => self.jump(inst, state),
                Opcode::Return => state.live = false,
                _ => self.other(inst),
            }
        }
    }

    fn product(&mut self, inst: &Inst, state: &mut State) {
        let sums = inst.operands[2];
        for &factor in inst.operands.iter().filter(|&&v| v != sums) {
            if self.is_pending(factor) {
                self.used(inst);
            }
        }
        if !state.fenced {
            let trouble = "a `wgmma` without a fence: `wgmma_fence()` stands before the first one, \
                           and between each wait and the next one";
            self.fail(inst, trouble.to_owned());
        }
        if self.is_pending(sums) {
            if state.taken.contains(sums.index()) {
                let trouble = "these sums are in flight already, taken on by another `wgmma`: go on \
                               with its result";
                self.fail(inst, trouble.to_owned());
            }
            state.taken.insert(sums.index());
        }
        self.make_pending(inst.result());
    }

    fn other(&mut self, inst: &Inst) {
        if inst.operands.iter().any(|&v| self.is_pending(v)) {
            self.used(inst);
        }
    }

    fn used(&mut self, inst: &Inst) {
        let name = inst.op.name();
        let trouble = format!(
            "`{name}` of sums that a `wgmma` may still be adding to: wait for them first, by \
             `sums.wait()` or `sums.wait_pending(groups)`, and use what that gives"
        );
        self.fail(inst, trouble);
    }

    fn yields(region: &Region) -> Option<&[Value]> {
        region.terminator().filter(|t| t.op == Opcode::Yield).map(|t| &t.operands[..])
    }

    fn branch(&mut self, inst: &Inst, state: &mut State) {
        let before = state.clone();
        let mut after = State { live: false, ..before.clone() };
        for region in &inst.regions {
            let mut way = before.clone();
            self.region(region, &mut way);
            if let Some(values) = Self::yields(region) {
                self.hand_on(values, &inst.results);
                after.join(&way);
            }
        }
        *state = after;
    }

    fn block(&mut self, inst: &Inst, state: &mut State) {
        let Attr::Label(label) = inst.attr else { return };
        self.region(&inst.regions[0], state);
        if let Some(values) = Self::yields(&inst.regions[0]) {
            self.hand_on(values, &inst.results);
        } else {
            state.live = false;
        }
        if let Some(exit) = self.exits.remove(&label) {
            state.join(&exit);
        }
    }

    fn repeat(&mut self, inst: &Inst, state: &mut State) {
        let Attr::Label(label) = inst.attr else { return };
        let is_for = inst.op == Opcode::For;
        let (args, init) = match is_for {
            true => (&inst.regions[0].args[1..], &inst.operands[2..]),
            false => (&inst.regions[0].args[..], &inst.operands[..]),
        };
        self.hand_on(init, args);
        // Another iteration may begin as the last one ended.
        let mut begin = state.clone();
        loop {
            let mut inside = begin.clone();
            self.region(&inst.regions[0], &mut inside);
            // Values are others in each iteration, so what was taken in one says nothing of the next.
            let again = self.again.remove(&label).filter(|again| again.live);
            if again.is_none_or(|again| again.fenced || !begin.fenced) {
                break;
            }
            begin.fenced = false;
        }
        let exit = self.exits.remove(&label);
        *state = match is_for {
            true => {
                self.hand_on(args, &inst.results);
                begin
            }
            false => State { live: false, ..begin },
        };
        if let Some(exit) = exit {
            state.join(&exit);
        }
    }

    fn jump(&mut self, inst: &Inst, state: &mut State) {
        let Attr::Label(label) = inst.attr else { return };
        if let Some(&target) = self.owners.get(&label) {
            let to = match inst.op {
                Opcode::Break => &target.results[..],
                _ if target.op == Opcode::For => &target.regions[0].args[1..],
                _ => &target.regions[0].args[..],
            };
            self.hand_on(&inst.operands, to);
        }
        let states = if inst.op == Opcode::Break { &mut self.exits } else { &mut self.again };
        match states.get_mut(&label) {
            Some(known) => known.join(state),
            None => drop(states.insert(label, state.clone())),
        }
        state.live = false;
    }
}

/// The loops and blocks of a region by their labels.
fn owners(region: &Region) -> HashMap<Label, &Inst> {
    let mut owners = HashMap::new();
    region.walk(&mut |inst| {
        if let (Opcode::For | Opcode::Loop | Opcode::Block, Attr::Label(label)) =
            (inst.op, &inst.attr)
        {
            owners.insert(*label, inst);
        }
    });
    owners
}
