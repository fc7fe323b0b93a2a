//! A product of matrices as Hopper wants it: a producer warp loads tiles, a warpgroup multiplies.

use std::fmt::Write;

use half::bf16;

use super::scene::Scene;

/// Rows of A and C, columns of B and C of a block; depth of a stage.
pub(super) const TILE: usize = 64;

/// `C = A * B` in bf16: A is `rows x depth`, B is stored transposed, `columns x depth`. Threads 0 to
/// 127 multiply, one of threads 128 to 159 loads, in two stages. Blocks divide the columns.
pub(super) fn gemm() -> String {
    let nothings = ["%nothing"; 32].join(", ");
    let stage_c = STAGE_P
        .replace("%i,", "%j,")
        .replace("stage", "stage_c")
        .replace("round", "round_c")
        .replace("%parity", "%parity_c")
        .replace("%free", "%free_c")
        .replace("%come", "%come_c")
        .replace("%at:", "%at_c:")
        .replace("%at\n", "%at_c\n")
        .replace("%to_", "%from_")
        .replace("%k:", "%k_c:")
        .replace("%deep", "%deep_c");
    let parts = [
        ("<HEAD>", HEAD),
        ("<STAGE_P>", STAGE_P),
        ("<WGMMAS>", WGMMAS),
        ("<NOTHINGS>", &nothings),
        ("<STAGE_C>", &stage_c),
        ("<EPILOGUE>", &epilogue()),
    ];
    parts.iter().fold(TEXT.to_owned(), |text, (part, by)| text.replace(part, by))
}

/// The kernel, without its parts.
const TEXT: &str = r#"
kernel @k(%a "a": tensor_map<bf16, 2> tile[64, 64 b128], %b "b": tensor_map<bf16, 2> tile[64, 64 b128], %c "c": tensor_map<bf16, 2> tile_mut[64, 64 b128], %tiles "tiles": u32 scalar) block(256, 1, 1) {
  shared s0 "a_tiles": bf16 x 8192 align 1024
  shared s1 "b_tiles": bf16 x 8192 align 1024
  shared s2 "out": bf16 x 4096 align 1024
  shared s3 "full": u64 x 2 align 8
  shared s4 "empty": u64 x 2 align 8
<HEAD>
  %count: u32 = const[u32 1]
  if %is_first {
    mbarrier_init %full, %one //~ init
    mbarrier_init %full1, %one
    mbarrier_init %empty, %count
    mbarrier_init %empty1, %count
    mbarrier_fence
    yield
  } {
    yield
  }
  barrier //~ ready
  if %is_producer {
    set_max_registers[24 lower]
    %is_loader: bool = eq %warp, %four
    if %is_loader {
      %elected: bool = elect
      if %elected {
        for[$0] %zero, %tiles { |%i: u32|
<STAGE_P>
          %flipped: u32 = xor %parity, %one
          mbarrier_wait %free, %flipped //~ wait_empty
          mbarrier_arrive_expect %come, %bytes //~ expect
          tma_load[normal] %to_a, %a, %come, %k, %row //~ load_a
          tma_load[normal] %to_b, %b, %come, %k, %column //~ load_b
          continue[$0]
        }
        yield
      } {
        yield
      }
      yield
    } {
      yield
    }
    yield
  } {
    set_max_registers[240 raise]
    %nothing: f32 = const[f32 0x0]
    %start: <32 x f32> = vec_make <NOTHINGS>
    %sums: <32 x f32> = for[$1] %zero, %tiles, %start { |%j: u32, %sum: <32 x f32>|
<STAGE_C>
      mbarrier_wait %come_c, %parity_c //~ wait_full
      wgmma_fence //~ fence
      %goes_on: bool = ne %j, %zero
<WGMMAS>
      wgmma_commit //~ commit
      %waited: <32 x f32> = wgmma_wait[0] %sum4 //~ wait
      if %is_first {
        mbarrier_arrive %free_c //~ release
        yield
      } {
        yield
      }
      continue[$1] %waited
    }
    %small: <32 x bf16> = cast %sums //~ cast
<EPILOGUE>
    async_fence //~ async_fence
    barrier_sync[1 threads 128]
    if %is_first {
      tma_store[normal] %c, %out, %column, %row //~ store
      bulk_commit
      bulk_wait[0] //~ bulk_wait
      yield
    } {
      yield
    }
    yield
  }
  return //~ end
}
"#;

