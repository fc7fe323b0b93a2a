//! Indices proven to be in bounds by the kernel's contract: `i * n + j < c.len` from
//! `c.len() >= m * n`, `i < m` and `j < n`.
//!
//! # The proof
//! Let `P` be the index as a polynomial over values, taken from its definition by sums, products and
//! shifts in 64 unsigned bits, and `T >= 0` a requirement of the contract in which `len` stands alone
//! with factor 1. All values are unsigned, so are not negative.
//!
//! 1. *No product may wrap unseen.* The machine computes in the integers modulo 2^64, and taking
//!    integers modulo 2^64 respects sums and products: so what it computes is `P` modulo 2^64, however
//!    many partial results wrapped on the way. `P` itself is not negative, since its factors are not.
//!    If also `P < len`, then `P < 2^64`, and `P` is what the machine computed: that is then less than
//!    `len`, too. No partial result has to be looked at.
//! 2. *`P < len`.* This says `len - 1 - P >= 0`, which follows from `R = (len - 1 - P) - T >= 0`. To
//!    show that, values that only lower `R` (whose every term has a negative factor) are replaced by
//!    something that they do not exceed: by `u + c`, where the facts know `x <= u + c` and `u` is a
//!    parameter of the contract, or by the end of their interval. The term's other values are not
//!    negative, so no replacement makes `R` greater. If in the end every factor is positive, `R >= 0`.
//!
//! A length may also be a product itself, as that of `&x[h * n..(h + 1) * n]` is `n` (see
//! [`fold`](crate::passes::fold)): `i * d + j < n * d` from `i < n` and `j < d`. Let `L` be it as a
//! polynomial without negative factors. If the contract has `x - Q >= 0`, and `Q - L` no negative factor,
//! then `L <= x < 2^64`, and the length is `L`. `P < L` is shown as above, and then `P < 2^64`, too.
//!
//! # What would go wrong otherwise
//! * Were `L` not known to be less than 2^64, `n * d` might wrap to less than `i * d`.
//! * Were requirements computed by the host in wrapping arithmetic, `m = n = 2^32` with an empty `c`
//!   would keep `c.len() >= m * n`, and thread (0, 0) would write. They are computed exactly.
//! * Were casts from narrower types looked through, `P` would not be what the machine computes modulo
//!   2^64: `row * n + column` may wrap in an `i32`, and be negative. Casts are values of their own.
//! * Were differences looked through, `P` could be negative: `j - 1` at `j = 0` is less than any
//!   length as an integer, and 2^64 - 1 in the machine. Differences are values of their own.

use super::facts::Facts;
use super::interval::Interval;
use super::polynomial::Polynomial;
use super::{Definition, Walk};
use crate::kernel::{Kernel, Value};
use crate::op::Opcode;
use crate::types::{Scalar, Type};

/// How many replacements a proof may try.
const STEPS: usize = 64;
/// How deep a definition is followed.
const DEPTH: usize = 12;
/// How far below a parameter a value is looked for.
const FAR: i128 = 1 << 20;

/// The requirements, as polynomials that are not negative.
pub(super) fn polynomials(kernel: &Kernel) -> Vec<Polynomial> {
    let polynomial = |terms: &[crate::contract::Term]| {
        terms.iter().try_fold(Polynomial::default(), |sum, term| {
            sum.plus(term.factor.into(), &term.params, 1)
        })
    };
    kernel.requires.iter().filter_map(|r| polynomial(&r.terms)).collect()
}

/// What requirements say of one value, or of two that differ by a constant.
pub(super) fn learn(requirements: &[Polynomial], facts: &mut Facts) {
    for requirement in requirements {
        let constant = requirement.factor(&[]);
        let mut others = requirement.terms().filter(|(values, _)| !values.is_empty());
        match (others.next(), others.next(), others.next()) {
            (Some((&[a], factor)), None, _) => {
                let Some(old) = facts.interval(a) else { continue };
                // factor * a + constant >= 0
                let end = (-constant).div_euclid(factor);
                let exact = end * factor == -constant;
                let known = match factor > 0 {
                    true => Interval::new(end + i128::from(!exact), old.hi),
                    false => Interval::new(old.lo, end),
                };
                facts.learn_interval(a, known);
            }
            (Some((&[a], 1)), Some((&[b], -1)), None)
            | (Some((&[b], -1)), Some((&[a], 1)), None) => {
                facts.learn_at_most(b, a, constant);
            }
            _ => {}
        }
    }
}

