//! Runs one thread of a kernel without collectives, and notes what it does to the outside.

use std::collections::HashMap;

use kernelsmith_ir::attr::{Attr, Const};
use kernelsmith_ir::eval::eval;
use kernelsmith_ir::kernel::LocalId;
use kernelsmith_ir::{Inst, Kernel, Label, Opcode, Region, Scalar, Type, Value};

/// Something that can be seen from outside.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Event {
    /// A store to the output array.
    Store { offset: i128, bits: u64 },
    /// A check failed; the rest is not run.
    Failed(String),
    /// The kernel ran longer than anybody waits.
    Endless,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Datum {
    Scalar(Const),
    /// An address: the parameter or local array it points into, and the element.
    Pointer(Base, i128),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Base {
    Param(usize),
    Local(LocalId),
}

/// How a region was left.
enum Way {
    Yield(Vec<Datum>),
    Break(Label, Vec<Datum>),
    Continue(Label, Vec<Datum>),
    End,
}

struct Machine<'k> {
    kernel: &'k Kernel,
    values: HashMap<Value, Datum>,
    slots: Vec<Option<Datum>>,
    locals: HashMap<(LocalId, i128), Datum>,
    output: HashMap<i128, u64>,
    events: Vec<Event>,
    fuel: u32,
}

/// What a thread does. Scalar parameters are the arguments in order; loads from memory not yet
/// written give a number made of the address. After `fuel` instructions a thread counts as endless.
pub(crate) fn observe(kernel: &Kernel, arguments: &[u64], fuel: u32) -> Vec<Event> {
    let mut machine = Machine {
        kernel,
        values: HashMap::new(),
        slots: vec![None; kernel.vars.len()],
        locals: HashMap::new(),
        output: HashMap::new(),
        events: Vec::new(),
        fuel,
    };
    let mut scalars = arguments.iter();
    for (i, param) in kernel.params.iter().enumerate() {
        let datum = match kernel.ty(param.value) {
            Type::Scalar(s) => Datum::Scalar(Const::new(s, *scalars.next().unwrap_or(&0))),
            _ => Datum::Pointer(Base::Param(i), 0),
        };
        machine.values.insert(param.value, datum);
    }
    machine.region(&kernel.body);
    // How far an endless loop has come says nothing: passes change how long an iteration takes.
    if machine.events.last() == Some(&Event::Endless) {
        return vec![Event::Endless];
    }
    machine.events
}

