//! The identities, by the kind of operation.

use super::{Definition, Folder, Simpler, Term};
use crate::attr::{Attr, Const};
use crate::eval::{bounds, eval};
use crate::kernel::{Inst, Value};
use crate::op::Opcode;
use crate::types::{Scalar, Type};

use Opcode::{
    Abs, Add, And, Bitcast, Cast, Div, Eq, Ge, Gt, Le, Lt, Max, Min, Mul, Ne, Neg, Not, Or, PtrAdd,
    Rem, Select, Shl, Shr, Sub, VecExtract, VecInsert, VecMake, Xor,
};

/// How many operations deep divisibility is looked for.
const DEPTH: u32 = 6;

impl Folder<'_> {
    /// The first rule that applies.
    pub(super) fn rules(&self, inst: &Inst) -> Option<Simpler> {
        match inst.op {
            VecExtract => self.extract(inst),
            VecMake => self.remake(inst),
            PtrAdd => self.pointer(inst),
            Select => self.select(inst),
            Cast | Bitcast => self.cast(inst),
            Neg | Not | Abs => self.unary(inst),
            Eq | Ne | Lt | Le | Gt | Ge => self.compare(inst),
            _ => match self.kernel.ty(*inst.results.first()?) {
                Type::Scalar(ty) if ty.is_float() => self.float(inst, ty),
                Type::Scalar(ty) if inst.operands.len() == 2 => self.int(inst, ty),
                _ => None,
            },
        }
    }

    fn int(&self, inst: &Inst, ty: Scalar) -> Option<Simpler> {
        let (a, b) = (inst.operands[0], inst.operands[1]);
        let commutes = matches!(inst.op, Add | Mul | And | Or | Xor | Min | Max);
        // Constants stand on the right, so the rules need look nowhere else.
        if commutes && self.constant(a).is_some() && self.constant(b).is_none() {
            return Some(op(inst.op, &[b, a]));
        }
        let right = self.constant(b).map(Const::as_int);
        let zero = Const::new(ty, 0);
        let ones = Const::new(ty, u64::MAX).as_int();
        match (inst.op, right) {
            (Add | Sub | Or | Xor | Shl | Shr, Some(0)) => return Some(Simpler::Value(a)),
            (Mul | Div, Some(1)) => return Some(Simpler::Value(a)),
            (Mul | And, Some(0)) | (Rem, Some(1)) => return Some(Simpler::Const(zero)),
            (And, Some(x)) if x == ones => return Some(Simpler::Value(a)),
            // The bits below a multiple of a power of two.
            (And, Some(x)) if x >= 0 && x >> self.factors_of_two(a, DEPTH) == 0 => {
                return Some(Simpler::Const(zero));
            }
            (Or, Some(x)) if x == ones => return Some(Simpler::Const(Const::int(ty, x))),
            (Xor, Some(x)) if x == ones => return Some(op(Not, &[a])),
            _ => {}
        }
        if a == b {
            match inst.op {
                Sub | Xor => return Some(Simpler::Const(zero)),
                And | Or | Min | Max => return Some(Simpler::Value(a)),
                _ => {}
            }
        }
        if matches!(inst.op, And | Or) && (self.negates(a, b) || self.negates(b, a)) {
            let all = if inst.op == And { zero } else { Const::int(ty, ones) };
            return Some(Simpler::Const(all));
        }
        if inst.op == Sub {
            return self.difference(a, b, ty);
        }
        self.reassociate(inst, ty).or_else(|| self.pull_constant(inst, ty))
    }

    /// How often an integer is surely divisible by two: its lowest bits that are 0.
    fn factors_of_two(&self, value: Value, depth: u32) -> u32 {
        if let Some(c) = self.constant(value) {
            return if c.bits == 0 { c.ty.bits() } else { c.bits.trailing_zeros() };
        }
        let Some(Definition { op, operands, .. }) = self.def(value).filter(|_| depth > 0) else {
            return 0;
        };
        let of = |i: usize| self.factors_of_two(operands[i], depth - 1);
        let Type::Scalar(ty) = self.kernel.ty(value) else { return 0 };
        let factors = match op {
            Mul => of(0) + of(1),
            Add | Sub | Or | Xor => of(0).min(of(1)),
            And => of(0).max(of(1)),
            Shl => match self.constant(operands[1]) {
                Some(by) => of(0) + (by.bits as u32 & (ty.bits() - 1)),
                None => of(0),
            },
            Cast if self.kernel.ty(operands[0]).elem().is_int() => of(0),
            _ => 0,
        };
        factors.min(ty.bits())
    }

    /// `(x + y) - y` is `x`, and `(x + c) * z - x * z` is `z * c`: the lengths of slices between
    /// multiples of something, which then are known to be what they look like.
    fn difference(&self, a: Value, b: Value, ty: Scalar) -> Option<Simpler> {
        if let Some(sum) = self.def(a).filter(|d| d.op == Add) {
            match sum.operands[..] {
                [x, y] if y == b => return Some(Simpler::Value(x)),
                [x, y] if x == b => return Some(Simpler::Value(y)),
                _ => {}
            }
        }
        let (c, factors) = self.gap(a, b, ty)?;
        match factors[..] {
            [] => Some(Simpler::Const(c)),
            [x] => Some(Simpler::Op(Mul, vec![Term::Value(x), Term::Const(c)])),
            [x, y] => Some(Simpler::Op(Mul, vec![Term::Op(Mul, [x, y]), Term::Const(c)])),
            _ => None,
        }
    }

    /// `a - b`, if it is a constant times values that are factors of both.
    fn gap(&self, a: Value, b: Value, ty: Scalar) -> Option<(Const, Vec<Value>)> {
        let zero = Const::new(ty, 0);
        let [(x, c), (y, d)] = [a, b].map(|v| self.offset(v).unwrap_or((v, zero)));
        if x == y {
            return Some((eval(Sub, &[c, d], ty)?, Vec::new()));
        }
        let [p, q] = [a, b].map(|v| self.def(v).filter(|d| d.op == Mul));
        let (p, q) = (&p?.operands, &q?.operands);
        let (p, q, shared) = if p[1] == q[1] {
            (p[0], q[0], p[1])
        } else if p[0] == q[0] {
            (p[1], q[1], p[0])
        } else {
            return None;
        };
        let (mut c, mut factors) = self.gap(p, q, ty)?;
        match self.constant(shared) {
            Some(factor) => c = eval(Mul, &[c, factor], ty)?,
            None => factors.push(shared),
        }
        Some((c, factors))
    }

    /// A value that is another plus a constant.
    fn offset(&self, value: Value) -> Option<(Value, Const)> {
        let d = self.def(value).filter(|d| d.op == Add)?;
        Some((d.operands[0], self.constant(d.operands[1])?))
    }

    /// Constants move out of sums and of multiples of sums, so that indices which differ by a
    /// constant share all the rest: `(x + c) + y` is `(x + y) + c`, `(x + c) * d` is `x * d + c * d`.
    fn pull_constant(&self, inst: &Inst, ty: Scalar) -> Option<Simpler> {
        let (a, b) = (inst.operands[0], inst.operands[1]);
        let right = self.constant(b);
        match inst.op {
            Add if right.is_none() => {
                let (term, other, c) = match (self.offset(a), self.offset(b)) {
                    (Some((x, c)), _) => (x, b, c),
                    (None, Some((y, c))) => (a, y, c),
                    _ => return None,
                };
                Some(Simpler::Op(Add, vec![Term::Op(Add, [term, other]), Term::Const(c)]))
            }
            Mul => {
                let (x, c) = self.offset(a)?;
                let product = eval(Mul, &[c, right?], ty)?;
                Some(Simpler::Op(Add, vec![Term::Op(Mul, [x, b]), Term::Const(product)]))
            }
            _ => None,
        }
    }

    /// `(x op c) op d` is `x op (c op d)`.
    fn reassociate(&self, inst: &Inst, ty: Scalar) -> Option<Simpler> {
        if !matches!(inst.op, Add | Mul | And | Or | Xor | Min | Max) {
            return None;
        }
        let outer = self.constant(inst.operands[1])?;
        let inner = self.def(inst.operands[0]).filter(|d| d.op == inst.op)?;
        let c = eval(inst.op, &[self.constant(inner.operands[1])?, outer], ty)?;
        Some(Simpler::Op(inst.op, vec![Term::Value(inner.operands[0]), Term::Const(c)]))
    }

    fn float(&self, inst: &Inst, ty: Scalar) -> Option<Simpler> {
        let &[a, b] = &inst.operands[..] else { return None };
        if matches!(inst.op, Add | Mul) && self.constant(a).is_some() && self.constant(b).is_none()
        {
            return Some(op(inst.op, &[b, a]));
        }
        let c = self.constant(b)?;
        let is = |x: f64| c == Const::float(ty, x);
        match inst.op {
            // x - 0 and x + -0 are x, for -0 too; x + 0 is not.
            Add if is(-0.0) => Some(Simpler::Value(a)),
            Sub if is(0.0) => Some(Simpler::Value(a)),
            Mul | Div if is(1.0) => Some(Simpler::Value(a)),
            Div => {
                let inverse = inverse(c)?;
                Some(Simpler::Op(Mul, vec![Term::Value(a), Term::Const(inverse)]))
            }
            _ => None,
        }
    }

    fn unary(&self, inst: &Inst) -> Option<Simpler> {
        let inner = self.def(inst.operands[0])?;
        match (inst.op, inner.op) {
            (Neg, Neg) | (Not, Not) => Some(Simpler::Value(inner.operands[0])),
            (Abs, Abs) => Some(Simpler::Value(inst.operands[0])),
            (Abs, Neg) => Some(op(Abs, &inner.operands)),
            (Not, compare) => {
                let ordered = self.kernel.ty(inner.operands.first().copied()?).elem();
                let opposite = opposite(compare)?;
                // With NaN neither `<` nor `>=` holds.
                let exact = !ordered.is_float() || matches!(compare, Eq | Ne);
                exact.then(|| op(opposite, &inner.operands))
            }
            _ => None,
        }
    }

    fn compare(&self, inst: &Inst) -> Option<Simpler> {
        let (a, b) = (inst.operands[0], inst.operands[1]);
        if self.constant(a).is_some() && self.constant(b).is_none() {
            return Some(op(swapped(inst.op), &[b, a]));
        }
        let Type::Scalar(ty) = self.kernel.ty(a) else { return None };
        if ty.is_float() {
            return None;
        }
        let known = |x: bool| Some(Simpler::Const(Const::bool(x)));
        if a == b {
            return known(matches!(inst.op, Eq | Le | Ge));
        }
        let c = self.constant(b)?.as_int();
        if ty == Scalar::Bool {
            return match inst.op {
                Eq | Ne if (c != 0) == (inst.op == Eq) => Some(Simpler::Value(a)),
                Eq | Ne => Some(op(Not, &[a])),
                _ => None,
            };
        }
        let (least, most) = bounds(ty);
        match inst.op {
            Lt if c == least => known(false),
            Ge if c == least => known(true),
            Gt if c == most => known(false),
            Le if c == most => known(true),
            _ => None,
        }
    }

    fn select(&self, inst: &Inst) -> Option<Simpler> {
        let &[c, a, b] = &inst.operands[..] else { return None };
        if a == b {
            return Some(Simpler::Value(a));
        }
        if let Some(c) = self.constant(c) {
            return Some(Simpler::Value(if c.bits != 0 { a } else { b }));
        }
        let condition = self.def(c);
        if let Some(d) = condition.filter(|d| d.op == Not) {
            return Some(op(Select, &[d.operands[0], b, a]));
        }
        let ty = self.kernel.ty(a);
        if ty == Type::BOOL {
            let bit = |v| self.constant(v).map(|c| c.bits);
            match (bit(a), bit(b)) {
                (Some(1), Some(0)) => return Some(Simpler::Value(c)),
                (Some(0), Some(1)) => return Some(op(Not, &[c])),
                (None, Some(0)) => return Some(op(And, &[c, a])),
                (Some(1), None) => return Some(op(Or, &[c, b])),
                _ => {}
            }
        }
        let d = condition.filter(|_| ty.elem().is_int() && matches!(ty, Type::Scalar(_)))?;
        let smaller_first = matches!(d.op, Lt | Le);
        if !smaller_first && !matches!(d.op, Gt | Ge) {
            return None;
        }
        if d.operands == [a, b] {
            Some(op(if smaller_first { Min } else { Max }, &[a, b]))
        } else if d.operands == [b, a] {
            Some(op(if smaller_first { Max } else { Min }, &[a, b]))
        } else {
            None
        }
    }

    fn cast(&self, inst: &Inst) -> Option<Simpler> {
        let source = inst.operands[0];
        let (from, to) = (self.kernel.ty(source), self.kernel.ty(inst.result()));
        if from == to {
            return Some(Simpler::Value(source));
        }
        let inner = self.def(source).filter(|d| d.op == inst.op)?;
        let first = self.kernel.ty(inner.operands[0]);
        let (a, b, c) = (first.elem(), from.elem(), to.elem());
        let direct = inst.op == Bitcast || self::direct(a, b, c);
        direct.then(|| op(inst.op, &inner.operands))
    }

    fn pointer(&self, inst: &Inst) -> Option<Simpler> {
        let (pointer, index) = (inst.operands[0], inst.operands[1]);
        let Some(offset) = self.constant(index) else { return self.move_variable_first(inst) };
        if offset.as_int() == 0 {
            return Some(Simpler::Value(pointer));
        }
        let inner = self.def(pointer).filter(|d| d.op == PtrAdd)?;
        let sum = signed(self.constant(inner.operands[1])?).wrapping_add(signed(offset));
        let sum = Const::int(Scalar::I64, sum.into());
        Some(Simpler::Op(PtrAdd, vec![Term::Value(inner.operands[0]), Term::Const(sum)]))
    }

    /// A pointer moves by what varies first and by a constant last, as machines have it in their
    /// addresses. Addresses wrap like 64-bit integers, so a sum of 64 bits comes apart.
    fn move_variable_first(&self, inst: &Inst) -> Option<Simpler> {
        let (pointer, index) = (inst.operands[0], inst.operands[1]);
        let last = |variable: [Value; 2], c: Const| {
            let c = Const::int(Scalar::I64, signed(c).into());
            Some(Simpler::Op(PtrAdd, vec![Term::Op(PtrAdd, variable), Term::Const(c)]))
        };
        if self.kernel.ty(index).size() == 8
            && let Some((x, c)) = self.offset(index)
        {
            return last([pointer, x], c);
        }
        let inner = self.def(pointer).filter(|d| d.op == PtrAdd)?;
        let c = self.constant(inner.operands[1])?;
        last([inner.operands[0], index], c)
    }

    fn extract(&self, inst: &Inst) -> Option<Simpler> {
        let Attr::Lane(lane) = inst.attr else { return None };
        let vector = self.def(inst.operands[0])?;
        match (vector.op, &vector.attr) {
            (VecMake, _) => Some(Simpler::Value(vector.operands[lane as usize])),
            (VecInsert, Attr::Lane(l)) if *l == lane => Some(Simpler::Value(vector.operands[1])),
            (VecInsert, _) => Some(Simpler::Lane(VecExtract, lane, vector.operands[0])),
            _ => None,
        }
    }

    /// A vector taken apart and made again.
    fn remake(&self, inst: &Inst) -> Option<Simpler> {
        let mut whole = None;
        for (i, &part) in inst.operands.iter().enumerate() {
            let part = self.def(part).filter(|d| d.op == VecExtract)?;
            if part.attr != Attr::Lane(i as u8)
                || *whole.get_or_insert(part.operands[0]) != part.operands[0]
            {
                return None;
            }
        }
        let whole = whole.filter(|&v| self.kernel.ty(v) == self.kernel.ty(inst.result()))?;
        Some(Simpler::Value(whole))
    }

    /// Whether `a` is `!b`.
    fn negates(&self, a: Value, b: Value) -> bool {
        self.def(a).is_some_and(|d| d.op == Not && d.operands[0] == b)
    }
}

