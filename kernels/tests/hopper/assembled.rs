//! The kernels of Hopper: what the assembler makes of them.

use kernelsmith::codegen::{Stage, emit, resources};
use kernelsmith::ir::Kernel;
use kernelsmith::lang::wgmma::Tf32;
use kernelsmith::prelude::*;
use kernelsmith::{StagingError, Target};
use kernelsmith_kernels::attention::hopper::{
    Plan, ScoreFn, attention_forward_ir, attention_latent_ir,
};
use kernelsmith_kernels::attention::{AttentionElement, Form as AttentionForm};
use kernelsmith_kernels::matmul::hopper::Order::{AcrossK, AlongK};
use kernelsmith_kernels::matmul::hopper::{
    Form, GroupedForm, ScaledForm, matmul_cooperative_ir, matmul_gated_ir, matmul_grouped_ir,
    matmul_pingpong_ir, matmul_scaled_ir,
};
use kernelsmith_kernels::matmul::{Steps, Summed};

use crate::in_flight::in_flight;
use crate::loops::innermost;

fn hopper() -> Target {
    "sm_90a".parse().unwrap()
}

fn cooperative<W, T, S, O>(form: Form) -> Result<Kernel, StagingError>
where
    W: WgmmaAtom<Input = T, Sum = S>,
    T: Stored,
    S: Num + Summed,
    O: Num,
{
    with::<W, T, S, O>(form, false, false)
}

/// With the steps of some tiles shared out, if so; with bias, residual and scales of rows and columns, or none.
fn with<W, T, S, O>(form: Form, streamed: bool, terms: bool) -> Result<Kernel, StagingError>
where
    W: WgmmaAtom<Input = T, Sum = S>,
    T: Stored,
    S: Num + Summed,
    O: Num,
{
    let steps = Steps::default();
    matmul_cooperative_ir::<W, T, S, S, O, 4, _>(
        &hopper(),
        form,
        steps,
        |x| x,
        terms,
        terms,
        terms,
        terms,
        streamed,
        streamed,
    )
}

/// In whole kernels: products of a step, boxes of a stage, panels of C.
#[test]
fn matmuls_are_what_was_planned() {
    let along = Form { a: AlongK, b: AlongK, cluster: 1, exchanged: false };
    let across = Form { a: AcrossK, b: AcrossK, ..along };
    let clusters = Form { cluster: 2, ..along };
    let exchanged = Form { exchanged: true, ..along };
    let plans = [
        ("bf16 128", cooperative::<Wgmma<bf16, 128>, bf16, f32, bf16>(along), [4, 2, 2]),
        ("f16 256 tn", cooperative::<Wgmma<f16, 256>, f16, f32, f16>(across), [4, 6, 4]),
        ("bf16 256 x 2", cooperative::<Wgmma<bf16, 256>, bf16, f32, bf16>(clusters), [4, 2, 4]),
        ("bf16 192 x 2", cooperative::<Wgmma<bf16, 192>, bf16, f32, bf16>(clusters), [4, 2, 3]),
        ("bf16 16 rows", cooperative::<Wgmma<bf16, 16>, bf16, f32, bf16>(exchanged), [4, 2, 1]),
        ("tf32 256 x 2", cooperative::<Wgmma<Tf32, 256>, f32, f32, f32>(clusters), [4, 2, 8]),
        ("i8 256 x 2", cooperative::<Wgmma<i8, 256>, i8, i32, i32>(clusters), [4, 2, 8]),
    ];
    let steps = Steps::default();
    let turns = matmul_pingpong_ir::<Wgmma<bf16, 128>, bf16, f32, f32, bf16, 6, _>(
        &hopper(),
        clusters,
        steps,
        |x| x,
        false,
        false,
        false,
        false,
    );
    // i8 with scales of rows and columns and a bias, summed in i32, finished in f32.
    let w8a8 = matmul_cooperative_ir::<Wgmma<i8, 256>, i8, i32, f32, bf16, 4, _>(
        &hopper(),
        clusters,
        steps,
        |x| x,
        true,
        false,
        true,
        true,
        false,
        false,
    );
    let streamed = with::<Wgmma<bf16, 256>, bf16, f32, bf16>(clusters, true, false);
    let with_terms = with::<Wgmma<bf16, 128>, bf16, f32, bf16>(clusters, true, true);
    let others = [
        ("bf16 128 x 2 in turns", turns, [8, 2, 4]),
        ("w8a8 256 x 2", w8a8, [4, 2, 4]),
        ("bf16 256 x 2 streamed", streamed, [4, 2, 4]),
        ("bf16 128 x 2 streamed, with terms", with_terms, [4, 2, 2]),
    ];
    for (name, kernel, [products, boxes, panels]) in plans.into_iter().chain(others) {
        let kernel = kernel.unwrap();
        let found = resources(&kernel, None, &hopper()).unwrap();
        // Nothing that the assembler says costs speed: products that wait for one another, shares of
        // registers that it ignores.
        assert_eq!(found.note, None, "{name}");
        // 65536 among 384 threads, in steps of 8.
        let code = emit(&kernel, None, &hopper(), Stage::Sass).unwrap();
        assert_eq!((found.registers, found.spills), (Some(168), Some(0)), "{name}: {code}");
        let count = |opcode: &str| code.matches(opcode).count();
        let matrix = ["HGMMA.", "QGMMA.", "IGMMA."].map(count).into_iter().sum::<usize>();
        assert_eq!(matrix, products, "{name}: {code}");
        assert_eq!(count("UTMALDG."), boxes, "{name}: {code}");
        assert_eq!(count("UTMASTG."), panels, "{name}: {code}");
        assert_eq!(count("USETMAXREG"), 2, "{name}: {code}");
        // A step's products in the loops over k, and what is copied for one; panels of C are stored behind.
        let kind = ["HGMMA.", "QGMMA.", "IGMMA."].into_iter().find(|kind| code.contains(kind));
        let loops = innermost(&code, kind.unwrap());
        let counts: Vec<_> =
            loops.iter().map(|l| (l.count(kind.unwrap()), l.count("STSM"))).collect();
        assert_eq!(counts, [(products, 0)], "{name}: {code}");
        let copies = innermost(&code, "UTMALDG.");
        let counts: Vec<_> = copies.iter().map(|l| l.count("UTMALDG.")).collect();
        assert_eq!(counts, [boxes], "{name}: {code}");
    }
}

