//! Who waits for whom, when no thread of a cluster can go on.
//!
//! Threads that wait at one place for one thing are one wait. A wait depends on those who could still
//! end it: from whose place the program reaches an instruction that comes to the barrier. The waits
//! are told in that order, so that a cycle reads as one.

use std::collections::HashSet;

use super::block::Block;
use super::clock::Who;
use super::cluster::Cluster;
use super::finding::FindingKind;
use super::program::{Action, Plain, Program, Reg};
use super::thread::{Parked, State, Thread};
use super::wgmma::is_of_warpgroup;
use super::world::{Report, World};
use crate::attr::Attr;
use crate::loc::Loc;
use crate::op::Opcode;
use crate::types::{Space, Type};

/// What threads wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Awaited {
    Mbarrier {
        at: usize,
        parity: u32,
    },
    Cluster,
    /// A warp of the peer that does the same.
    Peer(Opcode),
    Named(usize),
    /// The other threads of the block, warpgroup or warp.
    Others(Opcode),
}

/// Threads of one block that wait at one step for one thing.
#[derive(Debug)]
struct Wait {
    rank: usize,
    pc: u32,
    on: Awaited,
    threads: Vec<u16>,
}

impl Cluster {
    /// No thread can go on, and nothing is on its way: reports why, if threads are left.
    pub(super) fn explain(&self, world: &mut World<'_>) {
        let waits = self.waits(world);
        if waits.is_empty() || self.hall.failed {
            return;
        }
        world.stopped = true;
        if waits.iter().all(|wait| matches!(wait.on, Awaited::Named(_) | Awaited::Others(_))) {
            let stands = |t: &&Thread| t.awaits.is_some();
            let found = self.blocks.iter().find_map(|b| Some((b, b.threads.iter().find(stands)?)));
            let report =
                found.and_then(|(b, waiting)| self.hall.rooms[b.rank].incomplete(world, waiting));
            return report.into_iter().for_each(|report| world.report(report));
        }
        let lines = Lines::new(world.program);
        let helpers: Vec<Vec<usize>> =
            waits.iter().map(|wait| self.helpers(world, &lines, &waits, wait)).collect();
        let told = in_order(&waits, &helpers);
        let tell = |&i: &usize| {
            let wait = &waits[i];
            let what = self.tell(world, &lines, wait, helpers[i].iter().map(|&j| &waits[j]));
            (self.who(wait), world.program.loc(wait.pc), what)
        };
        let mut told = told.iter().map(tell).collect::<Vec<_>>().into_iter();
        let Some((who, loc, what)) = told.next() else { return };
        let report = Report { kind: FindingKind::Deadlock, loc, who, what, other: None };
        world.report_with(report, told.collect());
    }

    fn who(&self, wait: &Wait) -> Who {
        Who { block: self.hall.rooms[wait.rank].number, thread: wait.threads[0] }
    }

    fn waits(&self, world: &World<'_>) -> Vec<Wait> {
        let mut waits: Vec<Wait> = Vec::new();
        for block in &self.blocks {
            for thread in &block.threads {
                let on = match (thread.state, thread.parked) {
                    (State::Parked, Some(Parked::Mbarrier { at, parity })) => {
                        Awaited::Mbarrier { at, parity }
                    }
                    (State::Parked, Some(Parked::Pair(_))) => {
                        let Action::Plain(plain) = &world.program.steps[thread.pc as usize].action
                        else {
                            continue;
                        };
                        Awaited::Peer(plain.op)
                    }
                    (State::Parked, _) => Awaited::Cluster,
                    (State::Waiting, _) => match (thread.awaits, Block::waits_at(world, thread)) {
                        (Some((id, _)), _) => Awaited::Named(id),
                        (None, Some(op)) => Awaited::Others(op),
                        (None, None) => continue,
                    },
                    _ => continue,
                };
                let (rank, pc) = (block.rank, thread.pc);
                let same = |w: &&mut Wait| (w.rank, w.pc, w.on) == (rank, pc, on);
                let number = thread.clock.who.thread;
                match waits.iter_mut().find(same) {
                    Some(wait) => wait.threads.push(number),
                    None => waits.push(Wait { rank, pc, on, threads: vec![number] }),
                }
            }
        }
        waits
    }

    /// The waits whose threads could end another.
    fn helpers(&self, world: &World<'_>, lines: &Lines, waits: &[Wait], wait: &Wait) -> Vec<usize> {
        let could = |other: &Wait| match wait.on {
            Awaited::Others(op) => other.pc != wait.pc && self.is_missed(world, op, wait, other),
            _ => {
                let reached = lines.reached(world.program, other.pc);
                let ends = |pc: &u32| self.ends(world, lines, wait, other.rank, *pc);
                reached.iter().any(ends) && !self.has_come(wait, other)
            }
        };
        (0..waits.len()).filter(|&i| !std::ptr::eq(&waits[i], wait) && could(&waits[i])).collect()
    }

