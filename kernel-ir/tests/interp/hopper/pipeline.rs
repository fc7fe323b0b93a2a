//! A pipeline of copies and products, and what can be wrong with it.

use kernelsmith_ir::interp::FindingKind::{self, *};

use super::gemm::{check, clustered, gemm, scene};
use super::scene::{finds, finds_nothing, replaced};

#[test]
fn a_pipeline_is_right() {
    finds_nothing(|| scene(&gemm(), 1, 3), |scene| check(scene, 1, 3));
    finds_nothing(|| scene(&gemm(), 2, 1), |scene| check(scene, 2, 1));
}

#[test]
fn a_pipeline_over_a_cluster_is_right() {
    finds_nothing(|| scene(&clustered(), 2, 3), |scene| check(scene, 2, 3));
    finds_nothing(|| scene(&clustered(), 4, 2), |scene| check(scene, 4, 2));
}

/// Each consumer says for itself that it is done.
#[test]
fn a_slot_that_every_thread_releases() {
    let text = replaced(&gemm(), "%count: u32 = const[u32 1]", "%count: u32 = const[u32 128]");
    let release = "      if %is_first {
        mbarrier_arrive %free_c //~ release
        yield
      } {
        yield
      }
";
    let text = replaced(&text, release, "      mbarrier_arrive %free_c\n");
    finds_nothing(|| scene(&text, 1, 5), |scene| check(scene, 1, 5));
}

/// What the passes make of it is right, too.
#[test]
fn a_pipeline_is_right_after_the_passes() {
    finds_nothing(|| scene(&gemm(), 1, 3).prepared(), |scene| check(scene, 1, 3));
    finds_nothing(|| scene(&clustered(), 2, 2).prepared(), |scene| check(scene, 2, 2));
}

/// The pipeline with one part replaced.
fn planted(part: &str, by: &str, expected: &[(FindingKind, &str, &str)]) -> Vec<String> {
    let text = replaced(&gemm(), part, by);
    let found = finds(|| scene(&text, 1, 3), expected);
    found.iter().map(ToString::to_string).collect()
}

/// The same over a cluster.
fn planted_in_cluster(part: &str, by: &str, expected: &[(FindingKind, &str, &str)]) -> Vec<String> {
    let text = replaced(&clustered(), part, by);
    let found = finds(|| scene(&text, 2, 3), expected);
    found.iter().map(ToString::to_string).collect()
}

/// Bytes nobody expects: either the consumer does not wait for the copies, or they come before the
/// arrival that should have told of them.
#[test]
fn a_missing_expect() {
    planted(
        "mbarrier_arrive_expect %come, %bytes //~ expect",
        "mbarrier_arrive %come //~ expect",
        &[
            (CopyInFlight, "wgmma", "load_a"),
            (CopyInFlight, "wgmma", "load_b"),
            (BarrierMisuse, "expect", ""),
            (BarrierMisuse, "load_a", ""),
            (BarrierMisuse, "load_b", ""),
        ],
    );
}

#[test]
fn too_few_bytes_expected() {
    planted(
        "const[u32 16384]",
        "const[u32 8192]",
        &[
            (CopyInFlight, "wgmma", "load_a"),
            (CopyInFlight, "wgmma", "load_b"),
            (BarrierMisuse, "load_a", ""),
            (BarrierMisuse, "load_b", ""),
        ],
    );
}

#[test]
fn too_many_bytes_expected() {
    let told = planted("const[u32 16384]", "const[u32 16400]", &[(Deadlock, "wait_full", "")]);
    for text in told {
        assert!(text.contains("`full[0]`"), "{text}");
        assert!(text.contains("misses 0 of 1 arrivals and 16 bytes"), "{text}");
    }
}

