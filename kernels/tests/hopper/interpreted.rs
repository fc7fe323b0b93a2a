//! The numbers, by the interpreter: with schedules of its own, and every access checked. It would
//! find a race, a barrier that nobody comes to, sums that are read too early.

use kernelsmith::lang::wgmma::Tf32;
use kernelsmith::prelude::*;
use kernelsmith_kernels::attention::{Attention, AttentionElement};
use kernelsmith_kernels::matmul::hopper::Order::{AcrossK, AlongK};
use kernelsmith_kernels::matmul::{Output, Summed};
use kernelsmith_kernels::quant::{Format, QuantizedMatrix};

use crate::attention::{self, Case, Sequences};
use crate::checks::{self, Checked, Exact, How, Shared, Weights};
use crate::gradients;

#[track_caller]
fn holds(checked: Checked) {
    let (error, allowed) = checked.unwrap();
    assert!(error <= allowed, "{error} of {allowed}");
}

#[track_caller]
fn matmul<W, T, S, O>(shape: [usize; 3], how: How)
where
    W: WgmmaAtom<Input = T, Sum = S>,
    T: Exact,
    S: Num + Summed,
    O: Exact + Num,
{
    holds(checks::matmul::<W, T, S, O, 2>(&Device::interpreter(), shape, how));
}

#[track_caller]
fn of_bf16(shape: [usize; 3], how: How) {
    matmul::<Wgmma<bf16, 128>, bf16, f32, bf16>(shape, how);
}

#[test]
fn matmul_of_one_tile() {
    of_bf16([128, 128, 64], How::plain([AlongK, AlongK], 1));
}

#[test]
fn matmul_of_several_tiles_and_odd_ends() {
    of_bf16([200, 264, 200], How::plain([AlongK, AlongK], 2));
    matmul::<Wgmma<bf16, 256>, bf16, f32, bf16>([136, 264, 72], How::plain([AlongK, AcrossK], 2));
    matmul::<Wgmma<bf16, 192>, bf16, f32, bf16>([72, 200, 72], How::plain([AlongK, AcrossK], 1));
}

#[test]
fn matmul_in_the_other_orders() {
    of_bf16([136, 136, 104], How::plain([AlongK, AcrossK], 1));
    of_bf16([136, 136, 104], How::plain([AcrossK, AlongK], 3));
    of_bf16([72, 136, 72], How::plain([AcrossK, AcrossK], 1));
}

/// Two blocks that share B: rows of tiles even and odd, more clusters and fewer than there are tiles.
#[test]
fn matmul_in_clusters() {
    let clusters = |orders, blocks| How { cluster: 2, ..How::plain(orders, blocks) };
    of_bf16([256, 128, 200], clusters([AlongK, AlongK], 2));
    of_bf16([300, 264, 136], clusters([AlongK, AcrossK], 4));
    of_bf16([72, 136, 264], clusters([AcrossK, AlongK], 2));
}

/// C as the transpose of the sums, of all widths.
#[test]
fn matmul_exchanged() {
    let exchanged = How { exchanged: true, ..How::plain([AlongK, AlongK], 2) };
    matmul::<Wgmma<bf16, 16>, bf16, f32, bf16>([200, 8, 136], exchanged);
    matmul::<Wgmma<bf16, 32>, bf16, f32, f32>([136, 24, 72], exchanged);
    let across = How { orders: [AcrossK, AcrossK], ..exchanged };
    matmul::<Wgmma<f16, 64>, f16, f32, f16>([136, 56, 72], across);
}

/// Warpgroups that take turns: one, two and three tiles for a block, more stages than steps and fewer.
#[test]
fn matmul_in_turns() {
    let turns = |orders, blocks| How { pingpong: true, ..How::plain(orders, blocks) };
    of_bf16([136, 72, 72], turns([AlongK, AlongK], 1));
    of_bf16([136, 264, 328], turns([AlongK, AcrossK], 2));
    of_bf16([264, 128, 136], turns([AcrossK, AlongK], 1));
    let clusters = How { cluster: 2, ..turns([AlongK, AlongK], 2) };
    of_bf16([300, 136, 200], clusters);
}

