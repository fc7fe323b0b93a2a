//! Barriers in shared memory and of clusters, without copies.

use kernelsmith_ir::interp::FindingKind::{self, *};

use super::scene::{Scene, finds, finds_nothing, line, replaced};

/// Thread 0 makes a barrier for one arrival, then threads 0 to 31 do one thing, and threads 32 to 63
/// another.
fn roles(first: &str, second: &str) -> String {
    format!(
        r#"
kernel @k(%y "y": ptr<global, u32> exclusive) block(64, 1, 1) {{
  shared s0 "bar": u64 x 2 align 8
  shared s1 "box": u32 x 32 align 128
  %zero: u32 = const[u32 0]
  %one: u32 = const[u32 1]
  %seven: u32 = const[u32 7]
  %sixteen: u32 = const[u32 16]
  %thread: u32 = thread_idx[x]
  %warp: u32 = warp_id
  %lane: u32 = lane_id
  %bar: ptr<shared, u64> = shared_addr[s0]
  %box: ptr<shared, u32> = shared_addr[s1]
  %is_first: bool = eq %thread, %zero
  %leads: bool = eq %lane, %zero
  %second: bool = eq %warp, %one
  if %is_first {{
    mbarrier_init %bar, %one //~ init
    mbarrier_fence
    yield
  }} {{
    yield
  }}
  barrier //~ barrier
  if %second {{
{second}
    yield
  }} {{
{first}
    yield
  }}
  return
}}
"#
    )
}

fn scene(text: &str) -> Scene {
    Scene::new(text, 1, 64).pointer(64 * 4, &[0; 64 * 4])
}

fn planted(first: &str, second: &str, expected: &[(FindingKind, &str, &str)]) -> Vec<String> {
    let text = roles(first, second);
    finds(|| scene(&text), expected).iter().map(ToString::to_string).collect()
}

const GIVE: &str = "
    if %leads {
      store[align 4] %box, %seven //~ give
      mbarrier_arrive %bar //~ arrive
      yield
    } {
      yield
    }";

const TAKE: &str = "
    mbarrier_wait %bar, %zero //~ wait
    %got: u32 = load[align 4] %box //~ take
    %to: ptr<global, u32> = ptr_add %y, %lane
    store[align 4] %to, %got";

fn took(scene: &Scene) {
    assert!(scene.bytes(0, 128).chunks(4).all(|word| word == [7, 0, 0, 0]));
}

#[test]
fn a_barrier_hands_over() {
    finds_nothing(|| scene(&roles(GIVE, TAKE)), took);
    finds_nothing(|| scene(&roles(GIVE, &spinning())), took);
}

/// As [`TAKE`], but by asking again and again.
fn spinning() -> String {
    TAKE.replace(
        "mbarrier_wait %bar, %zero //~ wait",
        "loop[$0] {
      %done: bool = mbarrier_test %bar, %zero //~ test
      if %done {
        break[$0]
      } {
        yield
      }
      continue[$0]
    }",
    )
}

/// A phase of parity 1 counts as over before the first has ended.
#[test]
fn a_barrier_that_is_passed_too_early() {
    planted(
        GIVE,
        &replaced(TAKE, "%bar, %zero", "%bar, %one"),
        &[
            (Race, "take", "give"),
            (Race, "give", "take"),
            (Uninitialized, "take", ""),
            // Who is late waits for the second phase to end, which nobody comes to.
            (Deadlock, "wait", ""),
        ],
    );
}

#[test]
fn an_arrival_before_the_write() {
    let early = "
    if %leads {
      mbarrier_arrive %bar
      store[align 4] %box, %seven //~ give
      yield
    } {
      yield
    }";
    planted(
        early,
        TAKE,
        &[(Race, "take", "give"), (Race, "give", "take"), (Uninitialized, "take", "")],
    );
}

#[test]
fn a_barrier_that_was_not_made() {
    let other = "
    %next: ptr<shared, u64> = ptr_add %bar, %one
    mbarrier_wait %next, %zero //~ wait";
    let told = planted("", other, &[(BarrierMisuse, "wait", "")]);
    assert!(told[0].contains("`bar[1]`, where no barrier was initialised"), "{}", told[0]);
    let arrives = "
    %next: ptr<shared, u64> = ptr_add %bar, %one
    mbarrier_arrive %next //~ arrive";
    planted(arrives, "", &[(BarrierMisuse, "arrive", "")]);
}