/// Each role waits for the other: the producer for a slot that nobody has used yet.
#[test]
fn the_wrong_parity_of_the_producer() {
    let told = planted(
        "mbarrier_wait %free, %flipped",
        "mbarrier_wait %free, %parity",
        &[(Deadlock, "wait_full", "")],
    );
    for text in told {
        let [first, second] = [
            "threads 0 to 127 of block 0 wait for parity 0 at `full[0]`",
            "thread 128 of block 0 waits for parity 0 at `empty[0]`",
        ]
        .map(|part| text.find(part).unwrap_or_else(|| panic!("no {part:?} in {text}")));
        assert!(first < second, "{text}");
        assert!(text.contains("it is for thread 128 of block 0 to come"), "{text}");
        assert!(text.contains("it is for threads 0 to 127 of block 0 to come"), "{text}");
    }
}

#[test]
fn the_wrong_parity_of_the_consumer() {
    let products = ["wgmma", "wgmma2", "wgmma3", "wgmma4"];
    let late =
        products.map(|line| [(CopyInFlight, "load_a", line), (CopyInFlight, "load_b", line)]);
    planted(
        "mbarrier_wait %come_c, %parity_c",
        "mbarrier_wait %come_c, %one",
        &[
            &[
                (CopyInFlight, "wgmma", "load_a"),
                (CopyInFlight, "wgmma", "load_b"),
                (Uninitialized, "wgmma", ""),
                // Some threads were late, and wait for the phase after.
                (Deadlock, "wait_full", ""),
            ],
            late.as_flattened(),
        ]
        .concat(),
    );
}

#[test]
fn a_slot_that_is_never_released() {
    let told = planted(
        "        mbarrier_arrive %free_c //~ release\n",
        "",
        &[(Deadlock, "wait_empty", "")],
    );
    for text in told {
        assert!(text.contains("`empty[0]`, which is in phase 0"), "{text}");
        assert!(text.contains("nobody is left who could"), "{text}");
    }
}

#[test]
fn a_slot_released_before_its_products_are_done() {
    let release = "      if %is_first {
        mbarrier_arrive %free_c //~ release
        yield
      } {
        yield
      }
";
    let wait = "      %waited: <32 x f32> = wgmma_wait[0] %sum4 //~ wait\n";
    let text = replaced(&gemm(), &format!("{wait}{release}"), &format!("{release}{wait}"));
    let expected = ["wgmma", "wgmma2", "wgmma3", "wgmma4"];
    let expected =
        expected.map(|line| [(CopyInFlight, "load_a", line), (CopyInFlight, "load_b", line)]);
    finds(|| scene(&text, 1, 3), expected.as_flattened());
}

#[test]
fn a_slot_that_is_not_waited_for() {
    planted(
        "          mbarrier_wait %free, %flipped //~ wait_empty\n",
        "",
        &[
            (CopyInFlight, "load_a", "load_a"),
            (CopyInFlight, "load_a", "wgmma"),
            (CopyInFlight, "load_a", "wgmma4"),
            (CopyInFlight, "load_a", "wgmma2"),
            (CopyInFlight, "load_a", "wgmma3"),
            (BarrierMisuse, "expect", ""),
        ],
    );
}

#[test]
fn a_missing_fence_before_a_store() {
    planted("    async_fence //~ async_fence\n", "", &[(MissingFence, "store", "stmatrix0")]);
}

/// The fence comes, but only after what orders it with the store.
#[test]
fn a_fence_too_late() {
    planted(
        "    async_fence //~ async_fence
    barrier_sync[1 threads 128]
",
        "    barrier_sync[1 threads 128]
    async_fence //~ async_fence
",
        &[(MissingFence, "store", "stmatrix0")],
    );
}

#[test]
fn a_missing_fence_of_barriers() {
    planted("    mbarrier_fence\n", "", &[(MissingFence, "load_a", "init")]);
}

#[test]
fn barriers_that_nobody_waits_to_be_made() {
    let both = [(BarrierMisuse, "wait_empty", ""), (BarrierMisuse, "wait_full", "")];
    let ordered =
        [(BarrierMisuse, "wait_empty", "init_empty"), (BarrierMisuse, "wait_full", "init")];
    let text = replaced(&gemm(), "  barrier //~ ready\n", "");
    let text = replaced(
        &text,
        "mbarrier_init %empty, %count",
        "mbarrier_init %empty, %count //~ init_empty",
    );
    finds(|| scene(&text, 1, 3), &[both, ordered].concat());
}

