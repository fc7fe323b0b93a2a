//! The state of one function while it is written: text, registers, and where each value lies.

use std::collections::HashMap;
use std::fmt::Write;

use kernelsmith_ir::attr::Const;
use kernelsmith_ir::target::{Ptx, Target};
use kernelsmith_ir::{Inst, Kernel, Scalar, Type, Value};

use crate::address::{Address, Bases};
use crate::check::Failure;
use crate::control::Frame;
use crate::error::Error;
use crate::isa::Version;
use crate::reg::{Class, Operand, Reg, classes};
use crate::shared::SharedPlan;

/// Writes one line of PTX: `ins!(e, "add.s32 {d}, {a}, {b};")`.
macro_rules! ins {
    ($e:expr, $($format:tt)*) => {
        $e.line(format_args!($($format)*))
    };
}
pub(crate) use ins;

/// What stands for a value of the IR.
#[derive(Clone, Debug)]
pub(crate) enum Binding {
    /// A constant, written as an immediate.
    Const(Const),
    /// Registers, as [`classes`] lists them.
    Regs(Vec<Reg>),
    /// A pointer as a base and an offset, to go into memory operands.
    Address(Address),
}

/// A label of the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TextLabel(pub(crate) &'static str, pub(crate) u32);

impl std::fmt::Display for TextLabel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "${}_{}", self.0, self.1)
    }
}

/// Writes one function.
pub(crate) struct Emitter<'k> {
    pub(crate) kernel: &'k Kernel,
    pub(crate) target: Ptx,
    pub(crate) version: Version,
    pub(crate) shared: SharedPlan,
    pub(crate) frames: Vec<Frame>,
    pub(crate) bases: Bases,
    pub(crate) failures: Vec<Failure>,
    pub(crate) checks: u32,
    /// The instruction being written, for errors.
    pub(crate) current: Option<&'k Inst>,
    pub(crate) body: String,
    position: Option<(u32, u32, u32)>,
    registers: HashMap<Class, u32>,
    labels: u32,
    bindings: Vec<Option<Binding>>,
    /// The instruction that defines each value, for patterns over two instructions.
    definitions: Vec<Option<&'k Inst>>,
    uses: Vec<u32>,
    /// Accumulators of `wgmma` that were copied to registers of their own before a fence.
    pub(crate) accumulators: HashMap<Value, Vec<Reg>>,
    /// The warpgroup's index, in kernels that ask for it.
    pub(crate) warpgroup: Option<Reg>,
}

impl<'k> Emitter<'k> {
    pub(crate) fn new(kernel: &'k Kernel, target: Ptx, shared: SharedPlan) -> Emitter<'k> {
        let mut definitions = vec![None; kernel.types.len()];
        let mut uses = vec![0; kernel.types.len()];
        kernel.body.walk(&mut |inst| {
            inst.results.iter().for_each(|r| definitions[r.index()] = Some(inst));
            inst.operands.iter().for_each(|o| uses[o.index()] += 1);
        });
        Emitter {
            kernel,
            target,
            version: Version::minimum(target),
            shared,
            frames: Vec::new(),
            bases: Bases::default(),
            failures: Vec::new(),
            checks: 0,
            current: None,
            body: String::new(),
            position: None,
            registers: HashMap::new(),
            labels: 0,
            bindings: vec![None; kernel.types.len()],
            definitions,
            uses,
            accumulators: HashMap::new(),
            warpgroup: None,
        }
    }

    // ---- text ----

    pub(crate) fn line(&mut self, text: std::fmt::Arguments<'_>) {
        writeln!(self.body, "\t{text}").expect("writing to a String");
    }

    pub(crate) fn new_label(&mut self, name: &'static str) -> TextLabel {
        self.labels += 1;
        TextLabel(name, self.labels - 1)
    }

    pub(crate) fn place(&mut self, label: TextLabel) {
        writeln!(self.body, "{label}:").expect("writing to a String");
    }

    /// Writes `.loc` where the user's line changes.
    pub(crate) fn locate(&mut self, inst: &'k Inst) {
        self.current = Some(inst);
        let Some(p) = self.kernel.sources.positions.get(inst.loc.0 as usize) else { return };
        // Files are numbered from 1 in the text.
        let position = (p.file + 1, p.line, p.column);
        if self.position != Some(position) {
            self.position = Some(position);
            ins!(self, ".loc {} {} {}", position.0, position.1, position.2);
        }
    }

    /// The declarations of the registers used so far.
    pub(crate) fn declarations(&self) -> String {
        let mut out = String::new();
        for class in Class::ALL {
            if let Some(count) = self.registers.get(&class) {
                let (suffix, prefix) = (class.suffix(), class.prefix());
                writeln!(out, "\t.reg .{suffix} {prefix}<{count}>;").expect("writing to a String");
            }
        }
        out
    }

    /// Asks for a PTX ISA version.
    pub(crate) fn need(&mut self, major: u32, minor: u32) {
        self.version = self.version.max(Version::new(major, minor));
    }

    // ---- values ----

    pub(crate) fn new_reg(&mut self, class: Class) -> Reg {
        let count = self.registers.entry(class).or_insert(0);
        *count += 1;
        Reg { class, number: *count - 1 }
    }

    /// The registers a value of this type takes.
    pub(crate) fn new_regs(&mut self, ty: Type) -> Vec<Reg> {
        classes(ty).into_iter().map(|class| self.new_reg(class)).collect()
    }

    pub(crate) fn ty(&self, value: Value) -> Type {
        self.kernel.ty(value)
    }

    pub(crate) fn definition(&self, value: Value) -> Option<&'k Inst> {
        self.definitions[value.index()]
    }

