//! Hopper's own instructions: `wgmma` whose sums stay where they are, barriers, clusters, copies.

mod common;

use std::fmt::Write;

use common::{assemble, ptx, sm};
use kernelsmith_codegen_ptx::ptxas::{Nvdisasm, Sass};
use kernelsmith_ir::target::Ptx;
use kernelsmith_ir::{Kernel, Target, parse, passes};

const HOPPER: Ptx = sm(90, true);

fn prepared(text: &str) -> Kernel {
    let kernel = parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    passes::prepare(&kernel, &Target::Ptx(HOPPER)).unwrap_or_else(|error| panic!("{error}"))
}

fn sass(kernel: &Kernel) -> Sass {
    let assembled = assemble(kernel, HOPPER);
    assert_eq!(assembled.losses, Vec::<String>::new(), "{}", ptx(kernel, HOPPER).text);
    assert_eq!(assembled.usage.spill_stores, 0);
    Nvdisasm::find().unwrap().disassemble(&assembled).unwrap_or_else(|error| panic!("{error}"))
}

/// The vector of `n` copies of `%from`.
fn splat(n: usize, from: &str) -> String {
    vec![from; n].join(", ")
}

/// A loop of `wgmma`s over two stages: the sums of one iteration are added to in the next, and the
/// last group but one is waited for.
fn wgmma_loop(n: usize, left: u32) -> Kernel {
    let lanes = n / 2;
    let shape = format!("wgmma.m64n{n}k16.bf16.f32");
    let mut text = format!(
        r#"kernel @wgmma_loop(%0 "out": ptr<global, f32> exclusive, %1 "steps": u32 scalar) block(128, 1, 1) {{
  shared s0 "a": bf16 x 8192 align 1024
  shared s1 "b": bf16 x {b} align 1024
  %2: ptr<shared, bf16> = shared_addr[s0]
  %3: ptr<shared, bf16> = shared_addr[s1]
  %4: f32 = const[f32 0x0]
  %5: <{lanes} x f32> = vec_make {zeros}
  %6: u32 = const[u32 0]
  %7: bool = const[bool true]
  %8: <{lanes} x f32> = for[$0] %6, %1, %5 {{ |%9: u32, %10: <{lanes} x f32>|
    %11: u32 = const[u32 1]
    %12: u32 = and %9, %11
    %13: u32 = const[u32 4096]
    %14: u32 = mul %12, %13
    %15: ptr<shared, bf16> = ptr_add %2, %14
    %16: u32 = const[u32 {b_stage}]
    %17: u32 = mul %12, %16
    %18: ptr<shared, bf16> = ptr_add %3, %17
    wgmma_fence
"#,
        b = 2 * n * 64,
        b_stage = n * 64,
        zeros = splat(lanes, "%4"),
    );
    let mut sum = "%10".to_owned();
    for k in 0..4 {
        let at = 20 + 5 * k;
        writeln!(
            text,
            "    %{at}: u32 = const[u32 {offset}]\n    \
             %{a}: ptr<shared, bf16> = ptr_add %15, %{at}\n    \
             %{b}: ptr<shared, bf16> = ptr_add %18, %{at}\n    \
             %{d}: <{lanes} x f32> = wgmma[{shape} a k b128 16 1024 b k b128 16 1024] %{a}, %{b}, \
             {sum}, %7",
            offset = 16 * k,
            a = at + 1,
            b = at + 2,
            d = at + 3,
        )
        .unwrap();
        sum = format!("%{}", at + 3);
    }
    write!(
        text,
        "    wgmma_commit\n    %50: <{lanes} x f32> = wgmma_wait[{left}] {sum}\n    \
         continue[$0] %50\n  }}\n  %51: <{lanes} x f32> = wgmma_wait[0] %8\n"
    )
    .unwrap();
    writeln!(text, "  %52: u32 = thread_idx[x]\n  %53: u32 = const[u32 {lanes}]").unwrap();
    writeln!(text, "  %54: u32 = mul %52, %53\n  %55: ptr<global, f32> = ptr_add %0, %54").unwrap();
    writeln!(text, "  store[align 4] %55, %51\n  return\n}}").unwrap();
    prepared(&text)
}

#[test]
fn sums_stay_in_their_registers() {
    for (n, left) in [(64, 0), (128, 1), (256, 1)] {
        let kernel = wgmma_loop(n, left);
        let text = ptx(&kernel, HOPPER).text;
        let body = text.split("$for_").nth(1).unwrap().split("$end_").next().unwrap();
        assert_eq!(body.matches("wgmma.mma_async").count(), 4, "{text}");
        assert_eq!(body.matches("mov.f32").count(), 0, "{text}");
        let code = sass(&kernel);
        assert_eq!(code.count("HGMMA"), 4, "{}", code.text());
    }
}

/// A from registers; both orders of B; every type of factor.
#[test]
fn every_kind_of_wgmma_assembles() {
    let kinds = [
        ("bf16", "f32", 16, 8),
        ("f16", "f32", 16, 8),
        ("f16", "f16", 16, 8),
        ("tf32", "f32", 8, 4),
        ("e4m3", "f32", 32, 16),
        ("e5m2", "f16", 32, 16),
        ("i8", "i32", 32, 16),
        ("u8", "i32", 32, 16),
    ];
    for (ab, cd, k, fragment) in kinds {
        let shape = format!("wgmma.m64n32k{k}.{ab}.{cd}");
        let zero = if cd == "i32" { "0" } else { "0x0" };
        // Fragments of types that nothing computes with come from memory.
        let text = format!(
            r#"kernel @every(%0 "out": ptr<global, {cd}> exclusive, %1 "x": ptr<global, {ab}> readonly) block(128, 1, 1) {{
  shared s0 "a": {ab} x 8192 align 1024
  %2: ptr<shared, {ab}> = shared_addr[s0]
  %3: {cd} = const[{cd} {zero}]
  %4: <16 x {cd}> = vec_make {zeros}
  %5: bool = const[bool true]
  %6: <{fragment} x {ab}> = load[align 16] %1
  wgmma_fence
  %7: <16 x {cd}> = wgmma[{shape} a k b64 16 512 b k b64 16 512] %2, %2, %4, %5
  %8: <16 x {cd}> = wgmma[{shape} b k none 512 128] %6, %2, %7, %5
  wgmma_commit
  %9: <16 x {cd}> = wgmma_wait[0] %8
  store[align 4] %0, %9
  return
}}
"#,
            zeros = splat(16, "%3"),
        );
        let code = sass(&prepared(&text));
        let count = code.count("HGMMA") + code.count("QGMMA") + code.count("IGMMA");
        assert_eq!(count, 2, "{shape}\n{}", code.text());
    }
}

