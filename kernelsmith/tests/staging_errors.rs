//! Mistakes that rustc cannot see: staging and compiling find them, and `launch` returns them as
//! errors that name the user's line.

#![allow(dead_code, reason = "most kernels here are only staged")]

use kernelsmith::prelude::*;
use kernelsmith::{StagingError, Target};

/// The line of this file on which a marker stands, or below one that stands alone.
fn line_of(marker: &str) -> usize {
    let marker = format!("// {marker}");
    let mut lines = include_str!("staging_errors.rs").lines().enumerate();
    let (at, line) = lines.find(|(_, line)| line.ends_with(&marker)).expect("a marked line");
    if line.trim() == marker { at + 2 } else { at + 1 }
}

/// The error is on the marked line, and says what is wrong and what to do.
#[track_caller]
fn expect(result: Result<kernelsmith::ir::Kernel, StagingError>, marker: &str, says: &[&str]) {
    let error = result.expect_err("an error of staging");
    let line = line_of(marker);
    let place = format!("staging_errors.rs:{line}:");
    assert!(error.location.contains(&place), "{error}\nis not at line {line}");
    for part in says {
        assert!(error.message.contains(part), "{error}\ndoes not say {part:?}");
    }
}

#[kernel]
fn counts_on_the_host(x: &[f32], y: &mut [f32]) {
    #[comptime]
    let mut count = 0; // declared
    for i in 0..4usize {
        if x[i] > 0.0 {
            count += 1; // host variable in a run-time branch
        }
    }
    y[0] = count as f32;
}

#[kernel]
fn asks_two_options_at_once(bias: Option<f32>, x: &[f32], y: &mut [f32]) {
    let first = (x[0] as u32).checked_sub(1);
    // two options at once
    if let (Some(bias), Some(first)) = (bias, first) {
        y[first] = bias;
    }
}

#[kernel]
fn collects_on_the_host(n: usize, y: &mut [f32]) {
    #[comptime]
    let mut seen = Vec::new();
    for i in 0..n {
        seen.push(i); // host vector in a run-time loop
    }
    y[0] = seen.len() as f32;
}

#[kernel]
fn assigns_after_return(x: &[f32], y: &mut [f32]) {
    #[comptime]
    let mut scale = 1;
    while x[0] > y[0] {
        scale = 2; // host assignment in a run-time while
    }
    y[0] = scale as f32;
}

#[kernel]
fn changes_in_condition(n: u32, y: &mut [f32]) {
    #[comptime]
    let mut rounds = 0;
    let mut k = n;
    while {
        rounds += 1; // host variable in the condition of a run-time while
        k > 3
    } {
        k /= 2;
    }
    y[0] = rounds as f32;
}

#[kernel]
fn host_index(y: &mut [f32]) {
    let values = [1.0f32, 2.0];
    let last = values.len();
    y[0] = values[last]; // host index out of bounds
}

#[kernel]
fn variable_index(y: &mut [f32]) {
    let mut values = [1.0f32, 2.0];
    values[2] = 3.0; // index of a variable out of bounds
    y[0] = values[0];
}

#[kernel]
fn small_literal(y: &mut [u8]) {
    y[0] = 300; // literal too large
}

#[kernel]
fn negative_literal(y: &mut [u32]) {
    let mut v: u32 = -1; // negative literal
    v += 1;
    y[0] = v;
}

#[kernel]
fn huge_float(y: &mut [f32]) {
    y[0] = 1e60; // float literal too large
}

#[device]
// recursion
fn factorial(n: u32) -> u32 {
    if n == 0 { 1 } else { n * factorial(n - 1) }
}

#[kernel]
fn recursive(n: u32, y: &mut [u32]) {
    y[0] = factorial(n);
}

#[kernel]
fn two_steps(n: usize, y: &mut [f32]) {
    // two steps
    for i in (0..n).step_by(2).step_by(3) {
        y[i] = 0.0;
    }
}

#[kernel]
fn no_value(#[comptime] flag: bool, y: &mut [f32]) {
    let v: f32 = if flag { return } else { 2.0 }; // no value
    y[0] = v;
}

#[kernel(block = [2048, 1])]
fn large_block(y: &mut [f32]) {
    y[0] = 0.0;
}

#[kernel]
fn host_assertion(#[comptime] tile: usize, y: &mut [f32]) {
    assert!(tile % 4 == 0, "tiles are multiples of 4"); // host assertion
    y[0] = tile as f32;
}

#[kernel(block = 32)]
fn much_shared(#[comptime] n: usize, y: &mut [f32]) {
    let tile = shared::<f32>(n); // shared memory
    tile[thread_idx_x()] = 1.0;
    barrier();
    y[0] = tile[0];
}

