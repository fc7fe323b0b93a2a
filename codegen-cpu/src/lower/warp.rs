//! Working with the other lanes of the warp.

use kernelsmith_ir::attr::ReduceOp;
use kernelsmith_ir::{Attr, Inst, Opcode, Scalar, Type};

use super::value::{LANES, Lanes};
use super::{Lowering, MASK, vector_text};
use crate::Error;

impl Lowering<'_> {
    pub(super) fn cooperate(&mut self, inst: &Inst) -> Result<(), Error> {
        let value = self.get(inst.operands[0]);
        match inst.op {
            Opcode::WarpReduce => {
                let ty = Type::Scalar(self.ty(inst.operands[0]).elem());
                let reduced = match &value {
                    Lanes::Parts(parts) => Lanes::Parts(
                        parts
                            .iter()
                            .map(|part| self.reduce(inst, part, ty))
                            .collect::<Result<_, _>>()?,
                    ),
                    value => self.reduce(inst, value, ty)?,
                };
                self.define(inst, reduced);
            }
            Opcode::Ballot => {
                let mask = self.holding(&value, false);
                let bits = self.mask_bits(&mask);
                let bits = self.w.value(format!("zext i32 {bits} to i64"));
                self.define(inst, Lanes::Uniform(bits));
            }
            Opcode::VoteAny => {
                let mask = self.holding(&value, false);
                let any = self.any(&mask);
                self.define(inst, Lanes::Uniform(any));
            }
            Opcode::VoteAll => {
                let mask = self.holding(&value, true);
                let any = self.any(&mask);
                let none = self.w.value(format!("xor i1 {any}, true"));
                self.define(inst, Lanes::Uniform(none));
            }
            _ => {
                let ty = Type::Scalar(self.ty(inst.operands[0]).elem());
                let moved = match &value {
                    Lanes::Parts(parts) => Lanes::Parts(
                        parts.iter().map(|part| self.shuffle(inst, part, ty)).collect(),
                    ),
                    value => self.shuffle(inst, value, ty),
                };
                self.define(inst, moved);
            }
        }
        Ok(())
    }

    /// The active lanes for which a condition holds, or does not.
    fn holding(&mut self, condition: &Lanes, opposite: bool) -> String {
        let condition = self.vector(condition, Type::BOOL);
        let condition = if opposite { self.mask_not(&condition) } else { condition };
        let mask = self.mask_and(&condition);
        // Constants have no type of their own to be cast from.
        match mask.starts_with('%') {
            true => mask,
            false => self.w.value(format!("or {MASK} {mask}, zeroinitializer")),
        }
    }

    fn shuffle(&mut self, inst: &Inst, value: &Lanes, ty: Type) -> Lanes {
        if let Lanes::Uniform(_) = value {
            return value.clone();
        }
        if ty == Type::BOOL {
            // In memory a `bool` is a byte.
            let bits = self.vector(value, ty);
            let bytes = Lanes::Vector(self.w.cast(&bits, Scalar::Bool, Scalar::U8, Some(LANES)));
            let moved = self.shuffle(inst, &bytes, Scalar::U8.into());
            let moved = self.vector(&moved, Scalar::U8.into());
            return Lanes::Vector(self.w.value(format!("trunc <{LANES} x i8> {moved} to {MASK}")));
        }
        let moved = self.moved(inst, value, ty);
        let threads = super::threads(self.block);
        if inst.op != Opcode::ShuffleDown || threads.is_multiple_of(LANES) {
            return moved;
        }
        // Only lanes that the last warp has are read from.
        let ints = format!("<{LANES} x i32>");
        let (own, amount) = (self.lane_multiples(1, "i32"), self.get(inst.operands[1]));
        let amount = self.vector(&amount, Type::U32);
        let source = self.w.value(format!("add {ints} {own}, {amount}"));
        let before = self.w.value(format!("mul i32 {}, {LANES}", self.warp));
        let left = self.w.value(format!("sub i32 {threads}, {before}"));
        let left = self.splat(&left, Type::U32);
        let there = self.w.value(format!("icmp ult {ints} {source}, {left}"));
        let (text, moved, own) = (vector_text(ty), self.vector(&moved, ty), self.vector(value, ty));
        let value = self.w.value(format!("select {MASK} {there}, {text} {moved}, {text} {own}"));
        Lanes::Vector(value)
    }

    /// What a shuffle moves, whether the lanes it comes from are there or not.
    fn moved(&mut self, inst: &Inst, value: &Lanes, ty: Type) -> Lanes {
        let text = vector_text(ty);
        let value = self.vector(value, ty);
        let amount = self.get(inst.operands[1]);
        if let Some(n) = amount.uniform().and_then(|n| n.parse::<u32>().ok()) {
            let lanes: Vec<String> =
                (0..LANES).map(|lane| format!("i32 {}", source(inst.op, lane, n))).collect();
            let value = self.w.value(format!(
                "shufflevector {text} {value}, {text} poison, <{LANES} x i32> <{}>",
                lanes.join(", ")
            ));
            return Lanes::Vector(value);
        }
        // Through memory, by an index for each lane.
        let lanes = self.source_lanes(inst.op, &amount);
        let slot = self.slot(&text);
        self.w.line(format!("store {text} {value}, ptr {slot}"));
        let scalar = super::scalar_text(ty);
        let ints = format!("<{LANES} x i32>");
        let pointers = self.w.value(format!("getelementptr {scalar}, ptr {slot}, {ints} {lanes}"));
        let suffix = kernelsmith_llvm::emit::suffix(ty.elem(), Some(LANES));
        let name = format!("llvm.masked.gather.{suffix}.v{LANES}p0");
        let ptrs = format!("<{LANES} x ptr>");
        self.w.declare(format!("declare {text} @{name}({ptrs}, i32, {MASK}, {text})"));
        let value = self.w.value(format!(
            "call {text} @{name}({ptrs} {pointers}, i32 {}, {MASK} splat (i1 true), {text} poison)",
            ty.size()
        ));
        Lanes::Vector(value)
    }

    /// The lane each lane reads from.
    fn source_lanes(&mut self, op: Opcode, amount: &Lanes) -> String {
        let ints = format!("<{LANES} x i32>");
        let amount = self.vector(amount, Type::U32);
        let own = self.lane_multiples(1, "i32");
        match op {
            Opcode::ShuffleIdx => {
                self.w.value(format!("and {ints} {amount}, splat (i32 {})", LANES - 1))
            }
            Opcode::ShuffleXor => {
                let lane = self.w.value(format!("xor {ints} {own}, {amount}"));
                self.w.value(format!("and {ints} {lane}, splat (i32 {})", LANES - 1))
            }
            _ => {
                let name = if op == Opcode::ShuffleUp { "sub" } else { "add" };
                let lane = self.w.value(format!("{name} {ints} {own}, {amount}"));
                let small = self.w.value(format!("icmp ult {ints} {amount}, splat (i32 {LANES})"));
                let inside = self.w.value(format!("icmp ult {ints} {lane}, splat (i32 {LANES})"));
                let valid = self.w.value(format!("and {MASK} {small}, {inside}"));
                self.w.value(format!("select {MASK} {valid}, {ints} {lane}, {ints} {own}"))
            }
        }
    }

    /// By halves: the order of the butterfly, whose lanes all end with the same bits.
    fn reduce(&mut self, inst: &Inst, value: &Lanes, ty: Type) -> Result<Lanes, Error> {
        let Attr::Reduce(reduction) = inst.attr else {
            return Err(self.unsupported(inst, "it has no reduction"));
        };
        let ty = ty.elem();
        let op = reduction.opcode();
        let mut vector = self.vector(value, ty.into());
        if let Some(mask) = self.mask.clone() {
            let text = vector_text(ty.into());
            let neutral = kernelsmith_llvm::emit::splat(neutral(reduction, ty), Some(LANES));
            vector =
                self.w.value(format!("select {MASK} {mask}, {text} {vector}, {text} {neutral}"));
        }
        let mut len = LANES;
        while len > 1 {
            let text = kernelsmith_llvm::emit::llvm_type(ty, Some(len));
            let half = len / 2;
            let mut part = |from: u32| {
                let lanes: Vec<String> =
                    (from..from + half).map(|lane| format!("i32 {lane}")).collect();
                self.w.value(format!(
                    "shufflevector {text} {vector}, {text} poison, <{half} x i32> <{}>",
                    lanes.join(", ")
                ))
            };
            let halves = [part(0), part(half)];
            vector = match ty {
                Scalar::F16 | Scalar::BF16 => {
                    self.small(op, &[&halves[0], &halves[1]], ty, Some(half))
                }
                _ => self
                    .w
                    .pure(op, &halves, ty, ty, Some(half))
                    .ok_or_else(|| self.unsupported(inst, format!("reductions of {ty}")))?,
            };
            len = half;
        }
        let text = kernelsmith_llvm::emit::llvm_type(ty, Some(1));
        let value = self.w.value(format!("extractelement {text} {vector}, i32 0"));
        Ok(Lanes::Uniform(value))
    }
}

/// The lane that `lane` reads from when the amount is known.
fn source(op: Opcode, lane: u32, n: u32) -> u32 {
    match op {
        Opcode::ShuffleIdx => n % LANES,
        Opcode::ShuffleXor => (lane ^ n) % LANES,
        Opcode::ShuffleUp => lane.checked_sub(n).unwrap_or(lane),
        _ => lane.checked_add(n).filter(|&l| l < LANES).unwrap_or(lane),
    }
}

/// What lanes that are off contribute.
fn neutral(op: ReduceOp, ty: Scalar) -> kernelsmith_ir::attr::Const {
    use kernelsmith_ir::attr::Const;
    use kernelsmith_ir::eval::bounds;
    match (op, ty.is_float()) {
        // x + -0.0 is x for every x.
        (ReduceOp::Add, true) => Const::float(ty, -0.0),
        // A NaN operand is ignored.
        (ReduceOp::Min | ReduceOp::Max, true) => Const::float(ty, f64::NAN),
        (ReduceOp::Min, false) => Const::int(ty, bounds(ty).1),
        (ReduceOp::Max, false) => Const::int(ty, bounds(ty).0),
        (ReduceOp::And, _) => Const::new(ty, u64::MAX),
        _ => Const::new(ty, 0),
    }
}
