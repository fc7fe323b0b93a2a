//! What is on its way: it arrives when the schedule likes, without any thread's doing.

use std::rc::Rc;

use super::access::{Home, word};
use super::area::Area;
use super::clock::{Clock, Knowledge, Who};
use super::copies::Copy;
use super::finding::FindingKind;
use super::hall::Hall;
use super::scalar;
use super::shadow::{Copying, Landed, Settled, Shadow};
use super::tensor::Begun;
use super::visit::{self, Visit, When};
use super::world::{Report, World};
use crate::attr::{Const, ReduceOp};
use crate::loc::Loc;
use crate::types::Scalar;

/// Something on its way.
pub(super) struct Flight {
    pub copy: Copying,
    /// Who began it.
    pub who: Who,
    pub warp: u16,
    pub loc: Loc,
    pub cargo: Cargo,
}

/// What it brings.
pub(super) enum Cargo {
    /// A copy to the shared memory of a block, and the barrier that counts it, there or in the peer.
    Load { area: Rc<Area>, rank: usize, counts: (usize, usize) },
    /// A copy to global memory; first it takes what is in shared memory, later it writes it.
    Store {
        area: Rc<Area>,
        rank: usize,
        combine: Option<(ReduceOp, Scalar)>,
        taken: Option<Vec<u8>>,
    },
    /// An arrival at a barrier when these products in tensor memory, and copies to it, are over.
    Products { products: Vec<Rc<Begun>>, rank: usize, barrier: usize },
    /// An arrival at a barrier when these copies have arrived.
    Arrival { copies: Vec<Copy>, rank: usize, barrier: usize },
}

impl Flight {
    /// What it still has to do in the shared memory of a block.
    pub(super) fn visit(&self, block: usize) -> Option<Visit> {
        let (there, what) = match &self.cargo {
            Cargo::Load { rank, counts, .. } => {
                (*rank == block || counts.0 == block, "copies asynchronously to")
            }
            Cargo::Store { rank, taken: None, .. } => {
                (*rank == block, "copies asynchronously from")
            }
            Cargo::Store { .. } => return None,
            Cargo::Arrival { rank, .. } => (*rank == block, "comes to a barrier with copies in"),
            Cargo::Products { products, rank, .. } => {
                let on = |p: &Rc<Begun>| p.landed.get().is_none() && p.ranks.contains(&block);
                (*rank == block || products.iter().any(on), MULTIPLIES)
            }
        };
        let Flight { who, warp, loc, .. } = *self;
        there.then_some(Visit { who, warp, when: When::Coming, loc, what })
    }
}

/// What products do in a block's memory.
const MULTIPLIES: &str = "multiplies by what is in";

/// What comes to a barrier.
enum Coming<'k> {
    Bytes(usize),
    /// An arrival, and what it lets know of besides the copies that land with it.
    Arrival(Option<&'k Knowledge>),
}

/// The bytes of a memory, whatever it is.
pub(super) fn shadow_of<'s>(
    world: &'s mut World<'_>,
    hall: &'s mut Hall,
    home: Home,
) -> Option<&'s mut Shadow> {
    match home {
        Home::Buffer(_, Some(shadow)) => Some(&mut world.shadows[shadow]),
        Home::Shared(rank) => Some(&mut hall.rooms[usize::from(rank)].shadow),
        Home::Buffer(_, None) | Home::Local(_) => None,
    }
}

impl Hall {
    /// Lets something arrive, or nothing.
    pub(super) fn something_arrives(&mut self, world: &mut World<'_>) {
        if !self.flights.is_empty() && world.rng.one_in(2) {
            self.next_arrives(world);
        }
    }

    /// Lets something arrive; whether there was anything.
    pub(super) fn next_arrives(&mut self, world: &mut World<'_>) -> bool {
        if self.flights.is_empty() {
            return false;
        }
        let which = world.rng.below(self.flights.len());
        self.proceed(world, which);
        true
    }