#[test]
fn factors_along_m_and_n_assemble() {
    let text = format!(
        r#"kernel @transposed(%0 "out": ptr<global, f32> exclusive) block(128, 1, 1) {{
  shared s0 "a": bf16 x 8192 align 1024
  %1: ptr<shared, bf16> = shared_addr[s0]
  %2: f32 = const[f32 0x0]
  %3: <32 x f32> = vec_make {zeros}
  %4: bool = const[bool false]
  wgmma_fence
  %5: <32 x f32> = wgmma[wgmma.m64n64k16.bf16.f32 a mn b128 8192 1024 b mn b128 8192 1024] %1, %1, %3, %4
  wgmma_commit
  %6: <32 x f32> = wgmma_wait[0] %5
  store[align 4] %0, %6
  return
}}
"#,
        zeros = splat(32, "%2"),
    );
    let kernel = prepared(&text);
    let text = ptx(&kernel, HOPPER).text;
    assert!(text.contains(", 1, 1, 1, 1;"), "{text}");
    assert_eq!(sass(&kernel).count("HGMMA"), 1);
}

/// Barriers in shared memory, roles, registers that change hands, the cluster.
#[test]
fn roles_and_barriers_assemble() {
    let text = r#"kernel @roles(%0 "out": ptr<global, u32> exclusive) block(256, 1, 1) cluster(2, 1, 1) {
  shared s0 "bars": u64 x 2 align 8
  %1: ptr<shared, u64> = shared_addr[s0]
  %2: u32 = const[u32 1]
  %3: ptr<shared, u64> = ptr_add %1, %2
  %4: u32 = const[u32 0]
  %5: u32 = thread_idx[x]
  %6: bool = eq %5, %4
  if %6 {
    mbarrier_init %1, %2
    mbarrier_init %3, %2
    mbarrier_fence
    yield
  } {
    yield
  }
  cluster_arrive
  cluster_wait
  %7: u32 = warpgroup_id
  %8: bool = eq %7, %4
  if %8 {
    set_max_registers[40 lower]
    %9: bool = elect
    if %9 {
      mbarrier_arrive_expect %1, %4
      %10: u32 = cluster_rank
      %11: u32 = xor %10, %2
      %12: ptr<cluster, u64> = map_shared %3, %11
      mbarrier_arrive %12
      mbarrier_wait %1, %4
      yield
    } {
      yield
    }
    yield
  } {
    set_max_registers[232 raise]
    %13: bool = mbarrier_test %3, %4
    if %13 {
      store[align 4] %0, %5
      yield
    } {
      yield
    }
    yield
  }
  grid_release
  grid_wait
  return
}
"#;
    let kernel = prepared(text);
    assert!(ptx(&kernel, HOPPER).text.contains("mapa.shared::cluster.u32"));
    let code = sass(&kernel);
    assert_eq!(code.count("USETMAXREG"), 2, "{}", code.text());
    assert!(code.count("SYNCS") >= 4, "{}", code.text());
    assert!(code.count("UCGABAR_ARV") >= 1 && code.count("UCGABAR_WAIT") >= 1, "{}", code.text());
}

