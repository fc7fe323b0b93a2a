//! Products of two blocks in the tensor memory of both: right ones find nothing and compute the right
//! numbers in every schedule, and of each planted bug the line is found.

use half::bf16;
use kernelsmith_ir::attr::Const;
use kernelsmith_ir::interp::FindingKind::{self, *};
use kernelsmith_ir::tensor_map::Swizzle;
use kernelsmith_ir::wgmma::SmemLayout;
use kernelsmith_ir::{Scalar, Target, parse, passes, verify};

use super::scene::{Scene, finds, finds_nothing, replaced};

/// `C = A * B'`, A of 256 x 32 and B of 64 x 32: each block copies half of the rows of both, one thread of
/// the first begins two products of a depth of 16, and each warp reads 32 rows of what its block has.
const PRODUCT: &str = r#"
kernel @k(%a "a": ptr<global, bf16> readonly, %b "b": ptr<global, bf16> readonly, %c "c": ptr<global, f32> exclusive) block(128, 1, 1) cluster(2, 1, 1) {
  shared s0 "full": u64 x 1 align 8
  shared s1 "done": u64 x 1 align 8
  shared s2 "ready": u64 x 1 align 8
  shared s3 "place": u32 x 1 align 4
  shared s4 "a_tile": bf16 x 4096 align 1024
  shared s5 "b_tile": bf16 x 1024 align 1024
  %full: ptr<shared, u64> = shared_addr[s0]
  %done: ptr<shared, u64> = shared_addr[s1]
  %ready: ptr<shared, u64> = shared_addr[s2]
  %place: ptr<shared, u32> = shared_addr[s3]
  %a_tile: ptr<shared, bf16> = shared_addr[s4]
  %b_tile: ptr<shared, bf16> = shared_addr[s5]
  %zero: u32 = const[u32 0]
  %one: u32 = const[u32 1]
  %both: u32 = const[u32 3]
  %no: bool = const[bool false]
  %yes: bool = const[bool true]
  %thread: u32 = thread_idx[x]
  %warp: u32 = warp_id
  %rank: u32 = cluster_rank
  %leads: bool = eq %thread, %zero
  %first_warp: bool = eq %warp, %zero
  %even: bool = eq %rank, %zero
  if %leads {
    mbarrier_init %full, %one
    mbarrier_init %done, %one
    mbarrier_init %ready, %one
    mbarrier_fence
    yield
  } {
    yield
  }
  cluster_arrive
  cluster_wait
  if %first_warp {
    tcgen05_alloc[128 pair] %place //~ alloc
    tcgen05_yield[pair]
    yield
  } {
    yield
  }
  barrier
  %d: u32 = load[align 4] %place //~ place
  %sixteen: u32 = const[u32 16]
  %lane: u32 = const[u32 5]
  %lanes: u32 = shl %warp, %lane
  %upper: u32 = shl %lanes, %sixteen
  %own: u32 = or %d, %upper
  if %leads {
    %a_bytes: u32 = const[u32 8192]
    %b_bytes: u32 = const[u32 2048]
    %bytes: u32 = const[u32 10240]
    %a_count: u32 = const[u32 4096]
    %b_count: u32 = const[u32 1024]
    %a_first: u32 = mul %rank, %a_count
    %b_first: u32 = mul %rank, %b_count
    %a_own: ptr<global, bf16> = ptr_add %a, %a_first
    %b_own: ptr<global, bf16> = ptr_add %b, %b_first
    mbarrier_arrive_expect %full, %bytes
    bulk_load[normal] %a_tile, %a_own, %a_bytes, %full //~ load_a
    bulk_load[normal] %b_tile, %b_own, %b_bytes, %full //~ load_b
    mbarrier_wait %full, %zero
    if %even {
      %a_next: u32 = const[u32 2048]
      %b_next: u32 = const[u32 512]
      %a_last: ptr<shared, bf16> = ptr_add %a_tile, %a_next
      %b_last: ptr<shared, bf16> = ptr_add %b_tile, %b_next
      mbarrier_wait %ready, %zero //~ ready
      tcgen05_mma[m256n64k16.bf16.f32 pair a k none 2048 128 b k none 512 128] %d, %a_tile, %b_tile, %no //~ first
      tcgen05_mma[m256n64k16.bf16.f32 pair a k none 2048 128 b k none 512 128] %d, %a_last, %b_last, %yes //~ second
      tcgen05_commit[pair multicast] %done, %both //~ commit
      yield
    } {
      %there: ptr<cluster, u64> = map_shared %ready, %zero
      mbarrier_arrive %there
      yield
    }
    yield
  } {
    yield
  }
  mbarrier_wait %done, %zero //~ wait
  tcgen05_fence_after //~ after
  %read: <64 x u32> = tcgen05_load %own //~ load
  %sums: <64 x u32> = tcgen05_wait_load %read
  %floats: <64 x f32> = bitcast %sums
  %wide: u32 = const[u32 64]
  %rows: u32 = const[u32 128]
  %row_first: u32 = mul %rank, %rows
  %row: u32 = add %row_first, %thread
  %at: u32 = mul %row, %wide
  %to: ptr<global, f32> = ptr_add %c, %at
  store[align 4] %to, %floats
  tcgen05_fence_before
  cluster_arrive
  cluster_wait
  if %first_warp {
    tcgen05_free[128 pair] %d //~ free
    yield
  } {
    yield
  }
  return
}
"#;

