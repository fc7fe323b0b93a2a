//! 8-bit floats: the integer code for the conversions gives what the definition gives, for every
//! code, for every f16, and for f32s of all sizes.

use kernelsmith_ir::attr::Const;
use kernelsmith_ir::eval::eval;
use kernelsmith_ir::{Builder, Kernel, Opcode, ParamKind, Scalar, Space, Target, Type, passes};

use crate::lanes::run;

fn conversion(from: Scalar, to: Scalar) -> Kernel {
    let mut b = Builder::new("convert");
    let x = b.param("x", from.into(), ParamKind::Scalar);
    let out = b.param("out", Type::Ptr(Space::Global, to), ParamKind::Exclusive);
    let y = b.cast(x, to);
    b.store(out, y);
    let mut kernel = b.finish();
    passes::fp8::run(&mut kernel, &Target::Cpu);
    assert!(!kernel.to_string().contains(": e4m3 = cast"), "{kernel}");
    kernelsmith_ir::verify(&kernel).unwrap();
    kernel
}

fn agree(from: Scalar, to: Scalar, inputs: Vec<u64>) {
    let results = run(&conversion(from, to), std::slice::from_ref(&inputs));
    for (bits, found) in inputs.into_iter().zip(results) {
        let x = Const::new(from, bits);
        let expected = eval(Opcode::Cast, &[x], to).unwrap();
        assert_eq!(found, expected.bits, "{from} {:?} ({bits:#x}) to {to}", x.as_f64());
    }
}

#[test]
fn codes_widen_exactly() {
    for ty in [Scalar::E4M3, Scalar::E5M2] {
        agree(ty, Scalar::F32, (0..256).collect());
    }
}

#[test]
fn floats_narrow_to_the_nearest() {
    let halves = (0..=u16::MAX).map(|h| half::f16::from_bits(h).to_f32().to_bits().into());
    // Every upper half with lower ones that lie just beside the middles, and on them.
    let wide = (0..=u32::from(u16::MAX))
        .flat_map(|high| [0, 1, 0x7fff, 0x8000, 0xffff].map(|low| (high << 16 | low).into()));
    let mut state = 7u64;
    let random = std::iter::repeat_with(|| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        state >> 32
    });
    let inputs: Vec<u64> = halves.chain(wide).chain(random.take(1 << 18)).collect();
    for ty in [Scalar::E4M3, Scalar::E5M2] {
        agree(Scalar::F32, ty, inputs.clone());
    }
}

/// There and back is the same code.
#[test]
fn every_code_is_its_own_rounding() {
    for ty in [Scalar::E4M3, Scalar::E5M2] {
        for code in 0..256 {
            let x = Const::new(ty, code);
            let back = eval(Opcode::Cast, &[x], Scalar::F32).unwrap();
            let again = eval(Opcode::Cast, &[back], ty).unwrap();
            let value = x.as_f64().unwrap();
            assert!(value.is_nan() || value.is_infinite() || again == x, "{ty} {code:#x}");
        }
    }
}