#[test]
fn a_barrier_for_nobody() {
    let text = replaced(&roles("", ""), "mbarrier_init %bar, %one", "mbarrier_init %bar, %zero");
    finds(|| scene(&text), &[(BarrierMisuse, "init", "")]);
}

#[test]
fn a_barrier_made_twice() {
    let text = replaced(
        &roles("", ""),
        "    mbarrier_fence\n",
        "    mbarrier_init %bar, %one //~ again\n",
    );
    finds(|| scene(&text), &[(BarrierMisuse, "again", "init")]);
}

/// The bytes of a barrier are nobody's to read or write.
#[test]
fn plain_accesses_to_a_barrier() {
    let reads = "    %bits: u64 = load[align 8] %bar //~ read";
    planted(reads, "", &[(BarrierMisuse, "read", "init")]);
    let writes = "
    %half: ptr<shared, u32> = ptr_cast %bar
    %upper: ptr<shared, u32> = ptr_add %half, %one
    if %leads {
      store[align 4] %upper, %one //~ write
      yield
    } {
      yield
    }";
    let told = planted(writes, "", &[(BarrierMisuse, "write", "init")]);
    assert!(told[0].contains("writes the bytes of the barrier `bar[0]`"), "{}", told[0]);
}

/// Two threads come where one was expected, while the phase still waits for bytes.
#[test]
fn more_arrivals_than_the_phase_has() {
    let both = "    mbarrier_arrive_expect %bar, %sixteen //~ arrive";
    let told = planted(both, "", &[(BarrierMisuse, "arrive", "")]);
    assert!(told[0].contains("all 1 arrivals of this phase have come"), "{}", told[0]);
}

#[test]
fn bytes_that_never_come() {
    let expects = replaced(GIVE, "mbarrier_arrive %bar", "mbarrier_arrive_expect %bar, %sixteen");
    let told = planted(&expects, TAKE, &[(Deadlock, "wait", "")]);
    let text = roles(&expects, TAKE);
    for told in told {
        assert!(
            told.contains("threads 32 to 63 of block 0 wait for parity 0 at `bar[0]`"),
            "{told}"
        );
        assert!(told.contains("misses 0 of 1 arrivals and 16 bytes"), "{told}");
        let comes = format!("threads come there at k.rs:{}:1", line(&text, "arrive"));
        assert!(told.contains(&comes), "{told}");
        assert!(told.contains("nobody is left who could"), "{told}");
    }
}

/// Who asks for a phase in vain goes on asking.
#[test]
fn a_phase_that_is_asked_for_in_vain() {
    let text = roles("", &spinning());
    for seed in super::scene::SEEDS {
        let found = &scene(&text).run(seed).findings[0];
        assert_eq!(found.kind, Endless);
        let asks =
            "it asks for parity 0 at `bar[0]`, which is in phase 0 and misses 1 of 1 arrivals";
        assert!(found.what.contains(asks), "{found}");
    }
}

/// One role waits at a barrier of the block, the other for the first.
#[test]
fn two_sorts_of_barriers_that_wait_for_each_other() {
    let named = "
    barrier_sync[1 threads 64] //~ named
    mbarrier_arrive %bar //~ arrive";
    let waits = "
    mbarrier_wait %bar, %zero //~ wait
    barrier_sync[1 threads 64]";
    for told in planted(named, waits, &[(Deadlock, "named", "")]) {
        assert!(told.contains("at barrier 1, where only 32 threads have come"), "{told}");
        assert!(told.contains("it is for threads 32 to 63 of block 0 to come"), "{told}");
        assert!(told.contains("it is for threads 0 to 31 of block 0 to come"), "{told}");
    }
    let whole = "
    barrier //~ whole
    mbarrier_arrive %bar //~ arrive";
    let waits = "    mbarrier_wait %bar, %zero //~ wait\n    barrier";
    for told in planted(whole, waits, &[(Deadlock, "wait", "")]) {
        assert!(told.contains("threads 0 to 31 of block 0 wait at `barrier`"), "{told}");
    }
}

