//! Code objects of small kernels: they compile for every chip, and say of themselves what the IR
//! says of the kernel.

use kernelsmith_codegen_amdgcn::{compile, llvm_ir};
use kernelsmith_ir::attr::{self, AtomicOp, Attr, Dim, Order, ReduceOp, Scope};
use kernelsmith_ir::mma::{Operand, SHAPES};
use kernelsmith_ir::passes::prepare;
use kernelsmith_ir::target::Gfx;
use kernelsmith_ir::{Builder, Kernel, Opcode, ParamKind, Scalar, Space, Target, Type, Value};

/// A kernel that puts what `body` makes into a buffer, once for each value.
fn kernel(
    name: &str,
    elem: Scalar,
    body: impl FnOnce(&mut Builder, Value, Value) -> Vec<Value>,
) -> Kernel {
    let mut b = Builder::new(name);
    let out = b.param("out", Type::Ptr(Space::Global, elem), ParamKind::Exclusive);
    let t = b.emit1(Opcode::ThreadIdx, Attr::Dim(Dim::X), &[], Type::U32);
    let at = b.ptr_add(out, t);
    let x = b.load(at, elem.into());
    for value in body(&mut b, x, t) {
        b.store(at, value);
    }
    b.finish()
}

fn for_every_chip(kernel: &Kernel) {
    for gfx in Gfx::ALL {
        let prepared = prepare(kernel, &Target::Amdgcn(gfx)).unwrap();
        let code = compile(&prepared, gfx)
            .unwrap_or_else(|e| panic!("{} for {}: {e}\n{prepared}", kernel.name, gfx.name()));
        let metadata = code.metadata;
        assert_eq!(metadata.wave_size, Target::Amdgcn(gfx).warp_size(), "{}", gfx.name());
        assert_eq!((metadata.vgpr_spills, metadata.scratch_bytes), (0, 0), "{}", kernel.name);
        // The kernel's own parameters, then the error record's address.
        let (mut offsets, record) = kernel.param_layout();
        offsets.push(record);
        assert_eq!(metadata.argument_offsets, offsets);
    }
}

const NUMBERS: [Scalar; 12] = {
    use Scalar::*;
    [I8, I16, I32, I64, U8, U16, U32, U64, F16, BF16, F32, F64]
};

#[test]
fn arithmetic_of_every_type_compiles() {
    use Opcode::*;
    for ty in NUMBERS {
        let arithmetic = kernel("arithmetic", ty, |b, x, _| {
            let one = match ty.is_float() {
                true => b.constant(attr::Const::float(ty, 3.0)),
                false => b.constant(attr::Const::int(ty, 3)),
            };
            let mut values: Vec<Value> =
                [Add, Sub, Mul, Div, Rem, Min, Max].map(|op| b.same(op, &[x, one])).to_vec();
            if ty.is_float() {
                values.extend(
                    [Sqrt, Floor, Ceil, Trunc, RoundEven, Neg, Abs].map(|op| b.same(op, &[x])),
                );
                values.push(b.same(Fma, &[x, one, x]));
                values.push(b.same(CopySign, &[x, one]));
            } else {
                values.extend([MulHi, And, Or, Xor].map(|op| b.same(op, &[x, one])));
                values.extend([Not, ReverseBits].map(|op| b.same(op, &[x])));
                let amount = b.constant(attr::Const::int(Scalar::U32, 5));
                values.extend([Shl, Shr].map(|op| b.same(op, &[x, amount])));
                for op in [CountOnes, LeadingZeros, TrailingZeros] {
                    let count = b.emit1(op, Attr::None, &[x], Type::U32);
                    values.push(b.cast(count, ty));
                }
            }
            let less = b.compare(Lt, x, one);
            values.push(b.select(less, x, one));
            values
        });
        for_every_chip(&arithmetic);
    }
}

#[test]
fn dot_products_compile() {
    let products = kernel("products", Scalar::I32, |b, x, _| {
        let unsigned = b.cast(x, Scalar::U32);
        let mut values = Vec::new();
        for first in [x, unsigned] {
            for second in [x, unsigned] {
                let operands = [first, second, x];
                values.push(b.emit1(Opcode::Dot4, Attr::None, &operands, Scalar::I32.into()));
            }
        }
        let sum = b.cast(x, Scalar::F32);
        let operands = [unsigned, unsigned, sum];
        let float = b.emit1(Opcode::Dot2, Attr::None, &operands, Scalar::F32.into());
        values.push(b.cast(float, Scalar::I32));
        values
    });
    for_every_chip(&products);
}

#[test]
fn casts_between_all_types_compile() {
    for from in NUMBERS {
        let casts = kernel("casts", from, |b, x, _| {
            let to = NUMBERS.into_iter().filter(|&to| to != from);
            to.map(|to| {
                let there = b.cast(x, to);
                b.cast(there, from)
            })
            .collect()
        });
        for_every_chip(&casts);
    }
}

#[test]
fn math_functions_compile() {
    use Opcode::*;
    for ty in [Scalar::F16, Scalar::BF16, Scalar::F32, Scalar::F64] {
        let functions = kernel("functions", ty, |b, x, _| {
            let mut values: Vec<Value> = [Exp, Exp2, Log, Log2, Sin, Cos, Tanh, Erf, Rsqrt]
                .map(|op| b.same(op, &[x]))
                .to_vec();
            values.push(b.same(Pow, &[x, x]));
            if ty == Scalar::F32 {
                values.push(b.same(Exp2Fast, &[x]));
            }
            values
        });
        for gfx in Gfx::ALL {
            let prepared = prepare(&functions, &Target::Amdgcn(gfx)).unwrap();
            compile(&prepared, gfx).unwrap();
        }
    }
}

