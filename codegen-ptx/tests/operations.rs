//! Every operation on every type it is defined on, assembled for every generation.

mod common;

use common::kernels::Make;
use kernelsmith_ir::attr::{AtomicOp, Attr, CacheHint, Const, Dim, Order, ReduceOp, Scope};
use kernelsmith_ir::mma::{Family, SHAPES};
use kernelsmith_ir::op::{Availability, Class, Signature, TABLE};
use kernelsmith_ir::target::{Ptx, Target};
use kernelsmith_ir::{Kernel, Opcode, Scalar, Space, Type, Value};

const NUMBERS: [Scalar; 12] = {
    use Scalar::*;
    [I8, I16, I32, I64, U8, U16, U32, U64, F16, BF16, F32, F64]
};

/// Operations that `passes::prepare` writes in terms of others.
fn is_expanded(op: Opcode, elem: Scalar) -> bool {
    use Opcode::*;
    match op {
        Exp | Exp2 | Log | Log2 | Sin | Cos | Tanh | Erf | Pow | Agreed => true,
        Rem => elem.is_float(),
        Exp2Fast => elem != Scalar::F32,
        _ => false,
    }
}

fn is_in(class: Class, elem: Scalar) -> bool {
    match class {
        Class::Int => elem.is_int(),
        Class::Float => elem.is_float(),
        Class::Num => elem.is_num(),
        Class::Signed => elem.is_signed() || elem.is_float(),
        Class::Bits => elem.is_int() || elem == Scalar::Bool,
        Class::Any => elem.is_num() || elem == Scalar::Bool,
    }
}

fn assemble_everywhere(kernel: &Kernel) {
    for target in common::TARGETS {
        let usage = common::assemble(kernel, target).usage;
        assert_eq!(usage.spill_stores, 0, "{} for {target:?}", kernel.name);
    }
}

/// A kernel in which each tested value comes from memory and goes back there.
struct Bench {
    make: Make,
    at: u64,
}

impl Bench {
    fn new(name: String) -> Bench {
        Bench { make: Make::new(&name), at: 0 }
    }

    fn pointer(&mut self, elem: Scalar) -> Value {
        let known = format!("m_{elem}");
        let found = self.make.0.kernel().params.iter().find(|p| p.name == known).map(|p| p.value);
        let base = found.unwrap_or_else(|| self.make.output(&known, elem));
        self.at += 1;
        let index = self.make.u64(self.at * 64);
        self.make.0.ptr_add(base, index)
    }

    fn load(&mut self, ty: Type) -> Value {
        let ptr = self.pointer(ty.elem());
        self.make.0.load(ptr, ty)
    }

    fn store(&mut self, value: Value) {
        let ptr = self.pointer(self.make.0.kernel().ty(value).elem());
        self.make.0.store(ptr, value);
    }

    /// A scalar constant, or a vector from memory.
    fn constant(&mut self, ty: Type) -> Value {
        match ty {
            Type::Scalar(elem) => self.make.0.constant(Const::new(elem, 1)),
            _ => self.load(ty),
        }
    }

    /// `op` on fresh operands, and on constants.
    fn apply(&mut self, op: Opcode, operands: &[Type], result: Type) {
        let loaded: Vec<Value> = operands.iter().map(|&ty| self.load(ty)).collect();
        self.apply_to(op, &loaded, result);
        if result.lanes() == 1 {
            let mut mixed: Vec<Value> = operands.iter().map(|&ty| self.constant(ty)).collect();
            self.apply_to(op, &mixed, result);
            mixed[0] = loaded[0];
            self.apply_to(op, &mixed, result);
        }
    }

    fn apply_to(&mut self, op: Opcode, operands: &[Value], result: Type) {
        let result = self.make.0.emit1(op, Attr::None, operands, result);
        self.store(result);
    }

    fn finish(self) -> Kernel {
        self.make.finish()
    }
}