    /// Whether an operation that needs others needs some of these.
    fn is_missed(&self, world: &World<'_>, op: Opcode, wait: &Wait, other: &Wait) -> bool {
        let size = match op {
            Opcode::Barrier => u16::MAX,
            op if is_of_warpgroup(op) => crate::wgmma::THREADS as u16,
            _ => world.launch.warp_size as u16,
        };
        let groups: HashSet<u16> = wait.threads.iter().map(|t| t / size).collect();
        wait.rank == other.rank && other.threads.iter().any(|t| groups.contains(&(t / size)))
    }

    /// Whether they did already what they could do.
    fn has_come(&self, wait: &Wait, other: &Wait) -> bool {
        wait.on == Awaited::Cluster && self.hall.gathering.has_come(self.who(other))
    }

    /// Whether a step, executed by a thread of a block, helps to end a wait.
    fn ends(&self, world: &World<'_>, lines: &Lines, wait: &Wait, rank: usize, pc: u32) -> bool {
        let Action::Plain(plain) = &world.program.steps[pc as usize].action else { return false };
        match wait.on {
            Awaited::Mbarrier { at, .. } => {
                let there = self.array_at(world, wait.rank, at);
                let comes = arrival(plain).and_then(|reg| lines.array(reg));
                comes.is_some() && comes == there && (rank == wait.rank || reaches_out(plain))
            }
            Awaited::Cluster => plain.op == Opcode::ClusterArrive,
            Awaited::Peer(op) => plain.op == op && rank == wait.rank ^ 1,
            Awaited::Named(id) => {
                let named =
                    matches!(plain.attr, Attr::Barrier { id: n, .. } if usize::from(n) == id);
                named && rank == wait.rank
            }
            Awaited::Others(_) => false,
        }
    }

    /// The shared array that a barrier lies in.
    fn array_at(&self, world: &World<'_>, rank: usize, at: usize) -> Option<u32> {
        let (starts, _) = self.hall.rooms[rank].shared_layout();
        let decls = (0..).zip(world.program.kernel().shared.iter().zip(starts));
        let inside = |&(_, (decl, &start)): &(u32, (&crate::kernel::SharedDecl, &u32))| {
            let len = decl.len.map_or(u32::MAX, |len| len * decl.elem.size());
            (at as u32).checked_sub(start).is_some_and(|offset| offset < len)
        };
        decls.into_iter().find(inside).map(|(id, _)| id)
    }

    /// A wait in words.
    fn tell<'w>(
        &self,
        world: &World<'_>,
        lines: &Lines,
        wait: &Wait,
        helpers: impl Iterator<Item = &'w Wait>,
    ) -> String {
        let (threads, block) = (ranges(&wait.threads), self.hall.rooms[wait.rank].number);
        let verb = if wait.threads.len() == 1 { "waits" } else { "wait" };
        let mut text = format!("{threads} of block {block} {verb} ");
        text += &match wait.on {
            Awaited::Mbarrier { at, parity } => {
                self.hall.rooms[wait.rank].tell_phase(world, at, parity)
            }
            Awaited::Cluster => {
                let missing = self.hall.gathering.missing();
                format!("at the cluster's barrier, where {missing} threads are missing")
            }
            Awaited::Peer(op) => format!("at `{}` for a warp of the pair's other block", op.name()),
            Awaited::Named(id) => {
                let came = self.hall.rooms[wait.rank].named[id].came;
                format!("at barrier {id}, where only {came} threads have come")
            }
            Awaited::Others(op) => {
                format!("at `{}` for those that come there with them", op.name())
            }
        };
        let steps = 0..world.program.steps.len() as u32;
        let there =
            |pc: &u32| (0..self.blocks.len()).any(|r| self.ends(world, lines, wait, r, *pc));
        let locs: Vec<Loc> = steps.filter(there).map(|pc| world.program.loc(pc)).collect();
        let mut places: Vec<String> =
            locs.iter().map(|&loc| world.program.kernel().sources.display(loc)).collect();
        places.dedup();
        if !places.is_empty() {
            text += &format!("; threads come there at {}", places.join(", "));
        }
        let helpers: Vec<String> = helpers
            .map(|h| format!("{} of block {}", ranges(&h.threads), self.hall.rooms[h.rank].number))
            .collect();
        match helpers.as_slice() {
            [] => text + "; nobody is left who could",
            some => text + &format!("; it is for {} to come", some.join(" or ")),
        }
    }
}

/// The place in memory that an instruction comes to, if it comes to a barrier.
fn arrival(plain: &Plain) -> Option<Reg> {
    let at = match plain.op {
        Opcode::MbarrierArrive
        | Opcode::MbarrierExpect
        | Opcode::CpAsyncArrive
        | Opcode::Tcgen05Commit => 0,
        Opcode::TmaLoad => 2,
        Opcode::BulkLoad => 3,
        _ => return None,
    };
    plain.operands.get(at).copied()
}

