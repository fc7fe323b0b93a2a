//! Parallel copies: all sources are read before any target is written, as between the iterations
//! of a loop that swaps two values.

use crate::emit::Emitter;
use crate::reg::{Operand, Reg};

/// A move, in an order in which moves may be written one after the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Move(Reg, Operand),
    /// Saves a register whose value is still needed; later moves read the copy.
    Save(Reg),
}

/// Orders moves. Targets are distinct.
fn schedule(mut pending: Vec<(Reg, Operand)>) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut saved = Vec::new();
    pending.retain(|&(to, from)| Operand::Reg(to) != from);
    while !pending.is_empty() {
        let needed = |to: Reg, saved: &[Reg]| {
            pending.iter().any(|&(_, from)| from == Operand::Reg(to)) && !saved.contains(&to)
        };
        match pending.iter().position(|&(to, _)| !needed(to, &saved)) {
            Some(i) => {
                let (to, from) = pending.remove(i);
                steps.push(Step::Move(to, from));
            }
            None => {
                // Every target is still to be read: a cycle. One copy breaks it.
                let (to, _) = pending[0];
                steps.push(Step::Save(to));
                saved.push(to);
            }
        }
    }
    steps
}

impl Emitter<'_> {
    /// Writes moves that happen at once.
    pub(crate) fn copy(&mut self, to: &[Reg], from: &[Operand]) {
        debug_assert_eq!(to.len(), from.len());
        let moves = to.iter().copied().zip(from.iter().copied()).collect();
        let mut copies: Vec<(Reg, Reg)> = Vec::new();
        for step in schedule(moves) {
            match step {
                Step::Save(reg) => {
                    let copy = self.new_reg(reg.class);
                    self.mov(copy, reg.into());
                    copies.push((reg, copy));
                }
                Step::Move(to, from) => {
                    let saved = copies.iter().find(|(reg, _)| Operand::Reg(*reg) == from);
                    self.mov(to, saved.map_or(from, |&(_, copy)| copy.into()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::reg::Class;

    fn reg(number: u32) -> Reg {
        Reg { class: Class::B32, number }
    }

    /// Runs steps on registers that hold their own numbers.
    fn run(steps: &[Step]) -> HashMap<Reg, u32> {
        let mut now: HashMap<Reg, u32> = HashMap::new();
        let mut saved: HashMap<Reg, u32> = HashMap::new();
        let read = |map: &HashMap<Reg, u32>, r: Reg| map.get(&r).copied().unwrap_or(r.number);
        for step in steps {
            match *step {
                Step::Save(r) => {
                    saved.insert(r, read(&now, r));
                }
                Step::Move(to, Operand::Reg(from)) => {
                    let value = saved.get(&from).copied().unwrap_or_else(|| read(&now, from));
                    now.insert(to, value);
                }
                Step::Move(_, Operand::Const(_)) => unreachable!("the test makes none"),
            }
        }
        now
    }

    #[test]
    fn a_swap_takes_one_copy() {
        let steps = schedule(vec![(reg(0), reg(1).into()), (reg(1), reg(0).into())]);
        assert_eq!(steps.iter().filter(|s| matches!(s, Step::Save(_))).count(), 1);
        assert_eq!(run(&steps), HashMap::from([(reg(0), 1), (reg(1), 0)]));
    }

    proptest! {
        #[test]
        fn sequential_moves_do_what_parallel_ones_do(
            sources in proptest::collection::vec(0u32..8, 1..8)
        ) {
            let moves: Vec<(Reg, Operand)> = sources
                .iter()
                .enumerate()
                .map(|(to, &from)| (reg(to as u32), reg(from).into()))
                .collect();
            let after = run(&schedule(moves));
            for (to, &from) in sources.iter().enumerate() {
                let to = reg(to as u32);
                prop_assert_eq!(after.get(&to).copied().unwrap_or(to.number), from);
            }
        }
    }
}
