//! Dead code elimination.
//!
//! Everything is presumed dead until something that acts needs it, so values carried around a loop
//! only for their own sake go, as do results of control operations that nobody reads. A `for`, `if`
//! or `block` goes when nothing in it acts and no result of it is read; a `loop` stays, as it may
//! be meant to run forever.

use std::collections::HashMap;

use crate::attr::Attr;
use crate::kernel::{Inst, Kernel, Label, Region, Value};
use crate::op::{Effect, Opcode};
use crate::passes::edit::{fixed_args, fixed_operands};

/// Removes instructions, results and carried values that nothing needs.
pub fn run(kernel: &mut Kernel) {
    let live = {
        let mut marker = Marker::new(kernel.types.len());
        marker.collect(&kernel.body, None);
        marker.mark();
        Live { insts: marker.live_insts, values: marker.live_values, targets: marker.targets }
    };
    let mut sweeper = Sweeper { live: &live, next: 0, positions: HashMap::new() };
    sweeper.region(&mut kernel.body, None);
}

/// Where a value comes from.
#[derive(Clone, Copy)]
enum Def {
    /// A parameter, or the induction value of a `for`.
    Outside,
    /// The instruction of that number.
    Inst(usize),
    /// The k-th result of a control operation.
    Result(usize, usize),
    /// The k-th carried value of a loop, as its region sees it.
    Carried(usize, usize),
}

/// An instruction, by its number in program order, with what its values flow into.
struct Info<'k> {
    inst: &'k Inst,
    /// The control operation it stands in.
    parent: Option<usize>,
    /// The `yield`s and `break`s of a control operation, by number.
    exits: Vec<usize>,
    /// The `continue`s of a loop, by number.
    continues: Vec<usize>,
}

struct Live {
    insts: Vec<bool>,
    values: Vec<bool>,
    /// By label, the number of its operation.
    targets: HashMap<Label, usize>,
}

struct Marker<'k> {
    infos: Vec<Info<'k>>,
    defs: Vec<Def>,
    targets: HashMap<Label, usize>,
    live_insts: Vec<bool>,
    live_values: Vec<bool>,
    work: Vec<Value>,
}

impl<'k> Marker<'k> {
    fn new(values: usize) -> Marker<'k> {
        Marker {
            infos: Vec::new(),
            defs: vec![Def::Outside; values],
            targets: HashMap::new(),
            live_insts: Vec::new(),
            live_values: vec![false; values],
            work: Vec::new(),
        }
    }

    fn collect(&mut self, region: &'k Region, parent: Option<usize>) {
        for inst in &region.insts {
            let number = self.infos.len();
            self.infos.push(Info { inst, parent, exits: Vec::new(), continues: Vec::new() });
            let control = inst.op.effect() == Effect::Control;
            for (k, &result) in inst.results.iter().enumerate() {
                self.defs[result.index()] =
                    if control { Def::Result(number, k) } else { Def::Inst(number) };
            }
            match (inst.op, &inst.attr) {
                (Opcode::Yield, _) => {
                    if let Some(parent) = parent {
                        self.infos[parent].exits.push(number);
                    }
                }
                (Opcode::Break, Attr::Label(l)) => {
                    self.infos[self.targets[l]].exits.push(number);
                }
                (Opcode::Continue, Attr::Label(l)) => {
                    self.infos[self.targets[l]].continues.push(number);
                }
                (_, Attr::Label(l)) => {
                    self.targets.insert(*l, number);
                }
                _ => {}
            }
            for inner in &inst.regions {
                for (k, &arg) in inner.args.iter().skip(fixed_args(inst.op)).enumerate() {
                    self.defs[arg.index()] = Def::Carried(number, k);
                }
                self.collect(inner, Some(number));
            }
        }
    }

    fn mark(&mut self) {
        self.live_insts = vec![false; self.infos.len()];
        for number in 0..self.infos.len() {
            let inst = self.infos[number].inst;
            let acts = match inst.op.effect() {
                Effect::Write | Effect::Sync | Effect::Check | Effect::Var => true,
                Effect::Pure | Effect::Collective | Effect::Read => false,
                Effect::Control => inst.op == Opcode::Loop,
                // Other jumps are marked along with the operation they name.
                Effect::Terminator => inst.op == Opcode::Return,
            };
            if acts {
                self.mark_inst(number);
            }
        }
        while let Some(value) = self.work.pop() {
            self.trace(value);
        }
    }

    /// Something needs this instruction to be executed.
    fn mark_inst(&mut self, number: usize) {
        if std::mem::replace(&mut self.live_insts[number], true) {
            return;
        }
        let Info { inst, parent, .. } = self.infos[number];
        let own = match inst.op.effect() {
            Effect::Control => fixed_operands(inst.op),
            Effect::Terminator => 0,
            _ => inst.operands.len(),
        };
        for &operand in &inst.operands[..own] {
            self.need(operand);
        }
        if let Some(parent) = parent {
            self.mark_inst(parent);
        }
        if inst.op.effect() == Effect::Control {
            // Whether and how often its regions run depends on every jump inside that names it.
            let info = &self.infos[number];
            let jumps: Vec<usize> = info.exits.iter().chain(&info.continues).copied().collect();
            for jump in jumps {
                self.mark_inst(jump);
            }
        }
    }

    fn need(&mut self, value: Value) {
        if !std::mem::replace(&mut self.live_values[value.index()], true) {
            self.work.push(value);
        }
    }

    /// Needs what a needed value is made from.
    fn trace(&mut self, value: Value) {
        match self.defs[value.index()] {
            Def::Outside => {}
            Def::Inst(number) => self.mark_inst(number),
            Def::Result(number, k) => {
                self.mark_inst(number);
                let info = &self.infos[number];
                if info.inst.op == Opcode::For {
                    return self.trace_carried(number, k);
                }
                let exits = info.exits.iter();
                let values: Vec<Value> = exits.map(|&e| self.infos[e].inst.operands[k]).collect();
                values.into_iter().for_each(|v| self.need(v));
            }
            Def::Carried(number, k) => {
                self.mark_inst(number);
                self.trace_carried(number, k);
            }
        }
    }

    /// The k-th carried value of a loop; of a `for`, its result and argument are one.
    fn trace_carried(&mut self, number: usize, k: usize) {
        let info = &self.infos[number];
        let op = info.inst.op;
        let mut values = vec![info.inst.operands[fixed_operands(op) + k]];
        values.extend(info.continues.iter().map(|&c| self.infos[c].inst.operands[k]));
        if op == Opcode::For {
            values.extend(info.exits.iter().map(|&e| self.infos[e].inst.operands[k]));
            values.push(info.inst.results[k]);
            values.push(info.inst.regions[0].args[fixed_args(op) + k]);
        }
        values.into_iter().for_each(|v| self.need(v));
    }
}

