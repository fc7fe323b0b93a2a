//! The kernels of Hopper, which the interpreter runs on small shapes, here on a GPU and on larger ones.

use checks::{Exact, How, Shared, Weights};
use kernelsmith::Target;
use kernelsmith::lang::wgmma::Tf32;
use kernelsmith::prelude::*;
use kernelsmith_kernels::attention::Attention;
use kernelsmith_kernels::matmul::Summed;
use kernelsmith_kernels::matmul::hopper::Order::{AcrossK, AlongK};
use kernelsmith_kernels::quant::Format;

use crate::cases::{Case, case};

#[path = "../../../../kernels/tests/hopper/checks.rs"]
mod checks;

#[path = "../../../../kernels/tests/hopper/attention.rs"]
mod attention;

#[path = "../../../../kernels/tests/hopper/gradients.rs"]
mod gradients;

use attention::Sequences;

/// None on other GPUs.
pub(crate) fn all(device: &Device) -> Vec<Case> {
    let mut cases = Vec::new();
    if *device.target() != Target::sm(90, true) {
        return cases;
    }
    small(&mut cases);
    products(&mut cases);
    quantised(&mut cases);
    for shape @ [batch, m, n, k] in [
        [1, 256, 256, 256],
        [3, 200, 136, 72],
        [2, 1000, 504, 520],
        [1, 8, 4096, 4096],
        [1, 40, 1000, 2048],
        [1, 4096, 8, 2048],
    ] {
        let text = format!("{batch}x{m}x{n}x{k}");
        cases.push(case("matmul epilogue", &text, move |device| checks::library(device, shape)));
    }
    let shapes = [[40, 200, 304], [136, 136, 272], [1000, 1000, 1008], [300, 512, 2048]];
    // Few rows, as in decoding.
    for shape @ [m, n, k] in
        shapes.into_iter().chain([[1, 4096, 4096], [16, 1000, 4096], [64, 4096, 1024]])
    {
        for shared in [Shared::Tensors, Shared::Rows, Shared::Blocks] {
            let text = format!("{m}x{n}x{k} {shared:?}");
            cases.push(case("matmul e4m3", &text, move |device| {
                checks::scaled::<e4m3>(device, shape, shared, false)
            }));
            cases.push(case("matmul i8 with scales", &text, move |device| {
                checks::scaled::<i8>(device, shape, shared, false)
            }));
        }
        let text = format!("{m}x{n}x{k}");
        cases.push(case("matmul with scales", &text, move |device| {
            checks::row_scales(device, shape)
        }));
    }
    for (sizes, most) in [
        (&[5usize, 0, 140, 64][..], None),
        (&[70, 0, 9], Some(72)),
        (&[1000, 3, 0, 128, 777], None),
        (&[1000, 3, 0, 128, 777], Some(1024)),
    ] {
        for order in [AlongK, AcrossK] {
            let text = format!("{sizes:?} of {most:?} {order:?}");
            cases.push(case("matmul groups", &text, move |device| {
                checks::grouped(device, sizes, [520, 264], (most, order))
            }));
        }
        let text = format!("{sizes:?} of {most:?} with scales");
        cases.push(case("matmul groups", &text, move |device| {
            checks::grouped_scaled::<e4m3>(device, sizes, [520, 1040], most)
        }));
    }
    for shape @ [m, n, k] in [[40, 136, 72], [200, 72, 136], [1000, 1000, 1000]] {
        let text = format!("{m}x{n}x{k}");
        cases.push(case("matmul gated", &text, move |device| checks::gated(device, shape)));
    }
    for shape @ [m, n, k] in [[40, 72, 80], [1000, 1000, 1008], [16, 4096, 2048]] {
        let text = format!("{m}x{n}x{k}");
        cases.push(case("matmul tf32, i8", &text, move |device| checks::types(device, shape)));
    }
    attentions(&mut cases);
    all_gradients(&mut cases);
    cases
}

