//! `wgmma` with factors of every sort, and what warps and warpgroups do together.

use half::{bf16, f16};
use kernelsmith_ir::interp::FindingKind::{self, *};
use kernelsmith_ir::mma::{MmaShape, Operand};
use kernelsmith_ir::tensor_map::Swizzle;
use kernelsmith_ir::wgmma::{SmemLayout, shape};
use kernelsmith_ir::{Scalar, attr::Const};

use super::scene::{Scene, finds, finds_nothing, replaced};

/// One product: the factors come as the bytes of shared memory, or A as each thread's fragment; the
/// sums go as each thread has them. The accumulators begin with 1.
fn product(shape: MmaShape, a: Option<SmemLayout>, b: SmemLayout) -> String {
    let MmaShape { n, k, ab, cd, .. } = shape;
    let [a_type, sum] = [Operand::A, Operand::C].map(|operand| shape.fragment_type(operand));
    let layout = |layout: SmemLayout| {
        let SmemLayout { swizzle, mn_major, leading, stride } = layout;
        format!("{} {} {leading} {stride}", if mn_major { "mn" } else { "k" }, swizzle.name())
    };
    let (from, operand) = match a {
        Some(a) => (format!("a {} ", layout(a)), "%a"),
        None => (String::new(), "%fragment"),
    };
    let (bytes_a, bytes_b) = (64 * k * ab.size(), n * k * ab.size());
    let parts = sum.lanes();
    let [ones, one] = [["%unit"; 128][..parts as usize].join(", "), unit(cd)];
    let own_a = a_type.lanes();
    // Accumulators are stored one by one, as whole fragments are larger than what a store moves.
    let stores: String = (0..parts)
        .map(|i| {
            format!(
                "  %x{i}: {cd} = vec_extract[{i}] %done\n  %i{i}: u32 = const[u32 {i}]\n  \
                 %p{i}: ptr<global, {cd}> = ptr_add %own_z, %i{i}\n  store[align 2] %p{i}, %x{i}\n"
            )
        })
        .collect();
    let narrow = if cd.size() == 2 { "2" } else { "4" };
    format!(
        r#"
kernel @k(%x "x": ptr<global, {ab}> readonly, %y "y": ptr<global, {ab}> readonly, %f "f": ptr<global, {ab}> readonly, %z "z": ptr<global, {cd}> exclusive) block(128, 1, 1) {{
  shared s0 "bar": u64 x 1 align 8
  shared s1 "a": {ab} x {room_a} align 1024
  shared s2 "b": {ab} x {room_b} align 1024
  %zero: u32 = const[u32 0]
  %one: u32 = const[u32 1]
  %bytes_a: u32 = const[u32 {bytes_a}]
  %bytes_b: u32 = const[u32 {bytes_b}]
  %bytes: u32 = const[u32 {bytes}]
  %parts: u32 = const[u32 {parts}]
  %parts_a: u32 = const[u32 {own_a}]
  %thread: u32 = thread_idx[x]
  %bar: ptr<shared, u64> = shared_addr[s0]
  %a: ptr<shared, {ab}> = shared_addr[s1]
  %b: ptr<shared, {ab}> = shared_addr[s2]
  %at_f: u32 = mul %thread, %parts_a
  %own_f: ptr<global, {ab}> = ptr_add %f, %at_f
  %fragment: {a_type} = load[align 16] %own_f
  %at_z: u32 = mul %thread, %parts
  %own_z: ptr<global, {cd}> = ptr_add %z, %at_z
  %leads: bool = eq %thread, %zero
  if %leads {{
    mbarrier_init %bar, %one
    mbarrier_fence
    mbarrier_arrive_expect %bar, %bytes
    bulk_load[normal] %a, %x, %bytes_a, %bar //~ load_a
    bulk_load[normal] %b, %y, %bytes_b, %bar //~ load_b
    yield
  }} {{
    yield
  }}
  barrier
  mbarrier_wait %bar, %zero
  %unit: {cd} = const[{cd} {one}]
  %start: {sum} = vec_make {ones}
  %adds: bool = const[bool true]
  wgmma_fence //~ fence
  %sum: {sum} = wgmma[{name} {from}b {b}] {operand}, %b, %start, %adds //~ wgmma
  wgmma_commit
  %done: {sum} = wgmma_wait[0] %sum //~ wait
{stores}  return
}}
"#,
        room_a = bytes_a / ab.size(),
        room_b = bytes_b / ab.size(),
        bytes = bytes_a + bytes_b,
        name = shape.name(),
        b = layout(b),
    )
    .replace("store[align 2]", &format!("store[align {narrow}]"))
}

