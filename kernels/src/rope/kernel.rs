//! The kernel of rotary embeddings.

use kernelsmith::prelude::*;

/// What of a rotary embedding is known when its kernel is compiled.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Form {
    /// Whether pairs are neighbours, of which `y` has one part; else of two parts.
    pub interleaved: bool,
    /// Whether it turns back.
    pub inverse: bool,
    /// Angles that the block has room for: as many as there are columns in a part.
    pub capacity: usize,
}

/// `y[row, part, column]` is `x`'s, or what `y` was, turned, by `turns` of a position or, without them, by `tables`
/// of cosines and, behind them, sines; rows are the heads of a token, those of the next
/// and so on. A block is one warp and has whole tokens, whose angles all heads share.
#[kernel(
    block = warp_size(),
    requires = (
        heads >= 1,
        y.tile(2) >= y.shape(2),
        y.shape(2) <= form.capacity,
        y.tile(1) >= y.shape(1),
    ),
)]
pub fn rope_kernel<T: Float>(
    #[comptime] form: Form,
    heads: usize,
    positions: &[u32],
    turns: Option<&[u64]>,
    tables: &[f32],
    d: usize,
    x: Option<&[T]>,
    y: &mut Part<T, 3>,
) {
    let width = y.shape(2);
    let (cos, sin) = (shared::<f32>(form.capacity), shared::<f32>(form.capacity));
    let first = y.origin(0) / heads;
    for token in 0..y.count(0) / heads {
        let position = positions[first + token] as usize;
        for j in 0..y.count(2) {
            let e = y.global(2, j);
            let (c, s) = match turns {
                Some(turns) => cos_sin(position as u64 * turns[e]),
                None => {
                    let half = tables.len() / 2;
                    let (cosines, sines) = (&tables[0..half], &tables[half..half + half]);
                    let (row, column) =
                        if form.interleaved { (width / 2, e / 2) } else { (width, e) };
                    (cosines[position * row + column], sines[position * row + column])
                }
            };
            let s = if form.inverse { -s } else { s };
            cos[e] = c;
            // The first of a pair takes the sine of the second away.
            sin[e] = if form.interleaved { if e % 2 == 0 { -s } else { s } } else { s };
        }
        for head in 0..heads {
            let i = token * heads + head;
            let row = y.global(0, i);
            if form.interleaved {
                for start in (0..width).step_by(warp_size()) {
                    let e = start + lane_id();
                    let there = e < width;
                    let own = if there {
                        match x {
                            Some(x) => x[row * d + e].to_f32(),
                            None => y[[i, 0, start / warp_size()]].to_f32(),
                        }
                    } else {
                        0.0
                    };
                    // A pair is of neighbouring lanes.
                    let other = shuffle_xor(own, 1);
                    if there {
                        let turned = other.mul_add(sin[e], own * cos[e]);
                        y[[i, 0, start / warp_size()]] = turned.cast::<T>();
                    }
                }
            } else {
                for j in 0..y.count(2) {
                    let e = y.global(2, j);
                    let (a, b) = match x {
                        Some(x) => (x[row * d + e], x[row * d + width + e]),
                        None => (y[[i, 0, j]], y[[i, 1, j]]),
                    };
                    let (a, b) = (a.to_f32(), b.to_f32());
                    let (c, s) = (cos[e], sin[e]);
                    y[[i, 0, j]] = a.mul_add(c, -(b * s)).cast::<T>();
                    y[[i, 1, j]] = b.mul_add(c, a * s).cast::<T>();
                }
            }
        }
    }
}

/// The cosine and sine of a fraction of a turn.
#[device]
fn cos_sin(turn: u64) -> (f32, f32) {
    // As a number of 32 bits with a sign: from half a turn back to half a turn on.
    let half = (turn >> 32) as u32 as i32;
    let angle = half as f32 * (std::f32::consts::TAU / 4_294_967_296.0);
    (angle.cos(), angle.sin())
}
