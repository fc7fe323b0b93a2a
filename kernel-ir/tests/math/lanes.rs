//! Runs an expansion on many arguments at once: the meaning of `eval`, lane by lane, with plain
//! loops for the operations that are most of the work.

use std::collections::HashMap;

use kernelsmith_ir::attr::{Attr, Const};
use kernelsmith_ir::eval::reference;
use kernelsmith_ir::kernel::{Inst, Kernel, Label, Region, Value};
use kernelsmith_ir::{Builder, Opcode, ParamKind, Scalar, Space, Target, Type};

/// A kernel of one operation on its parameters.
pub(crate) fn staged(op: Opcode, ty: Type, arity: usize) -> Kernel {
    let mut b = Builder::new("function");
    let operands: Vec<Value> =
        (0..arity).map(|i| b.param(&format!("x{i}"), ty, ParamKind::Scalar)).collect();
    let out = b.param("out", Type::Ptr(Space::Global, ty.elem()), ParamKind::Exclusive);
    let y = b.same(op, &operands);
    b.store(out, y);
    b.finish()
}

/// The same, expanded for a target.
pub(crate) fn expanded(op: Opcode, ty: Type, arity: usize, target: &Target) -> Kernel {
    let mut kernel = staged(op, ty, arity);
    kernelsmith_ir::passes::small_floats::run(&mut kernel, target);
    kernelsmith_ir::passes::expand_math::run(&mut kernel, target);
    kernel
}

/// What the kernel stores, for each lane of the arguments.
pub(crate) fn run(kernel: &Kernel, arguments: &[Vec<u64>]) -> Vec<u64> {
    Lanes::new(kernel).run(arguments).to_vec()
}

/// The state of a run; its memory is used again by the next.
pub(crate) struct Lanes<'k> {
    kernel: &'k Kernel,
    /// Where the parts of each value begin in `values`; a vector has several.
    first: Vec<usize>,
    /// By part, then by lane.
    values: Vec<Vec<u64>>,
    count: usize,
    continued: HashMap<Label, Vec<u32>>,
    broken: HashMap<Label, Vec<u32>>,
    stored: Vec<u64>,
}