#[test]
fn sums_read_in_flight() {
    let told = planted(
        "      %waited: <32 x f32> = wgmma_wait[0] %sum4 //~ wait\n",
        "      %early: f32 = vec_extract[0] %sum4 //~ early
      %waited: <32 x f32> = wgmma_wait[0] %sum4 //~ wait\n",
        &[(ResultInFlight, "early", "wgmma4")],
    );
    assert!(told[0].contains("still in flight"), "{}", told[0]);
}

#[test]
fn a_sum_that_was_passed_on() {
    let told = planted(
        "wgmma_wait[0] %sum4 //~ wait",
        "wgmma_wait[0] %sum3 //~ wait",
        &[(ResultInFlight, "wait", "")],
    );
    assert!(told[0].contains("passed on"), "{}", told[0]);
}

#[test]
fn a_wait_that_leaves_groups_in_flight() {
    planted(
        "wgmma_wait[0] %sum4",
        "wgmma_wait[1] %sum4",
        &[
            (ResultInFlight, "cast", "wgmma4"),
            (CopyInFlight, "load_a", "wgmma"),
            (CopyInFlight, "load_a", "wgmma2"),
            (CopyInFlight, "load_a", "wgmma3"),
            (CopyInFlight, "load_a", "wgmma4"),
            (WgmmaOrder, "wgmma", ""),
        ],
    );
}

#[test]
fn products_that_were_never_committed() {
    let text = replaced(&gemm(), "      wgmma_commit //~ commit\n", "");
    finds(|| scene(&text, 1, 1), &[(ResultInFlight, "cast", "wgmma4")]);
}

#[test]
fn products_without_a_fence() {
    planted("      wgmma_fence //~ fence\n", "", &[(WgmmaOrder, "wgmma", "")]);
}

#[test]
fn a_warp_that_leaves_products_out() {
    let text = replaced(
        &gemm(),
        "      wgmma_commit //~ commit\n",
        "      %is_last: bool = eq %warp, %two
      if %is_last {
        return //~ gone
      } {
        yield
      }
      wgmma_commit //~ commit\n",
    );
    finds(|| scene(&text, 1, 3), &[(DivergentCollective, "commit", "gone")]);
}

#[test]
fn more_registers_than_there_are() {
    let text =
        replaced(&gemm(), "set_max_registers[24 lower]", "set_max_registers[160 lower] //~ shares");
    let text =
        replaced(&text, "set_max_registers[240 raise]", "set_max_registers[240 raise] //~ raise");
    finds_nothing(|| scene(&text, 1, 1), |_| {});
    let text = replaced(&text, "[160 lower]", "[240 lower]").replace("block(256", "block(384");
    let three = || super::gemm::scene_of(&text, 384, 1, 1);
    finds(three, &[(Deadlock, "shares", ""), (Deadlock, "raise", "")]);
}

#[test]
fn a_tile_in_a_wrong_place() {
    planted(
        "%to_b: ptr<shared, bf16> = ptr_add %b_tiles, %at\n          %deep:",
        "%to_b0: ptr<shared, bf16> = ptr_add %b_tiles, %at\n          %to_b: ptr<shared, bf16> = ptr_add %to_b0, %wide\n          %deep:",
        &[(Misaligned, "load_b", "")],
    );
}

#[test]
fn a_tile_behind_its_array() {
    let text = replaced(
        &gemm(),
        r#"shared s1 "b_tiles": bf16 x 8192"#,
        r#"shared s1 "b_tiles": bf16 x 4096"#,
    );
    let told =
        finds(|| scene(&text, 1, 3), &[(OutOfBounds, "load_b", ""), (OutOfBounds, "wgmma", "")]);
    assert!(told.iter().any(|finding| finding.to_string().contains("`b_tiles`")));
}

