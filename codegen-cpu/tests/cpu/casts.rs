//! Rust's `as` from everything to everything, and the same bits as another type.

use kernelsmith_ir::attr::{Attr, Const};
use kernelsmith_ir::eval::eval;
use kernelsmith_ir::{Opcode, Scalar, Type};

use crate::harness::{Array, Make, Rng, build, isas, prepare};
use crate::operations::{NUMBERS, agree, edges};

const CASES: usize = 128;

fn check_from(from: Scalar) {
    let targets: Vec<Scalar> =
        NUMBERS.into_iter().filter(|to| from.is_num() || to.is_int()).collect();
    let mut m = Make::new(&format!("casts_{from}"));
    let x = m.input("x", from);
    let at = m.global_id();
    let x = m.load_at(x, at);
    for &to in &targets {
        let value = m.0.cast(x, to);
        let out = m.output(to.name(), to);
        m.store_at(out, at, value);
    }
    let kernel = prepare(&m.finish());
    let (edges, mut rng) = (edges(from), Rng(from as u64));
    let inputs = (0..CASES).map(|i| match i {
        i if i < edges.len() => edges[i],
        // Floats of the size of integers, too.
        i if from.is_float() && i % 2 == 0 => {
            Const::float(from, (rng.next() >> (rng.next() % 64)) as i64 as f64 * 0.75).bits
        }
        _ => rng.next(),
    });
    let mut input = Array::of(from, inputs.map(|bits| Const::new(from, bits).bits));
    for isa in isas() {
        for threads in [64, 1] {
            let compiled = build(&kernel, [threads, 1, 1], isa);
            let mut outputs: Vec<Array> = targets.iter().map(|&to| Array::new(to, CASES)).collect();
            let mut args = vec![input.address()];
            args.extend(outputs.iter_mut().map(Array::address));
            compiled.run_well([CASES as u32 / threads, 1, 1], &args);
            for output in &outputs {
                for i in 0..CASES {
                    let expected = eval(Opcode::Cast, &[input.get(i)], output.elem);
                    let expected = expected.expect("a cast between numbers");
                    assert!(
                        agree(Opcode::Cast, expected, output.get(i)),
                        "{isa:?}, {threads} threads: {:x?} as {} is {expected:x?}, found {:x?}",
                        input.get(i),
                        output.elem,
                        output.get(i)
                    );
                }
            }
        }
    }
}

#[test]
fn from_integers() {
    use Scalar::{Bool, I8, I16, I32, I64, U8, U16, U32, U64};
    [Bool, I8, I16, I32, I64, U8, U16, U32, U64].into_iter().for_each(check_from);
}

#[test]
fn from_floats() {
    use Scalar::{BF16, F16, F32, F64};
    [F16, BF16, F32, F64].into_iter().for_each(check_from);
}

/// All shapes of 8 bytes or fewer, to others of the same size: the bytes stay.
#[test]
fn bitcasts_keep_the_bytes() {
    let shapes = NUMBERS.into_iter().chain([Scalar::E4M3, Scalar::E5M2]).flat_map(|elem| {
        [1u8, 2, 4, 8].map(|n| if n == 1 { elem.into() } else { Type::Vector(elem, n) })
    });
    let shapes: Vec<Type> = shapes.filter(|ty| ty.size() <= 8).collect();
    for size in [1u32, 2, 4, 8] {
        let same: Vec<Type> = shapes.iter().copied().filter(|ty| ty.size() == size).collect();
        let mut m = Make::new("bitcasts");
        let (mut pairs, mut inputs) = (Vec::new(), Vec::new());
        let at = m.global_id();
        for &from in &same {
            let x = m.input("x", from.elem());
            let lanes = m.u32(from.lanes());
            let index = m.op(Opcode::Mul, &[at, lanes]);
            inputs.push((from, m.load_as(x, index, from)));
        }
        for (i, &(from, x)) in inputs.iter().enumerate() {
            // Two partners each: near and far in the list, so that shapes and types change.
            for to in [1, 4].map(|step| same[(i + step) % same.len()]) {
                let value = m.0.emit1(Opcode::Bitcast, Attr::None, &[x], to);
                let out = m.output("out", to.elem());
                let lanes = m.u32(to.lanes());
                let index = m.op(Opcode::Mul, &[at, lanes]);
                m.store_at(out, index, value);
                pairs.push((from, to));
            }
        }
        let kernel = prepare(&m.finish());
        for isa in isas() {
            for threads in [40, 1] {
                let compiled = build(&kernel, [threads, 1, 1], isa);
                let mut rng = Rng(9);
                let bytes: Vec<u8> = (0..40 * size).map(|_| rng.next() as u8).collect();
                let mut arrays: Vec<Array> =
                    same.iter().map(|ty| Array::of_bytes(ty.elem(), &bytes)).collect();
                arrays.extend(
                    pairs.iter().map(|(_, to)| Array::new(to.elem(), 40 * to.lanes() as usize)),
                );
                let args: Vec<u64> = arrays.iter_mut().map(Array::address).collect();
                compiled.run_well([40 / threads, 1, 1], &args);
                for ((from, to), array) in pairs.iter().zip(&arrays[same.len()..]) {
                    assert_eq!(array.bytes(), bytes, "{isa:?}, {threads}: {from} to {to}");
                }
            }
        }
    }
}
