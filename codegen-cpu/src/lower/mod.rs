//! A prepared kernel as vector LLVM IR: a function that runs one block.
//!
//! `void @kernel(ptr args, ptr shared, ptr record, i32 bx, i32 by, i32 bz, i32 gx, i32 gy, i32 gz)`
//!
//! A warp's lanes are vector lanes. Merges of control flow go through stack slots, which LLVM's
//! SROA pass turns into phis. A kernel whose blocks are one warp, or that has no barrier, is one
//! loop over warps; else the loop is split at barriers (see [`segment`]).
//!
//! A check that fails ends the whole block at once: no lane of it writes on, which the contract of
//! checks allows (what a failed kernel wrote is incomplete), and code behind a check stays free of
//! masks.

mod check;
mod control;
mod dot;
mod memory;
mod operation;
mod plan;
mod segment;
mod value;
mod warp;

use std::collections::HashMap;
use std::fmt::Write;

use kernelsmith_ir::attr::CacheHint;
use kernelsmith_ir::passes::uniformity::{Level, Uniformity};
use kernelsmith_ir::{Attr, Inst, Kernel, Label, Opcode, Scalar, Target, Type, Value};
use kernelsmith_llvm::emit::{Lines, Writer, llvm_type};

use crate::Error;
pub(crate) use dot::Dot;
use plan::Plan;
use value::{LANES, Lanes};

/// Lowers one kernel for one block size.
struct Lowering<'k> {
    kernel: &'k Kernel,
    block: [u32; 3],
    features: Features,
    uniformity: Uniformity,
    plan: Plan,
    w: Writer,
    /// Stack slots, written into the entry block at the end.
    slots: String,
    slot_count: u32,
    values: HashMap<Value, Lanes>,
    /// The lanes that execute the code being written; `None` for all.
    mask: Option<String>,
    targets: HashMap<Label, control::Target>,
    /// The warp's index in the block.
    warp: String,
    /// Where a warp's run of the current segment ends.
    warp_end: String,
    /// Where control goes on when none of the lanes here is left.
    idle: String,
    shared_offsets: Vec<u32>,
    /// How many operations around the code being written run for a part of the lanes.
    varying: u32,
    /// The lanes of each warp that have not returned, where segments must know.
    live: Option<String>,
    split: segment::Split,
    /// The stack slots of local arrays.
    locals: HashMap<u32, String>,
    /// Whether the kernel has stores past the caches, which releases do not order by themselves.
    streams: bool,
}

/// Threads of a block.
fn threads(block: [u32; 3]) -> u32 {
    block.iter().product()
}

/// The LLVM type of one lane's value.
fn scalar_text(ty: Type) -> String {
    match ty {
        Type::Ptr(..) => "ptr".to_owned(),
        ty => llvm_type(ty.elem(), None),
    }
}

/// The LLVM type of all lanes' values.
fn vector_text(ty: Type) -> String {
    format!("<{LANES} x {}>", scalar_text(ty))
}

/// The type of masks.
const MASK: &str = "<32 x i1>";

/// Instructions that not every processor has and that the text depends on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Features {
    /// Conversions of f16.
    pub(crate) half: bool,
    /// Dot products of bytes.
    pub(crate) dot: Dot,
    /// Dot products of bf16: AVX512-BF16.
    pub(crate) dot_of_bf16: bool,
}

/// The whole module; `symbol` names the function.
pub(crate) fn lower(
    kernel: &Kernel,
    block: [u32; 3],
    symbol: &str,
    features: Features,
    lines: Lines,
) -> Result<String, Error> {
    let uniformity = Uniformity::analyse(kernel, &Target::Cpu, true);
    let plan = Plan::new(kernel, &uniformity, block);
    let (shared_offsets, _) = kernel.shared_layout();
    let mut lowering = Lowering {
        kernel,
        block,
        features,
        uniformity,
        plan,
        w: Writer::without_libraries(features.half),
        slots: String::new(),
        slot_count: 0,
        values: HashMap::new(),
        mask: None,
        targets: HashMap::new(),
        warp: "0".to_owned(),
        warp_end: String::new(),
        idle: String::new(),
        shared_offsets,
        varying: 0,
        live: None,
        split: segment::Split::default(),
        locals: HashMap::new(),
        streams: streams(kernel),
    };
    lowering.w.number_lines(lines, &kernel.sources);
    lowering.w.look_for_large_integers(kernel);
    lowering.params();
    lowering.block_body()?;
    Ok(lowering.module(symbol))
}

