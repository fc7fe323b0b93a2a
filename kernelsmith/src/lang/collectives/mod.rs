//! Reductions, scans and votes of a warp and of a block.

mod block;
mod warp;

pub(crate) use block::when;
pub use block::{
    block_all, block_any, block_broadcast, block_count, block_max, block_min, block_reduce,
    block_scan, block_scan_exclusive, block_scan_sum, block_sum, block_threads, thread_rank,
};
pub use warp::{
    ballot, lanes_below, match_any, shuffle, shuffle_down, shuffle_up, shuffle_xor, warp_all,
    warp_any, warp_broadcast, warp_lanes, warp_max, warp_min, warp_reduce, warp_scan,
    warp_scan_exclusive, warp_scan_sum, warp_sum,
};
