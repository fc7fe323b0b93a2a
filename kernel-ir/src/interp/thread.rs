//! What one thread does alone.

use super::access::Spaces;
use super::bulk::Stores;
use super::clock::{Clock, Knowledge, Who};
use super::copies::Copies;
use super::finding::{Agent, FindingKind};
use super::hall::Hall;
use super::memory::Bytes;
use super::pending::Pending;
use super::program::{Action, Plain, Reg};
use super::scalar;
use super::tensor::Doings;
use super::world::{Report, World};
use crate::attr::{Attr, Const, Dim, Scope};
use crate::loc::Loc;
use crate::op::{Effect, Opcode};
use crate::types::{Scalar, Type};
use std::rc::Rc;

/// What a thread is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Ready,
    /// Stands at the barrier or collective operation that is its step.
    Waiting,
    /// Waits for something that comes without its warp ([`Parked`]).
    Parked,
    /// Returned at its step.
    Ended,
    /// A check failed, or an access that could not be done.
    Failed,
}

/// Steps that a test for a phase which has not ended counts as: an average turn.
const SPIN: u64 = 1 << 12;

/// Steps that an atomic load counts as which finds once more what it found: few, as what it asks for may be far off. The
/// products of one tile of another block are tens of thousands of turns.
const ASK: u64 = 1 << 6;

/// What a parked thread waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Parked {
    /// The phase of this parity of the barrier at this place of its block's shared memory.
    Mbarrier { at: usize, parity: u32 },
    /// The cluster's barrier, at this time of it.
    Cluster(u32),
    /// A warp of the peer, at this time of their pair.
    Pair(u32),
}

/// A thread.
pub(super) struct Thread {
    pub state: State,
    pub pc: u32,
    /// Iterations of the loops it is in.
    pub iterations: Vec<u32>,
    pub regs: Vec<u64>,
    pub clock: Clock,
    pub agent: Agent,
    pub locals: Vec<Bytes>,
    pub copies: Copies,
    /// What it released by its last fence, and for whom.
    pub fenced: Option<(Scope, Rc<Knowledge>)>,
    /// What relaxed atomics saw, which the next fence acquires.
    pub seen: Option<Rc<Knowledge>>,
    pub fuel: u64,
    /// The named barrier it stands at, and which time.
    pub awaits: Option<(usize, u32)>,
    /// The phase that it has tested for, and that had not ended.
    pub spins: Option<(usize, u32)>,
    /// The atomic load that it did last, and what that found.
    pub asked: Option<(u32, u64)>,
    /// What it waits for where it is parked.
    pub parked: Option<Parked>,
    /// The time of the cluster's barrier that it came to, and has not waited for.
    pub gathered: Option<u32>,
    /// Its bulk copies to global memory.
    pub stores: Stores,
    /// What it does in tensor memory.
    pub tensor: Doings,
    pub pending: Pending,
    scratch: Vec<u64>,
}

impl Thread {
    pub(super) fn new(world: &World<'_>, who: Who) -> Thread {
        let program = world.program;
        let mut regs = vec![0; program.registers as usize];
        for (i, reg) in program.params.iter().enumerate() {
            regs[reg.index()] = match (&world.globals[i], reg.ty) {
                (Some(_), _) => Spaces::global(i),
                (None, Type::TensorMap(..)) => i as u64,
                (None, _) => world.argument(i),
            };
        }
        let locals = program.kernel().locals.iter();
        let locals = locals.map(|l| Bytes::unwritten((l.len * l.elem.size()) as usize));
        Thread {
            state: State::Ready,
            pc: 0,
            iterations: Vec::new(),
            regs,
            clock: Clock::new(who, world.launch.warp_size),
            agent: world.agent(who),
            locals: locals.collect(),
            copies: Copies::default(),
            fenced: None,
            seen: None,
            fuel: world.launch.fuel,
            awaits: None,
            spins: None,
            asked: None,
            parked: None,
            gathered: None,
            stores: Stores::default(),
            tensor: Doings::default(),
            pending: Pending::default(),
            scratch: Vec::new(),
        }
    }

    /// Its place in the program.
    pub(super) fn place(&self) -> (u32, &[u32]) {
        (self.pc, &self.iterations)
    }