/// Copies of bytes, to and from, and storing matrices.
#[test]
fn bulk_copies_and_stmatrix_assemble() {
    let text = r#"kernel @bulk(%0 "x": ptr<global, bf16> readonly, %1 "y": ptr<global, bf16> exclusive) block(32, 1, 1) {
  shared s0 "tile": bf16 x 256 align 128
  shared s1 "bar": u64 x 1 align 8
  %2: ptr<shared, bf16> = shared_addr[s0]
  %3: ptr<shared, u64> = shared_addr[s1]
  %4: u32 = const[u32 512]
  %5: u32 = const[u32 0]
  bulk_load[evict_first] %2, %0, %4, %3
  mbarrier_wait %3, %5
  %6: <8 x bf16> = ldmatrix[4] %2
  stmatrix[4 trans] %2, %6
  async_fence
  bulk_store[evict_last] %1, %2, %4
  bulk_store[normal add] %1, %2, %4
  bulk_commit
  bulk_wait_read[0]
  bulk_wait[0]
  cp_async_arrive %3
  return
}
"#;
    let code = sass(&prepared(text));
    assert!(code.count("UBLKCP") == 2, "{}", code.text());
    assert!(code.count("UBLKRED") == 1, "{}", code.text());
    assert_eq!(code.count("STSM"), 1, "{}", code.text());
}

#[test]
fn tensor_maps_are_read_where_the_launch_puts_them() {
    let kernel = prepared(
        r#"kernel @maps(%0 "n": u32 scalar, %1 "a": tensor_map<bf16, 2> tile[64, 8 b128], %2 "c": tensor_map<f32, 1> tile_mut[32 none], %3 "out": ptr<global, u32> exclusive) block(32, 1, 1) cluster(2, 1, 1) {
  tma_prefetch %1
  store[align 4 normal] %3, %0
  return
}"#,
    );
    let module = ptx(&kernel, HOPPER);
    let text = &module.text;
    for line in [
        "\t.param .b32 maps_param0,\n",
        "\t.param .align 64 .b8 maps_param1[128],\n",
        "\t.param .align 64 .b8 maps_param2[128],\n",
        ".explicitcluster\n.reqnctapercluster 2, 1, 1\n",
        "\tcvta.param.u64 ",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
    // A map that nothing uses costs nothing.
    assert_eq!(text.matches("cvta.param").count(), 1);
    let places: Vec<_> = module.params.iter().map(|p| (p.offset, p.size)).collect();
    assert_eq!(places, [(0, 4), (64, 128), (192, 128), (320, 8)]);
    assert_eq!((module.record_offset, module.param_bytes), (328, 336));
    sass(&kernel);
}