/// The same with 128 rows: each block has 64 of them, in the lower lanes those of the first 32 columns, in
/// the others those of the rest.
fn low() -> String {
    let text = PRODUCT
        .replace(
            "m256n64k16.bf16.f32 pair a k none 2048 128",
            "m128n64k16.bf16.f32 pair a k none 1024 128",
        )
        .replace("%a_bytes: u32 = const[u32 8192]", "%a_bytes: u32 = const[u32 4096]")
        .replace("%bytes: u32 = const[u32 10240]", "%bytes: u32 = const[u32 6144]")
        .replace("%a_count: u32 = const[u32 4096]", "%a_count: u32 = const[u32 2048]")
        .replace("%a_next: u32 = const[u32 2048]", "%a_next: u32 = const[u32 1024]")
        .replace("<64 x", "<32 x");
    replaced(
        &text,
        "  %rows: u32 = const[u32 128]
  %row_first: u32 = mul %rank, %rows
  %row: u32 = add %row_first, %thread
  %at: u32 = mul %row, %wide
",
        "  %row_first: u32 = mul %rank, %wide
  %own_row: u32 = rem %thread, %wide
  %half: u32 = div %thread, %wide
  %row: u32 = add %row_first, %own_row
  %row_at: u32 = mul %row, %wide
  %half_at: u32 = shl %half, %lane
  %at: u32 = add %row_at, %half_at
",
    )
}

fn a(row: usize, k: usize) -> f32 {
    ((row * 7 + row / 64 + k * 3) % 11) as f32 - 5.0
}

fn b(column: usize, k: usize) -> f32 {
    ((column * 5 + column / 32 + k) % 7) as f32 - 3.0
}

/// Both halves of a factor of 32 columns along k, each as it lies in a block's shared memory.
fn packed(rows: usize, of: fn(usize, usize) -> f32) -> Vec<u8> {
    let (half, mut all) = (rows / 2, Vec::new());
    let leading = half as u32 * 16;
    let layout = SmemLayout { swizzle: Swizzle::None, mn_major: false, leading, stride: 128 };
    for first in [0, half] {
        let mut bytes = vec![0; half * 64];
        for (row, k) in (0..half).flat_map(|row| (0..32).map(move |k| (row, k))) {
            let at = layout.address(0, 2, row as u32, k as u32) as usize;
            let element = bf16::from_f32(of(first + row, k));
            bytes[at..at + 2].copy_from_slice(&element.to_le_bytes());
        }
        all.extend(bytes);
    }
    all
}

fn scene(text: &str) -> Scene {
    let rows = if text.contains("m256") { 256 } else { 128 };
    Scene::new(text, 2, 128)
        .pointer(64 * rows, &packed(rows, a))
        .pointer(4096, &packed(64, b))
        .pointer(rows * 64 * 4, &[])
}

fn check(scene: &Scene, rows: usize) {
    let bytes = scene.bytes(2, rows * 64 * 4);
    for (i, word) in bytes.chunks(4).enumerate() {
        let expected: f32 = (0..32).map(|k| a(i / 64, k) * b(i % 64, k)).sum();
        assert_eq!(f32::from_le_bytes(word.try_into().unwrap()), expected, "{i}");
    }
}

fn planted(part: &str, by: &str, expected: &[(FindingKind, &str, &str)]) {
    let text = replaced(PRODUCT, part, by);
    finds(|| scene(&text), expected);
}