/// One of each kernel that is quick even where every access is watched: what `run.sh` does with
/// compute-sanitizer.
fn small(cases: &mut Vec<Case>) {
    let mut add = |what: &'static str, run: fn(&Device) -> crate::Outcome| {
        cases.push(case(what, "small", run));
    };
    add("matmul epilogue", |device| checks::library(device, [2, 72, 136, 72]));
    add("matmul epilogue, few rows", |device| checks::library(device, [1, 8, 136, 2048]));
    add("matmul e4m3", |device| {
        checks::scaled::<e4m3>(device, [136, 136, 272], Shared::Blocks, false)
    });
    add("matmul gated", |device| checks::gated(device, [200, 72, 136]));
    add("matmul tf32, i8", |device| checks::types(device, [40, 72, 80]));
    add("matmul groups", |device| {
        checks::grouped(device, &[5, 0, 140, 64], [136, 72], (None, AlongK))
    });
    add("matmul groups e4m3", |device| {
        checks::grouped_scaled::<e4m3>(device, &[5, 0, 140, 64], [136, 272], None)
    });
    add("matmul clusters", |device| {
        let how = How { cluster: 2, ..How::plain([AlongK, AlongK], 4) };
        checks::matmul::<Wgmma<bf16, 128>, bf16, f32, bf16, 6>(device, [300, 264, 136], how)
    });
    add("matmul in turns", |device| {
        let how = How { pingpong: true, ..How::plain([AlongK, AcrossK], 2) };
        checks::matmul::<Wgmma<bf16, 128>, bf16, f32, bf16, 6>(device, [136, 264, 328], how)
    });
    add("matmul in parts", |device| {
        let how = How { parts: 3, ..How::plain([AlongK, AlongK], 4) };
        checks::matmul::<Wgmma<bf16, 64>, bf16, f32, f32, 8>(device, [72, 72, 200], how)
    });
    add("quantised 4 bits", |device| {
        checks::quantised::<bf16>(device, [20, 136, 384], Weights::Int4(128))
    });
    add("quantised 8 bits", |device| {
        checks::quantised::<f16>(device, [1, 136, 160], Weights::Gguf(Format::Q8_0))
    });
    add("attention", |device| {
        attention::check(device, attention::Case::new(200, 300, 64).causal())
    });
}

/// Weights of 4 and 8 bits in every group, times few rows and many.
fn quantised(cases: &mut Vec<Case>) {
    for shape @ [m, n, k] in
        [[1, 4096, 4096], [16, 1000, 2048], [30, 520, 512], [60, 264, 1024], [1000, 1000, 512]]
    {
        for weights in [
            Weights::Int4(128),
            Weights::Int4(64),
            Weights::Int4(32),
            Weights::Gguf(Format::Q4_0),
            Weights::Gguf(Format::Q8_0),
            Weights::Int8(k),
        ] {
            let text = format!("{m}x{n}x{k} {weights:?}");
            cases.push(case("quantised bf16", &text, move |device| {
                checks::quantised::<bf16>(device, shape, weights)
            }));
            cases.push(case("quantised f16", &text, move |device| {
                checks::quantised::<f16>(device, shape, weights)
            }));
        }
    }
}

/// The matmul in all its forms.
fn products(cases: &mut Vec<Case>) {
    for shape in [[128, 128, 64], [200, 264, 200], [1000, 1000, 1000], [512, 4096, 512]] {
        for (name, orders) in [
            ("nt", [AlongK, AlongK]),
            ("nn", [AlongK, AcrossK]),
            ("tt", [AcrossK, AlongK]),
            ("tn", [AcrossK, AcrossK]),
        ] {
            let plain = How::plain(orders, 132);
            let clusters = How { cluster: 2, ..plain };
            let parts = How { parts: 3, ..plain };
            of::<Wgmma<bf16, 128>, bf16, f32, bf16, 6>(cases, name, shape, plain);
            of::<Wgmma<bf16, 256>, bf16, f32, bf16, 4>(cases, name, shape, plain);
            of::<Wgmma<bf16, 128>, bf16, f32, bf16, 6>(cases, name, shape, clusters);
            of::<Wgmma<bf16, 256>, bf16, f32, f32, 4>(cases, name, shape, clusters);
            of::<Wgmma<bf16, 192>, bf16, f32, bf16, 5>(cases, name, shape, plain);
            for how in [plain, clusters] {
                let streamed = How { streamed: true, ..how };
                of::<Wgmma<bf16, 256>, bf16, f32, bf16, 4>(cases, name, shape, streamed);
            }
            of::<Wgmma<f16, 64>, f16, f32, f32, 8>(cases, name, shape, parts);
            for how in [plain, clusters] {
                let turns = How { pingpong: true, ..how };
                of::<Wgmma<bf16, 128>, bf16, f32, bf16, 6>(cases, name, shape, turns);
            }
            let exchanged = How { exchanged: true, ..plain };
            of::<Wgmma<bf16, 64>, bf16, f32, bf16, 8>(cases, name, shape, exchanged);
        }
        let plain = How::plain([AlongK, AlongK], 132);
        let exchanged = How { exchanged: true, parts: 2, ..plain };
        of::<Wgmma<bf16, 16>, bf16, f32, f32, 12>(cases, "nt", shape, exchanged);
        of::<Wgmma<bf16, 32>, bf16, f32, f32, 10>(cases, "nt", shape, exchanged);
        let clusters = How { cluster: 2, ..plain };
        of::<Wgmma<bf16, 192>, bf16, f32, bf16, 5>(cases, "nt", shape, clusters);
    }
    for shape in [[128, 128, 128], [200, 264, 208], [1000, 1000, 1008]] {
        let plain = How::plain([AlongK, AlongK], 132);
        for how in [plain, How { cluster: 2, ..plain }] {
            of::<Wgmma<Tf32, 256>, f32, f32, f32, 4>(cases, "tf32", shape, how);
            of::<Wgmma<e4m3, 256>, e4m3, f32, bf16, 4>(cases, "e4m3", shape, how);
            of::<Wgmma<e5m2, 128>, e5m2, f32, f32, 6>(cases, "e5m2", shape, how);
            of::<Wgmma<i8, 256>, i8, i32, i32, 4>(cases, "i8", shape, how);
            of::<Wgmma<u8, 128>, u8, i32, i32, 6>(cases, "u8", shape, how);
        }
    }
}