/// 1 in the text form.
fn unit(ty: Scalar) -> String {
    match ty {
        Scalar::F32 => "0x3f800000".to_owned(),
        Scalar::F16 => "0x3c00".to_owned(),
        _ => "1".to_owned(),
    }
}

/// A number as a factor's element has it.
fn element(ty: Scalar, x: i32) -> Vec<u8> {
    let bits = match ty {
        Scalar::F16 => u64::from(f16::from_f32(x as f32).to_bits()),
        Scalar::BF16 => u64::from(bf16::from_f32(x as f32).to_bits()),
        // What the tensor core does not read of it is not 0.
        Scalar::TF32 => u64::from((x as f32).to_bits() | 0x1abc),
        ty if ty.is_int() => x as u64,
        ty => Const::float(ty, x.into()).bits,
    };
    bits.to_le_bytes()[..ty.size() as usize].to_vec()
}

fn number(seed: u32, row: u32, k: u32, ty: Scalar) -> i32 {
    let x = ((row * 5 + k * 3 + seed) % 7) as i32;
    if ty.is_unsigned() { x } else { x - 3 }
}

/// The bytes of a factor's tile.
fn tile(shape: MmaShape, seed: u32, rows: u32, layout: SmemLayout) -> Vec<u8> {
    let size = shape.ab.size();
    let mut bytes = vec![0; (rows * shape.k * size) as usize];
    for (row, k) in (0..rows).flat_map(|row| (0..shape.k).map(move |k| (row, k))) {
        let at = layout.address(0, size, row, k) as usize;
        let number = element(shape.ab, number(seed, row, k, shape.ab));
        bytes[at..at + size as usize].copy_from_slice(&number);
    }
    bytes
}

fn scene(text: &str, shape: MmaShape, a: Option<SmemLayout>, b: SmemLayout) -> Scene {
    let tile_a = a.map_or(vec![0; (64 * shape.k * shape.ab.size()) as usize], |layout| {
        tile(shape, 1, 64, layout)
    });
    let fragments = (0..128).flat_map(|thread| {
        (0..shape.fragment_len(Operand::A)).flat_map(move |index| {
            let (row, k) = shape.element(Operand::A, thread, index);
            element(shape.ab, number(1, row, k, shape.ab))
        })
    });
    let fragments: Vec<u8> = fragments.collect();
    let tile_b = tile(shape, 2, shape.n, b);
    let sums = (64 * shape.n * shape.cd.size()) as usize;
    Scene::new(text, 1, 128)
        .pointer(tile_a.len(), &tile_a)
        .pointer(tile_b.len(), &tile_b)
        .pointer(fragments.len(), &fragments)
        .pointer(sums, &[])
}

fn is_right(shape: MmaShape, a: Option<SmemLayout>, b: SmemLayout) {
    let text = product(shape, a, b);
    finds_nothing(
        || scene(&text, shape, a, b),
        |scene| {
            let size = shape.cd.size() as usize;
            let found = scene.bytes(3, 64 * shape.n as usize * size);
            for (i, found) in (0..).zip(found.chunks(size)) {
                let len = shape.fragment_len(Operand::C);
                let (row, column) = shape.element(Operand::C, i / len, i % len);
                let products = (0..shape.k)
                    .map(|k| number(1, row, k, shape.ab) * number(2, column, k, shape.ab));
                let expected = element(shape.cd, 1 + products.sum::<i32>());
                let exact = match shape.cd {
                    Scalar::F32 => {
                        (1 + (0..shape.k)
                            .map(|k| number(1, row, k, shape.ab) * number(2, column, k, shape.ab))
                            .sum::<i32>()) as f32
                    }
                    _ => 0.0,
                };
                match shape.cd {
                    Scalar::F32 => assert_eq!(found, exact.to_le_bytes(), "{row} {column}"),
                    _ => assert_eq!(found, expected, "{} {row} {column}", shape.name()),
                }
            }
        },
    );
}

/// Along k, in rows of the swizzle's width, which hold the depth of one instruction or more.
const K_32: SmemLayout =
    SmemLayout { swizzle: Swizzle::B32, mn_major: false, leading: 16, stride: 256 };

