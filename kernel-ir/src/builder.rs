//! Builds a kernel from the front, one instruction at a time.
//!
//! The builder keeps a stack of open regions. After a terminator the insertion point is *dead*:
//! what is emitted until the region closes still gets values (the caller need not care) but is
//! dropped. Regions that end alive get their terminator from the builder: `yield` for `if` and
//! `block`, `continue` for `for` and `loop`.

use crate::attr::{Attr, CacheHint, CheckKind, Const};
use crate::kernel::{
    Inst, Kernel, Label, LocalDecl, LocalId, Param, ParamKind, Region, SharedDecl, SharedId, Value,
    VarDecl, VarId,
};
use crate::loc::Loc;
use crate::message::Message;
use crate::op::Opcode;
use crate::types::{Scalar, Type};

/// What an open region belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Owner {
    Body,
    Then,
    Else,
    For,
    Loop,
    Block,
}

/// A region being filled, with what its owner needs once it closes.
#[derive(Debug)]
struct Frame {
    owner: Owner,
    label: Option<Label>,
    operands: Vec<Value>,
    /// The finished `then` region, while the `else` region is open.
    then: Option<Region>,
    region: Region,
    dead: bool,
    /// Whether a reachable `break` names this frame's label.
    broken: bool,
    loc: Loc,
}

/// Builds one [`Kernel`].
#[derive(Debug)]
pub struct Builder {
    kernel: Kernel,
    frames: Vec<Frame>,
    loc: Loc,
}

impl Builder {
    /// Begins a kernel.
    pub fn new(name: &str) -> Builder {
        let mut builder = Builder { kernel: Kernel::new(name), frames: Vec::new(), loc: Loc::NONE };
        builder.open(Owner::Body, None, Vec::new(), Vec::new());
        builder
    }

    /// The kernel so far: its tables, types and source map.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// The kernel so far, to set what the builder has no method for.
    pub fn kernel_mut(&mut self) -> &mut Kernel {
        &mut self.kernel
    }

    /// Ends the kernel.
    ///
    /// # Panics
    /// If a region is still open: a bug in the front end.
    pub fn finish(mut self) -> Kernel {
        if !self.is_dead() {
            self.ret();
        }
        let frame = self.frames.pop().expect("the body is open");
        assert_eq!(frame.owner, Owner::Body, "unclosed {:?}", frame.owner);
        self.kernel.body = frame.region;
        self.kernel
    }

    /// Sets the location of the instructions that follow.
    pub fn set_loc(&mut self, loc: Loc) {
        self.loc = loc;
    }

    /// The location given to instructions now.
    pub fn loc(&self) -> Loc {
        self.loc
    }

    /// Whether the insertion point is dead: control never reaches it.
    pub fn is_dead(&self) -> bool {
        self.top().dead
    }

    /// How many open regions run conditionally or repeatedly, as decided when the kernel runs.
    /// Blocks do not count: they run once where they stand.
    pub fn run_time_depth(&self) -> usize {
        let conditional = |f: &&Frame| !matches!(f.owner, Owner::Body | Owner::Block);
        self.frames.iter().filter(conditional).count()
    }

    /// The upper bound of an open `for`.
    ///
    /// # Panics
    /// If no `for` of that label is open: a bug in the front end.
    pub fn for_bound(&self, label: Label) -> Value {
        let frame = self.frames.iter().find(|f| f.owner == Owner::For && f.label == Some(label));
        frame.expect("the for is open").operands[1]
    }

    // ---- declarations ----

    /// Adds a parameter.
    pub fn param(&mut self, name: &str, ty: Type, kind: ParamKind) -> Value {
        let value = self.kernel.new_value(ty);
        self.kernel.params.push(Param { name: name.to_owned(), value, kind });
        value
    }

    /// The parameter that a launch fills in, declared at its first use.
    ///
    /// # Panics
    /// If the kind is one that callers pass: a bug in the front end.
    pub fn hidden_param(&mut self, kind: ParamKind) -> Value {
        if let Some(param) = self.kernel.params.iter().find(|p| p.kind == kind) {
            return param.value;
        }
        let ty = kind.hidden_type().expect("a kind that launches fill in");
        self.param(kind.name(), ty, kind)
    }