/// Accesses that leave the L1 cache as it is, of memory that is only read and of any.
#[test]
fn accesses_past_the_l1_cache_assemble() {
    let text = r#"kernel @past(%0 "x": ptr<global, f32> readonly, %1 "y": ptr<global, f32> exclusive) block(32, 1, 1) {
  shared s0 "tile": f32 x 32 align 4
  %2: ptr<shared, f32> = shared_addr[s0]
  %3: <4 x f32> = load[align 16 past_l1] %0
  %4: f32 = load[align 4 past_l1] %1
  store[align 16 past_l1] %1, %3
  store[align 4 past_l1] %2, %4
  return
}
"#;
    let kernel = prepared(text);
    for target in [HOPPER, sm(75, false)] {
        let text = ptx(&kernel, target).text;
        for part in [
            "ld.global.nc.L1::no_allocate.v4.f32 ",
            "ld.global.L1::no_allocate.f32 ",
            "st.global.L1::no_allocate.v4.f32 ",
            // Shared memory is not behind it.
            "st.shared.f32 ",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assemble(&kernel, target);
    }
}

/// Boxes that windows and rows are, fetches into the L2 cache, and hints for it.
#[test]
fn every_mode_of_copies_assembles() {
    let text = r#"kernel @modes(%0 "x": tensor_map<bf16, 4> tile[64, 256, 1, 1 b128 walk -1 -1 1, -1 1 2], %1 "y": tensor_map<bf16, 2> tile_mut[64, 8 b128], %2 "z": ptr<global, f32> exclusive) block(32, 1, 1) cluster(2, 1, 1) {
  shared s0 "bar": u64 x 1 align 8
  shared s1 "to": bf16 x 16384 align 1024
  %3: ptr<shared, u64> = shared_addr[s0]
  %4: ptr<shared, bf16> = shared_addr[s1]
  %5: i32 = const[i32 -1]
  %6: i32 = const[i32 2]
  %7: u32 = const[u32 3]
  tma_load[normal pixels] %4, %0, %3, %6, %5, %5, %6, %6, %6
  tma_load[evict_last multicast pixels] %4, %0, %3, %6, %5, %5, %6, %6, %6, %7
  tma_fetch[evict_first pixels] %0, %6, %5, %5, %6, %6, %6
  tma_fetch[normal] %1, %6, %6
  %8: u32 = const[u32 256]
  bulk_fetch[evict_last] %2, %8
  %9: f32 = load[align 4 evict_first] %2
  store[align 4 evict_last] %2, %9
  return
}
"#;
    let kernel = prepared(text);
    let text = ptx(&kernel, HOPPER).text;
    for part in [
        "cp.async.bulk.tensor.4d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes [",
        "cp.async.bulk.prefetch.tensor.4d.L2.global.im2col.L2::cache_hint [",
        "cp.async.bulk.prefetch.tensor.2d.L2.global [",
        "cp.async.bulk.prefetch.L2.global.L2::cache_hint [",
        "createpolicy.fractional.L2::evict_first.b64 ",
        "createpolicy.fractional.L2::evict_last.b64 ",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    // A load goes first and a store last: by the policies made just before them.
    for (policy, access) in [("first", "ld.global"), ("last", "st.global")] {
        let line = text.lines().find(|line| line.contains(&format!("{access}.L2::cache_hint.f32")));
        let line = line.unwrap_or_else(|| panic!("{access}\n{text}"));
        let register = line.rsplit(", ").next().unwrap().trim_end_matches(';');
        let made = format!("createpolicy.fractional.L2::evict_{policy}.b64 {register}, 1.0;");
        assert!(text.contains(&made), "{made}\n{text}");
    }
    let code = sass(&kernel);
    assert_eq!(
        (code.count("UTMALDG"), code.count("UTMAPF"), code.count("UBLKPF")),
        (2, 2, 1),
        "{}",
        code.text()
    );
}