/// Sums of parts of the depth, the last of which may be short or empty.
#[test]
fn matmul_in_parts() {
    let parts = |parts| How { parts, ..How::plain([AlongK, AlongK], 2) };
    matmul::<Wgmma<bf16, 128>, bf16, f32, f32>([72, 136, 328], parts(3));
    matmul::<Wgmma<bf16, 64>, bf16, f32, f32>([72, 72, 200], parts(3));
    let few = How { exchanged: true, ..parts(2) };
    matmul::<Wgmma<bf16, 16>, bf16, f32, f32>([136, 16, 200], few);
}

/// Steps of tiles shared out: a wave and a part of one, in pairs too; less than a wave, so that a tile is put
/// together of three parts; more blocks than steps; a whole wave behind; whole waves only.
#[test]
fn matmul_streamed() {
    let streamed = |blocks| How { streamed: true, ..How::plain([AlongK, AlongK], blocks) };
    of_bf16([136, 136, 328], streamed(3));
    of_bf16([72, 72, 520], streamed(3));
    of_bf16([72, 72, 72], streamed(6));
    of_bf16([136, 584, 136], streamed(4));
    of_bf16([136, 136, 72], streamed(2));
    of_bf16([264, 264, 200], How { cluster: 2, ..streamed(8) });
    let few = How { exchanged: true, ..streamed(5) };
    matmul::<Wgmma<bf16, 16>, bf16, f32, bf16>([136, 8, 328], few);
}

#[test]
fn matmul_of_other_types() {
    let plain = How::plain([AlongK, AlongK], 1);
    matmul::<Wgmma<Tf32, 64>, f32, f32, f32>([72, 72, 40], plain);
    matmul::<Wgmma<e4m3, 64>, e4m3, f32, bf16>([72, 72, 144], plain);
    matmul::<Wgmma<e5m2, 64>, e5m2, f32, f32>([72, 72, 144], plain);
    matmul::<Wgmma<i8, 64>, i8, i32, i32>([72, 72, 144], plain);
    let clusters = How { cluster: 2, blocks: 2, ..plain };
    matmul::<Wgmma<u8, 128>, u8, i32, i32>([200, 136, 144], clusters);
}

#[test]
fn matmul_of_8_bits_with_scales() {
    let (cpu, hopper) = (Device::cpu(), Device::interpreter());
    for shared in [Shared::Tensors, Shared::Rows, Shared::Blocks] {
        holds(checks::scaled::<e4m3>(&cpu, [40, 200, 300], shared, false));
        holds(checks::scaled::<e4m3>(&hopper, [136, 136, 272], shared, false));
        holds(checks::scaled::<i8>(&cpu, [40, 200, 300], shared, false));
    }
    holds(checks::scaled::<i8>(&hopper, [136, 72, 144], Shared::Rows, false));
    holds(checks::scaled::<e5m2>(&hopper, [72, 72, 144], Shared::Rows, true));
}

/// Few rows: those of C are the columns of the sums, and the depth is in parts.
#[test]
fn matmul_of_few_rows_with_scales() {
    let hopper = Device::interpreter();
    for shared in [Shared::Rows, Shared::Blocks] {
        holds(checks::scaled::<e4m3>(&hopper, [5, 200, 272], shared, false));
    }
    holds(checks::scaled::<e4m3>(&hopper, [40, 136, 1040], Shared::Blocks, false));
    holds(checks::scaled::<i8>(&hopper, [17, 136, 1040], Shared::Tensors, false));
}

#[test]
fn matmul_with_scales_of_rows_and_columns() {
    holds(checks::row_scales(&Device::cpu(), [40, 136, 72]));
    holds(checks::row_scales(&Device::interpreter(), [72, 136, 72]));
    holds(checks::row_scales(&Device::interpreter(), [8, 136, 600]));
}

/// Groups that are empty, end within a tile, have several tiles; all empty.
#[test]
fn matmul_of_groups() {
    for device in [Device::cpu(), Device::interpreter()] {
        holds(checks::grouped(&device, &[5, 0, 140, 64], [136, 72], (None, AlongK)));
        holds(checks::grouped(&device, &[70, 0, 9], [72, 136], (Some(72), AcrossK)));
        holds(checks::grouped(&device, &[0, 0], [8, 8], (None, AcrossK)));
        holds(checks::grouped_scaled::<e4m3>(&device, &[5, 0, 140, 64], [136, 272], None));
        holds(checks::grouped_scaled::<e5m2>(&device, &[70, 0, 9], [72, 144], Some(72)));
    }
}