#[test]
fn elementwise_operations() {
    for elem in NUMBERS.into_iter().chain([Scalar::Bool]) {
        let mut bench = Bench::new(format!("elementwise_{elem}"));
        for row in TABLE.iter().filter(|row| !is_expanded(row.op, elem)) {
            for ty in [Type::Scalar(elem), Type::Vector(elem, 3), Type::Vector(elem, 4)] {
                let amount = ty.with_elem(Scalar::U32);
                match row.signature {
                    Signature::Unary(c) if is_in(c, elem) => bench.apply(row.op, &[ty], ty),
                    Signature::Binary(c) if is_in(c, elem) => bench.apply(row.op, &[ty; 2], ty),
                    Signature::Ternary(c) if is_in(c, elem) => bench.apply(row.op, &[ty; 3], ty),
                    Signature::Shift if elem.is_int() => bench.apply(row.op, &[ty, amount], ty),
                    Signature::Select => bench.apply(row.op, &[Type::BOOL, ty, ty], ty),
                    Signature::Compare(c) if is_in(c, elem) && ty.lanes() == 1 => {
                        bench.apply(row.op, &[ty; 2], Type::BOOL);
                    }
                    Signature::Count(c) if is_in(c, elem) && ty.lanes() == 1 => {
                        bench.apply(row.op, &[ty], Type::U32);
                    }
                    _ => {}
                }
            }
        }
        assemble_everywhere(&bench.finish());
    }
}

#[test]
fn dot_products() {
    let mut bench = Bench::new("dot_products".to_owned());
    let int = Type::Scalar(Scalar::I32);
    for a in [Type::U32, int] {
        for b in [Type::U32, int] {
            bench.apply(Opcode::Dot4, &[a, b, int], int);
        }
    }
    let float = Type::Scalar(Scalar::F32);
    bench.apply(Opcode::Dot2, &[Type::U32, Type::U32, float], float);
    assemble_everywhere(&bench.finish());
}

#[test]
fn casts() {
    for from in NUMBERS.into_iter().chain([Scalar::Bool]) {
        let mut bench = Bench::new(format!("casts_{from}"));
        for to in NUMBERS.into_iter().filter(|to| from.is_num() || to.is_int()) {
            for shape in [Type::Scalar(from), Type::Vector(from, 3), Type::Vector(from, 4)] {
                bench.apply(Opcode::Cast, &[shape], shape.with_elem(to));
            }
        }
        if from == Scalar::F32 {
            bench.apply(Opcode::Cast, &[Type::F32], Scalar::TF32.into());
            bench.apply(Opcode::Cast, &[Scalar::TF32.into()], Type::F32);
        }
        assemble_everywhere(&bench.finish());
    }
}

#[test]
fn casts_of_8_bit_floats() {
    let mut bench = Bench::new("casts_fp8".to_owned());
    for to in [Scalar::E4M3, Scalar::E5M2] {
        for ty in [Type::F32, Type::Vector(Scalar::F32, 3), Type::Vector(Scalar::F32, 4)] {
            bench.apply(Opcode::Cast, &[ty], ty.with_elem(to));
            bench.apply(Opcode::Cast, &[ty.with_elem(to)], ty);
        }
    }
    let kernel = bench.finish();
    for target in [common::sm(89, false), common::sm(90, true), common::sm(120, false)] {
        common::assemble(&kernel, target);
        let text = common::ptx(&kernel, target).text;
        assert!(text.contains("cvt.rn.satfinite.e4m3x2.f32") && text.contains(".f16x2.e5m2x2"));
    }
}

#[test]
fn bitcasts() {
    let mut bench = Bench::new("bitcasts".to_owned());
    let lanes = |elem: Scalar| [1, 2, 3, 4, 8, 16].map(|n| (elem, n));
    let types = NUMBERS.into_iter().chain([Scalar::E4M3]).flat_map(lanes);
    let types = types.map(|(elem, n)| match n {
        1 => Type::Scalar(elem),
        n => Type::Vector(elem, n),
    });
    let types: Vec<Type> = types.filter(|ty| ty.size() <= 16).collect();
    for &from in &types {
        for &to in types.iter().filter(|to| to.size() == from.size()) {
            bench.apply(Opcode::Bitcast, &[from], to);
        }
    }
    assemble_everywhere(&bench.finish());
}

#[test]
fn vector_operations() {
    let mut bench = Bench::new("vectors".to_owned());
    for elem in NUMBERS.into_iter().chain([Scalar::Bool, Scalar::E5M2]) {
        for n in [2u8, 3, 4, 7] {
            let ty = Type::Vector(elem, n);
            let lanes: Vec<Value> = (0..n).map(|_| bench.load(elem.into())).collect();
            let vector = bench.make.0.emit1(Opcode::VecMake, Attr::None, &lanes, ty);
            bench.store(vector);
            let lane = Attr::Lane(n - 1);
            let inserted =
                bench.make.0.emit1(Opcode::VecInsert, lane.clone(), &[vector, lanes[0]], ty);
            bench.store(inserted);
            let out = bench.make.0.emit1(Opcode::VecExtract, lane, &[inserted], elem.into());
            bench.store(out);
        }
    }
    assemble_everywhere(&bench.finish());
}

