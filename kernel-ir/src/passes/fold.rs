//! Constant folding and algebraic identities.
//!
//! Only identities that hold for every value are here, so floats have few: NaN, signed zeros and
//! infinities break most. What was computed by a target's own approximation is not folded.

mod rules;

use crate::attr::{Attr, Const};
use crate::eval::eval;
use crate::kernel::{Inst, Kernel, Region, Value};
use crate::op::Opcode;
use crate::passes::edit::{Emit, Subst};
use crate::types::Type;

/// What an instruction comes to.
enum Simpler {
    /// A constant.
    Const(Const),
    /// Another value.
    Value(Value),
    /// A simpler operation.
    Op(Opcode, Vec<Term>),
    /// The same with another attribute, of a vector's lane.
    Lane(Opcode, u8, Value),
}

/// An operand of a simpler operation.
enum Term {
    Value(Value),
    /// A constant to be made.
    Const(Const),
    /// An operation to be made, of its first operand's type.
    Op(Opcode, [Value; 2]),
}

/// Simplifies every pure instruction as far as the rules go.
pub fn run(kernel: &mut Kernel) {
    let mut body = std::mem::take(&mut kernel.body);
    let definitions = vec![None; kernel.types.len()];
    let mut folder = Folder { kernel, definitions, subst: Subst::default() };
    folder.region(&mut body);
    kernel.body = body;
}

/// A pure instruction, as far as rules look at it.
#[derive(Clone)]
struct Definition {
    op: Opcode,
    attr: Attr,
    operands: Vec<Value>,
}

struct Folder<'k> {
    kernel: &'k mut Kernel,
    definitions: Vec<Option<Definition>>,
    subst: Subst,
}

impl Folder<'_> {
    fn region(&mut self, region: &mut Region) {
        let old = std::mem::take(&mut region.insts);
        let mut out = Vec::with_capacity(old.len());
        for mut inst in old {
            self.subst.apply(&mut inst);
            if inst.op == Opcode::If {
                self.turn(&mut inst);
            }
            for inner in &mut inst.regions {
                self.region(inner);
            }
            if !inst.op.is_pure() || self.simplify(&mut inst, &mut out) {
                out.push(inst);
            }
        }
        region.insts = out;
    }

    /// An `if` on a negation: on the value itself, with its regions exchanged.
    fn turn(&mut self, inst: &mut Inst) {
        while let Some(Definition { op: Opcode::Not, operands, .. }) = self.def(inst.operands[0]) {
            inst.operands[0] = operands[0];
            inst.regions.swap(0, 1);
        }
    }

    /// Applies rules until none applies; whether the instruction is still needed.
    fn simplify(&mut self, inst: &mut Inst, out: &mut Vec<Inst>) -> bool {
        loop {
            let simpler = match self.evaluate(inst) {
                Some(c) => Some(Simpler::Const(c)),
                None => self.rules(inst),
            };
            match simpler {
                None => break,
                Some(Simpler::Const(c)) => {
                    (inst.op, inst.attr) = (Opcode::Const, Attr::Const(c));
                    inst.operands.clear();
                    break;
                }
                Some(Simpler::Value(value)) => {
                    self.subst.set(inst.result(), value);
                    return false;
                }
                Some(Simpler::Op(op, terms)) => {
                    inst.op = op;
                    inst.attr = Attr::None;
                    inst.operands = terms.into_iter().map(|t| self.operand(t, inst, out)).collect();
                }
                Some(Simpler::Lane(op, lane, vector)) => {
                    inst.op = op;
                    inst.attr = Attr::Lane(lane);
                    inst.operands = vec![vector];
                }
            }
        }
        self.define(inst);
        true
    }

    fn operand(&mut self, term: Term, inst: &Inst, out: &mut Vec<Inst>) -> Value {
        match term {
            Term::Value(value) => value,
            Term::Const(c) => {
                let value = Emit { kernel: self.kernel, out, loc: inst.loc }.constant(c);
                self.define(&out[out.len() - 1].clone());
                value
            }
            Term::Op(op, operands) => {
                let ty = self.kernel.ty(operands[0]);
                let mut emit = Emit { kernel: self.kernel, out, loc: inst.loc };
                emit.op(op, Attr::None, &operands, ty);
                // What is new may itself follow a rule.
                let mut made = out.pop().expect("just emitted");
                let value = made.result();
                if self.simplify(&mut made, out) {
                    out.push(made);
                }
                self.subst.get(value)
            }
        }
    }

    fn define(&mut self, inst: &Inst) {
        let Inst { op, attr, operands, .. } = inst;
        let index = inst.result().index();
        if self.definitions.len() <= index {
            self.definitions.resize(index + 1, None);
        }
        self.definitions[index] =
            Some(Definition { op: *op, attr: attr.clone(), operands: operands.clone() });
    }

    fn def(&self, value: Value) -> Option<&Definition> {
        self.definitions.get(value.index())?.as_ref()
    }

    fn constant(&self, value: Value) -> Option<Const> {
        match self.def(value)?.attr {
            Attr::Const(c) => Some(c),
            _ => None,
        }
    }

    /// The result, where all operands are constants.
    fn evaluate(&self, inst: &Inst) -> Option<Const> {
        if inst.op == Opcode::Const || inst.results.len() != 1 {
            return None;
        }
        let Type::Scalar(result) = self.kernel.ty(inst.result()) else { return None };
        let operands: Option<Vec<Const>> =
            inst.operands.iter().map(|&v| self.constant(v)).collect();
        eval(inst.op, &operands.filter(|o| !o.is_empty())?, result)
    }
}