#[test]
fn products_of_all_element_types() {
    use Scalar::*;
    for (ab, cd) in [
        (F16, F32),
        (F16, F16),
        (BF16, F32),
        (TF32, F32),
        (E4M3, F32),
        (E5M2, F16),
        (I8, I32),
        (U8, I32),
    ] {
        let shape = shape(16, ab, cd);
        is_right(shape, Some(K_32), K_32);
        is_right(shape, None, K_32);
    }
}

/// Plain tiles, and tiles along m and n.
#[test]
fn products_of_all_layouts() {
    let plain = |rows: u32| SmemLayout {
        swizzle: Swizzle::None,
        mn_major: false,
        leading: rows * 16,
        stride: 128,
    };
    let across = |swizzle: Swizzle| SmemLayout {
        swizzle,
        mn_major: true,
        leading: 16 * swizzle.width(),
        stride: 8 * swizzle.width(),
    };
    let shape = shape(64, Scalar::BF16, Scalar::F32);
    is_right(shape, Some(plain(64)), plain(64));
    for swizzle in [Swizzle::B32, Swizzle::B64, Swizzle::B128] {
        is_right(shape, Some(K_32), across(swizzle));
        is_right(shape, Some(across(swizzle)), K_32);
        is_right(shape, None, across(swizzle));
    }
    let plain_across =
        SmemLayout { swizzle: Swizzle::None, mn_major: true, leading: 1024, stride: 128 };
    is_right(shape, Some(plain_across), plain_across);
}

const SMALL: (u32, Scalar, Scalar) = (16, Scalar::BF16, Scalar::F32);