#[test]
fn gated_matmuls_are_what_was_planned() {
    let form = Form { a: AlongK, b: AlongK, cluster: 2, exchanged: false };
    let add = |gate: Val<f32>, up: Val<f32>| gate + up;
    let kernel = matmul_gated_ir::<Wgmma<bf16, 128>, bf16, bf16, 4, _>(&hopper(), form, add);
    let kernel = kernel.unwrap();
    let found = resources(&kernel, None, &hopper()).unwrap();
    assert_eq!(found.note, None);
    assert_eq!((found.registers, found.spills), (Some(168), Some(0)));
    let code = emit(&kernel, None, &hopper(), Stage::Sass).unwrap();
    let count = |opcode: &str| code.matches(opcode).count();
    assert_eq!((count("HGMMA."), count("UTMALDG."), count("UTMASTG.")), (8, 3, 2), "{code}");
}

#[test]
fn grouped_matmuls_are_what_was_planned() {
    let form = GroupedForm { b: AlongK, masked: false, map: false };
    let halves = matmul_grouped_ir::<Wgmma<bf16, 256>, bf16, bf16, 4, _>(
        &hopper(),
        form,
        |x| x,
        false,
        false,
    );
    // Sums of 8-bit floats are promoted, 64 multiply-adds a step.
    let masked = GroupedForm { masked: true, ..form };
    let bytes = matmul_grouped_ir::<Wgmma<e4m3, 128>, e4m3, bf16, 6, _>(
        &hopper(),
        masked,
        |x| x,
        true,
        true,
    );
    for (kernel, product, adds) in [(halves, "HGMMA.", 0), (bytes, "QGMMA.", 64)] {
        let kernel = kernel.unwrap();
        let found = resources(&kernel, None, &hopper()).unwrap();
        assert_eq!(found.note, None);
        assert_eq!((found.registers, found.spills), (Some(168), Some(0)));
        let code = emit(&kernel, None, &hopper(), Stage::Sass).unwrap();
        let count = |opcode: &str| code.matches(opcode).count();
        assert_eq!((count(product), count("UTMALDG."), count("FFMA ")), (4, 2, adds), "{code}");
    }
}

