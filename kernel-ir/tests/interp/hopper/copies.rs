//! Bulk copies: what they move, and what must be waited for.

use kernelsmith_ir::interp::FindingKind::{self, *};
use kernelsmith_ir::tensor_map::Swizzle;

use super::scene::{Scene, finds, finds_nothing, replaced};

/// Loads 256 bytes, adds to them nothing, and stores them elsewhere.
const RUN: &str = r#"
kernel @k(%x "x": ptr<global, u32> readonly, %y "y": ptr<global, u32> exclusive) block(32, 1, 1) {
  shared s0 "bar": u64 x 1 align 8
  shared s1 "tile": u32 x 64 align 128
  %zero: u32 = const[u32 0]
  %one: u32 = const[u32 1]
  %bytes: u32 = const[u32 256]
  %lane: u32 = lane_id
  %bar: ptr<shared, u64> = shared_addr[s0]
  %tile: ptr<shared, u32> = shared_addr[s1]
  %own: ptr<shared, u32> = ptr_add %tile, %lane
  %leads: bool = eq %lane, %zero
  if %leads {
    mbarrier_init %bar, %one //~ init
    mbarrier_fence
    mbarrier_arrive_expect %bar, %bytes
    bulk_load[normal] %tile, %x, %bytes, %bar //~ load
    yield
  } {
    yield
  }
  warp_sync
  mbarrier_wait %bar, %zero //~ wait
  %got: u32 = load[align 4] %own //~ take
  %more: u32 = add %got, %one
  store[align 4] %own, %more //~ give
  async_fence //~ fence
  warp_sync
  if %leads {
    bulk_store[normal] %y, %tile, %bytes //~ store
    bulk_commit
    bulk_wait_read[0] //~ wait_read
    yield
  } {
    yield
  }
  return
}
"#;

fn words(numbers: impl Iterator<Item = u32>) -> Vec<u8> {
    numbers.flat_map(u32::to_le_bytes).collect()
}

fn run(text: &str) -> Scene {
    run_on(text, 32)
}

fn run_on(text: &str, threads: u32) -> Scene {
    Scene::new(text, 1, threads).pointer(512, &words(100..164)).pointer(512, &[1; 512])
}

fn planted(part: &str, by: &str, expected: &[(FindingKind, &str, &str)]) -> Vec<String> {
    let text = replaced(RUN, part, by);
    finds(|| run(&text), expected).iter().map(ToString::to_string).collect()
}

#[test]
fn a_run_of_bytes_there_and_back() {
    finds_nothing(
        || run(RUN),
        |scene| {
            let expected = words((101..133).chain(132..164));
            assert_eq!(scene.bytes(1, 256), expected);
        },
    );
}

#[test]
fn a_load_that_is_not_waited_for() {
    planted("  mbarrier_wait %bar, %zero //~ wait\n", "", &[(CopyInFlight, "take", "load")]);
}

#[test]
fn a_store_before_the_writes_are_seen() {
    planted("  async_fence //~ fence\n", "", &[(MissingFence, "store", "give")]);
}

#[test]
fn a_store_that_is_not_ordered() {
    planted(
        "  async_fence //~ fence\n  warp_sync\n",
        "  async_fence //~ fence\n",
        &[
            (CopyInFlight, "store", "give"),
            (CopyInFlight, "give", "store"),
            (Race, "give", "store"),
        ],
    );
}

#[test]
fn bytes_that_are_no_pieces() {
    planted("const[u32 256]", "const[u32 250]", &[(Misaligned, "load", "")]);
    planted(
        "bulk_load[normal] %tile,",
        "%few: u32 = const[u32 128]\n    %off: ptr<shared, u32> = ptr_add %tile, %one\n    bulk_load[normal] %off, %x, %few, %bar //~ load\n    bulk_load[normal] %tile,",
        &[(Misaligned, "load", "")],
    );
}

#[test]
fn bytes_outside_of_a_buffer() {
    planted("const[u32 256]", "const[u32 528]", &[(OutOfBounds, "load", "")]);
    let text = replaced(RUN, "x 64 align 128", "x 132 align 128");
    let text = replaced(&text, "const[u32 256]", "const[u32 528]");
    finds(|| run(&text), &[(OutOfBounds, "load", "")]);
}

#[test]
fn bytes_that_nobody_wrote() {
    let short = || Scene::new(RUN, 1, 32).pointer(512, &[1; 252]).pointer(512, &[1; 512]);
    finds(short, &[(Uninitialized, "load", "")]);
}

