//! The kernels of scans.

use kernelsmith::prelude::*;

use crate::reduce::{Reduction, Step, reduce_run};

/// Which elements a running result is of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Scan {
    /// All up to the own one.
    Inclusive,
    /// All before the own one; of none what the function has as its identity.
    Exclusive,
}

/// What of a scan is known when its kernel is compiled.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Form {
    /// Which elements results are of.
    pub scan: Scan,
    /// Whether the function is the sum, of which lanes may be taken in any order.
    pub sum: bool,
    /// Whether what a sum loses by rounding is carried along.
    pub compensated: bool,
}

/// What came before: a number, or the sum of two of which the second is what the first has lost.
#[derive(KernelValue, Clone, Copy)]
struct Carry<A: Num> {
    value: Val<A>,
    lost: Val<A>,
}

#[device]
impl<A: Num> Carry<A> {
    /// With a result after it.
    fn followed_by(
        &self,
        #[comptime] form: Form,
        combine: impl Fn(A, A) -> A + Copy,
        next: A,
    ) -> Carry<A> {
        let value = combine(self.value, next);
        if form.compensated {
            // TwoSum (Knuth, The Art of Computer Programming, volume 2, 4.2.2).
            let other = value - self.value;
            let lost = (self.value - (value - other)) + (next - other);
            // Of infinities and NaN nothing is lost.
            let finite = lost - lost == lost - lost;
            Carry::<A> { value, lost: if finite { self.lost + lost } else { self.lost } }
        } else {
            Carry::<A> { value, lost: self.lost }
        }
    }

    /// The running result, of what lanes up to one's own have.
    fn with(&self, #[comptime] form: Form, combine: impl Fn(A, A) -> A + Copy, own: A) -> A {
        if form.compensated { self.value + (self.lost + own) } else { combine(self.value, own) }
    }
}

/// What `combine` makes of the lanes up to one's own or before it, and of all.
#[device]
fn scan_warp<A: Num>(
    #[comptime] form: Form,
    combine: impl Fn(A, A) -> A + Copy,
    identity: A,
    x: A,
) -> (A, A) {
    let upto = warp_scan(x, combine);
    let all = shuffle(upto, warp_size() as u32 - 1);
    match form.scan {
        Scan::Inclusive => (upto, all),
        Scan::Exclusive => {
            let before = shuffle_up(upto, 1);
            (if lane_id() == 0 { identity } else { before }, all)
        }
    }
}

/// The scan of each row of `y`, or of a chunk of the row, as many columns as a tile has. A block is one warp;
/// `before` has what chunks come to, `first` of which precede the row.
#[kernel(block = warp_size(), requires = (x.len() >= y.shape(0) * columns, columns == y.shape(1), y.tile(1) >= 1))]
pub fn scan_rows_kernel<T: Num, A: Num, O: Num>(
    #[comptime] form: Form,
    #[comptime] streaming: bool,
    columns: usize,
    first: usize,
    identity: A,
    combine: impl Fn(A, A) -> A + Copy,
    before: Option<&[A]>,
    x: &[T],
    y: &mut Part<O, 2>,
) {
    let origin = y.origin(1);
    let own = y.tile(1).min(columns - origin);
    let whole = own / warp_size();
    for i in 0..y.count(0) {
        let row = y.global(0, i) * columns + origin;
        let x = &x[row..row + own];
        let mut carry = Carry::<A> { value: identity, lost: identity };
        if let Some(before) = before {
            let chunks = first + origin / y.tile(1);
            carry.value = total(form, combine, identity, &before[0..chunks]);
        }
        for j in 0..whole {
            let value = x[j * warp_size() + lane_id()].cast::<A>();
            let (result, all) = scan_warp(form, combine, identity, value);
            let result = carry.with(form, combine, result).cast::<O>();
            if streaming {
                y.store_streaming([i, j], result);
            } else {
                y[[i, j]] = result;
            }
            carry = carry.followed_by(form, combine, all);
        }
        if whole * warp_size() < own {
            let there = whole * warp_size() + lane_id() < own;
            let value =
                if there { x[whole * warp_size() + lane_id()].cast::<A>() } else { identity };
            let (result, _) = scan_warp(form, combine, identity, value);
            if there {
                y[[i, whole]] = carry.with(form, combine, result).cast::<O>();
            }
        }
    }
}

/// What `combine` makes of some numbers, on every lane.
#[device]
fn total<T: Num, A: Num>(
    #[comptime] form: Form,
    combine: impl Fn(A, A) -> A + Copy,
    identity: A,
    x: &[T],
) -> A {
    if form.sum {
        let step = Step { first: true, last: true };
        warp_sum(reduce_run::<T, A>(Reduction::Sum, step, identity, x))
    } else {
        let mut all = identity;
        for start in (0..x.len()).step_by(warp_size()) {
            let there = start + lane_id() < x.len();
            let value = if there { x[start + lane_id()].cast::<A>() } else { identity };
            all = combine(all, warp_reduce(value, combine));
        }
        all
    }
}

/// What each chunk of `run` elements comes to.
#[kernel(block = warp_size(), requires = (totals.tile(0) == 1, totals.tile(1) == 1))]
pub fn scan_totals_kernel<T: Num, A: Num>(
    #[comptime] form: Form,
    run: usize,
    identity: A,
    combine: impl Fn(A, A) -> A + Copy,
    x: &[T],
    totals: &mut Part<A, 2>,
) {
    let start = (totals.origin(1) * run).min(x.len());
    let sum = total(form, combine, identity, &x[start..(start + run).min(x.len())]);
    if totals.owns([0, 0]) {
        totals[[0, 0]] = sum;
    }
}
