//! Rust's `as`.

use kernelsmith_ir::Scalar;
use kernelsmith_ir::attr::Const;

use super::{Writer, llvm_type, splat, suffix};

impl Writer {
    /// `value as to`, for each lane.
    pub fn cast(&mut self, value: &str, from: Scalar, to: Scalar, lanes: Option<u32>) -> String {
        let ints = !from.is_float() && !to.is_float();
        if from == to || ints && llvm_type(from, None) == llvm_type(to, None) {
            return value.to_owned();
        }
        let small = |s| matches!(s, Scalar::F16 | Scalar::BF16);
        match (from, to) {
            (Scalar::F64, to) if small(to) => {
                let odd = self.round_to_odd(value, lanes);
                self.cast(&odd, Scalar::F32, to, lanes)
            }
            (Scalar::F32, Scalar::BF16) => self.narrow_to_bf16(value, lanes),
            (Scalar::BF16, Scalar::F32) => self.widen_bf16(value, lanes),
            (Scalar::F16, Scalar::F32) if self.soft_half => self.widen_half(value, lanes),
            (Scalar::F32, Scalar::F16) if self.soft_half => self.narrow_to_half(value, lanes),
            (Scalar::F32, Scalar::F16) => {
                let value = self.bounded_for_half(value, lanes);
                self.convert("fptrunc", &value, from, to, lanes)
            }
            // By way of f32, in which every f16 and bf16 is exact.
            (from, to) if small(from) && to != Scalar::F32 => {
                let wide = self.cast(value, from, Scalar::F32, lanes);
                self.cast(&wide, Scalar::F32, to, lanes)
            }
            (from, to) if small(to) => {
                let wide = self.cast(value, from, Scalar::F32, lanes);
                self.cast(&wide, Scalar::F32, to, lanes)
            }
            (from, to) if from.is_float() && to.is_float() => {
                let op = if from.bits() < to.bits() { "fpext" } else { "fptrunc" };
                self.convert(op, value, from, to, lanes)
            }
            (from, to) if from.is_float() && lanes.is_some() && self.plain_extremes => {
                self.saturate(value, from, to, lanes)
            }
            (from, to) if from.is_float() => {
                let op = if to.is_signed() { "llvm.fptosi.sat" } else { "llvm.fptoui.sat" };
                let name = format!("{op}.{}.{}", suffix(to, lanes), suffix(from, lanes));
                let arguments = [(llvm_type(from, lanes), value.to_owned())];
                self.call(&llvm_type(to, lanes), &name, &arguments)
            }
            (from, to) if to.is_float() => {
                let op = if from.is_signed() { "sitofp" } else { "uitofp" };
                self.convert(op, value, from, to, lanes)
            }
            (from, to) => {
                let op = match () {
                    () if from.bits() > to.bits() => "trunc",
                    () if from.is_signed() => "sext",
                    () => "zext",
                };
                self.convert(op, value, from, to, lanes)
            }
        }
    }

    /// Floats of all lanes to integers. LLVM's own saturating conversion is done lane by lane on x86;
    /// here what is out of bounds is replaced before or after a plain one, which it may not choose.
    fn saturate(&mut self, value: &str, from: Scalar, to: Scalar, lanes: Option<u32>) -> String {
        let (low, high) = kernelsmith_ir::eval::bounds(to);
        let (float, mask) = (llvm_type(from, lanes), llvm_type(Scalar::Bool, lanes));
        let bound = |x: i128| splat(Const::float(from, x as f64), lanes);
        let mut replace = |ty: &str, test: &str, x: &str, limit: &str, by: &str, or: &str| {
            let there = self.value(format!("fcmp {test} {float} {x}, {limit}"));
            self.value(format!("select {mask} {there}, {ty} {by}, {ty} {or}"))
        };
        let low = bound(low);
        let mut bounded = replace(&float, "olt", value, &low, &low, value);
        // Few bits are exact as a float, and fit 32 bits with a sign.
        let digits = if from == Scalar::F64 { 53 } else { 24 };
        let exact = to.bits() <= digits;
        if exact {
            let high = bound(high);
            bounded = replace(&float, "ogt", &bounded, &high, &high, &bounded);
        }
        let wide = if exact && to.bits() < 32 { Scalar::I32 } else { to };
        let op = if wide.is_signed() { "fptosi" } else { "fptoui" };
        let number = self.convert(op, &bounded, from, wide, lanes);
        let mut number = self.cast(&number, wide, to, lanes);
        let int = llvm_type(to, lanes);
        let mut replace = |test: &str, limit: &str, by: i128, or: &str| {
            let there = self.value(format!("fcmp {test} {float} {value}, {limit}"));
            let by = splat(Const::int(to, by), lanes);
            self.value(format!("select {mask} {there}, {int} {by}, {int} {or}"))
        };
        if !exact {
            number = replace("oge", &bound(high + 1), high, &number);
        }
        replace("uno", value, 0, &number)
    }