#[test]
fn rows_are_gathered_and_scattered_on_blackwell() {
    let text = r#"kernel @rows(%0 "x": tensor_map<bf16, 2> tile_mut[64, 1 b128]) block(32, 1, 1) {
  shared s0 "bar": u64 x 1 align 8
  shared s1 "to": bf16 x 256 align 1024
  %1: ptr<shared, u64> = shared_addr[s0]
  %2: ptr<shared, bf16> = shared_addr[s1]
  %3: i32 = const[i32 5]
  tma_load[normal rows] %2, %0, %1, %3, %3, %3, %3, %3
"#;
    let loads = format!("{text}  return\n}}\n");
    let stores = format!(
        "{text}  tma_store[normal rows] %0, %2, %3, %3, %3, %3, %3\n  tma_store[normal rows add] %0, %2, %3, %3, %3, %3, %3\n  return\n}}\n"
    );
    for (text, target, there) in [
        (&loads, sm(100, false), true),
        (&loads, sm(120, false), true),
        (&loads, HOPPER, false),
        (&stores, sm(100, true), true),
        (&stores, sm(120, true), false),
    ] {
        let kernel = parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        match passes::prepare(&kernel, &Target::Ptx(target)) {
            Ok(kernel) => {
                assert!(there, "{target:?}");
                assemble(&kernel, target);
                let text = ptx(&kernel, target).text;
                let count = |part: &str| text.matches(part).count();
                let written = [
                    "cp.async.bulk.tensor.2d.shared::cta.global.tile::gather4.",
                    "cp.async.bulk.tensor.2d.global.shared::cta.tile::scatter4.",
                    "cp.reduce.async.bulk.tensor.2d.global.shared::cta.add.tile::scatter4.",
                ];
                // Only what stores has the latter two.
                let stores = usize::from(kernel.to_string().contains("tma_store"));
                assert_eq!(written.map(count), [1, stores, stores], "{text}");
            }
            Err(error) => assert!(!there && error.to_string().contains("of rows"), "{error}"),
        }
    }
}

/// A launch that overlaps the one before: what it waits for comes first, and what lets the next one begin
/// is not moved before it.
#[test]
fn overlapping_launches_assemble() {
    let kernel = prepared(
        r#"kernel @overlaps(%0 "x": ptr<global, f32> readonly, %1 "y": ptr<global, f32> exclusive) block(32, 1, 1) {
  grid_wait
  %2: f32 = load[align 4] %0
  grid_release
  store[align 4] %1, %2
  return
}
"#,
    );
    let text = ptx(&kernel, HOPPER).text;
    let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part}\n{text}"));
    let (wait, release) = (at("griddepcontrol.wait;"), at("griddepcontrol.launch_dependents;"));
    assert!(wait < at("ld.global") && at("ld.global") < release && release < at("st.global"));
    let code = sass(&kernel);
    assert_eq!((code.count("ACQBULK"), code.count("PREEXIT")), (1, 1), "{}", code.text());
}