/// A step is four products, and 64 additions of the CUDA cores for each thread (in a loop of its own for
/// the multiply-adds of the epilogue); B is shared.
#[test]
fn scaled_matmuls_are_what_was_planned() {
    let wide = ScaledForm { cluster: 2, exchanged: false };
    let steps = Steps::default();
    let [sums, blocks] = [false, true].map(|blocks| {
        let kernel = matmul_scaled_ir::<Wgmma<e4m3, 128>, e4m3, bf16, 6, _>(
            &hopper(),
            wide,
            steps,
            |x| x,
            blocks,
            blocks,
            false,
            !blocks,
            !blocks,
        );
        (kernel, 64, blocks)
    });
    // 64 rows of C: 32 sums a thread, of 16 columns.
    let few = matmul_scaled_ir::<Wgmma<e4m3, 64>, e4m3, f32, 8, _>(
        &hopper(),
        ScaledForm { cluster: 1, exchanged: true },
        steps,
        |x| x,
        true,
        true,
        false,
        false,
        false,
    );
    for (kernel, adds, blocks) in [sums, blocks, (few, 32, true)] {
        let kernel = kernel.unwrap();
        let found = resources(&kernel, None, &hopper()).unwrap();
        assert_eq!(found.note, None);
        assert_eq!((found.registers, found.spills), (Some(168), Some(0)));
        let code = emit(&kernel, None, &hopper(), Stage::Sass).unwrap();
        let count = |opcode: &str| code.matches(opcode).count();
        assert_eq!(count("QGMMA."), 4, "{code}");
        assert_eq!(count("UTMALDG."), 2, "{code}");
        let found = if blocks { count("FFMA ") } else { count("FADD ") };
        assert_eq!(found, adds, "{code}");
    }
}

/// A kernel of attention as the library would choose it.
fn attention<T: Stored + AttentionElement, const D: usize, const DV: usize, const BN: usize>(
    form: AttentionForm,
    plan: Plan,
) -> Result<Kernel, StagingError>
where
    Wgmma<T, BN>: WgmmaAtom<Input = T, Sum = f32>,
    Wgmma<T, DV>: WgmmaAtom<Input = T, Sum = f32>,
{
    let (ragged, parts, bytes) = (plan.ragged, plan.pack > 1, size_of::<T>() == 1);
    let paged = plan.per_copy.is_some();
    attention_forward_ir::<T, bf16, D, DV, BN>(
        &hopper(),
        form,
        plan,
        ScoreFn::unchanged(),
        false,
        false,
        ragged,
        paged,
        false,
        bytes,
        bytes,
        bytes,
        parts,
        parts,
        true,
    )
}

/// Scores of a tile take `D / 16` products, its values `BN / 16`: before the loops, in each loop, and behind
/// them. Exponentials are one for each score and two for the rows' factors.
#[test]
fn attention_is_what_was_planned() {
    let plain = AttentionForm { causal: false, windowed: false, capped: false, scored: false };
    let causal = AttentionForm { causal: true, ..plain };
    let windowed = AttentionForm { windowed: true, ..causal };
    let plan = |columns| Plan {
        warpgroups: 2,
        pack: 1,
        columns,
        ragged: false,
        turns: columns <= 128,
        lazy: true,
        polynomials: if columns == 64 { 2 } else { 0 },
        per_copy: None,
    };
    let decode = Plan { warpgroups: 1, pack: 8, ragged: true, turns: false, ..plan(128) };
    // Without a diagonal only the first tile is masked, and a loop is empty.
    let values = plan(128);
    for (name, kernel, [d, keys, loops, warpgroups], registers) in [
        ("64", attention::<f16, 64, 64, 128>(causal, plan(64)), [64, 128, 2, 2], 168),
        ("96", attention::<bf16, 96, 96, 128>(plain, plan(96)), [96, 128, 1, 2], 168),
        ("128", attention::<bf16, 128, 128, 176>(plain, plan(128)), [128, 176, 1, 2], 168),
        ("128 window", attention::<f16, 128, 128, 128>(windowed, plan(128)), [128, 128, 3, 2], 168),
        ("128 decode", attention::<bf16, 128, 128, 128>(causal, decode), [128, 128, 2, 1], 254),
        ("192/128", attention::<bf16, 192, 128, 128>(causal, values), [192, 128, 2, 2], 168),
        ("192", attention::<bf16, 192, 192, 96>(causal, plan(192)), [192, 96, 2, 2], 168),
        ("256", attention::<bf16, 256, 256, 80>(plain, plan(256)), [256, 80, 1, 2], 168),
    ] {
        let kernel = kernel.unwrap();
        let found = resources(&kernel, None, &hopper()).unwrap();
        assert_eq!(found.note, None, "{name}");
        assert_eq!((found.registers, found.spills), (Some(registers), Some(0)), "{name}");
        let code = emit(&kernel, None, &hopper(), Stage::Sass).unwrap();
        let count = |name: &str| code.matches(name).count();
        let tiles = loops + 1;
        assert_eq!(count("HGMMA."), tiles * (d / 16 + keys / 16), "{name}");
        let exponentials = if d == 64 { keys / 2 / 8 * 6 } else { keys / 2 };
        // Where parts are put together there are more, in loops that may be unrolled.
        let (found, planned) = (count("MUFU.EX2"), tiles * (exponentials + 2));
        assert!(found == planned || (warpgroups == 1 && found > planned), "{name}: {found}");
        let panels = if d == 96 { 3 } else { d / 64 };
        let of_values = if name == "192/128" { 2 } else { panels };
        assert_eq!(count("UTMALDG."), (warpgroups + 1) * panels + of_values, "{name}");
        // Each loop over tiles has one's products and exponentials, and that of the copies keys and values.
        let bodies = innermost(&code, "HGMMA.");
        let counts = bodies.iter().map(|l| (l.count("HGMMA."), l.count("MUFU.EX2")));
        let planned = vec![(d / 16 + keys / 16, exponentials + 2); loops];
        assert_eq!(counts.collect::<Vec<_>>(), planned, "{name}");
        let copies = innermost(&code, "UTMALDG.");
        let counts = copies.iter().map(|l| l.count("UTMALDG."));
        assert_eq!(counts.collect::<Vec<_>>(), [panels + of_values], "{name}");
        let in_flight = in_flight(&code);
        assert_eq!(in_flight.left_factors, tiles * keys / 16, "{name}");
        assert_eq!(in_flight.overwritten, Vec::<[usize; 2]>::new(), "{name}: {code}");
    }
}

