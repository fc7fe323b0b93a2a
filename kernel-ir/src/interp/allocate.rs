//! Who takes tensor memory and gives it back: a warp of a block, or one of each block of a pair.
//!
//! Of a pair, who comes first waits for the other (PTX ISA, `tcgen05`: "Issue Granularity"). They come for
//! the same, and what they take are the same columns in both blocks. Nothing else of what they did is in
//! order.

use std::ops::Range;

use super::access::{Access, Spot};
use super::block::Block;
use super::clock::Who;
use super::finding::FindingKind;
use super::hall::Hall;
use super::program::Plain;
use super::shadow::Sort;
use super::thread::{Parked, Run};
use super::world::{Report, World};
use crate::attr::Attr;
use crate::loc::Loc;
use crate::op::Opcode;
use crate::tcgen05::group::Group;
use crate::tcgen05::{COLUMNS, place};

/// Where the warps of a pair meet.
#[derive(Default)]
pub(super) struct Pair {
    first: Option<Came>,
    /// How often both have come.
    time: u32,
}

/// A warp that has come.
#[derive(Clone, Copy)]
struct Came {
    rank: usize,
    who: Who,
    loc: Loc,
    op: Opcode,
    columns: u32,
    /// What is given back.
    address: Option<u32>,
    /// Where the address is written of what is taken.
    spot: Option<Spot>,
}

impl Pair {
    /// Whether both have come after this time.
    pub(super) fn is_past(&self, time: u32) -> bool {
        self.time > time
    }
}

impl Came {
    /// What both must come for.
    fn asks(&self) -> (Opcode, u32, Option<u32>) {
        (self.op, self.columns, self.address)
    }

    fn tell(&self) -> String {
        let op = self.op.name();
        match (self.columns, self.address) {
            (0, _) => format!("`{op}`"),
            (count, None) => format!("`{op}` of {count} columns"),
            (count, Some(address)) => format!("`{op}` of {count} columns from {address:#x} on"),
        }
    }
}

impl Block {
    /// A warp comes to take tensor memory, to give it back, or to say that no more is taken.
    pub(super) fn allocate(
        &mut self,
        world: &mut World<'_>,
        hall: &mut Hall,
        warp: Range<usize>,
        (plain, address): (&Plain, Option<u32>),
        loc: Loc,
    ) {
        let who = self.threads[warp.start].clock.who;
        let mut own =
            Came { rank: self.rank, who, loc, op: plain.op, columns: 0, address, spot: None };
        if let Attr::Columns { count, .. } = plain.attr {
            own.columns = count;
        }
        if plain.op == Opcode::Tcgen05Alloc {
            own.spot = self.place_of_address(world, hall, &warp, plain, loc);
            if own.spot.is_none() {
                return world.stopped = true;
            }
        }
        let result = match plain.attr.group() {
            Some(Group::Pair) => match hall.meet(own) {
                Ok(Some(first)) => hall.together(&[first, own]),
                Ok(None) => {
                    let time = hall.pairs[self.rank / 2].time;
                    let lanes = self.threads[warp].iter_mut();
                    return lanes.for_each(|thread| thread.park(Parked::Pair(time)));
                }
                Err(report) => {
                    world.report(report);
                    return world.stopped = true;
                }
            },
            _ => hall.together(&[own]),
        };
        if let Err(what) = result {
            let waits = what.starts_with("waits");
            let kind = if waits { FindingKind::Deadlock } else { FindingKind::BarrierMisuse };
            world.report(Report { kind, loc, who, what, other: None });
            world.stopped = true;
        }
    }

    /// Where a warp wants the address of what it takes.
    fn place_of_address(
        &mut self,
        world: &mut World<'_>,
        hall: &mut Hall,
        warp: &Range<usize>,
        plain: &Plain,
        loc: Loc,
    ) -> Option<Spot> {
        let (rank, thread) = (self.rank, &mut self.threads[warp.start]);
        let mut run = Run { world, hall, rank, thread };
        let (pointer, sort) = (plain.operands[0], Sort::Write);
        let spot = run.reach(Access { pointer, bytes: 4, align: 4, sort, loc })?;
        run.touch(&spot, sort, loc);
        Some(spot)
    }
}

impl Hall {
    /// A warp of one block of a pair comes. The one of the peer, if it was there before; what is wrong if
    /// they come for different things.
    fn meet(&mut self, own: Came) -> Result<Option<Came>, Report> {
        let pair = &mut self.pairs[own.rank / 2];
        let Some(first) = pair.first.take() else {
            pair.first = Some(own);
            return Ok(None);
        };
        let refused = |what: String, other: &str| Report {
            kind: FindingKind::BarrierMisuse,
            loc: own.loc,
            who: own.who,
            what,
            other: Some((first.who, first.loc, other.to_owned())),
        };
        if first.rank == own.rank {
            let what = format!("{} of a pair by two warps of one block", own.tell());
            return Err(refused(what, "waits for a warp of the peer"));
        }
        if first.asks() != own.asks() {
            let what = format!("{}, where the peer comes for something else", own.tell());
            return Err(refused(what, &format!("waits at {}", first.tell())));
        }
        pair.time += 1;
        self.changed = true;
        Ok(Some(first))
    }

    /// Does for one block, or for both of a pair, what a warp of each has come for. What is wrong if that
    /// cannot be.
    fn together(&mut self, all: &[Came]) -> Result<(), String> {
        match (all[0].op, all[0].address) {
            (Opcode::Tcgen05Alloc, _) => self.take(all),
            (_, Some(address)) => {
                let (lane, first) = place(address);
                all.iter().try_for_each(|came| {
                    self.rooms[came.rank].tensor.give(lane, first, came.columns)
                })
            }
            _ => {
                all.iter().for_each(|came| self.rooms[came.rank].tensor.yields());
                Ok(())
            }
        }
    }

    /// Takes the first columns that are free in all blocks.
    fn take(&mut self, all: &[Came]) -> Result<(), String> {
        let count = all[0].columns;
        for came in all {
            self.rooms[came.rank].tensor.may_take()?;
        }
        let free = |first: &usize| {
            let free = |came: &Came| self.rooms[came.rank].tensor.is_free(*first as u32, count);
            all.iter().all(free)
        };
        let places = (0..=(COLUMNS - count) as usize).step_by(count as usize);
        let Some(first) = { places }.find(free) else {
            let taken = self.rooms[all[0].rank].tensor.taken();
            return Err(format!(
                "waits without end for {count} columns of tensor memory: its block has taken {taken} \
                 of {COLUMNS}"
            ));
        };
        for came in all {
            let room = &mut self.rooms[came.rank];
            room.tensor.take(first as u32, count, came.who, came.loc);
            if let Some(spot) = came.spot {
                room.shared.put(spot.at, &(first as u32).to_le_bytes());
            }
        }
        Ok(())
    }
}