#[test]
fn a_product_of_256_rows() {
    finds_nothing(|| scene(PRODUCT), |scene| check(scene, 256));
}

#[test]
fn a_product_of_128_rows() {
    let text = low();
    finds_nothing(|| scene(&text), |scene| check(scene, 128));
}

/// The peer's tiles may not have come, or not been begun.
#[test]
fn factors_of_the_peer_that_nobody_waited_for() {
    planted(
        "      mbarrier_wait %ready, %zero //~ ready\n",
        "",
        &[
            (CopyInFlight, "first", "load_a"),
            (CopyInFlight, "load_a", "first"),
            (Uninitialized, "first", ""),
            (Uninitialized, "second", ""),
        ],
    );
}

#[test]
fn sums_that_one_block_is_not_told_of() {
    planted("[pair multicast] %done, %both", "[pair] %done", &[(Deadlock, "wait", "")]);
    let other = planted_other_block();
    finds(|| scene(&other), &[(OutOfBounds, "commit", "")]);
}

/// A commit to a third block of two.
fn planted_other_block() -> String {
    replaced(PRODUCT, "%both: u32 = const[u32 3]", "%both: u32 = const[u32 7]")
}

#[test]
fn sums_that_one_block_does_not_wait_for() {
    planted(
        "  mbarrier_wait %done, %zero //~ wait\n",
        "  if %even {
    mbarrier_wait %done, %zero //~ wait
    yield
  } {
    yield
  }
",
        &[
            (CopyInFlight, "load", "second"),
            (CopyInFlight, "load", "first"),
            (CopyInFlight, "first", "load"),
            (CopyInFlight, "second", "load"),
            (Uninitialized, "load", ""),
        ],
    );
}

#[test]
fn fences_that_are_missing() {
    planted("  tcgen05_fence_after //~ after\n", "", &[(MissingFence, "load", "second")]);
}

/// One block takes tensor memory, and its peer does not, or comes for other columns.
#[test]
fn memory_that_only_one_block_takes() {
    let alloc = "    tcgen05_alloc[128 pair] %place //~ alloc\n    tcgen05_yield[pair]\n";
    let only_even = format!("    if %even {{\n{alloc}    yield\n    }} {{\n    yield\n    }}\n");
    planted(alloc, &only_even, &[(Deadlock, "alloc", ""), (Uninitialized, "place", "")]);
    let other = "    if %even {
    tcgen05_alloc[128 pair] %place //~ alloc
    yield
    } {
    tcgen05_alloc[64 pair] %place //~ less
    yield
    }
";
    planted(alloc, other, &[(BarrierMisuse, "alloc", "less"), (BarrierMisuse, "less", "alloc")]);
    let twice = "  if %even {
    tcgen05_yield[pair] //~ twice
    yield
  } {
    yield
  }
  if %first_warp {
    tcgen05_alloc";
    let text = replaced(PRODUCT, "  if %first_warp {\n    tcgen05_alloc", twice);
    let found = finds(
        || scene(&text),
        &[
            (BarrierMisuse, "twice", "twice"),
            (BarrierMisuse, "twice", "alloc"),
            (BarrierMisuse, "alloc", "twice"),
        ],
    );
    assert!(found.iter().any(|f| f.what.contains("by two warps of one block")));
}

#[test]
fn memory_that_only_one_block_gives_back() {
    let free = "    tcgen05_free[128 pair] %d //~ free\n";
    let only_even = format!("    if %even {{\n{free}    yield\n    }} {{\n    yield\n    }}\n");
    planted(free, &only_even, &[(EndedBlock, "alloc", ""), (Deadlock, "free", "")]);
    planted(free, "", &[(EndedBlock, "alloc", "")]);
    planted("free[128 pair]", "free[64 pair]", &[(BarrierMisuse, "free", "")]);
}

/// A block that ends while its peer multiplies by what it has.
#[test]
fn a_peer_that_has_ended() {
    planted(
        "  mbarrier_wait %done, %zero //~ wait\n",
        "  if %even {
    yield
  } {
    return
  }
  mbarrier_wait %done, %zero //~ wait\n",
        &[(EndedBlock, "first", ""), (EndedBlock, "second", ""), (EndedBlock, "alloc", "")],
    );
}

