//! Atomic operations and fences: what they do, and whom they let know of what.
//!
//! As in C++ (and PTX ISA, "Memory Consistency Model"): an atomic with acquire order learns what
//! those released that wrote the place before it; a fence does so for the relaxed atomics around
//! it. Every atomic here reads the latest value, so releases add up along a place's history. A
//! narrow scope only reaches the threads in it.

use std::rc::Rc;

use super::access::{Access, Spot, word};
use super::clock::Knowledge;
use super::program::Plain;
use super::scalar;
use super::shadow::Sort;
use super::thread::Run;
use super::world::Meeting;
use crate::attr::{Attr, Const, Order, Scope};
use crate::loc::Loc;
use crate::op::Opcode;

const fn acquires(order: Order) -> bool {
    matches!(order, Order::Acquire | Order::AcqRel)
}

const fn releases(order: Order) -> bool {
    matches!(order, Order::Release | Order::AcqRel)
}

/// The narrower of two.
const fn narrower(a: Scope, b: Scope) -> Scope {
    match (a, b) {
        (Scope::Block, _) | (_, Scope::Block) => Scope::Block,
        _ => Scope::Device,
    }
}

fn join(all: &mut Option<Rc<Knowledge>>, more: &Rc<Knowledge>) {
    match all {
        None => *all = Some(more.clone()),
        Some(all) => Rc::make_mut(all).join(more),
    }
}

impl Run<'_, '_> {
    pub(super) fn atomic(&mut self, plain: &Plain, loc: Loc) {
        let Attr::Atomic { op, order, scope } = plain.attr else {
            unreachable!("the kernel is verified: an atomic has an order")
        };
        let (pointer, result) = (plain.operands[0], plain.results[0]);
        let bytes = result.ty.size() as usize;
        let sort = Sort::Atomic(scope);
        let Some(spot) = self.reach(Access { pointer, bytes, align: bytes, sort, loc }) else {
            return;
        };
        self.touch(&spot, sort, loc);
        let ty = result.ty.elem();
        let old = Const { ty, bits: word(self.home(spot.home).get(spot.range())) };
        let operand = |i: usize| Const { ty, bits: self.thread.get(plain.operands[i]) };
        let new = match (plain.op, op.opcode()) {
            (Opcode::AtomicCas, _) => (operand(1).bits == old.bits).then(|| operand(2).bits),
            (_, None) => Some(operand(1).bits),
            (_, Some(code)) => scalar::compute(code, &[old, operand(1)], ty),
        };
        if let Some(new) = new {
            self.home_mut(spot.home).put(spot.at, &new.to_le_bytes()[..bytes]);
        }
        self.thread.regs[result.index()] = old.bits;
        self.meet(&spot, order, scope, new.is_some());
    }

    pub(super) fn atomic_access(&mut self, plain: &Plain, loc: Loc) {
        let Attr::Fence { order, scope } = plain.attr else {
            unreachable!("the kernel is verified: an atomic access has an order")
        };
        let pointer = plain.operands[0];
        let bytes = pointer.ty.elem().size() as usize;
        let sort = Sort::Atomic(scope);
        let Some(spot) = self.reach(Access { pointer, bytes, align: bytes, sort, loc }) else {
            return;
        };
        self.touch(&spot, sort, loc);
        match plain.results.first() {
            Some(result) => {
                let bits = word(self.home(spot.home).get(spot.range()));
                self.thread.regs[result.index()] = bits;
            }
            None => {
                let new = self.thread.get(plain.operands[1]);
                self.home_mut(spot.home).put(spot.at, &new.to_le_bytes()[..bytes]);
            }
        }
        self.meet(&spot, order, scope, plain.results.is_empty());
    }

    /// Learns what was released at a place, and releases there if it was written.
    fn meet(&mut self, spot: &Spot, order: Order, scope: Scope, wrote: bool) {
        let Some(memory) = self.whereabouts(spot.home) else { return };
        let own = Some(self.thread.clock.who.block);
        let meeting = |block| Meeting { memory, at: spot.at, block };
        let mut places = vec![meeting(own)];
        if scope != Scope::Block {
            places.push(meeting(None));
        }
        for place in &places {
            let Some(known) = self.world.released.get(place).cloned() else { continue };
            match acquires(order) {
                true => self.thread.clock.acquire(&known),
                false => join(&mut self.thread.seen, &known),
            }
        }
        if !wrote {
            return;
        }
        let fenced = self.thread.fenced.clone();
        let (reach, released) = match (releases(order), fenced) {
            (true, _) => (scope, Rc::new(self.thread.clock.release())),
            (false, Some((fence, known))) => (narrower(scope, fence), known),
            (false, None) => return,
        };
        let reached = if reach == Scope::Block { 1 } else { places.len() };
        for place in &places[..reached] {
            let mut all = self.world.released.remove(place);
            join(&mut all, &released);
            self.world.released.extend(all.map(|all| (*place, all)));
        }
    }

    pub(super) fn fence(&mut self, order: Order, scope: Scope) {
        if acquires(order)
            && let Some(seen) = self.thread.seen.take()
        {
            self.thread.clock.acquire(&seen);
        }
        if releases(order) {
            self.thread.fenced = Some((scope, Rc::new(self.thread.clock.release())));
        }
    }
}