const HEAD: &str = "\
  %zero: u32 = const[u32 0]
  %one: u32 = const[u32 1]
  %two: u32 = const[u32 2]
  %four: u32 = const[u32 4]
  %bytes: u32 = const[u32 16384]
  %size: u32 = const[u32 4096]
  %wide: u32 = const[u32 64]
  %thread: u32 = thread_idx[x]
  %group: u32 = warpgroup_id
  %warp: u32 = warp_id
  %lane: u32 = lane_id
  %block: u32 = block_idx[x]
  %column_u: u32 = mul %block, %wide
  %column: i32 = cast %column_u
  %row: i32 = const[i32 0]
  %a_tiles: ptr<shared, bf16> = shared_addr[s0]
  %b_tiles: ptr<shared, bf16> = shared_addr[s1]
  %out: ptr<shared, bf16> = shared_addr[s2]
  %full: ptr<shared, u64> = shared_addr[s3]
  %empty: ptr<shared, u64> = shared_addr[s4]
  %full1: ptr<shared, u64> = ptr_add %full, %one
  %empty1: ptr<shared, u64> = ptr_add %empty, %one
  %is_first: bool = eq %thread, %zero
  %is_producer: bool = eq %group, %one";

/// Which stage it is, its barriers, its parity and its tiles.
const STAGE_P: &str = "          %stage: u32 = rem %i, %two
          %round: u32 = div %i, %two
          %parity: u32 = and %round, %one
          %free: ptr<shared, u64> = ptr_add %empty, %stage
          %come: ptr<shared, u64> = ptr_add %full, %stage
          %at: u32 = mul %stage, %size
          %to_a: ptr<shared, bf16> = ptr_add %a_tiles, %at
          %to_b: ptr<shared, bf16> = ptr_add %b_tiles, %at
          %deep: u32 = mul %i, %wide
          %k: i32 = cast %deep
";

const WGMMAS: &str = "
      %yes: bool = const[bool true]
      %step1: u32 = const[u32 16]
      %step2: u32 = const[u32 32]
      %step3: u32 = const[u32 48]
      %a1: ptr<shared, bf16> = ptr_add %from_a, %step1
      %a2: ptr<shared, bf16> = ptr_add %from_a, %step2
      %a3: ptr<shared, bf16> = ptr_add %from_a, %step3
      %b1: ptr<shared, bf16> = ptr_add %from_b, %step1
      %b2: ptr<shared, bf16> = ptr_add %from_b, %step2
      %b3: ptr<shared, bf16> = ptr_add %from_b, %step3
      %sum1: <32 x f32> = wgmma[wgmma.m64n64k16.bf16.f32 a k b128 16 1024 b k b128 16 1024] %from_a, %from_b, %sum, %goes_on //~ wgmma
      %sum2: <32 x f32> = wgmma[wgmma.m64n64k16.bf16.f32 a k b128 16 1024 b k b128 16 1024] %a1, %b1, %sum1, %yes //~ wgmma2
      %sum3: <32 x f32> = wgmma[wgmma.m64n64k16.bf16.f32 a k b128 16 1024 b k b128 16 1024] %a2, %b2, %sum2, %yes //~ wgmma3
      %sum4: <32 x f32> = wgmma[wgmma.m64n64k16.bf16.f32 a k b128 16 1024 b k b128 16 1024] %a3, %b3, %sum3, %yes //~ wgmma4";

/// Stores the sums, `%small`, to the array `out` as a swizzled tile.
fn epilogue() -> String {
    let mut text = String::new();
    let mut line = |args: std::fmt::Arguments<'_>| writeln!(text, "    {args}").unwrap();
    line(format_args!("%eight: u32 = const[u32 8]"));
    line(format_args!("%sixteen: u32 = const[u32 16]"));
    line(format_args!("%in_eight: u32 = rem %lane, %eight"));
    line(format_args!("%eighth: u32 = div %lane, %eight"));
    line(format_args!("%lower: u32 = rem %eighth, %two"));
    line(format_args!("%right: u32 = div %lane, %sixteen"));
    line(format_args!("%of_warp: u32 = mul %warp, %sixteen"));
    line(format_args!("%of_half: u32 = mul %lower, %eight"));
    line(format_args!("%upper: u32 = add %of_warp, %of_half"));
    line(format_args!("%own_row: u32 = add %upper, %in_eight"));
    line(format_args!("%row_at: u32 = mul %own_row, %wide"));
    for part in 0..4 {
        let chunk = 2 * part;
        line(format_args!("%chunk{part}: u32 = const[u32 {chunk}]"));
        line(format_args!("%piece{part}: u32 = add %chunk{part}, %right"));
        line(format_args!("%mixed{part}: u32 = xor %piece{part}, %in_eight"));
        line(format_args!("%mixed_at{part}: u32 = mul %mixed{part}, %eight"));
        line(format_args!("%place{part}: u32 = add %row_at, %mixed_at{part}"));
        line(format_args!("%to{part}: ptr<shared, bf16> = ptr_add %out, %place{part}"));
        for i in 0..8 {
            let from = 8 * part + i;
            line(format_args!("%x{part}_{i}: bf16 = vec_extract[{from}] %small"));
        }
        let all: Vec<String> = (0..8).map(|i| format!("%x{part}_{i}")).collect();
        line(format_args!("%v{part}: <8 x bf16> = vec_make {}", all.join(", ")));
        line(format_args!("stmatrix[4] %to{part}, %v{part} //~ stmatrix{part}"));
    }
    text
}

