//! Barriers and collective operations where not all threads come: errors of compiling, at the
//! user's line, with the line that divides the threads.
//!
//! Lines are found by markers: `//~ name` where the operation stands, `//~ name: reason` where the
//! threads come apart for the first time.

#![allow(dead_code, reason = "most kernels here are only compiled")]

use kernelsmith::prelude::*;
use kernelsmith::{StagingError, Target, ir};

const SOURCE: &str = include_str!("convergence.rs");

/// Lines count from 1; a marker alone is of the line before.
fn line_of(marker: &str) -> usize {
    let before = |line: &'static str| {
        let (code, found) = line.split_once("//~ ")?;
        (found == marker).then_some(code)
    };
    let mut lines = SOURCE.lines().map(before).enumerate();
    let (at, code) = lines.find_map(|(at, code)| Some((at, code?))).expect(marker);
    if code.trim().is_empty() { at } else { at + 1 }
}

type Staged = Result<ir::Kernel, StagingError>;

fn prepared(kernel: Staged) -> Result<ir::Kernel, String> {
    let target: Target = "sm_90a".parse().unwrap();
    ir::passes::prepare(&kernel.unwrap(), &target).map_err(|error| error.to_string())
}

/// The kernel is refused for `op` at the line `name`, on account of the line `name: reason`.
#[track_caller]
fn refused(kernel: Staged, name: &str, op: &str, group: &str, source: &str) {
    let text = prepared(kernel).map(|k| k.to_string()).expect_err("a kernel that is refused");
    let has = |what: &str, line: usize| {
        let place = format!("convergence.rs:{line}:");
        text.lines().any(|l| l.contains(what) && l.contains(&place))
    };
    let rule = format!("`{op}` must be reached by every thread of the {group} together");
    assert!(has(&rule, line_of(name)), "{name}: {text}");
    let reason = line_of(&format!("{name}: reason"));
    assert!(has(&format!("comes from `{source}`"), reason), "{name}: {text}");
    assert!(text.contains("instead of") || text.contains("decide by what the"), "{text}");
}

macro_rules! ir {
    ($kernel:ident) => {
        $kernel(&"sm_90a".parse().unwrap())
    };
}

#[kernel]
fn in_a_branch(x: &mut [f32]) {
    let i = thread_idx_x(); //~ branch: reason
    let near = i < 7;
    if near {
        barrier(); //~ branch
    }
    x[i] = 0.0;
}

#[kernel]
fn in_the_other_branch(x: &mut [f32]) {
    if lane_id() == 0 {
        //~ else: reason
        x[0] = 0.0;
    } else {
        barrier(); //~ else
    }
}

#[kernel]
fn in_both_branches(x: &mut [f32]) {
    let i = thread_idx_x(); //~ both: reason
    if i < 32 {
        x[i] = 1.0;
        barrier(); //~ both
    } else {
        barrier();
    }
}

#[test]
fn branches() {
    refused(ir!(in_a_branch_ir), "branch", "barrier", "block", "thread_idx");
    refused(ir!(in_the_other_branch_ir), "else", "barrier", "block", "lane_id");
    refused(ir!(in_both_branches_ir), "both", "barrier", "block", "thread_idx");
}

#[kernel]
fn loop_of_own_length(x: &mut [f32]) {
    let lane = lane_id(); //~ length: reason
    let mut sum = 0.0;
    for i in 0..lane {
        sum += warp_sum(x[i as usize]); //~ length
    }
    x[0] = sum;
}

#[kernel]
fn stepped_loop(n: usize, x: &mut [f32]) {
    let first = global_idx_x(); //~ stepped: reason
    for i in (first..n).step_by(block_dim_x()) {
        x[i] = 1.0;
        barrier(); //~ stepped
    }
}

#[kernel]
fn while_of_own_length(x: &mut [f32]) {
    let mut n = thread_idx_x(); //~ while: reason
    while n > 0 {
        barrier(); //~ while
        n /= 2;
    }
    x[0] = 0.0;
}

#[kernel]
fn until_broken(n: u32, x: &mut [f32]) {
    let own = thread_idx_x() as u32; //~ break: reason
    for i in 0..n {
        barrier(); //~ break
        if i == own {
            break;
        }
    }
    x[0] = 0.0;
}