    pub(super) fn get(&self, reg: Reg) -> u64 {
        self.regs[reg.index()]
    }

    /// Stands still until something comes.
    pub(super) fn park(&mut self, parked: Parked) {
        self.state = State::Parked;
        self.parked = Some(parked);
    }

    fn moves(&mut self, moves: &[(u32, u32)]) {
        self.pending.moves(moves);
        if let [(from, to)] = moves {
            self.regs[*to as usize] = self.regs[*from as usize];
            return;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        scratch.extend(moves.iter().map(|&(from, _)| self.regs[from as usize]));
        for (&(_, to), &bits) in moves.iter().zip(&scratch) {
            self.regs[to as usize] = bits;
        }
        self.scratch = scratch;
    }
}

/// A thread with what it can touch.
pub(super) struct Run<'r, 'm> {
    pub world: &'r mut World<'m>,
    pub hall: &'r mut Hall,
    /// The number of the thread's block in its cluster.
    pub rank: usize,
    pub thread: &'r mut Thread,
}

impl Run<'_, '_> {
    /// Runs the thread until it waits, ends, or has done so many steps.
    pub(super) fn steps(&mut self, mut most: u32) {
        let program = self.world.program;
        while most > 0 && self.thread.state == State::Ready && !self.world.stopped {
            most -= 1;
            if self.thread.fuel == 0 {
                let steps = self.world.launch.fuel;
                let mut what = format!("has not ended after {steps} steps");
                if let Some((at, parity)) = self.thread.spins {
                    let room = &self.hall.rooms[self.rank];
                    what += &format!("; it asks {}", room.tell_phase(self.world, at, parity));
                }
                self.report(FindingKind::Endless, program.loc(self.thread.pc), what);
                self.thread.state = State::Failed;
                return;
            }
            self.thread.fuel -= 1;
            let step = &program.steps[self.thread.pc as usize];
            match &step.action {
                Action::Plain(plain) => {
                    if self.thread.pending.any() {
                        self.check_pending(plain, step.loc);
                    }
                    if plain.waits {
                        self.thread.state = State::Waiting;
                        if plain.op == Opcode::BarrierSync {
                            self.thread.awaits = Some(self.come(plain));
                        }
                        return;
                    }
                    self.plain(plain, step.loc);
                    if self.thread.state == State::Ready {
                        self.thread.pc += 1;
                    }
                    if plain.op == Opcode::MbarrierTest && self.thread.spins.is_some() {
                        // In vain, as nobody else moves: the rest of the turn would be spent so.
                        self.thread.fuel = self.thread.fuel.saturating_sub(SPIN);
                        return;
                    }
                    if plain.op == Opcode::AtomicLoad && self.asks_again(plain) {
                        self.thread.fuel = self.thread.fuel.saturating_sub(ASK);
                        return;
                    }
                }
                other => self.control(other, step.loc),
            }
        }
    }

    /// Whether an atomic load has found what it did the last time, with no other in between: in vain, as nobody else
    /// moves.
    fn asks_again(&mut self, plain: &Plain) -> bool {
        let found = Some((self.thread.pc, self.thread.get(plain.results[0])));
        std::mem::replace(&mut self.thread.asked, found) == found
    }

    fn control(&mut self, action: &Action, loc: Loc) {
        if let Action::Move(moves) = action
            && self.thread.pending.any()
        {
            self.check_moves(moves, loc);
        }
        let thread = &mut *self.thread;
        thread.pc += 1;
        match *action {
            Action::Move(ref moves) => thread.moves(moves),
            Action::Jump(to) => thread.pc = to,
            Action::Unless(condition, to) => {
                if thread.regs[condition as usize] == 0 {
                    thread.pc = to;
                }
            }
            Action::UnlessBelow { counter, bound, exit } => {
                let value = |reg: Reg| Const::new(reg.ty.elem(), thread.get(reg)).as_int();
                if value(counter) >= value(bound) {
                    thread.pc = exit;
                }
            }
            Action::Enter(depth) => {
                thread.iterations.truncate(depth as usize);
                thread.iterations.push(0);
            }
            Action::Again(depth, counter) => {
                thread.iterations.truncate(depth as usize + 1);
                thread.iterations[depth as usize] += 1;
                if let Some(reg) = counter {
                    let next = Const::new(reg.ty.elem(), thread.get(reg)).as_int() + 1;
                    thread.regs[reg.index()] = Const::int(reg.ty.elem(), next).bits;
                }
            }
            Action::End => {
                thread.pc -= 1;
                thread.state = State::Ended;
                self.abandon_copies();
                self.abandon_stores();
                self.abandon_products();
            }
            Action::Plain(_) => unreachable!("has control flow"),
        }
    }