    /// Declares a variable slot. Slots are numbered in order of declaration, so that consecutive
    /// calls give a contiguous group.
    pub fn var(&mut self, name: &str, ty: Type) -> VarId {
        self.kernel.vars.push(VarDecl { ty, name: name.to_owned() });
        VarId(self.kernel.vars.len() as u32 - 1)
    }

    /// Declares a shared array; `len` of `None` for dynamic shared memory.
    pub fn shared(&mut self, name: &str, elem: Scalar, len: Option<u32>, align: u32) -> SharedId {
        self.kernel.shared.push(SharedDecl { name: name.to_owned(), elem, len, align });
        SharedId(self.kernel.shared.len() as u32 - 1)
    }

    /// Declares a local array.
    pub fn local(&mut self, elem: Scalar, len: u32) -> LocalId {
        self.kernel.locals.push(LocalDecl { elem, len });
        LocalId(self.kernel.locals.len() as u32 - 1)
    }

    // ---- instructions ----

    /// Emits any instruction without regions.
    pub fn emit(
        &mut self,
        op: Opcode,
        attr: Attr,
        operands: &[Value],
        results: &[Type],
    ) -> Vec<Value> {
        let results: Vec<Value> = results.iter().map(|&ty| self.kernel.new_value(ty)).collect();
        let loc = self.loc;
        self.push(Inst {
            op,
            attr,
            operands: operands.to_vec(),
            results: results.clone(),
            regions: Vec::new(),
            loc,
        });
        results
    }

    /// Emits an instruction with one result.
    pub fn emit1(&mut self, op: Opcode, attr: Attr, operands: &[Value], result: Type) -> Value {
        self.emit(op, attr, operands, &[result])[0]
    }

    /// A constant.
    pub fn constant(&mut self, c: Const) -> Value {
        self.emit1(Opcode::Const, Attr::Const(c), &[], Type::Scalar(c.ty))
    }

    /// An operation whose result has the type of its first operand.
    pub fn same(&mut self, op: Opcode, operands: &[Value]) -> Value {
        let ty = self.kernel.ty(operands[0]);
        self.emit1(op, Attr::None, operands, ty)
    }

    /// A comparison.
    pub fn compare(&mut self, op: Opcode, a: Value, b: Value) -> Value {
        self.emit1(op, Attr::None, &[a, b], Type::BOOL)
    }

    /// `if c { a } else { b }` on values.
    pub fn select(&mut self, c: Value, a: Value, b: Value) -> Value {
        let ty = self.kernel.ty(a);
        self.emit1(Opcode::Select, Attr::None, &[c, a, b], ty)
    }

    /// Rust's `as` to another element type.
    pub fn cast(&mut self, a: Value, to: Scalar) -> Value {
        let ty = self.kernel.ty(a).with_elem(to);
        self.emit1(Opcode::Cast, Attr::None, &[a], ty)
    }

    /// A pointer moved by `index` elements.
    pub fn ptr_add(&mut self, ptr: Value, index: Value) -> Value {
        self.same(Opcode::PtrAdd, &[ptr, index])
    }

    /// Loads a scalar, or a vector if `ty` says so, at the natural alignment of the scalar.
    pub fn load(&mut self, ptr: Value, ty: Type) -> Value {
        let attr = Attr::Mem { align: ty.elem().size(), cache: CacheHint::Normal };
        self.emit1(Opcode::Load, attr, &[ptr], ty)
    }

    /// Stores a scalar or vector at the natural alignment of the scalar.
    pub fn store(&mut self, ptr: Value, value: Value) {
        let align = self.kernel.ty(value).elem().size();
        let attr = Attr::Mem { align, cache: CacheHint::Normal };
        self.emit(Opcode::Store, attr, &[ptr, value], &[]);
    }

    /// Reads a variable slot.
    pub fn var_load(&mut self, var: VarId) -> Value {
        let ty = self.kernel.vars[var.index()].ty;
        self.emit1(Opcode::VarLoad, Attr::Var { var, stride: 1, count: 1 }, &[], ty)
    }

    /// Writes a variable slot.
    pub fn var_store(&mut self, var: VarId, value: Value) {
        self.emit(Opcode::VarStore, Attr::Var { var, stride: 1, count: 1 }, &[value], &[]);
    }

    /// Reads slot `var + index * stride`; `index` is a u64 below `count`, already checked.
    pub fn var_load_at(&mut self, var: VarId, stride: u32, count: u32, index: Value) -> Value {
        let ty = self.kernel.vars[var.index()].ty;
        self.emit1(Opcode::VarLoadAt, Attr::Var { var, stride, count }, &[index], ty)
    }