/// Block 1 loads 64 numbers, which a barrier of its peer counts: who waits there, reads them from it.
const LOAD: &str = r#"
kernel @k(%x "x": tensor_map<f32, 1> tile[64 none], %y "y": ptr<global, f32> exclusive) block(32, 1, 1) cluster(4, 1, 1) {
  shared s0 "full": u64 x 1 align 8
  shared s1 "tile": f32 x 64 align 128
  %full: ptr<shared, u64> = shared_addr[s0]
  %tile: ptr<shared, f32> = shared_addr[s1]
  %zero: u32 = const[u32 0]
  %one: u32 = const[u32 1]
  %bytes: u32 = const[u32 256]
  %at: i32 = const[i32 0]
  %counts: u32 = const[u32 0]
  %thread: u32 = thread_idx[x]
  %rank: u32 = cluster_rank
  %leads: bool = eq %thread, %zero
  %first: bool = eq %rank, %zero
  %second: bool = eq %rank, %one
  if %leads {
    mbarrier_init %full, %one
    mbarrier_fence
    yield
  } {
    yield
  }
  cluster_arrive
  cluster_wait
  %there: ptr<cluster, u64> = map_shared %full, %counts
  if %leads {
    if %second {
      tma_load[normal] %tile, %x, %there, %at //~ load
      yield
    } {
      yield
    }
    if %first {
      mbarrier_arrive_expect %full, %bytes
      mbarrier_wait %full, %zero //~ wait
      %theirs: ptr<cluster, f32> = map_shared %tile, %one
      %value: f32 = load[align 4] %theirs //~ read
      store[align 4] %y, %value
      yield
    } {
      yield
    }
    yield
  } {
    yield
  }
  cluster_arrive
  cluster_wait
  return
}
"#;

fn loading(text: &str) -> Scene {
    let numbers: Vec<u8> = (0..64).flat_map(|i| (i as f32 + 7.0).to_le_bytes()).collect();
    Scene::new(text, 4, 32).tensor(&[64], &numbers).pointer(4, &[])
}

#[test]
fn a_load_that_the_peers_barrier_counts() {
    let seven = |scene: &Scene| assert_eq!(scene.bytes(1, 4), 7f32.to_le_bytes());
    finds_nothing(|| loading(LOAD), seven);
    let text = replaced(LOAD, "      mbarrier_wait %full, %zero //~ wait\n", "");
    let races = [(CopyInFlight, "read", "load"), (CopyInFlight, "load", "read")];
    finds(|| loading(&text), &[races[0], races[1], (Uninitialized, "read", "")]);
    // The other pair's.
    let text = replaced(LOAD, "%counts: u32 = const[u32 0]", "%counts: u32 = const[u32 2]");
    finds(|| loading(&text), &[(OutOfBounds, "load", "")]);
    // Its own, which nobody waits for before it ends, and the peer waits in vain.
    let text = replaced(LOAD, "%counts: u32 = const[u32 0]", "%counts: u32 = const[u32 1]");
    let found = [(BarrierMisuse, "load", ""), (Deadlock, "wait", ""), (EndedBlock, "load", "")];
    finds(|| loading(&text), &found);
}