/// An index as the distance it moves a pointer by.
fn signed(index: Const) -> i64 {
    index.as_int() as i64
}

fn op(op: Opcode, operands: &[Value]) -> Simpler {
    Simpler::Op(op, operands.iter().map(|&v| Term::Value(v)).collect())
}

/// Whether a cast from `a` by `b` to `c` is the cast from `a` to `c`.
fn direct(a: Scalar, b: Scalar, c: Scalar) -> bool {
    if c == Scalar::Bool || b == Scalar::Bool {
        return false;
    }
    let source_is_int = a.is_int() || a == Scalar::Bool;
    if !source_is_int || !b.is_int() || !c.is_int() {
        // A float widened without loss, then cast: as from the start.
        let exact = matches!((a, b), (Scalar::F16 | Scalar::BF16, Scalar::F32 | Scalar::F64))
            || (a, b) == (Scalar::F32, Scalar::F64);
        return exact && (c.is_float() || c.is_int());
    }
    // The low bits of the source, or an extension that goes on as it began.
    let keeps_value = a == Scalar::Bool
        || (a.bits() <= b.bits() && a.is_signed() == b.is_signed())
        || (a.bits() < b.bits() && a.is_unsigned());
    c.bits() <= b.bits() || keeps_value
}

fn opposite(op: Opcode) -> Option<Opcode> {
    Some(match op {
        Eq => Ne,
        Ne => Eq,
        Lt => Ge,
        Ge => Lt,
        Gt => Le,
        Le => Gt,
        _ => return None,
    })
}

fn swapped(op: Opcode) -> Opcode {
    match op {
        Lt => Gt,
        Gt => Lt,
        Le => Ge,
        Ge => Le,
        symmetric => symmetric,
    }
}

/// `1 / c`, if dividing by `c` is multiplying by it: for powers of two whose inverse is normal.
fn inverse(c: Const) -> Option<Const> {
    let x = c.as_f64()?;
    let least = match c.ty {
        Scalar::F16 => 2f64.powi(-14),
        Scalar::BF16 | Scalar::F32 => f64::from(f32::MIN_POSITIVE),
        _ => f64::MIN_POSITIVE,
    };
    let power = x.is_normal() && x.to_bits() << 12 == 0;
    let inverse = 1.0 / x;
    let result = Const::float(c.ty, inverse);
    (power && inverse.abs() >= least && result.as_f64() == Some(inverse)).then_some(result)
}
