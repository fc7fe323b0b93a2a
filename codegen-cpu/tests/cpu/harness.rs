//! Compiling and running kernels, and the arrays they work on.

use kernelsmith_codegen_cpu::compile::llvm_ir;
use kernelsmith_codegen_cpu::{CpuKernel, Isa, compile};
use kernelsmith_ir::attr::{Attr, CacheHint, Const, Dim};
use kernelsmith_ir::check::ErrorRecord;
use kernelsmith_ir::{
    Builder, Kernel, Opcode, ParamKind, Scalar, Space, Target, Type, Value, passes,
};
use object::{Object, ObjectSymbol};

/// The instruction sets that this machine can run.
pub(crate) fn isas() -> Vec<Isa> {
    let mut isas = vec![Isa::Native];
    #[cfg(target_arch = "x86_64")]
    {
        let avx2 = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c")
            && is_x86_feature_detected!("bmi2");
        let avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        isas.extend(avx512.then_some(Isa::Avx512));
        isas.extend(avx2.then_some(Isa::Avx2));
        isas.push(Isa::Sse2);
    }
    isas
}

/// The least machine that x86-64 allows lacks rounding and fused multiply-add instructions.
fn may_call(isa: Isa, symbol: &str) -> bool {
    let known = ["fma", "floor", "ceil", "trunc", "roundeven"];
    let stem = symbol.strip_suffix('f').unwrap_or(symbol);
    isa == Isa::Sse2 && known.contains(&stem)
}

/// A compiled kernel with its IR, for messages.
pub(crate) struct Compiled {
    code: CpuKernel,
    pub(crate) kernel: Kernel,
    pub(crate) isa: Isa,
}

pub(crate) fn prepare(kernel: &Kernel) -> Kernel {
    passes::prepare(kernel, &Target::Cpu).unwrap_or_else(|error| panic!("{error}\n{kernel}"))
}

/// Compiles a prepared kernel, and asserts that the object is complete in itself.
pub(crate) fn build(kernel: &Kernel, block: [u32; 3], isa: Isa) -> Compiled {
    let context = || format!("{} for {isa:?}, block {block:?}\n{kernel}", kernel.name);
    let object = compile(kernel, block, isa).unwrap_or_else(|error| {
        let text = llvm_ir(kernel, block, isa).unwrap_or_default();
        panic!("{error}\n{}\n{text}", context())
    });
    let file = object::File::parse(&*object.bytes).expect("an object file");
    for symbol in file.symbols().filter(|s| s.is_undefined()) {
        let name = symbol.name().unwrap_or("?");
        assert!(name.is_empty() || may_call(isa, name), "calls `{name}`: {}", context());
    }
    let code = CpuKernel::load(&object).unwrap_or_else(|error| panic!("{error}\n{}", context()));
    Compiled { code, kernel: kernel.clone(), isa }
}

impl Compiled {
    /// Runs a grid. `args` are the addresses of arrays and the bits of scalars, in order.
    pub(crate) fn run(&self, grid: [u32; 3], args: &[u64]) -> ErrorRecord {
        self.run_with(grid, args, 0)
    }

    pub(crate) fn run_with(&self, grid: [u32; 3], args: &[u64], dynamic: u32) -> ErrorRecord {
        let (offsets, size) = self.kernel.param_layout();
        assert_eq!(args.len(), offsets.len(), "{}", self.kernel);
        let mut packed = vec![0u64; size.div_ceil(8) as usize];
        let bytes = bytes_mut(&mut packed);
        for ((param, offset), value) in self.kernel.params.iter().zip(offsets).zip(args) {
            let (at, size) = (offset as usize, self.kernel.ty(param.value).size() as usize);
            bytes[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
        }
        let mut record = ErrorRecord::default();
        // SAFETY: the tests pass arrays as large as their kernels reach, and nobody else uses them.
        unsafe { self.code.run(grid, bytes, dynamic, &mut record) };
        record
    }

    /// Runs a grid that must not fail a check.
    pub(crate) fn run_well(&self, grid: [u32; 3], args: &[u64]) {
        let record = self.run(grid, args);
        assert_eq!(record, ErrorRecord::default(), "{:?}\n{}", self.isa, self.kernel);
    }
}

fn bytes_mut(words: &mut [u64]) -> &mut [u8] {
    // SAFETY: every byte of a u64 is a valid u8, and the length covers the same memory.
    unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), words.len() * 8) }
}

/// An array of scalars in memory.
#[derive(Clone)]
pub(crate) struct Array {
    pub(crate) elem: Scalar,
    pub(crate) len: usize,
    words: Vec<u64>,
}

impl Array {
    /// Filled with bits that no test expects to find.
    pub(crate) fn new(elem: Scalar, len: usize) -> Array {
        let byte = if elem == Scalar::Bool { 0 } else { 0xa5 };
        let words = vec![u64::from_le_bytes([byte; 8]); (len * elem.size() as usize).div_ceil(8)];
        Array { elem, len, words }
    }

