//! The text form of the IR. The parser reads it back.
//!
//! Values are numbered in order of definition, whatever their numbers in memory, so that equal
//! kernels print equally:
//!
//! ```text
//! kernel @axpy(%0 "a": f32 scalar, %1 "x": ptr<global, f32> readonly, %2 "x.len": u64 scalar) {
//!   file f0 "src/axpy.rs"
//!   shared s0 "tile": f32 x 256 align 16
//!   requires "x.len() >= 100": 1 * %2 + -100 >= 0 at f0:1:10
//!   %3: u32 = thread_idx[x] at f0:3:5
//!   if %6 {
//!     %7: f32 = load[align 4] %5 at f0:4:9
//!     yield
//!   } {
//!     yield
//!   }
//!   return
//! }
//! ```

use std::collections::HashMap;
use std::fmt::{self, Display, Write};

use crate::attr::{Attr, BoxMode, CacheHint};
use crate::contract::{Requirement, Term};
use crate::kernel::{Inst, Kernel, ParamKind, Region, Value};
use crate::loc::Loc;
use crate::tcgen05::group::Group;
use crate::tcgen05::scales::Scales;
use crate::tensor_map::Walk;
use crate::types::Scalar;
use crate::wgmma::{SmemLayout, Wgmma};

impl Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Printer::new(self, true).kernel())
    }
}

impl Kernel {
    /// The text form without locations: what a cache key or a snapshot should depend on.
    pub fn to_string_without_locations(&self) -> String {
        Printer::new(self, false).kernel()
    }
}

struct Printer<'k> {
    kernel: &'k Kernel,
    numbers: HashMap<Value, usize>,
    locations: bool,
    out: String,
}

impl<'k> Printer<'k> {
    fn new(kernel: &'k Kernel, locations: bool) -> Self {
        Printer { kernel, numbers: HashMap::new(), locations, out: String::new() }
    }

    fn define(&mut self, value: Value) -> String {
        let n = self.numbers.len();
        self.numbers.insert(value, n);
        format!("%{n}")
    }

    fn name(&self, value: Value) -> String {
        match self.numbers.get(&value) {
            Some(n) => format!("%{n}"),
            // Only in kernels the verifier rejects; printing them must still work.
            None => format!("%undefined{}", value.0),
        }
    }

    fn kernel(mut self) -> String {
        let k = self.kernel;
        let params: Vec<String> = k
            .params
            .iter()
            .map(|p| {
                let (value, ty) = (self.define(p.value), k.ty(p.value));
                format!("{value} {:?}: {ty} {}", p.name, kind_text(&p.kind))
            })
            .collect();
        let dims = |name: &str, dims: Option<[u32; 3]>| {
            dims.map_or(String::new(), |[x, y, z]| format!(" {name}({x}, {y}, {z})"))
        };
        let (block, cluster) = (dims("block", k.block_dim), dims("cluster", k.cluster_dim));
        self.line(0, &format!("kernel @{}({}){block}{cluster} {{", k.name, params.join(", ")));
        if self.locations {
            for (i, file) in k.sources.files.iter().enumerate() {
                self.line(1, &format!("file f{i} {file:?}"));
            }
        }
        for (i, s) in k.shared.iter().enumerate() {
            let len = s.len.map_or("dynamic".to_owned(), |n| n.to_string());
            self.line(
                1,
                &format!("shared s{i} {:?}: {} x {len} align {}", s.name, s.elem, s.align),
            );
        }
        for (i, l) in k.locals.iter().enumerate() {
            self.line(1, &format!("local l{i}: {} x {}", l.elem, l.len));
        }
        for (i, message) in k.prints.iter().enumerate() {
            self.line(1, &format!("print p{i} {message:?}"));
        }
        for (i, v) in k.vars.iter().enumerate() {
            self.line(1, &format!("var v{i} {:?}: {}", v.name, v.ty));
        }
        for requirement in &k.requires {
            let text = self.requirement(requirement);
            self.line(1, &text);
        }
        self.insts(1, &k.body);
        self.line(0, "}");
        self.out
    }