impl Machine<'_> {
    fn get(&self, value: Value) -> Datum {
        *self.values.get(&value).unwrap_or_else(|| panic!("%{} has no value", value.0))
    }

    fn scalar(&self, value: Value) -> Const {
        match self.get(value) {
            Datum::Scalar(c) => c,
            Datum::Pointer(..) => panic!("%{} is a pointer", value.0),
        }
    }

    fn all(&self, values: &[Value]) -> Vec<Datum> {
        values.iter().map(|&v| self.get(v)).collect()
    }

    fn bind(&mut self, values: &[Value], data: &[Datum]) {
        assert_eq!(values.len(), data.len());
        for (&value, &datum) in values.iter().zip(data) {
            if let Datum::Scalar(c) = datum {
                assert_eq!(Type::Scalar(c.ty), self.kernel.ty(value), "%{}", value.0);
            }
            self.values.insert(value, datum);
        }
    }

    fn region(&mut self, region: &Region) -> Way {
        for inst in &region.insts {
            if self.fuel == 0 {
                self.events.push(Event::Endless);
                return Way::End;
            }
            self.fuel -= 1;
            match (inst.op, &inst.attr) {
                (Opcode::Yield, _) => return Way::Yield(self.all(&inst.operands)),
                (Opcode::Break, &Attr::Label(l)) => return Way::Break(l, self.all(&inst.operands)),
                (Opcode::Continue, &Attr::Label(l)) => {
                    return Way::Continue(l, self.all(&inst.operands));
                }
                (Opcode::Return, _) => return Way::End,
                _ => {}
            }
            if let Some(way) = self.inst(inst) {
                return way;
            }
        }
        panic!("a region without terminator");
    }

    /// Runs an instruction; how it leaves the region around, if it does.
    fn inst(&mut self, inst: &Inst) -> Option<Way> {
        match inst.op {
            Opcode::If => {
                let taken = usize::from(self.scalar(inst.operands[0]).bits == 0);
                let way = self.region(&inst.regions[taken]);
                self.leave(inst, None, way)
            }
            Opcode::Block => {
                let way = self.region(&inst.regions[0]);
                self.leave(inst, label(inst), way)
            }
            Opcode::Loop => self.repeat(inst, None),
            Opcode::For => {
                let bound = |i: usize| self.scalar(inst.operands[i]).as_int();
                self.repeat(inst, Some((bound(0), bound(1))))
            }
            Opcode::Check => {
                if self.scalar(inst.operands[0]).bits != 0 {
                    return None;
                }
                let values: Vec<u64> =
                    inst.operands[1..].iter().map(|&v| self.scalar(v).bits).collect();
                self.events.push(Event::Failed(format!("{:?} {values:?}", inst.attr)));
                Some(Way::End)
            }
            _ => {
                if let Some(datum) = self.plain(inst) {
                    self.bind(&inst.results, &[datum]);
                }
                None
            }
        }
    }

    fn leave(&mut self, inst: &Inst, label: Option<Label>, way: Way) -> Option<Way> {
        match way {
            Way::Yield(data) => self.bind(&inst.results, &data),
            Way::Break(l, data) if Some(l) == label => self.bind(&inst.results, &data),
            other => return Some(other),
        }
        None
    }

    fn repeat(&mut self, inst: &Inst, bounds: Option<(i128, i128)>) -> Option<Way> {
        let fixed = if bounds.is_some() { 2 } else { 0 };
        let mut carried = self.all(&inst.operands[fixed..]);
        let (mut i, hi) = bounds.unwrap_or((0, i128::MAX));
        let region = &inst.regions[0];
        while i < hi {
            let mut args = Vec::new();
            if bounds.is_some() {
                let Type::Scalar(ty) = self.kernel.ty(region.args[0]) else { panic!() };
                args.push(Datum::Scalar(Const::int(ty, i)));
            }
            args.append(&mut carried);
            self.bind(&region.args, &args);
            let way = self.region(region);
            match way {
                Way::Continue(l, data) if Some(l) == label(inst) => carried = data,
                Way::Yield(_) => panic!("a loop's region yields"),
                other => return self.leave(inst, label(inst), other),
            }
            i += 1;
        }
        self.bind(&inst.results, &carried);
        None
    }

    /// An instruction without control; its result.
    fn plain(&mut self, inst: &Inst) -> Option<Datum> {
        match (inst.op, &inst.attr) {
            (_, Attr::Const(c)) => Some(Datum::Scalar(*c)),
            (Opcode::VarLoad | Opcode::VarLoadAt, &Attr::Var { var, stride, .. }) => {
                let slot = var.0 + stride * self.index(inst, inst.op == Opcode::VarLoadAt);
                let ty = self.kernel.vars[slot as usize].ty;
                Some(self.slots[slot as usize].unwrap_or_else(|| {
                    let Type::Scalar(s) = ty else { panic!("a pointer slot never written") };
                    Datum::Scalar(Const::new(s, 0))
                }))
            }
            (Opcode::VarStore | Opcode::VarStoreAt, &Attr::Var { var, stride, .. }) => {
                let slot = var.0 + stride * self.index(inst, inst.op == Opcode::VarStoreAt);
                self.slots[slot as usize] = Some(self.get(*inst.operands.last().unwrap()));
                None
            }
            (Opcode::LocalAddr, &Attr::Local(id)) => Some(Datum::Pointer(Base::Local(id), 0)),
            (Opcode::PtrAdd, _) => {
                let Datum::Pointer(base, at) = self.get(inst.operands[0]) else { panic!() };
                // Addresses wrap.
                let by = self.scalar(inst.operands[1]).as_int() as i64;
                Some(Datum::Pointer(base, i128::from((at as i64).wrapping_add(by))))
            }
            (Opcode::Load, _) => Some(self.load(inst)),
            (Opcode::Store, _) => {
                self.store(inst);
                None
            }
            (Opcode::Select, _) if self.kernel.ty(inst.operands[1]).is_ptr() => {
                let first = self.scalar(inst.operands[0]).bits != 0;
                Some(self.get(inst.operands[if first { 1 } else { 2 }]))
            }
            (Opcode::BlockDim | Opcode::GridDim, _) => {
                Some(Datum::Scalar(Const::new(Scalar::U32, 1)))
            }
            (Opcode::ThreadIdx | Opcode::BlockIdx, _) => {
                Some(Datum::Scalar(Const::new(Scalar::U32, 0)))
            }
            _ => Some(self.pure(inst)),
        }
    }

    fn index(&self, inst: &Inst, indexed: bool) -> u32 {
        if indexed { self.scalar(inst.operands[0]).bits as u32 } else { 0 }
    }

    fn pure(&self, inst: &Inst) -> Datum {
        let operands: Vec<Const> = inst.operands.iter().map(|&v| self.scalar(v)).collect();
        let Type::Scalar(ty) = self.kernel.ty(inst.results[0]) else { panic!("{inst:?}") };
        match eval(inst.op, &operands, ty) {
            Some(c) => Datum::Scalar(c),
            // The kernels check every divisor, so no pass may bring a division before its check.
            None => panic!("{} of {operands:?} has no result", inst.op.name()),
        }
    }

    fn load(&self, inst: &Inst) -> Datum {
        let Datum::Pointer(base, at) = self.get(inst.operands[0]) else { panic!() };
        let ty = self.kernel.ty(inst.results[0]).elem();
        match base {
            Base::Local(id) => {
                *self.locals.get(&(id, at)).unwrap_or(&Datum::Scalar(Const::new(ty, 0)))
            }
            Base::Param(i) => {
                let fresh = (at as u64).wrapping_mul(0x9e37_79b9) ^ i as u64;
                let bits = self.output.get(&at).filter(|_| i == OUTPUT).copied();
                Datum::Scalar(Const::new(ty, bits.unwrap_or(fresh)))
            }
        }
    }

    fn store(&mut self, inst: &Inst) {
        let Datum::Pointer(base, offset) = self.get(inst.operands[0]) else { panic!() };
        let datum = self.get(inst.operands[1]);
        match (base, datum) {
            (Base::Local(id), datum) => {
                let len = self.kernel.locals[id.index()].len;
                assert!((0..i128::from(len)).contains(&offset), "local array overrun");
                self.locals.insert((id, offset), datum);
            }
            (Base::Param(_), Datum::Scalar(c)) => {
                self.output.insert(offset, c.bits);
                self.events.push(Event::Store { offset, bits: c.bits });
            }
            _ => panic!("a pointer stored"),
        }
    }
}

/// The parameter that is written.
const OUTPUT: usize = 1;

fn label(inst: &Inst) -> Option<Label> {
    match inst.attr {
        Attr::Label(l) => Some(l),
        _ => None,
    }
}
