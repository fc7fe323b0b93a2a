//! Kernels as `passes::prepare` would leave them.

use kernelsmith_ir::attr::{Attr, CacheHint, CheckKind, Const, Dim, ReduceOp};
use kernelsmith_ir::mma::{MmaShape, Operand};
use kernelsmith_ir::{
    Builder, Inst, Kernel, Loc, Opcode, ParamKind, Region, Scalar, Space, Type, Value,
};

/// Shorthands over the builder.
pub struct Make(pub Builder);

impl Make {
    pub fn new(name: &str) -> Make {
        Make(Builder::new(name))
    }

    pub fn input(&mut self, name: &str, elem: Scalar) -> Value {
        self.0.param(name, Type::Ptr(Space::Global, elem), ParamKind::ReadOnly)
    }

    pub fn output(&mut self, name: &str, elem: Scalar) -> Value {
        self.0.param(name, Type::Ptr(Space::Global, elem), ParamKind::Exclusive)
    }

    pub fn scalar(&mut self, name: &str, elem: Scalar) -> Value {
        self.0.param(name, elem.into(), ParamKind::Scalar)
    }

    pub fn int(&mut self, elem: Scalar, x: i128) -> Value {
        self.0.constant(Const::int(elem, x))
    }

    pub fn u32(&mut self, x: u32) -> Value {
        self.int(Scalar::U32, x.into())
    }

    pub fn u64(&mut self, x: u64) -> Value {
        self.int(Scalar::U64, x.into())
    }

    pub fn id(&mut self, op: Opcode, dim: Dim) -> Value {
        self.0.emit1(op, Attr::Dim(dim), &[], Type::U32)
    }

    pub fn op(&mut self, op: Opcode, operands: &[Value]) -> Value {
        self.0.same(op, operands)
    }

    /// `block_idx.x * block_dim.x + thread_idx.x` as `u64`.
    pub fn global_id(&mut self) -> Value {
        let parts = [Opcode::BlockIdx, Opcode::BlockDim, Opcode::ThreadIdx];
        let [block, dim, thread] = parts.map(|op| {
            let id = self.id(op, Dim::X);
            self.0.cast(id, Scalar::U64)
        });
        let start = self.op(Opcode::Mul, &[block, dim]);
        self.op(Opcode::Add, &[start, thread])
    }

    pub fn load_at(&mut self, ptr: Value, index: Value) -> Value {
        let ptr = self.0.ptr_add(ptr, index);
        let ty = Type::Scalar(self.0.kernel().ty(ptr).elem());
        self.0.load(ptr, ty)
    }

    pub fn store_at(&mut self, ptr: Value, index: Value, value: Value) {
        let ptr = self.0.ptr_add(ptr, index);
        self.0.store(ptr, value);
    }

    /// A vector load or scalar load with a promised alignment.
    pub fn load_aligned(&mut self, ptr: Value, ty: Type, align: u32) -> Value {
        let attr = Attr::Mem { align, cache: CacheHint::Normal };
        self.0.emit1(Opcode::Load, attr, &[ptr], ty)
    }

    pub fn store_aligned(&mut self, ptr: Value, value: Value, align: u32) {
        let attr = Attr::Mem { align, cache: CacheHint::Normal };
        self.0.emit(Opcode::Store, attr, &[ptr, value], &[]);
    }

    pub fn barrier(&mut self) {
        self.0.emit(Opcode::Barrier, Attr::None, &[], &[]);
    }

    pub fn finish(self) -> Kernel {
        self.0.finish()
    }
}

/// An instruction made by hand.
pub fn inst(op: Opcode, attr: Attr, operands: &[Value], results: &[Value]) -> Inst {
    Inst {
        op,
        attr,
        operands: operands.to_vec(),
        results: results.to_vec(),
        regions: Vec::new(),
        loc: Loc::NONE,
    }
}