    /// Takes a store to its next step, or to its end.
    pub(super) fn push_store(&mut self, world: &mut World<'_>, copy: Copying, whole: bool) {
        while let Some(which) = self.flights.iter().position(|flight| flight.copy == copy) {
            let taken = matches!(self.flights[which].cargo, Cargo::Store { taken: Some(_), .. });
            if taken && !whole {
                return;
            }
            self.proceed(world, which);
        }
    }

    /// One step of something on its way.
    fn proceed(&mut self, world: &mut World<'_>, which: usize) {
        if let Cargo::Store { area, rank, taken: taken @ None, .. } = &mut self.flights[which].cargo
        {
            *taken = Some(area.take(&self.rooms[*rank].shared));
            return;
        }
        let flight = self.flights.swap_remove(which);
        match &flight.cargo {
            Cargo::Load { area, rank, counts } => {
                self.load_lands(world, &flight, area, *rank, *counts);
            }
            Cargo::Store { area, combine, taken, .. } => {
                let taken = taken.as_deref().unwrap_or_default();
                write(world, area, taken, *combine);
            }
            Cargo::Arrival { copies, rank, barrier } => {
                let Some(object) = self.rooms[*rank].barriers.get(barrier) else { return };
                let landed = object.landing();
                for copy in copies {
                    copy.arrive(world, self);
                    copy.land(world, self, landed);
                }
                self.comes(world, &flight, (*rank, *barrier), Coming::Arrival(None));
            }
            Cargo::Products { products, rank, barrier } => {
                self.products_end(world, &flight, products, (*rank, *barrier));
            }
        }
    }

    /// Products are over: for those who wait at this barrier, and for those who wait at others that were
    /// come to before.
    fn products_end(
        &mut self,
        world: &mut World<'_>,
        flight: &Flight,
        products: &[Rc<Begun>],
        (rank, barrier): (usize, usize),
    ) {
        let Some(object) = self.rooms[rank].barriers.get(&barrier) else { return };
        let landed = object.landing();
        let mut known = Knowledge::default();
        // What a product was begun behind is before its end: the tiles that it reads had come. The last one's
        // thread knew the most.
        if let Some(before) = products.last().and_then(|product| product.before.as_ref()) {
            known.join_engines(before);
        }
        for product in products {
            if let Some((part, time)) = product.landed.get() {
                known.add(part, time + 1);
                continue;
            }
            let end = Settled::Landed(landed);
            for (rank, range) in &product.shared {
                let shadow = &mut self.rooms[*rank].shadow;
                shadow.settle(range.clone(), super::area::PIECE, product.copy, end);
            }
            for rank in product.ranks.clone() {
                let room = &mut self.rooms[rank];
                for part in product.reads.iter().chain([&product.writes]) {
                    room.tensor.settle(product.copy, *part, end);
                }
                if product.ranks.len() > 1 {
                    let (when, what) = (When::Landed(landed), MULTIPLIES);
                    let Flight { who, warp, .. } = *flight;
                    let loc = product.loc;
                    visit::note(&mut room.visits, Visit { who, warp, when, loc, what });
                }
            }
            product.landed.set(Some(landed));
        }
        self.comes(world, flight, (rank, barrier), Coming::Arrival(Some(&known)));
    }

    fn load_lands(
        &mut self,
        world: &mut World<'_>,
        flight: &Flight,
        area: &Area,
        rank: usize,
        counts: (usize, usize),
    ) {
        let there = |rank: usize| self.rooms[rank].alive > 0;
        let Some(object) = self.rooms[counts.0].barriers.get(&counts.1) else { return };
        let landed = object.landing();
        if !there(rank) || !there(counts.0) {
            return;
        }
        let room = &mut self.rooms[rank];
        let global = match area.global {
            Some(Home::Buffer(number, _)) => Some(world.memory.bytes(number)),
            _ => None,
        };
        area.load(global, &mut room.shared);
        let Flight { who, warp, loc, .. } = *flight;
        let when = When::Landed(landed);
        let what = "copies asynchronously to";
        visit::note(&mut room.visits, Visit { who, warp, when, loc, what });
        settle_area(world, self, area, rank, flight.copy, [true, true], Settled::Landed(landed));
        self.comes(world, flight, counts, Coming::Bytes(area.bytes));
    }