#[test]
fn gated_pairs() {
    holds(checks::gated(&Device::cpu(), [40, 136, 72]));
    holds(checks::gated(&Device::interpreter(), [40, 136, 72]));
    holds(checks::gated(&Device::interpreter(), [200, 72, 136]));
}

#[test]
fn products_of_the_library_take_it() {
    holds(checks::library(&Device::interpreter(), [2, 72, 136, 72]));
    // Few rows, few columns, and a deep product.
    holds(checks::library(&Device::interpreter(), [1, 8, 136, 72]));
    holds(checks::library(&Device::interpreter(), [1, 136, 8, 600]));
    holds(checks::types(&Device::interpreter(), [40, 72, 80]));
}

#[track_caller]
fn attention_of<T, O>(case: Case)
where
    T: checks::Exact + AttentionElement,
    O: checks::Exact + Output<f32>,
{
    holds(attention::check_of::<T, O>(&Device::interpreter(), case));
}

#[test]
fn attention_of_f16_and_to_f32() {
    attention_of::<f16, f16>(Case::new(72, 136, 64).causal());
    attention_of::<f16, f32>(Case::new(40, 200, 128));
    attention_of::<bf16, f32>(Case { heads: 2, group: 2, ..Case::new(40, 136, 96).causal() });
    attention_of::<f16, f16>(Case { batch: 2, heads: 4, group: 4, ..Case::new(1, 700, 64) });
}

#[test]
fn attention_of_8_bit_floats() {
    attention_of::<e4m3, f32>(Case::new(128, 128, 64));
    attention_of::<e4m3, bf16>(Case::new(72, 200, 128).causal());
    attention_of::<e4m3, f16>(Case { sinks: true, ..Case::new(40, 300, 256).causal() });
    attention_of::<e4m3, f32>(Case {
        factors: true,
        batch: 2,
        heads: 4,
        group: 2,
        ..Case::new(40, 136, 96)
    });
}

/// Tiles of 192 columns, of values too, and of more than there are.
#[test]
fn attention_of_8_bit_floats_and_values_with_other_columns() {
    let case = Case { dv: 128, ..Case::new(72, 200, 192) };
    attention_of::<e4m3, f32>(case.causal());
    attention_of::<e4m3, bf16>(Case { dv: 192, ..Case::new(40, 136, 64) });
    attention_of::<e4m3, f16>(Case { dv: 48, heads: 2, group: 2, ..Case::new(40, 200, 80) });
    let many = Case { batch: 2, heads: 2, factors: true, ..case };
    attention_of::<e4m3, f32>(Case { sequences: Sequences::Paged(128), ..many.causal() });
    attention_of::<e4m3, f32>(Case { m: 1, n: 700, heads: 4, group: 4, ..many });
}

#[test]
fn attention_of_8_bit_floats_in_sequences() {
    let case = Case { batch: 3, heads: 2, factors: true, ..Case::new(70, 200, 64).causal() };
    for sequences in [Sequences::Padded, Sequences::Packed, Sequences::Paged(128)] {
        attention_of::<e4m3, f32>(Case { sequences, ..case });
        holds(attention::check_of::<e4m3, f32>(&Device::cpu(), Case { sequences, ..case }));
    }
    let few = Case { batch: 2, heads: 4, group: 4, factors: true, ..Case::new(1, 700, 64) };
    attention_of::<e4m3, f32>(few);
    holds(attention::check_of::<e4m3, f32>(&Device::cpu(), few));
}

#[track_caller]
fn attention(case: Case) {
    holds(attention::check(&Device::interpreter(), case));
}

#[test]
fn attention_to_all_keys() {
    attention(Case::new(128, 128, 64));
    attention(Case { heads: 2, group: 2, ..Case::new(200, 300, 64) });
    attention(Case::new(72, 200, 128));
}

#[test]
fn causal_attention() {
    attention(Case::new(200, 200, 64).causal());
    attention(Case::new(40, 168, 64).causal());
    attention(Case::new(136, 40, 64).causal());
    attention(Case::new(136, 300, 128).causal());
}

