//! Every f32. Takes minutes, so it only runs when asked for; the notes have what it prints:
//! `cargo test --release -p kernelsmith-ir --test math -- --ignored --nocapture`.

use kernelsmith_ir::{Opcode, Scalar, Target};

use crate::lanes::{Lanes, expanded};
use crate::ulp;

/// What a function of one argument should give.
pub(crate) type Truth = fn(f64) -> f64;

/// The functions of one argument.
pub(crate) const UNARY: [(Opcode, Truth); 10] = [
    (Opcode::Exp, f64::exp),
    (Opcode::Exp2, f64::exp2),
    (Opcode::Log, f64::ln),
    (Opcode::Log2, f64::log2),
    (Opcode::Sin, f64::sin),
    (Opcode::Cos, f64::cos),
    (Opcode::Tanh, f64::tanh),
    (Opcode::Erf, libm::erf),
    (Opcode::Rsqrt, |x| 1.0 / x.sqrt()),
    (Opcode::Exp2Fast, f64::exp2),
];

/// The greatest error over the given arguments, and where.
pub(crate) fn worst(op: Opcode, truth: Truth, bits: impl Iterator<Item = u32>) -> (f64, f32) {
    let kernel = expanded(op, Scalar::F32.into(), 1, &Target::Cpu);
    let mut lanes = Lanes::new(&kernel);
    let mut worst = (0.0, 0.0);
    let mut bits = bits.peekable();
    while bits.peek().is_some() {
        let batch: Vec<u64> = bits.by_ref().take(1024).map(u64::from).collect();
        let results = lanes.run(std::slice::from_ref(&batch));
        for (&x, y) in batch.iter().zip(results) {
            let x = f32::from_bits(x as u32);
            let want = truth(x.into());
            let got = f32::from_bits(*y as u32);
            let flushed = got == 0.0 && want < f32::MIN_POSITIVE.into();
            let error = if op == Opcode::Exp2Fast && flushed { 0.0 } else { ulp::f32(got, want) };
            if error > worst.0 {
                worst = (error, x);
            }
        }
    }
    worst
}

#[test]
#[ignore = "takes minutes"]
fn every_f32() {
    let only = std::env::var("ONLY").ok();
    let stride: usize = std::env::var("STRIDE").ok().and_then(|s| s.parse().ok()).unwrap_or(1);
    for (op, truth) in UNARY {
        if only.as_deref().is_some_and(|only| only != op.name()) {
            continue;
        }
        // The branch for huge arguments is slow here.
        let thin = matches!(op, Opcode::Sin | Opcode::Cos);
        let near = 131_072f32.to_bits();
        let tried = |&bits: &u32| !thin || bits & 0x7fff_ffff <= near || bits % 16 == 5;
        let (error, x) = worst(op, truth, (0..=u32::MAX).step_by(stride).filter(tried));
        println!("{:10} {error:.4} ulp at {x:e} ({:#010x})", op.name(), x.to_bits());
        assert!(std::env::var("X").is_ok() || error <= 2.0 || op == Opcode::Exp2Fast);
    }
}

/// Powers have too many arguments to try them all: random bases, and exponents for which the
/// result is in range.
#[test]
#[ignore = "takes minutes"]
fn many_powers() {
    let kernel = expanded(Opcode::Pow, Scalar::F32.into(), 2, &Target::Cpu);
    let mut lanes = Lanes::new(&kernel);
    let mut state = 1u64;
    // Knuth's linear congruential generator (MMIX), its upper bits.
    let mut random = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 32) as u32
    };
    let mut worst = (0.0, 0.0, 0.0);
    for _ in 0..1 << 16 {
        let pairs: Vec<(f32, f32)> = (0..1024)
            .map(|_| {
                let x = match random() % 3 {
                    0 => f32::from_bits(random() % 0x7f80_0000),
                    1 => 1.0 + f32::from_bits(0x3000_0000 + random() % 0x0e00_0000),
                    _ => 1.0 - f32::from_bits(0x3000_0000 + random() % 0x0e80_0000),
                };
                let log = f64::from(random()) / 2f64.powi(32) * 278.0 - 150.0;
                (x, (log / f64::from(x).log2()) as f32)
            })
            .collect();
        let x = pairs.iter().map(|p| p.0.to_bits().into()).collect();
        let y = pairs.iter().map(|p| p.1.to_bits().into()).collect();
        for (&(x, y), got) in pairs.iter().zip(lanes.run(&[x, y])) {
            let got = f32::from_bits(*got as u32);
            let error = ulp::f32(got, f64::from(x).powf(y.into()));
            if error > worst.0 {
                worst = (error, x, y);
            }
        }
    }
    println!("pow        {:.4} ulp at ({:e}, {:e})", worst.0, worst.1, worst.2);
    assert!(worst.0 <= 2.0);
}
