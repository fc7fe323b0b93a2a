//! The kernel that draws a token for each row of logits.

use kernelsmith::prelude::*;

use super::candidates::{Candidates, candidates, order};
use super::philox::{philox, uniform};

/// What of sampling is known when its kernel is compiled.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Form {
    /// Room for the likeliest tokens, or 0 if all are kept.
    pub most: usize,
    /// Whether no others are kept: top-k sampling.
    pub limited: bool,
}

/// Logits of a row, as weights of their tokens: `2^((x - greatest) * scale)`.
#[derive(Clone, Copy)]
struct Row<T: Float> {
    x: Slice<T>,
    greatest: Val<f32>,
    scale: Val<f32>,
}

/// Which tokens are kept: those of at least such a weight, and of at least such a rank, that is a logit's order
/// in the upper half and its place from the end in the lower.
#[derive(KernelValue, Clone, Copy)]
struct Kept {
    weight: Val<f32>,
    rank: Val<u64>,
}

#[device]
impl<T: Float> Row<T> {
    fn weight(&self, at: usize) -> f32 {
        ((self.x[at].to_f32() - self.greatest) * self.scale).exp2_fast()
    }

    /// The weight if the token is kept, else 0.
    fn kept(&self, kept: Kept, at: usize) -> f32 {
        let rank = ((order(self.x[at].to_f32()) as u64) << 32) | (0xffff_ffff - at as u64);
        let weight = self.weight(at);
        // NaN stays, and makes NaN of the sum.
        if (rank < kept.rank) | (weight < kept.weight) { 0.0 } else { weight }
    }

    /// The sum of the weights of tokens that are kept.
    fn total(&self, kept: Kept) -> f32 {
        let mut sum = 0.0f32;
        for at in (lane_id()..self.x.len()).step_by(warp_size()) {
            sum += self.kept(kept, at);
        }
        warp_sum(sum)
    }

    /// The token at which the running sum of weights, of tokens in their order, exceeds `share` of all.
    fn pick(&self, kept: Kept, share: f32) -> u32 {
        let bound = share * self.total(kept);
        let mut sum = 0.0f32;
        let mut token = 0u32;
        for start in (0..self.x.len()).step_by(warp_size()) {
            let at = start + lane_id();
            let weight = if at < self.x.len() { self.kept(kept, at) } else { 0.0 };
            let upto = sum + warp_scan_sum(weight);
            let some = ballot(weight > 0.0);
            if some != 0 {
                let over = ballot((weight > 0.0) & (upto > bound));
                // The last token, should rounding have it that none exceeds the share.
                token = start as u32 + (63 - some.leading_zeros());
                if over != 0 {
                    token = start as u32 + over.trailing_zeros();
                    break;
                }
            }
            sum = shuffle(upto, warp_size() as u32 - 1);
        }
        token
    }

    /// Puts the running sums of the weights of the `k` likeliest tokens into `running`; the sum of all.
    fn add_up(&self, list: Candidates, running: Shared<f32>, k: usize) -> f32 {
        let mut sum = 0.0f32;
        for j0 in (0..k).step_by(warp_size()) {
            let j = j0 + lane_id();
            let weight = if j < k { self.weight(list.best[j] as usize) } else { 0.0 };
            let upto = sum + warp_scan_sum(weight);
            if j < k {
                running[j] = upto;
            }
            sum = shuffle(upto, warp_size() as u32 - 1);
        }
        warp_sync();
        sum
    }

    /// How many of the `k` likeliest tokens are kept of weights of `all` together. Both conditions hold for the
    /// first ones, and then no more.
    fn count_kept(
        &self,
        list: Candidates,
        running: Shared<f32>,
        k: usize,
        (top_p, min_p): (f32, f32),
        all: f32,
    ) -> usize {
        let mut kept = 0u32;
        for j in (lane_id()..k).step_by(warp_size()) {
            let before = if j == 0 { 0.0 } else { running[j - 1] };
            let likely = self.weight(list.best[j] as usize) >= min_p;
            // Rounded sums may say that all of it has come when it has not quite.
            let inside = (top_p >= 1.0) | (before < top_p * all);
            kept += ((j == 0) | (likely & inside)) as u32;
        }
        warp_sum(kept) as usize
    }