    /// An instruction without control flow that a thread does alone.
    fn plain(&mut self, plain: &Plain, loc: Loc) {
        match plain.effect {
            Effect::Var => self.slot(plain),
            Effect::Check => self.check(plain),
            Effect::Read | Effect::Write | Effect::Sync => self.memory(plain, loc),
            _ => self.pure(plain, loc),
        }
    }

    fn slot(&mut self, plain: &Plain) {
        let Attr::Var { var, stride, count } = plain.attr else {
            unreachable!("the kernel is verified: a slot")
        };
        let indexed = matches!(plain.op, Opcode::VarLoadAt | Opcode::VarStoreAt);
        let index = if indexed { self.thread.get(plain.operands[0]) } else { 0 };
        // The index was checked: where the check failed, the thread has ended.
        let index = index.min(u64::from(count) - 1) as u32;
        let slot = self.world.program.slots[(var.0 + index * stride) as usize] as usize;
        let (from, to, len) = match (plain.results.first(), plain.operands.last()) {
            (Some(to), _) => (slot, to.index(), to.len()),
            (None, Some(from)) => (from.index(), slot, from.len()),
            _ => unreachable!("the kernel is verified: a slot is read or written"),
        };
        self.thread.regs.copy_within(from..from + len, to);
        self.thread.pending.copy(from, to, len);
    }

    fn check(&mut self, plain: &Plain) {
        if self.thread.get(plain.operands[0]) != 0 {
            return;
        }
        self.thread.state = State::Failed;
        let number = |i: usize| plain.operands.get(1 + i).map_or(0, |&r| self.thread.get(r));
        let values = std::array::from_fn(number);
        let agent = self.thread.agent;
        let record = &mut self.world.outcome.record;
        if record.state == 0 {
            record.state = 1;
            record.check = self.world.program.checks[&self.thread.pc];
            record.values = values;
            (record.block, record.thread) = (agent.block, agent.thread);
        }
        self.abandon_copies();
    }

    fn pure(&mut self, plain: &Plain, loc: Loc) {
        let result = plain.results[0];
        let at = result.index();
        let regs = &mut self.thread.regs;
        match (plain.op, &plain.attr) {
            (Opcode::Const, Attr::Const(c)) => regs[at] = c.bits,
            (Opcode::SharedAddr, Attr::Shared(id)) => {
                (regs[at], regs[at + 1]) = (Spaces::shared(id.index()), 0);
            }
            (Opcode::LocalAddr, Attr::Local(id)) => {
                (regs[at], regs[at + 1]) = (Spaces::local(id.index()), 0);
            }
            (Opcode::PtrCast, _) => {
                let from = plain.operands[0].index();
                regs.copy_within(from..from + 2, at);
            }
            (Opcode::PtrAdd, _) => {
                let [base, by] = [plain.operands[0], plain.operands[1]];
                let by = Const::new(by.ty.elem(), regs[by.index()]).as_int() as u64;
                let bytes = by.wrapping_mul(base.ty.elem().size().into());
                regs[at] = regs[base.index()];
                regs[at + 1] = regs[base.index() + 1].wrapping_add(bytes);
            }
            (Opcode::VecMake, _) => {
                for (i, from) in plain.operands.iter().enumerate() {
                    regs[at + i] = regs[from.index()];
                }
            }
            (Opcode::VecExtract, &Attr::Lane(lane)) => {
                regs[at] = regs[plain.operands[0].index() + usize::from(lane)];
            }
            (Opcode::VecInsert, &Attr::Lane(lane)) => {
                let from = plain.operands[0];
                regs.copy_within(from.index()..from.index() + from.len(), at);
                regs[at + usize::from(lane)] = regs[plain.operands[1].index()];
            }
            (Opcode::Select, _) => {
                let first = regs[plain.operands[0].index()] != 0;
                let from = plain.operands[if first { 1 } else { 2 }];
                regs.copy_within(from.index()..from.index() + from.len(), at);
            }
            (Opcode::Bitcast, _) => bitcast(regs, plain.operands[0], result),
            (Opcode::ThreadIdx | Opcode::BlockIdx | Opcode::BlockDim | Opcode::GridDim, _)
            | (Opcode::LaneId | Opcode::WarpId | Opcode::WarpgroupId | Opcode::ClusterRank, _) => {
                self.thread.regs[at] = self.id(plain).into();
            }
            (Opcode::MapShared, _) => {
                let [from, rank] = [plain.operands[0], plain.operands[1]];
                regs[at] = Spaces::cluster(regs[from.index()], regs[rank.index()]);
                regs[at + 1] = regs[from.index() + 1];
            }
            (Opcode::Eq | Opcode::Ne, _) if plain.operands[0].ty.is_ptr() => {
                let [a, b] = [0, 1].map(|i| self.address_of(plain.operands[i]));
                self.thread.regs[at] = u64::from((a == b) == (plain.op == Opcode::Eq));
            }
            _ => self.arithmetic(plain, loc),
        }
    }