struct Sweeper<'l> {
    live: &'l Live,
    /// The number of the next instruction, as [`Marker`] counts.
    next: usize,
    /// By control operation: which results, and which carried values, are kept.
    positions: HashMap<usize, (Vec<bool>, Vec<bool>)>,
}

impl Sweeper<'_> {
    fn region(&mut self, region: &mut Region, owner: Option<usize>) {
        let old = std::mem::take(&mut region.insts);
        for mut inst in old {
            let number = self.next;
            self.next += 1;
            if !self.live.insts[number] {
                self.next += count(&inst);
                continue;
            }
            match (inst.op, &inst.attr) {
                (Opcode::Yield, _) => {
                    if let Some((results, _)) = owner.and_then(|o| self.positions.get(&o)) {
                        keep(&mut inst.operands, 0, results);
                    }
                }
                (Opcode::Break, Attr::Label(l)) => {
                    let (results, _) = &self.positions[&self.live.targets[l]];
                    keep(&mut inst.operands, 0, results);
                }
                (Opcode::Continue, Attr::Label(l)) => {
                    let (_, carried) = &self.positions[&self.live.targets[l]];
                    keep(&mut inst.operands, 0, carried);
                }
                _ if !inst.regions.is_empty() => self.control(&mut inst, number),
                _ => {}
            }
            region.insts.push(inst);
        }
    }

    fn control(&mut self, inst: &mut Inst, number: usize) {
        let is_live = |v: &Value| self.live.values[v.index()];
        let results: Vec<bool> = inst.results.iter().map(is_live).collect();
        let args = inst.regions[0].args.iter().skip(fixed_args(inst.op));
        let carried: Vec<bool> = args.map(is_live).collect();
        keep(&mut inst.results, 0, &results);
        keep(&mut inst.operands, fixed_operands(inst.op), &carried);
        keep(&mut inst.regions[0].args, fixed_args(inst.op), &carried);
        self.positions.insert(number, (results, carried));
        for region in &mut inst.regions {
            self.region(region, Some(number));
        }
    }
}

/// Instructions in an instruction's regions.
fn count(inst: &Inst) -> usize {
    let mut n = 0;
    for region in &inst.regions {
        region.walk(&mut |_| n += 1);
    }
    n
}

/// Keeps the first `fixed` values, and of the others those whose flag is set.
fn keep(values: &mut Vec<Value>, fixed: usize, flags: &[bool]) {
    let mut k = 0;
    values.retain(|_| {
        k += 1;
        k <= fixed || flags[k - 1 - fixed]
    });
}
