//! Products in tensor memory: right ones find nothing and compute the right numbers in every schedule,
//! and of each planted bug the line is found.

use half::bf16;
use kernelsmith_ir::interp::FindingKind::{self, *};
use kernelsmith_ir::tcgen05::group::Group;
use kernelsmith_ir::tcgen05::{Tcgen05, a_place};
use kernelsmith_ir::tensor_map::Swizzle;
use kernelsmith_ir::wgmma::SmemLayout;
use kernelsmith_ir::{Scalar, Target, parse, passes, verify};

use super::scene::{Scene, finds, finds_nothing, replaced};

/// `C = A * B'`, A of 128 x 32 and B of 64 x 32, both copied as they lie in shared memory: two products
/// of a depth of 16 by one thread, whose sums each warp reads 32 rows of.
const PRODUCT: &str = r#"
kernel @k(%a "a": ptr<global, bf16> readonly, %b "b": ptr<global, bf16> readonly, %words "words": ptr<global, u32> readonly, %c "c": ptr<global, f32> exclusive) block(128, 1, 1) {
  shared s0 "full": u64 x 1 align 8
  shared s1 "done": u64 x 1 align 8
  shared s2 "place": u32 x 1 align 4
  shared s3 "a_tile": bf16 x 4096 align 1024
  shared s4 "b_tile": bf16 x 2048 align 1024
  %full: ptr<shared, u64> = shared_addr[s0]
  %done: ptr<shared, u64> = shared_addr[s1]
  %place: ptr<shared, u32> = shared_addr[s2]
  %a_tile: ptr<shared, bf16> = shared_addr[s3]
  %b_tile: ptr<shared, bf16> = shared_addr[s4]
  %zero: u32 = const[u32 0]
  %one: u32 = const[u32 1]
  %no: bool = const[bool false]
  %yes: bool = const[bool true]
  %thread: u32 = thread_idx[x]
  %warp: u32 = warp_id
  %leads: bool = eq %thread, %zero
  %first_warp: bool = eq %warp, %zero
  if %first_warp {
    tcgen05_alloc[128] %place //~ alloc
    tcgen05_yield
    yield
  } {
    yield
  }
  if %leads {
    mbarrier_init %full, %one
    mbarrier_init %done, %one
    mbarrier_fence
    yield
  } {
    yield
  }
  barrier
  %d: u32 = load[align 4] %place
  %sixteen: u32 = const[u32 16]
  %lane: u32 = const[u32 5]
  %lanes: u32 = shl %warp, %lane
  %upper: u32 = shl %lanes, %sixteen
  %own: u32 = or %d, %upper
  // words of A
  if %leads {
    %a_bytes: u32 = const[u32 8192]
    %b_bytes: u32 = const[u32 4096]
    %bytes: u32 = const[u32 12288]
    mbarrier_arrive_expect %full, %bytes
    bulk_load[normal] %a_tile, %a, %a_bytes, %full
    bulk_load[normal] %b_tile, %b, %b_bytes, %full
    mbarrier_wait %full, %zero
    %a_next: u32 = const[u32 2048]
    %b_next: u32 = const[u32 1024]
    %a_last: ptr<shared, bf16> = ptr_add %a_tile, %a_next
    %b_last: ptr<shared, bf16> = ptr_add %b_tile, %b_next
    tcgen05_mma[m128n64k16.bf16.f32 a k none 2048 128 b k none 1024 128] %d, %a_tile, %b_tile, %no //~ first
    tcgen05_mma[m128n64k16.bf16.f32 a k none 2048 128 b k none 1024 128] %d, %a_last, %b_last, %yes //~ second
    tcgen05_commit %done //~ commit
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
  %at: u32 = mul %thread, %wide
  %to: ptr<global, f32> = ptr_add %c, %at
  store[align 4] %to, %floats
  tcgen05_fence_before
  barrier
  if %first_warp {
    tcgen05_free[128] %d //~ free
    yield
  } {
    yield
  }
  return
}
"#;

/// The same with A from tensor memory, where each thread writes its row behind the sums.
fn from_tensor_memory() -> String {
    let text = replaced(
        PRODUCT,
        "  // words of A\n",
        "  %behind: u32 = const[u32 64]
  %a_own: u32 = add %own, %behind
  %a_all: u32 = add %d, %behind
  %row: u32 = mul %thread, %sixteen
  %row_words: ptr<global, u32> = ptr_add %words, %row
  %row_of_a: <16 x u32> = load[align 16] %row_words
  tcgen05_store %a_own, %row_of_a //~ store
  tcgen05_wait_store //~ wait_store
  tcgen05_fence_before //~ before
  barrier
  tcgen05_fence_after //~ after_store
  %eight: u32 = const[u32 8]
  %a_rest: u32 = add %a_all, %eight
",
    );
    let text = text.replace(" a k none 2048 128 b", " b");
    let text = replaced(&text, "%d, %a_tile, %b_tile", "%d, %a_all, %b_tile");
    replaced(&text, "%d, %a_last, %b_last", "%d, %a_rest, %b_last")
}

fn a(row: usize, k: usize) -> f32 {
    ((row * 7 + k * 3) % 11) as f32 - 5.0
}

fn b(column: usize, k: usize) -> f32 {
    ((column * 5 + k) % 7) as f32 - 3.0
}

/// A factor of 32 columns along k as it lies in shared memory.
fn packed(rows: usize, of: fn(usize, usize) -> f32) -> Vec<u8> {
    let leading = rows as u32 * 16;
    let layout = SmemLayout { swizzle: Swizzle::None, mn_major: false, leading, stride: 128 };
    let mut bytes = vec![0; rows * 64];
    for (row, k) in (0..rows).flat_map(|row| (0..32).map(move |k| (row, k))) {
        let at = layout.address(0, 2, row as u32, k as u32) as usize;
        bytes[at..at + 2].copy_from_slice(&bf16::from_f32(of(row, k)).to_le_bytes());
    }
    bytes
}

/// A row by row, in the words that columns of tensor memory are.
fn rows_of_a() -> Vec<u8> {
    let mut bytes = vec![0; 128 * 64];
    for (row, k) in (0..128).flat_map(|row| (0..32).map(move |k| (row, k))) {
        let (column, byte) = a_place(2, k as u32);
        let at = row * 64 + column as usize * 4 + byte as usize;
        bytes[at..at + 2].copy_from_slice(&bf16::from_f32(a(row, k)).to_le_bytes());
    }
    bytes
}

fn scene(text: &str) -> Scene {
    Scene::new(text, 1, 128)
        .pointer(8192, &packed(128, a))
        .pointer(4096, &packed(64, b))
        .pointer(8192, &rows_of_a())
        .pointer(128 * 64 * 4, &[])
}

fn check(scene: &Scene) {
    let bytes = scene.bytes(3, 128 * 64 * 4);
    for (i, word) in bytes.chunks(4).enumerate() {
        let expected: f32 = (0..32).map(|k| a(i / 64, k) * b(i % 64, k)).sum();
        assert_eq!(f32::from_le_bytes(word.try_into().unwrap()), expected, "{i}");
    }
}

fn planted(text: &str, part: &str, by: &str, expected: &[(FindingKind, &str, &str)]) {
    let text = replaced(text, part, by);
    finds(|| scene(&text), expected);
}

#[test]
fn a_product_of_two_steps() {
    finds_nothing(|| scene(PRODUCT), check);
}

#[test]
fn a_factor_in_tensor_memory() {
    finds_nothing(|| scene(&from_tensor_memory()), check);
}

#[test]
fn sums_that_are_not_waited_for() {
    let wait = "  mbarrier_wait %done, %zero //~ wait\n";
    let races = [(CopyInFlight, "load", "second"), (Uninitialized, "load", "")];
    let races =
        [races[0], races[1], (CopyInFlight, "second", "load"), (CopyInFlight, "first", "load")];
    let text = replaced(PRODUCT, wait, "");
    finds(|| scene(&text), &races);
}

#[test]
fn fences_that_are_missing() {
    let after = "  tcgen05_fence_after //~ after\n";
    planted(PRODUCT, after, "", &[(MissingFence, "load", "second")]);
    let text = from_tensor_memory();
    let before = "  tcgen05_fence_before //~ before\n";
    planted(&text, before, "", &[(MissingFence, "first", "store")]);
    let after = "  tcgen05_fence_after //~ after_store\n";
    planted(&text, after, "", &[(MissingFence, "first", "store")]);
}

#[test]
fn a_factor_that_is_not_waited_for() {
    let wait = "  tcgen05_wait_store //~ wait_store\n";
    planted(&from_tensor_memory(), wait, "", &[(CopyInFlight, "first", "store")]);
}

#[test]
fn a_factor_that_is_overwritten() {
    let text = replaced(
        PRODUCT,
        "    tcgen05_commit %done //~ commit\n",
        "    tcgen05_commit %done //~ commit
    %half: bf16 = const[bf16 0x3f80]
    store[align 2] %a_tile, %half //~ overwrite\n",
    );
    finds(|| scene(&text), &[(CopyInFlight, "overwrite", "first")]);
}

#[test]
fn sums_that_nobody_began() {
    let begins = "%d, %a_tile, %b_tile, %no //~ first";
    let adds = "%d, %a_tile, %b_tile, %yes //~ first";
    planted(PRODUCT, begins, adds, &[(Uninitialized, "first", "")]);
}

#[test]
fn products_that_are_never_committed() {
    let text = replaced(PRODUCT, "    tcgen05_commit %done //~ commit\n", "");
    finds(|| scene(&text), &[(Deadlock, "wait", ""), (EndedBlock, "second", "")]);
}

#[test]
fn columns_that_are_not_given_back_or_not_there() {
    planted(PRODUCT, "    tcgen05_free[128] %d //~ free\n", "", &[(EndedBlock, "alloc", "")]);
    planted(PRODUCT, "tcgen05_free[128]", "tcgen05_free[64]", &[(BarrierMisuse, "free", "")]);
    // Lanes of another warp.
    planted(
        PRODUCT,
        "%own: u32 = or %d, %upper",
        "%own: u32 = or %d, %zero",
        &[(OutOfBounds, "load", "")],
    );
    let few = PRODUCT.replace("[128] %place", "[32] %place").replace("free[128]", "free[32]");
    finds(|| scene(&few), &[(OutOfBounds, "first", "")]);
}

/// Text and back, with every layout and type; the passes leave a product as it is.
#[test]
fn products_come_through_the_compiler() {
    for text in [PRODUCT.to_owned(), from_tensor_memory()] {
        let scene = scene(&text);
        let kernel = scene.kernel();
        assert_eq!(parse(&kernel.to_string()).unwrap().to_string(), kernel.to_string());
        let prepared = passes::prepare(kernel, &Target::sm(100, true)).unwrap();
        verify(&prepared).unwrap();
        let error = passes::prepare(kernel, &Target::sm(90, true)).unwrap_err().to_string();
        assert!(error.contains("sm_100a"), "{error}");
    }
    let b = SmemLayout { swizzle: Swizzle::B64, mn_major: true, leading: 512, stride: 1024 };
    let (group, ab, cd) = (Group::One, Scalar::BF16, Scalar::F32);
    let product = Tcgen05 { group, m: 128, n: 64, ab, cd, a: None, b, scales: None };
    assert_eq!(product.fault(), None);
    let wide = Tcgen05 { ab: Scalar::TF32, ..product };
    assert_eq!(wide.fault().unwrap(), "factors of tf32 lie along k");
}
