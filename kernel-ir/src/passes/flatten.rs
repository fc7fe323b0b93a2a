//! Simplifies control flow.
//!
//! * An `if` on a constant, a `block` nobody breaks out of: dissolved into what is around it.
//! * A `for` of no trips: gone. One of a single trip, and a `loop` that never continues: a `block`.
//! * An `if` whose regions compute next to nothing: that, and selects. A jump costs more.
//! * An `if` that never falls through: one of its jumps moves behind it.
//! * Code behind a terminator or an endless `loop`: gone.
//! * `if c { continue } rest; continue`, or the same with `break` at the end of its `block`: `rest`
//!   moves into the other region. One way through a region costs the backends less than two.
//!
//! `return` is not treated in the last way: threads that have returned count as arrived at
//! barriers, those in the other region of an `if` do not.

use crate::attr::{Attr, Const};
use crate::kernel::{Inst, Kernel, Label, Region, Value};
use crate::loc::Loc;
use crate::op::Opcode;
use crate::passes::edit::{Subst, constants, is_cheap};

/// How many operations in a region of an `if` are next to nothing.
const LIGHT: usize = 4;

/// Simplifies control flow where constants and jumps allow it.
pub fn run(kernel: &mut Kernel) {
    let consts = constants(kernel);
    let mut body = std::mem::take(&mut kernel.body);
    let mut flattener = Flattener {
        consts,
        kernel,
        breaks: Vec::new(),
        continues: Vec::new(),
        subst: Subst::default(),
    };
    flattener.breaks = vec![0; flattener.kernel.labels as usize];
    flattener.continues = vec![0; flattener.kernel.labels as usize];
    flattener.count(&body.insts, 1);
    flattener.region(&mut body, None);
    kernel.body = body;
}

struct Flattener<'k> {
    kernel: &'k mut Kernel,
    consts: Vec<Option<Const>>,
    /// How many `break`s name each label.
    breaks: Vec<i64>,
    /// How many `continue`s name each label.
    continues: Vec<i64>,
    subst: Subst,
}