impl<'k> Lanes<'k> {
    pub(crate) fn new(kernel: &'k Kernel) -> Lanes<'k> {
        let mut first = vec![0];
        for ty in &kernel.types {
            first.push(first[first.len() - 1] + ty.lanes() as usize);
        }
        Lanes {
            kernel,
            values: vec![Vec::new(); first[first.len() - 1]],
            first,
            count: 0,
            continued: HashMap::new(),
            broken: HashMap::new(),
            stored: Vec::new(),
        }
    }

    /// What the kernel stores, for each lane of the arguments.
    pub(crate) fn run(&mut self, arguments: &[Vec<u64>]) -> &[u64] {
        self.count = arguments[0].len();
        self.stored.resize(self.count, 0);
        for (param, argument) in self.kernel.params.iter().zip(arguments) {
            self.values[self.first[param.value.index()]].clone_from(argument);
        }
        let kernel = self.kernel;
        self.region(&kernel.body, (0..self.count as u32).collect(), &[]);
        &self.stored
    }

    /// Where a part of a value is; that of scalars is the same for all.
    fn part(&self, value: Value, part: usize) -> usize {
        let (first, next) = (self.first[value.index()], self.first[value.index() + 1]);
        first + part.min(next - first - 1)
    }

    /// Runs the active lanes through a region; returns those that reach its `yield`.
    fn region(&mut self, region: &Region, mut active: Vec<u32>, yields: &[Value]) -> Vec<u32> {
        for inst in &region.insts {
            match inst.op {
                Opcode::If => active = self.branch(inst, &active),
                Opcode::Loop => active = self.repeat(inst, active),
                Opcode::Yield => self.copy(&inst.operands, yields, &active),
                Opcode::Break | Opcode::Continue => {
                    self.jump(inst, &active);
                    return Vec::new();
                }
                Opcode::Store => {
                    let stored = &self.values[self.part(inst.operands[1], 0)];
                    for &lane in &active {
                        self.stored[lane as usize] = stored[lane as usize];
                    }
                }
                Opcode::VecMake => {
                    for (i, &operand) in inst.operands.iter().enumerate() {
                        let (from, to) = (self.part(operand, 0), self.part(inst.result(), i));
                        self.values[to] = self.values[from].clone();
                    }
                }
                Opcode::VecExtract => {
                    let Attr::Lane(lane) = inst.attr else { panic!("a lane") };
                    let from = self.part(inst.operands[0], lane.into());
                    let to = self.part(inst.result(), 0);
                    self.values[to] = self.values[from].clone();
                }
                Opcode::Return => {}
                _ => {
                    let parts = self.kernel.ty(inst.result()).lanes();
                    (0..parts as usize).for_each(|part| self.compute(inst, part, &active));
                }
            }
        }
        active
    }

    fn copy(&mut self, from: &[Value], to: &[Value], active: &[u32]) {
        for (from, to) in from.iter().zip(to) {
            let (from, to) = (self.part(*from, 0), self.part(*to, 0));
            let source = std::mem::take(&mut self.values[from]);
            let target = &mut self.values[to];
            target.resize(self.count, 0);
            for &lane in active {
                target[lane as usize] = source[lane as usize];
            }
            self.values[from] = source;
        }
    }

    fn branch(&mut self, inst: &Inst, active: &[u32]) -> Vec<u32> {
        let condition = &self.values[self.part(inst.operands[0], 0)];
        let (then, other): (Vec<u32>, Vec<u32>) =
            active.iter().partition(|&&lane| condition[lane as usize] != 0);
        let mut after = Vec::new();
        for (region, lanes) in inst.regions.iter().zip([then, other]) {
            if !lanes.is_empty() {
                after.extend(self.region(region, lanes, &inst.results));
            }
        }
        after.sort_unstable();
        after
    }

    fn repeat(&mut self, inst: &Inst, mut active: Vec<u32>) -> Vec<u32> {
        let Attr::Label(label) = inst.attr else { panic!("a loop has a label") };
        self.copy(&inst.operands, &inst.regions[0].args, &active);
        self.broken.insert(label, Vec::new());
        // What a jump copies to is found by its label.
        while !active.is_empty() {
            self.continued.insert(label, Vec::new());
            self.region(&inst.regions[0], active, &[]);
            active = self.continued.remove(&label).expect("just inserted");
        }
        let mut after = self.broken.remove(&label).expect("inserted above");
        after.sort_unstable();
        after
    }

    fn jump(&mut self, inst: &Inst, active: &[u32]) {
        let Attr::Label(label) = inst.attr else { panic!("a jump has a label") };
        let mut target = None;
        self.kernel.body.walk(&mut |i| {
            if i.op == Opcode::Loop && i.attr == inst.attr {
                target = Some((i.results.clone(), i.regions[0].args.clone()));
            }
        });
        let (results, args) = target.expect("the loop is there");
        let is_break = inst.op == Opcode::Break;
        self.copy(&inst.operands, if is_break { &results } else { &args }, active);
        let lanes = if is_break { &mut self.broken } else { &mut self.continued };
        lanes.get_mut(&label).expect("the loop runs").extend(active);
    }

    fn compute(&mut self, inst: &Inst, part: usize, active: &[u32]) {
        let result = self.part(inst.result(), part);
        let ty = self.kernel.ty(inst.result()).elem();
        let columns: Vec<usize> = inst.operands.iter().map(|&v| self.part(v, part)).collect();
        let mut out = std::mem::take(&mut self.values[result]);
        out.resize(self.count, 0);
        if let Attr::Const(c) = inst.attr {
            out.fill(c.bits);
        } else if active.len() < self.count || !self.compute_all(inst, &columns, &mut out) {
            let types: Vec<Scalar> =
                inst.operands.iter().map(|&v| self.kernel.ty(v).elem()).collect();
            for &lane in active {
                let operands: Vec<Const> = columns
                    .iter()
                    .zip(&types)
                    .map(|(&c, &ty)| Const::new(ty, self.values[c][lane as usize]))
                    .collect();
                let value = reference(inst.op, &operands, ty);
                let name = inst.op.name();
                out[lane as usize] = value.unwrap_or_else(|| panic!("no meaning: {name}")).bits;
            }
        }
        self.values[result] = out;
    }

    /// The frequent operations on all lanes; whether this was one.
    fn compute_all(&self, inst: &Inst, columns: &[usize], out: &mut [u64]) -> bool {
        use Opcode::{Add, And, Bitcast, Div, Fma, Gt, Lt, Mul, Select, Shl, Sub, Xor};
        let v = |i: usize| &self.values[columns[i]][..];
        macro_rules! map {
            (|$a:ident| $e:expr) => {
                out.iter_mut().zip(v(0)).for_each(|(o, &$a)| *o = $e)
            };
            (|$a:ident, $b:ident| $e:expr) => {
                out.iter_mut().zip(v(0)).zip(v(1)).for_each(|((o, &$a), &$b)| *o = $e)
            };
            (|$a:ident, $b:ident, $c:ident| $e:expr) => {
                out.iter_mut()
                    .zip(v(0))
                    .zip(v(1))
                    .zip(v(2))
                    .for_each(|(((o, &$a), &$b), &$c)| *o = $e)
            };
        }
        let s = |x: u64| f32::from_bits(x as u32);
        let d = f64::from_bits;
        let i = |x: u64| x as u32;
        let operand = self.kernel.ty(inst.operands[0]).elem();
        match (inst.op, operand) {
            (Lt, Scalar::F32) => map!(|a, b| (s(a) < s(b)).into()),
            (Gt, Scalar::F32) => map!(|a, b| (s(a) > s(b)).into()),
            (Add, Scalar::I32) => map!(|a, b| i(a).wrapping_add(i(b)).into()),
            (Sub, Scalar::I32) => map!(|a, b| i(a).wrapping_sub(i(b)).into()),
            (Shl, Scalar::I32) => map!(|a, b| i(a).wrapping_shl(i(b)).into()),
            (And, Scalar::I32) => map!(|a, b| a & b),
            (Xor, Scalar::I32) => map!(|a, b| a ^ b),
            (Add, Scalar::F32) => map!(|a, b| (s(a) + s(b)).to_bits().into()),
            (Sub, Scalar::F32) => map!(|a, b| (s(a) - s(b)).to_bits().into()),
            (Mul, Scalar::F32) => map!(|a, b| (s(a) * s(b)).to_bits().into()),
            (Div, Scalar::F32) => map!(|a, b| (s(a) / s(b)).to_bits().into()),
            (Fma, Scalar::F32) => map!(|a, b, c| s(a).mul_add(s(b), s(c)).to_bits().into()),
            (Add, Scalar::F64) => map!(|a, b| (d(a) + d(b)).to_bits()),
            (Sub, Scalar::F64) => map!(|a, b| (d(a) - d(b)).to_bits()),
            (Mul, Scalar::F64) => map!(|a, b| (d(a) * d(b)).to_bits()),
            (Div, Scalar::F64) => map!(|a, b| (d(a) / d(b)).to_bits()),
            (Fma, Scalar::F64) => map!(|a, b, c| d(a).mul_add(d(b), d(c)).to_bits()),
            (Select, _) => map!(|c, a, b| if c != 0 { a } else { b }),
            (Bitcast, _) => map!(|a| a),
            _ => return false,
        }
        true
    }
}