#[test]
fn memory_of_every_type_alignment_and_space() {
    for space in [Space::Global, Space::Shared, Space::Local] {
        let mut m = Make::new(&format!("memory_{}", space.name()));
        for elem in Scalar::ALL {
            let base = match space {
                Space::Global => m.output(elem.name(), elem),
                Space::Shared => {
                    let id = m.0.shared(elem.name(), elem, Some(64), 16);
                    let ty = m.0.kernel().shared_type(id);
                    m.0.emit1(Opcode::SharedAddr, Attr::Shared(id), &[], ty)
                }
                Space::Local => {
                    let id = m.0.local(elem, 64);
                    let ty = m.0.kernel().local_type(id);
                    m.0.emit1(Opcode::LocalAddr, Attr::Local(id), &[], ty)
                }
                Space::Cluster => unreachable!("not among these"),
            };
            let thread = m.id(Opcode::ThreadIdx, Dim::X);
            let base = m.0.ptr_add(base, thread);
            for n in [1u8, 2, 3, 4, 8, 16] {
                let ty = if n == 1 { elem.into() } else { Type::Vector(elem, n) };
                for align in [1, 2, 4, 8, 16, 32].into_iter().filter(|a| *a >= elem.size()) {
                    let value = m.load_aligned(base, ty, align);
                    m.store_aligned(base, value, align);
                }
            }
            let attr = Attr::Mem { align: elem.size(), cache: CacheHint::Streaming };
            let value = m.0.emit1(Opcode::Load, attr.clone(), &[base], elem.into());
            m.0.emit(Opcode::Store, attr, &[base, value], &[]);
        }
        assemble_everywhere(&m.finish());
    }
}

fn atomics(elem: Scalar, space: Space) -> Kernel {
    let mut bench = Bench::new(format!("atomics_{elem}_{}", space.name()));
    let base = match space {
        Space::Shared => {
            let id = bench.make.0.shared("s", elem, Some(64), 16);
            let ty = bench.make.0.kernel().shared_type(id);
            bench.make.0.emit1(Opcode::SharedAddr, Attr::Shared(id), &[], ty)
        }
        _ => bench.pointer(elem),
    };
    for &op in AtomicOp::ALL {
        if elem.is_float() && matches!(op, AtomicOp::And | AtomicOp::Or | AtomicOp::Xor) {
            continue;
        }
        for (i, &order) in Order::ALL.iter().enumerate() {
            let scope = Scope::ALL[i % Scope::ALL.len()];
            let attr = Attr::Atomic { op, order, scope };
            let value = bench.load(elem.into());
            let old =
                bench.make.0.emit1(Opcode::AtomicRmw, attr.clone(), &[base, value], elem.into());
            // Unused: a reduction.
            bench.make.0.emit1(Opcode::AtomicRmw, attr.clone(), &[base, value], elem.into());
            bench.store(old);
            let old = bench.make.0.emit1(Opcode::AtomicCas, attr, &[base, value, old], elem.into());
            bench.store(old);
        }
    }
    bench.finish()
}

#[test]
fn atomics_of_every_type() {
    for elem in NUMBERS {
        for space in [Space::Global, Space::Shared] {
            assemble_everywhere(&atomics(elem, space));
        }
    }
}

#[test]
fn cooperation() {
    for elem in NUMBERS.into_iter().chain([Scalar::Bool]) {
        let mut bench = Bench::new(format!("warp_{elem}"));
        for op in [Opcode::ShuffleIdx, Opcode::ShuffleXor, Opcode::ShuffleUp, Opcode::ShuffleDown] {
            bench.apply(op, &[elem.into(), Type::U32], elem.into());
            let (value, by) = (bench.load(elem.into()), bench.make.u32(3));
            let moved = bench.make.0.emit1(op, Attr::None, &[value, by], elem.into());
            bench.store(moved);
        }
        for &op in ReduceOp::ALL {
            let bits = matches!(op, ReduceOp::And | ReduceOp::Or | ReduceOp::Xor);
            if (bits && elem.is_float()) || (!bits && elem == Scalar::Bool) {
                continue;
            }
            for ty in [Type::Scalar(elem), Type::Vector(elem, 2)] {
                let value = bench.load(ty);
                let all = bench.make.0.emit1(Opcode::WarpReduce, Attr::Reduce(op), &[value], ty);
                bench.store(all);
            }
        }
        assemble_everywhere(&bench.finish());
    }
}