    /// Bytes come to a barrier, or an arrival does.
    fn comes(
        &mut self,
        world: &mut World<'_>,
        flight: &Flight,
        (rank, at): (usize, usize),
        what: Coming<'_>,
    ) {
        let Some(barrier) = self.rooms[rank].barriers.get_mut(&at) else { return };
        let result = match what {
            Coming::Bytes(bytes) => barrier.land(bytes),
            // What its copies wrote is known by the phase itself.
            Coming::Arrival(known) => barrier.arrive(known),
        };
        match result {
            Ok(complete) => self.changed |= complete,
            Err(what) => {
                let name = self.rooms[rank].barrier_name(world, at);
                world.report(Report {
                    kind: FindingKind::BarrierMisuse,
                    loc: flight.loc,
                    who: flight.who,
                    what: format!("its copy comes to {name}: {what}"),
                    other: None,
                });
                world.stopped = true;
            }
        }
    }
}

/// Ends what a copy has in flight: on its side in shared memory, and on that in global memory.
pub(super) fn settle_area(
    world: &mut World<'_>,
    hall: &mut Hall,
    area: &Area,
    rank: usize,
    copy: Copying,
    [shared, global]: [bool; 2],
    end: Settled<'_>,
) {
    if shared {
        let shadow = &mut hall.rooms[rank].shadow;
        for range in area.shared_ranges() {
            shadow.settle(range, super::area::PIECE, copy, end);
        }
    }
    if global
        && let Some(home) = area.global
        && let Some(shadow) = shadow_of(world, hall, home)
    {
        for range in area.global_ranges() {
            shadow.settle(range, area.grain, copy, end);
        }
    }
}

fn write(world: &mut World<'_>, area: &Area, taken: &[u8], combine: Option<(ReduceOp, Scalar)>) {
    let Some(Home::Buffer(number, _)) = area.global else { return };
    let bytes = world.memory.bytes_mut(number);
    area.store(taken, |range, new| {
        let Some((op, ty)) = combine else { return bytes.put(range.start, new) };
        let size = ty.size() as usize;
        let old = bytes.get(range.clone()).to_vec();
        for (i, pair) in old.chunks(size).zip(new.chunks(size)).enumerate() {
            let [a, b] = [pair.0, pair.1].map(|x| Const { ty, bits: word(x) });
            let bits = scalar::compute(op.opcode(), &[a, b], ty).expect("no division");
            bytes.put(range.start + i * size, &bits.to_le_bytes()[..size]);
        }
    });
}

impl Copy {
    /// It has landed for those who wait at a barrier.
    fn land(&self, world: &mut World<'_>, hall: &mut Hall, landed: Landed) {
        for spot in [self.to, self.from] {
            if let Some(shadow) = shadow_of(world, hall, spot.home) {
                shadow.settle(spot.range(), spot.grain, self.copy, Settled::Landed(landed));
            }
        }
        self.landed.set(Some(landed));
    }

    /// A thread has waited for it.
    pub(super) fn awaited(&self, world: &mut World<'_>, hall: &mut Hall, clock: &mut Clock) {
        if let Some((part, time)) = self.landed.get() {
            let known = super::clock::Knowledge::of(part, time + 1);
            return clock.acquire(&Rc::new(known));
        }
        for spot in [self.to, self.from] {
            if let Some(shadow) = shadow_of(world, hall, spot.home) {
                shadow.settle(spot.range(), spot.grain, self.copy, Settled::By(clock));
            }
        }
    }
}
