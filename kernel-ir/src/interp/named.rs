//! Barriers that count the threads which come to them.

use std::rc::Rc;

use super::block::Block;
use super::clock::Knowledge;
use super::finding::FindingKind;
use super::hall::{Hall, Room};
use super::program::{Action, Plain};
use super::thread::{Run, State, Thread};
use super::world::{Report, World};
use crate::attr::Attr;

/// A named barrier of a block.
#[derive(Default)]
pub(super) struct Named {
    /// Threads that have come this time.
    pub came: u32,
    /// How often it was complete.
    time: u32,
    /// What those that have come this time let know of.
    gathers: Option<Rc<Knowledge>>,
    /// What those let know of that came when it was complete last.
    gathered: Option<Rc<Knowledge>>,
}

impl Run<'_, '_> {
    /// Comes to a named barrier; which, and at which time of it.
    pub(super) fn come(&mut self, plain: &Plain) -> (usize, u32) {
        let Attr::Barrier { id, threads } = plain.attr else {
            unreachable!("the kernel is verified: a named barrier has a number")
        };
        let known = self.thread.clock.release();
        let named = &mut self.hall.rooms[self.rank].named[usize::from(id)];
        match &mut named.gathers {
            Some(all) => Rc::make_mut(all).join(&known),
            None => named.gathers = Some(Rc::new(known)),
        }
        let time = named.time;
        named.came += 1;
        if named.came == u32::from(threads) {
            named.gathered = named.gathers.take();
            (named.came, named.time) = (0, time + 1);
        }
        (usize::from(id), time)
    }
}

impl Block {
    /// Lets those go on whose named barrier is complete.
    pub(super) fn pass_named(&mut self, hall: &Hall) {
        for thread in &mut self.threads {
            let Some((id, time)) = thread.awaits else { continue };
            let named = &hall.rooms[self.rank].named[id];
            if named.time == time {
                continue;
            }
            if let Some(known) = &named.gathered {
                thread.clock.acquire(known);
            }
            thread.awaits = None;
            thread.state = State::Ready;
            thread.pc += 1;
            self.ready.push(thread.clock.who.thread);
        }
    }
}

impl Room {
    /// A thread waits at a named barrier, and nobody is left who could come there.
    pub(super) fn incomplete(&self, world: &World<'_>, waiting: &Thread) -> Option<Report> {
        let Action::Plain(Plain { attr: Attr::Barrier { id, threads }, .. }) =
            &world.program.steps[waiting.pc as usize].action
        else {
            return None;
        };
        let came = self.named[usize::from(*id)].came;
        Some(Report {
            kind: FindingKind::DivergentBarrier,
            loc: world.program.loc(waiting.pc),
            who: waiting.clock.who,
            what: format!(
                "waits at barrier {id} for {threads} threads, of which {came} have come; the others \
                 have ended or wait elsewhere"
            ),
            other: None,
        })
    }
}
