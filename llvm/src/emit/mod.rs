//! Writing LLVM IR text: what the CPU and AMD backends share.
//!
//! A [`Writer`] numbers temporaries, collects the declarations of intrinsics, and writes the pure
//! operations of the IR with exactly Rust's meaning. Operands are LLVM values as text (`%t3`,
//! `i32 7` without the type: `7`). Every operation is written for a scalar or, element by element,
//! for a vector of `lanes` elements: the AMD backend uses vectors for a thread's own vectors, the
//! CPU backend for the lanes of a warp.

mod atomic;
mod cast;
mod constant;
mod dot;
mod half;
mod lines;
mod pure;

use std::collections::BTreeSet;
use std::fmt::Write;

use kernelsmith_ir::Scalar;

pub use atomic::{atomic_name, failure_ordering, ordering};
pub use constant::{constant, splat};
pub use lines::Lines;

/// Writes the body of a function.
#[derive(Default, Debug)]
pub struct Writer {
    /// The instructions so far.
    pub body: String,
    declarations: BTreeSet<String>,
    temporaries: u32,
    labels: u32,
    lines: Lines,
    /// The metadata number of the kernel's first position.
    first_position: usize,
    /// The metadata number of the current line.
    position: Option<usize>,
    soft_half: bool,
    /// Whether floats may come from integers too large for a half float.
    large_integers: bool,
    plain_extremes: bool,
}

/// The LLVM type of a scalar, or of a vector of scalars.
///
/// A bf16 travels as its bits: LLVM has `bfloat`, but where the processor has no instructions for
/// it even a select or a vector's lane may become a call of a library.
pub fn llvm_type(scalar: Scalar, lanes: Option<u32>) -> String {
    let name = match scalar {
        Scalar::Bool => "i1",
        Scalar::I8 | Scalar::U8 | Scalar::E4M3 | Scalar::E5M2 => "i8",
        Scalar::I16 | Scalar::U16 | Scalar::BF16 => "i16",
        Scalar::I32 | Scalar::U32 => "i32",
        Scalar::I64 | Scalar::U64 => "i64",
        Scalar::F16 => "half",
        Scalar::F32 | Scalar::TF32 => "float",
        Scalar::F64 => "double",
    };
    match lanes {
        None => name.to_owned(),
        Some(n) => format!("<{n} x {name}>"),
    }
}

/// The suffix of overloaded intrinsics for a type: `v32f32` of `llvm.fma.v32f32`.
pub fn suffix(scalar: Scalar, lanes: Option<u32>) -> String {
    let name = match llvm_type(scalar, None).as_str() {
        "half" => "f16".to_owned(),
        "float" => "f32".to_owned(),
        "double" => "f64".to_owned(),
        int => int.to_owned(),
    };
    lanes.map_or(name.clone(), |n| format!("v{n}{name}"))
}

impl Writer {
    /// An empty body.
    pub fn new() -> Writer {
        Writer::default()
    }

    /// An empty body for code that runs in this process, where nobody loads the libraries that
    /// LLVM calls for what a processor lacks. `half` says whether it can convert f16.
    pub fn without_libraries(half: bool) -> Writer {
        Writer { soft_half: !half, plain_extremes: true, ..Writer::default() }
    }

    /// A new temporary's name.
    pub fn temporary(&mut self) -> String {
        self.temporaries += 1;
        format!("%t{}", self.temporaries)
    }

    /// A new label's name.
    pub fn label(&mut self, what: &str) -> String {
        self.labels += 1;
        format!("{what}{}", self.labels)
    }

    /// Writes an instruction without a result.
    pub fn line(&mut self, text: impl AsRef<str>) {
        let text = text.as_ref();
        match self.position {
            Some(position) => writeln!(self.body, "  {text}, !dbg !{position}"),
            None => writeln!(self.body, "  {text}"),
        }
        .expect("writing to a string");
    }

    /// Writes an instruction and gives its result.
    pub fn value(&mut self, text: impl AsRef<str>) -> String {
        let name = self.temporary();
        self.line(format!("{name} = {}", text.as_ref()));
        name
    }

    /// Begins a basic block.
    pub fn begin_block(&mut self, label: &str) {
        writeln!(self.body, "{label}:").expect("writing to a string");
    }

    /// Makes sure that an intrinsic or function is declared.
    pub fn declare(&mut self, declaration: impl Into<String>) {
        self.declarations.insert(declaration.into());
    }

    /// Calls an intrinsic and gives its result. `arguments` have their types.
    pub fn call(&mut self, ty: &str, name: &str, arguments: &[(String, String)]) -> String {
        let types: Vec<&str> = arguments.iter().map(|(ty, _)| ty.as_str()).collect();
        self.declare(format!("declare {ty} @{name}({})", types.join(", ")));
        let typed: Vec<String> = arguments.iter().map(|(ty, v)| format!("{ty} {v}")).collect();
        self.value(format!("call {ty} @{name}({})", typed.join(", ")))
    }

    /// The declarations, one a line.
    pub fn declarations(&self) -> String {
        self.declarations.iter().map(|d| format!("{d}\n")).collect()
    }
}