#[kernel]
fn left_from_within(n: u32, x: &mut [f32]) {
    let own = thread_idx_y() as u32; //~ label: reason
    'all: for i in 0..n {
        for j in 0..n {
            if i * j == own {
                break 'all;
            }
        }
        barrier(); //~ label
    }
    x[0] = 0.0;
}

#[kernel]
fn skipped(n: u32, x: &mut [f32]) {
    let own = lane_id() as u32; //~ continue: reason
    for i in 0..n {
        if i == own {
            continue;
        }
        warp_sync(); //~ continue
    }
    x[0] = 0.0;
}

/// How often a thread has gone round decides how often it goes round the next loop.
#[kernel]
fn counted_rounds(x: &mut [f32]) {
    let own = thread_idx_x() as u32; //~ rounds: reason
    let mut rounds = 0u32;
    loop {
        if rounds * rounds >= own {
            break;
        }
        rounds += 1;
    }
    barrier();
    for _ in 0..rounds {
        barrier(); //~ rounds
    }
    x[0] = 0.0;
}

/// The body of a host loop is there four times.
#[kernel]
fn unrolled(x: &mut [f32]) {
    let own = lane_id(); //~ unrolled: reason
    for i in unroll(0..4) {
        if own == i {
            break;
        }
        barrier(); //~ unrolled
    }
    x[0] = 0.0;
}

#[test]
fn loops() {
    refused(ir!(loop_of_own_length_ir), "length", "warp_reduce", "warp", "lane_id");
    refused(ir!(stepped_loop_ir), "stepped", "barrier", "block", "thread_idx");
    refused(ir!(while_of_own_length_ir), "while", "barrier", "block", "thread_idx");
    refused(ir!(until_broken_ir), "break", "barrier", "block", "thread_idx");
    refused(ir!(left_from_within_ir), "label", "barrier", "block", "thread_idx");
    refused(ir!(skipped_ir), "continue", "warp_sync", "warp", "lane_id");
    refused(ir!(counted_rounds_ir), "rounds", "barrier", "block", "thread_idx");
    refused(ir!(unrolled_ir), "unrolled", "barrier", "block", "lane_id");
}

#[kernel]
fn after_return(x: &mut [f32]) {
    let i = global_idx_x(); //~ return: reason
    if i >= x.len() {
        return;
    }
    let value = x[i];
    x[i] = warp_sum(value); //~ return
}

/// Who returns in the first round is not there in the second.
#[kernel]
fn returned_in_a_round(n: u32, x: &mut [f32]) {
    let i = thread_idx_x(); //~ round: reason
    for k in 0..n {
        let sum = warp_max(1.0f32); //~ round
        if i == k as usize {
            x[i] = sum;
            return;
        }
    }
}

#[test]
fn early_returns() {
    refused(ir!(after_return_ir), "return", "warp_reduce", "warp", "thread_idx");
    refused(ir!(returned_in_a_round_ir), "round", "warp_reduce", "warp", "thread_idx");
}

#[kernel]
fn in_an_arm(x: &mut [f32]) {
    match thread_idx_x() % 3 {
        //~ match: reason
        0 => x[0] = 1.0,
        1 | 2 => barrier(), //~ match
        _ => {}
    }
}

#[kernel]
fn in_a_closure(x: &mut [f32]) {
    let i = thread_idx_x(); //~ closure: reason
    let meet = |v: f32| {
        barrier(); //~ closure
        v + 1.0
    };
    if i % 2 == 0 {
        x[i] = meet(2.0);
    }
}

#[device]
fn exchange(v: f32) -> f32 {
    shuffle_xor(v, 1) //~ function
}

#[kernel]
fn in_a_function(x: &mut [f32]) {
    let i = thread_idx_x(); //~ function: reason
    if i < 16 {
        x[i] = exchange(x[i]);
    }
}

#[kernel]
fn on_the_right(x: &mut [f32]) {
    let i = thread_idx_x(); //~ and: reason
    if i > 3 && warp_any(i == 5) {
        //~ and
        x[i] = 0.0;
    }
}

#[test]
fn matches_closures_functions_and_short_circuits() {
    refused(ir!(in_an_arm_ir), "match", "barrier", "block", "thread_idx");
    refused(ir!(in_a_closure_ir), "closure", "barrier", "block", "thread_idx");
    refused(ir!(in_a_function_ir), "function", "shuffle_xor", "warp", "thread_idx");
    refused(ir!(on_the_right_ir), "and", "vote_any", "warp", "thread_idx");
}

