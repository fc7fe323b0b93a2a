//! Arithmetic of f16 and bf16 after its rewriting: the bits that `eval` gives.

use kernelsmith_ir::attr::Const;
use kernelsmith_ir::eval::eval;
use kernelsmith_ir::{Opcode, Scalar, Target};
use proptest::prelude::*;

use crate::lanes::{expanded, run};

const OPS: [(Opcode, usize); 16] = [
    (Opcode::Add, 2),
    (Opcode::Sub, 2),
    (Opcode::Mul, 2),
    (Opcode::Div, 2),
    (Opcode::Rem, 2),
    (Opcode::Min, 2),
    (Opcode::Max, 2),
    (Opcode::CopySign, 2),
    (Opcode::Fma, 3),
    (Opcode::Sqrt, 1),
    (Opcode::Neg, 1),
    (Opcode::Abs, 1),
    (Opcode::Floor, 1),
    (Opcode::Ceil, 1),
    (Opcode::Trunc, 1),
    (Opcode::RoundEven, 1),
];

proptest! {
    #[test]
    fn rewritten_arithmetic_gives_the_same_bits(
        lanes in prop::collection::vec(prop::array::uniform3(any::<u16>()), 256),
    ) {
        for ty in [Scalar::F16, Scalar::BF16] {
            for (op, arity) in OPS {
                let kernel = expanded(op, ty.into(), arity, &Target::Cpu);
                let arguments: Vec<Vec<u64>> =
                    (0..arity).map(|i| lanes.iter().map(|l| l[i].into()).collect()).collect();
                for (got, lane) in run(&kernel, &arguments).into_iter().zip(&lanes) {
                    let operands: Vec<Const> =
                        lane[..arity].iter().map(|&x| Const::new(ty, x.into())).collect();
                    let want = eval(op, &operands, ty).unwrap();
                    let got = Const::new(ty, got);
                    let nan = |c: Const| c.as_f64().unwrap().is_nan();
                    prop_assert!(got == want || nan(got) && nan(want),
                        "{} {ty} {operands:?}: {got:?}, not {want:?}", op.name());
                }
            }
        }
    }
}