/// `y[i] = a * x[i] + y[i]` with bounds checks and lines.
pub fn saxpy() -> Kernel {
    let mut m = Make::new("saxpy");
    let a = m.scalar("a", Scalar::F32);
    let x = m.input("x", Scalar::F32);
    let x_len = m.scalar("x.len", Scalar::U64);
    let y = m.output("y", Scalar::F32);
    let y_len = m.scalar("y.len", Scalar::U64);
    let line = |m: &mut Make, line| {
        let loc = m.0.kernel_mut().sources.intern("src/saxpy.rs", line, 9);
        m.0.set_loc(loc);
    };
    line(&mut m, 3);
    let i = m.global_id();
    let inside = m.0.compare(Opcode::Lt, i, y_len);
    m.0.begin_if(inside);
    line(&mut m, 4);
    m.0.check_bounds(i, x_len);
    let xi = m.load_at(x, i);
    line(&mut m, 5);
    let yi = m.load_at(y, i);
    let product = m.op(Opcode::Mul, &[a, xi]);
    let sum = m.op(Opcode::Add, &[product, yi]);
    m.store_at(y, i, sum);
    m.0.begin_else(&[]);
    m.0.end_if(&[], &[]);
    m.finish()
}

/// A block's sum of 256 elements through shared memory, warps by shuffles.
pub fn block_sum() -> Kernel {
    let mut m = Make::new("block_sum");
    m.0.kernel_mut().block_dim = Some([256, 1, 1]);
    let x = m.input("x", Scalar::F32);
    let out = m.output("out", Scalar::F32);
    let partial = m.0.shared("partial", Scalar::F32, Some(8), 4);
    let i = m.global_id();
    let xi = m.load_at(x, i);
    let sum = m.0.emit1(Opcode::WarpReduce, Attr::Reduce(ReduceOp::Add), &[xi], Type::F32);
    let warp = m.0.emit1(Opcode::WarpId, Attr::None, &[], Type::U32);
    let lane = m.0.emit1(Opcode::LaneId, Attr::None, &[], Type::U32);
    let ptr = m.0.kernel().shared_type(partial);
    let partial = m.0.emit1(Opcode::SharedAddr, Attr::Shared(partial), &[], ptr);
    let (zero, eight) = (m.u32(0), m.u32(8));
    let first = m.0.compare(Opcode::Eq, lane, zero);
    m.0.begin_if(first);
    m.store_at(partial, warp, sum);
    m.0.begin_else(&[]);
    m.0.end_if(&[], &[]);
    m.barrier();
    let low = m.0.compare(Opcode::Lt, lane, eight);
    let none = m.0.constant(Const::f32(0.0));
    m.0.begin_if(low);
    let part = m.load_at(partial, lane);
    m.0.begin_else(&[part]);
    let part = m.0.end_if(&[none], &[Type::F32])[0];
    let total = m.0.emit1(Opcode::WarpReduce, Attr::Reduce(ReduceOp::Add), &[part], Type::F32);
    let thread = m.id(Opcode::ThreadIdx, Dim::X);
    let leader = m.0.compare(Opcode::Eq, thread, zero);
    m.0.begin_if(leader);
    let block = m.id(Opcode::BlockIdx, Dim::X);
    let block = m.0.cast(block, Scalar::U64);
    m.store_at(out, block, total);
    m.0.begin_else(&[]);
    m.0.end_if(&[], &[]);
    m.finish()
}

/// The `n`-th Fibonacci number: a loop whose carried values change places.
pub fn fibonacci() -> Kernel {
    let mut m = Make::new("fibonacci");
    let n = m.scalar("n", Scalar::U32);
    let out = m.output("out", Scalar::U64);
    let (zero, one) = (m.u64(0), m.u64(1));
    let lo = m.u32(0);
    let (label, iv) = m.0.begin_for(lo, n);
    m.0.end_for();
    let mut kernel = m.finish();
    let u64_ty = Type::U64;
    let [a, b, sum, ra, rb] = [(); 5].map(|()| kernel.new_value(u64_ty));
    let at = kernel.body.insts.iter().position(|i| i.op == Opcode::For).unwrap();
    let the_for = &mut kernel.body.insts[at];
    the_for.operands.extend([zero, one]);
    the_for.results = vec![ra, rb];
    the_for.regions[0] = Region {
        args: vec![iv, a, b],
        insts: vec![
            inst(Opcode::Add, Attr::None, &[a, b], &[sum]),
            inst(Opcode::Continue, Attr::Label(label), &[b, sum], &[]),
        ],
    };
    let store = Attr::Mem { align: 8, cache: CacheHint::Normal };
    kernel.body.insts.insert(at + 1, inst(Opcode::Store, store, &[out, ra], &[]));
    kernel
}

