//! What is known of integers at a place: their intervals, and differences between them.
//!
//! A difference is `a <= b + c` for values `a`, `b` and a constant `c`. They form a graph, and to
//! prove `a < b` is to find a path from `a` to `b` whose constants add up to less than 0 (Bodík,
//! Gupta and Sarkar, "ABCD: eliminating array bounds checks on demand", PLDI 2000). Values count
//! as the integers they are, whatever their types, so that a widening cast is an equality.
//!
//! All differences are forgotten at the end of the region where they were noted. For those that
//! conditions say this is plain. Those that definitions say may rest on conditions too (that a sum
//! does not wrap), and lead from values still alive to such as are not.

use super::interval::Interval;
use crate::kernel::Value;
use crate::types::Type;

/// How long a path may be.
const LENGTH: usize = 8;
/// How many steps one proof may take: a bound on the work, rarely reached.
const STEPS: usize = 200;

enum Undo {
    Interval(Value, Interval),
    Edge(Value),
    Truth(Value),
}

pub(super) struct Facts {
    intervals: Vec<Option<Interval>>,
    /// By `a`: each `(b, c)` with `a <= b + c`.
    edges: Vec<Vec<(Value, i128)>>,
    /// By value, two others of which it is one; a proof must hold for each.
    choices: Vec<Option<[Value; 2]>>,
    truths: Vec<Option<bool>>,
    log: Vec<Undo>,
}

impl Facts {
    /// What the types say.
    pub(super) fn new(types: &[Type]) -> Facts {
        Facts {
            intervals: types.iter().map(|&ty| Interval::of_type(ty)).collect(),
            edges: vec![Vec::new(); types.len()],
            choices: vec![None; types.len()],
            truths: vec![None; types.len()],
            log: Vec::new(),
        }
    }

    /// Takes new values in.
    pub(super) fn grow(&mut self, types: &[Type]) {
        let old = self.intervals.len();
        self.intervals.extend(types[old..].iter().map(|&ty| Interval::of_type(ty)));
        self.edges.resize(types.len(), Vec::new());
        self.choices.resize(types.len(), None);
        self.truths.resize(types.len(), None);
    }

    /// A place to go back to.
    pub(super) fn mark(&self) -> usize {
        self.log.len()
    }

    /// Forgets what conditions said since the mark.
    pub(super) fn forget(&mut self, mark: usize) {
        for undo in self.log.drain(mark..).rev() {
            match undo {
                Undo::Interval(value, old) => self.intervals[value.index()] = Some(old),
                Undo::Edge(a) => drop(self.edges[a.index()].pop()),
                Undo::Truth(value) => self.truths[value.index()] = None,
            }
        }
    }

    /// The interval of a scalar integer or `bool`.
    pub(super) fn interval(&self, value: Value) -> Option<Interval> {
        self.intervals[value.index()]
    }

    /// Whether a condition is known to hold or not to hold.
    pub(super) fn truth(&self, condition: Value) -> Option<bool> {
        let constant = self.interval(condition).filter(|i| i.lo == i.hi).map(|i| i.lo != 0);
        self.truths[condition.index()].or(constant)
    }

    /// Notes what a condition comes to, until forgotten. Whether that was new.
    pub(super) fn assume(&mut self, condition: Value, holds: bool) -> bool {
        let new = self.truths[condition.index()].is_none();
        if new {
            self.truths[condition.index()] = Some(holds);
            self.log.push(Undo::Truth(condition));
        }
        new
    }

    /// A definition bounds its value, by this interval too.
    pub(super) fn define(&mut self, value: Value, interval: Interval) {
        if let Some(old) = self.intervals[value.index()] {
            self.intervals[value.index()] = Some(old.meet(interval).unwrap_or(old));
        }
    }

    /// A definition says `a <= b + c`.
    pub(super) fn relate(&mut self, a: Value, b: Value, c: i128) {
        self.edges[a.index()].push((b, c));
        self.log.push(Undo::Edge(a));
    }

    /// A definition makes a value one of two others.
    pub(super) fn define_choice(&mut self, value: Value, choice: [Value; 2]) {
        self.choices[value.index()] = Some(choice);
    }

    /// A condition bounds a value, until forgotten.
    pub(super) fn learn_interval(&mut self, value: Value, interval: Interval) {
        let Some(old) = self.intervals[value.index()] else { return };
        // Nothing in common: control never gets here, and anything may be believed.
        if let Some(new) = old.meet(interval).filter(|&new| new != old) {
            self.intervals[value.index()] = Some(new);
            self.log.push(Undo::Interval(value, old));
        }
    }

    /// A condition says `a <= b + c`, until forgotten.
    pub(super) fn learn_at_most(&mut self, a: Value, b: Value, c: i128) {
        let (Some(x), Some(y)) = (self.interval(a), self.interval(b)) else { return };
        self.relate(a, b, c);
        self.learn_interval(a, Interval::new(x.lo, y.hi + c));
        self.learn_interval(b, Interval::new(x.lo - c, y.hi));
    }

    /// Whether surely `a <= b + c`.
    pub(super) fn at_most(&self, a: Value, b: Value, c: i128) -> bool {
        self.prove(a, b, c, LENGTH, &mut { STEPS })
    }

    fn prove(&self, a: Value, b: Value, c: i128, length: usize, steps: &mut usize) -> bool {
        if a == b && c >= 0 {
            return true;
        }
        let (Some(x), Some(y)) = (self.interval(a), self.interval(b)) else { return false };
        if x.hi <= y.lo + c {
            return true;
        }
        if length == 0 || *steps == 0 {
            return false;
        }
        *steps -= 1;
        // a <= next + d and next <= b + (c - d).
        let mut by = |&(next, d): &(Value, i128)| self.prove(next, b, c - d, length - 1, steps);
        if self.edges[a.index()].iter().rev().any(&mut by) {
            return true;
        }
        if let Some([p, q]) = self.choices[a.index()]
            && self.prove(p, b, c, length - 1, steps)
            && self.prove(q, b, c, length - 1, steps)
        {
            return true;
        }
        match self.choices[b.index()] {
            Some([p, q]) => {
                self.prove(a, p, c, length - 1, steps) && self.prove(a, q, c, length - 1, steps)
            }
            None => false,
        }
    }
}