    fn id(&self, plain: &Plain) -> u32 {
        let agent = self.thread.agent;
        let axis = match plain.attr {
            Attr::Dim(Dim::Y) => 1,
            Attr::Dim(Dim::Z) => 2,
            _ => 0,
        };
        match plain.op {
            Opcode::ThreadIdx => agent.thread[axis],
            Opcode::BlockIdx => agent.block[axis],
            Opcode::BlockDim => self.world.launch.block[axis],
            Opcode::GridDim => self.world.launch.grid[axis],
            Opcode::LaneId => self.thread.clock.lane.into(),
            Opcode::WarpgroupId => u32::from(self.thread.clock.who.thread) / crate::wgmma::THREADS,
            Opcode::ClusterRank => self.rank as u32,
            _ => self.thread.clock.warp.into(),
        }
    }

    /// Scalars, and vectors lane by lane.
    fn arithmetic(&mut self, plain: &Plain, loc: Loc) {
        let result = plain.results[0];
        let ty = result.ty.elem();
        for lane in 0..result.len() {
            let mut operands = [Const::bool(false); 3];
            for (operand, reg) in operands.iter_mut().zip(&plain.operands) {
                *operand = Const { ty: reg.ty.elem(), bits: self.thread.regs[reg.index() + lane] };
            }
            let operands = &operands[..plain.operands.len()];
            let bits = match scalar::compute(plain.op, operands, ty) {
                Some(bits) => bits,
                None => {
                    let what = format!(
                        "`{}` of {} and {} has no result",
                        plain.op.name(),
                        operands[0].as_int(),
                        operands[1].as_int()
                    );
                    self.report(FindingKind::Division, loc, what);
                    0
                }
            };
            self.thread.regs[result.index() + lane] = bits;
        }
    }

    /// Reports something that this thread did.
    pub(super) fn report(&mut self, kind: FindingKind, loc: Loc, what: String) {
        let who = self.thread.clock.who;
        self.world.report(Report { kind, loc, who, what, other: None });
    }
}

/// The same bits, cut into other lanes.
fn bitcast(regs: &mut [u64], from: Reg, to: Reg) {
    let bits = |ty: Type| match ty.elem() {
        // In memory and in vectors a bool is a byte of its own.
        Scalar::Bool => 8,
        other => other.bits(),
    };
    let (width, wanted) = (bits(from.ty), bits(to.ty));
    let bytes: Vec<u8> = (0..from.len())
        .flat_map(|i| regs[from.index() + i].to_le_bytes()[..(width / 8) as usize].to_vec())
        .collect();
    for (i, lane) in bytes.chunks((wanted / 8) as usize).take(to.len()).enumerate() {
        let mut word = [0; 8];
        word[..lane.len()].copy_from_slice(lane);
        regs[to.index() + i] = u64::from_le_bytes(word);
    }
}
