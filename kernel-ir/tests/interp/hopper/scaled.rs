//! Block-scaled products: every kind computes the right numbers in every schedule, and of each planted bug
//! the line is found.

use kernelsmith_ir::interp::FindingKind::{self, *};
use kernelsmith_ir::tcgen05::group::Group;
use kernelsmith_ir::tcgen05::scales::{ScaleType, ScaledKind, Scales};
use kernelsmith_ir::tcgen05::{Tcgen05, scales::e2m1};
use kernelsmith_ir::tensor_map::Swizzle;
use kernelsmith_ir::wgmma::SmemLayout;
use kernelsmith_ir::{Scalar, Target, parse, passes, verify};

use super::scene::{Scene, finds, finds_nothing, replaced};

/// Columns of B: not all of the rows that a copy brings have scales.
const N: usize = 40;

/// A kind of products, its elements and scales, the bytes of cells where scales of A and B begin in each
/// of two steps.
#[derive(Clone, Copy)]
struct Case {
    kind: &'static str,
    /// As shared memory has them.
    elem: &'static str,
    shape: &'static str,
    depth: usize,
    ty: ScaleType,
    count: usize,
    bytes: [[usize; 2]; 2],
}

const BYTES: Case = Case {
    kind: "mxf8f6f4",
    elem: "e4m3",
    shape: "m128n40k32.e4m3.f32",
    depth: 32,
    ty: ScaleType::Ue8m0,
    count: 1,
    bytes: [[0, 1], [2, 3]],
};

const PAIRS: Case = Case {
    kind: "mxf4",
    elem: "u8",
    shape: "m128n40k64.e2m1.f32",
    depth: 64,
    count: 2,
    bytes: [[0, 2], [2, 0]],
    ..BYTES
};

const CASES: [Case; 5] = [
    BYTES,
    Case { elem: "e5m2", shape: "m128n40k32.e5m2.f32", bytes: [[3, 0], [1, 2]], ..BYTES },
    PAIRS,
    Case { kind: "mxf4nvf4", ..PAIRS },
    Case { kind: "mxf4nvf4", ty: ScaleType::Ue4m3, count: 4, bytes: [[0, 0]; 2], ..PAIRS },
];