/// Lanes of one warp wait for a lane that has gone to a collective operation.
#[test]
fn a_warp_that_waits_for_itself() {
    let parted = "
    if %leads {
      mbarrier_wait %bar, %zero //~ wait
      yield
    } {
      yield
    }
    warp_sync //~ sync
    if %leads {
      mbarrier_arrive %bar //~ arrive
      yield
    } {
      yield
    }";
    for told in planted(parted, "", &[(Deadlock, "wait", "")]) {
        assert!(told.contains("threads 1 to 31 of block 0 wait at `warp_sync`"), "{told}");
    }
}

/// Two blocks: the second writes into the first's memory, and comes to its barrier.
const REMOTE: &str = r#"
kernel @k(%y "y": ptr<global, u32> exclusive) block(32, 1, 1) cluster(2, 1, 1) {
  shared s0 "bar": u64 x 1 align 8
  shared s1 "box": u32 x 32 align 4
  %zero: u32 = const[u32 0]
  %one: u32 = const[u32 1]
  %count: u32 = const[u32 32]
  %seven: u32 = const[u32 7]
  %lane: u32 = lane_id
  %rank: u32 = cluster_rank
  %bar: ptr<shared, u64> = shared_addr[s0]
  %box: ptr<shared, u32> = shared_addr[s1]
  %own: ptr<shared, u32> = ptr_add %box, %lane
  %leads: bool = eq %lane, %zero
  %gives: bool = eq %rank, %one
  if %leads {
    mbarrier_init %bar, %count //~ init
    mbarrier_fence //~ fence
    yield
  } {
    yield
  }
  cluster_arrive //~ come
  cluster_wait //~ wait
  if %gives {
    %there: ptr<cluster, u32> = map_shared %own, %zero
    store[align 4] %there, %seven //~ give
    %its: ptr<cluster, u64> = map_shared %bar, %zero
    mbarrier_arrive %its //~ arrive
    yield
  } {
    mbarrier_wait %bar, %zero //~ await
    %got: u32 = load[align 4] %own //~ take
    %to: ptr<global, u32> = ptr_add %y, %lane
    store[align 4] %to, %got
    yield
  }
  return
}
"#;

fn pair(text: &str) -> Scene {
    Scene::new(text, 2, 32).pointer(128, &[0; 128])
}

fn planted_pair(part: &str, by: &str, expected: &[(FindingKind, &str, &str)]) -> Vec<String> {
    let text = replaced(REMOTE, part, by);
    finds(|| pair(&text), expected).iter().map(ToString::to_string).collect()
}

#[test]
fn blocks_of_a_cluster_hand_over() {
    finds_nothing(|| pair(REMOTE), took);
    // By the cluster's barrier alone.
    let text = replaced(
        REMOTE,
        "    mbarrier_arrive %its //~ arrive\n    yield",
        "    cluster_arrive\n    cluster_wait\n    yield",
    );
    let text =
        replaced(&text, "mbarrier_wait %bar, %zero //~ await", "cluster_arrive\n    cluster_wait");
    finds_nothing(|| pair(&text), took);
}

#[test]
fn a_write_to_another_block_that_is_not_awaited() {
    planted_pair(
        "    mbarrier_wait %bar, %zero //~ await\n",
        "",
        &[
            (Race, "take", "give"),
            (Race, "give", "take"),
            (Uninitialized, "take", ""),
            (EndedBlock, "give", ""),
            (EndedBlock, "arrive", ""),
        ],
    );
}

#[test]
fn a_cluster_that_comes_without_waiting() {
    planted_pair(
        "  cluster_wait //~ wait\n",
        "",
        &[
            (BarrierMisuse, "arrive", "init"),
            (BarrierMisuse, "arrive", ""),
            (BarrierMisuse, "await", "init"),
            (BarrierMisuse, "await", ""),
            (EndedBlock, "give", ""),
        ],
    );
}

