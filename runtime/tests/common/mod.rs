//! Kernels for tests, built by hand.

use kernelsmith_ir::attr::{Attr, Dim};
use kernelsmith_ir::tensor_map::{Swizzle, TensorTile};
use kernelsmith_ir::{Builder, Kernel, Opcode, ParamKind, Scalar, Space, Type};

/// `fn name(x: &mut [f32], value: f32) { let i = global index; [if i < x.len()] x[i] = value }`,
/// as if written at `src/fill.rs:3:5`.
pub(crate) fn fill(name: &str, guarded: bool) -> Kernel {
    let mut b = Builder::new(name);
    let loc = b.kernel_mut().sources.intern("src/fill.rs", 3, 5);
    b.set_loc(loc);
    let x = b.param("x", Type::Ptr(Space::Global, Scalar::F32), ParamKind::Exclusive);
    let len = b.param("x.len", Type::U64, ParamKind::Scalar);
    let value = b.param("value", Type::F32, ParamKind::Scalar);
    let axis = |b: &mut Builder, op| {
        let id = b.emit1(op, Attr::Dim(Dim::X), &[], Type::U32);
        b.cast(id, Scalar::U64)
    };
    let block = axis(&mut b, Opcode::BlockIdx);
    let width = axis(&mut b, Opcode::BlockDim);
    let thread = axis(&mut b, Opcode::ThreadIdx);
    let first = b.same(Opcode::Mul, &[block, width]);
    let i = b.same(Opcode::Add, &[first, thread]);
    if guarded {
        let inside = b.compare(Opcode::Lt, i, len);
        b.begin_if(inside);
    }
    b.check_bounds(i, len);
    let at = b.ptr_add(x, i);
    b.store(at, value);
    if guarded {
        b.begin_else(&[]);
        b.end_if(&[], &[]);
    }
    b.finish()
}

/// `fn name(a: &TensorMap<bf16, 2>, b: &TensorMap<bf16, 2>, x: &mut [f32])` in clusters of two
/// blocks, with boxes of these rows and columns.
#[allow(dead_code, reason = "not every test has a device for it")]
pub(crate) fn maps(name: &str, [rows, columns]: [u16; 2], swizzle: Swizzle) -> Kernel {
    let mut b = Builder::new(name);
    b.kernel_mut().cluster_dim = Some([2, 1, 1]);
    let tile = TensorTile::new(&[columns, rows], swizzle, false);
    let maps = ["a", "b"]
        .map(|name| b.param(name, Type::TensorMap(Scalar::BF16, 2), ParamKind::TensorMap(tile)));
    let x = b.param("x", Type::Ptr(Space::Global, Scalar::F32), ParamKind::Exclusive);
    b.param("x.len", Type::U64, ParamKind::Scalar);
    for map in maps {
        b.emit(Opcode::TmaPrefetch, Attr::None, &[map], &[]);
    }
    let one = b.constant(kernelsmith_ir::attr::Const::new(Scalar::F32, 0x3f80_0000));
    b.store(x, one);
    b.finish()
}
