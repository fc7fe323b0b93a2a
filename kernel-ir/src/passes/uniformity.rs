//! Which values are the same for whom.
//!
//! A value has a [`Level`]: the widest group of threads that surely agree on it, among those that
//! execute its definition, at the same iteration of the loops around it. Threads can disagree for
//! two reasons: the operands differ, or the value is merged where they came by different ways (an
//! `if` on a varying condition, a loop that they leave at different iterations). Divergence of
//! control is followed likewise: code in an `if` is reached by those who agree on its condition;
//! behind a `break` under a varying condition, up to the end of what it leaves, only a part of the
//! threads is left. In structured SSA all merges are explicit (results and carried values), so the
//! analysis needs no control-flow graph: it walks the kernel until nothing changes, and levels
//! only rise.
//!
//! Each value and each piece of control remembers who raised it, so that errors can tell why.

use super::memory::read_only;
use crate::attr::{Attr, Dim, ReduceOp};
use crate::kernel::{Inst, Kernel, Label, Region, Value};
use crate::loc::Loc;
use crate::op::{Effect, Opcode};
use crate::target::Target;

/// The widest group of threads that agree on something.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
pub enum Level {
    /// All threads of the launch.
    Grid,
    /// The threads of a block.
    Block,
    /// The threads of four warps, of which the first one's index is a multiple of four.
    Warpgroup,
    /// The threads of a warp.
    Warp,
    /// None.
    Varying,
}

/// A level, with a value that raised it so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raised {
    pub(super) level: Level,
    pub(super) by: Option<Value>,
}

impl Raised {
    const GRID: Raised = Raised { level: Level::Grid, by: None };

    /// The higher one.
    #[must_use]
    fn join(self, other: Raised) -> Raised {
        if other.level > self.level { other } else { self }
    }
}

/// Why a value has its level: the instruction that defines it, and the value whose level it takes,
/// if it is not a source itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cause {
    pub(super) op: Opcode,
    pub(super) loc: Loc,
    pub(super) from: Option<Value>,
}

/// A barrier or collective operation, with who reaches it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site {
    pub(super) op: Opcode,
    pub(super) loc: Loc,
    /// The group that reaches it together.
    pub(super) control: Raised,
    /// The group of which all or none have returned before.
    pub(super) returned: Raised,
}

/// What is known of the operation a label names.
#[derive(Clone, Copy)]
struct Labelled {
    /// Who agrees on executing a loop's body once more.
    own: Raised,
    /// Who agrees on where and when it is left.
    exit: Raised,
    /// As [`Site::returned`], at the end of a loop's body.
    returned: Raised,
}

/// The result of the analysis.
#[derive(Clone, Debug)]
pub struct Uniformity {
    levels: Vec<Raised>,
    exits: Vec<Level>,
    pub(super) causes: Vec<Option<Cause>>,
    pub(super) sites: Vec<Site>,
}

impl Uniformity {
    /// Analyses a kernel without variable slots. If `lockstep`, the threads of a warp read memory
    /// at the same instant, so that all who read one address get one value; else this is only sure
    /// of memory that nobody writes.
    pub fn analyse(kernel: &Kernel, target: &Target, lockstep: bool) -> Uniformity {
        let values = kernel.types.len();
        let labelled = Labelled { own: Raised::GRID, exit: Raised::GRID, returned: Raised::GRID };
        let mut walk = Walk {
            kernel,
            warp: target.warp_size(),
            lockstep,
            read_only: read_only(kernel),
            order: definition_order(kernel),
            levels: vec![Raised::GRID; values],
            causes: vec![None; values],
            labels: vec![labelled; kernel.labels as usize],
            frames: Vec::new(),
            exits: vec![Vec::new(); kernel.labels as usize],
            continues: vec![Vec::new(); kernel.labels as usize],
            returned: Raised::GRID,
            sites: Vec::new(),
            changed: true,
        };
        while std::mem::take(&mut walk.changed) {
            walk.sites.clear();
            walk.returned = Raised::GRID;
            walk.region(&kernel.body, Frame::default());
        }
        Uniformity {
            levels: walk.levels,
            exits: walk.labels.iter().map(|l| l.exit.level).collect(),
            causes: walk.causes,
            sites: walk.sites,
        }
    }

    /// Who agrees on a value.
    pub fn level(&self, value: Value) -> Level {
        self.levels[value.index()].level
    }

    /// Whether the threads of a warp that execute a value's definition agree on it.
    pub fn is_warp_uniform(&self, value: Value) -> bool {
        self.level(value) <= Level::Warp
    }

