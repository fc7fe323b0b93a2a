//! Range analysis, and with it the removal of checks that cannot fail.
//!
//! One walk in program order that knows, at each place, the interval of every integer and
//! differences between integers (`facts`), from definitions, from the bounds of `for` loops, from
//! the conditions of the `if`s around, from checks passed, and from `if`s passed whose other region
//! leaves. Checks whose condition must hold go; comparisons, minima and maxima that are decided
//! become what they are decided to, and so do integers that can have one value only. What the
//! kernel's contract says of products of parameters is made use of by `contracts`.

mod contracts;
mod facts;
mod interval;
mod polynomial;

use facts::Facts;
use interval::{Interval, of_id, of_op};
use polynomial::Polynomial;

use crate::attr::{Attr, Const};
use crate::kernel::{Inst, Kernel, Region, Value};
use crate::loc::Loc;
use crate::op::{Effect, Opcode};
use crate::passes::edit::{Emit, Subst};
use crate::target::Target;
use crate::types::{Scalar, Type};

/// Removes checks that cannot fail and decides what ranges decide.
pub fn run(kernel: &mut Kernel, target: &Target) {
    let mut body = std::mem::take(&mut kernel.body);
    let definitions = vec![None; kernel.types.len()];
    let facts = Facts::new(&kernel.types);
    let requirements = contracts::polynomials(kernel);
    let subst = Subst::default();
    let mut walk = Walk { kernel, target, facts, definitions, requirements, subst };
    contracts::learn(&walk.requirements, &mut walk.facts);
    let constants = walk.fixed_params();
    walk.region(&mut body, &[]);
    body.insts.splice(0..0, constants);
    kernel.body = body;
}

/// How a value is defined, as far as conditions are taken apart.
#[derive(Clone)]
enum Definition {
    /// A pure operation.
    Op(Opcode, Vec<Value>),
    /// A result of an `if`: its condition, and what each region yields (`None` if it leaves).
    Merge(Value, [Option<Value>; 2]),
}

struct Walk<'k> {
    kernel: &'k mut Kernel,
    target: &'k Target,
    facts: Facts,
    definitions: Vec<Option<Definition>>,
    /// The contract.
    requirements: Vec<Polynomial>,
    subst: Subst,
}