impl Case {
    /// `D = (A * SA) * (B * SB)` over two steps: factors and scales are copied as they lie in shared
    /// memory, 512 bytes of scales for each factor and step.
    fn text(&self) -> String {
        let Case { kind, elem, shape, count, ty, bytes, .. } = *self;
        let product = |step: usize| {
            let [a, b] = bytes[step];
            let scales = format!("scales {kind} {} {count} {a} {b}", ty.name());
            format!("tcgen05_mma[{shape} a k none 2048 128 b k none 640 128 {scales}]")
        };
        let (first, second) = (product(0), product(1));
        format!(
            r#"
kernel @k(%a "a": ptr<global, {elem}> readonly, %b "b": ptr<global, {elem}> readonly, %scales "scales": ptr<global, u32> readonly, %c "c": ptr<global, f32> exclusive) block(128, 1, 1) {{
  shared s0 "full": u64 x 1 align 8
  shared s1 "done": u64 x 1 align 8
  shared s2 "place": u32 x 1 align 4
  shared s3 "a_tile": {elem} x 8192 align 1024
  shared s4 "b_tile": {elem} x 2560 align 1024
  shared s5 "scale_tile": u32 x 512 align 1024
  %full: ptr<shared, u64> = shared_addr[s0]
  %done: ptr<shared, u64> = shared_addr[s1]
  %place: ptr<shared, u32> = shared_addr[s2]
  %a_tile: ptr<shared, {elem}> = shared_addr[s3]
  %b_tile: ptr<shared, {elem}> = shared_addr[s4]
  %scale_tile: ptr<shared, u32> = shared_addr[s5]
  %zero: u32 = const[u32 0]
  %one: u32 = const[u32 1]
  %no: bool = const[bool false]
  %yes: bool = const[bool true]
  %thread: u32 = thread_idx[x]
  %warp: u32 = warp_id
  %leads: bool = eq %thread, %zero
  %first_warp: bool = eq %warp, %zero
  if %first_warp {{
    tcgen05_alloc[64] %place //~ alloc
    tcgen05_yield
    yield
  }} {{
    yield
  }}
  if %leads {{
    mbarrier_init %full, %one
    mbarrier_init %done, %one
    mbarrier_fence
    yield
  }} {{
    yield
  }}
  barrier
  %d: u32 = load[align 4] %place
  %sixteen: u32 = const[u32 16]
  %lane: u32 = const[u32 5]
  %lanes: u32 = shl %warp, %lane
  %upper: u32 = shl %lanes, %sixteen
  %own: u32 = or %d, %upper
  if %leads {{
    %a_bytes: u32 = const[u32 8192]
    %b_bytes: u32 = const[u32 2560]
    %scale_bytes: u32 = const[u32 2048]
    %bytes: u32 = const[u32 12800]
    mbarrier_arrive_expect %full, %bytes
    bulk_load[normal] %a_tile, %a, %a_bytes, %full
    bulk_load[normal] %b_tile, %b, %b_bytes, %full
    bulk_load[normal] %scale_tile, %scales, %scale_bytes, %full
    mbarrier_wait %full, %zero
    %a_next: u32 = const[u32 4096]
    %b_next: u32 = const[u32 1280]
    %a_last: ptr<shared, {elem}> = ptr_add %a_tile, %a_next
    %b_last: ptr<shared, {elem}> = ptr_add %b_tile, %b_next
    %chunk: u32 = const[u32 128]
    %tile1: ptr<shared, u32> = ptr_add %scale_tile, %chunk
    %tile2: ptr<shared, u32> = ptr_add %tile1, %chunk
    %tile3: ptr<shared, u32> = ptr_add %tile2, %chunk
    %behind: u32 = const[u32 40]
    %four: u32 = const[u32 4]
    %sa0: u32 = add %d, %behind
    %sb0: u32 = add %sa0, %four
    %sa1: u32 = add %sb0, %four
    %sb1: u32 = add %sa1, %four
    tcgen05_copy[32x128b_warpx4 k none 0 128] %sa0, %scale_tile //~ copy
    tcgen05_copy[32x128b_warpx4 k none 0 128] %sb0, %tile1
    tcgen05_copy[32x128b_warpx4 k none 0 128] %sa1, %tile2
    tcgen05_copy[32x128b_warpx4 k none 0 128] %sb1, %tile3 //~ copied
    {first} %d, %a_tile, %b_tile, %no, %sa0, %sb0 //~ first
    {second} %d, %a_last, %b_last, %yes, %sa1, %sb1 //~ second
    tcgen05_commit %done //~ commit
    yield
  }} {{
    yield
  }}
  mbarrier_wait %done, %zero //~ wait
  tcgen05_fence_after
  %read: <32 x u32> = tcgen05_load %own //~ load
  %thirty: u32 = const[u32 32]
  %more: u32 = add %own, %thirty
  %rest: <8 x u32> = tcgen05_load %more
  %sums: <32 x u32> = tcgen05_wait_load %read
  %sums2: <8 x u32> = tcgen05_wait_load %rest
  %floats: <32 x f32> = bitcast %sums
  %floats2: <8 x f32> = bitcast %sums2
  %wide: u32 = const[u32 40]
  %at: u32 = mul %thread, %wide
  %to: ptr<global, f32> = ptr_add %c, %at
  store[align 4] %to, %floats
  %to2: ptr<global, f32> = ptr_add %to, %thirty
  store[align 4] %to2, %floats2
  tcgen05_fence_before
  barrier
  if %first_warp {{
    tcgen05_free[64] %d //~ free
    yield
  }} {{
    yield
  }}
  return
}}
"#
        )
    }