    /// Writes slot `var + index * stride`; `index` is a u64 below `count`, already checked.
    pub fn var_store_at(&mut self, var: VarId, stride: u32, count: u32, index: Value, v: Value) {
        self.emit(Opcode::VarStoreAt, Attr::Var { var, stride, count }, &[index, v], &[]);
    }

    /// Reports an error and ends the thread unless `index < len` (both u64).
    pub fn check_bounds(&mut self, index: Value, len: Value) {
        let ok = self.compare(Opcode::Lt, index, len);
        self.emit(Opcode::Check, Attr::Check(CheckKind::Bounds, None), &[ok, index, len], &[]);
    }

    /// Reports an error and ends the thread unless `ok`.
    pub fn check(&mut self, ok: Value, kind: CheckKind, message: Option<&str>) {
        let message = message.map(|text| Message::text(text).to_string().into());
        self.emit(Opcode::Check, Attr::Check(kind, message), &[ok], &[]);
    }

    /// Reports a message with values and ends the thread unless `ok`. The values are the bits that
    /// the message's holes show, as u64; at most [`ErrorRecord::VALUE_COUNT`] of them.
    ///
    /// [`ErrorRecord::VALUE_COUNT`]: crate::check::ErrorRecord::VALUE_COUNT
    pub fn assert(&mut self, ok: Value, message: &Message, values: &[Value]) {
        let attr = Attr::Check(CheckKind::Assert, Some(message.to_string().into()));
        let operands: Vec<Value> = std::iter::once(ok).chain(values.iter().copied()).collect();
        self.emit(Opcode::Check, attr, &operands, &[]);
    }

    // ---- control flow ----

    /// Opens the `then` region of an `if`.
    pub fn begin_if(&mut self, condition: Value) {
        self.open(Owner::Then, None, vec![condition], Vec::new());
    }

    /// Closes the `then` region with what it yields, and opens the `else` region.
    ///
    /// # Panics
    /// If no `then` region is the innermost one.
    pub fn begin_else(&mut self, yields: &[Value]) {
        let then = self.close(Owner::Then, Opcode::Yield, yields);
        self.open(Owner::Else, None, then.operands, Vec::new());
        let frame = self.top_mut();
        frame.then = Some(then.region);
        frame.loc = then.loc;
    }

    /// Closes the `else` region with what it yields; returns the `if`'s results, of the types
    /// given. A branch that ended dead yields nothing.
    ///
    /// # Panics
    /// If no `else` region is the innermost one.
    pub fn end_if(&mut self, yields: &[Value], types: &[Type]) -> Vec<Value> {
        let mut frame = self.close(Owner::Else, Opcode::Yield, yields);
        let then = frame.then.take().expect("begin_else sets it");
        let dead = [&then, &frame.region].iter().all(|r| !ends_in_yield(r));
        let results = self.finish_control(Opcode::If, frame, Some(then), types);
        if dead {
            self.kill();
        }
        results
    }

    /// Opens a `for`; returns its label and induction value, of the type of `lo`.
    pub fn begin_for(&mut self, lo: Value, hi: Value) -> (Label, Value) {
        let label = self.kernel.new_label();
        let ty = self.kernel.ty(lo);
        let iv = self.kernel.new_value(ty);
        self.open(Owner::For, Some(label), vec![lo, hi], vec![iv]);
        (label, iv)
    }

    /// Closes a `for`.
    pub fn end_for(&mut self) {
        let frame = self.close(Owner::For, Opcode::Continue, &[]);
        self.finish_control(Opcode::For, frame, None, &[]);
    }

    /// Opens a `loop`; returns its label.
    pub fn begin_loop(&mut self) -> Label {
        let label = self.kernel.new_label();
        self.open(Owner::Loop, Some(label), Vec::new(), Vec::new());
        label
    }

    /// Closes a `loop`. If nothing breaks out of it, what follows is dead.
    pub fn end_loop(&mut self) {
        let frame = self.close(Owner::Loop, Opcode::Continue, &[]);
        let left = frame.broken;
        self.finish_control(Opcode::Loop, frame, None, &[]);
        if !left {
            self.kill();
        }
    }