fn planted(part: &str, by: &str, expected: &[(FindingKind, &str, &str)]) -> Vec<String> {
    let shape = shape(SMALL.0, SMALL.1, SMALL.2);
    let text = replaced(&product(shape, Some(K_32), K_32), part, by);
    let found = finds(|| scene(&text, shape, Some(K_32), K_32), expected);
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn threads_that_disagree_about_a_factor() {
    let told = planted("  wgmma_fence //~ fence\n", "  wgmma_fence //~ fence
  %eight: u32 = const[u32 8]
  %warp: u32 = warp_id
  %off: u32 = mul %warp, %zero
  %flag: bool = eq %warp, %zero
  %far: u32 = select %flag, %eight, %off
  %b_own: ptr<shared, bf16> = ptr_add %b, %far
  %other: <8 x f32> = wgmma[wgmma.m64n16k16.bf16.f32 a k b32 16 256 b k b32 16 256] %a, %b_own, %start, %adds //~ differs
", &[(WgmmaOrder, "differs", "")]);
    assert!(told[0].contains("operand 1 of `wgmma` differs"), "{}", told[0]);
}

#[test]
fn a_factor_that_leaves_its_array() {
    let text = "b k b32 16 256] %a, %b, %start";
    planted(text, "b k b32 16 512] %a, %b, %start", &[(OutOfBounds, "wgmma", "")]);
}

#[test]
fn a_factor_that_nobody_wrote() {
    let text = "    bulk_load[normal] %b, %y, %bytes_b, %bar //~ load_b\n";
    let fewer = "    bulk_load[normal] %b, %y, %less, %bar //~ load_b\n";
    let shape = shape(SMALL.0, SMALL.1, SMALL.2);
    let text = replaced(&product(shape, Some(K_32), K_32), text, fewer);
    let text = replaced(
        &text,
        "  %bytes: u32 = const[u32 2560]",
        "  %less: u32 = const[u32 496]\n  %bytes: u32 = const[u32 2544]",
    );
    finds(|| scene(&text, shape, Some(K_32), K_32), &[(Uninitialized, "wgmma", "")]);
}

/// A thread's own writes to a factor.
#[test]
fn a_factor_written_by_threads() {
    let write = "  wgmma_fence //~ fence\n";
    let writes = |fence: &str, barrier: &str| {
        format!(
            "  %nothing: bf16 = const[bf16 0x0]
  %target: ptr<shared, bf16> = ptr_add %b, %thread
  store[align 2] %target, %nothing //~ write
{fence}{barrier}  wgmma_fence //~ fence\n"
        )
    };
    planted(write, &writes("", "  barrier\n"), &[(MissingFence, "wgmma", "write")]);
    planted(write, &writes("  async_fence\n", ""), &[(CopyInFlight, "wgmma", "write")]);
    let shape = shape(SMALL.0, SMALL.1, SMALL.2);
    let right = replaced(
        &product(shape, Some(K_32), K_32),
        write,
        &writes("  async_fence\n", "  barrier\n"),
    );
    finds_nothing(|| scene(&right, shape, Some(K_32), K_32), |_| {});
}

/// Registers that change between the fence and the product.
#[test]
fn registers_written_after_the_fence() {
    let shape = shape(SMALL.0, SMALL.1, SMALL.2);
    let text = product(shape, None, K_32);
    let fence = "  wgmma_fence //~ fence\n";
    let changed =
        |operand: &str, ty: &str| format!("{fence}  %changed: {ty} = add {operand}, {operand}\n");
    for (operand, ty) in [("%fragment", "<8 x bf16>"), ("%start", "<8 x f32>")] {
        let late = replaced(&text, fence, &changed(operand, ty));
        let late = late.replace(&format!("{operand}, %b, %start"), "%changed, %b, %start");
        let late = late.replace(&format!("%fragment, %b, {operand}"), "%fragment, %b, %changed");
        assert!(late.contains("%changed,") || late.contains(", %changed"), "{late}");
        finds(|| scene(&late, shape, None, K_32), &[(WgmmaOrder, "wgmma", "")]);
    }
}

/// Registers of a left factor that the next turn of a loop writes while the product of this one may read them:
/// those of what is loaded, those of the vector it is a part of, or those of what the loop carries.
#[test]
fn registers_written_while_a_product_reads_them() {
    let shape = shape(SMALL.0, SMALL.1, SMALL.2);
    let text = product(shape, None, K_32);
    let (begin, end) = (text.find("  wgmma_fence").unwrap(), text.find("  %x0:").unwrap());
    let wgmma = text[begin..end].lines().find(|line| line.contains("//~ wgmma")).unwrap();
    let wgmma = wgmma.replace("%start", "%so_far");
    let scene_of = |head: &str, made: &str, factor: &str, wait: &str, next: &str| {
        let wgmma = wgmma.replace("%fragment", factor);
        let turns = format!(
            "  %two: u32 = const[u32 2]
{head}{made}    wgmma_fence
  {wgmma}
    wgmma_commit
    %done: <8 x f32> = wgmma_wait[{wait}] %sum
    %next: <8 x bf16> = add %fragment, %fragment
    continue[$0] %done{next} //~ continue
  }}
  %last: <8 x f32> = wgmma_wait[0] %sums
"
        );
        let rest = text[end..].replace("%done", "%last");
        scene(&format!("{}{turns}{rest}", &text[..begin]), shape, None, K_32)
    };
    let one = "  %sums: <8 x f32> = for[$0] %zero, %two, %start { |%i: u32, %so_far: <8 x f32>|\n";
    let two = "  %sums: <8 x f32>, %kept: <8 x bf16> = for[$0] %zero, %two, %start, %fragment \
               { |%i: u32, %so_far: <8 x f32>, %left: <8 x bf16>|\n";
    let load = "    %left: <8 x bf16> = load[align 16] %own_f //~ load\n";
    let parts: String =
        (0..8).map(|i| format!("    %l{i}: bf16 = vec_extract[{i}] %left\n")).collect();
    let names = ["%l0", "%l1", "%l2", "%l3", "%l4", "%l5", "%l6", "%l7"].join(", ");
    let part = format!("{load}{parts}    %part: <8 x bf16> = vec_make {names} //~ part\n");
    let of_load = (FactorInFlight, "load", "wgmma");
    for (head, made, factor, next, expected) in [
        (one, load, "%left", "", &[of_load][..]),
        (one, &part[..], "%part", "", &[of_load, (FactorInFlight, "part", "wgmma")][..]),
        (two, "", "%left", ", %next", &[(FactorInFlight, "continue", "wgmma")][..]),
    ] {
        finds_nothing(|| scene_of(head, made, factor, "0", next), |_| {});
        finds(|| scene_of(head, made, factor, "1", next), expected);
    }
}

/// A factor is written while it is read.
#[test]
fn a_factor_written_too_early() {
    let wait = "  wgmma_commit\n";
    let early = "  wgmma_commit
  %nothing: bf16 = const[bf16 0x0]
  %target: ptr<shared, bf16> = ptr_add %b, %thread
  store[align 2] %target, %nothing //~ write\n";
    planted(wait, early, &[(CopyInFlight, "write", "wgmma")]);
}

