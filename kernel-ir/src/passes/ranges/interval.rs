//! Intervals of integers, and what operations make of them.

use crate::attr::{Attr, Dim};
use crate::eval::bounds;
use crate::kernel::Kernel;
use crate::op::Opcode;
use crate::target::Target;
use crate::types::{Scalar, Type};

/// Most blocks along an axis: 2^31 - 1 (CUDA C++ Programming Guide, "Technical Specifications per
/// Compute Capability"); the other devices have no more.
const MAX_GRID: i128 = (1 << 31) - 1;

/// The least and the greatest value an integer can have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Interval {
    pub(super) lo: i128,
    pub(super) hi: i128,
}

impl Interval {
    pub(super) const fn new(lo: i128, hi: i128) -> Interval {
        Interval { lo, hi }
    }

    pub(super) const fn exactly(x: i128) -> Interval {
        Interval { lo: x, hi: x }
    }

    /// All values of a type, as far as it is a scalar integer or `bool`.
    pub(super) fn of_type(ty: Type) -> Option<Interval> {
        match ty {
            Type::Scalar(Scalar::Bool) => Some(Interval::new(0, 1)),
            Type::Scalar(s) if s.is_int() => {
                let (lo, hi) = bounds(s);
                Some(Interval::new(lo, hi))
            }
            _ => None,
        }
    }

    pub(super) fn hull(self, other: Interval) -> Interval {
        Interval::new(self.lo.min(other.lo), self.hi.max(other.hi))
    }

    /// What is in both; `None` if nothing is.
    pub(super) fn meet(self, other: Interval) -> Option<Interval> {
        let both = Interval::new(self.lo.max(other.lo), self.hi.min(other.hi));
        (both.lo <= both.hi).then_some(both)
    }

    pub(super) fn within(self, outer: Interval) -> bool {
        outer.lo <= self.lo && self.hi <= outer.hi
    }

    pub(super) fn add(self, other: Interval) -> Interval {
        Interval::new(self.lo + other.lo, self.hi + other.hi)
    }

    pub(super) fn sub(self, other: Interval) -> Interval {
        Interval::new(self.lo - other.hi, self.hi - other.lo)
    }

    fn mul(self, other: Interval) -> Option<Interval> {
        let mut corners = [0; 4];
        for (i, corner) in corners.iter_mut().enumerate() {
            let a = if i & 1 == 0 { self.lo } else { self.hi };
            let b = if i & 2 == 0 { other.lo } else { other.hi };
            *corner = a.checked_mul(b)?;
        }
        Some(Interval::new(*corners.iter().min()?, *corners.iter().max()?))
    }
}

/// The interval of an id or extent.
pub(super) fn of_id(kernel: &Kernel, target: &Target, op: Opcode, attr: &Attr) -> Option<Interval> {
    let axis = match attr {
        Attr::Dim(Dim::X) => 0,
        Attr::Dim(Dim::Y) => 1,
        _ => 2,
    };
    let threads = i128::from(target.max_threads());
    let block = kernel.block_dim.map(|b| i128::from(b[axis]));
    let warp = i128::from(target.warp_size());
    Some(match op {
        Opcode::ThreadIdx => Interval::new(0, block.unwrap_or(threads) - 1),
        Opcode::BlockDim => block.map_or(Interval::new(1, threads), Interval::exactly),
        Opcode::BlockIdx => Interval::new(0, MAX_GRID - 1),
        Opcode::GridDim => Interval::new(1, MAX_GRID),
        Opcode::LaneId => Interval::new(0, warp - 1),
        Opcode::WarpId => Interval::new(0, (threads + warp - 1) / warp - 1),
        _ => return None,
    })
}

