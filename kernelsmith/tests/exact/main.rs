//! A kernel means what the same Rust function means: each function here runs as plain Rust on the
//! host and as a kernel on the CPU, on the same random inputs, and must give the same bits.
#![allow(
    clippy::collapsible_if,
    clippy::double_ended_iterator_last,
    clippy::eq_op,
    clippy::let_and_return,
    clippy::let_unit_value,
    clippy::manual_clamp,
    clippy::manual_find,
    clippy::manual_is_multiple_of,
    clippy::manual_range_contains,
    clippy::manual_range_patterns,
    clippy::manual_swap,
    clippy::manual_unwrap_or,
    clippy::needless_range_loop,
    clippy::nonminimal_bool,
    clippy::obfuscated_if_else,
    clippy::partialeq_to_none,
    clippy::precedence,
    clippy::neg_cmp_op_on_partial_ord,
    clippy::unnecessary_lazy_evaluations,
    reason = "the functions try ways of writing, not only the best one"
)]

mod eighths;
mod enums;
mod everyday;
mod floats;
mod flow;
mod found;
mod functions;
mod idioms;
mod iteration;
mod matching;
mod numbers;
mod options;
mod structs;
mod variables;

use kernelsmith::prelude::*;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

#[kernel]
fn apply(f: impl Fn(u32, u32, u32) -> u32, a: &[u32], b: &[u32], c: &[u32], out: &mut [u32]) {
    let i = global_idx_x();
    if i < out.len() {
        out[i] = f(a[i], b[i], c[i]);
    }
}

/// Small numbers, where loops end soon and nothing overflows.
fn small() -> BoxedStrategy<u32> {
    (0..24u32).boxed()
}

/// Numbers of every size, and the corners of integers and floats.
fn wide() -> BoxedStrategy<u32> {
    let corners = [
        0,
        1,
        u32::MAX,
        i32::MIN as u32,
        i32::MAX as u32,
        f32::NAN.to_bits(),
        f32::INFINITY.to_bits(),
        f32::NEG_INFINITY.to_bits(),
        (-0.0f32).to_bits(),
        f32::MIN_POSITIVE.to_bits(),
    ];
    prop_oneof![
        4 => any::<u32>(),
        4 => (any::<u32>(), 0..32u32).prop_map(|(x, by)| x >> by),
        2 => any::<f32>().prop_map(f32::to_bits),
        2 => (-300.0..300.0f32).prop_map(f32::to_bits),
        1 => prop::sample::select(corners.to_vec()),
    ]
    .boxed()
}

/// Runs a function in both ways on batches of random inputs.
fn compare(
    staged: impl Fn(Val<u32>, Val<u32>, Val<u32>) -> Val<u32> + Copy + 'static,
    host: fn(u32, u32, u32) -> u32,
    input: BoxedStrategy<u32>,
) {
    let device = Device::cpu();
    let batches = prop::collection::vec([input.clone(), input.clone(), input], 1..400);
    let config = ProptestConfig { cases: 12, failure_persistence: None, ..Default::default() };
    let result = TestRunner::new(config).run(&batches, |batch| {
        let column = |i: usize| batch.iter().map(|row| row[i]).collect::<Vec<u32>>();
        let buffer = |i| Buffer::from_slice(&device, &column(i)).unwrap();
        let mut out = Buffer::<u32>::zeros(&device, batch.len()).unwrap();
        apply(staged, &buffer(0), &buffer(1), &buffer(2), &mut out)
            .threads(batch.len(), 96)
            .launch(&device)
            .unwrap();
        for ([a, b, c], found) in batch.into_iter().zip(out.to_vec().unwrap()) {
            prop_assert_eq!(found, host(a, b, c), "f({}, {}, {})", a, b, c);
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// Small inputs.
fn agree(
    staged: impl Fn(Val<u32>, Val<u32>, Val<u32>) -> Val<u32> + Copy + 'static,
    host: fn(u32, u32, u32) -> u32,
) {
    compare(staged, host, small());
}

/// Inputs of every size.
fn agree_wide(
    staged: impl Fn(Val<u32>, Val<u32>, Val<u32>) -> Val<u32> + Copy + 'static,
    host: fn(u32, u32, u32) -> u32,
) {
    compare(staged, host, wide());
}

/// Tests each function.
macro_rules! agreement {
    ($how:ident: $($name:ident),* $(,)?) => {
        mod $how {
            $(#[test]
            fn $name() {
                crate::$how(super::$name, super::$name::host);
            })*
        }
    };
}
pub(crate) use agreement;