/// [`low`] with 8-bit floats and scales. Each block has the scales of its 64 rows of A, four times the same;
/// those of the first 32 columns of B are in the lower lanes, of the others in the upper ones.
fn low_scaled() -> String {
    let text = low().replace("bf16", "e4m3");
    let text = text
        .replace("%a_count: u32 = const[u32 2048]", "%a_count: u32 = const[u32 4096]")
        .replace("%a_next: u32 = const[u32 1024]", "%a_next: u32 = const[u32 2048]")
        .replace("%b_count: u32 = const[u32 1024]", "%b_count: u32 = const[u32 2048]")
        .replace("%b_next: u32 = const[u32 512]", "%b_next: u32 = const[u32 1024]")
        .replace("e4m3 x 1024 align", "e4m3 x 2048 align")
        .replace("%bytes: u32 = const[u32 6144]", "%bytes: u32 = const[u32 7680]")
        .replace("k16.e4m3", "k32.e4m3")
        .replace(
            "512 128] %d, %a_tile, %b_tile, %no",
            "512 128 scales mxf8f6f4 ue8m0 1 0 1] %d, %a_tile, %b_tile, %no, %sa, %sb",
        )
        .replace(
            "512 128] %d, %a_last, %b_last, %yes",
            "512 128 scales mxf8f6f4 ue8m0 1 2 3] %d, %a_last, %b_last, %yes, %sa, %sb",
        );
    let text = replaced(
        &text,
        r#"%c "c": ptr"#,
        r#"%a_scales "a_scales": ptr<global, u32> readonly, %b_scales "b_scales": ptr<global, u32> readonly, %c "c": ptr"#,
    );
    let text = replaced(
        &text,
        "  %full: ptr<shared, u64> = shared_addr[s0]\n",
        "  shared s6 \"sa\": u32 x 128 align 1024
  shared s7 \"sb\": u32 x 256 align 1024
  %sa_tile: ptr<shared, u32> = shared_addr[s6]
  %sb_tile: ptr<shared, u32> = shared_addr[s7]
  %full: ptr<shared, u64> = shared_addr[s0]\n",
    );
    let text = replaced(
        &text,
        "    mbarrier_wait %full, %zero\n",
        "    %chunk: u32 = const[u32 128]
    %sa_bytes: u32 = const[u32 512]
    %sb_bytes: u32 = const[u32 1024]
    %sa_first: u32 = mul %rank, %chunk
    %sa_own: ptr<global, u32> = ptr_add %a_scales, %sa_first
    bulk_load[normal] %sa_tile, %sa_own, %sa_bytes, %full
    bulk_load[normal] %sb_tile, %b_scales, %sb_bytes, %full
    mbarrier_wait %full, %zero\n",
    );
    replaced(
        &text,
        "      mbarrier_wait %ready, %zero //~ ready\n",
        "      mbarrier_wait %ready, %zero //~ ready
      %behind: u32 = const[u32 64]
      %four: u32 = const[u32 4]
      %sa: u32 = add %d, %behind
      %sb: u32 = add %sa, %four
      tcgen05_copy[32x128b_warpx4 pair k none 0 128] %sa, %sa_tile
      tcgen05_copy[64x128b_warpx2_01_23 pair k none 0 128] %sb, %sb_tile
",
    )
}

/// The exponent of the scale of a row of A or column of B in one of the two steps.
fn exponent(row: usize, step: usize) -> i32 {
    (row * 3 + row / 32 + step * 5) as i32 % 7 - 3
}

fn scaled_scene(text: &str) -> Scene {
    let bytes = |rows: usize, of: fn(usize, usize) -> f32| {
        let (half, mut all) = (rows / 2, Vec::new());
        let leading = half as u32 * 16;
        let layout = SmemLayout { swizzle: Swizzle::None, mn_major: false, leading, stride: 128 };
        for first in [0, half] {
            let mut bytes = vec![0; half * 64];
            for (row, k) in (0..half).flat_map(|row| (0..64).map(move |k| (row, k))) {
                let at = layout.address(0, 1, row as u32, k as u32) as usize;
                bytes[at] = Const::float(Scalar::E4M3, of(first + row, k).into()).bits as u8;
            }
            all.extend(bytes);
        }
        all
    };
    let bits = |row: usize, step: usize| (127 + exponent(row, step)) as u8;
    // What belongs to no scale is no number.
    let (mut a_scales, mut b_scales) = (vec![0xFF; 1024], vec![0xFF; 1024]);
    for row in 0..128 {
        let at = row / 64 * 512 + row % 32 * 16 + row % 64 / 32 * 4;
        (a_scales[at], a_scales[at + 2]) = (bits(row, 0), bits(row, 1));
    }
    for column in 0..64 {
        let at = column * 16;
        (b_scales[at + 1], b_scales[at + 3]) = (bits(column + 50, 0), bits(column + 50, 1));
    }
    Scene::new(text, 2, 128)
        .pointer(8192, &bytes(128, a))
        .pointer(4096, &bytes(64, b))
        .pointer(1024, &a_scales)
        .pointer(1024, &b_scales)
        .pointer(128 * 64 * 4, &[])
}

#[test]
fn a_scaled_product_of_128_rows() {
    let text = low_scaled();
    finds_nothing(
        || scaled_scene(&text),
        |scene| {
            for (i, word) in scene.bytes(4, 128 * 64 * 4).chunks(4).enumerate() {
                let (row, column) = (i / 64, i % 64);
                let scale = |k| exponent(row, k / 32) + exponent(column + 50, k / 32);
                let term = |k| a(row, k) * b(column, k) * 2f32.powi(scale(k));
                let expected: f32 = (0..64).map(term).sum();
                assert_eq!(f32::from_le_bytes(word.try_into().unwrap()), expected, "{i}");
            }
        },
    );
    let other = replaced(&text, "warpx2_01_23", "warpx2_02_13");
    finds(|| scaled_scene(&other), &[(UnequalCopies, "first", "")]);
}