#[test]
fn attention_of_other_dimensions() {
    attention(Case::new(72, 136, 96));
    attention(Case::new(72, 136, 80).causal());
    attention(Case::new(40, 200, 192).causal());
    attention(Case::new(40, 88, 256));
}

#[test]
fn attention_of_values_with_other_columns() {
    attention(Case { dv: 128, ..Case::new(72, 136, 192).causal() });
    attention(Case { dv: 40, heads: 2, group: 2, ..Case::new(40, 200, 80) });
}

/// One tile, two and five; rows of 16 heads of several queries, of more heads than a block has rows, of a
/// number that is no power of two; splits.
#[test]
fn attention_to_latents() {
    attention(Case::latent(1, 40, 64));
    attention(Case::latent(3, 300, 16).causal());
    attention(Case { batch: 2, sinks: true, ..Case::latent(1, 128, 96) });
    attention(Case { window: Some(70), cap: Some(3.0), ..Case::latent(2, 200, 6).causal() });
    let case = Case { batch: 3, scored: true, ..Case::latent(2, 170, 8).causal() };
    for sequences in [Sequences::Padded, Sequences::Packed, Sequences::Paged(64)] {
        attention(Case { sequences, ..case });
    }
    attention(Case { dv: 512, ..Case::new(5, 20, 576) });
}

#[test]
fn attention_with_a_window() {
    attention(Case { window: Some(70), ..Case::new(200, 500, 64).causal() });
    attention(Case { window: Some(300), ..Case::new(64, 700, 64).causal() });
}

#[test]
fn attention_with_other_scores() {
    attention(Case { cap: Some(2.0), ..Case::new(72, 136, 64).causal() });
    let case = Case { heads: 2, scored: true, sinks: true, ..Case::new(72, 200, 64).causal() };
    attention(case);
    attention(Case { group: 2, batch: 2, cap: Some(3.0), ..case });
}

#[test]
fn attention_of_sequences_of_different_lengths() {
    let case = Case { batch: 3, heads: 2, ..Case::new(100, 200, 64).causal() };
    for sequences in [Sequences::Padded, Sequences::Packed, Sequences::Paged(128)] {
        attention(Case { sequences, ..case });
    }
}

/// Pages smaller than a tile, and such that are no part of one: of halves, of bytes, of latents. Sequences end
/// within a page, and one of them after a single key of one.
#[test]
fn attention_to_small_pages() {
    let case = Case { batch: 3, heads: 2, ..Case::new(40, 200, 64).causal() };
    for page in [16, 24, 64] {
        attention(Case { sequences: Sequences::Paged(page), ..case });
    }
    attention(Case { sequences: Sequences::Paged(32), ..Case { d: 96, dv: 96, n: 75, ..case } });
    let few = Case { batch: 2, heads: 8, group: 4, ..Case::new(1, 900, 128) };
    attention(Case { sequences: Sequences::Paged(16), ..few });
    let bytes = Case { sequences: Sequences::Paged(48), factors: true, ..case };
    attention_of::<e4m3, bf16>(bytes);
    let latents = Case { batch: 3, ..Case::latent(2, 170, 8).causal() };
    attention(Case { sequences: Sequences::Paged(16), ..latents });
}

#[test]
fn attention_of_few_queries() {
    let case = Case { batch: 2, heads: 8, group: 4, ..Case::new(1, 900, 64) };
    attention(Case { sinks: true, ..case });
    attention(Case { heads: 6, group: 3, m: 3, ..case.causal() });
    attention(Case { sequences: Sequences::Paged(256), ..case });
    holds(attention::kept_workspace(&Device::interpreter()));
    holds(attention::kept_workspace(&Device::cpu()));
}