fn of<W, T, S, O, const STAGES: usize>(
    cases: &mut Vec<Case>,
    name: &str,
    shape @ [m, n, k]: [usize; 3],
    how: How,
) where
    W: WgmmaAtom<Input = T, Sum = S>,
    T: Exact,
    S: Num + Summed,
    O: Exact + Num,
{
    let mut text = format!("{m}x{n}x{k} {name} {}", W::N);
    for (set, what) in [
        (how.cluster > 1, " cluster"),
        (how.parts > 1, " parts"),
        (how.exchanged, " exchanged"),
        (how.pingpong, " in turns"),
        (how.streamed, " streamed"),
    ] {
        if set {
            text.push_str(what);
        }
    }
    cases.push(case("wgmma", text, move |device| {
        checks::matmul::<W, T, S, O, STAGES>(device, shape, how)
    }));
}
/// Attention of every dimension, with each of its options and with several.
fn attentions(cases: &mut Vec<Case>) {
    let mut add = |what: &str, of: attention::Case| {
        let attention::Case { batch, heads, group, m, n, d, dv, causal, .. } = of;
        let text = format!(
            "{what} {batch}x{heads}/{group} {m}x{n}x{d}/{dv}{}",
            if causal { " causal" } else { "" }
        );
        cases.push(case("attention", &text, move |device| attention::check(device, of)));
    };
    for (d, dv) in
        [(40, 40), (64, 64), (80, 80), (96, 96), (128, 128), (192, 128), (192, 192), (256, 256)]
    {
        for [batch, heads, group, m, n] in
            [[1, 1, 1, 128, 128], [2, 4, 2, 200, 300], [1, 8, 8, 1000, 1000], [1, 2, 1, 136, 40]]
        {
            let of = attention::Case { batch, heads, group, dv, ..attention::Case::new(m, n, d) };
            add("plain", of);
            add("plain", of.causal());
            add("window", attention::Case { window: Some(150), ..of.causal() });
            add("sinks", attention::Case { sinks: true, ..of });
            add("cap", attention::Case { cap: Some(2.0), ..of.causal() });
            add("scored", attention::Case { scored: true, cap: Some(3.0), ..of.causal() });
        }
        let of = attention::Case {
            batch: 3,
            heads: 4,
            group: 2,
            dv,
            ..attention::Case::new(300, 700, d)
        };
        for sequences in [Sequences::Padded, Sequences::Packed, Sequences::Paged(768)] {
            add("sequences", attention::Case { sequences, ..of });
            add("sequences", attention::Case { sequences, sinks: true, ..of.causal() });
        }
        for page in [16, 48, 64] {
            let sequences = Sequences::Paged(page);
            add("small pages", attention::Case { sequences, ..of.causal() });
        }
        let few = attention::Case {
            batch: 2,
            heads: 16,
            group: 8,
            dv,
            ..attention::Case::new(1, 5000, d)
        };
        add("decode", few);
        add("decode in pages", attention::Case { sequences: Sequences::Paged(16), ..few });
        add("decode", attention::Case { sinks: true, m: 3, heads: 6, group: 3, ..few.causal() });
        add("decode", attention::Case { sequences: Sequences::Padded, ..few });
    }
    for (m, n, heads) in [(1, 40, 64), (1, 5000, 128), (2, 1000, 16), (4, 3000, 96), (130, 700, 6)]
    {
        let of = attention::Case { batch: 2, ..attention::Case::latent(m, n, heads) };
        add("latents", of);
        add("latents", of.causal());
        add("latents", attention::Case { window: Some(150), sinks: true, ..of.causal() });
        add("latents", attention::Case { scored: true, cap: Some(3.0), ..of.causal() });
        for sequences in
            [Sequences::Padded, Sequences::Packed, Sequences::Paged(64), Sequences::Paged(16)]
        {
            add("latents", attention::Case { sequences, ..of.causal() });
        }
    }
    cases.push(case("attention", "kept workspace", attention::kept_workspace));
    other_attentions(cases);
}