/// Whether an instruction comes to barriers of other blocks.
fn reaches_out(plain: &Plain) -> bool {
    let cluster = |reg: &Reg| matches!(reg.ty, Type::Ptr(Space::Cluster, _));
    let multicast = matches!(
        plain.attr,
        Attr::Bulk { multicast: true, .. } | Attr::Commit { multicast: true, .. }
    );
    multicast || plain.operands.iter().any(cluster)
}

/// Threads as ranges.
fn ranges(threads: &[u16]) -> String {
    let mut parts: Vec<(u16, u16)> = Vec::new();
    for &thread in threads {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == thread => *last = thread,
            _ => parts.push((thread, thread)),
        }
    }
    let show = |&(a, b): &(u16, u16)| if a == b { a.to_string() } else { format!("{a} to {b}") };
    let parts: Vec<String> = parts.iter().map(show).collect();
    let name = if threads.len() == 1 { "thread" } else { "threads" };
    format!("{name} {}", parts.join(", "))
}

/// The order in which waits are told: first one that nobody can end, if there is one, or else one at
/// a barrier; behind each the one that it depends on; then who depends on those.
fn in_order(waits: &[Wait], helpers: &[Vec<usize>]) -> Vec<usize> {
    let lost = helpers.iter().position(|all| all.is_empty());
    let at_barrier = || waits.iter().position(|wait| !matches!(wait.on, Awaited::Others(_)));
    let first = lost.or_else(at_barrier).unwrap_or(0);
    let mut told = Vec::new();
    let mut next = Some(first);
    while let Some(at) = next {
        told.push(at);
        let unsaid = |i: &usize| !told.contains(i);
        let dependent = |i: &usize| helpers[*i].iter().any(|j| told.contains(j));
        next = helpers[at].iter().copied().find(unsaid).or_else(|| {
            let rest = 0..helpers.len();
            rest.clone().filter(unsaid).find(dependent).or_else(|| rest.clone().find(unsaid))
        });
    }
    told
}

/// What is known of a program without running it.
struct Lines {
    /// The shared array that a pointer in a register points into.
    arrays: Vec<Option<u32>>,
}

impl Lines {
    fn new(program: &Program) -> Lines {
        let mut lines = Lines { arrays: vec![None; program.registers as usize] };
        while lines.learn(program) {}
        lines
    }

    fn array(&self, reg: Reg) -> Option<u32> {
        self.arrays[reg.index()]
    }

    /// Follows pointers one step further; whether anything was learnt.
    fn learn(&mut self, program: &Program) -> bool {
        let mut learnt = false;
        let mut set = |arrays: &mut Vec<Option<u32>>, to: usize, array: Option<u32>| {
            if arrays[to].is_none() && array.is_some() {
                arrays[to] = array;
                learnt = true;
            }
        };
        for step in &program.steps {
            match &step.action {
                Action::Move(moves) => {
                    for &(from, to) in moves {
                        let array = self.arrays[from as usize];
                        set(&mut self.arrays, to as usize, array);
                    }
                }
                Action::Plain(plain) => {
                    let array = match (plain.op, &plain.attr) {
                        (Opcode::SharedAddr, Attr::Shared(id)) => Some(id.0),
                        (Opcode::PtrAdd | Opcode::PtrCast | Opcode::MapShared, _) => {
                            self.arrays[plain.operands[0].index()]
                        }
                        (Opcode::Select, _) => self.arrays[plain.operands[1].index()],
                        (Opcode::VarLoad, Attr::Var { var, .. }) => {
                            self.arrays[program.slots[var.index()] as usize]
                        }
                        (Opcode::VarStore, Attr::Var { var, .. }) => {
                            let array = self.arrays[plain.operands[0].index()];
                            set(&mut self.arrays, program.slots[var.index()] as usize, array);
                            continue;
                        }
                        _ => continue,
                    };
                    set(&mut self.arrays, plain.results[0].index(), array);
                }
                _ => {}
            }
        }
        learnt
    }

    /// The steps that a thread behind a step may come to.
    fn reached(&self, program: &Program, pc: u32) -> Vec<u32> {
        let mut seen = HashSet::new();
        let mut open = vec![pc + 1];
        while let Some(at) = open.pop() {
            if at as usize >= program.steps.len() || !seen.insert(at) {
                continue;
            }
            match &program.steps[at as usize].action {
                Action::Jump(to) => open.push(*to),
                Action::Unless(_, to) | Action::UnlessBelow { exit: to, .. } => {
                    open.extend([*to, at + 1]);
                }
                Action::End => {}
                _ => open.push(at + 1),
            }
        }
        seen.into_iter().collect()
    }
}