/// A thread that has waited until its copy has read does not know that it has written.
#[test]
fn a_store_whose_writes_are_not_waited_for() {
    let reads = "bulk_wait_read[0] //~ wait_read
    %back: u32 = load[align 4] %y //~ back";
    planted("bulk_wait_read[0] //~ wait_read", reads, &[(CopyInFlight, "back", "store")]);
    let right = replaced(RUN, "bulk_wait_read[0] //~ wait_read", &reads.replace("_read[0]", "[0]"));
    finds_nothing(|| run(&right), |_| {});
}

/// Two groups, of which only the first is waited for.
#[test]
fn the_latest_group_is_not_waited_for() {
    let text = replaced(
        RUN,
        "    bulk_commit\n    bulk_wait_read[0] //~ wait_read\n",
        "    bulk_commit
    bulk_store[normal] %y, %tile, %bytes //~ second
    bulk_commit
    bulk_wait_read[1] //~ wait_read\n",
    );
    finds(|| run(&text), &[(CopyInFlight, "second", "store"), (EndedBlock, "second", "")]);
}

/// Blocks add to one place at the same time, which copies may.
#[test]
fn stores_that_add() {
    let text = replaced(RUN, "bulk_store[normal]", "bulk_store[normal add]");
    let scene = || {
        let scene = Scene::new(&text, 4, 32).pointer(512, &words(100..164));
        scene.pointer(512, &words((0..64).map(|i| 1000 * i)))
    };
    finds_nothing(scene, |scene| {
        let brought = (101..133).chain(132..164).map(|x| 4 * x);
        assert_eq!(scene.bytes(1, 256), words(brought.zip(0..).map(|(x, i)| x + 1000 * i)));
    });
    finds(
        || {
            let scene = Scene::new(RUN, 4, 32).pointer(512, &words(100..164));
            scene.pointer(512, &[0; 512])
        },
        &[(CopyInFlight, "store", "store")],
    );
}

/// A copy of single threads that a barrier is come to with.
#[test]
fn arrivals_with_small_copies() {
    let text = r#"
kernel @k(%x "x": ptr<global, u32> readonly, %y "y": ptr<global, u32> exclusive) block(64, 1, 1) {
  shared s0 "bar": u64 x 1 align 8
  shared s1 "tile": u32 x 32 align 128
  %zero: u32 = const[u32 0]
  %count: u32 = const[u32 32]
  %lane: u32 = lane_id
  %warp: u32 = warp_id
  %thread: u32 = thread_idx[x]
  %bar: ptr<shared, u64> = shared_addr[s0]
  %tile: ptr<shared, u32> = shared_addr[s1]
  %own: ptr<shared, u32> = ptr_add %tile, %lane
  %leads: bool = eq %thread, %zero
  %loads: bool = eq %warp, %zero
  if %leads {
    mbarrier_init %bar, %count
    yield
  } {
    yield
  }
  barrier
  if %loads {
    %from: ptr<global, u32> = ptr_add %x, %lane
    cp_async[4] %own, %from //~ copy
    cp_async_arrive %bar //~ arrive
    yield
  } {
    mbarrier_wait %bar, %zero //~ wait
    %got: u32 = load[align 4] %own //~ take
    %to: ptr<global, u32> = ptr_add %y, %lane
    store[align 4] %to, %got
    yield
  }
  return
}
"#;
    finds_nothing(|| run_on(text, 64), |scene| assert_eq!(scene.bytes(1, 128), words(100..132)));
    let early = replaced(text, "cp_async_arrive %bar", "mbarrier_arrive %bar");
    finds(|| run_on(&early, 64), &[(CopyInFlight, "take", "copy"), (CopyInFlight, "copy", "take")]);
    let never = replaced(text, "    cp_async_arrive %bar //~ arrive\n", "");
    finds(|| run_on(&never, 64), &[(Deadlock, "wait", "")]);
}