impl Walk<'_> {
    /// Whether the contract makes `index` less than `len`.
    pub(super) fn contract_bounds(&self, index: Value, len: Value) -> bool {
        self.requirements.iter().any(|requirement| {
            // Where a value is less than a parameter already, its own definition adds nothing; but
            // what is known of the whole may be less than what is known of its parts.
            [true, false].into_iter().any(|stop_at_known| {
                self.bounded_by(requirement, index, len, stop_at_known).unwrap_or(false)
            })
        }) || self.bounded_by_product(index, len).unwrap_or(false)
    }

    /// Whether `index` is less than `len`, a product or sum that the contract keeps from wrapping.
    fn bounded_by_product(&self, index: Value, len: Value) -> Option<bool> {
        let length = self.expand(len, &[], DEPTH)?;
        let values = length.values();
        let positive = |&v: &Value| self.facts.interval(v).is_some_and(|i| i.lo >= 0);
        if values.is_empty() || !values.iter().all(positive) || !self.is_exact(&length) {
            return Some(false);
        }
        for stops in [&values[..], &[]] {
            let index = self.expand(index, stops, DEPTH)?;
            let room = length.clone().plus(-1, &[], 1)?.add(-1, &index)?;
            if index.values().iter().all(positive)
                && self.not_negative(&room, &values, &mut { STEPS })?
            {
                return Some(true);
            }
        }
        Some(false)
    }

    /// Whether a polynomial over values that are not negative is not negative, and some requirement says
    /// that a value is no less.
    fn is_exact(&self, polynomial: &Polynomial) -> bool {
        let no_less = |requirement: &Polynomial, x: Value| {
            let rest = Polynomial::of(x).add(-1, polynomial)?.add(-1, requirement)?;
            Some(rest.terms().all(|(_, factor)| factor >= 0))
        };
        polynomial.terms().all(|(_, factor)| factor >= 0)
            && self.requirements.iter().any(|requirement| {
                let alone = |&x: &Value| requirement.factor(&[x]) == 1;
                let bound = |x| no_less(requirement, x).unwrap_or(false);
                requirement.values().into_iter().filter(alone).any(bound)
            })
    }

    fn bounded_by(
        &self,
        requirement: &Polynomial,
        index: Value,
        len: Value,
        stop_at_known: bool,
    ) -> Option<bool> {
        let alone = |v: Value| requirement.factor(&[v]) == 1;
        let known = |v: &Value| alone(*v) && (*v == len || self.facts.at_most(*v, len, 0));
        let params = requirement.values();
        let longest = params.iter().copied().find(known)?;
        let stops: &[Value] = if stop_at_known { &params } else { &[] };
        let index = self.expand(index, stops, DEPTH)?;
        let room =
            Polynomial::of(longest).plus(-1, &[], 1)?.add(-1, &index)?.add(-1, requirement)?;
        let positive = |&v: &Value| self.facts.interval(v).is_some_and(|i| i.lo >= 0);
        if !index.values().iter().chain(&params).all(positive) {
            return None;
        }
        self.not_negative(&room, &params, &mut { STEPS })
    }

    /// A value of 64 unsigned bits by sums, products and shifts, up to values that are less than one
    /// of `stops`. The machine computes this, modulo 2^64.
    fn expand(&self, value: Value, stops: &[Value], depth: usize) -> Option<Polynomial> {
        if let Some(Interval { lo, hi }) = self.facts.interval(value)
            && lo == hi
        {
            return Some(Polynomial::constant(lo));
        }
        let known = || stops.iter().any(|&stop| self.facts.at_most(value, stop, -1));
        if self.kernel.ty(value) != Type::Scalar(Scalar::U64) || depth == 0 || known() {
            return Some(Polynomial::of(value));
        }
        let Some(Definition::Op(op, operands)) = self.definition(value) else {
            return Some(Polynomial::of(value));
        };
        let of = |i: usize| self.expand(operands[i], stops, depth - 1);
        match op {
            Opcode::Add => of(0)?.add(1, &of(1)?),
            Opcode::Mul => of(0)?.mul(&of(1)?),
            Opcode::Shl => match self.facts.interval(operands[1]) {
                Some(Interval { lo, hi }) if lo == hi && (0..64).contains(&lo) => {
                    of(0)?.mul(&Polynomial::constant(1 << lo))
                }
                _ => Some(Polynomial::of(value)),
            },
            _ => Some(Polynomial::of(value)),
        }
    }

    /// Whether a polynomial over values that are not negative is surely not negative.
    fn not_negative(&self, sum: &Polynomial, params: &[Value], steps: &mut usize) -> Option<bool> {
        if sum.terms().all(|(_, factor)| factor >= 0) {
            return Some(true);
        }
        let Some(value) = sum.values().into_iter().find(|&v| sum.only_lowers(v)) else {
            return Some(false);
        };
        for bound in self.upper_bounds(value, params) {
            *steps = steps.checked_sub(1)?;
            if self.not_negative(&sum.replace(value, &bound)?, params, steps)? {
                return Some(true);
            }
        }
        Some(false)
    }

    /// What a value does not exceed: a parameter and a constant, or a constant.
    fn upper_bounds(&self, value: Value, params: &[Value]) -> Vec<Polynomial> {
        let by_param = |&param: &Value| {
            let below = |by: i128| self.facts.at_most(value, param, -by);
            if param == value || !below(0) {
                return None;
            }
            // The most that it surely is below, by bisection.
            let (mut sure, mut unsure) = (0, FAR);
            while unsure - sure > 1 {
                let middle = (sure + unsure) / 2;
                if below(middle) { sure = middle } else { unsure = middle }
            }
            Polynomial::of(param).plus(-1, &[], sure)
        };
        let end = self.facts.interval(value).filter(|i| i.hi < FAR);
        let end = end.map(|i| Polynomial::constant(i.hi));
        params.iter().filter_map(by_param).chain(end).collect()
    }
}