/// Pages of 16 keys: for each of them a copy of every panel, and all pages are asked for before the first copy.
#[test]
fn attention_to_pages_is_what_was_planned() {
    let form = AttentionForm { causal: true, windowed: false, capped: false, scored: false };
    for (warpgroups, pack, registers) in [(1, 8, 254), (2, 1, 168)] {
        let plan = Plan {
            warpgroups,
            pack,
            columns: 128,
            ragged: true,
            turns: warpgroups == 2,
            lazy: true,
            polynomials: 0,
            per_copy: Some(16),
        };
        let kernel = attention::<bf16, 128, 128, 128>(form, plan).unwrap();
        let found = resources(&kernel, None, &hopper()).unwrap();
        assert_eq!(found.note, None, "{warpgroups}");
        let code = emit(&kernel, None, &hopper(), Stage::Sass).unwrap();
        assert_eq!((found.registers, found.spills), (Some(registers), Some(0)), "{code}");
        let copies = innermost(&code, "UTMALDG.");
        let counts = copies.iter().map(|l| (l.count("UTMALDG."), l.count("LDG.")));
        assert_eq!(counts.collect::<Vec<_>>(), [(2 * 2 * 128 / 16, 128 / 16)], "{code}");
        assert!(copies[0].before("LDG.", "UTMALDG."), "{code}");
        for kernel in [
            attention::<bf16, 256, 256, 80>(form, Plan { columns: 256, turns: false, ..plan }),
            attention::<e4m3, 128, 128, 128>(form, plan),
        ] {
            let found = resources(&kernel.unwrap(), None, &hopper()).unwrap();
            assert_eq!((found.note, found.spills), (None, Some(0)), "{warpgroups}");
        }
    }
}

/// In each loop a warpgroup weighs a tile itself, with the products of queries and keys, 576 columns in steps of
/// 16, or the other has; its values take 64 keys in steps of 16. Exponentials are one for each score of the
/// former, and two for the rows' factors of each.
#[test]
fn attention_to_latents_is_what_was_planned() {
    let form = AttentionForm { causal: true, windowed: false, capped: false, scored: false };
    let plan = Plan {
        warpgroups: 1,
        pack: 64,
        columns: 512,
        ragged: true,
        turns: false,
        lazy: true,
        polynomials: 0,
        per_copy: None,
    };
    let pages = Plan { per_copy: Some(16), ..plan };
    for (name, kernel, parts, copies) in [
        ("bf16", latent::<bf16>(form, plan, true), true, 1),
        ("f16", latent::<f16>(form, plan, false), false, 1),
        ("bf16 in pages of 16", latent::<bf16>(form, pages, true), true, 4),
    ] {
        let kernel = kernel.unwrap();
        let found = resources(&kernel, None, &hopper()).unwrap();
        assert_eq!(found.note, None, "{name}");
        assert_eq!((found.registers, found.spills), (Some(168), Some(0)), "{name}");
        let code = emit(&kernel, None, &hopper(), Stage::Sass).unwrap();
        let count = |name: &str| code.matches(name).count();
        let loops = 2;
        assert_eq!(count("HGMMA."), loops * (576 / 16 + 64 / 16), "{name}");
        // Where parts are put together there are more, in loops that may be unrolled.
        let (found, planned) = (count("MUFU.EX2"), loops * (64 * 64 / 128 + 2 + 2));
        assert!(found == planned || (parts && found > planned), "{name}: {found}");
        assert_eq!(count("UTMALDG."), (1 + copies) * 576 / 64, "{name}");
        assert_eq!(count("STSM."), loops * 64 / 16, "{name}");
    }
}

