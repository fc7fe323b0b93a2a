//! What the assembler makes of the text: the instructions that were meant, and none more.

mod common;

use common::kernels::{self, Make};
use common::{sass, sm};
use kernelsmith_ir::attr::{Const, Dim};
use kernelsmith_ir::mma::MmaShape;
use kernelsmith_ir::{Kernel, Opcode, Scalar, Type};

/// The bodies of most tests: elements of `ty` in, the same out.
fn map(
    name: &str,
    ty: Type,
    body: impl FnOnce(&mut Make, kernelsmith_ir::Value) -> kernelsmith_ir::Value,
) -> Kernel {
    let mut m = Make::new(name);
    let x = m.input("x", ty.elem());
    let thread = m.id(Opcode::ThreadIdx, Dim::X);
    let lanes = m.u32(ty.lanes());
    let index = m.op(Opcode::Mul, &[thread, lanes]);
    let from = m.0.ptr_add(x, index);
    let value = m.load_aligned(from, ty, ty.size().min(16));
    let result = body(&mut m, value);
    let result_ty = m.0.kernel().ty(result);
    let y = m.output("y", result_ty.elem());
    let to = m.0.ptr_add(y, index);
    m.store_aligned(to, result, result_ty.size().min(16));
    m.finish()
}

#[test]
fn a_product_and_a_sum_are_not_fused() {
    for target in common::TARGETS {
        let code = sass(&kernels::saxpy(), target);
        assert_eq!(code.count("FFMA"), 0, "{}", code.text());
        assert_eq!((code.count("FMUL"), code.count("FADD")), (1, 1), "{}", code.text());
    }
}

/// Neither a reciprocal nor a call: two instructions by a power of two, products by other constants.
#[test]
fn quotients_by_constants_divide_nothing() {
    for ty in [Scalar::U32, Scalar::I32, Scalar::U64, Scalar::I64] {
        for by in [128, 10, 7] {
            let kernel = map("by_constant", ty.into(), |m, x| {
                let by = m.0.constant(Const::int(ty, by));
                let (quotient, rest) = (m.op(Opcode::Div, &[x, by]), m.op(Opcode::Rem, &[x, by]));
                m.op(Opcode::Xor, &[quotient, rest])
            });
            let code = sass(&kernel, sm(90, true));
            let costs = ["CALL", "MUFU", "I2F"].map(|name| code.count(name));
            assert_eq!(costs, [0; 3], "{ty} by {by}: {}", code.text());
        }
    }
}

/// 64 bits of which 32 are used take the division of 32, without a call; all others are behind a branch.
#[test]
fn small_numbers_of_64_bits_are_divided_as_32() {
    let widened = map("widened", Type::U32, |m, x| {
        let thread = m.id(Opcode::ThreadIdx, Dim::X);
        let [x, thread] = [x, thread].map(|x| m.0.cast(x, Scalar::U64));
        m.op(Opcode::Div, &[x, thread])
    });
    let code = sass(&widened, sm(90, true));
    assert_eq!((code.count("CALL"), code.count("MUFU.RCP")), (0, 1), "{}", code.text());
    let any = map("any", Type::U64, |m, x| {
        let thread = m.id(Opcode::ThreadIdx, Dim::X);
        let thread = m.0.cast(thread, Scalar::U64);
        m.op(Opcode::Rem, &[x, thread])
    });
    let code = sass(&any, sm(90, true));
    assert_eq!((code.count("CALL"), code.count("MUFU.RCP")), (1, 2), "{}", code.text());
}

#[test]
fn fma_is_one_instruction() {
    let kernel = map("fma", Type::F32, |m, x| m.op(Opcode::Fma, &[x, x, x]));
    let code = sass(&kernel, sm(90, true));
    assert_eq!((code.count("FFMA"), code.count("FMUL")), (1, 0), "{}", code.text());
}

#[test]
fn vectors_move_in_one_instruction() {
    let kernel = map("copy", Type::Vector(Scalar::F32, 4), |_, x| x);
    let code = sass(&kernel, sm(90, true));
    assert_eq!(code.count("LDG.E.128"), 1, "{}", code.text());
    assert_eq!(code.count("STG.E.128"), 1, "{}", code.text());
    let kernel = map("copy8", Type::Vector(Scalar::BF16, 8), |_, x| x);
    let code = sass(&kernel, sm(90, true));
    assert_eq!(code.count("LDG.E.128"), 1, "{}", code.text());
    assert_eq!(code.count("PRMT"), 0, "{}", code.text());
}

#[test]
fn blackwell_moves_32_bytes_at_once() {
    let mut m = Make::new("copy_wide");
    let (x, y) = (m.input("x", Scalar::F32), m.output("y", Scalar::F32));
    let value = m.load_aligned(x, Type::Vector(Scalar::F32, 8), 32);
    m.store_aligned(y, value, 32);
    let kernel = m.finish();
    let code = sass(&kernel, sm(100, true));
    assert_eq!((code.count("LDG"), code.count("STG")), (1, 1), "{}", code.text());
    let code = sass(&kernel, sm(90, true));
    assert_eq!((code.count("LDG"), code.count("STG")), (2, 2), "{}", code.text());
}