/// The interval of a pure operation's result of type `ty`, from its operands'. What may leave the
/// type's range wraps, and is then not bounded.
pub(super) fn of_op(op: Opcode, operands: &[Interval], ty: Type) -> Option<Interval> {
    let whole = Interval::of_type(ty)?;
    let bits = ty.elem().bits();
    let known = match (op, operands) {
        (Opcode::Add, [a, b]) => Some(a.add(*b)),
        (Opcode::Sub, [a, b]) => Some(a.sub(*b)),
        (Opcode::Mul, [a, b]) => a.mul(*b),
        (Opcode::Neg, [a]) => Some(Interval::exactly(0).sub(*a)),
        (Opcode::Abs, [a]) => Some(absolute(*a)),
        (Opcode::Min, [a, b]) => Some(Interval::new(a.lo.min(b.lo), a.hi.min(b.hi))),
        (Opcode::Max, [a, b]) => Some(Interval::new(a.lo.max(b.lo), a.hi.max(b.hi))),
        (Opcode::Select, [_, a, b]) => Some(a.hull(*b)),
        (Opcode::Cast, [a]) => Some(*a),
        (Opcode::CountOnes | Opcode::LeadingZeros | Opcode::TrailingZeros, _) => {
            Some(Interval::new(0, 64))
        }
        (Opcode::Rem, [a, b]) => remainder(*a, *b),
        (_, [a, b]) if a.lo >= 0 && b.lo >= 0 => of_positive(op, *a, *b, bits),
        _ => None,
    };
    Some(known.filter(|i| i.within(whole)).unwrap_or(whole))
}

fn absolute(a: Interval) -> Interval {
    let least = if a.lo <= 0 && a.hi >= 0 { 0 } else { a.lo.abs().min(a.hi.abs()) };
    Interval::new(least, a.lo.abs().max(a.hi.abs()))
}

/// The remainder has the dividend's sign and is nearer to 0 than both operands, or is the dividend.
fn remainder(a: Interval, b: Interval) -> Option<Interval> {
    let most = b.lo.abs().max(b.hi.abs()) - 1;
    (most >= 0).then(|| Interval::new(a.lo.max(-most).min(0), a.hi.min(most).max(0)))
}

fn of_positive(op: Opcode, a: Interval, b: Interval, bits: u32) -> Option<Interval> {
    let amount = |b: i128| u32::try_from(b).ok().filter(|&b| b < bits);
    // All bits up to the highest that either may have.
    let ones = |x: i128| if x == 0 { 0 } else { i128::MAX >> (x.leading_zeros() - 1) };
    Some(match op {
        Opcode::Div if b.lo > 0 => Interval::new(a.lo / b.hi, a.hi / b.lo),
        Opcode::And => Interval::new(0, a.hi.min(b.hi)),
        Opcode::Or => Interval::new(a.lo.max(b.lo), ones(a.hi.max(b.hi))),
        Opcode::Xor => Interval::new(0, ones(a.hi.max(b.hi))),
        Opcode::Shr => Interval::new(a.lo >> amount(b.hi)?, a.hi >> amount(b.lo)?),
        // Amounts are below 64 and values below 2^64, so nothing is lost here.
        Opcode::Shl => Interval::new(a.lo << amount(b.lo)?, a.hi.checked_shl(amount(b.hi)?)?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attr::Const;
    use crate::eval::eval;

    /// On every pair of small intervals of bytes, each result lies in the interval computed.
    #[test]
    fn intervals_hold_every_result() {
        use Opcode::{Add, And, Div, Max, Min, Mul, Or, Rem, Shl, Shr, Sub, Xor};
        let ops = [Add, Sub, Mul, Min, Max, Div, Rem, And, Or, Xor, Shl, Shr];
        for ty in [Scalar::U8, Scalar::I8] {
            let samples = [-128i128, -127, -7, -2, -1, 0, 1, 2, 3, 7, 8, 100, 127, 200, 255];
            let (lo, hi) = bounds(ty);
            let points: Vec<i128> = samples.into_iter().filter(|x| (lo..=hi).contains(x)).collect();
            for op in ops {
                let shift = matches!(op, Shl | Shr);
                let right = if shift { Scalar::U32 } else { ty };
                for (a, b) in pairs(&points) {
                    for (c, d) in pairs(&points) {
                        let operands = [Interval::new(a, b), Interval::new(c, d)];
                        if shift && c < 0 {
                            continue;
                        }
                        let known = of_op(op, &operands, Type::Scalar(ty)).unwrap();
                        for x in [a, b] {
                            for y in [c, d, (c + d) / 2] {
                                let xy = [Const::int(ty, x), Const::int(right, y)];
                                if let Some(r) = eval(op, &xy, ty) {
                                    let r = r.as_int();
                                    assert!(
                                        known.lo <= r && r <= known.hi,
                                        "{op:?} {operands:?}: {x} {y} = {r} not in {known:?}"
                                    );
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    fn pairs(points: &[i128]) -> Vec<(i128, i128)> {
        let with = |&a: &i128| points.iter().filter(move |&&b| b >= a).map(move |&b| (a, b));
        points.iter().flat_map(with).collect()
    }
}
