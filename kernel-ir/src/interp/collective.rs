//! What the lanes of a warp do together.

use std::ops::Range;

use super::block::Block;
use super::finding::FindingKind;
use super::hall::Hall;
use super::program::Plain;
use super::scalar;
use super::tcgen05::is_of_warp;
use super::world::{Report, World};
use crate::attr::{Attr, Const};
use crate::loc::Loc;
use crate::op::Opcode;

impl Block {
    /// Executes an operation for the lanes of a warp, which are all there.
    pub(super) fn together(
        &mut self,
        world: &mut World<'_>,
        hall: &mut Hall,
        warp: Range<usize>,
        plain: &Plain,
        loc: Loc,
    ) {
        match plain.op {
            Opcode::WarpSync => self.sync_warp(warp),
            Opcode::Mma => self.multiply(world, warp, plain, loc),
            Opcode::Ldmatrix => self.load_matrices(world, hall, warp, plain, loc),
            Opcode::Stmatrix => self.store_matrices(world, hall, warp, plain, loc),
            Opcode::WarpReduce => self.reduce(warp, plain),
            Opcode::MatchAny => self.match_lanes(warp, plain),
            Opcode::VoteAll | Opcode::VoteAny | Opcode::Ballot => self.vote(warp, plain),
            Opcode::Elect => self.give(warp, plain, |lane| u64::from(lane == 0)),
            Opcode::ShuffleIdx | Opcode::ShuffleXor | Opcode::ShuffleUp | Opcode::ShuffleDown => {
                self.shuffle(world, warp, plain, loc);
            }
            op if is_of_warp(op) => self.tensor(world, hall, warp, plain, loc),
            op => unreachable!("`{}` is no operation of a warp", op.name()),
        }
    }

    fn vote(&mut self, warp: Range<usize>, plain: &Plain) {
        let lanes = &self.threads[warp.clone()];
        let holds = |i: usize| lanes[i].get(plain.operands[0]) != 0;
        let count = lanes.len();
        let result = match plain.op {
            Opcode::VoteAll => (0..count).all(holds).into(),
            Opcode::VoteAny => (0..count).any(holds).into(),
            _ => (0..count).fold(0, |bits, lane| bits | u64::from(holds(lane)) << lane),
        };
        self.give(warp, plain, |_| result);
    }

    fn match_lanes(&mut self, warp: Range<usize>, plain: &Plain) {
        let lanes = &self.threads[warp.clone()];
        let values: Vec<u64> = lanes.iter().map(|t| t.get(plain.operands[0])).collect();
        self.give(warp, plain, |own| {
            let same = |(lane, value): (usize, &u64)| u64::from(*value == values[own]) << lane;
            values.iter().enumerate().map(same).sum()
        });
    }

    fn give(&mut self, warp: Range<usize>, plain: &Plain, value: impl Fn(usize) -> u64) {
        let at = plain.results[0].index();
        for (lane, thread) in self.threads[warp].iter_mut().enumerate() {
            thread.regs[at] = value(lane);
        }
    }

    fn shuffle(&mut self, world: &mut World<'_>, warp: Range<usize>, plain: &Plain, loc: Loc) {
        let lanes = &self.threads[warp.clone()];
        let size = world.launch.warp_size;
        let mut values = Vec::new();
        for (lane, thread) in (0..).zip(lanes) {
            let by = thread.get(plain.operands[1]) as u32;
            let source = match plain.op {
                Opcode::ShuffleIdx => Some(by % size),
                Opcode::ShuffleXor => Some((lane ^ by) % size),
                Opcode::ShuffleUp => lane.checked_sub(by),
                _ => lane.checked_add(by).filter(|&l| (l as usize) < lanes.len()),
            };
            let source = source.unwrap_or(lane);
            let from = lanes.get(source as usize).unwrap_or_else(|| {
                let what = format!(
                    "lane {lane} asks lane {source}, and the block has threads for {} lanes only",
                    lanes.len()
                );
                let (kind, who) = (FindingKind::InactiveLane, thread.clock.who);
                world.report(Report { kind, loc, who, what, other: None });
                thread
            });
            values.push(from.get(plain.operands[0]));
        }
        self.give(warp, plain, |lane| values[lane]);
    }

    /// By halves: lane `i` with lane `i + 16`, and so on, as the butterfly does it.
    fn reduce(&mut self, warp: Range<usize>, plain: &Plain) {
        let Attr::Reduce(reduction) = plain.attr else {
            unreachable!("the kernel is verified: a reduction has an operation")
        };
        let (op, from) = (reduction.opcode(), plain.operands[0]);
        let ty = from.ty.elem();
        for part in 0..from.len() {
            let lanes = &self.threads[warp.clone()];
            let mut values: Vec<Const> =
                lanes.iter().map(|t| Const { ty, bits: t.regs[from.index() + part] }).collect();
            let mut half = values.len().next_power_of_two() / 2;
            while half > 0 {
                // Lanes that are not there bring nothing.
                for lane in 0..half.min(values.len().saturating_sub(half)) {
                    let pair = [values[lane], values[lane + half]];
                    let bits = scalar::compute(op, &pair, ty).expect("no division");
                    values[lane] = Const { ty, bits };
                }
                values.truncate(half);
                half /= 2;
            }
            let at = plain.results[0].index() + part;
            self.threads[warp.clone()].iter_mut().for_each(|t| t.regs[at] = values[0].bits);
        }
    }
}