/// The kernel for clusters of two: each block loads half of the tile of A for both.
pub(super) fn clustered() -> String {
    let mut text = gemm();
    let mut replace = |part: &str, by: &str| {
        assert_eq!(text.matches(part).count(), 1, "{part}");
        text = text.replace(part, by);
    };
    replace(
        r#"%a "a": tensor_map<bf16, 2> tile[64, 64 b128]"#,
        r#"%a "a": tensor_map<bf16, 2> tile[64, 32 b128]"#,
    );
    replace("block(256, 1, 1)", "block(256, 1, 1) cluster(2, 1, 1)");
    replace("%count: u32 = const[u32 1]", "%count: u32 = const[u32 2]\n%rank: u32 = cluster_rank");
    replace(
        "  barrier //~ ready\n",
        "  cluster_arrive //~ ready\n  cluster_wait\n  %both: u32 = const[u32 3]\n  \
         %half: u32 = const[u32 32]\n  %half_row: u32 = mul %rank, %half\n  \
         %part_row: i32 = cast %half_row\n  %half_at: u32 = mul %half_row, %wide\n",
    );
    replace(
        "          tma_load[normal] %to_a, %a, %come, %k, %row //~ load_a\n",
        "          %part_a: ptr<shared, bf16> = ptr_add %to_a, %half_at\n          \
         tma_load[normal multicast] %part_a, %a, %come, %k, %part_row, %both //~ load_a\n",
    );
    replace(
        "        mbarrier_arrive %free_c //~ release\n",
        "        %mine: ptr<cluster, u64> = map_shared %free_c, %zero\n        \
         mbarrier_arrive %mine //~ release\n        \
         %other: ptr<cluster, u64> = map_shared %free_c, %one\n        \
         mbarrier_arrive %other //~ release_other\n",
    );
    replace("  return //~ end\n", "  cluster_arrive\n  cluster_wait //~ tail\n  return //~ end\n");
    text
}

/// Small whole numbers, of which sums are exact.
pub(super) fn number(seed: usize, row: usize, column: usize) -> f32 {
    ((row * 7 + column * 13 + seed * 5) % 9) as f32 - 4.0
}

pub(super) fn bytes(numbers: impl Iterator<Item = f32>) -> Vec<u8> {
    numbers.flat_map(|x| bf16::from_f32(x).to_le_bytes()).collect()
}

pub(super) fn matrix(seed: usize, rows: usize, columns: usize) -> Vec<u8> {
    bytes((0..rows * columns).map(|i| number(seed, i / columns, i % columns)))
}

/// The launch of so many blocks on so many tiles along the depth.
pub(super) fn scene(text: &str, blocks: u32, tiles: u32) -> Scene {
    scene_of(text, 256, blocks, tiles)
}

/// The same with blocks of so many threads.
pub(super) fn scene_of(text: &str, threads: u32, blocks: u32, tiles: u32) -> Scene {
    let (depth, columns) = (TILE * tiles as usize, TILE * blocks as usize);
    Scene::new(text, blocks, threads)
        .tensor(&[depth as u64, TILE as u64], &matrix(1, TILE, depth))
        .tensor(&[depth as u64, columns as u64], &matrix(2, columns, depth))
        .tensor(&[columns as u64, TILE as u64], &[])
        .number(tiles)
}

/// Checks C.
pub(super) fn check(scene: &Scene, blocks: usize, tiles: usize) {
    let (depth, columns) = (TILE * tiles, TILE * blocks);
    let found = scene.bytes(2, TILE * columns * 2);
    let sum =
        |row, column| -> f32 { (0..depth).map(|k| number(1, row, k) * number(2, column, k)).sum() };
    let expected = (0..TILE * columns).map(|i| sum(i / columns, i % columns));
    assert!(found == bytes(expected), "wrong numbers");
}
