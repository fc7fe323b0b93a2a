//! A kernel laid out flat: what a thread executes, step by step.
//!
//! Regions become jumps, values become registers of 64 bits: one for each scalar, two for a pointer
//! (which array, and how many bytes from its start). A thread's place in the program is then one
//! number, and threads can run in any order. Loops count their iterations, so that two threads at
//! one step can be told to be in the same iteration, or which of them is behind
//! ([`Program::order`]).

use std::cmp::Ordering;
use std::collections::HashMap;

use super::factors;
use super::tcgen05::is_of_warp;
use super::wgmma::is_of_warpgroup;
use crate::attr::Attr;
use crate::kernel::{Inst, Kernel, Label, Region, Value};
use crate::loc::Loc;
use crate::op::{Effect, Opcode};
use crate::types::Type;

/// A value's registers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reg {
    /// The first.
    pub at: u32,
    /// The type.
    pub ty: Type,
}

impl Reg {
    /// How many registers there are.
    pub(super) const fn len(self) -> usize {
        words(self.ty)
    }

    /// The first register as an index.
    pub(super) const fn index(self) -> usize {
        self.at as usize
    }
}

const fn words(ty: Type) -> usize {
    match ty {
        Type::Ptr(..) => 2,
        // The number of the parameter.
        Type::TensorMap(..) => 1,
        other => other.lanes() as usize,
    }
}

/// An instruction without control flow.
#[derive(Clone, Debug)]
pub(super) struct Plain {
    pub op: Opcode,
    pub effect: Effect,
    /// Whether a thread waits here for others.
    pub waits: bool,
    pub attr: Attr,
    pub operands: Vec<Reg>,
    pub results: Vec<Reg>,
}

/// What a step does.
#[derive(Clone, Debug)]
pub(super) enum Action {
    Plain(Plain),
    /// Registers to registers, all at once.
    Move(Vec<(u32, u32)>),
    Jump(u32),
    /// Jumps where the condition is false.
    Unless(u32, u32),
    /// Jumps unless the counter is below the bound.
    UnlessBelow {
        counter: Reg,
        bound: Reg,
        exit: u32,
    },
    /// Begins the loop at this depth.
    Enter(u32),
    /// Begins the next iteration of the loop at this depth; a `for` adds one to its counter.
    Again(u32, Option<Reg>),
    End,
}

/// A step with its line.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub action: Action,
    pub loc: Loc,
    /// The loops around it: an index into [`Program::nests`].
    nest: u32,
}

/// A kernel as the interpreter runs it.
#[derive(Debug)]
pub struct Program {
    pub(super) kernel: Kernel,
    pub(super) steps: Vec<Step>,
    /// Registers of a thread.
    pub(super) registers: u32,
    /// Each parameter's registers.
    pub(super) params: Vec<Reg>,
    /// Each slot's first register.
    pub(super) slots: Vec<u32>,
    /// Index in the list of checks, by step.
    pub(super) checks: HashMap<u32, u32>,
    /// The registers of each left factor of a `wgmma` that is in such, by its first one.
    pub(super) factors: HashMap<u32, Vec<u32>>,
    /// Lists of enclosing loops, outermost first; a loop is named by its first step.
    nests: Vec<Vec<u32>>,
}

impl Program {
    /// Lays a verified kernel out. It may still have variable slots, or be what the passes made.
    pub fn new(kernel: &Kernel) -> Program {
        let mut registers = 0;
        let mut take = |ty: Type| {
            let at = registers;
            registers += words(ty) as u32;
            at
        };
        let values: Vec<u32> = kernel.types.iter().map(|&ty| take(ty)).collect();
        let slots = kernel.vars.iter().map(|var| take(var.ty)).collect();
        let mut flat = Flat {
            kernel,
            values,
            steps: Vec::new(),
            checks: HashMap::new(),
            nests: vec![Vec::new()],
            nest: 0,
            open: Vec::new(),
            loc: Loc::NONE,
        };
        flat.region(&kernel.body);
        let params = kernel.params.iter().map(|p| flat.reg(p.value)).collect();
        let factors = factors::sources(kernel, &|value| flat.reg(value));
        let Flat { steps, checks, nests, .. } = flat;
        let kernel = kernel.clone();
        Program { kernel, steps, registers, params, slots, checks, factors, nests }
    }

