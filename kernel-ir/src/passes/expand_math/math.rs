//! The local builder: straight-line code on scalars of one float type, with the few regions that
//! cannot be helped.

use std::collections::HashMap;

use crate::attr::{Attr, Const};
use crate::kernel::{Inst, Kernel, Label, Region, Value};
use crate::loc::Loc;
use crate::op::Opcode;
use crate::target::Target;
use crate::types::{Scalar, Type};

/// Coefficients or parts of a constant, for both types.
pub(super) struct Floats {
    /// For f32.
    pub(super) single: &'static [f32],
    /// For f64.
    pub(super) double: &'static [f64],
}

/// Writes the code of one expansion. Values are scalars of [`Math::ty`] where not said otherwise;
/// "integer" is the signed one of the same width, where bits of floats are worked on.
pub(super) struct Math<'a> {
    kernel: &'a mut Kernel,
    /// Constants stand in front, so that they are there for all regions.
    constants: Vec<Inst>,
    known: HashMap<Const, Value>,
    insts: Vec<Inst>,
    loc: Loc,
    /// What this is for.
    pub(super) target: &'a Target,
    /// The float type: f32 or f64.
    pub(super) ty: Scalar,
}

impl<'a> Math<'a> {
    pub(super) fn new(kernel: &'a mut Kernel, target: &'a Target, ty: Scalar, loc: Loc) -> Self {
        debug_assert!(matches!(ty, Scalar::F32 | Scalar::F64));
        let (constants, known, insts) = (Vec::new(), HashMap::new(), Vec::new());
        Math { kernel, constants, known, insts, loc, target, ty }
    }

    /// Appends the code to a list.
    pub(super) fn finish(self, out: &mut Vec<Inst>) {
        out.extend(self.constants);
        out.extend(self.insts);
    }

    // ---- the type ----

    /// `single` or `double`, by type.
    pub(super) fn pick<T>(&self, single: T, double: T) -> T {
        if self.ty == Scalar::F32 { single } else { double }
    }

    /// Bits of the stored mantissa.
    pub(super) fn mantissa(&self) -> u32 {
        self.pick(f32::MANTISSA_DIGITS, f64::MANTISSA_DIGITS) - 1
    }

    /// The exponent field of 1.
    pub(super) fn bias(&self) -> i64 {
        self.pick(127, 1023)
    }

    /// The integer of the same width.
    pub(super) fn int_ty(&self) -> Scalar {
        self.pick(Scalar::I32, Scalar::I64)
    }

    /// The bits of a float constant.
    pub(super) fn bits_of(&self, x: f64) -> i64 {
        Const::new(self.int_ty(), Const::float(self.ty, x).bits).as_int() as i64
    }

    /// The numbers for this type, exactly.
    pub(super) fn floats(&self, list: &Floats) -> Vec<f64> {
        match self.ty {
            Scalar::F32 => list.single.iter().map(|&x| x.into()).collect(),
            _ => list.double.to_vec(),
        }
    }

    // ---- values ----

    /// Any instruction with one result.
    pub(super) fn emit(&mut self, op: Opcode, attr: Attr, operands: &[Value], ty: Type) -> Value {
        let result = self.kernel.new_value(ty);
        self.push(op, attr, operands, vec![result], Vec::new());
        result
    }

    fn push(
        &mut self,
        op: Opcode,
        attr: Attr,
        operands: &[Value],
        results: Vec<Value>,
        regions: Vec<Region>,
    ) {
        let operands = operands.to_vec();
        self.insts.push(Inst { op, attr, operands, results, regions, loc: self.loc });
    }

    /// A constant of any type.
    pub(super) fn constant(&mut self, c: Const) -> Value {
        if let Some(&value) = self.known.get(&c) {
            return value;
        }
        let value = self.kernel.new_value(Type::Scalar(c.ty));
        self.known.insert(c, value);
        self.constants.push(Inst {
            op: Opcode::Const,
            attr: Attr::Const(c),
            operands: Vec::new(),
            results: vec![value],
            regions: Vec::new(),
            loc: self.loc,
        });
        value
    }

    /// A float constant.
    pub(super) fn float(&mut self, x: f64) -> Value {
        self.constant(Const::float(self.ty, x))
    }

    /// An integer constant.
    pub(super) fn int(&mut self, x: i64) -> Value {
        self.constant(Const::int(self.int_ty(), x.into()))
    }

    /// An operation whose result has the type of its first operand.
    pub(super) fn op<const N: usize>(&mut self, op: Opcode, operands: [Value; N]) -> Value {
        let ty = self.kernel.ty(operands[0]);
        self.emit(op, Attr::None, &operands, ty)
    }

    pub(super) fn add(&mut self, a: Value, b: Value) -> Value {
        self.op(Opcode::Add, [a, b])
    }

    pub(super) fn sub(&mut self, a: Value, b: Value) -> Value {
        self.op(Opcode::Sub, [a, b])
    }

    pub(super) fn mul(&mut self, a: Value, b: Value) -> Value {
        self.op(Opcode::Mul, [a, b])
    }

    pub(super) fn div(&mut self, a: Value, b: Value) -> Value {
        self.op(Opcode::Div, [a, b])
    }

    pub(super) fn neg(&mut self, a: Value) -> Value {
        self.op(Opcode::Neg, [a])
    }

    pub(super) fn abs(&mut self, a: Value) -> Value {
        self.op(Opcode::Abs, [a])
    }