/// A box at some place of a tensor of `22 x 9 x 3` numbers, through shared memory to another.
fn boxes(swizzle: Swizzle, width: u32) -> String {
    let (name, elements) = (swizzle.name(), width * 3 * 2);
    format!(
        r#"
kernel @k(%x "x": tensor_map<u32, 3> tile[{width}, 3, 2 {name}], %y "y": tensor_map<u32, 3> tile_mut[{width}, 3, 2 {name}], %z "z": ptr<global, u32> exclusive, %c0 "c0": i32 scalar, %c1 "c1": i32 scalar, %c2 "c2": i32 scalar) block(32, 1, 1) {{
  shared s0 "bar": u64 x 1 align 8
  shared s1 "tile": u32 x {room} align 1024
  %zero: u32 = const[u32 0]
  %one: u32 = const[u32 1]
  %step: u32 = const[u32 32]
  %count: u32 = const[u32 {elements}]
  %bytes: u32 = const[u32 {bytes}]
  %lane: u32 = lane_id
  %bar: ptr<shared, u64> = shared_addr[s0]
  %tile: ptr<shared, u32> = shared_addr[s1]
  %leads: bool = eq %lane, %zero
  if %leads {{
    mbarrier_init %bar, %one
    mbarrier_fence
    mbarrier_arrive_expect %bar, %bytes
    tma_prefetch %x
    tma_load[normal] %tile, %x, %bar, %c0, %c1, %c2 //~ load
    mbarrier_wait %bar, %zero
    tma_store[normal] %y, %tile, %c0, %c1, %c2 //~ store
    bulk_commit
    bulk_wait[0]
    yield
  }} {{
    yield
  }}
  warp_sync
  for[$0] %zero, %count {{ |%i: u32|
    %from: ptr<shared, u32> = ptr_add %tile, %i
    %got: u32 = load[align 4] %from
    %to: ptr<global, u32> = ptr_add %z, %i
    if %leads {{
      store[align 4] %to, %got
      yield
    }} {{
      yield
    }}
    continue[$0]
  }}
  return
}}
"#,
        room = elements.next_multiple_of(32),
        bytes = elements * 4,
    )
}

/// What is outside of the tensor is 0 in shared memory, and stays as it was in the other tensor;
/// pieces of 16 bytes stand where the swizzle puts them.
#[test]
fn boxes_at_the_edges_of_a_tensor() {
    const EXTENTS: [i64; 3] = [22, 9, 3];
    for (swizzle, width) in
        [(Swizzle::None, 12), (Swizzle::B32, 8), (Swizzle::B64, 16), (Swizzle::B128, 32)]
    {
        let text = boxes(swizzle, width);
        let all = EXTENTS.iter().product::<i64>() as usize;
        for at in [[0, 0, 0], [-3, 7, -1], [12, -2, 2], [30, 0, 0], [4, 3, 1]] {
            let scene = || {
                let extents = EXTENTS.map(|n| n as u64);
                let scene =
                    Scene::new(&text, 1, 32).tensor(&extents, &words(1000..1000 + all as u32));
                let scene = scene.tensor(&extents, &words(std::iter::repeat_n(7, all)));
                let scene = scene.pointer(4096, &[]);
                at.iter().fold(scene, |scene, &c| scene.number(c as u32))
            };
            finds_nothing(scene, |scene| {
                let mut stored = vec![7; all];
                let tile = scene.bytes(2, (width * 6 * 4) as usize);
                for i in 0..width * 6 {
                    let inner = [i % width, i / width % 3, i / width / 3];
                    let place: [i64; 3] =
                        std::array::from_fn(|axis| i64::from(inner[axis]) + i64::from(at[axis]));
                    let inside = (0..3).all(|axis| (0..EXTENTS[axis]).contains(&place[axis]));
                    let index = place[0] + EXTENTS[0] * (place[1] + EXTENTS[1] * place[2]);
                    let expected = if inside { 1000 + index as u32 } else { 0 };
                    let there = swizzle.apply(4 * i) as usize;
                    // The last line of 128 bytes may not be full, and its pieces then lie beyond.
                    if there + 4 <= tile.len() {
                        let found = u32::from_le_bytes(tile[there..there + 4].try_into().unwrap());
                        assert_eq!(found, expected, "{swizzle:?} {at:?} {inner:?}");
                    }
                    if inside {
                        stored[index as usize] = expected;
                    }
                }
                assert_eq!(scene.bytes(1, all * 4), words(stored.into_iter()));
            });
        }
    }
}

#[test]
fn a_tensor_larger_than_its_buffer() {
    let text = boxes(Swizzle::None, 12);
    let scene = || {
        let scene = Scene::new(&text, 1, 32).tensor_in(&[22, 9, 3], 500, &[0; 500]);
        let scene = scene.tensor(&[22, 9, 3], &[0; 22 * 9 * 3 * 4]).pointer(4096, &[]);
        scene.number(0).number(0).number(0)
    };
    finds(scene, &[(OutOfBounds, "load", "")]);
}

#[test]
fn a_map_of_another_box() {
    let [mut this, other] = [boxes(Swizzle::None, 12), boxes(Swizzle::None, 16)].map(|text| {
        let scene = Scene::new(&text, 1, 32).tensor(&[22, 9, 3], &[]);
        let scene = scene.tensor(&[22, 9, 3], &[]).pointer(4096, &[]);
        scene.number(0).number(0).number(0)
    });
    this.args = other.args;
    let outcome = this.run(1);
    assert_eq!(outcome.findings[0].kind, BadLaunch);
    assert!(outcome.findings[0].what.contains("`x` is no tensor map of the kernel's box"));
}