fn latent<T: Float + AttentionElement>(
    form: AttentionForm,
    plan: Plan,
    parts: bool,
) -> Result<Kernel, StagingError>
where
    Wgmma<T, 64>: WgmmaAtom<Input = T, Sum = f32>,
    Wgmma<T, 256>: WgmmaAtom<Input = T, Sum = f32>,
{
    let (score, none) = (ScoreFn::unchanged(), false);
    attention_latent_ir::<T, T>(
        &hopper(),
        form,
        plan,
        score,
        none,
        none,
        true,
        true,
        none,
        parts,
        parts,
        true,
    )
}

/// A turn of the transposes takes 16 keys, all columns, of which an instruction has 32; each word is permuted
/// once.
#[test]
fn attention_of_8_bit_floats_is_what_was_planned() {
    let plain = AttentionForm { causal: false, windowed: false, capped: false, scored: false };
    let causal = AttentionForm { causal: true, ..plain };
    let plan = |columns| Plan {
        warpgroups: 2,
        pack: 1,
        columns,
        ragged: false,
        turns: columns <= 128,
        lazy: true,
        polynomials: if columns <= 128 { 2 } else { 0 },
        per_copy: None,
    };
    let mut spills = Vec::new();
    let values = Plan { polynomials: 0, ..plan(128) };
    for (name, kernel, [d, dv, keys, loops]) in [
        ("64", attention::<e4m3, 64, 64, 128>(causal, plan(64)), [64, 64, 128, 2]),
        ("128", attention::<e4m3, 128, 128, 128>(plain, plan(128)), [128, 128, 128, 1]),
        ("192/128", attention::<e4m3, 192, 128, 128>(causal, values), [192, 128, 128, 2]),
        ("192", attention::<e4m3, 192, 192, 96>(causal, plan(192)), [192, 192, 96, 2]),
        ("256", attention::<e4m3, 256, 256, 64>(causal, plan(256)), [256, 256, 64, 2]),
    ] {
        let kernel = kernel.unwrap();
        let found = resources(&kernel, None, &hopper()).unwrap();
        assert_eq!(found.note, None, "{name}");
        spills.push((found.registers, found.spills));
        let code = emit(&kernel, None, &hopper(), Stage::Sass).unwrap();
        let count = |name: &str| code.matches(name).count();
        assert_eq!(count("QGMMA."), (loops + 1) * (d / 32 + keys / 32), "{name}");
        let (loads, stores) = (count("LDSM."), count("STSM."));
        assert_eq!((loads, stores), (dv / 32, dv / 32), "{name}: {code}");
        let exponentials = if d <= 128 { keys / 2 / 8 * 6 } else { keys / 2 };
        let bodies = innermost(&code, "QGMMA.");
        let counts = bodies.iter().map(|l| (l.count("QGMMA."), l.count("MUFU.EX2")));
        let planned = vec![((d + keys) / 32, exponentials + 2); loops];
        assert_eq!(counts.collect::<Vec<_>>(), planned, "{name}");
        let in_flight = in_flight(&code);
        assert_eq!(in_flight.left_factors, (loops + 1) * keys / 32, "{name}");
        assert_eq!(in_flight.overwritten, Vec::<[usize; 2]>::new(), "{name}: {code}");
        let transposes = innermost(&code, "STSM.");
        let counts =
            transposes.iter().map(|l| (l.count("LDSM."), l.count("STSM."), l.count("PRMT")));
        let planned = [(dv / 32, dv / 32, dv / 32 * 4)];
        assert_eq!(counts.collect::<Vec<_>>(), planned, "{name}: {code}");
    }
    assert_eq!(spills, [(Some(168), Some(0)); 5]);
}