    /// Who agrees on where, and for a loop at which iteration, the labelled operation is left.
    pub fn exit(&self, label: Label) -> Level {
        self.exits[label.index()]
    }
}

/// By value, a number that grows in program order.
fn definition_order(kernel: &Kernel) -> Vec<usize> {
    let mut order = vec![0; kernel.types.len()];
    let mut next = 0;
    kernel.body.walk(&mut |inst| {
        next += 1;
        let args = inst.regions.iter().flat_map(|r| &r.args);
        args.chain(&inst.results).for_each(|v| order[v.index()] = next);
    });
    order
}

/// An open region.
#[derive(Clone, Copy)]
struct Frame {
    label: Option<Label>,
    is_loop: bool,
    /// Who agrees on entering it.
    own: Raised,
    /// Who of those is still there, after jumps out of it.
    rest: Raised,
}

impl Default for Frame {
    fn default() -> Frame {
        Frame { label: None, is_loop: false, own: Raised::GRID, rest: Raised::GRID }
    }
}

/// The values a jump or yield hands on, and who agrees on taking it.
type Exit = (Vec<Value>, Raised);

struct Walk<'k> {
    kernel: &'k Kernel,
    warp: u32,
    lockstep: bool,
    read_only: Vec<bool>,
    order: Vec<usize>,
    levels: Vec<Raised>,
    causes: Vec<Option<Cause>>,
    labels: Vec<Labelled>,
    frames: Vec<Frame>,
    /// By label, the breaks (and of a block, the yield) seen in this walk.
    exits: Vec<Vec<Exit>>,
    /// By label, the continues seen in this walk.
    continues: Vec<Vec<Exit>>,
    returned: Raised,
    sites: Vec<Site>,
    changed: bool,
}