    pub(crate) fn of(elem: Scalar, bits: impl IntoIterator<Item = u64>) -> Array {
        let bits: Vec<u64> = bits.into_iter().collect();
        let mut array = Array::new(elem, bits.len());
        for (i, bits) in bits.into_iter().enumerate() {
            array.set(i, bits);
        }
        array
    }

    /// What a kernel gets.
    pub(crate) fn address(&mut self) -> u64 {
        self.words.as_mut_ptr() as u64
    }

    fn range(&self, i: usize) -> std::ops::Range<usize> {
        assert!(i < self.len, "{i} of {}", self.len);
        let size = self.elem.size() as usize;
        i * size..(i + 1) * size
    }

    pub(crate) fn set(&mut self, i: usize, bits: u64) {
        let range = self.range(i);
        let size = range.len();
        let bits = Const::new(self.elem, bits).bits;
        bytes_mut(&mut self.words)[range].copy_from_slice(&bits.to_le_bytes()[..size]);
    }

    pub(crate) fn get(&self, i: usize) -> Const {
        let range = self.range(i);
        let mut bits = [0; 8];
        for (to, at) in bits.iter_mut().zip(range) {
            *to = (self.words[at / 8] >> (at % 8 * 8)) as u8;
        }
        let bits = u64::from_le_bytes(bits);
        assert!(self.elem != Scalar::Bool || bits < 2, "a bool of {bits}");
        Const::new(self.elem, bits)
    }

    pub(crate) fn of_bytes(elem: Scalar, bytes: &[u8]) -> Array {
        let mut array = Array::new(elem, bytes.len() / elem.size() as usize);
        bytes_mut(&mut array.words)[..bytes.len()].copy_from_slice(bytes);
        array
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let size = self.len * self.elem.size() as usize;
        self.words.iter().flat_map(|w| w.to_le_bytes()).take(size).collect()
    }
}

/// Shorthands over the builder.
pub(crate) struct Make(pub(crate) Builder);

impl Make {
    pub(crate) fn new(name: &str) -> Make {
        Make(Builder::new(name))
    }

    pub(crate) fn input(&mut self, name: &str, elem: Scalar) -> Value {
        self.pointer(name, elem, ParamKind::ReadOnly)
    }

    pub(crate) fn output(&mut self, name: &str, elem: Scalar) -> Value {
        self.pointer(name, elem, ParamKind::Exclusive)
    }

    /// A parameter; a name that is taken gets a number.
    fn pointer(&mut self, name: &str, elem: Scalar, kind: ParamKind) -> Value {
        let params = &self.0.kernel().params;
        let name = match params.iter().any(|p| p.name == name) {
            true => format!("{name}{}", params.len()),
            false => name.to_owned(),
        };
        self.0.param(&name, Type::Ptr(Space::Global, elem), kind)
    }

    pub(crate) fn scalar(&mut self, name: &str, elem: Scalar) -> Value {
        self.0.param(name, elem.into(), ParamKind::Scalar)
    }

    pub(crate) fn u32(&mut self, x: u32) -> Value {
        self.0.constant(Const::int(Scalar::U32, x.into()))
    }

    pub(crate) fn id(&mut self, op: Opcode, dim: Dim) -> Value {
        self.0.emit1(op, Attr::Dim(dim), &[], Type::U32)
    }

    pub(crate) fn op(&mut self, op: Opcode, operands: &[Value]) -> Value {
        self.0.same(op, operands)
    }

    pub(crate) fn ty(&self, value: Value) -> Type {
        self.0.kernel().ty(value)
    }

    /// `block_idx.x * block_dim.x + thread_idx.x`.
    pub(crate) fn global_id(&mut self) -> Value {
        let [block, dim, thread] =
            [Opcode::BlockIdx, Opcode::BlockDim, Opcode::ThreadIdx].map(|op| self.id(op, Dim::X));
        let start = self.op(Opcode::Mul, &[block, dim]);
        self.op(Opcode::Add, &[start, thread])
    }

    pub(crate) fn load_at(&mut self, ptr: Value, index: Value) -> Value {
        let ty = Type::Scalar(self.ty(ptr).elem());
        self.load_as(ptr, index, ty)
    }

    pub(crate) fn load_as(&mut self, ptr: Value, index: Value, ty: Type) -> Value {
        let ptr = self.0.ptr_add(ptr, index);
        let attr = Attr::Mem { align: ty.elem().size(), cache: CacheHint::Normal };
        self.0.emit1(Opcode::Load, attr, &[ptr], ty)
    }

    pub(crate) fn store_at(&mut self, ptr: Value, index: Value, value: Value) {
        let ptr = self.0.ptr_add(ptr, index);
        self.0.store(ptr, value);
    }

    pub(crate) fn finish(self) -> Kernel {
        self.0.finish()
    }
}

/// A small generator of numbers (SplitMix64: Steele, Lea and Flood, 2014).
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
