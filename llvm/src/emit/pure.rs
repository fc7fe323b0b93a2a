//! The pure operations.

use kernelsmith_ir::attr::Const;
use kernelsmith_ir::{Opcode, Scalar};

use super::{Writer, llvm_type, splat, suffix};

impl Writer {
    /// A pure arithmetic, comparison or conversion operation, for each lane. `from` is the element
    /// type of the first operand that is not a condition, `to` that of the result. `None` for
    /// operations that are not of this kind, or that have no LLVM form (they are expanded before).
    pub fn pure(
        &mut self,
        op: Opcode,
        operands: &[String],
        from: Scalar,
        to: Scalar,
        lanes: Option<u32>,
    ) -> Option<String> {
        use Opcode::{
            Add, And, Bitcast, Cast, Div, Eq, Ge, Gt, Le, Lt, Max, Min, Mul, MulHi, Ne, Neg, Not,
            Or, Rem, Shl, Shr, Sub, Xor,
        };
        let ty = llvm_type(from, lanes);
        let float = from.is_float();
        let simple = |w: &mut Writer, name: &str| {
            Some(w.value(format!("{name} {ty} {}, {}", operands[0], operands[1])))
        };
        match op {
            Add => simple(self, if float { "fadd" } else { "add" }),
            Sub => simple(self, if float { "fsub" } else { "sub" }),
            Mul => simple(self, if float { "fmul" } else { "mul" }),
            Div => simple(self, by_kind(from, ["fdiv", "sdiv", "udiv"])),
            Rem => simple(self, by_kind(from, ["frem", "srem", "urem"])),
            And => simple(self, "and"),
            Or => simple(self, "or"),
            Xor => simple(self, "xor"),
            Not => {
                let ones = if from == Scalar::Bool { 1 } else { -1 };
                let ones = splat(Const::int(from, ones), lanes);
                Some(self.value(format!("xor {ty} {}, {ones}", operands[0])))
            }
            Neg if float => Some(self.value(format!("fneg {ty} {}", operands[0]))),
            Neg => {
                let zero = splat(Const::int(from, 0), lanes);
                Some(self.value(format!("sub {ty} {zero}, {}", operands[0])))
            }
            Shl | Shr => Some(self.shift(op, operands, from, lanes)),
            MulHi => Some(self.mul_hi(operands, from, lanes)),
            Eq | Ne | Lt | Le | Gt | Ge => {
                let text = compare(op, from);
                Some(self.value(format!("{text} {ty} {}, {}", operands[0], operands[1])))
            }
            Cast => Some(self.cast(&operands[0], from, to, lanes)),
            Bitcast => Some(self.bits_as(&operands[0], from, to, lanes)),
            Min | Max if float && self.plain_extremes => {
                Some(self.extreme(op, operands, from, lanes))
            }
            _ => self.intrinsic(op, operands, from, to, lanes),
        }
    }

    /// `min` and `max` of floats by comparison: LLVM may call `fminf` for the intrinsic. The first
    /// selection is x86's `minps`, which gives its second operand for NaNs.
    fn extreme(
        &mut self,
        op: Opcode,
        operands: &[String],
        ty: Scalar,
        lanes: Option<u32>,
    ) -> String {
        let (text, mask) = (llvm_type(ty, lanes), llvm_type(Scalar::Bool, lanes));
        let [a, b] = [&operands[0], &operands[1]];
        let order = if op == Opcode::Min { "olt" } else { "ogt" };
        let first = self.value(format!("fcmp {order} {text} {a}, {b}"));
        let chosen = self.value(format!("select {mask} {first}, {text} {a}, {text} {b}"));
        let nan = self.value(format!("fcmp uno {text} {b}, {b}"));
        self.value(format!("select {mask} {nan}, {text} {a}, {text} {chosen}"))
    }