    /// Element `k` of a row: its bits, and its number.
    fn element(&self, row: usize, k: usize) -> (u8, f64) {
        let mixed = row * 7 + k * 3 + row * k % 5;
        let pick = |table: [(u8, f64); 6]| table[mixed % 6];
        match self.elem {
            "u8" => (mixed as u8 % 16, e2m1(mixed as u8 % 16)),
            "e4m3" => {
                pick([(0, 0.0), (0x38, 1.0), (0xBC, -1.5), (0x40, 2.0), (0xC4, -3.0), (0x46, 3.5)])
            }
            _ => {
                pick([(0, 0.0), (0x3C, 1.0), (0xBE, -1.5), (0x40, 2.0), (0xC2, -3.0), (0x38, 0.5)])
            }
        }
    }

    /// A factor of `2 * depth` columns along k as it lies in shared memory.
    fn packed(&self, rows: usize, salt: usize) -> Vec<u8> {
        let leading = rows as u32 * 16;
        let layout = SmemLayout { swizzle: Swizzle::None, mn_major: false, leading, stride: 128 };
        let mut bytes = vec![0; rows * 64];
        for (row, k) in (0..rows).flat_map(|row| (0..2 * self.depth).map(move |k| (row, k))) {
            let (bits, _) = self.element(row + salt, k);
            let (byte, shift) = match self.elem {
                "u8" => (k / 2, k % 2 * 4),
                _ => (k, 0),
            };
            bytes[layout.address(0, 1, row as u32, byte as u32) as usize] |= bits << shift;
        }
        bytes
    }

    /// The bits of scale `run` of a row in a step.
    fn scale(&self, row: usize, step: usize, run: usize) -> u8 {
        let mixed = (row * 3 + step * 5 + run) as u8 % 7;
        match self.ty {
            ScaleType::Ue8m0 => 124 + mixed,
            ScaleType::Ue4m3 => 0x30 + mixed,
        }
    }

    /// 512 bytes for each step and factor: row `r` has 4 bytes behind those of rows `r % 32 + 32 * i`,
    /// `i` below `r / 32`. What belongs to no scale is no number.
    fn scales(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (step, factor) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let mut chunk = [0xFF; 512];
            for row in 0..[128, N][factor] {
                for run in 0..self.count {
                    let at = row % 32 * 16 + row / 32 * 4 + self.bytes[step][factor] + run;
                    chunk[at] = self.scale(row + factor * 50, step, run);
                }
            }
            bytes.extend(chunk);
        }
        bytes
    }

    fn scene(&self, text: &str) -> Scene {
        Scene::new(text, 1, 128)
            .pointer(8192, &self.packed(128, 0))
            .pointer(2560, &self.packed(N, 3))
            .pointer(2048, &self.scales())
            .pointer(128 * N * 4, &[])
    }

    fn expected(&self, row: usize, column: usize) -> f64 {
        let run = self.depth / self.count;
        let scale =
            |row, k: usize| self.ty.value(self.scale(row, k / self.depth, k % self.depth / run));
        let term = |k| {
            let (a, b) = (self.element(row, k).1, self.element(column + 3, k).1);
            a * scale(row, k) * b * scale(column + 50, k)
        };
        (0..2 * self.depth).map(term).sum()
    }

    fn check(&self, scene: &Scene) {
        for (i, word) in scene.bytes(3, 128 * N * 4).chunks(4).enumerate() {
            let found = f32::from_le_bytes(word.try_into().unwrap());
            let expected = self.expected(i / N, i % N);
            assert_eq!(f64::from(found), expected, "{} at {i}", self.shape);
        }
    }
}

fn planted(part: &str, by: &str, expected: &[(FindingKind, &str, &str)]) {
    let text = replaced(&BYTES.text(), part, by);
    finds(|| BYTES.scene(&text), expected);
}

#[test]
fn every_kind_multiplies_by_its_scales() {
    for case in CASES {
        let text = case.text();
        finds_nothing(|| case.scene(&text), |scene| case.check(scene));
    }
}