    /// `a * b + c`, rounded once.
    pub(super) fn fma(&mut self, a: Value, b: Value, c: Value) -> Value {
        self.op(Opcode::Fma, [a, b, c])
    }

    /// `c - a * b`, rounded once.
    pub(super) fn fnma(&mut self, a: Value, b: Value, c: Value) -> Value {
        let a = self.neg(a);
        self.fma(a, b, c)
    }

    pub(super) fn and(&mut self, a: Value, b: Value) -> Value {
        self.op(Opcode::And, [a, b])
    }

    pub(super) fn or(&mut self, a: Value, b: Value) -> Value {
        self.op(Opcode::Or, [a, b])
    }

    pub(super) fn xor(&mut self, a: Value, b: Value) -> Value {
        self.op(Opcode::Xor, [a, b])
    }

    /// Shifts left by a constant.
    pub(super) fn shl(&mut self, a: Value, by: u32) -> Value {
        let by = self.constant(Const::int(Scalar::U32, by.into()));
        self.op(Opcode::Shl, [a, by])
    }

    /// Shifts right by a constant.
    pub(super) fn shr(&mut self, a: Value, by: u32) -> Value {
        let by = self.constant(Const::int(Scalar::U32, by.into()));
        self.op(Opcode::Shr, [a, by])
    }

    /// A comparison.
    pub(super) fn compare(&mut self, op: Opcode, a: Value, b: Value) -> Value {
        self.emit(op, Attr::None, &[a, b], Type::BOOL)
    }

    /// A comparison with a float constant.
    pub(super) fn compare_to(&mut self, op: Opcode, a: Value, b: f64) -> Value {
        let b = self.float(b);
        self.compare(op, a, b)
    }

    pub(super) fn select(&mut self, condition: Value, a: Value, b: Value) -> Value {
        let ty = self.kernel.ty(a);
        self.emit(Opcode::Select, Attr::None, &[condition, a, b], ty)
    }

    pub(super) fn cast(&mut self, a: Value, to: Scalar) -> Value {
        self.emit(Opcode::Cast, Attr::None, &[a], Type::Scalar(to))
    }

    pub(super) fn bitcast(&mut self, a: Value, to: Scalar) -> Value {
        self.emit(Opcode::Bitcast, Attr::None, &[a], Type::Scalar(to))
    }

    /// A float's bits as integer.
    pub(super) fn bits(&mut self, a: Value) -> Value {
        self.bitcast(a, self.int_ty())
    }

    /// The float of these bits.
    pub(super) fn of_bits(&mut self, a: Value) -> Value {
        self.bitcast(a, self.ty)
    }

    // ---- idioms ----

    /// `min(x, limit)`, but NaN stays; a single instruction on x86, and two on the GPUs.
    pub(super) fn at_most(&mut self, x: Value, limit: f64) -> Value {
        let limit = self.float(limit);
        let over = self.compare(Opcode::Gt, x, limit);
        self.select(over, limit, x)
    }

    /// `max(x, limit)`, but NaN stays.
    pub(super) fn at_least(&mut self, x: Value, limit: f64) -> Value {
        let limit = self.float(limit);
        let under = self.compare(Opcode::Lt, x, limit);
        self.select(under, limit, x)
    }

    /// A polynomial, by Horner's rule.
    pub(super) fn polynomial(&mut self, coefficients: &Floats, x: Value) -> Value {
        let list = self.floats(coefficients);
        let mut sum = self.float(list[list.len() - 1]);
        for &c in list[..list.len() - 1].iter().rev() {
            let c = self.float(c);
            sum = self.fma(sum, x, c);
        }
        sum
    }

    /// The float that rounds what is added to it to an integer, with that integer plus `offset` in
    /// the lowest bits of the sum; the integer is the sum minus this.
    pub(super) fn rounder(&self, offset: i64) -> f64 {
        1.5 * 2f64.powi(self.mantissa() as i32) + offset as f64
    }

    /// `2^n` from the sum of a [`rounder`](Self::rounder) of offset `bias` and `n`: the shift drops
    /// all bits but the sum's lowest, which are the exponent field.
    pub(super) fn power_of_two(&mut self, sum: Value) -> Value {
        let bits = self.bits(sum);
        let field = self.shl(bits, self.mantissa());
        self.of_bits(field)
    }

    // ---- regions ----

    /// The instructions that `body` writes, ended by what it returns.
    pub(super) fn region(
        &mut self,
        args: Vec<Value>,
        body: impl FnOnce(&mut Self) -> (Opcode, Attr, Vec<Value>),
    ) -> Region {
        let outside = std::mem::take(&mut self.insts);
        let (op, attr, operands) = body(self);
        self.push(op, attr, &operands, Vec::new(), Vec::new());
        Region { args, insts: std::mem::replace(&mut self.insts, outside) }
    }

    /// An `if`, or with a label as attribute a `loop`.
    pub(super) fn control(
        &mut self,
        op: Opcode,
        attr: Attr,
        operands: &[Value],
        results: &[Scalar],
        regions: Vec<Region>,
    ) -> Vec<Value> {
        let results: Vec<Value> =
            results.iter().map(|&ty| self.kernel.new_value(Type::Scalar(ty))).collect();
        self.push(op, attr, operands, results.clone(), regions);
        results
    }

    /// A value for a region to define on entry.
    pub(super) fn argument(&mut self) -> Value {
        self.kernel.new_value(Type::Scalar(self.ty))
    }

    pub(super) fn label(&mut self) -> Label {
        self.kernel.new_label()
    }
}