impl Flattener<'_> {
    /// Counts the jumps in instructions that appear (1) or disappear (-1).
    fn count(&mut self, insts: &[Inst], by: i64) {
        for inst in insts {
            match (inst.op, &inst.attr) {
                (Opcode::Break, Attr::Label(l)) => self.breaks[l.index()] += by,
                (Opcode::Continue, Attr::Label(l)) => self.continues[l.index()] += by,
                _ => inst.regions.iter().for_each(|r| self.count(&r.insts, by)),
            }
        }
    }

    /// `block` is the label of the block whose region this is.
    fn region(&mut self, region: &mut Region, block: Option<Label>) {
        let mut old = std::mem::take(&mut region.insts).into_iter();
        let mut out = Vec::with_capacity(old.len());
        for inst in old.by_ref() {
            self.inst(inst, &mut out);
            if out.last().is_some_and(|last| self.never_passed(last)) {
                break;
            }
        }
        self.count(old.as_slice(), -1);
        if !out.last().is_some_and(|last| last.op.is_terminator()) {
            out.push(unreachable(out.last()));
        }
        self.join_jumps(&mut out, block);
        region.insts = out;
    }

    fn inst(&mut self, mut inst: Inst, out: &mut Vec<Inst>) {
        self.subst.apply(&mut inst);
        match inst.op {
            Opcode::If => self.branch(inst, out),
            Opcode::For => self.repeat(inst, out),
            Opcode::Loop => {
                self.region(&mut inst.regions[0], None);
                self.unroll_once(inst, out);
            }
            Opcode::Block => {
                let label = label_of(&inst);
                self.region(&mut inst.regions[0], label);
                self.block(inst, out);
            }
            _ => out.push(inst),
        }
    }

    fn const_int(&self, value: Value) -> Option<i128> {
        self.consts.get(value.index()).copied().flatten().map(Const::as_int)
    }

    fn branch(&mut self, mut inst: Inst, out: &mut Vec<Inst>) {
        if let Some(c) = self.const_int(inst.operands[0]) {
            let dropped = inst.regions.remove(usize::from(c != 0));
            self.count(&dropped.insts, -1);
            let mut taken = inst.regions.remove(0);
            self.region(&mut taken, None);
            return self.splice(taken, &inst.results, out);
        }
        for region in &mut inst.regions {
            self.region(region, None);
        }
        if !inst.regions.iter().all(is_light) {
            return self.hoist_jump(inst, out);
        }
        let [a, b] = [0, 1].map(|r: usize| {
            let mut insts = std::mem::take(&mut inst.regions[r].insts);
            let end = insts.pop().expect("a terminator");
            out.append(&mut insts);
            end.operands
        });
        for ((&result, a), b) in inst.results.iter().zip(a).zip(b) {
            if a == b {
                self.subst.set(result, a);
                continue;
            }
            out.push(Inst {
                op: Opcode::Select,
                attr: Attr::None,
                operands: vec![inst.operands[0], a, b],
                results: vec![result],
                regions: Vec::new(),
                loc: inst.loc,
            });
        }
    }

    /// Puts a region's instructions in its owner's place; what it yields stands for `results`.
    fn splice(&mut self, region: Region, results: &[Value], out: &mut Vec<Inst>) {
        let mut insts = region.insts;
        if insts.last().is_some_and(|t| t.op == Opcode::Yield) {
            let end = insts.pop().expect("just seen");
            for (&result, &value) in results.iter().zip(&end.operands) {
                self.subst.set(result, value);
            }
        }
        out.append(&mut insts);
    }

    /// An `if` that never falls through, as both regions end in jumps or returns: one of the two,
    /// or both if they are the same, moves behind it.
    fn hoist_jump(&mut self, mut inst: Inst, out: &mut Vec<Inst>) {
        if inst.regions.iter().any(falls_through) {
            return out.push(inst);
        }
        let ends = [0, 1].map(|r: usize| inst.regions[r].insts.last().expect("a terminator"));
        let same = ends[0].op == ends[1].op && ends[0].attr == ends[1].attr;
        // Rather a `continue` than a `break`, and rather that than a `return`.
        let rank = |i: usize| (ends[i].op == Opcode::Continue, ends[i].op == Opcode::Break);
        let moved = usize::from(rank(1) >= rank(0));
        let (mut end, loc) = (ends[moved].clone(), inst.loc);
        if same {
            self.count(std::slice::from_ref(&end), -1);
            end.operands = self.yield_instead(&mut inst, &[0, 1]);
        } else {
            end.operands = self.yield_instead(&mut inst, &[moved]);
        }
        end.loc = loc;
        out.push(inst);
        out.push(end);
    }

    /// Turns the jumps that end some of an `if`'s regions into yields of the same values; returns
    /// the new results that stand for these. Results it had are of no use, as the regions that
    /// yield did not fall through.
    fn yield_instead(&mut self, inst: &mut Inst, regions: &[usize]) -> Vec<Value> {
        let first = inst.regions[regions[0]].insts.last().expect("a terminator");
        let new = |v: &Value| self.kernel.new_value(self.kernel.ty(*v));
        inst.results = first.operands.iter().map(new).collect();
        for &region in regions {
            let end = inst.regions[region].insts.last_mut().expect("a terminator");
            (end.op, end.attr) = (Opcode::Yield, Attr::None);
        }
        inst.results.clone()
    }

    fn repeat(&mut self, mut inst: Inst, out: &mut Vec<Inst>) {
        let (lo, hi) = (self.const_int(inst.operands[0]), self.const_int(inst.operands[1]));
        match (lo, hi) {
            (Some(lo), Some(hi)) if lo >= hi => {
                self.count(&inst.regions[0].insts, -1);
                for (&result, &value) in inst.results.iter().zip(&inst.operands[2..]) {
                    self.subst.set(result, value);
                }
            }
            (Some(lo), Some(hi)) if lo + 1 == hi => {
                let label = label_of(&inst).expect("a for has a label");
                let body = &mut inst.regions[0];
                body.walk_mut(&mut |i| {
                    if i.op == Opcode::Continue && i.attr == Attr::Label(label) {
                        i.op = Opcode::Break;
                    }
                });
                self.breaks[label.index()] += std::mem::take(&mut self.continues[label.index()]);
                self.enter_once(&mut inst, 1);
                self.region(&mut inst.regions[0], Some(label));
                self.block(inst, out);
            }
            _ => {
                self.region(&mut inst.regions[0], None);
                out.push(inst);
            }
        }
    }

    /// A loop that is never continued is a block.
    fn unroll_once(&mut self, mut inst: Inst, out: &mut Vec<Inst>) {
        let label = label_of(&inst).expect("a loop has a label");
        if self.continues[label.index()] != 0 {
            return out.push(inst);
        }
        self.enter_once(&mut inst, 0);
        // The region was visited already, before its arguments were known.
        self.subst.apply_region(&mut inst.regions[0]);
        self.block(inst, out);
    }

    /// Turns a loop of one trip into a block: its arguments are what it is entered with.
    fn enter_once(&mut self, inst: &mut Inst, bounds: usize) {
        let mut entered = inst.operands.clone();
        entered.drain(bounds..2 * bounds);
        for (arg, value) in std::mem::take(&mut inst.regions[0].args).into_iter().zip(entered) {
            self.subst.set(arg, value);
        }
        inst.operands.clear();
        inst.op = Opcode::Block;
    }

    /// A block whose region is done.
    fn block(&mut self, mut inst: Inst, out: &mut Vec<Inst>) {
        let label = label_of(&inst).expect("a block has a label");
        let end = inst.regions[0].insts.last_mut().expect("a terminator");
        if end.op == Opcode::Break && end.attr == Attr::Label(label) {
            (end.op, end.attr) = (Opcode::Yield, Attr::None);
            self.breaks[label.index()] -= 1;
        }
        if self.breaks[label.index()] == 0 {
            let region = inst.regions.remove(0);
            return self.splice(region, &inst.results, out);
        }
        out.push(inst);
    }

    /// Whether control never gets behind an instruction whose regions are done.
    fn never_passed(&self, inst: &Inst) -> bool {
        match inst.op {
            Opcode::If => inst.regions.iter().all(|r| !falls_through(r)),
            Opcode::Loop => label_of(inst).is_some_and(|label| self.breaks[label.index()] == 0),
            op => op.is_terminator(),
        }
    }

    /// From the back: an `if` with one region that ends in the same jump as this list does takes
    /// the rest of the list into its other region.
    fn join_jumps(&mut self, list: &mut Vec<Inst>, block: Option<Label>) {
        let end = list.last_mut().expect("a terminator");
        let leaves_block = end.op == Opcode::Yield && block.is_some();
        if let (true, Some(label)) = (leaves_block, block) {
            // Leaving the block by its end or by a break is the same.
            (end.op, end.attr) = (Opcode::Break, Attr::Label(label));
            self.breaks[label.index()] += 1;
        }
        if is_jump(end) {
            let mut at = list.len() - 1;
            while at > 0 {
                at -= 1;
                let end = &list[list.len() - 1];
                if list[at].op == Opcode::If
                    && let Some(falls) = open_region(&list[at], end)
                {
                    self.sink(list, at, falls);
                }
            }
        }
        if let (true, Some(label)) = (leaves_block, block) {
            let end = list.last_mut().expect("a terminator");
            (end.op, end.attr) = (Opcode::Yield, Attr::None);
            self.breaks[label.index()] -= 1;
        }
    }

    /// Moves what follows the `if` at `at` into its region `falls`.
    fn sink(&mut self, list: &mut Vec<Inst>, at: usize, falls: usize) {
        let mut rest = list.split_off(at + 1);
        let mut branch = list.pop().expect("the if");
        let mut end = rest.last().expect("a terminator").clone();
        let region = &mut branch.regions[falls];
        let yielded = region.insts.pop().expect("a yield").operands;
        if !branch.results.is_empty() {
            for (&result, &value) in branch.results.iter().zip(&yielded) {
                self.subst.set(result, value);
            }
            for inst in &mut rest {
                self.subst.apply(inst);
                inst.regions.iter_mut().for_each(|r| self.subst.apply_region(r));
            }
        }
        region.insts.append(&mut rest);
        self.count(std::slice::from_ref(&end), -1);
        end.operands = self.yield_instead(&mut branch, &[0, 1]);
        list.push(branch);
        list.push(end);
    }
}