/// The first divisor of `n` above 1, by a loop left from two places, in a block.
pub fn first_divisor() -> Kernel {
    let mut m = Make::new("first_divisor");
    let n = m.scalar("n", Scalar::U32);
    let out = m.output("out", Scalar::U32);
    let (two, zero, one) = (m.u32(2), m.u32(0), m.u32(1));
    let label = m.0.begin_loop();
    let big = m.0.compare(Opcode::Ge, n, two);
    m.0.check(big, CheckKind::Assert, Some("n is at least 2"));
    m.0.brk(label);
    m.0.end_loop();
    let mut kernel = m.finish();
    let bool_ty = Type::BOOL;
    let u32_ty = Type::U32;
    let [d, rest, next, result] = [(); 4].map(|()| kernel.new_value(u32_ty));
    let hit = kernel.new_value(bool_ty);
    let at = kernel.body.insts.iter().position(|i| i.op == Opcode::Loop).unwrap();
    let the_loop = &mut kernel.body.insts[at];
    the_loop.operands = vec![two];
    the_loop.results = vec![result];
    let region = &mut the_loop.regions[0];
    region.args = vec![d];
    region.insts.pop();
    let mut choice = inst(Opcode::If, Attr::None, &[hit], &[]);
    choice.regions = vec![
        Region { args: vec![], insts: vec![inst(Opcode::Break, Attr::Label(label), &[d], &[])] },
        Region { args: vec![], insts: vec![inst(Opcode::Yield, Attr::None, &[], &[])] },
    ];
    region.insts.extend([
        inst(Opcode::Rem, Attr::None, &[n, d], &[rest]),
        inst(Opcode::Eq, Attr::None, &[rest, zero], &[hit]),
        choice,
        inst(Opcode::Add, Attr::None, &[d, one], &[next]),
        inst(Opcode::Continue, Attr::Label(label), &[next], &[]),
    ]);
    let store = Attr::Mem { align: 4, cache: CacheHint::Normal };
    kernel.body.insts.insert(at + 1, inst(Opcode::Store, store, &[out, result], &[]));
    kernel
}

/// One matrix instruction on fragments from memory.
pub fn one_mma(shape: MmaShape) -> Kernel {
    let name = shape.name().replace('.', "_");
    let mut m = Make::new(&name);
    let [a, b, c] = [("a", Operand::A), ("b", Operand::B), ("c", Operand::C)].map(|(name, o)| {
        let ty = shape.fragment_type(o);
        let ptr = match o {
            Operand::C => m.output(name, ty.elem()),
            _ => m.input(name, ty.elem()),
        };
        (ptr, ty)
    });
    let thread = m.id(Opcode::ThreadIdx, Dim::X);
    let [(_, va), (_, vb), (pc, vc)] = [a, b, c].map(|(ptr, ty)| {
        let lanes = m.u32(ty.lanes());
        let index = m.op(Opcode::Mul, &[thread, lanes]);
        let at = m.0.ptr_add(ptr, index);
        (at, m.load_aligned(at, ty, ty.size().min(16)))
    });
    let d = m.0.emit1(Opcode::Mma, Attr::Mma(shape), &[va, vb, vc], c.1);
    m.store_aligned(pc, d, c.1.size().min(16));
    m.finish()
}