#[test]
fn a_barrier_that_other_blocks_cannot_see() {
    planted_pair("    mbarrier_fence //~ fence\n", "", &[(MissingFence, "arrive", "init")]);
}

#[test]
fn the_clusters_barrier_has_two_steps() {
    planted_pair(
        "  cluster_arrive //~ come\n",
        "  cluster_arrive\n  cluster_arrive //~ come\n",
        &[(BarrierMisuse, "come", "")],
    );
    planted_pair("  cluster_arrive //~ come\n", "", &[(BarrierMisuse, "wait", "")]);
}

/// Those who have ended are not waited for.
#[test]
fn a_cluster_with_threads_that_have_ended() {
    let text = replaced(
        REMOTE,
        "  cluster_arrive //~ come",
        "  %gone: bool = eq %lane, %seven
  if %gone {
    return
  } {
    yield
  }
  cluster_arrive //~ come",
    );
    let text = replaced(&text, "const[u32 32]", "const[u32 31]");
    finds_nothing(|| pair(&text), |_| {});
}

/// Nobody of the other block comes, as it waits, too: a circle through two blocks.
#[test]
fn blocks_that_wait_for_each_other() {
    let text =
        replaced(REMOTE, "    %there:", "    mbarrier_wait %bar, %zero //~ both\n    %there:");
    let text = replaced(
        &text,
        "store[align 4] %to, %got",
        "store[align 4] %to, %got
    %other: ptr<cluster, u64> = map_shared %bar, %one
    mbarrier_arrive %other",
    );
    for told in finds(|| pair(&text), &[(Deadlock, "await", "")]) {
        let told = told.to_string();
        assert!(told.contains("threads 0 to 31 of block 0 wait for parity 0 at `bar`"), "{told}");
        assert!(told.contains("it is for threads 0 to 31 of block 1 to come"), "{told}");
        assert!(told.contains("it is for threads 0 to 31 of block 0 to come"), "{told}");
    }
}

#[test]
fn a_grid_that_is_not_made_of_clusters() {
    let outcome = pair(REMOTE).on([3, 1, 1]).run(1);
    assert_eq!(outcome.findings[0].kind, BadLaunch);
    let text = outcome.findings[0].to_string();
    assert!(
        text.contains("a grid of [3, 1, 1] blocks is not made of clusters of [2, 1, 1]"),
        "{text}"
    );
}

/// The rank, the warpgroup, and one lane of each warp.
#[test]
fn who_one_is() {
    let text = r#"
kernel @k(%y "y": ptr<global, u32> exclusive) block(160, 1, 1) cluster(2, 2, 1) {
  %hundred: u32 = const[u32 160]
  %ten: u32 = const[u32 10]
  %thread: u32 = thread_idx[x]
  %x: u32 = block_idx[x]
  %bit: u32 = block_idx[y]
  %across: u32 = grid_dim[x]
  %line: u32 = mul %bit, %across
  %number: u32 = add %line, %x
  %group: u32 = warpgroup_id
  %rank: u32 = cluster_rank
  grid_wait
  %elected: bool = elect
  %one: u32 = cast %elected
  %tens: u32 = mul %group, %ten
  %ranks: u32 = mul %rank, %hundred
  %sum: u32 = add %tens, %one
  %all: u32 = add %sum, %ranks
  %before: u32 = mul %number, %hundred
  %at: u32 = add %before, %thread
  %to: ptr<global, u32> = ptr_add %y, %at
  store[align 4] %to, %all
  grid_release
  return
}
"#;
    let scene = || Scene::new(text, 1, 160).pointer(8 * 160 * 4, &[]).on([4, 2, 1]);
    finds_nothing(scene, |scene| {
        let bytes = scene.bytes(0, 8 * 160 * 4);
        let numbers = bytes.chunks(4).map(|b| u32::from_le_bytes(b.try_into().unwrap()));
        for (i, number) in (0..).zip(numbers) {
            let (block, thread) = (i / 160, i % 160);
            let rank = block % 2 + block / 4 * 2;
            let elected = u32::from(thread % 32 == 0);
            assert_eq!(number, rank * 160 + thread / 128 * 10 + elected, "{block} {thread}");
        }
    });
}