    /// The kernel.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// The line of a step.
    pub(super) fn loc(&self, pc: u32) -> Loc {
        self.steps[pc as usize].loc
    }

    /// Which of two places, each a step and the iterations of the loops around it, comes first in
    /// the kernel's own order.
    pub(super) fn order(&self, a: (u32, &[u32]), b: (u32, &[u32])) -> Ordering {
        let nest = |pc: u32| &self.nests[self.steps[pc as usize].nest as usize];
        let loops = nest(a.0).iter().zip(nest(b.0));
        for (depth, _) in loops.enumerate().take_while(|(_, (x, y))| x == y) {
            match a.1[depth].cmp(&b.1[depth]) {
                Ordering::Equal => {}
                other => return other,
            }
        }
        a.0.cmp(&b.0)
    }
}

/// An operation whose region is being laid out.
struct Open {
    label: Option<Label>,
    /// Where `break` or `yield` puts its values.
    results: Vec<u32>,
    /// Where `continue` puts its values, with the loop's head, depth and counter.
    again: Option<Again>,
    /// Jumps to its end.
    exits: Vec<usize>,
}

struct Again {
    carried: Vec<u32>,
    head: u32,
    depth: u32,
    counter: Option<Reg>,
}

struct Flat<'k> {
    kernel: &'k Kernel,
    values: Vec<u32>,
    steps: Vec<Step>,
    checks: HashMap<u32, u32>,
    nests: Vec<Vec<u32>>,
    nest: u32,
    open: Vec<Open>,
    loc: Loc,
}