#[kernel(block = 32)]
fn asynchronous(x: &[f32], y: &mut [f32]) {
    let tile = shared::<f32>(128);
    cp_async::<4, f32>(tile, 0, x, 0); // asynchronous copy
    cp_async_commit();
    cp_async_wait(0);
    barrier();
    y[0] = tile[0];
}

#[kernel(block = 32)]
fn amd_matrices(a: &[f16], c: &mut [f32]) {
    type Atom = Mfma<f16, 16, 16, 16>;
    let x = Fragment::<Atom, MatrixA>::load_matrix(a, 0, 16, MatrixLayout::RowMajor);
    let y = Fragment::<Atom, MatrixB>::load_matrix(a, 0, 16, MatrixLayout::ColumnMajor);
    let sum = mma(x, y, Fragment::zero()); // matrix instruction of another chip
    sum.store_matrix(c, 0, 16, MatrixLayout::RowMajor);
}

#[kernel]
fn without_tile(
    a: &TensorMap<f32, 2>,
    b: &TensorMap<f32, 2>, // a tensor map without tile
) {
    a.tile([8, 8], Swizzle::None);
    let _ = b.shape(0);
}

#[kernel]
fn two_tiles(a: &TensorMap<f32, 2>) {
    a.tile([8, 8], Swizzle::None);
    a.tile([8, 8], Swizzle::None);
    a.tile([16, 8], Swizzle::None); // another tile
}

#[kernel]
fn long_rows(a: &TensorMap<f32, 2>) {
    a.tile([8, 64], Swizzle::B128); // rows longer than the swizzle
}

#[kernel]
fn short_rows(a: &TensorMap<f32, 2>) {
    a.tile([8, 3], Swizzle::None); // rows of odd length
}

#[kernel]
fn large_tile(a: &TensorMap<f32, 2>) {
    a.tile([100_000, 8], Swizzle::None); // a large tile
}

#[kernel]
fn six_axes(a: &TensorMap<f32, 6>, // six axes
) {
    a.tile([8; 6], Swizzle::None);
}

#[kernel(block = 128, cluster = 2)]
fn commits_for_one_block(a: &TensorMap<bf16, 2>) {
    let tile = tiles::<bf16>(1, [128, 64], Swizzle::B128).stage(0);
    a.tile([128, 64], Swizzle::B128);
    let done = mbarriers(1).stage(0);
    let memory = tensor_memory_of_pair(64);
    let sums = memory.sums::<bf16, 64>(0);
    tensor_mma(sums, tile.k_major(0, 0), tile.k_major(0, 0), false);
    tensor_commit(done); // one block's commit
    memory.free();
}

#[kernel(block = 128, cluster = 3)]
fn pairs_of_three() {
    tensor_memory_of_pair(64).free(); // three blocks
}

#[kernel(block = 128, cluster = 2)]
fn few_rows_of_a_pair() {
    let a = tiles::<bf16>(1, [128, 64], Swizzle::B128).stage(0);
    let b = tiles::<bf16>(1, [32, 64], Swizzle::B128).stage(0);
    let memory = tensor_memory_of_pair(128);
    let sums = memory.sums::<bf16, 128>(0);
    tensor_mma(sums, a.k_major(0, 0), b.k_major(0, 0), false); // few rows
    memory.free();
}

#[kernel(cluster = [3, 6])] // a large cluster
fn large_cluster(y: &mut [f32]) {
    y[0] = 0.0;
}

#[kernel]
fn with_function(f: impl Fn(f32) -> f32, y: &mut [f32]) {
    y[0] = f(y[0]);
}

#[kernel]
fn wavering(#[comptime] odd: bool, y: &mut [f32]) {
    #[comptime]
    let mut first = true;
    while first || !odd {
        first = false;
        if odd {
            y[0] = 1.0;
        }
        if !odd {
            break;
        }
    }
}

#[test]
fn host_variables_are_not_changed_under_run_time_control_flow() {
    let cpu = Target::Cpu;
    let declared = format!("staging_errors.rs:{}:", line_of("declared"));
    let rule = "changed under control flow that is decided when the kernel runs";
    let says = [rule, "leaving out `#[comptime]`", &declared];
    asks_two_options_at_once_ir(&cpu, true).unwrap();
    let together = ["`None` here", "an `if let` of its own"];
    expect(asks_two_options_at_once_ir(&cpu, false), "two options at once", &together);
    expect(counts_on_the_host_ir(&cpu), "host variable in a run-time branch", &says);
    expect(collects_on_the_host_ir(&cpu), "host vector in a run-time loop", &[rule]);
    expect(assigns_after_return_ir(&cpu), "host assignment in a run-time while", &[rule]);
    let marker = "host variable in the condition of a run-time while";
    expect(changes_in_condition_ir(&cpu), marker, &[rule]);
    // Decided while staging, all of it.
    wavering_ir(&cpu, true).unwrap();
    wavering_ir(&cpu, false).unwrap();
}