#[test]
fn a_warpgroup_that_is_not_whole() {
    let shape = shape(SMALL.0, SMALL.1, SMALL.2);
    let text = product(shape, Some(K_32), K_32).replace("block(128", "block(96");
    let text = &text;
    let small = || {
        let bytes = vec![0; 8192];
        let scene = Scene::new(text, 1, 96).pointer(8192, &bytes).pointer(8192, &bytes);
        scene.pointer(8192, &bytes).pointer(8192, &bytes)
    };
    finds(small, &[(InactiveLane, "fence", "")]);
}

#[test]
fn one_warp_of_a_warpgroup_multiplies() {
    planted(
        "  wgmma_fence //~ fence\n",
        "  %warp: u32 = warp_id
  %some: bool = ne %warp, %zero
  if %some {
    barrier //~ elsewhere
    yield
  } {
    yield
  }
  wgmma_fence //~ fence\n",
        &[
            (DivergentCollective, "fence", "elsewhere"),
            (DivergentCollective, "elsewhere", "fence"),
            (DivergentBarrier, "elsewhere", "fence"),
            (DivergentCollective, "fence", "elsewhere"),
        ],
    );
}

/// What is stored as matrices is loaded as such again, transposed or not.
#[test]
fn matrices_there_and_back() {
    let text = r#"
kernel @k(%y "y": ptr<global, u32> exclusive) block(32, 1, 1) {
  shared s0 "tile": f16 x 256 align 16
  %eight: u32 = const[u32 8]
  %lane: u32 = lane_id
  %tile: ptr<shared, f16> = shared_addr[s0]
  %at: u32 = mul %lane, %eight
  %own: ptr<shared, f16> = ptr_add %tile, %at
  %h: f16 = cast %lane
  %v0: <8 x f16> = vec_make %h, %h, %h, %h, %h, %h, %h, %h
  %hundred: f16 = const[f16 0x5640]
  %g: f16 = add %h, %hundred
  %v: <8 x f16> = vec_insert[5] %v0, %g
  stmatrix[4 IN] %own, %v //~ give
  warp_sync
  %w: <8 x f16> = ldmatrix[4 OUT] %own //~ take
  %a: f16 = vec_extract[0] %w
  %b: f16 = vec_extract[5] %w
  %x: u32 = cast %a
  %z: u32 = cast %b
  %thousand: u32 = const[u32 1000]
  %zs: u32 = mul %z, %thousand
  %both: u32 = add %x, %zs
  %to: ptr<global, u32> = ptr_add %y, %lane
  store[align 4] %to, %both
  return
}
"#;
    let run = |into: &str, out: &str| text.replace(" IN", into).replace(" OUT", out);
    for way in ["", " trans"] {
        let text = run(way, way);
        finds_nothing(
            || Scene::new(&text, 1, 32).pointer(128, &[]),
            |scene| {
                let found = scene.bytes(0, 128);
                for (lane, found) in (0..32u32).zip(found.chunks(4)) {
                    assert_eq!(found, (1000 * (100 + lane) + lane).to_le_bytes());
                }
            },
        );
    }
    // Transposed on the way: lane 4 r + c / 2 holds row r, columns c and c + 1.
    let turned = run("", " trans");
    finds_nothing(
        || Scene::new(&turned, 1, 32).pointer(128, &[]),
        |scene| {
            let found = scene.bytes(0, 128);
            for (lane, found) in (0..32u32).zip(found.chunks(4)) {
                let (row, column) = (lane / 4, lane % 4 * 2);
                let from = |row: u32, column: u32| 4 * row + column / 2;
                let plain = from(column, row);
                // Matrix 2, second of its two elements; there odd columns got 100 more.
                let second = from(column + 1, row) + if row % 2 == 1 { 100 } else { 0 };
                assert_eq!(found, (1000 * second + plain).to_le_bytes(), "{lane}");
            }
        },
    );
    // A row that another lane has stored.
    let near = "  %one: u32 = const[u32 1]
  %near: u32 = xor %lane, %one
  %at_near: u32 = mul %near, %eight
  %its: ptr<shared, f16> = ptr_add %tile, %at_near
  %w: <8 x f16> = ldmatrix[4] %its //~ take";
    let near = replaced(&run("", ""), "  %w: <8 x f16> = ldmatrix[4] %own //~ take", near);
    finds_nothing(|| Scene::new(&near, 1, 32).pointer(128, &[]), |_| {});
    let unordered = replaced(&near, "  warp_sync\n", "");
    finds(|| Scene::new(&unordered, 1, 32).pointer(128, &[]), &[(Race, "take", "give")]);
}