#[test]
fn lanes_of_a_wave_work_together() {
    use Opcode::*;
    for ty in [Scalar::I16, Scalar::U32, Scalar::I64, Scalar::F16, Scalar::F32, Scalar::F64] {
        let lanes = kernel("lanes", ty, |b, x, t| {
            let mut values: Vec<Value> = [ShuffleIdx, ShuffleXor, ShuffleUp, ShuffleDown]
                .map(|op| b.same(op, &[x, t]))
                .to_vec();
            for op in [ReduceOp::Add, ReduceOp::Min, ReduceOp::Max] {
                values.push(b.emit1(WarpReduce, Attr::Reduce(op), &[x], ty.into()));
            }
            let less = b.compare(Lt, x, values[0]);
            let all = b.emit1(VoteAll, Attr::None, &[less], Type::BOOL);
            let any = b.emit1(VoteAny, Attr::None, &[less], Type::BOOL);
            values.push(b.select(all, x, values[1]));
            values.push(b.select(any, x, values[2]));
            let bits = b.emit1(Ballot, Attr::None, &[less], Type::U64);
            values.push(b.cast(bits, ty));
            values
        });
        for_every_chip(&lanes);
    }
}

#[test]
fn shared_memory_barriers_loops_and_checks() {
    let mut b = Builder::new("staged");
    let out = b.param("out", Type::Ptr(Space::Global, Scalar::F32), ParamKind::Exclusive);
    let n = b.param("n", Type::U64, ParamKind::Scalar);
    let tile = b.shared("tile", Scalar::F32, Some(256), 16);
    let ty = b.kernel().shared_type(tile);
    let base = b.emit1(Opcode::SharedAddr, Attr::Shared(tile), &[], ty);
    let t = b.emit1(Opcode::ThreadIdx, Attr::Dim(Dim::X), &[], Type::U32);
    let zero = b.constant(attr::Const::int(Scalar::U64, 0));
    let index = b.cast(t, Scalar::U64);
    let sum = b.var("sum", Type::F32);
    let nothing = b.constant(attr::Const::f32(0.0));
    b.var_store(sum, nothing);
    let (label, i) = b.begin_for(zero, n);
    b.check_bounds(index, n);
    let at = b.ptr_add(out, i);
    let x = b.load(at, Type::F32);
    let own = b.ptr_add(base, t);
    b.store(own, x);
    b.emit(Opcode::Barrier, Attr::None, &[], &[]);
    let first = b.load(base, Type::F32);
    let old = b.var_load(sum);
    let new = b.same(Opcode::Add, &[old, first]);
    b.var_store(sum, new);
    b.emit(Opcode::Barrier, Attr::None, &[], &[]);
    let enough = b.compare(Opcode::Gt, i, index);
    b.begin_if(enough);
    b.cont(label);
    b.begin_else(&[]);
    b.end_if(&[], &[]);
    b.end_for();
    let at = b.ptr_add(out, t);
    let total = b.var_load(sum);
    let attr = Attr::Atomic { op: AtomicOp::Add, order: Order::Relaxed, scope: Scope::Device };
    b.emit1(Opcode::AtomicRmw, attr, &[at, total], Type::F32);
    let kernel = b.finish();
    for gfx in Gfx::ALL {
        let prepared = prepare(&kernel, &Target::Amdgcn(gfx)).unwrap();
        let code = compile(&prepared, gfx).unwrap();
        assert_eq!(code.metadata.lds_bytes, 1024, "{}", gfx.name());
    }
}

#[test]
fn matrix_instructions_compile_where_they_are_and_are_refused_elsewhere() {
    for &shape in SHAPES {
        let mut b = Builder::new("matrix");
        let out = b.param("out", Type::Ptr(Space::Global, shape.cd), ParamKind::Exclusive);
        let a = b.param("a", Type::Ptr(Space::Global, shape.ab), ParamKind::ReadOnly);
        let [x, y] = [Operand::A, Operand::B].map(|o| b.load(a, shape.fragment_type(o)));
        let z = b.load(out, shape.fragment_type(Operand::C));
        let ty = shape.fragment_type(Operand::C);
        let d = b.emit1(Opcode::Mma, Attr::Mma(shape), &[x, y, z], ty);
        b.store(out, d);
        let kernel = b.finish();
        for gfx in Gfx::ALL {
            let target = Target::Amdgcn(gfx);
            let made = prepare(&kernel, &target)
                .map_err(|e| e.to_string())
                .and_then(|prepared| compile(&prepared, gfx).map_err(|e| e.to_string()));
            assert_eq!(
                made.is_ok(),
                shape.available(&target),
                "{} {}: {made:?}",
                shape.name(),
                gfx.name()
            );
        }
    }
}

#[test]
fn llvm_ir_of_a_guarded_store() {
    let guarded = kernel("guarded", Scalar::U32, |b, x, t| {
        let less = b.compare(Opcode::Lt, x, t);
        b.begin_if(less);
        b.ret();
        b.begin_else(&[]);
        b.end_if(&[], &[]);
        vec![b.same(Opcode::Add, &[x, t])]
    });
    let prepared = prepare(&guarded, &Target::Amdgcn(Gfx::Gfx942)).unwrap();
    let text = llvm_ir(&prepared, Gfx::Gfx942).unwrap();
    assert!(text.contains("define amdgpu_kernel void @guarded(ptr addrspace(1) noalias %arg0, ptr addrspace(1) %record)"), "{text}");
    assert!(text.contains("icmp ult i32"), "{text}");
}