#[test]
fn indices_known_while_staging_are_in_bounds() {
    let says = ["the index is 2 but the array has 2 elements"];
    expect(host_index_ir(&Target::Cpu), "host index out of bounds", &says);
    expect(variable_index_ir(&Target::Cpu), "index of a variable out of bounds", &says);
}

#[test]
fn literals_fit_their_type() {
    let cpu = Target::Cpu;
    expect(small_literal_ir(&cpu), "literal too large", &["300", "out of range for `u8`"]);
    expect(negative_literal_ir(&cpu), "negative literal", &["-1", "out of range for `u32`"]);
    expect(huge_float_ir(&cpu), "float literal too large", &["out of range for `f32`"]);
}

#[test]
fn recursion_ends_while_staging() {
    expect(recursive_ir(&Target::Cpu), "recursion", &["`factorial` calls itself", "write a loop"]);
}

#[test]
fn ranges_have_one_step() {
    expect(two_steps_ir(&Target::Cpu), "two steps", &["one `step_by`", "multiply"]);
}

#[test]
fn a_branch_that_leaves_has_no_value() {
    expect(no_value_ir(&Target::Cpu, true), "no value", &["leaves by return"]);
    no_value_ir(&Target::Cpu, false).unwrap();
}

#[test]
fn host_assertions_are_errors() {
    let says = ["tiles are multiples of 4"];
    expect(host_assertion_ir(&Target::Cpu, 6), "host assertion", &says);
    host_assertion_ir(&Target::Cpu, 8).unwrap();
}

#[test]
fn blocks_have_a_largest_size() {
    let error = large_block_ir(&Target::Cpu).unwrap_err();
    assert!(error.message.contains("2048"), "{error}");
}

/// The kernel's IR as a target gets it.
fn compiled(
    staged: Result<kernelsmith::ir::Kernel, StagingError>,
    target: &Target,
) -> Result<(), String> {
    let kernel = staged.map_err(|e| e.to_string())?;
    kernelsmith::ir::passes::prepare(&kernel, target).map(|_| ()).map_err(|e| e.to_string())
}

#[track_caller]
fn refused(result: Result<(), String>, marker: &str, says: &[&str]) {
    let error = result.expect_err("an error of compiling");
    let line = line_of(marker);
    assert!(error.contains(&format!("staging_errors.rs:{line}:")), "{error}\nis not at {line}");
    for part in says {
        assert!(error.contains(part), "{error}\ndoes not say {part:?}");
    }
}

#[test]
fn shared_memory_has_a_limit() {
    let cpu = Target::Cpu;
    let says = ["shared"];
    refused(compiled(much_shared_ir(&cpu, 1 << 24), &cpu), "shared memory", &says);
    compiled(much_shared_ir(&cpu, 32), &cpu).unwrap();
}

#[test]
fn what_a_target_lacks_is_named_with_those_that_have_it() {
    let old: Target = "sm_75".parse().unwrap();
    refused(compiled(asynchronous_ir(&old), &old), "asynchronous copy", &["sm_75", "sm_80"]);
    let nvidia: Target = "sm_90a".parse().unwrap();
    let result = compiled(amd_matrices_ir(&nvidia), &nvidia);
    refused(result, "matrix instruction of another chip", &["sm_90a", "gfx9"]);
}

#[test]
fn tensor_maps_have_one_tile_that_the_engine_can_move() {
    let target = Target::sm(90, true);
    let lacks = ["`b`", "whose tile the kernel never declares", "b.tile("];
    expect(without_tile_ir(&target), "a tensor map without tile", &lacks);
    let says = ["`a` has tiles of [8, 8] with None already, not of [16, 8] with None"];
    expect(two_tiles_ir(&target), "another tile", &says);
    let says = ["[8, 64] with B128", "rows of 256 bytes are longer than the 128 of b128"];
    expect(long_rows_ir(&target), "rows longer than the swizzle", &says);
    let says = ["[8, 3] with None", "rows of 12 bytes are no multiple of 16"];
    expect(short_rows_ir(&target), "rows of odd length", &says);
    let says = ["`a` has tiles of [100000, 8], and 100000 is not 1 to 256"];
    expect(large_tile_ir(&target), "a large tile", &says);
    expect(six_axes_ir(&target), "six axes", &["`a`", "6 dimensions; they have 1 to 5"]);
}

#[kernel(block = 128)]
fn forgets_release(n: usize) {
    let (_, consumer) = pipeline::<2>(1).split();
    for _ in 0..n {
        let stage = consumer.wait(); // never released
        let rows = tiles::<f32>(2, [8, 32], Swizzle::B128);
        let _row = rows.stage(stage.index());
    }
}