/// Every kind of product in tensor memory, A from both memories, what takes, moves and orders it.
#[test]
fn tensor_memory_assembles() {
    let blackwell = sm(100, true);
    for (ab, cd, k) in [
        ("f16", "f32", 16),
        ("bf16", "f32", 16),
        ("tf32", "f32", 8),
        ("e4m3", "f32", 32),
        ("e5m2", "f32", 32),
        ("i8", "i32", 32),
        ("u8", "i32", 32),
    ] {
        let shape = format!("m128n256k{k}.{ab}.{cd}");
        let across = if ab == "tf32" { "k" } else { "mn" };
        let text = format!(
            r#"kernel @tensor(%0 "out": ptr<global, u32> exclusive) block(128, 1, 1) {{
  shared s0 "bar": u64 x 1 align 8
  shared s1 "place": u32 x 1 align 4
  shared s2 "a": {ab} x 8192 align 1024
  %1: ptr<shared, u64> = shared_addr[s0]
  %2: ptr<shared, u32> = shared_addr[s1]
  %3: ptr<shared, {ab}> = shared_addr[s2]
  %4: bool = const[bool true]
  tcgen05_alloc[512] %2
  tcgen05_yield
  %5: u32 = load[align 4] %2
  %6: u32 = thread_idx[x]
  %7: <2 x u32> = vec_make %6, %6
  tcgen05_store %5, %7
  tcgen05_wait_store
  tcgen05_fence_before
  barrier
  tcgen05_fence_after
  %8: u32 = const[u32 0]
  %9: bool = eq %6, %8
  if %9 {{
    tcgen05_mma[{shape} a k b128 16 1024 b {across} b128 8192 1024] %5, %3, %3, %4
    tcgen05_mma[{shape} b k none 2048 128] %5, %5, %3, %4
    tcgen05_commit %1
    yield
  }} {{
    yield
  }}
  mbarrier_wait %1, %8
  tcgen05_fence_after
  %10: <128 x u32> = tcgen05_load %5
  %11: <128 x u32> = tcgen05_wait_load %10
  store[align 4] %0, %11
  tcgen05_free[512] %5
  return
}}
"#
        );
        let kernel = parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let kernel =
            passes::prepare(&kernel, &Target::Ptx(blackwell)).unwrap_or_else(|e| panic!("{e}"));
        let assembled = assemble(&kernel, blackwell);
        assert_eq!(assembled.usage.spill_stores, 0);
        let code = Nvdisasm::find().unwrap().disassemble(&assembled).unwrap();
        let products = code.text().matches("MMA ").count();
        assert_eq!(products, 2, "{shape}\n{}", code.text());
        assert!(code.text().contains("LDTM") && code.text().contains("STTM"), "{}", code.text());
    }
}

/// Every kind of block-scaled product, A from both memories, and every copy to tensor memory.
#[test]
fn scaled_products_assemble() {
    let blackwell = sm(100, true);
    let mut products = String::new();
    for (shape, tile, scales) in [
        ("m128n8k32.e4m3.f32", "%3", "mxf8f6f4 ue8m0 1 3 1"),
        ("m128n256k32.e5m2.f32", "%4", "mxf8f6f4 ue8m0 1 0 0"),
        ("m128n64k64.e2m1.f32", "%5", "mxf4 ue8m0 2 2 0"),
        ("m128n64k64.e2m1.f32", "%5", "mxf4nvf4 ue8m0 2 0 2"),
        ("m128n64k64.e2m1.f32", "%5", "mxf4nvf4 ue8m0 4 0 0"),
        ("m128n64k64.e2m1.f32", "%5", "mxf4nvf4 ue4m3 4 0 0"),
    ] {
        let rest = format!("b k none 2048 128 scales {scales}] %0");
        products += &format!(
            "    tcgen05_mma[{shape} a k b128 16 1024 {rest}, {tile}, {tile}, %6, %0, %1
    tcgen05_mma[{shape} {rest}, %1, {tile}, %6, %0, %1\n"
        );
    }
    let text = format!(
        r#"kernel @scaled(%0 "place": u32 scalar, %1 "thread": u32 scalar) block(128, 1, 1) {{
  shared s0 "bar": u64 x 1 align 8
  shared s1 "a": e4m3 x 8192 align 1024
  shared s2 "b": e5m2 x 8192 align 1024
  shared s3 "c": u8 x 8192 align 1024
  %2: ptr<shared, u64> = shared_addr[s0]
  %3: ptr<shared, e4m3> = shared_addr[s1]
  %4: ptr<shared, e5m2> = shared_addr[s2]
  %5: ptr<shared, u8> = shared_addr[s3]
  %6: bool = const[bool true]
  %7: u32 = thread_idx[x]
  %8: bool = eq %7, %1
  if %8 {{
    tcgen05_copy[128x256b k b128 16 1024] %0, %3
    tcgen05_copy[128x128b k none 16 128] %0, %3
    tcgen05_copy[64x128b_warpx2_02_13 k none 0 128] %0, %4
    tcgen05_copy[64x128b_warpx2_01_23 k none 0 128] %0, %5
    tcgen05_copy[32x128b_warpx4 k none 0 128] %0, %3
{products}    tcgen05_commit %2
    yield
  }} {{
    yield
  }}
  return
}}
"#
    );
    let kernel = parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let kernel =
        passes::prepare(&kernel, &Target::Ptx(blackwell)).unwrap_or_else(|e| panic!("{e}"));
    let assembled = assemble(&kernel, blackwell);
    assert_eq!(assembled.usage.spill_stores, 0);
    let code = Nvdisasm::find().unwrap().disassemble(&assembled).unwrap();
    let count = |part: &str| code.text().lines().filter(|line| line.contains(part)).count();
    let counts = ["UTCQMMA", "UTCOMMA", "UTCCP"].map(count);
    assert_eq!(counts, [4, 8, 5], "{}", code.text());
    let written: String = ptx(&kernel, blackwell)
        .text
        .lines()
        .filter(|line| line.contains("tcgen05.mma") || line.contains("tcgen05.cp"))
        .map(|line| format!("{}\n", line.trim()))
        .collect();
    insta::assert_snapshot!(written);
}

