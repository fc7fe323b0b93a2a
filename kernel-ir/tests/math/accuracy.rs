//! At most 2 ulp from the truth.

use kernelsmith_ir::{Opcode, Scalar, Target};
use proptest::prelude::*;

use crate::exhaustive::{UNARY, worst};
use crate::lanes::{Lanes, expanded};
use crate::ulp;

/// What `scripts/derive-math-table.py` wrote.
const TABLE: &str = include_str!("reference_f64.txt");

/// What the table of operations allows for `exp2_fast`: a relative error of 2^-21.
const FAST: f64 = 4.0;

fn allowed(op: Opcode) -> f64 {
    if op == Opcode::Exp2Fast { FAST } else { 2.0 }
}

#[test]
fn f32_functions_of_one_argument() {
    for (op, truth) in UNARY {
        // A stride prime to all powers of two meets every exponent with many mantissas.
        let strided = (0..=u32::MAX).step_by(65_537 - 16);
        let (error, x) = worst(op, truth, strided);
        assert!(error <= allowed(op), "{}({x:e}): {error} ulp", op.name());
        // Where most arguments are, more densely.
        let common = (0..1 << 15).map(|i| (i as f32 / 1024.0 - 16.0).to_bits());
        let (error, x) = worst(op, truth, common);
        assert!(error <= allowed(op), "{}({x:e}): {error} ulp", op.name());
    }
}

proptest! {
    #[test]
    fn f32_functions_of_random_arguments(bits in prop::collection::vec(any::<u32>(), 1024)) {
        for (op, truth) in UNARY {
            let (error, x) = worst(op, truth, bits.iter().copied());
            prop_assert!(error <= allowed(op), "{}({x:e}): {error} ulp", op.name());
        }
    }

    #[test]
    fn f32_powers(
        // Bases of every size and near 1, and exponents that keep the result in range or just not.
        lanes in prop::collection::vec((any::<bool>(), 0u32..0x7f80_0000, -160.0..140f64), 1024),
    ) {
        let lanes: Vec<(f32, f32)> = lanes
            .into_iter()
            .map(|(near_one, bits, log)| {
                let x = if near_one {
                    1.0 + f32::from_bits(0x3000_0000 + bits % 0x0e00_0000)
                } else {
                    f32::from_bits(bits)
                };
                (x, (log / f64::from(x).log2()) as f32)
            })
            .collect();
        check_powers(&lanes)?;
    }

    #[test]
    fn f32_powers_of_ordinary_numbers(
        lanes in prop::collection::vec((-20f32..20.0, -20f32..20.0, any::<bool>()), 1024),
    ) {
        let lanes: Vec<(f32, f32)> = lanes
            .into_iter()
            .map(|(x, y, whole)| (x, if whole { y.round() } else { y }))
            .collect();
        check_powers(&lanes)?;
    }
}

fn check_powers(lanes: &[(f32, f32)]) -> Result<(), TestCaseError> {
    let kernel = expanded(Opcode::Pow, Scalar::F32.into(), 2, &Target::Cpu);
    let x = lanes.iter().map(|l| l.0.to_bits().into()).collect();
    let y = lanes.iter().map(|l| l.1.to_bits().into()).collect();
    for (&(x, y), got) in lanes.iter().zip(Lanes::new(&kernel).run(&[x, y])) {
        let got = f32::from_bits(*got as u32);
        let error = ulp::f32(got, f64::from(x).powf(y.into()));
        prop_assert!(error <= 2.0, "pow({x:e}, {y:e}) = {got:e}: {error} ulp");
    }
    Ok(())
}

/// The greatest error of each function over a table.
fn worst_of_table(table: &str) -> Vec<(Opcode, f64, Vec<f64>)> {
    let mut lines: Vec<Vec<&str>> = table.lines().map(|l| l.split(' ').collect()).collect();
    lines.sort_by_key(|words| words[0]);
    let word = |text: &str| u64::from_str_radix(text, 16).expect("hexadecimal");
    let mut found = Vec::new();
    for lines in lines.chunk_by(|a, b| a[0] == b[0]) {
        let op = Opcode::from_name(lines[0][0]).expect("an operation");
        let arity = lines[0].len() - 3;
        let kernel = expanded(op, Scalar::F64.into(), arity, &Target::Cpu);
        let arguments: Vec<Vec<u64>> =
            (0..arity).map(|i| lines.iter().map(|w| word(w[i + 1])).collect()).collect();
        let mut lanes = Lanes::new(&kernel);
        let mut worst = (op, 0.0, Vec::new());
        for (words, got) in lines.iter().zip(lanes.run(&arguments)) {
            let want = f64::from_bits(word(words[arity + 1]));
            let rest = words[arity + 2].parse().expect("a number");
            let error = ulp::f64(f64::from_bits(*got), want, rest);
            if error > worst.1 {
                let x = words[1..=arity].iter().map(|w| f64::from_bits(word(w))).collect();
                worst = (op, error, x);
            }
        }
        found.push(worst);
    }
    found
}

#[test]
fn f64_functions() {
    let found = worst_of_table(TABLE);
    assert_eq!(found.len(), 10);
    for (op, error, x) in found {
        assert!(error <= 2.0, "{}({x:?}): {error} ulp", op.name());
    }
}

/// A greater table than the one that is checked in, named by the variable `TABLE`.
#[test]
#[ignore = "needs a table"]
fn f64_functions_by_a_greater_table() {
    let path = std::env::var("TABLE").expect("TABLE names a file of scripts/derive-math-table.py");
    for (op, error, x) in worst_of_table(&std::fs::read_to_string(path).expect("readable")) {
        println!("{:10} {error:.4} ulp at {x:?}", op.name());
        assert!(error <= 2.0, "{}({x:?}): {error} ulp", op.name());
    }
}