#[kernel(block = 128)]
fn forgets_commit(x: &TensorMap<f32, 2>, n: usize) {
    let piece = x.tile([8, 32], Swizzle::B128);
    let rows = tiles::<f32>(2, [8, 32], Swizzle::B128);
    let (producer, _) = pipeline::<2>(1).split();
    for i in 0..n {
        let stage = producer.acquire(); // never committed
        stage.load(rows.stage(stage.index()), piece, [i, 0]);
    }
}

#[kernel(block = 128)]
fn commits_nothing() {
    let (producer, _) = pipeline::<2>(1).split();
    producer.acquire().commit(); // commits nothing
}

#[kernel(block = 128)]
fn releases_under_a_condition() {
    let (_, consumer) = pipeline::<2>(1).split();
    let stage = consumer.wait();
    if thread_idx_x() == 0 {
        stage.release(); // released by some
    }
}

#[kernel(block = 128)]
fn holds_to_the_end(n: usize) {
    let (_, consumer) = pipeline::<2>(1).split();
    let before = consumer.hold(); // held to the end
    for _ in 0..n {
        before.replace(consumer.wait());
    }
}

#[kernel(block = 128)]
fn drops_a_call(n: usize) {
    let (_, consumer) = pipeline::<2>(1).split();
    if n > 0 {
        consumer.wait().index(); // a temporary
    }
}

#[test]
fn stages_of_pipelines_are_given_back() {
    let target = Target::sm(90, true);
    let released = "never released: `release()` it, hand it to a `Held`, or `keep()` it";
    expect(forgets_release_ir(&target), "never released", &[released]);
    expect(drops_a_call_ir(&target), "a temporary", &[released]);
    let says = ["never committed", "then `commit()`"];
    expect(forgets_commit_ir(&target), "never committed", &says);
    let says = ["nothing was loaded into"];
    expect(commits_nothing_ir(&target), "commits nothing", &says);
    let says = ["released under a condition", "once by every thread that has it"];
    expect(releases_under_a_condition_ir(&target), "released by some", &says);
    expect(holds_to_the_end_ir(&target), "held to the end", &["never released", "behind the loop"]);
}

/// What neither types nor staging say of pairs of blocks, compiling does, at the same line.
#[test]
fn pairs_of_blocks_have_rules() {
    let target = Target::sm(100, true);
    let says = ["a factor of 32 rows", "the product takes 64 in each block"];
    expect(few_rows_of_a_pair_ir(&target), "few rows", &says);
    let rejected =
        |kernel: Result<kernelsmith::ir::Kernel, StagingError>, marker, says: [&str; 2]| {
            let kernel = kernel.unwrap_or_else(|error| panic!("{error}"));
            let error = kernelsmith::ir::passes::prepare(&kernel, &target).unwrap_err().to_string();
            let place = format!("staging_errors.rs:{}:", line_of(marker));
            let found =
                |line: &str| line.contains(&place) && says.iter().all(|part| line.contains(part));
            assert!(error.lines().any(found), "{error}");
        };
    let says = ["`tcgen05_commit` of group `one`", "group `pair`"];
    rejected(commits_for_one_block_ir(&target), "one block's commit", says);
    let says = ["a cluster of [3, 1, 1]", "an even number of blocks"];
    rejected(pairs_of_three_ir(&target), "three blocks", says);
}

#[test]
fn clusters_have_a_limit() {
    let says = ["a cluster of [3, 6, 1] blocks", "1 to 16"];
    expect(large_cluster_ir(&Target::sm(90, true)), "a large cluster", &says);
}

#[test]
fn launches_return_staging_errors() {
    let device = Device::cpu();
    let x = Buffer::<f32>::zeros(&device, 4).unwrap();
    let mut y = Buffer::<f32>::zeros(&device, 4).unwrap();
    let error = counts_on_the_host(&x, &mut y).block(1).launch(&device).unwrap_err().to_string();
    let line = line_of("host variable in a run-time branch");
    let parts = ["counts_on_the_host", "#[comptime]", &format!("staging_errors.rs:{line}:")];
    assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    // The device is as good as before.
    y.to_vec().unwrap();
}

#[test]
fn functions_of_kernels_hold_nothing() {
    let device = Device::cpu();
    let mut y = Buffer::<f32>::zeros(&device, 4).unwrap();
    let by = 3.0f32;
    let scale = move |v: Val<f32>| v * by;
    let error = with_function(scale, &mut y).block(1).launch(&device).unwrap_err().to_string();
    assert!(error.contains("`f`") && error.contains("capture"), "{error}");
}

#[test]
fn launches_have_a_block_size() {
    let device = Device::cpu();
    let mut y = Buffer::<f32>::zeros(&device, 4).unwrap();
    let error = with_function(|v: Val<f32>| v, &mut y).launch(&device).unwrap_err().to_string();
    assert!(error.contains("block"), "{error}");
}