/// Every instruction of tensor memory that pairs of blocks execute: products of every kind, with 128 and
/// 256 rows, plain and scaled, A from both memories, every copy, both commits.
#[test]
fn pairs_of_blocks_assemble() {
    let blackwell = sm(100, true);
    let mut products = String::new();
    for (shape, tile, scales) in [
        ("m256n256k16.f16.f32", "%3", ""),
        ("m128n16k16.bf16.f32", "%4", ""),
        ("m256n64k8.tf32.f32", "%5", ""),
        ("m256n64k32.e4m3.f32", "%6", ""),
        ("m128n32k32.i8.i32", "%7", ""),
        ("m256n16k32.e4m3.f32", "%6", "mxf8f6f4 ue8m0 1 3 1"),
        ("m128n128k64.e2m1.f32", "%8", "mxf4 ue8m0 2 2 0"),
        ("m256n256k64.e2m1.f32", "%8", "mxf4nvf4 ue4m3 4 0 0"),
    ] {
        let (word, places) = match scales {
            "" => (String::new(), ""),
            scales => (format!(" scales {scales}"), ", %0, %1"),
        };
        let rest = format!("b k b128 16 1024{word}] %0");
        products += &format!(
            "    tcgen05_mma[{shape} pair a k b128 16 1024 {rest}, {tile}, {tile}, %9{places}
    tcgen05_mma[{shape} pair {rest}, %1, {tile}, %9{places}\n"
        );
    }
    let tiles: String = (3..)
        .zip(["f16", "bf16", "tf32", "e4m3", "i8", "u8"])
        .map(|(i, ty)| format!("  %{i}: ptr<shared, {ty}> = shared_addr[s{}]\n", i - 1))
        .collect();
    let text = format!(
        r#"kernel @pairs(%0 "place": u32 scalar, %1 "thread": u32 scalar) block(128, 1, 1) cluster(2, 1, 1) {{
  shared s0 "bar": u64 x 1 align 8
  shared s1 "to": u32 x 1 align 4
  shared s2 "a": f16 x 2048 align 1024
  shared s3 "b": bf16 x 2048 align 1024
  shared s4 "c": tf32 x 2048 align 1024
  shared s5 "d": e4m3 x 2048 align 1024
  shared s6 "e": i8 x 2048 align 1024
  shared s7 "f": u8 x 2048 align 1024
  %2: ptr<shared, u64> = shared_addr[s0]
{tiles}  %9: bool = const[bool true]
  %10: ptr<shared, u32> = shared_addr[s1]
  tcgen05_alloc[512 pair] %10
  tcgen05_yield[pair]
  %11: u32 = thread_idx[x]
  %12: bool = eq %11, %1
  if %12 {{
    tcgen05_copy[128x256b pair k b128 16 1024] %0, %3
    tcgen05_copy[128x128b pair k none 16 128] %0, %3
    tcgen05_copy[64x128b_warpx2_02_13 pair k none 0 128] %0, %4
    tcgen05_copy[64x128b_warpx2_01_23 pair k none 0 128] %0, %5
    tcgen05_copy[32x128b_warpx4 pair k none 0 128] %0, %8
{products}    tcgen05_commit[pair] %2
    tcgen05_commit[pair multicast] %2, %1
    yield
  }} {{
    yield
  }}
  tcgen05_free[512 pair] %0
  return
}}
"#
    );
    let kernel = parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let kernel =
        passes::prepare(&kernel, &Target::Ptx(blackwell)).unwrap_or_else(|e| panic!("{e}"));
    let assembled = assemble(&kernel, blackwell);
    assert_eq!(assembled.usage.spill_stores, 0);
    let code = Nvdisasm::find().unwrap().disassemble(&assembled).unwrap();
    let count = |part: &str| code.text().lines().filter(|line| line.contains(part)).count();
    let counts = ["MMA.2CTA", "UTCCP", "UTCBAR.2CTA"].map(count);
    assert_eq!(counts, [16, 5, 2], "{}", code.text());
    let written: String = ptx(&kernel, blackwell)
        .text
        .lines()
        .filter(|line| line.contains("tcgen05."))
        .map(|line| format!("{}\n", line.trim()))
        .collect();
    assert!(!written.contains("cta_group::1"), "{written}");
    insta::assert_snapshot!(written);
}

