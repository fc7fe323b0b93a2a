//! Random shapes, options and values.

use kernelsmith::prelude::*;
use kernelsmith_kernels::attention::{Attention, HEAD_DIMENSIONS};
use proptest::prelude::*;

use crate::case::{Case, check};

/// Lengths around those of tiles and groups of rows, and others.
fn length() -> impl Strategy<Value = usize> {
    prop_oneof![0usize..40, 90usize..140, 250usize..270]
}

fn case() -> impl Strategy<Value = Case> {
    let heads = (1usize..3, 1usize..3, 1usize..4);
    let options = (0usize..16, 1usize..200, 0.5f32..20.0);
    (length(), length(), heads, options).prop_map(
        |(m, n, (batch, kv_heads, group), (options, window, cap))| {
            let mut a = Attention::new(m, n, 32).batch(batch).heads(kv_heads * group);
            a = a.kv_heads(kv_heads).scale(0.25);
            if options & 1 != 0 {
                a = a.causal();
            }
            if options & 3 == 3 {
                a = a.window(window);
            }
            if options & 4 != 0 {
                a = a.soft_cap(cap);
            }
            Case { a, biased: options & 8 != 0 }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn gradients_match(case in case(), seed in any::<u64>()) {
        check::<f32, f32>(&Device::cpu(), &case, seed).map_err(TestCaseError::fail)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn gradients_of_small_floats_match(case in case(), seed in any::<u64>()) {
        check::<bf16, bf16>(&Device::cpu(), &case, seed).map_err(TestCaseError::fail)?;
        check::<f16, f16>(&Device::cpu(), &case, seed).map_err(TestCaseError::fail)?;
        check::<bf16, f32>(&Device::cpu(), &case, seed).map_err(TestCaseError::fail)?;
    }
}

#[test]
fn dimensions_from_least_to_most_have_kernels() {
    let same = HEAD_DIMENSIONS.into_iter().filter(|&d| d <= 256).step_by(7).map(|d| (d, d));
    for (d, values) in same.chain([(192, 128), (40, 64)]) {
        for (m, n) in [(1, 1), (13, 200), (150, 70)] {
            let a = Attention::new(m, n, d).value_dimension(values);
            for a in [a, a.causal()] {
                check::<f32, f32>(&Device::cpu(), &Case { a, biased: false }, 5).unwrap();
            }
        }
    }
}

/// Two heads of 1000 keys are divided among blocks on a machine of any size but the smallest.
#[test]
fn long_sequences_are_divided_among_blocks() {
    for a in [
        Attention::new(40, 1000, 32).heads(4).kv_heads(2),
        Attention::new(700, 1000, 64).causal().window(300),
    ] {
        check::<f32, f32>(&Device::cpu(), &Case { a, biased: false }, 6).unwrap();
    }
}