impl Walk<'_> {
    /// Constants for parameters that the contract allows one value only.
    fn fixed_params(&mut self) -> Vec<Inst> {
        let mut constants = Vec::new();
        for param in 0..self.kernel.params.len() {
            let value = self.kernel.params[param].value;
            if let Type::Scalar(scalar) = self.kernel.ty(value)
                && let Some(Interval { lo, hi }) = self.facts.interval(value)
                && lo == hi
            {
                let mut emit = Emit { kernel: self.kernel, out: &mut constants, loc: Loc::NONE };
                let constant = emit.constant(Const::int(scalar, lo));
                self.facts.grow(&self.kernel.types);
                self.definitions.resize(self.kernel.types.len(), None);
                self.facts.define(constant, Interval::exactly(lo));
                self.subst.set(value, constant);
            }
        }
        constants
    }

    /// Walks a region in which conditions are known to hold or not.
    fn region(&mut self, region: &mut Region, conditions: &[(Value, bool)]) {
        let mark = self.facts.mark();
        for &(condition, holds) in conditions {
            self.learn(condition, holds);
        }
        let old = std::mem::take(&mut region.insts);
        let mut out = Vec::with_capacity(old.len());
        for mut inst in old {
            self.subst.apply(&mut inst);
            match inst.op.effect() {
                Effect::Pure => self.pure(inst, &mut out),
                Effect::Check => self.check(inst, &mut out),
                _ if inst.op == Opcode::If => self.branch(inst, &mut out),
                _ if inst.op == Opcode::For => {
                    self.counted(&mut inst);
                    out.push(inst);
                }
                _ => {
                    inst.regions.iter_mut().for_each(|r| self.region(r, &[]));
                    out.push(inst);
                }
            }
        }
        region.insts = out;
        self.facts.forget(mark);
    }

    fn check(&mut self, inst: Inst, out: &mut Vec<Inst>) {
        let condition = inst.operands[0];
        if self.holds(condition) == Some(true) {
            return;
        }
        if !self.contract_implies(condition) {
            out.push(inst);
        }
        self.learn(condition, true);
    }

    fn contract_implies(&self, condition: Value) -> bool {
        match self.definition(condition) {
            Some(Definition::Op(Opcode::Lt, operands)) if !self.requirements.is_empty() => {
                let &[index, len] = &operands[..] else { return false };
                self.contract_bounds(index, len)
            }
            _ => false,
        }
    }

    fn branch(&mut self, mut inst: Inst, out: &mut Vec<Inst>) {
        let condition = inst.operands[0];
        if let Some(holds) = self.holds(condition)
            && !matches!(self.definition(condition), Some(Definition::Op(Opcode::Const, _)))
        {
            // A constant, from which another pass takes the region that is left.
            let mut emit = Emit { kernel: self.kernel, out, loc: inst.loc };
            inst.operands[0] = emit.constant(Const::bool(holds));
            self.facts.grow(&self.kernel.types);
            self.definitions.resize(self.kernel.types.len(), None);
        }
        for (region, holds) in inst.regions.iter_mut().zip([true, false]) {
            self.region(region, &[(condition, holds)]);
        }
        let end = |r: &Region| r.terminator().filter(|t| t.op == Opcode::Yield).cloned();
        let ends = [end(&inst.regions[0]), end(&inst.regions[1])];
        for (k, &result) in inst.results.iter().enumerate() {
            let values = ends.each_ref().map(|e| e.as_ref().map(|e| e.operands[k]));
            self.merge(result, condition, values);
        }
        out.push(inst);
        match ends {
            [None, Some(_)] => self.learn(condition, false),
            [Some(_), None] => self.learn(condition, true),
            _ => {}
        }
    }

    fn merge(&mut self, result: Value, condition: Value, values: [Option<Value>; 2]) {
        self.definitions[result.index()] = Some(Definition::Merge(condition, values));
        let known = values.iter().flatten().map(|&v| self.facts.interval(v));
        let hull = known.reduce(|a, b| Some(a?.hull(b?))).flatten();
        if let Some(hull) = hull {
            self.facts.define(result, hull);
        }
    }

    fn counted(&mut self, inst: &mut Inst) {
        let (lo, hi) = (inst.operands[0], inst.operands[1]);
        let region = &mut inst.regions[0];
        let iv = region.args[0];
        if let (Some(x), Some(y)) = (self.facts.interval(lo), self.facts.interval(hi)) {
            self.facts.define(iv, Interval::new(x.lo, y.hi - 1));
        }
        let mark = self.facts.mark();
        self.facts.learn_at_most(iv, hi, -1);
        self.facts.learn_at_most(lo, iv, 0);
        self.facts.learn_at_most(lo, hi, -1);
        self.region(region, &[]);
        self.facts.forget(mark);
    }

    fn definition(&self, value: Value) -> Option<&Definition> {
        self.definitions[value.index()].as_ref()
    }

    // ---- pure operations ----

    fn pure(&mut self, mut inst: Inst, out: &mut Vec<Inst>) {
        let &[result] = &inst.results[..] else { return out.push(inst) };
        let ty = self.kernel.ty(result);
        if let Some(value) = self.decided(&inst) {
            return self.subst.set(result, value);
        }
        if ty == Type::BOOL
            && let Some(known) = self.compare(inst.op, &inst.operands)
        {
            (inst.op, inst.attr) = (Opcode::Const, Attr::Const(Const::bool(known)));
            inst.operands.clear();
        }
        let definition = Definition::Op(inst.op, inst.operands.clone());
        self.definitions[result.index()] = Some(definition);
        if let Type::Scalar(scalar) = ty
            && Interval::of_type(ty).is_some()
        {
            self.bound(&inst, ty);
            let exact = self.facts.interval(result).filter(|i| i.lo == i.hi);
            if let Some(Interval { lo, .. }) = exact {
                (inst.op, inst.attr) = (Opcode::Const, Attr::Const(Const::int(scalar, lo)));
                inst.operands.clear();
            }
        }
        out.push(inst);
    }

    /// The operand that a minimum, maximum or remainder must be.
    fn decided(&self, inst: &Inst) -> Option<Value> {
        let &[a, b] = &inst.operands[..] else { return None };
        let at_most = |a, b, c| self.facts.at_most(a, b, c);
        match inst.op {
            Opcode::Min if at_most(a, b, 0) => Some(a),
            Opcode::Min if at_most(b, a, 0) => Some(b),
            Opcode::Max if at_most(a, b, 0) => Some(b),
            Opcode::Max if at_most(b, a, 0) => Some(a),
            Opcode::Rem if self.facts.interval(a)?.lo >= 0 && at_most(a, b, -1) => Some(a),
            _ => None,
        }
    }

    /// Bounds an integer by its definition.
    fn bound(&mut self, inst: &Inst, ty: Type) {
        let result = inst.result();
        if let Attr::Const(c) = inst.attr {
            return self.facts.define(result, Interval::exactly(c.as_int()));
        }
        if let Some(id) = of_id(self.kernel, self.target, inst.op, &inst.attr) {
            return self.facts.define(result, id);
        }
        let operands: Option<Vec<Interval>> =
            inst.operands.iter().map(|&v| self.facts.interval(v)).collect();
        let Some(operands) = operands.filter(|o| !o.is_empty()) else { return };
        if let Some(interval) = of_op(inst.op, &operands, ty) {
            self.facts.define(result, interval);
        }
        self.relate(inst, &operands, ty);
    }

    /// Notes the differences between an operation's result and its operands.
    fn relate(&mut self, inst: &Inst, x: &[Interval], ty: Type) {
        let result = inst.result();
        let (Some(whole), Some(&a)) = (Interval::of_type(ty), inst.operands.first()) else {
            return;
        };
        let b = inst.operands.get(1).copied().unwrap_or(a);
        let positive = x.iter().all(|i| i.lo >= 0);
        let no_borrow =
            inst.op == Opcode::Sub && (x[0].sub(x[1]).within(whole) || self.no_borrow(a, b, ty));
        let facts = &mut self.facts;
        match inst.op {
            Opcode::Add if x[0].add(x[1]).within(whole) => {
                for (term, other) in [(a, x[1]), (b, x[0])] {
                    facts.relate(result, term, other.hi);
                    facts.relate(term, result, -other.lo);
                }
            }
            Opcode::Sub if no_borrow => {
                facts.relate(result, a, -x[1].lo);
                facts.relate(a, result, x[1].hi);
                if ty.elem().is_unsigned() && x[0].hi >= 0 {
                    facts.define(result, Interval::new(0, x[0].hi - x[1].lo));
                }
            }
            Opcode::Cast if x[0].within(whole) => {
                facts.relate(result, a, 0);
                facts.relate(a, result, 0);
            }
            // Unsigned bits cut off.
            Opcode::Cast if positive && ty.elem().is_unsigned() => facts.relate(result, a, 0),
            Opcode::Min => {
                facts.define_choice(result, [a, b]);
                facts.relate(result, a, 0);
                facts.relate(result, b, 0);
            }
            Opcode::Max => {
                facts.define_choice(result, [a, b]);
                facts.relate(a, result, 0);
                facts.relate(b, result, 0);
            }
            Opcode::Select => facts.define_choice(result, [b, inst.operands[2]]),
            Opcode::Rem if positive && x[1].lo > 0 => {
                facts.relate(result, a, 0);
                facts.relate(result, b, -1);
            }
            Opcode::And if positive => {
                facts.relate(result, a, 0);
                facts.relate(result, b, 0);
            }
            Opcode::Div if positive && x[1].lo > 0 => facts.relate(result, a, 0),
            Opcode::Shr if x[0].lo >= 0 => facts.relate(result, a, 0),
            _ => {}
        }
    }

    /// Whether an unsigned difference `a - b` is known not to wrap.
    fn no_borrow(&self, a: Value, b: Value, ty: Type) -> bool {
        ty.elem().is_unsigned() && self.facts.at_most(b, a, 0)
    }

    // ---- conditions ----

    /// Whether a condition is known to hold or not to hold.
    fn holds(&self, condition: Value) -> Option<bool> {
        if let Some(known) = self.facts.truth(condition) {
            return Some(known);
        }
        match self.definition(condition)? {
            Definition::Op(op, operands) => self.compare(*op, operands),
            Definition::Merge(..) => None,
        }
    }

    /// A comparison of integers, or a combination of conditions, as far as it is known.
    fn compare(&self, op: Opcode, operands: &[Value]) -> Option<bool> {
        let a = *operands.first()?;
        let b = operands.get(1).copied().unwrap_or(a);
        // NaN is not equal to itself: what holds for integers says nothing of floats.
        if self.kernel.ty(a).elem().is_float() {
            return None;
        }
        let at_most = |a, b, c| self.facts.at_most(a, b, c);
        let less = |a, b| match (at_most(a, b, -1), at_most(b, a, 0)) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        };
        match op {
            Opcode::Not => self.holds(a).map(|h| !h),
            Opcode::And | Opcode::Or if self.kernel.ty(a) == Type::BOOL => {
                let decisive = op == Opcode::Or;
                match (self.holds(a), self.holds(b)) {
                    (Some(x), _) | (_, Some(x)) if x == decisive => Some(decisive),
                    (Some(_), Some(_)) => Some(!decisive),
                    _ => None,
                }
            }
            Opcode::Lt => less(a, b),
            Opcode::Gt => less(b, a),
            Opcode::Ge => less(a, b).map(|l| !l),
            Opcode::Le => less(b, a).map(|l| !l),
            Opcode::Eq | Opcode::Ne => {
                let equal = if at_most(a, b, -1) || at_most(b, a, -1) {
                    false
                } else if at_most(a, b, 0) && at_most(b, a, 0) {
                    true
                } else {
                    return None;
                };
                Some(equal == (op == Opcode::Eq))
            }
            _ => None,
        }
    }

    /// Notes that a condition holds or does not, and all that follows.
    fn learn(&mut self, condition: Value, holds: bool) {
        if !self.facts.assume(condition, holds) {
            return;
        }
        match self.definition(condition).cloned() {
            Some(Definition::Op(op, operands)) => self.learn_op(op, &operands, holds),
            Some(Definition::Merge(way, values)) => self.learn_merge(way, values, holds),
            None => {}
        }
    }

    fn learn_op(&mut self, op: Opcode, operands: &[Value], holds: bool) {
        let (op, a, b) = match (op, operands) {
            (Opcode::Not, &[a]) => return self.learn(a, !holds),
            (Opcode::And, &[a, b]) if holds => {
                self.learn(a, true);
                return self.learn(b, true);
            }
            (Opcode::Or, &[a, b]) if !holds => {
                self.learn(a, false);
                return self.learn(b, false);
            }
            (op, &[a, b]) => (op, a, b),
            _ => return,
        };
        if !matches!(self.kernel.ty(a), Type::Scalar(s) if s.is_int() || s == Scalar::Bool) {
            return;
        }
        match (op, holds) {
            (Opcode::Lt, true) | (Opcode::Ge, false) => self.facts.learn_at_most(a, b, -1),
            (Opcode::Gt, true) | (Opcode::Le, false) => self.facts.learn_at_most(b, a, -1),
            (Opcode::Le, true) | (Opcode::Gt, false) => self.facts.learn_at_most(a, b, 0),
            (Opcode::Ge, true) | (Opcode::Lt, false) => self.facts.learn_at_most(b, a, 0),
            (Opcode::Eq, true) | (Opcode::Ne, false) => {
                self.facts.learn_at_most(a, b, 0);
                self.facts.learn_at_most(b, a, 0);
            }
            (Opcode::Ne, true) | (Opcode::Eq, false) => {
                self.learn_apart(a, b);
                self.learn_apart(b, a);
            }
            _ => {}
        }
    }

    /// `a != b` narrows `a` where `b` is one end of its interval.
    fn learn_apart(&mut self, a: Value, b: Value) {
        let (Some(x), Some(y)) = (self.facts.interval(a), self.facts.interval(b)) else { return };
        if y.lo == y.hi && y.lo == x.lo {
            self.facts.learn_interval(a, Interval::new(x.lo + 1, x.hi));
        } else if y.lo == y.hi && y.lo == x.hi {
            self.facts.learn_interval(a, Interval::new(x.lo, x.hi - 1));
        }
    }

    /// A result of an `if` that is `true` came from the region that does not yield `false`.
    fn learn_merge(&mut self, way: Value, values: [Option<Value>; 2], holds: bool) {
        let impossible = |v: Option<Value>| match v {
            None => true,
            Some(v) => self.facts.interval(v).is_some_and(|i| i.lo == i.hi && (i.lo != 0) != holds),
        };
        let taken = match values.map(impossible) {
            [false, true] => 0,
            [true, false] => 1,
            _ => return,
        };
        self.learn(way, taken == 0);
        if let Some(value) = values[taken] {
            self.learn(value, holds);
        }
    }
}