/// A load that a barrier of the pair's other block counts.
#[test]
fn loads_for_the_peers_barrier_assemble() {
    let blackwell = sm(100, true);
    let text = r#"kernel @peer(%0 "x": tensor_map<bf16, 2> tile[64, 8 b128], %1 "rank": u32 scalar) block(32, 1, 1) cluster(2, 1, 1) {
  shared s0 "bar": u64 x 1 align 8
  shared s1 "to": bf16 x 512 align 1024
  %2: ptr<shared, u64> = shared_addr[s0]
  %3: ptr<shared, bf16> = shared_addr[s1]
  %4: i32 = const[i32 8]
  %5: ptr<cluster, u64> = map_shared %2, %1
  tma_load[normal] %3, %0, %5, %4, %4
  tma_load[evict_last] %3, %0, %5, %4, %4
  return
}
"#;
    let kernel = parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let kernel =
        passes::prepare(&kernel, &Target::Ptx(blackwell)).unwrap_or_else(|e| panic!("{e}"));
    let code = Nvdisasm::find().unwrap().disassemble(&assemble(&kernel, blackwell)).unwrap();
    assert_eq!(code.text().matches("UTMALDG.2D.2CTA").count(), 2, "{}", code.text());
    let text = ptx(&kernel, blackwell).text;
    let written = "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes\
                   .cta_group::2";
    let count = |part: String| text.matches(&part).count();
    assert_eq!(count(format!("{written} [")), 1, "{text}");
    assert_eq!(count(format!("{written}.L2::cache_hint [")), 1, "{text}");
}

/// A commit to several blocks, each for itself.
#[test]
fn commits_to_several_blocks_assemble() {
    let blackwell = sm(100, true);
    let text = r#"kernel @commit(%0 "blocks": u32 scalar) block(32, 1, 1) cluster(4, 1, 1) {
  shared s0 "bar": u64 x 1 align 8
  %1: ptr<shared, u64> = shared_addr[s0]
  tcgen05_commit[multicast] %1, %0
  return
}
"#;
    let kernel = parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assemble(&kernel, blackwell);
    let text = ptx(&kernel, blackwell).text;
    let written = "tcgen05.commit.cta_group::1.mbarrier::arrive::one.shared::cluster\
                   .multicast::cluster.b64 [";
    assert!(text.contains(written), "{text}");
}
