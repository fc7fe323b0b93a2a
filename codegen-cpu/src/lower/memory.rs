//! Memory: scalars where lanes agree on the address, vectors where addresses are consecutive,
//! gathers and scatters elsewhere.

use kernelsmith_ir::attr::{AtomicOp, CacheHint, Order};
use kernelsmith_ir::{Attr, Inst, Opcode, Scalar, Space, Type};
use kernelsmith_llvm::emit::{atomic_name, failure_ordering, llvm_type, ordering, suffix};

use super::operation::{element_text, elements};
use super::value::{LANES, Lanes};
use super::{Lowering, MASK, memory_type, scalar_text, vector_text};
use crate::Error;

/// Bytes of a cache line.
const LINE: i64 = 64;

impl Lowering<'_> {
    pub(super) fn memory(&mut self, inst: &Inst) -> Result<(), Error> {
        match (inst.op, &inst.attr) {
            (Opcode::SharedAddr, Attr::Shared(id)) => {
                let offset = self.shared_offsets[id.index()];
                let at = self.w.value(format!("getelementptr i8, ptr %shared, i64 {offset}"));
                self.define(inst, Lanes::Uniform(at));
            }
            (Opcode::LocalAddr, Attr::Local(id)) => {
                self.define(inst, Lanes::Local { array: id.0, index: None });
            }
            (Opcode::PtrAdd, _) => self.ptr_add(inst),
            (Opcode::Load, _) => self.load(inst),
            (Opcode::Store, Attr::Mem { cache, .. }) => self.store(inst, *cache),
            (Opcode::Prefetch, _) => self.prefetch(inst),
            (Opcode::AtomicRmw, Attr::Atomic { op, order, .. }) => {
                return self.atomic(inst, *op, *order);
            }
            (Opcode::AtomicCas, Attr::Atomic { order, .. }) => {
                return self.compare_exchange(inst, *order);
            }
            (Opcode::AtomicLoad, Attr::Fence { order, .. }) => self.atomic_load(inst, *order),
            (Opcode::AtomicStore, Attr::Fence { order, .. }) => self.atomic_store(inst, *order),
            (Opcode::PtrCast, _) => {
                let at = self.get(inst.operands[0]);
                let at = match at {
                    // Its elements lie as far apart as those of the type it was of.
                    Lanes::Affine { .. } => {
                        Lanes::Vector(self.vector(&at, self.ty(inst.operands[0])))
                    }
                    at => at,
                };
                self.define(inst, at);
            }
            (Opcode::Fence, Attr::Fence { order, .. }) if *order != Order::Relaxed => {
                let order = match order {
                    // Streamed stores wait for this one only.
                    _ if self.streams => "seq_cst",
                    Order::Acquire => "acquire",
                    Order::Release => "release",
                    _ => "acq_rel",
                };
                self.w.line(format!("fence {order}"));
            }
            (Opcode::CpAsync, Attr::Count(bytes)) => self.copy_bytes(inst, *bytes),
            // Copies are done when they are made.
            (Opcode::Fence | Opcode::CpAsyncCommit | Opcode::CpAsyncWait, _) => {}
            _ => return Err(self.unsupported(inst, "its attribute is of another operation")),
        }
        Ok(())
    }

    fn ptr_add(&mut self, inst: &Inst) {
        let [base, index] = [0, 1].map(|i| self.get(inst.operands[i]));
        let ty = self.ty(inst.operands[0]);
        let index_ty = self.ty(inst.operands[1]);
        let elem = memory_type(Type::Scalar(ty.elem()), None);
        let value = match (&base, &index) {
            (Lanes::Local { array, index: old }, new) => {
                let new = self.widened(new, index_ty);
                let index = match old {
                    None => new,
                    Some(old) => self.add_lanes(old, &new, Type::U64),
                };
                Lanes::Local { array: *array, index: Some(Box::new(index)) }
            }
            (Lanes::Uniform(base), Lanes::Uniform(index)) => {
                let index = self.w.cast(index, index_ty.elem(), Scalar::I64, None);
                Lanes::Uniform(
                    self.w.value(format!("getelementptr {elem}, ptr {base}, i64 {index}")),
                )
            }
            (Lanes::Uniform(base), Lanes::Affine { base: index, stride, exact })
                if index_ty.elem().bits() == 64 || *exact =>
            {
                let index = self.w.cast(index, index_ty.elem(), Scalar::I64, None);
                let base = self.w.value(format!("getelementptr {elem}, ptr {base}, i64 {index}"));
                Lanes::Affine { base, stride: *stride, exact: false }
            }
            (Lanes::Affine { base, stride, .. }, Lanes::Uniform(index)) => {
                let index = self.w.cast(index, index_ty.elem(), Scalar::I64, None);
                let base = self.w.value(format!("getelementptr {elem}, ptr {base}, i64 {index}"));
                Lanes::Affine { base, stride: *stride, exact: false }
            }
            _ => {
                let index = self.vector(&index, index_ty);
                let mut index = self.w.cast(&index, index_ty.elem(), Scalar::I64, Some(LANES));
                if let Type::Ptr(Space::Local, _) = ty {
                    let text = format!("<{LANES} x i64>");
                    index = self.w.value(format!("mul {text} {index}, splat (i64 {LANES})"));
                }
                let base = match &base {
                    Lanes::Uniform(base) => format!("ptr {base}"),
                    other => format!("<{LANES} x ptr> {}", self.vector(other, ty)),
                };
                Lanes::Vector(
                    self.w.value(format!("getelementptr {elem}, {base}, <{LANES} x i64> {index}")),
                )
            }
        };
        self.define(inst, value);
    }

    /// An index in 64 bits.
    fn widened(&mut self, index: &Lanes, ty: Type) -> Lanes {
        match index {
            Lanes::Uniform(index) => {
                Lanes::Uniform(self.w.cast(index, ty.elem(), Scalar::I64, None))
            }
            other => {
                let index = self.vector(other, ty);
                Lanes::Vector(self.w.cast(&index, ty.elem(), Scalar::I64, Some(LANES)))
            }
        }
    }

    fn add_lanes(&mut self, a: &Lanes, b: &Lanes, ty: Type) -> Lanes {
        match (a, b) {
            (Lanes::Uniform(a), Lanes::Uniform(b)) => {
                Lanes::Uniform(self.w.value(format!("add {} {a}, {b}", scalar_text(ty))))
            }
            _ => {
                let (a, b) = (self.vector(a, ty), self.vector(b, ty));
                Lanes::Vector(self.w.value(format!("add {} {a}, {b}", vector_text(ty))))
            }
        }
    }

    /// The address of a local array's element: uniform if the index is, else for each lane.
    pub(super) fn local_address(
        &mut self,
        array: u32,
        index: Option<&Lanes>,
        elem: Scalar,
    ) -> Lanes {
        let decl = &self.kernel.locals[array as usize];
        let memory = memory_type(Type::Scalar(elem), Some(LANES));
        let (len, warps) = (decl.len, self.warps());
        let slot = match self.locals.get(&array).cloned() {
            Some(slot) => slot,
            None => {
                let slot = self.slot(&format!("[{} x {memory}]", len * warps));
                self.locals.insert(array, slot.clone());
                slot
            }
        };
        let base = match warps {
            1 => slot,
            _ => self.warp_element(&slot, &format!("[{len} x {memory}]")),
        };
        match index {
            None => Lanes::Affine { base, stride: 1, exact: false },
            Some(Lanes::Uniform(index)) => {
                let base = self.w.value(format!("getelementptr {memory}, ptr {base}, i64 {index}"));
                Lanes::Affine { base, stride: 1, exact: false }
            }
            Some(index) => {
                let index = self.vector(index, Type::U64);
                let text = format!("<{LANES} x i64>");
                let row = self.w.value(format!("mul {text} {index}, splat (i64 {LANES})"));
                let lanes = self.lane_multiples(1, "i64");
                let index = self.w.value(format!("add {text} {row}, {lanes}"));
                let elem = memory_type(Type::Scalar(elem), None);
                Lanes::Vector(
                    self.w.value(format!("getelementptr {elem}, ptr {base}, {text} {index}")),
                )
            }
        }
    }

    /// An address in a form for loads and stores.
    fn address(&mut self, inst: &Inst) -> Lanes {
        let elem = self.ty(inst.operands[0]).elem();
        match self.get(inst.operands[0]) {
            Lanes::Local { array, index } => self.local_address(array, index.as_deref(), elem),
            other => other,
        }
    }

    /// The address of the `i`-th element behind an address.
    fn element_address(&mut self, address: &Lanes, pointer: Type, i: u32) -> Lanes {
        if i == 0 {
            return address.clone();
        }
        let elem = memory_type(Type::Scalar(pointer.elem()), None);
        let i = if let Type::Ptr(Space::Local, _) = pointer { i * LANES } else { i };
        let mut step = |ty: &str, base: &str| {
            self.w.value(format!("getelementptr {elem}, {ty} {base}, i64 {i}"))
        };
        match address {
            Lanes::Uniform(base) => Lanes::Uniform(step("ptr", base)),
            Lanes::Affine { base, stride, .. } => {
                Lanes::Affine { base: step("ptr", base), stride: *stride, exact: false }
            }
            Lanes::Vector(base) => Lanes::Vector(step(&format!("<{LANES} x ptr>"), base)),
            other => other.clone(),
        }
    }

    fn load(&mut self, inst: &Inst) {
        let address = self.address(inst);
        let (pointer, ty) = (self.ty(inst.operands[0]), self.ty(inst.results[0]));
        let value = match ty {
            Type::Vector(elem, count) => Lanes::Parts(
                (0..count.into())
                    .map(|i| {
                        let at = self.element_address(&address, pointer, i);
                        self.load_one(&at, elem)
                    })
                    .collect(),
            ),
            _ => self.load_one(&address, ty.elem()),
        };
        self.define(inst, value);
    }

    fn load_one(&mut self, address: &Lanes, elem: Scalar) -> Lanes {
        let (ty, align) = (Type::Scalar(elem), elem.size());
        let (one, all) = (memory_type(ty, None), memory_type(ty, Some(LANES)));
        match address {
            Lanes::Uniform(at) => {
                let value = self.w.value(format!("load {one}, ptr {at}, align {align}"));
                Lanes::Uniform(self.read_bool(&value, elem, None))
            }
            Lanes::Affine { base, stride: 1, .. } => {
                let value = match self.mask.clone() {
                    None => self.w.value(format!("load {all}, ptr {base}, align {align}")),
                    Some(mask) => {
                        let name = format!("llvm.masked.load.{}.p0", memory_suffix(elem));
                        self.w.declare(format!("declare {all} @{name}(ptr, i32, {MASK}, {all})"));
                        self.w.value(format!(
                            "call {all} @{name}(ptr {base}, i32 {align}, {MASK} {mask}, {all} zeroinitializer)"
                        ))
                    }
                };
                Lanes::Vector(self.read_bool(&value, elem, Some(LANES)))
            }
            other => {
                let pointers = self.vector(other, Type::Ptr(kernelsmith_ir::Space::Global, elem));
                let (name, mask) = (
                    format!("llvm.masked.gather.{}.v{LANES}p0", memory_suffix(elem)),
                    self.mask_text(),
                );
                let ptrs = format!("<{LANES} x ptr>");
                self.w.declare(format!("declare {all} @{name}({ptrs}, i32, {MASK}, {all})"));
                let value = self.w.value(format!(
                    "call {all} @{name}({ptrs} {pointers}, i32 {align}, {MASK} {mask}, {all} zeroinitializer)"
                ));
                Lanes::Vector(self.read_bool(&value, elem, Some(LANES)))
            }
        }
    }

    /// `bool`s are bytes in memory.
    fn read_bool(&mut self, value: &str, elem: Scalar, lanes: Option<u32>) -> String {
        match elem {
            Scalar::Bool => {
                let (byte, bit) = (memory_type(elem.into(), lanes), llvm_type(elem, lanes));
                self.w.value(format!("trunc {byte} {value} to {bit}"))
            }
            _ => value.to_owned(),
        }
    }

    fn written_bool(&mut self, value: &str, elem: Scalar, lanes: Option<u32>) -> String {
        match elem {
            Scalar::Bool => {
                let (byte, bit) = (memory_type(elem.into(), lanes), llvm_type(elem, lanes));
                self.w.value(format!("zext {bit} {value} to {byte}"))
            }
            _ => value.to_owned(),
        }
    }

    fn store(&mut self, inst: &Inst, cache: CacheHint) {
        let address = self.address(inst);
        let value = self.get(inst.operands[1]);
        let [pointer, ty] = [0, 1].map(|i| self.ty(inst.operands[i]));
        for (i, part) in elements(&value, ty.lanes()).iter().enumerate() {
            let at = self.element_address(&address, pointer, i as u32);
            match &at {
                Lanes::Affine { base, stride: 1, .. }
                    if cache == CacheHint::Streaming && self.mask.is_none() =>
                {
                    self.store_streaming(base, part, ty.elem());
                }
                _ => self.store_one(&at, part, ty.elem()),
            }
        }
    }

    /// All lanes' elements, past the caches. x86 has such stores of aligned vectors only (Intel SDM,
    /// `MOVNTPS`), so a test chooses; it comes out the same for whole rows.
    fn store_streaming(&mut self, base: &str, value: &Lanes, elem: Scalar) {
        let all = memory_type(Type::Scalar(elem), Some(LANES));
        let vector = self.vector(value, Type::Scalar(elem));
        let vector = self.written_bool(&vector, elem, Some(LANES));
        let [aligned, other, done] =
            ["aligned", "unaligned", "stored"].map(|what| self.w.label(what));
        let at = self.w.value(format!("ptrtoint ptr {base} to i64"));
        let rest = self.w.value(format!("and i64 {at}, {}", LINE - 1));
        let good = self.w.value(format!("icmp eq i64 {rest}, 0"));
        self.w.line(format!("br i1 {good}, label %{aligned}, label %{other}"));
        self.w.begin_block(&aligned);
        self.w.line(format!(
            "store {all} {vector}, ptr {base}, align {LINE}, !nontemporal !{{i32 1}}"
        ));
        self.w.line(format!("br label %{done}"));
        self.w.begin_block(&other);
        self.w.line(format!("store {all} {vector}, ptr {base}, align {}", elem.size()));
        self.w.line(format!("br label %{done}"));
        self.w.begin_block(&done);
    }

    /// The lines of evenly spaced elements, masked lanes' too: a prefetch never faults. Lanes whose
    /// addresses are anyone's are left to the loads.
    fn prefetch(&mut self, inst: &Inst) {
        let size = i64::from(self.ty(inst.operands[0]).elem().size());
        let (base, lines) = match self.address(inst) {
            Lanes::Uniform(at) => (at, 1),
            Lanes::Affine { base, stride: 1, .. } => {
                (base, (size * i64::from(LANES) + LINE - 1) / LINE)
            }
            _ => return,
        };
        self.w.declare("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)");
        for line in 0..lines {
            let at = self.w.value(format!("getelementptr i8, ptr {base}, i64 {}", line * LINE));
            // To be read (0), into the second level (2), data (1).
            self.w.line(format!("call void @llvm.prefetch.p0(ptr {at}, i32 0, i32 2, i32 1)"));
        }
    }

    fn store_one(&mut self, address: &Lanes, value: &Lanes, elem: Scalar) {
        let (ty, align) = (Type::Scalar(elem), elem.size());
        let (one, all) = (memory_type(ty, None), memory_type(ty, Some(LANES)));
        if let Lanes::Uniform(at) = address {
            // All lanes write one place; the last one's value stays.
            let value = match value {
                Lanes::Uniform(value) => value.clone(),
                other => {
                    let (vector, lane) = (self.vector(other, ty), self.last_lane());
                    let text = vector_text(ty);
                    self.w.value(format!("extractelement {text} {vector}, i32 {lane}"))
                }
            };
            let value = self.written_bool(&value, elem, None);
            return self.w.line(format!("store {one} {value}, ptr {at}, align {align}"));
        }
        let vector = self.vector(value, ty);
        let vector = self.written_bool(&vector, elem, Some(LANES));
        if let Lanes::Affine { base, stride: 1, .. } = address {
            return match self.mask.clone() {
                None => self.w.line(format!("store {all} {vector}, ptr {base}, align {align}")),
                Some(mask) => {
                    let name = format!("llvm.masked.store.{}.p0", memory_suffix(elem));
                    self.w.declare(format!("declare void @{name}({all}, ptr, i32, {MASK})"));
                    self.w.line(format!(
                        "call void @{name}({all} {vector}, ptr {base}, i32 {align}, {MASK} {mask})"
                    ));
                }
            };
        }
        let pointers = self.vector(address, Type::Ptr(kernelsmith_ir::Space::Global, elem));
        let (name, mask) =
            (format!("llvm.masked.scatter.{}.v{LANES}p0", memory_suffix(elem)), self.mask_text());
        let ptrs = format!("<{LANES} x ptr>");
        self.w.declare(format!("declare void @{name}({all}, {ptrs}, i32, {MASK})"));
        self.w.line(format!(
            "call void @{name}({all} {vector}, {ptrs} {pointers}, i32 {align}, {MASK} {mask})"
        ));
    }

    // ---- one lane after the other ----

    /// Runs code for each active lane; it is given the lane's number.
    pub(super) fn each_lane(&mut self, body: impl FnOnce(&mut Self, &str)) {
        let [head, test, run, next, done] =
            ["lanes", "lane", "run", "nextlane", "lanesdone"].map(|what| self.w.label(what));
        let bits = match self.mask.clone() {
            None => "-1".to_owned(),
            Some(mask) => self.mask_bits(&mask),
        };
        let counter = self.slot("i32");
        self.w.line(format!("store i32 0, ptr {counter}"));
        self.w.line(format!("br label %{head}"));
        self.w.begin_block(&head);
        let lane = self.w.value(format!("load i32, ptr {counter}"));
        let more = self.w.value(format!("icmp ult i32 {lane}, {LANES}"));
        self.w.line(format!("br i1 {more}, label %{test}, label %{done}"));
        self.w.begin_block(&test);
        let shifted = self.w.value(format!("lshr i32 {bits}, {lane}"));
        let active = self.w.value(format!("trunc i32 {shifted} to i1"));
        self.w.line(format!("br i1 {active}, label %{run}, label %{next}"));
        self.w.begin_block(&run);
        body(self, &lane);
        self.w.line(format!("br label %{next}"));
        self.w.begin_block(&next);
        let stepped = self.w.value(format!("add i32 {lane}, 1"));
        self.w.line(format!("store i32 {stepped}, ptr {counter}"));
        self.w.line(format!("br label %{head}"));
        self.w.begin_block(&done);
    }

    /// Runs an operation on memory lane by lane and collects its results.
    fn scalarised(
        &mut self,
        inst: &Inst,
        operation: impl FnOnce(&mut Self, &str, &[String]) -> String,
    ) {
        let elem = self.ty(inst.results[0]).elem();
        let address = self.address(inst);
        let pointer = self.ty(inst.operands[0]);
        let pointers = self.vector(&address, pointer);
        let operands: Vec<String> = inst.operands[1..]
            .iter()
            .map(|&v| {
                let lanes = self.get(v);
                let ty = self.ty(v);
                self.vector(&lanes, ty)
            })
            .collect();
        let text = vector_text(elem.into());
        let results = self.slot(&text);
        self.w.line(format!("store {text} zeroinitializer, ptr {results}"));
        self.each_lane(|this, lane| {
            let at = this.w.value(format!("extractelement <{LANES} x ptr> {pointers}, i32 {lane}"));
            let values: Vec<String> = operands
                .iter()
                .map(|v| this.w.value(format!("extractelement {text} {v}, i32 {lane}")))
                .collect();
            let old = operation(this, &at, &values);
            let all = this.w.value(format!("load {text}, ptr {results}"));
            let scalar = element_text(elem);
            let all =
                this.w.value(format!("insertelement {text} {all}, {scalar} {old}, i32 {lane}"));
            this.w.line(format!("store {text} {all}, ptr {results}"));
        });
        let all = self.w.value(format!("load {text}, ptr {results}"));
        self.define(inst, Lanes::Vector(all));
    }

    fn atomic(&mut self, inst: &Inst, op: AtomicOp, order: Order) -> Result<(), Error> {
        let ty = self.ty(inst.operands[1]).elem();
        let Some(name) = atomic_name(op, ty) else {
            return Err(self.unsupported(inst, format!("`{}` of {ty}", op.name())));
        };
        if let Some(small) = small_operation(op, ty) {
            self.small_atomic(inst, small, order);
            return Ok(());
        }
        let text = element_text(ty);
        self.scalarised(inst, |this, at, values| {
            this.w.value(format!(
                "atomicrmw {name} ptr {at}, {text} {} {}",
                values[0],
                ordering(order)
            ))
        });
        Ok(())
    }

    fn atomic_load(&mut self, inst: &Inst, order: Order) {
        let ty = self.ty(inst.results[0]).elem();
        self.scalarised(inst, |this, at, _| {
            let (text, align) = (element_text(ty), ty.size());
            this.w.value(format!("load atomic {text}, ptr {at} {}, align {align}", ordering(order)))
        });
    }

    fn atomic_store(&mut self, inst: &Inst, order: Order) {
        let [address, value] = [0, 1].map(|i| {
            let lanes = if i == 0 { self.address(inst) } else { self.get(inst.operands[1]) };
            let ty = self.ty(inst.operands[i]);
            self.vector(&lanes, ty)
        });
        let ty = self.ty(inst.operands[1]).elem();
        if self.streams && order != Order::Relaxed {
            self.w.line("fence seq_cst");
        }
        self.each_lane(|this, lane| {
            let at = this.w.value(format!("extractelement <{LANES} x ptr> {address}, i32 {lane}"));
            let all = vector_text(ty.into());
            let one = this.w.value(format!("extractelement {all} {value}, i32 {lane}"));
            let (text, align, order) = (element_text(ty), ty.size(), ordering(order));
            this.w.line(format!("store atomic {text} {one}, ptr {at} {order}, align {align}"));
        });
    }

    /// Arithmetic on a float of 16 bits, for which no processor has an atomic instruction.
    fn small_atomic(&mut self, inst: &Inst, op: Opcode, order: Order) {
        let ty = self.ty(inst.operands[1]).elem();
        self.scalarised(inst, |this, at, values| {
            let seen = this.slot("i16");
            let first = this.w.value(format!("load atomic i16, ptr {at} monotonic, align 2"));
            this.w.line(format!("store i16 {first}, ptr {seen}"));
            let [retry, done] = ["retry", "swapped"].map(|what| this.w.label(what));
            this.w.line(format!("br label %{retry}"));
            this.w.begin_block(&retry);
            let expected = this.w.value(format!("load i16, ptr {seen}"));
            let old = this.w.bits_as(&expected, Scalar::U16, ty, None);
            let new = this.small(op, &[&old, &values[0]], ty, None);
            let new = this.w.bits_as(&new, ty, Scalar::U16, None);
            let order = ordering(order);
            let pair = this
                .w
                .value(format!("cmpxchg ptr {at}, i16 {expected}, i16 {new} {order} monotonic"));
            let now = this.w.value(format!("extractvalue {{ i16, i1 }} {pair}, 0"));
            let swapped = this.w.value(format!("extractvalue {{ i16, i1 }} {pair}, 1"));
            this.w.line(format!("store i16 {now}, ptr {seen}"));
            this.w.line(format!("br i1 {swapped}, label %{done}, label %{retry}"));
            this.w.begin_block(&done);
            old
        });
    }

    /// An operation on two floats of 16 bits: exact in f32, then rounded.
    pub(super) fn small(
        &mut self,
        op: Opcode,
        operands: &[&str; 2],
        ty: Scalar,
        lanes: Option<u32>,
    ) -> String {
        let wide = operands.map(|x| self.w.cast(x, ty, Scalar::F32, lanes));
        let result = self.w.pure(op, &wide, Scalar::F32, Scalar::F32, lanes);
        self.w.cast(&result.expect("arithmetic of f32"), Scalar::F32, ty, lanes)
    }

    fn compare_exchange(&mut self, inst: &Inst, order: Order) -> Result<(), Error> {
        let ty = self.ty(inst.operands[1]).elem();
        let int = match ty.size() {
            1 => Scalar::U8,
            2 => Scalar::U16,
            4 => Scalar::U32,
            _ => Scalar::U64,
        };
        let failure = failure_ordering(order);
        let text = element_text(int);
        self.scalarised(inst, |this, at, values| {
            let [expected, new] = [0, 1].map(|i: usize| match ty.is_float() {
                true => this.w.bits_as(&values[i], ty, int, None),
                false => values[i].clone(),
            });
            let pair = this.w.value(format!(
                "cmpxchg ptr {at}, {text} {expected}, {text} {new} {} {failure}",
                ordering(order)
            ));
            let old = this.w.value(format!("extractvalue {{ {text}, i1 }} {pair}, 0"));
            match ty.is_float() {
                true => this.w.bits_as(&old, int, ty, None),
                false => old,
            }
        });
        Ok(())
    }

    /// `cp_async`, lane by lane.
    fn copy_bytes(&mut self, inst: &Inst, bytes: u32) {
        let [to, from] = [0, 1].map(|i| {
            let lanes = self.get(inst.operands[i]);
            let ty = self.ty(inst.operands[i]);
            self.vector(&lanes, ty)
        });
        let ty = format!("<{bytes} x i8>");
        self.each_lane(|this, lane| {
            let [to, from] = [&to, &from]
                .map(|p| this.w.value(format!("extractelement <{LANES} x ptr> {p}, i32 {lane}")));
            let value = this.w.value(format!("load {ty}, ptr {from}, align {bytes}"));
            this.w.line(format!("store {ty} {value}, ptr {to}, align {bytes}"));
        });
    }
}

/// The operation that an atomic access computes on a float of 16 bits.
fn small_operation(op: AtomicOp, ty: Scalar) -> Option<Opcode> {
    if matches!(ty, Scalar::F16 | Scalar::BF16) { op.opcode() } else { None }
}

/// The suffix of memory intrinsics for all lanes.
fn memory_suffix(elem: Scalar) -> String {
    match elem {
        Scalar::Bool => format!("v{LANES}i8"),
        elem => suffix(elem, Some(LANES)),
    }
}