#[test]
fn ids_votes_and_synchronisation() {
    let mut bench = Bench::new("ids".to_owned());
    let ids = TABLE.iter().filter(|row| matches!(row.signature, Signature::Id(_)));
    // Those of clusters and warpgroups are in the tests of Hopper.
    for row in ids.filter(|row| row.availability == Availability::All) {
        for dim in [Dim::X, Dim::Y, Dim::Z] {
            let attr =
                if row.signature == Signature::Id(true) { Attr::Dim(dim) } else { Attr::None };
            let id = bench.make.0.emit1(row.op, attr, &[], Type::U32);
            bench.store(id);
        }
    }
    bench.apply(Opcode::VoteAll, &[Type::BOOL], Type::BOOL);
    bench.apply(Opcode::VoteAny, &[Type::BOOL], Type::BOOL);
    bench.apply(Opcode::Ballot, &[Type::BOOL], Type::U64);
    bench.make.barrier();
    bench.make.0.emit(Opcode::WarpSync, Attr::None, &[], &[]);
    for &order in Order::ALL {
        for &scope in Scope::ALL {
            bench.make.0.emit(Opcode::Fence, Attr::Fence { order, scope }, &[], &[]);
        }
    }
    let line = bench.pointer(Scalar::F32);
    bench.make.0.emit(Opcode::Prefetch, Attr::None, &[line], &[]);
    assemble_everywhere(&bench.finish());
}

fn has(target: Ptx, op: Opcode) -> bool {
    op.info().availability.on(&Target::Ptx(target))
}

#[test]
fn matrix_instructions() {
    for shape in SHAPES.iter().filter(|s| s.family == Family::MmaSync) {
        let kernel = common::kernels::one_mma(*shape);
        for target in common::TARGETS {
            if shape.available(&Target::Ptx(target)) {
                common::assemble(&kernel, target);
            } else {
                let error = kernelsmith_codegen_ptx::compile(&kernel, target).unwrap_err();
                assert!(error.to_string().contains("is not there"), "{error}");
            }
        }
    }
}

#[test]
fn matrix_loads_and_asynchronous_copies() {
    let mut m = Make::new("pipeline");
    let x = m.input("x", Scalar::F16);
    let out = m.output("out", Scalar::F16);
    let tile = m.0.shared("tile", Scalar::F16, Some(2048), 128);
    let ty = m.0.kernel().shared_type(tile);
    let tile = m.0.emit1(Opcode::SharedAddr, Attr::Shared(tile), &[], ty);
    let thread = m.id(Opcode::ThreadIdx, Dim::X);
    for bytes in [4u32, 8, 16] {
        let elements = m.u32(bytes / 2);
        let index = m.op(Opcode::Mul, &[thread, elements]);
        let (to, from) = (m.0.ptr_add(tile, index), m.0.ptr_add(x, index));
        m.0.emit(Opcode::CpAsync, Attr::Count(bytes), &[to, from], &[]);
        m.0.emit(Opcode::CpAsyncCommit, Attr::None, &[], &[]);
    }
    m.0.emit(Opcode::CpAsyncWait, Attr::Count(1), &[], &[]);
    m.0.emit(Opcode::CpAsyncWait, Attr::Count(0), &[], &[]);
    m.barrier();
    for count in [1u8, 2, 4] {
        for trans in [false, true] {
            let eight = m.u32(8);
            let row = m.op(Opcode::Mul, &[thread, eight]);
            let row = m.0.ptr_add(tile, row);
            let ty = Type::Vector(Scalar::F16, count * 2);
            let attr = Attr::Ldmatrix { count, trans };
            let loaded = m.0.emit1(Opcode::Ldmatrix, attr, &[row], ty);
            let index = m.u32(u32::from(count) * 1024 + u32::from(trans) * 512);
            let to = m.0.ptr_add(out, index);
            m.store_aligned(to, loaded, 4);
        }
    }
    let kernel = m.finish();
    for target in common::TARGETS.into_iter().filter(|t| has(*t, Opcode::CpAsync)) {
        common::assemble(&kernel, target);
        let sass = common::sass(&kernel, target);
        assert_eq!(sass.count("LDGSTS"), 3, "{}", sass.text());
        assert_eq!(sass.count("LDSM"), 6, "{}", sass.text());
    }
    let error = kernelsmith_codegen_ptx::compile(&kernel, common::sm(75, false)).unwrap_err();
    assert!(error.to_string().contains("`cp_async`"), "{error}");
}