/// [`low`] with A in tensor memory: each block's 64 rows, in the lower lanes and again in the upper ones.
fn low_from_tensor_memory() -> String {
    let text = low()
        .replace(" a k none 1024 128 b", " b")
        .replace("%d, %a_tile, %b_tile", "%d, %a_all, %b_tile")
        .replace("%d, %a_last, %b_last", "%d, %a_rest, %b_last");
    let text = replaced(
        &text,
        r#"%c "c": ptr"#,
        r#"%words "words": ptr<global, u32> readonly, %c "c": ptr"#,
    );
    replaced(
        &text,
        "  if %leads {\n    %a_bytes",
        "  %behind: u32 = const[u32 64]
  %eight: u32 = const[u32 8]
  %a_lanes: u32 = add %own, %behind
  %a_all: u32 = add %d, %behind
  %a_rest: u32 = add %a_all, %eight
  %in_block: u32 = rem %thread, %behind
  %block_row: u32 = mul %rank, %behind
  %a_row: u32 = add %block_row, %in_block
  %a_word: u32 = mul %a_row, %sixteen
  %row_words: ptr<global, u32> = ptr_add %words, %a_word
  %row_of_a: <16 x u32> = load[align 16] %row_words
  tcgen05_store %a_lanes, %row_of_a //~ store
  tcgen05_wait_store
  tcgen05_fence_before
  cluster_arrive
  cluster_wait
  tcgen05_fence_after
  if %leads {\n    %a_bytes",
    )
}

#[test]
fn a_factor_in_the_tensor_memory_of_both() {
    let words: Vec<u8> = (0..128)
        .flat_map(|row| (0..32).map(move |k| bf16::from_f32(a(row, k))))
        .flat_map(|element| element.to_le_bytes())
        .collect();
    let scene = |text: &str| {
        Scene::new(text, 2, 128)
            .pointer(8192, &packed(128, a))
            .pointer(4096, &packed(64, b))
            .pointer(8192, &words)
            .pointer(128 * 64 * 4, &[])
    };
    let text = low_from_tensor_memory();
    finds_nothing(
        || scene(&text),
        |scene| {
            for (i, word) in scene.bytes(3, 128 * 64 * 4).chunks(4).enumerate() {
                let expected: f32 = (0..32).map(|k| a(i / 64, k) * b(i % 64, k)).sum();
                assert_eq!(f32::from_le_bytes(word.try_into().unwrap()), expected, "{i}");
            }
        },
    );
    // Other rows in the upper lanes.
    let other = replaced(
        &text,
        "%in_block: u32 = rem %thread, %behind",
        "%in_block: u32 = add %thread, %zero",
    );
    let other = replaced(
        &other,
        "%block_row: u32 = mul %rank, %behind",
        "%block_row: u32 = mul %rank, %zero",
    );
    finds(|| scene(&other), &[(UnequalCopies, "first", "")]);
    // Nothing of the peer's is known to be there.
    let text = replaced(
        &text,
        "  cluster_arrive\n  cluster_wait\n  tcgen05_fence_after\n",
        "  barrier\n  tcgen05_fence_after\n",
    );
    let found = [
        (CopyInFlight, "first", "store"),
        (CopyInFlight, "store", "first"),
        (Uninitialized, "first", ""),
    ];
    let more = [(MissingFence, "first", "store"), (MissingFence, "store", "first")];
    finds(|| scene(&text), &[found.as_slice(), &more].concat());
}

/// Text and back, with every word; the passes leave the instructions as they are.
#[test]
fn products_of_pairs_come_through_the_compiler() {
    for text in [PRODUCT.to_owned(), low()] {
        let scene = scene(&text);
        let kernel = scene.kernel();
        let printed = kernel.to_string();
        assert_eq!(parse(&printed).unwrap().to_string(), printed);
        for word in ["alloc[128 pair]", "yield[pair]", "commit[pair multicast]", "free[128 pair]"] {
            assert!(printed.contains(word), "{word}\n{printed}");
        }
        let prepared = passes::prepare(kernel, &Target::sm(100, true)).unwrap();
        verify(&prepared).unwrap();
        assert_eq!(prepared.to_string().matches(" pair").count(), 4);
    }
}