/// The region that falls through, if the other one ends in the jump `end`.
fn open_region(branch: &Inst, end: &Inst) -> Option<usize> {
    let jumps =
        |region: &Region| region.terminator().is_some_and(|t| t.op == end.op && t.attr == end.attr);
    let [then, otherwise] = [&branch.regions[0], &branch.regions[1]];
    match (jumps(then), jumps(otherwise)) {
        (true, false) if falls_through(otherwise) => Some(1),
        (false, true) if falls_through(then) => Some(0),
        _ => None,
    }
}

/// Whether a region falls through and may as well be executed always: a few cheap operations that
/// cannot trap, constants aside.
fn is_light(region: &Region) -> bool {
    let Some((end, insts)) = region.insts.split_last() else { return false };
    let light = |i: &Inst| i.op.is_pure() && is_cheap(i.op);
    end.op == Opcode::Yield
        && insts.iter().all(light)
        && insts.iter().filter(|i| i.op != Opcode::Const).count() <= LIGHT
}

fn falls_through(region: &Region) -> bool {
    region.terminator().is_some_and(|t| t.op == Opcode::Yield)
}

fn is_jump(inst: &Inst) -> bool {
    matches!(inst.op, Opcode::Break | Opcode::Continue)
}

fn label_of(inst: &Inst) -> Option<Label> {
    match inst.attr {
        Attr::Label(label) => Some(label),
        _ => None,
    }
}

/// The end of a region whose end is never reached.
fn unreachable(near: Option<&Inst>) -> Inst {
    Inst {
        op: Opcode::Return,
        attr: Attr::None,
        operands: Vec::new(),
        results: Vec::new(),
        regions: Vec::new(),
        loc: near.map_or(Loc::NONE, |inst| inst.loc),
    }
}