    /// The token at which the running sum exceeds `share` of that of the `kept` likeliest.
    fn pick_listed(&self, list: Candidates, running: Shared<f32>, kept: usize, share: f32) -> u32 {
        let bound = share * running[kept - 1];
        let mut below = 0u32;
        for j in (lane_id()..kept).step_by(warp_size()) {
            below += (running[j] <= bound) as u32;
        }
        let rank = (warp_sum(below) as usize).min(kept - 1);
        list.best[rank]
    }

    /// The rank of the last token of the shortest list of likeliest ones that have `share` of all weight.
    fn nucleus(&self, share: f32, all: f32) -> u64 {
        let mut rank = 0u64;
        let mut bit = 0x8000_0000_0000_0000u64;
        while bit != 0 {
            if self.total(Kept { weight: 0.0, rank: rank | bit }) >= share * all {
                rank = rank | bit;
            }
            bit = bit >> 1;
        }
        rank
    }
}

/// Draws a token for each row of logits, of those that are kept by their weight `e^(x / temperature)`. A block
/// is one warp and takes one row; `scale` is `log2(e) / temperature`.
///
/// The `k` likeliest tokens are found first. If they have all tokens that are to be kept, which they mostly
/// have, nothing else is looked at; else the least logit to be kept is found bit by bit.
#[kernel(
    block = warp_size(),
    requires = (
        x.len() >= ids.shape(0) * columns,
        columns >= k,
        columns >= 1,
        ids.shape(1) == 1,
        ids.tile(0) == 1,
        ids.tile(1) == 1,
    ),
)]
pub fn sample_kernel<T: Float>(
    #[comptime] form: Form,
    columns: usize,
    k: usize,
    scale: f32,
    top_p: f32,
    min_p: f32,
    seed: u64,
    step: u64,
    uniforms: Option<&[f32]>,
    x: &[T],
    ids: &mut Part<u32, 2>,
) {
    let number = ids.origin(0);
    let start = number * columns;
    let x = &x[start..start + columns];
    let u = match uniforms {
        Some(uniforms) => uniforms[number],
        None => {
            let counter = [number as u32, step as u32, (step >> 32) as u32, 0];
            uniform(philox(counter, [seed as u32, (seed >> 32) as u32])[0])
        }
    };
    let mut token = 0u32;
    let mut found = false;
    let mut greatest = 0.0f32;
    let mut all = 0.0f32;
    if form.most > 0 {
        let list = candidates(form.most);
        list.gather::<T>(k, x);
        greatest = x[list.best[0] as usize].to_f32();
        let row = Row { x, greatest, scale };
        let running = shared::<f32>(form.most);
        let sum = row.add_up(list, running, k);
        all = if form.limited { sum } else { row.total(Kept { weight: 0.0, rank: 0 }) };
        let kept = row.count_kept(list, running, k, (top_p, min_p), all);
        let complete: bool = if form.limited { true } else { (kept < k) | (k == columns) };
        if complete {
            token = row.pick_listed(list, running, kept, u);
            found = true;
        }
    } else {
        let mut max = f32::NEG_INFINITY;
        for at in (lane_id()..columns).step_by(warp_size()) {
            max = max.max(x[at].to_f32());
        }
        greatest = warp_max(max);
        let row = Row { x, greatest, scale };
        all = row.total(Kept { weight: 0.0, rank: 0 });
    }
    device_assert!(
        (all > 0.0) & (all < f32::INFINITY),
        "row {number} has no probabilities: a logit is NaN or infinite, or all are -inf"
    );
    if !found {
        let row = Row { x, greatest, scale };
        let rank = if top_p < 1.0 { row.nucleus(top_p, all) } else { 0 };
        token = row.pick(Kept { weight: min_p, rank }, u);
    }
    if ids.owns([0, 0]) {
        ids[[0, 0]] = token;
    }
}
