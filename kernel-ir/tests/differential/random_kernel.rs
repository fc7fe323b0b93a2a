//! Random kernels of one thread.

use kernelsmith_ir::attr::{CheckKind, Const};
use kernelsmith_ir::kernel::VarId;
use kernelsmith_ir::{Builder, Kernel, Label, Opcode, ParamKind, Scalar, Space, Type, Value};

/// A small generator of numbers (xorshift64*, Marsaglia 2003 and Vigna 2016).
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Rng {
        Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 8
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// Elements of the input and of the output array: a power of two.
pub(crate) const LEN: u64 = 64;

/// Slots in an array.
const ARRAY: u32 = 3;

struct Maker {
    b: Builder,
    rng: Rng,
    /// Values of each type to choose from; those of closed regions are taken off again.
    values: Vec<Value>,
    slots: Vec<VarId>,
    /// First slots of arrays: [`ARRAY`] elements, every second slot.
    arrays: Vec<VarId>,
    /// Labels of what is open, and whether each is a loop.
    open: Vec<(Label, bool)>,
    input: Value,
    output: Value,
    /// How many more statements to make: bounds the size.
    left: u32,
}

/// A kernel made from a seed.
pub(crate) fn kernel(seed: u64) -> Kernel {
    let mut rng = Rng::new(seed);
    let mut b = Builder::new("random");
    let ptr = Type::Ptr(Space::Global, Scalar::U64);
    let input = b.param("input", ptr, ParamKind::ReadOnly);
    let output = b.param("output", ptr, ParamKind::Exclusive);
    let n = b.param("n", Type::U64, ParamKind::Scalar);
    let len = b.param("len", Type::U64, ParamKind::Scalar);
    let x = b.param("x", Type::Scalar(Scalar::I32), ParamKind::Scalar);
    let c = b.param("c", Type::BOOL, ParamKind::Scalar);
    let types = [Scalar::U64, Scalar::U64, Scalar::U32, Scalar::I32, Scalar::Bool];
    let slots = types.iter().map(|&ty| b.var("slot", ty.into())).collect();
    // Two arrays of different types, their slots taking turns.
    let first: Vec<VarId> = (0..2 * ARRAY)
        .map(|i| b.var("array", if i % 2 == 0 { Type::U64 } else { Type::U32 }))
        .collect();
    let left = 10 + rng.below(50) as u32;
    let arrays = first[..2].to_vec();
    let values = vec![n, len, x, c];
    let open = Vec::new();
    let mut maker = Maker { b, rng, values, slots, arrays, open, input, output, left };
    maker.initialise();
    maker.statements(0);
    maker.finish()
}

impl Maker {
    fn initialise(&mut self) {
        for slot in self.slots.clone() {
            // Some are left unwritten: they read as zero.
            if !self.rng.one_in(4) {
                let value = self.of_type(self.b.kernel().vars[slot.index()].ty.elem());
                self.b.var_store(slot, value);
            }
        }
        for array in self.arrays.clone() {
            for k in 0..ARRAY {
                let slot = VarId(array.0 + 2 * k);
                let value = self.of_type(self.b.kernel().vars[slot.index()].ty.elem());
                self.b.var_store(slot, value);
            }
        }
    }

    /// Makes every slot seen at the end.
    fn finish(mut self) -> Kernel {
        for slot in self.slots.clone() {
            let value = self.b.var_load(slot);
            self.emit_output(value);
        }
        self.b.finish()
    }

    fn statements(&mut self, depth: u32) {
        let known = self.values.len();
        let count = 1 + self.rng.below(6);
        for _ in 0..count {
            if self.left == 0 || self.b.is_dead() {
                break;
            }
            self.left -= 1;
            self.statement(depth);
        }
        self.values.truncate(known);
    }

    fn statement(&mut self, depth: u32) {
        let nested = depth < 5;
        match self.rng.below(20) {
            0..=2 if nested => self.branch(depth),
            3 if nested => self.branch_with_value(depth),
            4..=5 if nested => self.counted(depth),
            6..=7 if nested => self.endless(depth),
            8..=9 if nested => self.block(depth),
            10 if depth > 0 => self.jump(),
            11 => self.check(),
            12 => {
                let value = self.any();
                self.emit_output(value);
            }
            13 => self.array_access(),
            14 => {
                let at = self.address(self.input);
                let value = self.b.load(at, Type::U64);
                self.values.push(value);
            }
            15..=16 => {
                let slot = self.rng.pick(&self.slots.clone());
                let value = self.b.var_load(slot);
                self.values.push(value);
            }
            _ => {
                let slot = self.rng.pick(&self.slots.clone());
                let ty = self.b.kernel().vars[slot.index()].ty.elem();
                let value = self.operation(ty);
                self.b.var_store(slot, value);
                self.values.push(value);
            }
        }
    }

    // ---- values ----

    fn any(&mut self) -> Value {
        self.rng.pick(&self.values.clone())
    }

    fn ty(&self, value: Value) -> Scalar {
        self.b.kernel().ty(value).elem()
    }

    fn constant(&mut self, ty: Scalar) -> Value {
        let n = self.rng.pick(&[0i128, 1, 2, 3, 5, 7, 31, 64, -1, 1 << 31]);
        self.b.constant(if ty == Scalar::Bool {
            Const::bool(n & 1 == 1)
        } else {
            Const::int(ty, n)
        })
    }

    fn of_type(&mut self, ty: Scalar) -> Value {
        let known: Vec<Value> = self.values.iter().copied().filter(|&v| self.ty(v) == ty).collect();
        if known.is_empty() || self.rng.one_in(4) {
            return self.constant(ty);
        }
        self.rng.pick(&known)
    }

    /// Something computed, of a type.
    fn operation(&mut self, ty: Scalar) -> Value {
        if ty == Scalar::Bool {
            return self.condition();
        }
        let (a, b) = (self.of_type(ty), self.of_type(ty));
        match self.rng.below(10) {
            0 => {
                let source = self.any();
                if self.ty(source) == ty { source } else { self.b.cast(source, ty) }
            }
            1 => {
                let c = self.condition();
                self.b.select(c, a, b)
            }
            2 => {
                let amount = self.of_type(Scalar::U32);
                let op = self.rng.pick(&[Opcode::Shl, Opcode::Shr]);
                self.b.same(op, &[a, amount])
            }
            3 => self.divide(a, b, ty),
            _ => {
                use Opcode::{Add, And, Max, Min, Mul, MulHi, Or, Sub, Xor};
                let op = self.rng.pick(&[Add, Sub, Mul, Min, Max, And, Or, Xor, MulHi, Add, Sub]);
                self.b.same(op, &[a, b])
            }
        }
    }

    /// A quotient or remainder, its divisor checked or made odd.
    fn divide(&mut self, a: Value, b: Value, ty: Scalar) -> Value {
        let op = self.rng.pick(&[Opcode::Div, Opcode::Rem]);
        let mut divisor = b;
        if self.rng.one_in(2) && ty.is_unsigned() {
            let zero = self.b.constant(Const::int(ty, 0));
            let ok = self.b.compare(Opcode::Ne, b, zero);
            self.b.check(ok, CheckKind::DivZero, None);
        } else {
            let seven = self.b.constant(Const::int(ty, 7));
            let one = self.b.constant(Const::int(ty, 1));
            let low = self.b.same(Opcode::And, &[b, seven]);
            divisor = self.b.same(Opcode::Or, &[low, one]);
        }
        self.b.same(op, &[a, divisor])
    }

    fn condition(&mut self) -> Value {
        use Opcode::{And, Eq, Ge, Gt, Le, Lt, Ne, Not, Or};
        match self.rng.below(6) {
            0 => {
                let (a, b) = (self.of_type(Scalar::Bool), self.of_type(Scalar::Bool));
                let op = self.rng.pick(&[And, Or]);
                self.b.same(op, &[a, b])
            }
            1 => {
                let a = self.of_type(Scalar::Bool);
                self.b.same(Not, &[a])
            }
            _ => {
                let a = self.any();
                let b = self.of_type(self.ty(a));
                if self.ty(a) == Scalar::Bool {
                    return self.b.compare(Eq, a, b);
                }
                let op = self.rng.pick(&[Lt, Le, Gt, Ge, Eq, Ne, Lt, Lt]);
                let c = self.b.compare(op, a, b);
                self.values.push(c);
                c
            }
        }
    }

    // ---- memory ----

    fn address(&mut self, base: Value) -> Value {
        let index = self.of_type(Scalar::U64);
        let last = self.b.constant(Const::int(Scalar::U64, LEN as i128 - 1));
        let index = self.b.same(Opcode::And, &[index, last]);
        self.b.ptr_add(base, index)
    }

    fn emit_output(&mut self, value: Value) {
        let wide = match self.ty(value) {
            Scalar::U64 => value,
            _ => self.b.cast(value, Scalar::U64),
        };
        let at = self.address(self.output);
        self.b.store(at, wide);
    }

    fn check(&mut self) {
        let (index, len) = (self.of_type(Scalar::U64), self.of_type(Scalar::U64));
        // Mostly one that holds, so that something is left to run.
        let smaller = self.b.compare(Opcode::Lt, index, len);
        if self.rng.one_in(2) {
            self.b.begin_if(smaller);
            self.b.check_bounds(index, len);
            self.emit_output(index);
            self.b.begin_else(&[]);
            self.b.end_if(&[], &[]);
        } else {
            self.b.check_bounds(index, len);
        }
    }

    fn array_access(&mut self) {
        let array = self.rng.pick(&self.arrays.clone());
        let count = self.b.constant(Const::int(Scalar::U64, ARRAY.into()));
        let index = self.of_type(Scalar::U64);
        let index = self.b.same(Opcode::Rem, &[index, count]);
        let ty = self.b.kernel().vars[array.index()].ty.elem();
        if self.rng.one_in(2) {
            let value = self.of_type(ty);
            self.b.var_store_at(array, 2, ARRAY, index, value);
        } else {
            let value = self.b.var_load_at(array, 2, ARRAY, index);
            self.values.push(value);
        }
    }

    // ---- control ----

    fn branch(&mut self, depth: u32) {
        let c = self.condition();
        self.b.begin_if(c);
        self.statements(depth + 1);
        self.b.begin_else(&[]);
        if self.rng.one_in(2) {
            self.statements(depth + 1);
        }
        self.b.end_if(&[], &[]);
    }

    fn branch_with_value(&mut self, depth: u32) {
        let c = self.condition();
        let ty = self.rng.pick(&[Scalar::U64, Scalar::U32, Scalar::Bool]);
        let known = self.values.len();
        self.b.begin_if(c);
        self.statements(depth + 1);
        let a = self.operation(ty);
        self.values.truncate(known);
        self.b.begin_else(&[a]);
        let b = self.operation(ty);
        self.values.truncate(known);
        let results = self.b.end_if(&[b], &[ty.into()]);
        if !self.b.is_dead() {
            self.values.extend(results);
        }
    }

    fn counted(&mut self, depth: u32) {
        let lo = self.b.constant(Const::int(Scalar::U64, 0));
        let most = self.b.constant(Const::int(Scalar::U64, 3));
        let hi = match self.rng.below(4) {
            0 => self.constant(Scalar::U64),
            _ => self.of_type(Scalar::U64),
        };
        let hi = if self.rng.one_in(3) { hi } else { self.b.same(Opcode::Min, &[hi, most]) };
        let (label, i) = self.b.begin_for(lo, hi);
        self.open.push((label, true));
        let known = self.values.len();
        self.values.push(i);
        self.statements(depth + 1);
        self.values.truncate(known);
        self.open.pop();
        self.b.end_for();
    }

    /// A `loop`, left after a few iterations counted in a slot of its own.
    fn endless(&mut self, depth: u32) {
        let count = self.b.var("count", Type::U32);
        let zero = self.b.constant(Const::int(Scalar::U32, 0));
        self.b.var_store(count, zero);
        let label = self.b.begin_loop();
        self.open.push((label, true));
        let so_far = self.b.var_load(count);
        let most = self.constant(Scalar::U32);
        let three = self.b.constant(Const::int(Scalar::U32, 3));
        let most = self.b.same(Opcode::And, &[most, three]);
        let done = self.b.compare(Opcode::Ge, so_far, most);
        self.b.begin_if(done);
        self.b.brk(label);
        self.b.begin_else(&[]);
        self.b.end_if(&[], &[]);
        let one = self.b.constant(Const::int(Scalar::U32, 1));
        let next = self.b.same(Opcode::Add, &[so_far, one]);
        self.b.var_store(count, next);
        self.statements(depth + 1);
        self.open.pop();
        self.b.end_loop();
    }

    fn block(&mut self, depth: u32) {
        let label = self.b.begin_block();
        self.open.push((label, false));
        let known = self.values.len();
        self.statements(depth + 1);
        if self.rng.one_in(2) && !self.b.is_dead() {
            let c = self.condition();
            self.b.begin_if(c);
            self.b.brk(label);
            self.b.begin_else(&[]);
            self.statements(depth + 1);
            self.b.end_if(&[], &[]);
            self.statements(depth + 1);
        }
        self.values.truncate(known);
        self.open.pop();
        self.b.end_block();
    }

    fn jump(&mut self) {
        if self.open.is_empty() || self.rng.one_in(12) {
            return self.b.ret();
        }
        let (label, is_loop) = self.rng.pick(&self.open.clone());
        if is_loop && self.rng.one_in(2) { self.b.cont(label) } else { self.b.brk(label) }
    }
}
