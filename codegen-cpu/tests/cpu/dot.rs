//! Dot products of bytes, of every pair of signs, as the reference evaluator says.

use kernelsmith_ir::attr::{Attr, Const};
use kernelsmith_ir::eval::eval;
use kernelsmith_ir::{Kernel, Opcode, Scalar};

use crate::harness::{Array, Make, Rng, build, isas, prepare};

const CASES: usize = 256;

const SIGNS: [Scalar; 2] = [Scalar::U32, Scalar::I32];

/// Factors that the kernel has as constants: the extremes of bytes.
const FACTORS: [u64; 2] = [0x80ff_7f00, 0xff80_8001];

/// `out[at]` for both signs of both factors, with operands that differ and with a constant.
fn kernel() -> Kernel {
    let mut m = Make::new("dot_products");
    let inputs = ["a", "b", "c"].map(|name| m.input(name, Scalar::I32));
    let at = m.global_id();
    let [a, b, c] = inputs.map(|p| m.load_at(p, at));
    for first in SIGNS {
        for second in SIGNS {
            let x = m.0.cast(a, first);
            let factors = FACTORS.map(|bits| m.0.constant(Const::new(second, bits)));
            for y in [m.0.cast(b, second), factors[0], factors[1]] {
                let value = m.0.emit1(Opcode::Dot4, Attr::None, &[x, y, c], Scalar::I32.into());
                let out = m.output("out", Scalar::I32);
                m.store_at(out, at, value);
            }
        }
    }
    m.finish()
}

#[test]
fn they_are_exact_on_every_instruction_set() {
    let kernel = prepare(&kernel());
    let mut rng = Rng(11);
    let edges = [0, 0x8080_8080, 0x7f7f_7f7f, 0xffff_ffff, 0x0180_ff7f];
    let mut column = || -> Vec<u64> {
        let mut one = |i: usize| match i % 3 {
            0 => edges[(rng.next() % edges.len() as u64) as usize],
            _ => rng.next() & 0xffff_ffff,
        };
        (0..CASES).map(&mut one).collect()
    };
    let mut inputs = [column(), column(), column()].map(|bits| Array::of(Scalar::I32, bits));
    for isa in isas() {
        // Operands of one thread are scalars, which have another form.
        for threads in [64, 1] {
            let compiled = build(&kernel, [threads, 1, 1], isa);
            let mut outputs: Vec<Array> = (0..12).map(|_| Array::new(Scalar::I32, CASES)).collect();
            let args: Vec<u64> =
                inputs.iter_mut().chain(&mut outputs).map(Array::address).collect();
            compiled.run_well([CASES as u32 / threads, 1, 1], &args);
            for (k, output) in outputs.iter().enumerate() {
                let (first, second) = (SIGNS[k / 6], SIGNS[k / 3 % 2]);
                for i in 0..CASES {
                    let b = [inputs[1].get(i).bits, FACTORS[0], FACTORS[1]][k % 3];
                    let a = Const::new(first, inputs[0].get(i).bits);
                    let operands = [a, Const::new(second, b), inputs[2].get(i)];
                    let expected = eval(Opcode::Dot4, &operands, Scalar::I32);
                    let context = format!("{isa:?}, {threads} threads, {operands:x?}");
                    assert_eq!(Some(output.get(i)), expected, "{context}");
                }
            }
        }
    }
}