    fn intrinsic(
        &mut self,
        op: Opcode,
        operands: &[String],
        from: Scalar,
        to: Scalar,
        lanes: Option<u32>,
    ) -> Option<String> {
        use Opcode::{
            Abs, Ceil, CopySign, CountOnes, Floor, Fma, LeadingZeros, Max, Min, ReverseBits,
            RoundEven, Sqrt, TrailingZeros, Trunc,
        };
        let name = match op {
            Min => by_kind(from, ["minnum", "smin", "umin"]),
            Max => by_kind(from, ["maxnum", "smax", "umax"]),
            Abs if from.is_float() => "fabs",
            Abs => "abs",
            Fma => "fma",
            Sqrt => "sqrt",
            Floor => "floor",
            Ceil => "ceil",
            Trunc => "trunc",
            RoundEven => "roundeven",
            CopySign => "copysign",
            CountOnes => "ctpop",
            LeadingZeros => "ctlz",
            TrailingZeros => "cttz",
            ReverseBits => "bitreverse",
            _ => return None,
        };
        let ty = llvm_type(from, lanes);
        let mut arguments: Vec<_> = operands.iter().map(|o| (ty.clone(), o.clone())).collect();
        // Whether the result may be poison: of MIN for abs, of 0 for the counts.
        if matches!(name, "abs" | "ctlz" | "cttz") {
            arguments.push(("i1".to_owned(), "false".to_owned()));
        }
        let result = self.call(&ty, &format!("llvm.{name}.{}", suffix(from, lanes)), &arguments);
        let unsigned = match from.bits() {
            8 => Scalar::U8,
            16 => Scalar::U16,
            32 => Scalar::U32,
            _ => Scalar::U64,
        };
        match op {
            CountOnes | LeadingZeros | TrailingZeros => {
                Some(self.cast(&result, unsigned, to, lanes))
            }
            _ => Some(result),
        }
    }

    /// LLVM leaves shifts by the width or more undefined; the IR takes the amount modulo the width.
    fn shift(&mut self, op: Opcode, operands: &[String], ty: Scalar, lanes: Option<u32>) -> String {
        let text = llvm_type(ty, lanes);
        let unsigned = match ty.bits() {
            8 => Scalar::U8,
            16 => Scalar::U16,
            32 => Scalar::U32,
            _ => Scalar::U64,
        };
        let amount = self.cast(&operands[1], Scalar::U32, unsigned, lanes);
        let mask = splat(Const::int(unsigned, i128::from(ty.bits()) - 1), lanes);
        let amount = self.value(format!("and {text} {amount}, {mask}"));
        let name = match op {
            Opcode::Shl => "shl",
            _ if ty.is_signed() => "ashr",
            _ => "lshr",
        };
        self.value(format!("{name} {text} {}, {amount}", operands[0]))
    }

    fn mul_hi(&mut self, operands: &[String], ty: Scalar, lanes: Option<u32>) -> String {
        let (bits, narrow) = (ty.bits(), llvm_type(ty, lanes));
        let double = bits * 2;
        let wide = lanes.map_or(format!("i{double}"), |n| format!("<{n} x i{double}>"));
        let extend = if ty.is_signed() { "sext" } else { "zext" };
        let [a, b] =
            [0, 1].map(|i| self.value(format!("{extend} {narrow} {} to {wide}", operands[i])));
        let product = self.value(format!("mul {wide} {a}, {b}"));
        let amount = lanes.map_or(bits.to_string(), |_| format!("splat (i{double} {bits})"));
        let high = self.value(format!("lshr {wide} {product}, {amount}"));
        self.value(format!("trunc {wide} {high} to {narrow}"))
    }

    /// `if condition { yes } else { no }` on values; the condition has `mask` lanes.
    pub fn select(
        &mut self,
        condition: &str,
        mask: Option<u32>,
        ty: &str,
        [yes, no]: [&str; 2],
    ) -> String {
        let mask = llvm_type(Scalar::Bool, mask);
        self.value(format!("select {mask} {condition}, {ty} {yes}, {ty} {no}"))
    }
}

fn by_kind(ty: Scalar, [float, signed, unsigned]: [&'static str; 3]) -> &'static str {
    match ty {
        ty if ty.is_float() => float,
        ty if ty.is_signed() => signed,
        _ => unsigned,
    }
}

/// The comparison instruction. Ordered for floats, but `ne`, which holds with NaN.
fn compare(op: Opcode, ty: Scalar) -> String {
    let (name, signed) = match op {
        Opcode::Eq => return if ty.is_float() { "fcmp oeq" } else { "icmp eq" }.to_owned(),
        Opcode::Ne => return if ty.is_float() { "fcmp une" } else { "icmp ne" }.to_owned(),
        Opcode::Lt => ("lt", ty.is_signed()),
        Opcode::Le => ("le", ty.is_signed()),
        Opcode::Gt => ("gt", ty.is_signed()),
        _ => ("ge", ty.is_signed()),
    };
    match (ty.is_float(), signed) {
        (true, _) => format!("fcmp o{name}"),
        (false, true) => format!("icmp s{name}"),
        (false, false) => format!("icmp u{name}"),
    }
}
