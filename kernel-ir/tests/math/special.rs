//! Zeros, infinities, NaN, and the ends of the range: bit for bit what C's Annex F and Rust say.

use kernelsmith_ir::attr::Const;
use kernelsmith_ir::eval::{eval, reference};
use kernelsmith_ir::{Opcode, Scalar, Target};
use proptest::prelude::*;

use crate::lanes::{Lanes, expanded, run};

/// Numbers where functions have corners.
const CORNERS: [f64; 26] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -0.5,
    2.0,
    -2.0,
    3.0,
    -3.0,
    1.5,
    -1.5,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
    1e-40,
    -1e-40,
    1e-310,
    -1e-310,
    1e30,
    -1e30,
    3e38,
    -3e38,
    1e300,
    -1e300,
    16_777_217.0,
];

/// Whether a result is one of those that must be met exactly.
fn is_special(x: f64) -> bool {
    x == 0.0 || x.is_nan() || x.is_infinite()
}

fn corners(ty: Scalar) -> Vec<Const> {
    CORNERS.iter().map(|&x| Const::float(ty, x)).collect()
}

#[test]
fn special_results_are_exact() {
    use Opcode::{Cos, Erf, Exp, Exp2, Exp2Fast, Log, Log2, Rsqrt, Sin, Tanh};
    for ty in [Scalar::F32, Scalar::F64] {
        for op in [Exp, Exp2, Exp2Fast, Log, Log2, Sin, Cos, Tanh, Erf, Rsqrt] {
            let kernel = expanded(op, ty.into(), 1, &Target::Cpu);
            let corners = corners(ty);
            let arguments = corners.iter().map(|c| c.bits).collect();
            for (&x, &got) in corners.iter().zip(Lanes::new(&kernel).run(&[arguments])) {
                let want = reference(op, &[x], ty).unwrap();
                let (value, got) = (want.as_f64().unwrap(), Const::new(ty, got));
                let got_value = got.as_f64().unwrap();
                let same = if value.is_nan() { got_value.is_nan() } else { got == want };
                let special = is_special(value) || is_special(got_value);
                assert!(same || !special, "{} {ty} of {x:?}: {got_value}, not {value}", op.name());
            }
        }
    }
}

#[test]
fn powers_of_corners() {
    for ty in [Scalar::F32, Scalar::F64] {
        let kernel = expanded(Opcode::Pow, ty.into(), 2, &Target::Cpu);
        let corners = corners(ty);
        let pairs: Vec<(Const, Const)> =
            corners.iter().flat_map(|&x| corners.iter().map(move |&y| (x, y))).collect();
        let x = pairs.iter().map(|p| p.0.bits).collect();
        let y = pairs.iter().map(|p| p.1.bits).collect();
        for (&(x, y), &got) in pairs.iter().zip(Lanes::new(&kernel).run(&[x, y])) {
            let want = reference(Opcode::Pow, &[x, y], ty).unwrap().as_f64().unwrap();
            let got = Const::new(ty, got).as_f64().unwrap();
            let same = if is_special(want) || is_special(got) {
                want.to_bits() == got.to_bits() || want.is_nan() && got.is_nan()
            } else {
                want.signum() == got.signum()
            };
            let (x, y) = (x.as_f64().unwrap(), y.as_f64().unwrap());
            assert!(same, "pow {ty} of {x:e}, {y:e}: {got:e}, not {want:e}");
        }
    }
}

#[test]
fn powers_that_are_exact() {
    for ty in [Scalar::F32, Scalar::F64] {
        let exact = |op, arguments: &[f64]| {
            let kernel = expanded(op, ty.into(), arguments.len(), &Target::Cpu);
            let arguments: Vec<Vec<u64>> =
                arguments.iter().map(|&x| vec![Const::float(ty, x).bits]).collect();
            Const::new(ty, run(&kernel, &arguments)[0]).as_f64().unwrap()
        };
        for n in [-149, -126, -10, -1, 0, 1, 2, 64, 127] {
            let power = 2f64.powi(n);
            assert_eq!(exact(Opcode::Exp2, &[n.into()]), power);
            assert_eq!(exact(Opcode::Log2, &[power]), n.into());
            assert_eq!(exact(Opcode::Pow, &[2.0, n.into()]), power);
        }
        assert_eq!(exact(Opcode::Exp, &[0.0]), 1.0);
        assert_eq!(exact(Opcode::Log, &[1.0]), 0.0);
        assert_eq!(exact(Opcode::Cos, &[0.0]), 1.0);
        assert_eq!(exact(Opcode::Tanh, &[30.0]), 1.0);
        assert_eq!(exact(Opcode::Erf, &[-7.0]), -1.0);
    }
}

/// Remainders are exact, so they are compared with Rust's bit for bit.
fn check_remainders(ty: Scalar, pairs: &[(u64, u64)]) -> Result<(), TestCaseError> {
    let kernel = expanded(Opcode::Rem, ty.into(), 2, &Target::Cpu);
    let x = pairs.iter().map(|p| p.0).collect();
    let y = pairs.iter().map(|p| p.1).collect();
    for (&(x, y), &got) in pairs.iter().zip(Lanes::new(&kernel).run(&[x, y])) {
        let operands = [Const::new(ty, x), Const::new(ty, y)];
        let want = eval(Opcode::Rem, &operands, ty).unwrap();
        let [x, y] = operands.map(|c| c.as_f64().unwrap());
        let value = want.as_f64().unwrap();
        let got = Const::new(ty, got);
        let same = got == want || value.is_nan() && got.as_f64().unwrap().is_nan();
        prop_assert!(same, "{x:e} % {y:e} of {ty}: {got:?}, not {value:e}");
    }
    Ok(())
}

#[test]
fn remainders_of_corners() {
    for ty in [Scalar::F32, Scalar::F64] {
        let mut corners: Vec<u64> = corners(ty).iter().map(|c| c.bits).collect();
        // The least and the greatest numbers, subnormal and normal.
        let normal = if ty == Scalar::F32 { 1 << 23 } else { 1 << 52 };
        let infinity = Const::float(ty, f64::INFINITY).bits;
        corners.extend([1, 2, 3, normal - 1, normal, normal + 1, infinity - 1, infinity - 2]);
        let pairs: Vec<(u64, u64)> =
            corners.iter().flat_map(|&x| corners.iter().map(move |&y| (x, y))).collect();
        check_remainders(ty, &pairs).unwrap();
    }
}

proptest! {
    #[test]
    fn remainders_are_rusts(
        any in prop::collection::vec((any::<u64>(), any::<u64>()), 256),
        close in prop::collection::vec((0.5f64..1.0, 1f64..1e8, any::<bool>()), 256),
    ) {
        check_remainders(Scalar::F64, &any)?;
        let singles: Vec<(u64, u64)> = any.iter().map(|p| (p.0 & 0xffff_ffff, p.0 >> 32)).collect();
        check_remainders(Scalar::F32, &singles)?;
        // Quotients that are whole, or nearly.
        for ty in [Scalar::F32, Scalar::F64] {
            let pairs: Vec<(u64, u64)> = close
                .iter()
                .map(|&(y, q, whole)| {
                    let x = y * if whole { q.round() } else { q };
                    (Const::float(ty, x).bits, Const::float(ty, y).bits)
                })
                .collect();
            check_remainders(ty, &pairs)?;
        }
    }
}