#[kernel]
fn ballot_in_a_branch(x: &mut [u64]) {
    let i = lane_id(); //~ ballot: reason
    if i < 16 {
        x[i] = ballot(i > 3); //~ ballot
    }
}

/// Nobody uses what it gives: it hangs all the same.
#[kernel]
fn unused_sum(x: &mut [f32]) {
    let i = thread_idx_x(); //~ unused: reason
    if i < 16 {
        warp_sum(1.0f32); //~ unused
    }
    x[i] = 0.0;
}

#[kernel]
fn reduced_in_a_branch(x: &mut [f32]) {
    let i = thread_idx_x(); //~ reduction: reason
    if i < 16 {
        x[i] = block_sum(x[i]); //~ reduction
    }
}

#[kernel(block = 128)]
fn scanned_by_a_warp(x: &mut [f32]) {
    let i = thread_idx_x();
    let of_warp = warp_id(); //~ scan: reason
    if of_warp == 0 {
        x[i] = block_scan_sum(x[i]); //~ scan
    }
}

#[kernel]
fn broadcast_after_return(x: &mut [f32]) {
    let i = thread_idx_x(); //~ broadcast: reason
    if i == 0 {
        return;
    }
    x[i] = block_broadcast(x[i]); //~ broadcast
}

#[kernel(block = 128)]
fn named_in_a_branch(x: &mut [f32]) {
    let i = thread_idx_x(); //~ named: reason
    if i < 64 {
        barrier_sync(1, 64); //~ named
    }
    x[i] = 0.0;
}

#[test]
fn collective_operations() {
    refused(ir!(ballot_in_a_branch_ir), "ballot", "ballot", "warp", "lane_id");
    refused(ir!(unused_sum_ir), "unused", "warp_reduce", "warp", "thread_idx");
    refused(ir!(reduced_in_a_branch_ir), "reduction", "warp_reduce", "warp", "thread_idx");
    refused(ir!(scanned_by_a_warp_ir), "scan", "barrier", "block", "warp_id");
    refused(ir!(broadcast_after_return_ir), "broadcast", "warp_sync", "warp", "thread_idx");
    refused(ir!(named_in_a_branch_ir), "named", "barrier_sync", "warp", "thread_idx");
}

#[kernel]
fn by_data(flags: &[u32], x: &mut [f32]) {
    let flag = flags[thread_idx_x()]; //~ data: reason
    while flag > 0 {
        barrier(); //~ data
    }
    x[0] = 0.0;
}

/// Others may write between one thread's read and the next one's.
#[kernel]
fn by_what_is_written(x: &mut [f32]) {
    let first = x[0]; //~ written: reason
    if first > 0.0 {
        barrier(); //~ written
    }
    x[thread_idx_x()] = 1.0;
}

#[kernel]
fn by_shared_memory(x: &mut [f32]) {
    let tile = shared::<f32>(4);
    tile[thread_idx_x() % 4] = x[0];
    barrier();
    let first = tile[0]; //~ shared: reason
    if first > 0.0 {
        barrier(); //~ shared
    }
    x[0] = 0.0;
}

#[kernel]
fn by_a_ticket(x: &mut [u32]) {
    let ticket = x.atomic(0).fetch_add(1, Ordering::Relaxed, Scope::Device); //~ ticket: reason
    if ticket == 0 {
        barrier(); //~ ticket
    }
}

#[kernel]
fn by_a_neighbour(x: &mut [f32]) {
    let other = shuffle_down(x.len() + lane_id(), 1); //~ neighbour: reason
    if other > 8 {
        warp_sync(); //~ neighbour
    }
}

/// A warp agrees on its sum, the block does not.
#[kernel(block = 128)]
fn by_the_warps_sum(x: &mut [f32]) {
    let i = thread_idx_x();
    let sum = warp_sum(x[i]); //~ warp: reason
    if sum > 0.0 {
        barrier(); //~ warp
    }
}

/// The condition comes to differ through a variable, on one way out of three.
#[kernel]
fn by_a_variable(n: u32, x: &mut [f32]) {
    let mut level = n;
    if n > 3 {
        level = 2;
        if thread_idx_x() == 0 {
            //~ variable: reason
            level += 1;
        }
    }
    if level > 2 {
        barrier(); //~ variable
    }
    x[0] = 0.0;
}