fn streams(kernel: &Kernel) -> bool {
    let mut any = false;
    kernel.body.walk(&mut |inst| {
        let streaming = matches!(inst.attr, Attr::Mem { cache: CacheHint::Streaming, .. });
        any |= inst.op == Opcode::Store && streaming;
    });
    any
}

impl Lowering<'_> {
    fn ty(&self, value: Value) -> Type {
        self.kernel.ty(value)
    }

    fn warps(&self) -> u32 {
        threads(self.block).div_ceil(LANES)
    }

    fn get(&self, value: Value) -> Lanes {
        self.values.get(&value).cloned().unwrap_or_else(|| Lanes::Uniform("poison".to_owned()))
    }

    fn define(&mut self, inst: &Inst, value: Lanes) {
        self.values.insert(inst.results[0], value);
    }

    fn unsupported(&self, inst: &Inst, reason: impl Into<String>) -> Error {
        Error::Unsupported {
            location: self.kernel.sources.display(inst.loc),
            operation: inst.op.name(),
            reason: reason.into(),
        }
    }

    /// Whether merges of a value may be kept as a scalar.
    fn is_uniform(&self, value: Value) -> bool {
        self.uniformity.level(value) <= Level::Warp
    }

    /// A stack slot.
    fn slot(&mut self, ty: &str) -> String {
        self.slot_count += 1;
        let name = format!("%slot{}", self.slot_count);
        writeln!(self.slots, "  {name} = alloca {ty}").expect("writing to a string");
        name
    }

    /// Parameters are loaded once.
    fn params(&mut self) {
        let (offsets, _) = self.kernel.param_layout();
        for (param, offset) in self.kernel.params.iter().zip(offsets) {
            let ty = self.ty(param.value);
            let at = self.w.value(format!("getelementptr i8, ptr %args, i64 {offset}"));
            let memory = memory_type(ty, None);
            let value = self.w.value(format!("load {memory}, ptr {at}, align {}", ty.size()));
            let value = match ty {
                Type::Scalar(Scalar::Bool) => self.w.value(format!("trunc i8 {value} to i1")),
                _ => value,
            };
            self.values.insert(param.value, Lanes::Uniform(value));
        }
    }

    fn module(&self, symbol: &str) -> String {
        format!(
            "define void @{symbol}(ptr noalias readonly %args, ptr noalias %shared, ptr %record, \
             i32 %bx, i32 %by, i32 %bz, i32 %gx, i32 %gy, i32 %gz) #0{} {{\nentry:\n{}{}}}\n\n{}\n\
             attributes #0 = {{ nounwind \"prefer-vector-width\"=\"512\" }}\n{}",
            self.w.function_lines(),
            self.slots,
            self.w.body,
            self.w.declarations(),
            self.w.metadata(symbol, &self.kernel.sources, &[])
        )
    }

    /// A value as an LLVM vector of all lanes.
    fn vector(&mut self, value: &Lanes, ty: Type) -> String {
        match value {
            Lanes::Vector(v) => v.clone(),
            Lanes::Uniform(v) => self.splat(v, ty),
            Lanes::Affine { base, stride, .. } => self.spread(base, *stride, ty),
            Lanes::Local { array, index } => {
                let at = self.local_address(*array, index.as_deref(), ty.elem());
                self.vector(&at, ty)
            }
            Lanes::Parts(_) => unreachable!("a thread's vector is taken apart before"),
        }
    }

    /// A scalar in every lane.
    fn splat(&mut self, value: &str, ty: Type) -> String {
        if value == "poison" || value == "zeroinitializer" {
            return value.to_owned();
        }
        let (scalar, vector) = (scalar_text(ty), vector_text(ty));
        if !value.starts_with('%') {
            return format!("splat ({scalar} {value})");
        }
        let one = self.w.value(format!("insertelement {vector} poison, {scalar} {value}, i64 0"));
        self.w.value(format!(
            "shufflevector {vector} {one}, {vector} poison, <{LANES} x i32> zeroinitializer"
        ))
    }

    /// `base + lane * stride` as a vector; of pointers, by elements.
    fn spread(&mut self, base: &str, stride: i64, ty: Type) -> String {
        if let Type::Ptr(_, elem) = ty {
            let lanes = self.lane_multiples(stride, "i64");
            let elem = memory_type(Type::Scalar(elem), None);
            return self
                .w
                .value(format!("getelementptr {elem}, ptr {base}, <{LANES} x i64> {lanes}"));
        }
        let base = self.splat(base, ty);
        let lanes = self.lane_multiples(stride, &scalar_text(ty));
        self.w.value(format!("add {} {base}, {lanes}", vector_text(ty)))
    }

    /// The constant `<0, stride, 2 * stride, ..>`.
    fn lane_multiples(&self, stride: i64, int: &str) -> String {
        let bits: u32 = int[1..].parse().expect("an integer type");
        let lanes = (0..i64::from(LANES)).map(|lane| {
            let value = lane.wrapping_mul(stride);
            // Cut to the type's width, as LLVM wants constants in range.
            let shift = 64 - bits;
            format!("{int} {}", (value << shift) >> shift)
        });
        format!("<{}>", lanes.collect::<Vec<_>>().join(", "))
    }

    /// A value as a scalar: that of the first active lane where lanes are vectors but agree.
    fn scalar(&mut self, value: &Lanes, ty: Type) -> String {
        match value {
            Lanes::Uniform(v) => v.clone(),
            other => {
                let vector = self.vector(other, ty);
                let lane = self.first_lane();
                self.w.value(format!("extractelement {} {vector}, i32 {lane}", vector_text(ty)))
            }
        }
    }

    /// The number of the first active lane.
    fn first_lane(&mut self) -> String {
        match self.mask.clone() {
            None => "0".to_owned(),
            Some(mask) => {
                let bits = self.mask_bits(&mask);
                self.count_zeros("llvm.cttz.i32", &bits)
            }
        }
    }

    /// The number of the last active lane.
    fn last_lane(&mut self) -> String {
        match self.mask.clone() {
            None => (LANES - 1).to_string(),
            Some(mask) => {
                let bits = self.mask_bits(&mask);
                let zeros = self.count_zeros("llvm.ctlz.i32", &bits);
                self.w.value(format!("sub i32 {}, {zeros}", LANES - 1))
            }
        }
    }

    fn count_zeros(&mut self, name: &str, bits: &str) -> String {
        self.w.declare(format!("declare i32 @{name}(i32, i1)"));
        self.w.value(format!("call i32 @{name}(i32 {bits}, i1 false)"))
    }

    fn mask_bits(&mut self, mask: &str) -> String {
        self.w.value(format!("bitcast {MASK} {mask} to i32"))
    }

    /// Whether a mask has a lane.
    fn any(&mut self, mask: &str) -> String {
        let bits = self.mask_bits(mask);
        self.w.value(format!("icmp ne i32 {bits}, 0"))
    }

    /// The active lanes as a mask, all of them if there is none.
    fn mask_text(&self) -> String {
        self.mask.clone().unwrap_or_else(|| "splat (i1 true)".to_owned())
    }

    /// The active lanes for which a condition holds.
    fn mask_and(&mut self, condition: &str) -> String {
        match self.mask.clone() {
            None => condition.to_owned(),
            Some(mask) => self.w.value(format!("and {MASK} {mask}, {condition}")),
        }
    }

    fn mask_not(&mut self, mask: &str) -> String {
        self.w.value(format!("xor {MASK} {mask}, splat (i1 true)"))
    }
}

/// The type of a value in memory: `bool` is a byte.
fn memory_type(ty: Type, lanes: Option<u32>) -> String {
    let scalar = match ty {
        Type::Scalar(Scalar::Bool) => "i8".to_owned(),
        ty => scalar_text(ty),
    };
    lanes.map_or(scalar.clone(), |n| format!("<{n} x {scalar}>"))
}