    /// Abandons the innermost open `loop`, moving what it holds into the region around it. Used
    /// when a loop turns out to run on the host.
    pub fn cancel_loop(&mut self) {
        let frame = self.frames.pop().expect("a loop is open");
        assert_eq!(frame.owner, Owner::Loop, "the innermost region is not a loop");
        let parent = self.top_mut();
        if !parent.dead {
            parent.region.insts.extend(frame.region.insts);
            parent.dead = frame.dead;
        }
    }

    /// Opens a `block`; returns its label.
    pub fn begin_block(&mut self) -> Label {
        let label = self.kernel.new_label();
        self.open(Owner::Block, Some(label), Vec::new(), Vec::new());
        label
    }

    /// Closes a `block`. If neither its end nor a break is reachable, what follows is dead. A block
    /// that nothing breaks out of is dissolved: unrolled loops open one for every iteration.
    pub fn end_block(&mut self) {
        let mut frame = self.close(Owner::Block, Opcode::Yield, &[]);
        let alive = ends_in_yield(&frame.region) || frame.broken;
        if !frame.broken {
            if alive {
                frame.region.insts.pop();
            }
            let parent = self.top_mut();
            if !parent.dead {
                parent.region.insts.append(&mut frame.region.insts);
                parent.dead = !alive;
            }
            return;
        }
        self.finish_control(Opcode::Block, frame, None, &[]);
        if !alive {
            self.kill();
        }
    }

    /// Leaves the labelled operation.
    pub fn brk(&mut self, label: Label) {
        if self.is_dead() {
            return;
        }
        if let Some(frame) = self.frames.iter_mut().find(|f| f.label == Some(label)) {
            frame.broken = true;
        }
        self.terminate(Opcode::Break, Attr::Label(label), &[]);
    }

    /// Goes on with the labelled loop's next iteration.
    pub fn cont(&mut self, label: Label) {
        self.terminate(Opcode::Continue, Attr::Label(label), &[]);
    }

    /// Ends the thread.
    pub fn ret(&mut self) {
        self.terminate(Opcode::Return, Attr::None, &[]);
    }

    // ---- inside ----

    fn top(&self) -> &Frame {
        self.frames.last().expect("a region is open")
    }

    fn top_mut(&mut self) -> &mut Frame {
        self.frames.last_mut().expect("a region is open")
    }

    fn push(&mut self, inst: Inst) {
        let frame = self.top_mut();
        if !frame.dead {
            frame.region.insts.push(inst);
        }
    }

    fn kill(&mut self) {
        // A dead end inside a region that is otherwise alive still needs a terminator; returning
        // is as good as any, as control never gets here.
        if !self.is_dead() {
            self.ret();
        }
    }

    fn terminate(&mut self, op: Opcode, attr: Attr, operands: &[Value]) {
        self.emit(op, attr, operands, &[]);
        self.top_mut().dead = true;
    }

    fn open(&mut self, owner: Owner, label: Option<Label>, operands: Vec<Value>, args: Vec<Value>) {
        self.frames.push(Frame {
            owner,
            label,
            operands,
            then: None,
            region: Region { args, insts: Vec::new() },
            dead: false,
            broken: false,
            loc: self.loc,
        });
    }

    /// Gives the innermost region its terminator if it ended alive, and takes it off the stack.
    fn close(&mut self, owner: Owner, terminator: Opcode, yields: &[Value]) -> Frame {
        assert_eq!(self.top().owner, owner, "the innermost region is not {owner:?}");
        if !self.is_dead() {
            let attr = match (terminator, self.top().label) {
                (Opcode::Continue, Some(label)) => Attr::Label(label),
                _ => Attr::None,
            };
            self.terminate(terminator, attr, yields);
        }
        self.frames.pop().expect("a region is open")
    }

    fn finish_control(
        &mut self,
        op: Opcode,
        frame: Frame,
        then: Option<Region>,
        types: &[Type],
    ) -> Vec<Value> {
        let results: Vec<Value> = types.iter().map(|&ty| self.kernel.new_value(ty)).collect();
        self.push(Inst {
            op,
            attr: frame.label.map_or(Attr::None, Attr::Label),
            operands: frame.operands,
            results: results.clone(),
            regions: then.into_iter().chain([frame.region]).collect(),
            loc: frame.loc,
        });
        results
    }
}

fn ends_in_yield(region: &Region) -> bool {
    region.terminator().is_some_and(|t| t.op == Opcode::Yield)
}