#[test]
fn scales_that_warps_do_not_share() {
    let narrow = "tcgen05_copy[32x128b_warpx4 k none 0 128] %sa0, %scale_tile";
    let wide = "tcgen05_copy[64x128b_warpx2_02_13 k none 0 128] %sa0, %scale_tile";
    planted(narrow, wide, &[(UnequalCopies, "first", "")]);
}

#[test]
fn scales_that_are_not_there() {
    let copy = "tcgen05_copy[32x128b_warpx4 k none 0 128] %sa0, %scale_tile //~ copy";
    planted(copy, "//~ copy", &[(Uninitialized, "first", "")]);
    // Scales where the sums go.
    let both = [(Uninitialized, "first", ""), (CopyInFlight, "first", "first")];
    planted("%sa0, %sb0 //~ first", "%d, %sb0 //~ first", &both);
    planted(
        "%sb1: u32 = add %sa1, %four",
        "%sb1: u32 = add %sa1, %behind",
        &[(OutOfBounds, "copied", "")],
    );
}

#[test]
fn scales_that_are_overwritten() {
    let after = "tcgen05_commit %done //~ commit";
    let by = "tcgen05_copy[32x128b_warpx4 k none 0 128] %sa0, %scale_tile //~ again
    tcgen05_commit %done //~ commit";
    planted(after, by, &[(CopyInFlight, "again", "first")]);
}

#[test]
fn copies_that_are_never_committed() {
    let by = "tcgen05_commit %done //~ commit
    tcgen05_copy[32x128b_warpx4 k none 0 128] %sb0, %tile1 //~ late";
    planted(
        "tcgen05_commit %done //~ commit",
        by,
        &[(CopyInFlight, "late", "first"), (EndedBlock, "late", "")],
    );
}

/// Text and back; the passes leave products as they are.
#[test]
fn scaled_products_come_through_the_compiler() {
    for case in CASES {
        let scene = case.scene(&case.text());
        let kernel = scene.kernel();
        assert_eq!(parse(&kernel.to_string()).unwrap().to_string(), kernel.to_string());
        verify(&passes::prepare(kernel, &Target::sm(100, true)).unwrap()).unwrap();
    }
}

#[test]
fn combinations_that_there_are_not() {
    let b = SmemLayout { swizzle: Swizzle::B64, mn_major: true, leading: 512, stride: 1024 };
    let bytes = ScaledKind::Mxf8f6f4;
    let scales = Scales { kind: bytes, ty: ScaleType::Ue8m0, count: 1, a_byte: 0, b_byte: 0 };
    let (ab, cd) = (Scalar::E4M3, Scalar::F32);
    let product =
        Tcgen05 { group: Group::One, m: 128, n: 64, ab, cd, a: None, b, scales: Some(scales) };
    assert_eq!(product.fault(), None);
    let kind = ScaledKind::Mxf4;
    let narrow = Scales { kind, count: 2, ..scales };
    let pairs = |scales| Tcgen05 { ab: Scalar::U8, scales: Some(scales), ..product };
    for (product, fault) in [
        (Tcgen05 { n: 40, ..product }, "40 columns of B along n are no multiple of 16"),
        (
            Tcgen05 { ab: Scalar::BF16, ..product },
            "m128n64k16.bf16.f32 is no shape of tcgen05.mma.mxf8f6f4",
        ),
        (pairs(scales), "m128n64k64.e2m1.f32 is no shape of tcgen05.mma.mxf8f6f4"),
        (pairs(narrow), "factors of e2m1 lie along k"),
        (
            pairs(Scales { a_byte: 1, ..narrow }),
            "2 scales of a row do not begin at byte 1 of a cell",
        ),
        (pairs(Scales { count: 4, ..narrow }), "mxf4 has no 4 scales of ue8m0 a row"),
    ] {
        assert_eq!(product.fault().unwrap(), fault);
    }
}