impl Flat<'_> {
    fn reg(&self, value: Value) -> Reg {
        Reg { at: self.values[value.index()], ty: self.kernel.ty(value) }
    }

    fn regs(&self, values: &[Value]) -> Vec<Reg> {
        values.iter().map(|&v| self.reg(v)).collect()
    }

    /// Every single register of some values.
    fn flat(&self, values: &[Value]) -> Vec<u32> {
        let regs = self.regs(values).into_iter();
        regs.flat_map(|r| r.at..r.at + r.len() as u32).collect()
    }

    fn here(&self) -> u32 {
        self.steps.len() as u32
    }

    fn push(&mut self, action: Action) -> usize {
        self.steps.push(Step { action, loc: self.loc, nest: self.nest });
        self.steps.len() - 1
    }

    fn push_move(&mut self, from: Vec<u32>, to: Vec<u32>) {
        let moves: Vec<_> = from.into_iter().zip(to).filter(|(a, b)| a != b).collect();
        if !moves.is_empty() {
            self.push(Action::Move(moves));
        }
    }

    /// Lets a jump laid out before go here.
    fn land(&mut self, jump: usize) {
        let here = self.here();
        match &mut self.steps[jump].action {
            Action::Jump(to) | Action::Unless(_, to) | Action::UnlessBelow { exit: to, .. } => {
                *to = here;
            }
            other => unreachable!("no jump: {other:?}"),
        }
    }

    fn region(&mut self, region: &Region) {
        for inst in &region.insts {
            self.loc = inst.loc;
            self.inst(inst);
        }
    }

    fn inst(&mut self, inst: &Inst) {
        match inst.op {
            Opcode::If => self.branch(inst),
            Opcode::For => self.repeat(inst, 2),
            Opcode::Loop => self.repeat(inst, 0),
            Opcode::Block => {
                self.begin(inst, None);
                self.region(&inst.regions[0]);
                self.end();
            }
            Opcode::Return => {
                self.push(Action::End);
            }
            Opcode::Yield => self.leave(inst, self.open.len() - 1),
            Opcode::Break => {
                let at = self.labelled(inst);
                self.leave(inst, at);
            }
            Opcode::Continue => self.again(inst),
            _ => {
                if inst.op == Opcode::Check {
                    self.checks.insert(self.here(), self.checks.len() as u32);
                }
                let (operands, results) = (self.regs(&inst.operands), self.regs(&inst.results));
                let (op, attr, effect) = (inst.op, inst.attr.clone(), inst.op.effect());
                let waits = effect == Effect::Collective
                    || matches!(op, Opcode::Barrier | Opcode::BarrierSync | Opcode::WarpSync)
                    || op == Opcode::Stmatrix
                    || is_of_warp(op)
                    || is_of_warpgroup(op);
                self.push(Action::Plain(Plain { op, effect, waits, attr, operands, results }));
            }
        }
    }

    fn begin(&mut self, inst: &Inst, again: Option<Again>) {
        let label = match inst.attr {
            Attr::Label(label) => Some(label),
            _ => None,
        };
        let results = self.flat(&inst.results);
        self.open.push(Open { label, results, again, exits: Vec::new() });
    }

    fn end(&mut self) {
        let open = self.open.pop().expect("every end has its beginning");
        for jump in open.exits {
            self.land(jump);
        }
    }

    /// The innermost open operation with the label that a jump names.
    fn labelled(&self, inst: &Inst) -> usize {
        let named = |open: &Open| matches!(inst.attr, Attr::Label(l) if open.label == Some(l));
        self.open.iter().rposition(named).expect("the kernel is verified: jumps name what is open")
    }

    /// Passes a terminator's values on, and jumps behind the operation.
    fn leave(&mut self, inst: &Inst, at: usize) {
        self.push_move(self.flat(&inst.operands), self.open[at].results.clone());
        let jump = self.push(Action::Jump(0));
        self.open[at].exits.push(jump);
    }

    fn branch(&mut self, inst: &Inst) {
        let condition = self.reg(inst.operands[0]).at;
        let skip = self.push(Action::Unless(condition, 0));
        self.begin(inst, None);
        self.region(&inst.regions[0]);
        self.land(skip);
        self.region(&inst.regions[1]);
        self.end();
    }

    /// A `for` with its two bounds, or a `loop` without.
    fn repeat(&mut self, inst: &Inst, bounds: usize) {
        let region = &inst.regions[0];
        let counter = (bounds > 0).then(|| self.reg(region.args[0]));
        let carried = self.flat(&region.args[usize::from(bounds > 0)..]);
        let mut to = self.flat(&region.args[..usize::from(bounds > 0)]);
        let mut from = self.flat(&inst.operands[..usize::from(bounds > 0)]);
        to.extend(&carried);
        from.extend(self.flat(&inst.operands[bounds..]));
        self.push_move(from, to);
        let (outer, depth) = (self.nest, self.nests[self.nest as usize].len() as u32);
        self.push(Action::Enter(depth));
        let head = self.here();
        let mut nest = self.nests[outer as usize].clone();
        nest.push(head);
        self.nests.push(nest);
        self.nest = self.nests.len() as u32 - 1;
        let test = counter.map(|counter| {
            let bound = self.reg(inst.operands[1]);
            self.push(Action::UnlessBelow { counter, bound, exit: 0 })
        });
        let again = Again { carried: carried.clone(), head, depth, counter };
        self.begin(inst, Some(again));
        self.region(region);
        self.nest = outer;
        self.loc = inst.loc;
        if let Some(test) = test {
            self.land(test);
            self.push_move(carried, self.flat(&inst.results));
        }
        self.end();
    }

    fn again(&mut self, inst: &Inst) {
        let at = self.labelled(inst);
        let again = self.open[at].again.as_ref().expect("the kernel is verified: a loop");
        let (head, depth, counter) = (again.head, again.depth, again.counter);
        let carried = again.carried.clone();
        self.push_move(self.flat(&inst.operands), carried);
        self.push(Action::Again(depth, counter));
        self.push(Action::Jump(head));
    }
}