/// `C = A * B` for one 16x8x16 product of f16: asynchronous copies to shared memory, matrix loads,
/// one matrix instruction. A and B are row-major; B is transposed on the way to the registers.
pub fn warp_matmul() -> Kernel {
    let mut m = Make::new("warp_matmul");
    m.0.kernel_mut().block_dim = Some([32, 1, 1]);
    let (a, b) = (m.input("a", Scalar::F16), m.input("b", Scalar::F16));
    let c = m.output("c", Scalar::F32);
    let lane = m.0.emit1(Opcode::LaneId, Attr::None, &[], Type::U32);
    let [tile_a, tile_b] = [("tile_a", 16 * 16), ("tile_b", 16 * 8)].map(|(name, len)| {
        let id = m.0.shared(name, Scalar::F16, Some(len), 16);
        let ty = m.0.kernel().shared_type(id);
        m.0.emit1(Opcode::SharedAddr, Attr::Shared(id), &[], ty)
    });
    // 16 bytes of A and 8 of B for each lane.
    for (from, to, bytes) in [(a, tile_a, 16u32), (b, tile_b, 8)] {
        let elements = m.u32(bytes / 2);
        let index = m.op(Opcode::Mul, &[lane, elements]);
        let (from, to) = (m.0.ptr_add(from, index), m.0.ptr_add(to, index));
        m.0.emit(Opcode::CpAsync, Attr::Count(bytes), &[to, from], &[]);
    }
    m.0.emit(Opcode::CpAsyncCommit, Attr::None, &[], &[]);
    m.0.emit(Opcode::CpAsyncWait, Attr::Count(0), &[], &[]);
    m.barrier();
    // Lane i has row i % 16 of the halves i / 16 of A, and row i % 16 of B.
    let (sixteen, eight) = (m.u32(16), m.u32(8));
    let row = m.op(Opcode::Rem, &[lane, sixteen]);
    let half = m.op(Opcode::Div, &[lane, sixteen]);
    let load = |m: &mut Make, tile, index, count: u8, trans| {
        let at = m.0.ptr_add(tile, index);
        let ty = Type::Vector(Scalar::F16, count * 2);
        m.0.emit1(Opcode::Ldmatrix, Attr::Ldmatrix { count, trans }, &[at], ty)
    };
    let (row_a, column) = (m.op(Opcode::Mul, &[row, sixteen]), m.op(Opcode::Mul, &[half, eight]));
    let index = m.op(Opcode::Add, &[row_a, column]);
    let fragment_a = load(&mut m, tile_a, index, 4, false);
    let row_b = m.op(Opcode::Mul, &[row, eight]);
    let fragment_b = load(&mut m, tile_b, row_b, 2, true);
    let zero = m.0.constant(Const::f32(0.0));
    let sums = Type::Vector(Scalar::F32, 4);
    let zeros = m.0.emit1(Opcode::VecMake, Attr::None, &[zero; 4], sums);
    let shape = MmaShape::from_name("mma_sync.m16n8k16.f16.f32").expect("it is in the table");
    let d = m.0.emit1(Opcode::Mma, Attr::Mma(shape), &[fragment_a, fragment_b, zeros], sums);
    // Lane i has two columns of row i / 4, and of the row 8 below.
    let four = m.u32(4);
    let (group, within) = (m.op(Opcode::Div, &[lane, four]), m.op(Opcode::Rem, &[lane, four]));
    for part in 0..2u8 {
        let pair = Type::Vector(Scalar::F32, 2);
        let lanes = [0, 1].map(|i| {
            let lane = Attr::Lane(part * 2 + i);
            m.0.emit1(Opcode::VecExtract, lane, &[d], Type::F32)
        });
        let pair = m.0.emit1(Opcode::VecMake, Attr::None, &lanes, pair);
        let (below, two) = (m.u32(u32::from(part) * 8), m.u32(2));
        let row = m.op(Opcode::Add, &[group, below]);
        let (row, column) = (m.op(Opcode::Mul, &[row, eight]), m.op(Opcode::Mul, &[within, two]));
        let index = m.op(Opcode::Add, &[row, column]);
        let to = m.0.ptr_add(c, index);
        m.store_aligned(to, pair, 8);
    }
    m.finish()
}