impl Walk<'_> {
    fn level(&self, value: Value) -> Raised {
        Raised { level: self.levels[value.index()].level, by: Some(value) }
    }

    fn raise(&mut self, value: Value, to: Raised, inst: &Inst) {
        if to.level > self.levels[value.index()].level {
            self.levels[value.index()] = to;
            self.causes[value.index()] = Some(Cause { op: inst.op, loc: inst.loc, from: to.by });
            self.changed = true;
        }
    }

    /// Who has come to this point together.
    fn control(&self) -> Raised {
        self.frames.iter().fold(Raised::GRID, |r, f| r.join(f.own).join(f.rest))
    }

    /// Walks a region; returns what its `yield` hands on, if it ends in one.
    fn region(&mut self, region: &Region, frame: Frame) -> Option<Exit> {
        self.frames.push(frame);
        let mut yielded = None;
        for inst in &region.insts {
            match (inst.op, &inst.attr) {
                (Opcode::Yield, _) => {
                    let rest = self.frames[self.frames.len() - 1].rest;
                    yielded = Some((inst.operands.clone(), rest));
                }
                (Opcode::Break | Opcode::Continue, &Attr::Label(label)) => self.jump(inst, label),
                (Opcode::Return, _) => self.returned = self.returned.join(self.control()),
                (Opcode::If, _) => self.branch(inst),
                (Opcode::Block, &Attr::Label(label)) => self.block(inst, label),
                (Opcode::For | Opcode::Loop, &Attr::Label(label)) => self.repeat(inst, label),
                _ => self.plain(inst),
            }
        }
        self.frames.pop();
        yielded
    }

    fn plain(&mut self, inst: &Inst) {
        let cooperates = inst.op.effect() == Effect::Collective
            || matches!(
                inst.op,
                Opcode::Barrier
                    | Opcode::BarrierSync
                    | Opcode::BarrierArrive
                    | Opcode::WarpSync
                    | Opcode::ClusterArrive
                    | Opcode::ClusterWait
                    | Opcode::SetMaxRegisters
                    | Opcode::Stmatrix
                    | Opcode::WgmmaFence
                    | Opcode::Wgmma
                    | Opcode::WgmmaCommit
                    | Opcode::WgmmaWait
                    | Opcode::Tcgen05Alloc
                    | Opcode::Tcgen05Free
                    | Opcode::Tcgen05Yield
                    | Opcode::Tcgen05Load
                    | Opcode::Tcgen05Store
                    | Opcode::Tcgen05WaitLoad
                    | Opcode::Tcgen05WaitStore
            );
        if cooperates {
            let (control, returned) = (self.control(), self.returned);
            self.sites.push(Site { op: inst.op, loc: inst.loc, control, returned });
        }
        let level = self.of_inst(inst);
        for &result in &inst.results {
            self.raise(result, level, inst);
        }
    }

    fn of_inst(&self, inst: &Inst) -> Raised {
        let join =
            |values: &[Value]| values.iter().fold(Raised::GRID, |r, &v| r.join(self.level(v)));
        let source = |level| Raised { level, by: None };
        let operands = join(&inst.operands);
        let agreed = operands.level <= Level::Warp;
        match inst.op {
            Opcode::ThreadIdx => source(self.thread_idx(&inst.attr)),
            Opcode::BlockIdx | Opcode::SharedAddr | Opcode::ClusterRank => source(Level::Block),
            Opcode::WarpgroupId => source(Level::Warpgroup),
            Opcode::LaneId => source(Level::Varying),
            Opcode::WarpId => source(Level::Warp),
            // The memory behind it is another for each thread.
            Opcode::LocalAddr => source(Level::Varying),
            Opcode::Load => self.load(inst, operands),
            Opcode::AtomicRmw
            | Opcode::AtomicCas
            | Opcode::AtomicLoad
            | Opcode::MatchAny
            | Opcode::Elect
            | Opcode::MbarrierTest
            | Opcode::Mma
            | Opcode::Ldmatrix
            | Opcode::Wgmma
            | Opcode::WgmmaWait
            | Opcode::Tcgen05Load
            | Opcode::Tcgen05WaitLoad => source(Level::Varying),
            Opcode::ShuffleIdx | Opcode::ShuffleXor | Opcode::ShuffleUp | Opcode::ShuffleDown => {
                let value = self.level(inst.operands[0]);
                if value.level <= Level::Warp {
                    value
                } else if inst.op == Opcode::ShuffleIdx
                    && self.level(inst.operands[1]).level <= Level::Warp
                {
                    source(Level::Warp)
                } else {
                    source(Level::Varying)
                }
            }
            Opcode::Agreed if operands.level > Level::Block => source(Level::Block),
            Opcode::VoteAll | Opcode::VoteAny if agreed => operands,
            Opcode::WarpReduce if agreed && is_idempotent(&inst.attr) => operands,
            Opcode::VoteAll | Opcode::VoteAny | Opcode::Ballot | Opcode::WarpReduce => {
                source(Level::Warp)
            }
            _ => operands,
        }
    }

    /// Threads are numbered x fastest; warps are runs of numbers.
    fn thread_idx(&self, axis: &Attr) -> Level {
        let Some([x, y, z]) = self.kernel.block_dim else { return Level::Varying };
        // Extent of the axis, and threads from one index of it to the next.
        let (extent, run) = match axis {
            Attr::Dim(Dim::X) => (x, 1),
            Attr::Dim(Dim::Y) => (y, x),
            _ => (z, x * y),
        };
        match extent {
            1 => Level::Grid,
            _ if run % (4 * self.warp) == 0 => Level::Warpgroup,
            _ if run % self.warp == 0 => Level::Warp,
            _ => Level::Varying,
        }
    }

    fn load(&self, inst: &Inst, address: Raised) -> Raised {
        if self.read_only[inst.operands[0].index()] {
            address
        } else if self.lockstep && address.level <= Level::Warp {
            Raised { level: Level::Warp, by: None }
        } else {
            Raised { level: Level::Varying, by: None }
        }
    }

    fn branch(&mut self, inst: &Inst) {
        let condition = self.level(inst.operands[0]);
        let returned = self.returned;
        let mut ends = Vec::new();
        let mut returned_after = returned;
        for region in &inst.regions {
            self.returned = returned;
            let end = self.region(region, Frame { own: condition, ..Frame::default() });
            // Who has jumped away does not see the results.
            ends.extend(end.map(|(values, _)| (values, Raised::GRID)));
            returned_after = returned_after.join(self.returned);
        }
        self.returned = returned_after;
        self.merge(inst, &ends, condition);
    }

    /// Raises results merged from several ways, on which those agree who agree on `way`.
    fn merge(&mut self, inst: &Inst, exits: &[Exit], way: Raised) {
        for (k, &result) in inst.results.iter().enumerate() {
            let mut level = Raised::GRID;
            for (values, _) in exits {
                level = level.join(self.level(values[k]));
            }
            if exits.iter().any(|(values, _)| values[k] != exits[0].0[k]) {
                level = exits.iter().fold(level.join(way), |l, (_, taken)| l.join(*taken));
            }
            self.raise(result, level, inst);
        }
    }

    fn block(&mut self, inst: &Inst, label: Label) {
        let frame = Frame { label: Some(label), ..Frame::default() };
        let end = self.region(&inst.regions[0], frame);
        let mut exits = std::mem::take(&mut self.exits[label.index()]);
        exits.extend(end);
        let exit = exits.iter().fold(Raised::GRID, |r, (_, taken)| r.join(*taken));
        self.labels[label.index()].exit = self.labels[label.index()].exit.join(exit);
        self.merge(inst, &exits, Raised::GRID);
    }

    fn repeat(&mut self, inst: &Inst, label: Label) {
        let known = self.labels[label.index()];
        let is_for = inst.op == Opcode::For;
        let trips = match inst.operands[..] {
            [lo, hi, ..] if is_for => self.level(lo).join(self.level(hi)),
            _ => Raised::GRID,
        };
        let (args, init) = if is_for {
            let iv = inst.regions[0].args[0];
            // At one iteration the induction values are as far apart as the lower bounds.
            let lo = self.level(inst.operands[0]);
            self.raise(iv, lo, inst);
            (&inst.regions[0].args[1..], &inst.operands[2..])
        } else {
            (&inst.regions[0].args[..], &inst.operands[..])
        };
        self.returned = self.returned.join(known.returned);
        let own = known.own.join(trips);
        self.region(
            &inst.regions[0],
            Frame { label: Some(label), is_loop: true, own, ..Frame::default() },
        );
        let continues = std::mem::take(&mut self.continues[label.index()]);
        let exits = std::mem::take(&mut self.exits[label.index()]);
        for (k, (&arg, &init)) in args.iter().zip(init).enumerate() {
            let mut level = self.level(init);
            for (values, taken) in &continues {
                level = level.join(self.level(values[k]));
                if values[k] != continues[0].0[k] {
                    level = level.join(*taken).join(continues[0].1);
                }
            }
            self.raise(arg, level, inst);
        }
        let exit = exits.iter().fold(trips, |r, (_, taken)| r.join(*taken));
        self.results(inst, args, &exits, exit);
        self.note(label, exit);
    }

    /// The results of a loop: which iteration's value they are depends on when it is left.
    fn results(&mut self, inst: &Inst, args: &[Value], exits: &[Exit], exit: Raised) {
        for (k, &result) in inst.results.iter().enumerate() {
            let mut level = Raised::GRID;
            let mut sources: Vec<Value> = exits.iter().map(|(values, _)| values[k]).collect();
            if inst.op == Opcode::For {
                sources.push(args[k]);
            }
            for &value in &sources {
                level = level.join(self.level(value));
            }
            let inside = |v: &Value| self.order[v.index()] >= self.order[result.index()];
            if sources.iter().any(inside) || sources.iter().any(|&v| v != sources[0]) {
                level = level.join(exit);
            }
            self.raise(result, level, inst);
        }
    }

    /// Keeps what a walk found out about a loop for the next walk.
    fn note(&mut self, label: Label, exit: Raised) {
        let returned = self.returned;
        let known = &mut self.labels[label.index()];
        let before = (known.exit.level, known.returned.level);
        known.exit = known.exit.join(exit);
        known.returned = known.returned.join(returned);
        self.changed |= before != (known.exit.level, known.returned.level);
    }

    /// A `break` or `continue`: whoever does not take it is alone from here to the target's end.
    fn jump(&mut self, inst: &Inst, label: Label) {
        let target = self.frames.iter().rposition(|f| f.label == Some(label));
        let target = target.expect("the verifier ties jumps to enclosing labels");
        let last = self.frames.len() - 1;
        let mut taken = self.frames[last].rest;
        for at in (target..last).rev() {
            // Who takes the jump, seen from this frame.
            taken = taken.join(self.frames[at + 1].own);
            self.frames[at].rest = self.frames[at].rest.join(taken);
            let leaves = at > target || inst.op == Opcode::Break;
            if let (true, true, Some(l)) = (leaves, self.frames[at].is_loop, self.frames[at].label)
            {
                self.leave_loop(l, taken.join(self.frames[at].rest));
            }
            taken = taken.join(self.frames[at].rest);
        }
        if target == last && inst.op == Opcode::Break && self.frames[last].is_loop {
            self.leave_loop(label, taken);
        }
        let list = if inst.op == Opcode::Break { &mut self.exits } else { &mut self.continues };
        list[label.index()].push((inst.operands.clone(), taken));
    }

    /// Some threads leave a loop that others stay in.
    fn leave_loop(&mut self, label: Label, taken: Raised) {
        let own = &mut self.labels[label.index()].own;
        let joined = own.join(taken);
        self.changed |= joined.level != own.level;
        *own = joined;
    }
}

/// Whether reducing equal values gives that value, however many take part.
fn is_idempotent(attr: &Attr) -> bool {
    matches!(attr, Attr::Reduce(ReduceOp::Min | ReduceOp::Max | ReduceOp::And | ReduceOp::Or))
}
