//! What cannot run says which argument breaks which rule.

use kernelsmith::Buffer;
use kernelsmith::prelude::View;
use kernelsmith_kernels::attention::{Attention, FlashAttention, flash_attention};

use crate::common::*;

#[test]
fn wrong_shapes_name_argument_value_and_rule() {
    let x = Buffer::<f32>::zeros(&device(), 48).unwrap();
    let mut out = Buffer::<f32>::zeros(&device(), 48).unwrap();
    for (d, shown) in [(0, "0"), (24, "24"), (50, "50"), (584, "584")] {
        let error = flash_attention(Attention::new(1, 1, d), &x, &x, &x, &mut out).unwrap_err();
        let rule = "but head dimensions are the multiples of 8 from 32 to 576";
        assert_eq!(error.to_string(), format!("`dimension` has the value {shown}, {rule}"));
    }
    let a = Attention::new(1, 1, 32);
    for (attention, told) in [
        (a.value_dimension(20), "`value_dimension` has the value 20, but head dimensions are"),
        (a.heads(4).kv_heads(3), "`kv_heads` has the value 3, but it must divide heads = 4"),
        (a.window(3), "`window` has the value 3, but only causal attention has a window"),
        (a.causal().window(0), "`window` has the value 0"),
        (a.soft_cap(-1.0), "`soft_cap` has the value -1, but it must be positive and finite"),
        (
            a.batch(2),
            "`q` has 48 elements, but it must have batch * heads * queries * dimension = 64",
        ),
    ] {
        let error = flash_attention(attention, &x, &x, &x, &mut out).unwrap_err().to_string();
        assert!(error.starts_with(told), "{error}");
    }
    let a = Attention::new(1, 1, 40).value_dimension(48);
    let x = Buffer::<f32>::zeros(&device(), 40).unwrap();
    let error = flash_attention(a, &x, &x, &x, &mut out).unwrap_err().to_string();
    assert_eq!(
        error,
        "`v` has 40 elements, but it must have batch * kv_heads * keys * value_dimension = 48"
    );
    let error = FlashAttention::new(a).run_latent(&x, &x, &mut out).unwrap_err().to_string();
    assert_eq!(
        error,
        "`value_dimension` has the value 48, but values are the first columns of the keys, of \
         dimension = 40"
    );
    let x = Buffer::<f32>::zeros(&device(), 64).unwrap();
    let (mut out, mut lse) = (poisoned(64), poisoned(3));
    let attention = FlashAttention::new(Attention::new(1, 1, 32).heads(2)).lse(&mut lse);
    let error = attention.run(&x, &x, &x, &mut out).unwrap_err().to_string();
    assert_eq!(error, "`lse` has 3 elements, but it must have batch * heads * queries = 2");
    let sinks = poisoned(3);
    let attention = FlashAttention::new(Attention::new(1, 1, 32).heads(2)).sinks(&sinks);
    let error = attention.run(&x, &x, &x, &mut out).unwrap_err().to_string();
    assert_eq!(error, "`sinks` has 3 elements, but it must have heads = 2");
}

#[test]
fn wrong_views_name_argument_value_and_rule() {
    let x = Buffer::<f32>::zeros(&device(), 4 * 64).unwrap();
    let mut out = poisoned(4 * 64);
    let a = Attention::new(2, 2, 32).heads(2).batch(2);
    let view = View::of(&x, [2, 2, 2, 32]);
    let wrong = View::of(&x, [2, 2, 32, 2]);
    let error = FlashAttention::new(a).run(&x, wrong, view, &mut out).unwrap_err().to_string();
    assert_eq!(
        error,
        "`k` has shape [2, 2, 32, 2], but it must be a buffer or a view of \
         batch x kv_heads x keys x dimension = [2, 2, 2, 32]"
    );
    let error = view.permuted([0, 2, 2, 3]).err().unwrap().to_string();
    assert!(error.contains("`axes`") && error.contains("0 to 3 in some order"), "{error}");
    let (three, two) = (buffer(&[0u32, 2, 4]), buffer(&[0u32, 4]));
    let tokens = View::of(&x, [4, 2, 32]);
    let run = |queries: &Buffer<u32>, keys: &Buffer<u32>, k, out: &mut Buffer<f32>| {
        let attention = FlashAttention::new(a).packed(queries, keys);
        attention.run(tokens, k, tokens, out).map_err(|error| error.to_string())
    };
    let error = run(&two, &three, tokens, &mut out).unwrap_err();
    assert_eq!(error, "`query_ends` has 2 elements, but it must have batch + 1 = 3");
    let error = run(&three, &two, tokens, &mut out).unwrap_err();
    assert_eq!(error, "`key_ends` has 2 elements, but it must have batch + 1 = 3");
    let error = run(&three, &three, View::of(&x, [2, 4, 32]), &mut out).unwrap_err();
    assert_eq!(
        error,
        "`k` has shape [2, 4, 32], but it must be a buffer or a view of \
         tokens x kv_heads x dimension, [.., 2, 32]"
    );
    let error = run(&three, &three, View::of(&x, [3, 2, 32]), &mut out).unwrap_err();
    assert!(error.starts_with("`v` has"), "{error}");
    let mut short = poisoned(3 * 64);
    let error = run(&three, &three, tokens, &mut short).unwrap_err();
    assert!(error.starts_with("`out` has 3 tokens"), "{error}");

    let run = |table: &Buffer<u32>, lengths: &Buffer<u32>, k: View4<'_>, out: &mut Buffer<f32>| {
        let attention = FlashAttention::new(a).paged(table, lengths);
        attention.run(&x, k, k, out).map_err(|error| error.to_string())
    };
    let pages = View::of(&x, [4, 1, 2, 32]);
    let error = run(&three, &two, pages, &mut out).unwrap_err();
    assert_eq!(
        error,
        "`table` has 3 elements, but it must have as many for each sequence of batch = 2"
    );
    let error = run(&two, &three, pages, &mut out).unwrap_err();
    assert_eq!(error, "`lengths` has 3 elements, but it must have batch = 2");
    let error = run(&two, &two, pages, &mut out).unwrap_err();
    assert_eq!(
        error,
        "`table` has 1 pages of 1 keys for each sequence, but it must have room for keys = 2"
    );
    let error = run(&two, &two, View::of(&x, [4, 2, 1, 32]), &mut out).unwrap_err();
    assert!(error.contains("pages x page x kv_heads x dimension, [.., .., 2, 32]"), "{error}");
}

type View4<'a> = kernelsmith::launch::ViewArg<'a, f32, 4>;
