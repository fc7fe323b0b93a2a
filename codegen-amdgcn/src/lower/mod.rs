//! A prepared kernel as LLVM IR for AMDGPU.
//!
//! Facts are from the LLVM AMDGPU usage guide ("AMDGPU Intrinsics", "Memory Model", "Address
//! Spaces": 1 global, 3 LDS, 4 constant, 5 private) unless said otherwise.

mod control;
mod matrix;
mod memory;
mod operation;
mod warp;

use std::collections::HashMap;
use std::fmt::Write;

use kernelsmith_ir::target::Gfx;
use kernelsmith_ir::{Inst, Kernel, Label, Param, ParamKind, Space, Type, Value};
use kernelsmith_llvm::emit::{Lines, Writer, llvm_type};

use crate::Error;

/// Lowers one kernel.
struct Lowering<'k> {
    kernel: &'k Kernel,
    gfx: Gfx,
    w: Writer,
    /// LLVM values by IR value.
    values: HashMap<Value, String>,
    /// The basic block being written.
    block: String,
    targets: HashMap<Label, control::Target>,
    /// The number of the next `check`.
    checks: u32,
    /// The error record's address.
    record: String,
}

/// The LLVM type of an IR type.
fn text(ty: Type) -> String {
    match ty {
        Type::Scalar(s) => llvm_type(s, None),
        Type::Vector(s, n) => llvm_type(s, Some(n.into())),
        Type::Ptr(space, _) => pointer(space).to_owned(),
        Type::TensorMap(..) => unreachable!("kernels for AMD are checked to have none"),
    }
}

fn pointer(space: Space) -> &'static str {
    match space {
        Space::Global => "ptr addrspace(1)",
        Space::Shared => "ptr addrspace(3)",
        Space::Local => "ptr addrspace(5)",
        Space::Cluster => unreachable!("kernels for AMD are checked to have no clusters"),
    }
}

/// The type of a value in memory: `bool` is a byte.
fn memory_text(ty: Type) -> String {
    match ty {
        Type::Scalar(kernelsmith_ir::Scalar::Bool) => "i8".to_owned(),
        other => text(other),
    }
}

/// The whole module.
pub fn lower(kernel: &Kernel, gfx: Gfx, lines: Lines) -> Result<String, Error> {
    let mut lowering = Lowering {
        kernel,
        gfx,
        w: Writer::new(),
        values: HashMap::new(),
        block: "entry".to_owned(),
        targets: HashMap::new(),
        checks: 0,
        record: "%record".to_owned(),
    };
    lowering.w.number_lines(lines, &kernel.sources);
    lowering.w.look_for_large_integers(kernel);
    lowering.entry();
    lowering.region(&kernel.body)?;
    Ok(lowering.module())
}

impl Lowering<'_> {
    /// The LLVM value of an IR value.
    fn get(&self, value: Value) -> String {
        self.values.get(&value).cloned().unwrap_or_else(|| "poison".to_owned())
    }

    fn ty(&self, value: Value) -> Type {
        self.kernel.ty(value)
    }

    fn define(&mut self, inst: &Inst, value: String) {
        self.values.insert(inst.results[0], value);
    }

    fn unsupported(&self, inst: &Inst, reason: impl Into<String>) -> Error {
        Error::Unsupported {
            location: self.kernel.sources.display(inst.loc),
            target: crate::target(self.gfx),
            operation: format!("`{}`", inst.op.name()),
            reason: reason.into(),
        }
    }

    /// Parameters get names; local arrays are allocated where LLVM wants them.
    fn entry(&mut self) {
        self.w.begin_block("entry");
        for (i, Param { value, .. }) in self.kernel.params.iter().enumerate() {
            let argument = format!("%arg{i}");
            let argument = match self.kernel.ty(*value) {
                Type::Scalar(kernelsmith_ir::Scalar::Bool) => {
                    self.w.value(format!("trunc i8 {argument} to i1"))
                }
                _ => argument,
            };
            self.values.insert(*value, argument);
        }
        for (i, local) in self.kernel.locals.iter().enumerate() {
            let elem = memory_text(Type::Scalar(local.elem));
            let align = local.elem.size();
            self.w.line(format!(
                "%local{i} = alloca [{} x {elem}], align {align}, addrspace(5)",
                local.len
            ));
        }
    }

    fn module(&self) -> String {
        let kernel = self.kernel;
        let mut out = String::from("target triple = \"amdgcn-amd-amdhsa\"\n\n");
        for (i, shared) in kernel.shared.iter().enumerate() {
            let elem = memory_text(Type::Scalar(shared.elem));
            // Dynamic shared memory begins behind the static arrays; the launch adds its bytes.
            let (linkage, len, init) = match shared.len {
                Some(len) => ("internal", len, " poison"),
                None => ("external", 0, ""),
            };
            writeln!(
                out,
                "@shared{i} = {linkage} addrspace(3) global [{len} x {elem}]{init}, align {}",
                shared.align
            )
            .expect("writing to a string");
        }
        let mut params: Vec<String> = kernel
            .params
            .iter()
            .enumerate()
            .map(|(i, p)| {
                let ty = memory_text(kernel.ty(p.value));
                let attributes = match p.kind {
                    ParamKind::ReadOnly => " noalias readonly",
                    ParamKind::Exclusive => " noalias",
                    _ => "",
                };
                format!("{ty}{attributes} %arg{i}")
            })
            .collect();
        params.push("ptr addrspace(1) %record".to_owned());
        let threads = kernel.block_dim.map_or((1, 1024), |b| {
            let n: u32 = b.iter().product();
            (n, n)
        });
        writeln!(
            out,
            "\ndefine amdgpu_kernel void @{}({}) #0{} {{\n{}}}\n",
            kernel.name,
            params.join(", "),
            self.w.function_lines(),
            self.w.body
        )
        .expect("writing to a string");
        out.push_str(&self.w.declarations());
        writeln!(
            out,
            "\nattributes #0 = {{ \"amdgpu-flat-work-group-size\"=\"{},{}\" \
             \"uniform-work-group-size\"=\"true\" }}",
            threads.0, threads.1
        )
        .expect("writing to a string");
        let version = "i32 1, !\"amdhsa_code_object_version\", i32 500";
        out.push_str(&self.w.metadata(&kernel.name, &kernel.sources, &[version]));
        out
    }
}
