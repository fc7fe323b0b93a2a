//! Sums over the lanes of a warp of several keys' products at a time.

use kernelsmith::prelude::*;

/// Keys whose products are summed together: a power of two.
pub(super) const KEYS: usize = 8;

/// How lanes halve the keys between them, by distances of lanes. The first halving, of most numbers, is
/// the cheapest on the CPU, where it takes halves of a warp. The last is of neighbours, so that words of
/// their weights are of neighbouring keys.
fn halvings() -> [usize; 3] {
    [warp_size() / 2, 2, 1]
}

/// Of each key `values` are summed over the lanes; lane `i` gets the sums of key `key_of_lane() % KEYS`.
///
/// The lanes halve the keys between them step by step: each keeps one of two, and gets for it what the lane
/// that keeps the other has. For eight keys that takes 7 steps, and one more for each time that lanes which
/// keep the same key are twice as many, where sums of one key after the other take as many each.
pub(super) fn warp_sums<const N: usize>(values: impl Fn(usize) -> [Val<f32>; N]) -> [Val<f32>; N] {
    let others = (0..warp_size().ilog2()).map(|bit| 1 << bit);
    let others: Vec<usize> = others.filter(|distance| !halvings().contains(distance)).collect();
    halve(0, KEYS, &values).map(|sum| {
        others.iter().fold(sum, |sum, &distance| sum + shuffle_xor(sum, distance as u32))
    })
}

/// Of every `KEYS / len`th key from `first` on. Two are added up as soon as they are there, so that few
/// numbers wait in registers.
fn halve<const N: usize>(
    first: usize,
    len: usize,
    values: &impl Fn(usize) -> [Val<f32>; N],
) -> [Val<f32>; N] {
    if len == 1 {
        return values(first);
    }
    let (half, apart) = (len / 2, KEYS / len);
    let (a, b) = (halve(first, half, values), halve(first + apart, half, values));
    let distance = halvings()[2 - apart.ilog2() as usize];
    std::array::from_fn(|i| keep_one(a[i], b[i], distance))
}

/// What this lane and the one `distance` away have of `a` or, where the lane's index has that bit, of `b`.
#[device]
fn keep_one(a: f32, b: f32, #[comptime] distance: usize) -> f32 {
    let second = thread_idx_x() as u32 & distance as u32 != 0;
    let kept = Val::<f32>::select(second, b, a);
    let given = Val::<f32>::select(second, a, b);
    kept + shuffle_xor(given, distance as u32)
}

/// Which group of [`KEYS`] keys this lane has its key of, where a warp has as many keys as lanes.
#[device]
pub(super) fn group_of_lane() -> usize {
    thread_idx_x() / 4 % (warp_size() / KEYS)
}

/// This lane's key.
#[device]
pub(super) fn key_of_lane() -> usize {
    let lane = thread_idx_x();
    group_of_lane() * KEYS + lane / (warp_size() / 2) * 4 + lane % 4
}

/// The lane of one of a tile's keys.
#[device]
pub(super) fn lane_of_key(key: usize) -> usize {
    let key = key % warp_size();
    key / KEYS * 4 + key / 4 % 2 * (warp_size() / 2) + key % 4
}
