//! The whole pipeline on small kernels: what a reader expects to be left, is left.

use kernelsmith_ir::attr::{Attr, Const, Dim};
use kernelsmith_ir::{Builder, Kernel, Opcode, ParamKind, Scalar, Space, Target, Type, passes};

const F32_PTR: Type = Type::Ptr(Space::Global, Scalar::F32);

fn prepare(kernel: &Kernel) -> Kernel {
    passes::prepare(kernel, &Target::Cpu).unwrap()
}

fn count(kernel: &Kernel, op: Opcode) -> usize {
    let mut n = 0;
    kernel.body.walk(&mut |inst| n += usize::from(inst.op == op));
    n
}

/// `let mut acc = 0.0; for i in 0..x.len() { if i % 2 == 0 { continue } acc += x[i] } y[0] = acc`,
/// with a `break` where the sum passes 100.
#[test]
fn a_sum_with_break_and_continue_is_carried() {
    let mut b = Builder::new("sum");
    let x = b.param("x", F32_PTR, ParamKind::ReadOnly);
    let len = b.param("x.len", Type::U64, ParamKind::Scalar);
    let y = b.param("y", F32_PTR, ParamKind::Exclusive);
    let acc = b.var("acc", Type::F32);
    let unused = b.var("unused", Type::F32);
    let zero = b.constant(Const::f32(0.0));
    b.var_store(acc, zero);
    b.var_store(unused, zero);
    let lo = b.constant(Const::int(Scalar::U64, 0));
    let (label, i) = b.begin_for(lo, len);
    let two = b.constant(Const::int(Scalar::U64, 2));
    let odd = b.same(Opcode::Rem, &[i, two]);
    let even = b.compare(Opcode::Eq, odd, lo);
    b.begin_if(even);
    b.cont(label);
    b.begin_else(&[]);
    b.end_if(&[], &[]);
    b.check_bounds(i, len);
    let at = b.ptr_add(x, i);
    let v = b.load(at, Type::F32);
    let old = b.var_load(acc);
    let sum = b.same(Opcode::Add, &[old, v]);
    b.var_store(acc, sum);
    let other = b.var_load(unused);
    let other = b.same(Opcode::Add, &[other, v]);
    b.var_store(unused, other);
    let hundred = b.constant(Const::f32(100.0));
    let past = b.compare(Opcode::Gt, sum, hundred);
    b.begin_if(past);
    b.brk(label);
    b.begin_else(&[]);
    b.end_if(&[], &[]);
    b.end_for();
    let total = b.var_load(acc);
    b.store(y, total);
    let tid = b.emit1(Opcode::ThreadIdx, Attr::Dim(Dim::X), &[], Type::U32);
    let _ = tid;
    let before = b.finish();
    let kernel = prepare(&before);
    let text = kernel.to_string();
    println!("{before}\n{text}");
    assert!(kernel.vars.is_empty());
    assert_eq!(count(&kernel, Opcode::Check), 0, "{text}");
    assert_eq!(count(&kernel, Opcode::VarLoad), 0, "{text}");
    assert_eq!(count(&kernel, Opcode::ThreadIdx), 0, "{text}");
    let mut carried = None;
    kernel.body.walk(&mut |inst| {
        if inst.op == Opcode::For {
            carried = Some(inst.results.len());
        }
    });
    assert_eq!(carried, Some(1), "only the sum is carried: {text}");
}