    pub(crate) fn is_used(&self, value: Value) -> bool {
        self.uses_of(value) != 0
    }

    /// How many operands are this value.
    pub(crate) fn uses_of(&self, value: Value) -> u32 {
        self.uses[value.index()]
    }

    pub(crate) fn bind(&mut self, value: Value, binding: Binding) {
        self.bindings[value.index()] = Some(binding);
    }

    pub(crate) fn bind_regs(&mut self, value: Value, regs: Vec<Reg>) {
        debug_assert_eq!(
            regs.iter().map(|r| r.class).collect::<Vec<_>>(),
            classes(self.ty(value)),
            "registers of {}",
            self.ty(value)
        );
        self.bind(value, Binding::Regs(regs));
    }

    pub(crate) fn bind_reg(&mut self, value: Value, reg: Reg) {
        self.bind_regs(value, vec![reg]);
    }

    /// # Panics
    /// If the value is not defined before its use: the verifier rejects such kernels.
    pub(crate) fn binding(&self, value: Value) -> &Binding {
        self.try_binding(value).expect("the kernel is verified")
    }

    /// What stands for a value, if what defines it has been written.
    pub(crate) fn try_binding(&self, value: Value) -> Option<&Binding> {
        self.bindings[value.index()].as_ref()
    }

    pub(crate) fn constant(&self, value: Value) -> Option<Const> {
        match self.bindings.get(value.index()) {
            Some(Some(Binding::Const(c))) => Some(*c),
            _ => None,
        }
    }

    /// Every register of a value, or its immediate.
    pub(crate) fn parts(&mut self, value: Value) -> Vec<Operand> {
        match self.binding(value) {
            Binding::Const(c) => vec![Operand::Const(*c)],
            Binding::Regs(regs) => regs.iter().map(|&r| r.into()).collect(),
            Binding::Address(address) => {
                let address = *address;
                vec![self.materialize(address).into()]
            }
        }
    }

    /// A value of one register, or its immediate.
    pub(crate) fn operand(&mut self, value: Value) -> Operand {
        self.parts(value)[0]
    }

    /// Every register of a value.
    pub(crate) fn regs(&mut self, value: Value) -> Vec<Reg> {
        self.parts(value).into_iter().map(|part| self.in_reg(part)).collect()
    }

    /// The register of a value that has one.
    pub(crate) fn reg(&mut self, value: Value) -> Reg {
        self.regs(value)[0]
    }

    /// Puts an immediate into a register.
    pub(crate) fn in_reg(&mut self, operand: Operand) -> Reg {
        match operand {
            Operand::Reg(reg) => reg,
            Operand::Const(_) => {
                let reg = self.new_reg(operand.class());
                self.mov(reg, operand);
                reg
            }
        }
    }

    pub(crate) fn mov(&mut self, to: Reg, from: Operand) {
        ins!(self, "mov.{} {to}, {from};", to.class.suffix());
    }

    /// A new register that holds what the instruction `op` makes of the operands.
    pub(crate) fn op(&mut self, op: &str, class: Class, operands: &[Operand]) -> Reg {
        let to = self.new_reg(class);
        let mut text = format!("{op} {to}");
        for operand in operands {
            write!(text, ", {operand}").expect("writing to a String");
        }
        ins!(self, "{text};");
        to
    }

    // ---- errors ----

    pub(crate) fn unsupported(&self, ty: Type, rule: impl Into<String>) -> Error {
        let (op, location) = self.here();
        let (kernel, target) = (self.kernel.name.clone(), self.target);
        Error::Unsupported { kernel, location, op, ty, target, rule: rule.into() }
    }

    pub(crate) fn not_prepared(&self) -> Error {
        let (op, location) = self.here();
        Error::NotPrepared { kernel: self.kernel.name.clone(), location, op }
    }

    fn here(&self) -> (&'static str, String) {
        match self.current {
            Some(inst) => (inst.op.name(), self.kernel.sources.display(inst.loc)),
            None => ("kernel", "<parameters>".to_owned()),
        }
    }

    /// Whether the table of operations gives the current one to the target.
    pub(crate) fn is_available(&self, inst: &Inst) -> bool {
        inst.op.info().availability.on(&Target::Ptx(self.target))
    }

    /// A `u32` constant in a register or as an immediate.
    pub(crate) fn int(ty: Scalar, x: i128) -> Operand {
        Operand::Const(Const::int(ty, x))
    }
}
