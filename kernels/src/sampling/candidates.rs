//! The greatest elements of a row, found by one warp in one sweep.
//!
//! Elements greater than all that were pruned are gathered in the block's memory; when it is full, it is
//! pruned to as many as are wanted, and the least of those is what later elements must be greater than. Of a
//! row in random order few pass: of `n` elements some `k ln(n / k)`. Candidates stay in the order of the row,
//! so that of equal ones the first are kept.

use kernelsmith::prelude::*;

/// Numbers as integers of the same order; all NaN are one, above infinity, and -0 is 0.
#[device]
pub(super) fn order(x: f32) -> u32 {
    let bits = (x + 0.0).to_bits();
    // Of negative numbers all bits turn, of others the sign.
    let flip = ((bits as i32) >> 31) as u32 | 0x8000_0000;
    if x != x { 0xffff_ffff } else { bits ^ flip }
}

/// Elements by order and place, in the block's memory.
#[derive(Clone, Copy)]
pub(super) struct Candidates {
    keys: Shared<u32>,
    places: Shared<u32>,
    /// Those of the result, by rank.
    pub(super) best: Shared<u32>,
    /// How many there are before they are pruned.
    room: usize,
}

/// Room for the best `most` elements of a row, in the kernel that is staged.
pub(super) fn candidates(most: usize) -> Candidates {
    let room = 4 * most;
    // Those of one warp may be too many.
    let [keys, places] = [(); 2].map(|()| shared::<u32>(room + warp_size()));
    Candidates { keys, places, best: shared::<u32>(most), room }
}

#[device]
impl Candidates {
    /// Puts the places of the `k` greatest elements of a row, which has as many, into `best`, the greatest
    /// first and of equal ones the first first.
    pub(super) fn gather<T: Float>(&self, k: usize, row: &[T]) {
        let mut count = 0usize;
        let mut least = 0u32;
        for start in (0..row.len()).step_by(warp_size()) {
            let at = start + lane_id();
            let key = if at < row.len() { order(row[at].to_f32()) } else { 0 };
            // No number has the key 0.
            let passes = ballot(key > least);
            if passes != 0 {
                let slot = count + (passes & lanes_below()).count_ones() as usize;
                if key > least {
                    self.keys[slot] = key;
                    self.places[slot] = at as u32;
                }
                count += passes.count_ones() as usize;
                warp_sync();
                if count >= self.room {
                    least = self.prune(k, count);
                    count = k;
                }
            }
        }
        if count > k {
            self.prune(k, count);
        }
        self.sort(k);
    }

    /// Keeps the `k` greatest of `count`, in their order; returns the least of them.
    fn prune(&self, k: usize, count: usize) -> u32 {
        // The greatest number that at least k are no less than, bit by bit.
        let mut least = 0u32;
        let mut bit = 0x8000_0000u32;
        while bit != 0 {
            if self.at_least(least | bit, count) >= k as u32 {
                least = least | bit;
            }
            bit = bit >> 1;
        }
        // Of those equal to it, the first.
        let above = self.more_than(least, count);
        let equal = k as u32 - above;
        let mut kept = 0u32;
        let mut seen = 0u32;
        for start in (0..count).step_by(warp_size()) {
            let at = start + lane_id();
            let inside = at < count;
            let key = if inside { self.keys[at] } else { 0 };
            let place = if inside { self.places[at] } else { 0 };
            let ties = ballot(inside & (key == least));
            let rank = seen + (ties & lanes_below()).count_ones();
            let keep = inside & ((key > least) | ((key == least) & (rank < equal)));
            let keeps = ballot(keep);
            let slot = kept + (keeps & lanes_below()).count_ones();
            // All have read before anybody writes, and none writes what is still to be read.
            warp_sync();
            if keep {
                self.keys[slot as usize] = key;
                self.places[slot as usize] = place;
            }
            kept += keeps.count_ones();
            seen += ties.count_ones();
        }
        warp_sync();
        least
    }

    /// How many of `count` keys are at least `least`.
    fn at_least(&self, least: u32, count: usize) -> u32 {
        let mut found = 0u32;
        for at in (lane_id()..count).step_by(warp_size()) {
            found += (self.keys[at] >= least) as u32;
        }
        warp_sum(found)
    }

    /// How many of `count` keys are more than `least`.
    fn more_than(&self, least: u32, count: usize) -> u32 {
        let mut found = 0u32;
        for at in (lane_id()..count).step_by(warp_size()) {
            found += (self.keys[at] > least) as u32;
        }
        warp_sum(found)
    }

    /// Sorts `k` candidates: each goes where as many as are greater, or equal and before it, have room.
    fn sort(&self, k: usize) {
        warp_sync();
        for start in (0..k).step_by(warp_size()) {
            let at = start + lane_id();
            let key = if at < k { self.keys[at] } else { 0 };
            let mut rank = 0usize;
            for other in 0..k {
                let before = self.keys[other];
                let first = (before > key) | ((before == key) & (other < at));
                rank += first as usize;
            }
            if at < k {
                self.best[rank] = self.places[at];
            }
        }
        warp_sync();
    }
}