#[test]
fn a_store_whose_thread_does_not_wait() {
    planted("      bulk_wait[0] //~ bulk_wait\n", "", &[(EndedBlock, "store", "")]);
}

/// What a copy in flight still reads is written again.
#[test]
fn a_source_that_is_used_again() {
    planted(
        "      bulk_commit\n      bulk_wait[0] //~ bulk_wait\n",
        "      bulk_commit
      %none: bf16 = const[bf16 0x0]
      store[align 2] %out, %none //~ again
      bulk_wait[0] //~ bulk_wait\n",
        &[(CopyInFlight, "again", "store")],
    );
}

#[test]
fn an_element_that_nobody_gave() {
    let text = gemm();
    let short = || {
        let depth = 64;
        super::scene::Scene::new(&text, 1, 256)
            .tensor(&[depth, 64], &super::gemm::matrix(1, 63, 64))
            .tensor(&[depth, 64], &super::gemm::matrix(2, 64, 64))
            .tensor(&[64, 64], &[])
            .number(1)
    };
    finds(short, &[(Uninitialized, "load_a", "")]);
}

#[test]
fn two_blocks_store_one_tile() {
    let text = replaced(
        &gemm(),
        "tma_store[normal] %c, %out, %column, %row",
        "tma_store[normal] %c, %out, %row, %row",
    );
    finds(|| scene(&text, 2, 1), &[(CopyInFlight, "store", "store")]);
}

/// Blocks come to the barriers of others that may not have made them yet.
#[test]
fn a_cluster_that_does_not_gather_first() {
    planted_in_cluster(
        "  cluster_arrive //~ ready\n  cluster_wait\n",
        "  barrier\n",
        &[
            (BarrierMisuse, "load_a", ""),
            (BarrierMisuse, "release", ""),
            (BarrierMisuse, "release_other", ""),
            (BarrierMisuse, "load_a", "init"),
        ],
    );
}

/// A block ends while the other may still come to its barriers.
#[test]
fn a_cluster_that_does_not_gather_last() {
    planted_in_cluster(
        "  cluster_arrive\n  cluster_wait //~ tail\n",
        "",
        &[(EndedBlock, "release", ""), (EndedBlock, "release_other", "")],
    );
}

/// A block ends without having waited for what the other copies to it.
#[test]
fn copies_to_a_block_that_ends() {
    let text = replaced(
        &clustered(),
        "  cluster_arrive //~ ready\n  cluster_wait\n",
        "  cluster_arrive //~ ready\n  cluster_wait
  %leaves: bool = eq %rank, %one
  if %leaves {
    return
  } {
    yield
  }\n",
    );
    finds(|| scene(&text, 2, 1), &[(EndedBlock, "load_a", "")]);
}

#[test]
fn a_rank_that_the_cluster_has_not() {
    let told = planted_in_cluster(
        "map_shared %free_c, %one",
        "map_shared %free_c, %two",
        &[(OutOfBounds, "release_other", "")],
    );
    assert!(told[0].contains("block 2 in a cluster of 2"), "{}", told[0]);
}

#[test]
fn a_mask_with_blocks_that_there_are_not() {
    let told = planted_in_cluster(
        "%both: u32 = const[u32 3]",
        "%both: u32 = const[u32 5]",
        &[(OutOfBounds, "load_a", "")],
    );
    assert!(told[0].contains("[0, 2] of a cluster of 2"), "{}", told[0]);
}

/// Each block waits for the other's release, which never comes: the chain goes through both.
#[test]
fn a_slot_released_to_one_block_only() {
    let told = planted_in_cluster(
        "        mbarrier_arrive %other //~ release_other\n",
        "",
        &[(Deadlock, "wait_empty", ""), (Deadlock, "wait_full", "")],
    );
    for text in told {
        assert!(text.contains("of 2 arrivals") && text.contains("`empty["), "{text}");
        assert!(text.contains("of block 0 wait") && text.contains("of block 1 wait"), "{text}");
    }
}