    fn convert(
        &mut self,
        op: &str,
        value: &str,
        from: Scalar,
        to: Scalar,
        lanes: Option<u32>,
    ) -> String {
        self.value(format!("{op} {} {value} to {}", llvm_type(from, lanes), llvm_type(to, lanes)))
    }

    /// Reinterprets the bits of each lane.
    pub fn bits_as(&mut self, value: &str, from: Scalar, to: Scalar, lanes: Option<u32>) -> String {
        if llvm_type(from, None) == llvm_type(to, None) {
            return value.to_owned();
        }
        self.convert("bitcast", value, from, to, lanes)
    }

    /// bf16 to f32: its bits are the upper half.
    fn widen_bf16(&mut self, value: &str, lanes: Option<u32>) -> String {
        let wide = self.convert("zext", value, Scalar::U16, Scalar::U32, lanes);
        let shift = splat(Const::int(Scalar::U32, 16), lanes);
        let bits = self.value(format!("shl {} {wide}, {shift}", llvm_type(Scalar::U32, lanes)));
        self.bits_as(&bits, Scalar::U32, Scalar::F32, lanes)
    }

    /// f32 to bf16, to nearest even. In integers: the processors' own instructions flush
    /// subnormals (Intel SDM, VCVTNEPS2BF16), and without them LLVM calls a library.
    fn narrow_to_bf16(&mut self, value: &str, lanes: Option<u32>) -> String {
        let ty = llvm_type(Scalar::U32, lanes);
        let c = |x: u32| splat(Const::int(Scalar::U32, x.into()), lanes);
        let bits = self.bits_as(value, Scalar::F32, Scalar::U32, lanes);
        let upper = self.value(format!("lshr {ty} {bits}, {}", c(16)));
        let odd = self.value(format!("and {ty} {upper}, {}", c(1)));
        let half = self.value(format!("add {ty} {odd}, {}", c(0x7fff)));
        let rounded = self.value(format!("add {ty} {bits}, {half}"));
        let rounded = self.value(format!("lshr {ty} {rounded}, {}", c(16)));
        // A NaN keeps its upper bits and becomes quiet, lest its payload vanish.
        let quiet = self.value(format!("or {ty} {upper}, {}", c(0x40)));
        let float = llvm_type(Scalar::F32, lanes);
        let nan = self.value(format!("fcmp uno {float} {value}, {value}"));
        let mask = llvm_type(Scalar::Bool, lanes);
        let bits = self.value(format!("select {mask} {nan}, {ty} {quiet}, {ty} {rounded}"));
        let bits = self.cast(&bits, Scalar::U32, Scalar::U16, lanes);
        self.bits_as(&bits, Scalar::U16, Scalar::BF16, lanes)
    }

    /// f64 to f32, where an inexact result gets an odd last bit: rounding it again, to at most 22
    /// bits, is then as good as rounding once (Boldo and Melquiond, "When double rounding is odd",
    /// 2005).
    fn round_to_odd(&mut self, value: &str, lanes: Option<u32>) -> String {
        let (wide, narrow) = (llvm_type(Scalar::F64, lanes), llvm_type(Scalar::F32, lanes));
        let (int, mask) = (llvm_type(Scalar::U32, lanes), llvm_type(Scalar::Bool, lanes));
        let c = |x: u32| splat(Const::int(Scalar::U32, x.into()), lanes);
        let near = self.value(format!("fptrunc {wide} {value} to {narrow}"));
        let back = self.value(format!("fpext {narrow} {near} to {wide}"));
        let inexact = self.value(format!("fcmp one {wide} {back}, {value}"));
        let bits = self.bits_as(&near, Scalar::F32, Scalar::U32, lanes);
        let last = self.value(format!("and {int} {bits}, {}", c(1)));
        let even = self.value(format!("icmp eq {int} {last}, {}", c(0)));
        let adjust = self.value(format!("and {mask} {inexact}, {even}"));
        // Toward the exact value: down in magnitude if rounding went up.
        let fabs = format!("llvm.fabs.{}", suffix(Scalar::F64, lanes));
        let magnitude = |w: &mut Writer, x: &str| w.call(&wide, &fabs, &[(wide.clone(), x.into())]);
        let (a, b) = (magnitude(self, &back), magnitude(self, value));
        let up = self.value(format!("fcmp ogt {wide} {a}, {b}"));
        let step = self.value(format!("select {mask} {up}, {int} {}, {int} {}", c(u32::MAX), c(1)));
        let moved = self.value(format!("add {int} {bits}, {step}"));
        let bits = self.value(format!("select {mask} {adjust}, {int} {moved}, {int} {bits}"));
        self.bits_as(&bits, Scalar::U32, Scalar::F32, lanes)
    }
}
