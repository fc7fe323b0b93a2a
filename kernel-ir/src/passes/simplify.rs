//! The forward pass: copies, constants, common subexpressions, facts and ranges, in one walk.
//!
//! The walk knows what holds where it stands: which values are constants, which pure expressions
//! were computed by a dominating instruction, which conditions are true (inside an `if`, behind a
//! check, behind an `if` whose other branch leaves), which integers are less than which, and the
//! interval of each integer. With that, checks that cannot fail and branches that are not taken
//! vanish. Everything learnt inside a region is forgotten at its end.

use std::collections::HashMap;

use super::fold::{Folded, fold};
use super::ranges::{self, Range};
use crate::attr::{Attr, Const};
use crate::kernel::{Inst, Kernel, Region, Value};
use crate::op::{Effect, Opcode};
use crate::types::{Scalar, Type};

/// A branch of at most this many pure instructions is computed always and selected from.
const CHEAP: usize = 12;

/// Runs the pass.
pub fn run(kernel: &mut Kernel) {
    let body = std::mem::take(&mut kernel.body);
    let ranges = vec![None; kernel.types.len()];
    let mut pass = Simplify {
        kernel,
        renamed: HashMap::new(),
        constants: HashMap::new(),
        definitions: HashMap::new(),
        computed: HashMap::new(),
        truths: HashMap::new(),
        less: HashMap::new(),
        ranges,
        log: Vec::new(),
    };
    let body = pass.region(body, &[]);
    kernel.body = body;
}

/// A pure expression.
type Expression = (Opcode, Attr, Vec<Value>, Type);

/// What to undo at the end of a region.
enum Learnt {
    Computed(Expression),
    Truth(Value),
    Less((Value, Value)),
    Range(Value, Option<Range>),
}

struct Simplify<'k> {
    kernel: &'k mut Kernel,
    renamed: HashMap<Value, Value>,
    constants: HashMap<Value, Const>,
    definitions: HashMap<Value, (Opcode, Vec<Value>)>,
    computed: HashMap<Expression, Value>,
    truths: HashMap<Value, bool>,
    /// Pairs of integers of which the first is less.
    less: HashMap<(Value, Value), ()>,
    ranges: Vec<Option<Range>>,
    log: Vec<Learnt>,
}