/// Attention of other elements than bf16, and to f32.
fn other_attentions(cases: &mut Vec<Case>) {
    type Check = fn(&Device, attention::Case) -> checks::Checked;
    let all: [(&str, Check, bool); 6] = [
        ("f16", attention::check_of::<f16, f16>, false),
        ("f16 to f32", attention::check_of::<f16, f32>, false),
        ("bf16 to f32", attention::check_of::<bf16, f32>, false),
        ("e4m3 to bf16", attention::check_of::<e4m3, bf16>, true),
        ("e4m3 to f16", attention::check_of::<e4m3, f16>, true),
        ("e4m3 to f32", attention::check_of::<e4m3, f32>, true),
    ];
    for (name, check, bytes) in all {
        let mut add = |what: &str, of: attention::Case| {
            let text = format!("{name} {what} {}x{}x{}/{}", of.m, of.n, of.d, of.dv);
            cases.push(case("attention", &text, move |device| check(device, of)));
        };
        for d in [64, 96, 128, 192, 256] {
            let plain = attention::Case::new(300, 700, d);
            let many = attention::Case { batch: 3, heads: 4, group: 2, factors: bytes, ..plain };
            add("plain", plain);
            add("causal", attention::Case { factors: false, ..many.causal() });
            let window = attention::Case { factors: false, window: Some(150), ..many };
            add("window", window.causal());
            for sequences in [Sequences::Padded, Sequences::Packed, Sequences::Paged(768)] {
                // Outputs of 16 bits times factors would have other bounds.
                let factors = bytes && name.ends_with("f32");
                add("sequences", attention::Case { sequences, factors, ..many.causal() });
            }
            let few = attention::Case { heads: 16, group: 8, ..attention::Case::new(1, 5000, d) };
            add("decode", few);
        }
        for (d, dv) in [(192, 128), (80, 48), (64, 192), (128, 256)] {
            let other = attention::Case {
                dv,
                batch: 2,
                heads: 4,
                group: 2,
                ..attention::Case::new(300, 700, d)
            };
            add("other values", other);
            add("other values", other.causal());
            add("other values", attention::Case { sequences: Sequences::Packed, ..other.causal() });
            add("other values", attention::Case { m: 1, n: 5000, ..other });
        }
    }
}

/// Gradients of attention of every dimension, with each option, in a fixed order (three times, as long ones have
/// many blocks that wait for others) and in any.
fn all_gradients(cases: &mut Vec<Case>) {
    let mut add = |what: &str, a: Attention| {
        let Attention { batch, heads, kv_heads, queries, keys, dimension, .. } = a;
        for deterministic in [true, false] {
            let order = if deterministic { "" } else { " in any order" };
            let text =
                format!("{what} {batch}x{heads}/{kv_heads} {queries}x{keys}x{dimension}{order}");
            cases.push(case("attention gradients", &text, move |device| {
                let wide = gradients::check::<bf16>(device, a, deterministic, 3)?;
                let narrow = gradients::check::<f16>(device, a, deterministic, 1)?;
                Ok((wide.0.max(narrow.0), wide.1))
            }));
        }
    };
    for d in [40, 64, 80, 96, 120, 128, 136, 192, 200, 256] {
        for [batch, heads, kv_heads, m, n] in
            [[1, 1, 1, 128, 128], [2, 4, 2, 200, 300], [1, 8, 1, 500, 500], [1, 2, 2, 136, 40]]
        {
            let a = Attention::new(m, n, d).batch(batch).heads(heads).kv_heads(kv_heads);
            add("plain", a);
            add("causal", a.causal());
            add("window", a.causal().window(150));
            add("cap", a.causal().soft_cap(2.0));
        }
        add("long", Attention::new(1500, 1600, d).heads(2).causal());
        add("fewer values", Attention::new(200, 300, d).value_dimension(d - 32).heads(2).causal());
        add("more values", Attention::new(200, 300, d - 8).value_dimension(d).heads(2));
    }
    for d in [64, 128] {
        let a = Attention::new(200, 300, d).batch(2).heads(4).kv_heads(2).causal();
        cases.push(case("attention gradients", format!("by sinks x{d}"), move |device| {
            gradients::check_sinks::<bf16>(device, a)
        }));
    }
}
