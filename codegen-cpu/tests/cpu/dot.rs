//! Dot products of bytes, of every pair of signs, and of bf16, as the reference evaluator says.

use kernelsmith_codegen_cpu::Isa;
use kernelsmith_codegen_cpu::compile::assembly;
use kernelsmith_ir::attr::{Attr, Const};
use kernelsmith_ir::eval::{eval, reference};
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

/// `out[at]` of two words and a sum.
fn kernel_of_bf16() -> Kernel {
    let mut m = Make::new("dot_products_of_bf16");
    let words = ["a", "b"].map(|name| m.input(name, Scalar::U32));
    let sums = m.input("c", Scalar::F32);
    let at = m.global_id();
    let [a, b, c] = [words[0], words[1], sums].map(|p| m.load_at(p, at));
    let value = m.0.emit1(Opcode::Dot2, Attr::None, &[a, b, c], Scalar::F32.into());
    let out = m.output("out", Scalar::F32);
    m.store_at(out, at, value);
    m.finish()
}

/// `vdpbf16ps` as the manual has it: denormals are zeros, on the way as well.
fn flushed(operands: &[Const; 3]) -> f32 {
    let flush = |x: f32| if x.is_subnormal() { 0.0f32.copysign(x) } else { x };
    let half = |word: Const, shift: u32| {
        flush(f32::from_bits(u32::from((word.bits >> shift) as u16) << 16))
    };
    let [a, b, c] = *operands;
    [16, 0].into_iter().fold(flush(f32::from_bits(c.bits as u32)), |sum, shift| {
        flush(half(a, shift).mul_add(half(b, shift), sum))
    })
}

#[test]
fn those_of_bf16_are_the_references_and_on_hardware_flush_denormals() {
    const CASES: usize = 1 << 15;
    let kernel = prepare(&kernel_of_bf16());
    let mut rng = Rng(5);
    let edges = [0, 0x8000, 1, 0x8080, 0x3f80, 0xbf81, 0x7f7f, 0x7f80, 0xff80, 0x7fc0, 0xffff];
    // One half in three is an edge, one near 1, so that sums round and cancel, one anything.
    let mut half = || match rng.next() % 3 {
        0 => edges[(rng.next() % edges.len() as u64) as usize],
        1 => rng.next() & 0x87ff | 0x3800,
        _ => rng.next() & 0xffff,
    };
    let mut column = |elem| Array::of(elem, (0..CASES).map(|_| half() | half() << 16));
    let mut inputs = [Scalar::U32, Scalar::U32, Scalar::F32].map(&mut column);
    for isa in isas() {
        // Operands of one thread are scalars, which have another form.
        for threads in [64, 1] {
            let compiled = build(&kernel, [threads, 1, 1], isa);
            let mut output = Array::new(Scalar::F32, CASES);
            let args: Vec<u64> =
                inputs.iter_mut().chain(std::iter::once(&mut output)).map(Array::address).collect();
            compiled.run_well([CASES as u32 / threads, 1, 1], &args);
            for i in 0..CASES {
                let operands = [0, 1, 2].map(|k| inputs[k].get(i));
                let expected = match isa.has_dot2() {
                    true => flushed(&operands),
                    false => {
                        let value = reference(Opcode::Dot2, &operands, Scalar::F32).unwrap();
                        f32::from_bits(value.bits as u32)
                    }
                };
                let found = f32::from_bits(output.get(i).bits as u32);
                let same =
                    found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan();
                assert!(
                    same,
                    "{isa:?}, {threads} threads, {operands:x?}: {found:e}, not {expected:e}"
                );
            }
        }
    }
}

/// Instructions of the processor where it has them, and nowhere else.
#[test]
fn they_are_single_instructions() {
    let (bytes, halves) = (prepare(&kernel()), prepare(&kernel_of_bf16()));
    for isa in isas() {
        let text = |kernel| assembly(kernel, [64, 1, 1], isa).unwrap();
        assert_eq!(text(&halves).contains("vdpbf16ps"), isa.has_dot2(), "{isa:?}");
        #[cfg(target_arch = "x86_64")]
        {
            let vnni =
                is_x86_feature_detected!("avx512vnni") || is_x86_feature_detected!("avxvnni");
            assert_eq!(text(&bytes).contains("vpdpbusd"), isa == Isa::Native && vnni, "{isa:?}");
        }
    }
}