impl Simplify<'_> {
    /// A region, with conditions that hold in it.
    fn region(&mut self, region: Region, facts: &[(Value, bool)]) -> Region {
        let mark = self.log.len();
        for &(condition, holds) in facts {
            self.learn(condition, holds);
        }
        let mut out = Vec::with_capacity(region.insts.len());
        self.insts(region.insts, &mut out);
        self.forget(mark);
        Region { args: region.args, insts: out }
    }

    fn forget(&mut self, mark: usize) {
        for learnt in self.log.drain(mark..).rev() {
            match learnt {
                Learnt::Computed(expression) => drop(self.computed.remove(&expression)),
                Learnt::Truth(value) => drop(self.truths.remove(&value)),
                Learnt::Less(pair) => drop(self.less.remove(&pair)),
                Learnt::Range(value, range) => self.ranges[value.index()] = range,
            }
        }
    }

    /// Instructions up to the first terminator; whether there was one.
    fn insts(&mut self, insts: Vec<Inst>, out: &mut Vec<Inst>) -> bool {
        for inst in insts {
            if self.inst(inst, out) {
                return true;
            }
        }
        false
    }

    /// One instruction; whether control leaves the region here.
    fn inst(&mut self, mut inst: Inst, out: &mut Vec<Inst>) -> bool {
        for operand in &mut inst.operands {
            *operand = *self.renamed.get(operand).unwrap_or(operand);
        }
        match inst.op.effect() {
            Effect::Pure => self.pure(inst, out),
            Effect::Terminator => {
                out.push(inst);
                return true;
            }
            Effect::Check => self.check(inst, out),
            Effect::Control => match inst.op {
                Opcode::If => return self.branch(inst, out),
                _ => return self.labelled(inst, out),
            },
            _ => out.push(inst),
        }
        false
    }

    fn range(&self, value: Value) -> Range {
        let elem = self.kernel.ty(value).elem();
        self.ranges.get(value.index()).copied().flatten().unwrap_or_else(|| {
            if elem.is_int() || elem == Scalar::Bool { ranges::of_type(elem) } else { (0, 0) }
        })
    }

    fn set_range(&mut self, value: Value, range: Range) {
        if self.ranges.len() <= value.index() {
            self.ranges.resize(value.index() + 1, None);
        }
        let old = self.ranges[value.index()].replace(range);
        self.log.push(Learnt::Range(value, old));
    }

    // ---- values ----

    fn pure(&mut self, mut inst: Inst, out: &mut Vec<Inst>) {
        if inst.results.len() != 1 {
            return out.push(inst);
        }
        let result = inst.results[0];
        for _ in 0..2 {
            let constants = &self.constants;
            match fold(self.kernel, &inst, |v| constants.get(&v).copied()) {
                Some(Folded::Const(c)) => {
                    inst.op = Opcode::Const;
                    inst.attr = Attr::Const(c);
                    inst.operands.clear();
                }
                Some(Folded::Value(value)) => {
                    self.renamed.insert(result, value);
                    return;
                }
                Some(Folded::Op(op, operands)) => {
                    inst.op = op;
                    inst.operands = operands;
                    continue;
                }
                None => {}
            }
            break;
        }
        if let Some(known) = self.known(&inst) {
            inst.op = Opcode::Const;
            inst.attr = Attr::Const(known);
            inst.operands.clear();
        }
        if let (Opcode::Const, Attr::Const(c)) = (inst.op, &inst.attr) {
            self.constants.insert(result, *c);
        }
        let ty = self.kernel.ty(result);
        let expression = (inst.op, inst.attr.clone(), inst.operands.clone(), ty);
        if let Some(&value) = self.computed.get(&expression) {
            self.renamed.insert(result, value);
            return;
        }
        self.computed.insert(expression.clone(), result);
        self.log.push(Learnt::Computed(expression));
        self.definitions.insert(result, (inst.op, inst.operands.clone()));
        if let Type::Scalar(s) = ty
            && s.is_int()
        {
            let range = ranges::of_inst(self.kernel, &inst, |i| self.range(inst.operands[i]));
            self.set_range(result, range);
        }
        out.push(inst);
    }

    /// The value of a comparison or id that ranges and facts decide.
    fn known(&self, inst: &Inst) -> Option<Const> {
        let result = inst.results[0];
        if let Opcode::BlockDim = inst.op {
            let (low, high) = ranges::of_inst(self.kernel, inst, |_| (0, 0));
            return (low == high).then(|| Const::int(Scalar::U32, low));
        }
        if self.kernel.ty(result) != Type::BOOL || inst.operands.len() != 2 {
            return None;
        }
        let [a, b] = [inst.operands[0], inst.operands[1]];
        let Type::Scalar(ty) = self.kernel.ty(a) else { return None };
        if !ty.is_int() {
            return None;
        }
        let (x, y) = (self.range(a), self.range(b));
        let less = |a, b| self.less.contains_key(&(a, b));
        let lt = |a, b, x: Range, y: Range| {
            if x.1 < y.0 || less(a, b) {
                Some(true)
            } else if x.0 >= y.1 || less(b, a) || a == b {
                Some(false)
            } else {
                None
            }
        };
        let decided = match inst.op {
            Opcode::Lt => lt(a, b, x, y),
            Opcode::Gt => lt(b, a, y, x),
            Opcode::Ge => lt(a, b, x, y).map(|t| !t),
            Opcode::Le => lt(b, a, y, x).map(|t| !t),
            Opcode::Eq | Opcode::Ne => {
                let apart = x.1 < y.0 || y.1 < x.0 || less(a, b) || less(b, a);
                let equal = a == b || (x == y && x.0 == x.1);
                let eq = if apart { Some(false) } else { equal.then_some(true) };
                eq.map(|eq| eq == (inst.op == Opcode::Eq))
            }
            _ => None,
        };
        decided.map(Const::bool)
    }

    /// Whether a condition is known.
    fn truth(&self, condition: Value) -> Option<bool> {
        let constant = self.constants.get(&condition).map(|c| c.bits != 0);
        constant.or_else(|| self.truths.get(&condition).copied())
    }

    /// Notes that a condition holds or not, and what follows from that.
    fn learn(&mut self, condition: Value, holds: bool) {
        if self.truth(condition).is_some() {
            return;
        }
        self.truths.insert(condition, holds);
        self.log.push(Learnt::Truth(condition));
        let Some((op, operands)) = self.definitions.get(&condition).cloned() else { return };
        match (op, holds) {
            (Opcode::And, true) | (Opcode::Or, false) => {
                operands.iter().for_each(|&o| self.learn(o, holds));
            }
            (Opcode::Not, _) => self.learn(operands[0], !holds),
            (Opcode::Lt, true) | (Opcode::Ge, false) => self.learn_less(operands[0], operands[1]),
            (Opcode::Gt, true) | (Opcode::Le, false) => self.learn_less(operands[1], operands[0]),
            (Opcode::Lt, false) | (Opcode::Ge, true) => {
                self.learn_at_most(operands[1], operands[0])
            }
            (Opcode::Gt, false) | (Opcode::Le, true) => {
                self.learn_at_most(operands[0], operands[1])
            }
            _ => {}
        }
    }

    /// Notes that the integer `a` is less than `b`.
    fn learn_less(&mut self, a: Value, b: Value) {
        if !self.kernel.ty(a).elem().is_int() || !matches!(self.kernel.ty(a), Type::Scalar(_)) {
            return;
        }
        if self.less.insert((a, b), ()).is_none() {
            self.log.push(Learnt::Less((a, b)));
        }
        let (x, y) = (self.range(a), self.range(b));
        self.narrow(a, (x.0, x.1.min(y.1 - 1)));
        self.narrow(b, (y.0.max(x.0 + 1), y.1));
        // Less than the smaller of two is less than each.
        if let Some((Opcode::Min, operands)) = self.definitions.get(&b).cloned() {
            operands.iter().for_each(|&o| self.learn_less(a, o));
        }
        if let Some((Opcode::Max, operands)) = self.definitions.get(&a).cloned() {
            operands.iter().for_each(|&o| self.learn_less(o, b));
        }
    }

    fn learn_at_most(&mut self, a: Value, b: Value) {
        if !self.kernel.ty(a).elem().is_int() || !matches!(self.kernel.ty(a), Type::Scalar(_)) {
            return;
        }
        let (x, y) = (self.range(a), self.range(b));
        self.narrow(a, (x.0, x.1.min(y.1)));
        self.narrow(b, (y.0.max(x.0), y.1));
    }

    fn narrow(&mut self, value: Value, range: Range) {
        // An empty range means that control never gets here; leave it.
        if range.0 <= range.1 && range != self.range(value) {
            self.set_range(value, range);
        }
    }

    // ---- control ----

    fn check(&mut self, inst: Inst, out: &mut Vec<Inst>) {
        let condition = inst.operands[0];
        if self.truth(condition) == Some(true) {
            return;
        }
        out.push(inst);
        self.learn(condition, true);
    }

    fn branch(&mut self, mut inst: Inst, out: &mut Vec<Inst>) -> bool {
        let condition = inst.operands[0];
        if let Some(taken) = self.truth(condition) {
            let region = inst.regions.swap_remove(usize::from(!taken));
            return self.inline(region, &inst.results, out);
        }
        let regions = std::mem::take(&mut inst.regions);
        for (region, holds) in regions.into_iter().zip([true, false]) {
            let region = self.region(region, &[(condition, holds)]);
            inst.regions.push(region);
        }
        if self.convert(&inst, out) {
            return false;
        }
        let leaves: Vec<bool> = inst.regions.iter().map(|r| !ends_in_yield(r)).collect();
        out.push(inst);
        // Where one branch leaves, only the other gets past.
        match leaves[..] {
            [true, false] => self.learn(condition, false),
            [false, true] => self.learn(condition, true),
            _ => {}
        }
        false
    }

    /// Puts the instructions of a region in place of its owner; whether control leaves there.
    fn inline(&mut self, mut region: Region, results: &[Value], out: &mut Vec<Inst>) -> bool {
        if !ends_in_yield(&region) {
            return self.insts(region.insts, out);
        }
        let terminator = region.insts.pop().expect("ends in yield");
        if self.insts(region.insts, out) {
            return true;
        }
        for (result, value) in results.iter().zip(terminator.operands) {
            let value = *self.renamed.get(&value).unwrap_or(&value);
            self.renamed.insert(*result, value);
        }
        false
    }

    /// Turns a branch between cheap pure values into selects.
    fn convert(&mut self, inst: &Inst, out: &mut Vec<Inst>) -> bool {
        let cheap = |region: &Region| {
            let Some((terminator, insts)) = region.insts.split_last() else { return false };
            let plain = |i: &Inst| {
                let slow = matches!(i.op, Opcode::Div | Opcode::Rem)
                    || matches!(
                        i.op,
                        Opcode::Exp
                            | Opcode::Log
                            | Opcode::Pow
                            | Opcode::Sin
                            | Opcode::Cos
                            | Opcode::Erf
                            | Opcode::Tanh
                            | Opcode::Exp2
                            | Opcode::Log2
                            | Opcode::Sqrt
                            | Opcode::Rsqrt
                    );
                i.op.is_pure() && !slow
            };
            terminator.op == Opcode::Yield && insts.len() <= CHEAP && insts.iter().all(plain)
        };
        if !inst.regions.iter().all(cheap) {
            return false;
        }
        let yields: Vec<Vec<Value>> = inst
            .regions
            .iter()
            .map(|r| r.terminator().expect("ends in yield").operands.clone())
            .collect();
        for region in &inst.regions {
            let (_, insts) = region.insts.split_last().expect("has a terminator");
            self.insts(insts.to_vec(), out);
        }
        for (i, &result) in inst.results.iter().enumerate() {
            let select = Inst {
                op: Opcode::Select,
                attr: Attr::None,
                operands: vec![inst.operands[0], yields[0][i], yields[1][i]],
                results: vec![result],
                regions: Vec::new(),
                loc: inst.loc,
            };
            self.inst(select, out);
        }
        true
    }

    fn labelled(&mut self, mut inst: Inst, out: &mut Vec<Inst>) -> bool {
        let region = inst.regions.pop().expect("one region");
        let Attr::Label(label) = inst.attr.clone() else {
            inst.regions.push(region);
            out.push(inst);
            return false;
        };
        if inst.op == Opcode::Block && !breaks_to(&region, label) {
            return self.inline(region, &inst.results, out);
        }
        let mark = self.log.len();
        if inst.op == Opcode::For {
            let (lo, hi, iv) = (inst.operands[0], inst.operands[1], region.args[0]);
            let (x, y) = (self.range(lo), self.range(hi));
            if x.0 >= y.1 {
                // Never entered: the carried values come out as they went in.
                for (&result, &init) in inst.results.iter().zip(&inst.operands[2..]) {
                    self.renamed.insert(result, init);
                }
                return false;
            }
            self.set_range(iv, (x.0, y.1 - 1));
            self.learn_less(iv, hi);
        }
        let region = self.region(region, &[]);
        self.forget(mark);
        inst.regions.push(region);
        out.push(inst);
        false
    }
}

fn ends_in_yield(region: &Region) -> bool {
    region.terminator().is_some_and(|t| t.op == Opcode::Yield)
}

fn breaks_to(region: &Region, label: crate::Label) -> bool {
    let mut found = false;
    region.walk(&mut |i| found |= i.op == Opcode::Break && i.attr == Attr::Label(label));
    found
}