    fn requirement(&self, requirement: &Requirement) -> String {
        let term = |term: &Term| {
            let params: Vec<String> =
                term.params.iter().map(|&p| format!(" * {}", self.name(p))).collect();
            format!("{}{}", term.factor, params.concat())
        };
        let terms: Vec<String> = requirement.terms.iter().map(term).collect();
        let at = self.location(requirement.loc);
        format!("requires {:?}: {} >= 0{at}", requirement.text, terms.join(" + "))
    }

    fn line(&mut self, depth: usize, text: &str) {
        for _ in 0..depth {
            self.out.push_str("  ");
        }
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn insts(&mut self, depth: usize, region: &Region) {
        for inst in &region.insts {
            self.inst(depth, inst);
        }
    }

    fn inst(&mut self, depth: usize, inst: &Inst) {
        let operands: Vec<String> = inst.operands.iter().map(|&v| self.name(v)).collect();
        // An owner's results come after what its regions define, as they are known only then;
        // numbering follows the text, so they are numbered first.
        let results: Vec<String> = inst
            .results
            .iter()
            .map(|&v| {
                let ty = self.kernel.ty(v);
                format!("{}: {ty}", self.define(v))
            })
            .collect();
        let mut text = String::new();
        if !results.is_empty() {
            write!(text, "{} = ", results.join(", ")).expect("writing to a string");
        }
        text.push_str(inst.op.name());
        text.push_str(&attr_text(&inst.attr));
        if !operands.is_empty() {
            write!(text, " {}", operands.join(", ")).expect("writing to a string");
        }
        text.push_str(&self.location(inst.loc));
        if inst.regions.is_empty() {
            return self.line(depth, &text);
        }
        for (i, region) in inst.regions.iter().enumerate() {
            let args: Vec<String> = region
                .args
                .iter()
                .map(|&v| {
                    let ty = self.kernel.ty(v);
                    format!("{}: {ty}", self.define(v))
                })
                .collect();
            let head = if i == 0 { text.as_str() } else { "}" };
            let args =
                if args.is_empty() { String::new() } else { format!(" |{}|", args.join(", ")) };
            let open = format!("{head} {{{args}");
            self.line(depth, &open);
            self.insts(depth + 1, region);
        }
        self.line(depth, "}");
    }

    fn location(&self, loc: Loc) -> String {
        match self.kernel.sources.positions.get(loc.0 as usize) {
            Some(p) if self.locations => format!(" at f{}:{}:{}", p.file, p.line, p.column),
            _ => String::new(),
        }
    }
}

/// What a parameter is, in words.
fn kind_text(kind: &ParamKind) -> String {
    match kind {
        ParamKind::TensorMap(tile) => {
            let extents: Vec<String> = tile.extents().iter().map(|n| n.to_string()).collect();
            let walk = tile.walk.map_or(String::new(), |walk| walk_text(&walk));
            format!("{}[{} {}{walk}]", kind.name(), extents.join(", "), tile.swizzle.name())
        }
        plain => plain.name().to_owned(),
    }
}

/// How a window walks over images: along each axis of theirs, innermost first, from where to where,
/// and in which steps.
fn walk_text(walk: &Walk) -> String {
    let axes = (0..usize::from(walk.axes))
        .map(|i| format!("{} {} {}", walk.lower[i], walk.upper[i], walk.steps[i]));
    format!(" walk {}", axes.collect::<Vec<_>>().join(", "))
}

/// How a factor lies in shared memory.
fn layout_text(name: &str, layout: &SmemLayout) -> String {
    let SmemLayout { swizzle, mn_major, leading, stride } = layout;
    let major = if *mn_major { "mn" } else { "k" };
    format!("{name} {major} {} {leading} {stride}", swizzle.name())
}

/// The word for a pair of blocks behind something else; one block has none.
fn group_text(group: Group) -> String {
    match group {
        Group::One => String::new(),
        Group::Pair => format!(" {}", group.name()),
    }
}

/// An attribute in brackets behind the operation's name; empty for [`Attr::None`].
pub(crate) fn attr_text(attr: &Attr) -> String {
    match attr {
        Attr::None => String::new(),
        Attr::Const(c) => {
            let value = match c.ty {
                Scalar::Bool => if c.bits == 0 { "false" } else { "true" }.to_owned(),
                ty if ty.is_int() => c.as_int().to_string(),
                // Bits, because decimals would not bring every NaN back; a reader gets the value
                // as well, which the parser skips.
                _ => match c.as_f64() {
                    Some(x) => format!("{:#x} {x:?}", c.bits),
                    None => format!("{:#x}", c.bits),
                },
            };
            format!("[{} {value}]", c.ty)
        }
        Attr::Dim(d) => format!("[{}]", d.name()),
        Attr::Var { var, stride: 1, count: 1 } => format!("[v{}]", var.0),
        Attr::Var { var, stride, count } => {
            format!("[v{} stride {stride} count {count}]", var.0)
        }
        Attr::Shared(id) => format!("[s{}]", id.0),
        Attr::Local(id) => format!("[l{}]", id.0),
        Attr::Label(l) => format!("[${}]", l.0),
        Attr::Mem { align, cache: CacheHint::Normal } => format!("[align {align}]"),
        Attr::Mem { align, cache } => format!("[align {align} {}]", cache.name()),
        Attr::Atomic { op, order, scope } => {
            format!("[{} {} {}]", op.name(), order.name(), scope.name())
        }
        Attr::Fence { order, scope } => format!("[{} {}]", order.name(), scope.name()),
        Attr::Barrier { id, threads } => format!("[{id} threads {threads}]"),
        Attr::Reduce(op) => format!("[{}]", op.name()),
        Attr::Mma(shape) => format!("[{}]", shape.name()),
        Attr::Lane(n) | Attr::Ldmatrix { count: n, trans: false } => format!("[{n}]"),
        Attr::Ldmatrix { count, trans: true } => format!("[{count} trans]"),
        Attr::Check(kind, None) => format!("[{}]", kind.name()),
        Attr::Check(kind, Some(message)) => format!("[{} {message:?}]", kind.name()),
        Attr::Count(n) => format!("[{n}]"),
        Attr::Bulk { multicast, reduce, eviction, mode } => {
            let multicast = if *multicast { " multicast" } else { "" };
            let mode = match mode {
                BoxMode::Tile => String::new(),
                mode => format!(" {}", mode.name()),
            };
            let reduce = reduce.map_or(String::new(), |op| format!(" {}", op.name()));
            format!("[{}{multicast}{mode}{reduce}]", eviction.name())
        }
        Attr::Wgmma(Wgmma { shape, a, b }) => {
            let a = a.as_ref().map_or(String::new(), |a| format!(" {}", layout_text("a", a)));
            format!("[{}{a} {}]", shape.name(), layout_text("b", b))
        }
        Attr::Columns { count, group } => format!("[{count}{}]", group_text(*group)),
        Attr::Group(Group::One) => String::new(),
        Attr::Group(Group::Pair) => "[pair]".to_owned(),
        Attr::Commit { group, multicast } => match (group, multicast) {
            (Group::One, false) => String::new(),
            (Group::One, true) => "[multicast]".to_owned(),
            (Group::Pair, false) => "[pair]".to_owned(),
            (Group::Pair, true) => "[pair multicast]".to_owned(),
        },
        Attr::Tcgen05(product) => {
            let group = group_text(product.group);
            let a =
                product.a.as_ref().map_or(String::new(), |a| format!(" {}", layout_text("a", a)));
            let scales = product.scales.map_or(String::new(), |scales| {
                let Scales { kind, ty, count, a_byte, b_byte } = scales;
                format!(" scales {} {} {count} {a_byte} {b_byte}", kind.name(), ty.name())
            });
            format!("[{}{group}{a} {}{scales}]", product.name(), layout_text("b", &product.b))
        }
        Attr::Tcgen05Copy(copy) => {
            let name = format!("{}{}", copy.shape.name(), group_text(copy.group));
            format!("[{}]", layout_text(&name, &copy.layout))
        }
        Attr::Registers { count, raise } => {
            format!("[{count} {}]", if *raise { "raise" } else { "lower" })
        }
    }
}
