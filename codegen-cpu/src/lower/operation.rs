//! Single instructions: ids, arithmetic, selection, vectors.

use kernelsmith_ir::attr::{Const, Dim};
use kernelsmith_ir::{Attr, Inst, Opcode, Scalar, Target, Type};
use kernelsmith_llvm::emit::{Writer, constant, llvm_type, splat};

use super::value::{LANES, Lanes};
use super::{Lowering, MASK, scalar_text, vector_text};
use crate::Error;

impl Lowering<'_> {
    /// Writes an instruction. Whether control goes on after it.
    pub(super) fn inst(&mut self, inst: &Inst) -> Result<bool, Error> {
        use Opcode as O;
        self.w.at(inst.loc);
        let availability = inst.op.info().availability;
        if !availability.on(&Target::Cpu) {
            let rule = format!("it is there on {}", availability.describe());
            return Err(self.unsupported(inst, rule));
        }
        match inst.op {
            O::If => return self.branch(inst),
            O::For | O::Loop | O::Block => match inst.attr {
                Attr::Label(label) => return self.labelled(inst, label),
                _ => return Err(self.unsupported(inst, "it has no label")),
            },
            O::Yield => {}
            O::Break | O::Continue | O::Return => return Ok(self.jump(inst)),
            O::Const => {
                if let Attr::Const(c) = inst.attr {
                    self.define(inst, Lanes::Uniform(constant(c)));
                }
            }
            O::ThreadIdx | O::BlockIdx | O::BlockDim | O::GridDim | O::LaneId | O::WarpId => {
                self.id(inst);
            }
            O::Select => self.select(inst),
            O::Dot4 => self.dot4(inst),
            O::Dot2 => self.dot2(inst),
            O::VecMake | O::VecExtract | O::VecInsert => self.parts(inst),
            O::SharedAddr
            | O::LocalAddr
            | O::PtrAdd
            | O::PtrCast
            | O::Load
            | O::Store
            | O::AtomicRmw
            | O::AtomicCas
            | O::AtomicLoad
            | O::AtomicStore
            | O::Fence
            | O::Prefetch
            | O::CpAsync
            | O::CpAsyncCommit
            | O::CpAsyncWait => self.memory(inst)?,
            O::Barrier | O::WarpSync => {}
            O::ShuffleIdx
            | O::ShuffleXor
            | O::ShuffleUp
            | O::ShuffleDown
            | O::VoteAll
            | O::VoteAny
            | O::Ballot
            | O::WarpReduce => self.cooperate(inst)?,
            O::Check => self.check(inst),
            O::Mma => {
                return Err(self.unsupported(inst, "matrix instructions are for GPUs"));
            }
            O::VarLoad | O::VarStore | O::VarLoadAt | O::VarStoreAt => {
                return Err(self.unsupported(inst, "the kernel is not prepared"));
            }
            _ => self.arithmetic(inst)?,
        }
        Ok(true)
    }

    // ---- ids ----

    fn id(&mut self, inst: &Inst) {
        let axis = match inst.attr {
            Attr::Dim(Dim::Y) => 1,
            Attr::Dim(Dim::Z) => 2,
            _ => 0,
        };
        let value = match inst.op {
            Opcode::BlockIdx => Lanes::Uniform(["%bx", "%by", "%bz"][axis].to_owned()),
            Opcode::GridDim => Lanes::Uniform(["%gx", "%gy", "%gz"][axis].to_owned()),
            Opcode::BlockDim => Lanes::Uniform(self.block[axis].to_string()),
            Opcode::WarpId => Lanes::Uniform(self.warp.clone()),
            Opcode::LaneId => Lanes::Affine { base: "0".to_owned(), stride: 1, exact: true },
            _ => self.thread_idx(axis),
        };
        self.define(inst, value);
    }

    /// A thread's index along an axis. Where rows are whole warps, x counts up along the lanes and
    /// y and z are the same for all.
    fn thread_idx(&mut self, axis: usize) -> Lanes {
        let [dx, dy, dz] = self.block;
        if self.block[axis] == 1 {
            return Lanes::Uniform("0".to_owned());
        }
        let first = self.w.value(format!("mul i32 {}, {LANES}", self.warp));
        if dx % LANES == 0 || dy * dz == 1 {
            let row = self.w.value(format!("udiv i32 {first}, {dx}"));
            return match axis {
                0 => {
                    let base = self.w.value(format!("urem i32 {first}, {dx}"));
                    let base = if dy * dz == 1 { first } else { base };
                    Lanes::Affine { base, stride: 1, exact: true }
                }
                1 => Lanes::Uniform(self.w.value(format!("urem i32 {row}, {dy}"))),
                _ => Lanes::Uniform(self.w.value(format!("udiv i32 {row}, {dy}"))),
            };
        }
        let thread = self.spread(&first, 1, Type::U32);
        let text = vector_text(Type::U32);
        let c = |n: u32| splat(Const::int(Scalar::U32, n.into()), Some(LANES));
        if axis == 0 {
            return Lanes::Vector(self.w.value(format!("urem {text} {thread}, {}", c(dx))));
        }
        let row = self.w.value(format!("udiv {text} {thread}, {}", c(dx)));
        let op = if axis == 1 { "urem" } else { "udiv" };
        Lanes::Vector(self.w.value(format!("{op} {text} {row}, {}", c(dy))))
    }

    // ---- arithmetic ----

    fn arithmetic(&mut self, inst: &Inst) -> Result<(), Error> {
        let operands: Vec<Lanes> = inst.operands.iter().map(|&v| self.get(v)).collect();
        let [first, result] = [inst.operands[0], inst.results[0]].map(|v| self.ty(v));
        if inst.op == Opcode::Bitcast {
            let value = self.bitcast(&operands[0], first, result);
            self.define(inst, value);
            return Ok(());
        }
        if let Type::Vector(..) = result {
            return self.elementwise(inst, &operands);
        }
        if let Type::Vector(..) = first {
            return Err(self.unsupported(inst, "it has no form for a thread's vectors"));
        }
        let (from, to) = (self.ty(inst.operands[0]).elem(), self.ty(inst.results[0]).elem());
        if let Some(value) = self.affine(inst, &operands) {
            self.define(inst, value);
            return Ok(());
        }
        let value = self.scalar_or_vector(inst, &operands, from, to)?;
        self.define(inst, value);
        Ok(())
    }

    /// One operation: on scalars if all operands are, else on vectors.
    fn scalar_or_vector(
        &mut self,
        inst: &Inst,
        operands: &[Lanes],
        from: Scalar,
        to: Scalar,
    ) -> Result<Lanes, Error> {
        let missing = "it is expanded when a kernel is prepared";
        let uniform: Option<Vec<String>> =
            operands.iter().map(|o| o.uniform().map(str::to_owned)).collect();
        if let Some(scalars) = uniform {
            let pointers = self.ty(inst.operands[0]).is_ptr();
            let value = match pointers {
                true => Some(self.compare_pointers(inst.op, "ptr", &scalars)),
                false => self.w.pure(inst.op, &scalars, from, to, None),
            };
            return value.map(Lanes::Uniform).ok_or_else(|| self.unsupported(inst, missing));
        }
        let mut vectors = Vec::new();
        for (operand, &value) in operands.iter().zip(&inst.operands) {
            let ty = self.ty(value);
            vectors.push(self.vector(operand, ty));
        }
        if self.ty(inst.operands[0]).is_ptr() {
            let text = vector_text(self.ty(inst.operands[0]));
            return Ok(Lanes::Vector(self.compare_pointers(inst.op, &text, &vectors)));
        }
        if matches!(inst.op, Opcode::Div | Opcode::Rem)
            && from.is_int()
            && let Some(mask) = self.mask.clone()
        {
            // The processor divides for lanes that are off, too, and would trap on their zeros.
            let text = vector_text(from.into());
            let one = splat(Const::int(from, 1), Some(LANES));
            let divisor = &vectors[1];
            vectors[1] =
                self.w.value(format!("select {MASK} {mask}, {text} {divisor}, {text} {one}"));
        }
        let value = self.w.pure(inst.op, &vectors, from, to, Some(LANES));
        value.map(Lanes::Vector).ok_or_else(|| self.unsupported(inst, missing))
    }

    fn compare_pointers(&mut self, op: Opcode, ty: &str, operands: &[String]) -> String {
        let name = if op == Opcode::Eq { "eq" } else { "ne" };
        self.w.value(format!("icmp {name} {ty} {}, {}", operands[0], operands[1]))
    }

    /// Operations that keep evenly spaced lanes so.
    fn affine(&mut self, inst: &Inst, operands: &[Lanes]) -> Option<Lanes> {
        let ty = self.ty(inst.results[0]);
        let text = scalar_text(ty);
        let step = |lanes: &Lanes| match lanes {
            Lanes::Uniform(base) => Some((base.clone(), 0, false)),
            Lanes::Affine { base, stride, exact } => Some((base.clone(), *stride, *exact)),
            _ => None,
        };
        if !operands.iter().any(|o| matches!(o, Lanes::Affine { .. })) || !ty.elem().is_int() {
            return None;
        }
        match inst.op {
            Opcode::Add | Opcode::Sub => {
                let ((a, s, _), (b, t, _)) = (step(&operands[0])?, step(&operands[1])?);
                let (name, stride) = match inst.op {
                    Opcode::Add => ("add", s.wrapping_add(t)),
                    _ => ("sub", s.wrapping_sub(t)),
                };
                let base = self.w.value(format!("{name} {text} {a}, {b}"));
                Some(even(base, stride, ty))
            }
            Opcode::Mul | Opcode::Shl => {
                // Only by a number known now: a stride must be a constant.
                let (lanes, factor) = match (&operands[0], &operands[1]) {
                    (a @ Lanes::Affine { .. }, Lanes::Uniform(b)) => (a, b),
                    (Lanes::Uniform(a), b @ Lanes::Affine { .. }) if inst.op == Opcode::Mul => {
                        (b, a)
                    }
                    _ => return None,
                };
                let number: i64 = factor.parse().ok()?;
                let factor = match inst.op {
                    Opcode::Mul => number,
                    _ => 1i64.wrapping_shl((number & i64::from(ty.elem().bits() - 1)) as u32),
                };
                let (base, stride, _) = step(lanes)?;
                let base = self.w.value(format!("mul {text} {base}, {factor}"));
                Some(even(base, stride.wrapping_mul(factor), ty))
            }
            Opcode::Cast => {
                let (base, stride, exact) = step(&operands[0])?;
                let from = self.ty(inst.operands[0]).elem();
                if !from.is_int() || (from.bits() < ty.elem().bits() && !exact) {
                    return None;
                }
                let base = self.w.cast(&base, from, ty.elem(), None);
                Some(Lanes::Affine { base, stride, exact })
            }
            _ => None,
        }
    }

    fn select(&mut self, inst: &Inst) {
        let [c, a, b] = [0, 1, 2].map(|i| self.get(inst.operands[i]));
        let ty = self.ty(inst.results[0]);
        let value = self.select_parts(&c, &a, &b, ty);
        self.define(inst, value);
    }

    /// A choice between values of any type.
    pub(super) fn select_parts(&mut self, c: &Lanes, a: &Lanes, b: &Lanes, ty: Type) -> Lanes {
        let Type::Vector(elem, count) = ty else { return self.select_lanes(c, a, b, ty) };
        let pairs = elements(a, count.into()).into_iter().zip(elements(b, count.into()));
        Lanes::Parts(pairs.map(|(a, b)| self.select_lanes(c, &a, &b, elem.into())).collect())
    }

    fn select_lanes(&mut self, condition: &Lanes, a: &Lanes, b: &Lanes, ty: Type) -> Lanes {
        match (condition, a, b) {
            (Lanes::Uniform(c), Lanes::Uniform(a), Lanes::Uniform(b)) => {
                let value = self.w.select(c, None, &scalar_text(ty), [a, b]);
                Lanes::Uniform(value)
            }
            _ => {
                let (a, b) = (self.vector(a, ty), self.vector(b, ty));
                let (condition, lanes) = match condition {
                    Lanes::Uniform(c) => (c.clone(), None),
                    other => (self.vector(other, Type::BOOL), Some(LANES)),
                };
                let text = vector_text(ty);
                Lanes::Vector(self.w.select(&condition, lanes, &text, [&a, &b]))
            }
        }
    }

    // ---- vectors held by a thread ----

    fn elementwise(&mut self, inst: &Inst, operands: &[Lanes]) -> Result<(), Error> {
        let count = self.ty(inst.results[0]).lanes();
        let (from, to) = (self.ty(inst.operands[0]).elem(), self.ty(inst.results[0]).elem());
        let columns: Vec<Vec<Lanes>> = operands.iter().map(|o| elements(o, count)).collect();
        let mut parts = Vec::new();
        for i in 0..count as usize {
            let row: Vec<Lanes> = columns.iter().map(|c| c[i].clone()).collect();
            let types: Vec<Scalar> = inst.operands.iter().map(|&o| self.ty(o).elem()).collect();
            let (texts, lanes) = self.texts(&row, &types);
            let value = self.w.pure(inst.op, &texts, from, to, lanes);
            let value = value.ok_or_else(|| self.unsupported(inst, "it has no vector form"))?;
            parts.push(lanes_of(value, lanes));
        }
        self.define(inst, Lanes::Parts(parts));
        Ok(())
    }

    /// Values as scalars if all of them are, else as vectors of all lanes.
    fn texts(&mut self, values: &[Lanes], types: &[Scalar]) -> (Vec<String>, Option<u32>) {
        let uniform: Option<Vec<String>> =
            values.iter().map(|o| o.uniform().map(str::to_owned)).collect();
        match uniform {
            Some(texts) => (texts, None),
            None => {
                let all = values.iter().zip(types);
                (all.map(|(o, &ty)| self.vector(o, ty.into())).collect(), Some(LANES))
            }
        }
    }

    /// The same bits as another type: element by element, joined, or split; the first element
    /// holds the lowest bits.
    fn bitcast(&mut self, value: &Lanes, from: Type, to: Type) -> Lanes {
        let (f, t) = (from.elem(), to.elem());
        let (narrow, wide) = (f.bits().min(t.bits()), f.bits().max(t.bits()));
        let (small, large) = (unsigned(narrow), unsigned(wide));
        let shift = |w: &mut Writer, op: &str, x: &str, i: usize, lanes| {
            let by = splat(Const::int(large, i128::from(narrow) * i as i128), lanes);
            w.value(format!("{op} {} {x}, {by}", llvm_type(large, lanes)))
        };
        let mut parts = Vec::new();
        // As many elements as make one of the wide type.
        let group = if f.bits() < t.bits() { (wide / narrow) as usize } else { 1 };
        for group in elements(value, from.lanes()).chunks(group) {
            let (texts, lanes) = self.texts(group, &vec![f; group.len()]);
            let mut bits: Option<String> = None;
            for (i, text) in texts.iter().enumerate() {
                let part = self.w.bits_as(text, f, unsigned(f.bits()), lanes);
                let part = self.w.cast(&part, unsigned(f.bits()), large, lanes);
                bits = Some(match bits {
                    None => part,
                    Some(low) => {
                        let high = shift(&mut self.w, "shl", &part, i, lanes);
                        self.w.value(format!("or {} {low}, {high}", llvm_type(large, lanes)))
                    }
                });
            }
            let bits = bits.expect("a group has an element");
            let pieces = if t.bits() < f.bits() { (wide / narrow) as usize } else { 1 };
            for i in 0..pieces {
                let to = if pieces == 1 { large } else { small };
                let part =
                    if i == 0 { bits.clone() } else { shift(&mut self.w, "lshr", &bits, i, lanes) };
                let part = self.w.cast(&part, large, to, lanes);
                parts.push(lanes_of(self.w.bits_as(&part, to, t, lanes), lanes));
            }
        }
        match to {
            Type::Vector(..) => Lanes::Parts(parts),
            _ => parts.swap_remove(0),
        }
    }

    fn parts(&mut self, inst: &Inst) {
        let operands: Vec<Lanes> = inst.operands.iter().map(|&v| self.get(v)).collect();
        let value = match (inst.op, &inst.attr) {
            (Opcode::VecExtract, Attr::Lane(lane)) => {
                let count = self.ty(inst.operands[0]).lanes();
                elements(&operands[0], count)[usize::from(*lane)].clone()
            }
            (Opcode::VecInsert, Attr::Lane(lane)) => {
                let count = self.ty(inst.results[0]).lanes();
                let mut parts = elements(&operands[0], count);
                parts[usize::from(*lane)] = operands[1].clone();
                Lanes::Parts(parts)
            }
            _ => Lanes::Parts(operands),
        };
        self.define(inst, value);
    }
}

/// The elements of a thread's vector; a scalar is one of one.
pub(super) fn elements(lanes: &Lanes, count: u32) -> Vec<Lanes> {
    match lanes {
        Lanes::Parts(parts) => parts.clone(),
        other => vec![other.clone(); count as usize],
    }
}

/// What was computed on scalars or on vectors.
fn lanes_of(value: String, lanes: Option<u32>) -> Lanes {
    if lanes.is_some() { Lanes::Vector(value) } else { Lanes::Uniform(value) }
}

fn unsigned(bits: u32) -> Scalar {
    match bits {
        1 => Scalar::Bool,
        8 => Scalar::U8,
        16 => Scalar::U16,
        32 => Scalar::U32,
        _ => Scalar::U64,
    }
}

/// Evenly spaced lanes. Without a stride they are all the same.
fn even(base: String, stride: i64, ty: Type) -> Lanes {
    let shift = 64 - ty.elem().bits();
    match (stride << shift) >> shift {
        0 => Lanes::Uniform(base),
        stride => Lanes::Affine { base, stride, exact: false },
    }
}

/// The LLVM type of one lane's element in registers.
pub(super) fn element_text(scalar: Scalar) -> String {
    llvm_type(scalar, None)
}