/// Rows and columns beyond the last, depths that are no whole pieces, every width of a tile and number of
/// scales in a piece.
#[test]
fn quantised_weights_by_tensor_cores() {
    let device = Device::interpreter();
    holds(checks::quantised::<bf16>(&device, [1, 136, 384], Weights::Int4(128)));
    holds(checks::quantised::<f16>(&device, [20, 72, 192], Weights::Int4(64)));
    holds(checks::quantised::<bf16>(&device, [40, 40, 160], Weights::Gguf(Format::Q4_0)));
    holds(checks::quantised::<bf16>(&device, [70, 8, 96], Weights::Gguf(Format::Q8_0)));
    holds(checks::quantised::<f16>(&device, [130, 8, 64], Weights::Int8(64)));
    holds(checks::quantised::<f32>(&device, [3, 130, 256], Weights::Int8(256)));
}

/// The file's bytes come back from pieces, too.
#[test]
fn pieces_are_unpacked() {
    let weights: Vec<f32> = (0..40 * 160).map(|i| (i * 29 % 97) as f32 / 48.0 - 1.0).collect();
    for format in [Format::Q4_0, Format::Q8_0] {
        let bytes = format.quantize(&weights);
        let load = |device| QuantizedMatrix::from_gguf(device, format, [40, 160], &bytes).unwrap();
        let (pieces, panels) = (load(&Device::interpreter()), load(&Device::cpu()));
        assert_eq!(pieces.to_gguf().unwrap(), Some((format, bytes.clone())));
        assert_eq!(pieces.dequantize().unwrap(), panels.dequantize().unwrap());
    }
}

#[track_caller]
fn gradients<T: Float + Exact>(a: Attention, deterministic: bool, times: usize) {
    holds(gradients::check::<T>(&Device::interpreter(), a, deterministic, times));
}

/// Several tiles with odd ends, in whichever order.
#[test]
fn gradients_of_attention() {
    gradients::<f16>(Attention::new(72, 136, 40).batch(2), false, 1);
}

/// More tiles than one, with an odd end, of several heads and sequences.
#[test]
fn gradients_of_attention_by_sinks() {
    let a = Attention::new(72, 40, 64).batch(2).heads(2).kv_heads(1).causal();
    holds(gradients::check_sinks::<bf16>(&Device::interpreter(), a));
    holds(gradients::check_sinks::<f16>(&Device::cpu(), a));
}

/// More queries than keys and fewer; blocks that wait for others have the same bits every time.
#[test]
fn gradients_of_causal_attention() {
    gradients::<bf16>(Attention::new(72, 264, 64).causal(), true, 2);
    gradients::<bf16>(Attention::new(72, 40, 64).causal(), true, 1);
}

#[test]
fn gradients_of_wider_heads() {
    gradients::<f16>(Attention::new(72, 40, 72), false, 1);
    gradients::<bf16>(Attention::new(72, 136, 128).causal(), true, 1);
}

/// Warpgroups that share keys and have half of the columns each, handed over at once or in two parts.
#[test]
fn gradients_of_the_widest_heads() {
    gradients::<f16>(Attention::new(72, 40, 136), false, 1);
    gradients::<bf16>(Attention::new(136, 72, 200).causal(), true, 2);
    let grouped = Attention::new(72, 136, 192).heads(2).kv_heads(1);
    gradients::<bf16>(grouped.causal().window(70), true, 1);
    gradients::<f16>(Attention::new(72, 40, 256).soft_cap(1.5).causal(), false, 1);
}

/// Four blocks one behind the other, each of which waits for those before it, at every tile of both heads.
#[test]
fn gradients_of_wide_heads_in_a_fixed_order() {
    gradients::<bf16>(Attention::new(136, 200, 160).heads(2).kv_heads(1).causal(), true, 1);
}

/// The fewer columns are filled up with zeros, and nothing is stored there.
#[test]
fn gradients_of_values_with_other_columns() {
    gradients::<bf16>(Attention::new(72, 40, 192).value_dimension(128).causal(), true, 1);
    gradients::<f16>(Attention::new(40, 72, 40).value_dimension(88), false, 1);
}

#[test]
fn gradients_of_groups_windows_and_caps() {
    gradients::<bf16>(Attention::new(64, 136, 64).heads(2).kv_heads(1).causal(), true, 1);
    gradients::<bf16>(Attention::new(72, 136, 64).causal().window(70), true, 1);
    gradients::<f16>(Attention::new(64, 40, 64).soft_cap(1.5).causal(), false, 1);
    gradients::<bf16>(Attention::new(64, 40, 128).soft_cap(1.5), false, 1);
}