#[test]
fn read_only_memory_goes_through_the_read_only_cache() {
    let code = sass(&kernels::saxpy(), sm(80, false));
    assert_eq!(code.count("LDG.E.CONSTANT"), 1, "{}", code.text());
}

#[test]
fn pairs_round_in_one_instruction() {
    for (elem, name) in [(Scalar::F16, "F2FP.F16"), (Scalar::BF16, "F2FP.BF16")] {
        let kernel = map("narrow", Type::Vector(Scalar::F32, 4), |m, x| m.0.cast(x, elem));
        let code = sass(&kernel, sm(90, true));
        assert_eq!(code.count(name), 2, "{}", code.text());
    }
}

#[test]
fn exp2_fast_is_one_instruction() {
    let kernel = map("exp2_fast", Type::F32, |m, x| m.op(Opcode::Exp2Fast, &[x]));
    let code = sass(&kernel, sm(90, true));
    assert_eq!(code.count("MUFU.EX2"), 1, "{}", code.text());
    assert_eq!(code.count("FMUL"), 0, "{}", code.text());
}

#[test]
fn the_tensor_cores_are_used() {
    for (name, opcode, per_mma) in [
        ("mma_sync.m16n8k16.bf16.f32", "HMMA.16816.F32.BF16", 1),
        ("mma_sync.m16n8k16.f16.f32", "HMMA.16816.F32", 1),
        ("mma_sync.m16n8k8.f16.f32", "HMMA.1688.F32", 1),
        ("mma_sync.m16n8k8.tf32.f32", "HMMA.1688.F32.TF32", 1),
        ("mma_sync.m16n8k32.i8.i32", "IMMA.16832.S8.S8", 1),
        ("mma_sync.m16n8k32.u8.i32", "IMMA.16832.U8.U8", 1),
        ("mma_sync.m8n8k4.f64.f64", "DMMA.884", 1),
    ] {
        let shape = MmaShape::from_name(name).unwrap();
        let code = sass(&kernels::one_mma(shape), sm(80, false));
        assert_eq!(code.count(opcode), per_mma, "{name}: {}", code.text());
        assert_eq!(code.count("PRMT"), 0, "{name}: {}", code.text());
    }
}

#[test]
fn constant_distances_cost_no_address_arithmetic() {
    let mut m = Make::new("stencil");
    let x = m.input("x", Scalar::F32);
    let y = m.output("y", Scalar::F32);
    let i = m.global_id();
    let mut sum = m.load_at(x, i);
    for distance in 1..8 {
        let distance = m.u64(distance);
        let j = m.op(Opcode::Add, &[i, distance]);
        let xj = m.load_at(x, j);
        sum = m.op(Opcode::Add, &[sum, xj]);
    }
    m.store_at(y, i, sum);
    let kernel = m.finish();
    let text = common::ptx(&kernel, sm(90, true)).text;
    assert!(text.contains("+28];"), "{text}");
    assert_eq!(text.matches("shl.b64").count(), 2, "{text}");
}

#[test]
fn addresses_that_differ_by_a_constant_share_one_base() {
    let mut m = Make::new("rows");
    let y = m.output("y", Scalar::F32);
    let tile = m.0.shared("tile", Scalar::F32, Some(8 * 32 * 8), 16);
    let ty = m.0.kernel().shared_type(tile);
    let tile = m.0.emit1(Opcode::SharedAddr, kernelsmith_ir::Attr::Shared(tile), &[], ty);
    let [row, k] = [Dim::Y, Dim::X].map(|dim| {
        let id = m.id(Opcode::ThreadIdx, dim);
        m.0.cast(id, Scalar::U64)
    });
    let (eight, columns) = (m.u64(8), m.u64(32));
    let first = m.op(Opcode::Mul, &[row, eight]);
    let mut sum = None;
    for j in 0..8 {
        let j = m.u64(j);
        let row = m.op(Opcode::Add, &[first, j]);
        let start = m.op(Opcode::Mul, &[row, columns]);
        let index = m.op(Opcode::Add, &[start, k]);
        let value = m.load_at(tile, index);
        sum = Some(sum.map_or(value, |sum| m.op(Opcode::Add, &[sum, value])));
    }
    m.store_at(y, k, sum.unwrap());
    let kernel = m.finish();
    let text = common::ptx(&kernel, sm(90, true)).text;
    assert!(text.contains("+896];"), "{text}");
    let code = sass(&kernel, sm(90, true));
    assert_eq!(code.count("LDS"), 8, "{}", code.text());
    assert!(code.opcodes().values().sum::<usize>() < 50, "{}", code.text());
}
