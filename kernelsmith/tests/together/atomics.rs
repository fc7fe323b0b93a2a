//! Atomics: all operations, orderings and scopes, against the host's.

use kernelsmith::prelude::*;
use proptest::prelude::*;

use crate::harness::{TARGETS, one_block};

/// Every operation on one element of `out`, by all threads; the operations commute.
#[kernel]
fn integers(x: &[u32], out: &mut [u32]) {
    let (i, v) = (thread_rank(), x[thread_rank()]);
    out.atomic(0).fetch_add(v, Ordering::Relaxed, Scope::Device);
    out.atomic(1).fetch_sub(v, Ordering::Acquire, Scope::Block);
    out.atomic(2).fetch_min(v, Ordering::Release, Scope::System);
    out.atomic(3).fetch_max(v, Ordering::AcqRel, Scope::Device);
    out.atomic(4).fetch_and(v, Ordering::Relaxed, Scope::Block);
    out.atomic(5).fetch_or(v, Ordering::Relaxed, Scope::System);
    out.atomic(6).fetch_xor(v, Ordering::AcqRel, Scope::System);
    let old = out.atomic(7).swap(v, Ordering::AcqRel, Scope::Device);
    // The sum of all that were there is known: all but the last, whoever that was.
    out.atomic(8).fetch_add(old, Ordering::Relaxed, Scope::Device);
    let (found, done) =
        out.atomic(9).compare_exchange(0, i as u32 + 1, Ordering::AcqRel, Scope::Device);
    if done {
        out.atomic(10).fetch_add(found + 1, Ordering::Relaxed, Scope::Device);
    }
    fence(Ordering::AcqRel, Scope::Device);
    let seen = out.atomic(9).load(Ordering::Acquire, Scope::Device);
    out.atomic(11).store(seen, Ordering::Release, Scope::Device);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn integers_agree_with_the_host(x in prop::collection::vec(any::<u32>(), 1..70)) {
        let mut out = [0u32; 12];
        (out[2], out[4]) = (u32::MAX, u32::MAX);
        let run = one_block([x.len(), 1, 1], &x, &out);
        run.everywhere(|x, out| integers(x, out), |found| {
            let sum = x.iter().fold(0u32, |a, b| a.wrapping_add(*b));
            assert_eq!(found[0], sum);
            assert_eq!(found[1], 0u32.wrapping_sub(sum));
            assert_eq!(found[2], *x.iter().min().unwrap());
            assert_eq!(found[3], *x.iter().max().unwrap());
            assert_eq!(found[4], x.iter().fold(u32::MAX, |a, b| a & b));
            assert_eq!(found[5], x.iter().fold(0, |a, b| a | b));
            assert_eq!(found[6], x.iter().fold(0, |a, b| a ^ b));
            assert!(x.contains(&found[7]));
            assert_eq!(found[8], sum.wrapping_sub(found[7]));
            assert!((1..=x.len() as u32).contains(&found[9]));
            assert_eq!((found[10], found[11]), (1, found[9]));
        });
    }
}

/// Sums of small numbers are exact, in every order.
#[kernel]
fn floats<T: Float>(x: &[T], out: &mut [T]) {
    let v = x[thread_rank()];
    out.atomic(0).fetch_add(v, Ordering::Relaxed, Scope::Device);
    out.atomic(1).fetch_sub(v, Ordering::Relaxed, Scope::Device);
    out.atomic(2).fetch_min(v, Ordering::Relaxed, Scope::Device);
    out.atomic(3).fetch_max(v, Ordering::Relaxed, Scope::Device);
}

fn check_floats<T: Float>(targets: &[&str]) {
    let number = |n: usize| T::lit((n * 7 % 13) as f64 - 6.0);
    let x: Vec<T> = (0..50).map(number).collect();
    let sum: f64 = (0..50).map(|n| (n * 7 % 13) as f64 - 6.0).sum();
    let expected = [sum, -sum, -6.0, 6.0].map(T::lit);
    let out = [T::lit(0.0); 4];
    let run = one_block([50, 1, 1], &x, &out);
    run.everywhere(|x, out| floats::<T>(x, out), |found| assert_eq!(found, expected));
    run.compiles_for(targets, |x, out| floats::<T>(x, out));
}

#[test]
fn floats_agree_with_the_host() {
    check_floats::<f32>(&TARGETS);
    check_floats::<f64>(&TARGETS);
}

#[test]
fn small_floats_are_where_the_hardware_has_them() {
    check_floats::<f16>(&TARGETS[..6]);
    check_floats::<bf16>(&TARGETS[..6]);
}

/// A histogram in shared memory, and a lock-free hand-over between threads of one block.
#[kernel(block = 128)]
fn histogram(x: &[u32], out: &mut [u32]) {
    let (counts, i) = (shared::<u32>(8), thread_rank());
    if i < 8 {
        counts[i] = 0u32;
    }
    barrier();
    counts.atomic(x[i] % 8).fetch_add(1, Ordering::Relaxed, Scope::Block);
    barrier();
    if i < 8 {
        out[i] = counts[i];
    }
}

#[test]
fn shared_elements_are_atomic_too() {
    let x: Vec<u32> = (0..128).map(|i| i * i % 23).collect();
    let expected: Vec<u32> =
        (0..8).map(|b| x.iter().filter(|x| *x % 8 == b).count() as u32).collect();
    let run = one_block([128, 1, 1], &x, &[0; 8]);
    run.everywhere(|x, out| histogram(x, out), |found| assert_eq!(found, expected));
    run.compiles_for(&TARGETS, |x, out| histogram(x, out));
}

#[kernel(block = 1)]
fn bad_order(out: &mut [u32]) {
    out.atomic(0).store(1, Ordering::Acquire, Scope::Device);
}

#[test]
fn an_ordering_that_a_store_cannot_have_is_a_staging_error() {
    let device = Device::cpu();
    let mut out = Buffer::<u32>::zeros(&device, 1).unwrap();
    let error = bad_order(&mut out).launch(&device).unwrap_err().to_string();
    assert!(error.contains("an atomic store is `Relaxed` or `Release`, not `Acquire`"), "{error}");
}