#[kernel]
fn by_an_element(k: usize, x: &mut [f32]) {
    let mut counts = [0u32; 2];
    counts[thread_idx_x() % 2] = 1;
    if counts[k] > 0 {
        //~ element: reason
        barrier(); //~ element
    }
    x[0] = 0.0;
}

#[test]
fn what_threads_do_not_agree_on() {
    refused(ir!(by_data_ir), "data", "barrier", "block", "thread_idx");
    refused(ir!(by_what_is_written_ir), "written", "barrier", "block", "load");
    refused(ir!(by_shared_memory_ir), "shared", "barrier", "block", "load");
    refused(ir!(by_a_ticket_ir), "ticket", "barrier", "block", "atomic_rmw");
    refused(ir!(by_a_neighbour_ir), "neighbour", "warp_sync", "warp", "shuffle_down");
    refused(ir!(by_the_warps_sum_ir), "warp", "barrier", "block", "warp_reduce");
    refused(ir!(by_a_variable_ir), "variable", "barrier", "block", "thread_idx");
    refused(ir!(by_an_element_ir), "element", "barrier", "block", "load");
}

#[kernel]
fn by_block_and_argument(n: u32, x: &mut [f32]) {
    if n > 3 && block_idx_x() > 0 {
        barrier();
    }
    for _ in 0..n {
        barrier();
    }
    let mut k = n;
    while k > 1 {
        k = if k % 2 == 0 { k / 2 } else { 3 * k + 1 };
        barrier();
        if k == 7 {
            break;
        }
    }
    match n % 4 {
        0 | 1 => barrier(),
        _ => {}
    }
    x[0] = block_sum(0.0f32);
}

/// Elements that nobody writes while the kernel runs, at an index of the block.
#[kernel]
fn by_the_blocks_data(lengths: &[u32], x: &mut [f32]) {
    for _ in 0..lengths[block_idx_x()] {
        barrier();
    }
    x[0] = 0.0;
}

#[kernel(block = 128)]
fn by_votes_and_sums(n: u32, x: &mut [u32]) {
    let i = thread_idx_x();
    if warp_all(x[i] > 3) {
        x[i] = warp_sum(x[i]);
    }
    if warp_id() < 2 {
        x[i] = warp_max(x[i]);
    }
    let mut left = x[i];
    while block_any(left > 0) {
        left = left.saturating_sub(n + 1);
        barrier();
    }
    let mean = block_sum(x[i]) / 128;
    for _ in 0..mean.min(3) {
        barrier();
    }
    if warp_broadcast(x[i]) > 3 {
        warp_sync();
    }
}

/// The rounds differ, but all come out of the loop; and who has returned counts as arrived.
#[kernel]
fn after_loops_and_returns(x: &mut [f32]) {
    let i = thread_idx_x();
    for k in 0..i {
        if x[k] > 0.0 {
            break;
        }
    }
    barrier();
    if i > x.len() {
        return;
    }
    barrier();
}

/// Blocks take tickets until there are none left.
#[kernel(block = 64)]
fn tickets(next: &mut [u32], sums: &mut [u32]) {
    let i = thread_idx_x();
    loop {
        let mut ticket = 0;
        if i == 0 {
            ticket = next.atomic(0).fetch_add(1, Ordering::Relaxed, Scope::Device);
        }
        let ticket = block_broadcast(ticket);
        if ticket as usize >= sums.len() {
            break;
        }
        let sum = block_sum(ticket * i as u32);
        if i == 0 {
            sums[ticket as usize] = sum;
        }
    }
}

#[test]
fn what_threads_agree_on_is_no_error() {
    for kernel in [
        ir!(by_block_and_argument_ir),
        ir!(by_the_blocks_data_ir),
        ir!(by_votes_and_sums_ir),
        ir!(after_loops_and_returns_ir),
        ir!(tickets_ir),
    ] {
        prepared(kernel).unwrap();
    }
}

#[test]
fn blocks_decide_by_what_one_thread_found() {
    for device in [Device::cpu(), Device::interpreter()] {
        let mut next = Buffer::<u32>::zeros(&device, 1).unwrap();
        let mut sums = Buffer::<u32>::zeros(&device, 23).unwrap();
        tickets(&mut next, &mut sums).grid(3).launch(&device).unwrap();
        let expected: Vec<u32> = (0..23).map(|ticket| ticket * (63 * 64 / 2)).collect();
        assert_eq!(sums.to_vec().unwrap(), expected);
    }
}
