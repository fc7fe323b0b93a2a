//! f16 to f32 and back in integers, for processors without instructions for it: LLVM would call a
//! library there, which nobody loads. And what large integers need to become f16.

use kernelsmith_ir::attr::Const;
use kernelsmith_ir::{Kernel, Opcode, Scalar};

use super::{Writer, llvm_type, splat, suffix};

/// Vector operations on the bits of floats.
struct Bits<'w> {
    w: &'w mut Writer,
    lanes: Option<u32>,
}

impl Bits<'_> {
    fn op(&mut self, name: &str, a: &str, b: &str) -> String {
        self.w.value(format!("{name} {} {a}, {b}", llvm_type(Scalar::U32, self.lanes)))
    }

    fn number(&self, x: u32) -> String {
        splat(Const::int(Scalar::U32, x.into()), self.lanes)
    }

    /// An operation with a number on the right.
    fn with(&mut self, name: &str, a: &str, b: u32) -> String {
        let b = self.number(b);
        self.op(name, a, &b)
    }

    fn choose(&mut self, condition: &str, yes: &str, no: &str) -> String {
        let ty = llvm_type(Scalar::U32, self.lanes);
        self.w.select(condition, self.lanes, &ty, [yes, no])
    }

    /// An operation on f32s, from bits to bits.
    fn float(&mut self, name: &str, a: &str, b: f32) -> String {
        let lanes = self.lanes;
        let a = self.w.bits_as(a, Scalar::U32, Scalar::F32, lanes);
        let b = splat(Const::f32(b), lanes);
        let sum = self.w.value(format!("{name} {} {a}, {b}", llvm_type(Scalar::F32, lanes)));
        self.w.bits_as(&sum, Scalar::F32, Scalar::U32, lanes)
    }
}

impl Writer {
    /// Sees whether a kernel makes floats of integers that a half float could not hold.
    pub fn look_for_large_integers(&mut self, kernel: &Kernel) {
        kernel.body.walk(&mut |inst| {
            let ([from], [to], Opcode::Cast) = (&*inst.operands, &*inst.results, inst.op) else {
                return;
            };
            let [from, to] = [from, to].map(|&value| kernel.ty(value).elem());
            self.large_integers |= !from.is_float() && from.bits() >= 32 && to.is_float();
        });
    }

    /// The value, infinite where its f16 is: LLVM takes the f16 of the float of an integer for exact
    /// if it has bits enough for the integer's digits, whatever its magnitude, and gives `a << 24`
    /// back where `(a << 24) as f32` became an infinite f16 and then an f32 (InstCombine,
    /// `isKnownExactCastIntToFP`, which forgets the exponent). It does not see through a select.
    pub(super) fn bounded_for_half(&mut self, value: &str, lanes: Option<u32>) -> String {
        if !self.large_integers {
            return value.to_owned();
        }
        let ty = llvm_type(Scalar::F32, lanes);
        let fabs = format!("llvm.fabs.{}", suffix(Scalar::F32, lanes));
        let magnitude = self.call(&ty, &fabs, &[(ty.clone(), value.to_owned())]);
        let c = |x: f32| splat(Const::f32(x), lanes);
        let large = self.value(format!("fcmp oge {ty} {magnitude}, {}", c(65520.0)));
        let infinite = self.value(format!("fmul {ty} {value}, {}", c(f32::INFINITY)));
        self.select(&large, lanes, &ty, [&infinite, value])
    }

    /// Exact: every f16 is an f32.
    pub(super) fn widen_half(&mut self, value: &str, lanes: Option<u32>) -> String {
        let half = self.bits_as(value, Scalar::F16, Scalar::U16, lanes);
        let half = self.cast(&half, Scalar::U16, Scalar::U32, lanes);
        let mut b = Bits { w: self, lanes };
        let magnitude = b.with("and", &half, 0x7fff);
        // In place, the exponent is 127 - 15 too small; multiplying mends that for subnormals too.
        let moved = b.with("shl", &magnitude, 13);
        let finite = b.float("fmul", &moved, f32::from_bits((127 + 127 - 15) << 23));
        let special = b.with("or", &finite, 0x7f80_0000);
        let is_special = b.with("icmp uge", &magnitude, 0x7c00);
        let result = b.choose(&is_special, &special, &finite);
        let sign = b.with("and", &half, 0x8000);
        let sign = b.with("shl", &sign, 16);
        let result = b.op("or", &result, &sign);
        self.bits_as(&result, Scalar::U32, Scalar::F32, lanes)
    }

    /// To nearest even.
    pub(super) fn narrow_to_half(&mut self, value: &str, lanes: Option<u32>) -> String {
        let bits = self.bits_as(value, Scalar::F32, Scalar::U32, lanes);
        let mut b = Bits { w: self, lanes };
        let magnitude = b.with("and", &bits, 0x7fff_ffff);
        // Normal results: a new exponent, and half of the last place less one if that is even.
        let last = b.with("lshr", &magnitude, 13);
        let odd = b.with("and", &last, 1);
        let rebased = b.with("sub", &magnitude, ((127 - 15) << 23) - 0xfff);
        let normal = b.op("add", &rebased, &odd);
        let normal = b.with("lshr", &normal, 13);
        // Subnormal results: beside 0.5 the last place of an f32 is 2^-24, as that of the result.
        let tiny = b.float("fadd", &magnitude, 0.5);
        let tiny = b.with("sub", &tiny, 0.5f32.to_bits());
        let is_tiny = b.with("icmp ult", &magnitude, (127 - 14) << 23);
        let finite = b.choose(&is_tiny, &tiny, &normal);
        let infinity = b.number(0x7c00);
        // 65520 lies in the middle between the greatest f16 and the power of two above it.
        let is_finite = b.with("icmp ult", &magnitude, 65520f32.to_bits());
        let result = b.choose(&is_finite, &finite, &infinity);
        let payload = b.with("and", &last, 0x3ff);
        let nan = b.with("or", &payload, 0x7e00);
        let is_nan = b.with("icmp ugt", &magnitude, 0x7f80_0000);
        let result = b.choose(&is_nan, &nan, &result);
        let sign = b.with("lshr", &bits, 16);
        let sign = b.with("and", &sign, 0x8000);
        let result = b.op("or", &result, &sign);
        let result = self.cast(&result, Scalar::U32, Scalar::U16, lanes);
        self.bits_as(&result, Scalar::U16, Scalar::F16, lanes)
    }
}
