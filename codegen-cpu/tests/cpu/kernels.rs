//! Representative kernels, for snapshots and measurements.

use kernelsmith_ir::attr::{Attr, Dim};
use kernelsmith_ir::{Kernel, Opcode, Scalar, Value, parse};

use crate::harness::Make;

pub(crate) fn barrier(m: &mut Make) {
    m.0.emit(Opcode::Barrier, Attr::None, &[], &[]);
}

pub(crate) fn shared(m: &mut Make, elem: Scalar, len: u32) -> Value {
    let id = m.0.shared("tile", elem, Some(len), 16);
    let ty = m.0.kernel().shared_type(id);
    m.0.emit1(Opcode::SharedAddr, Attr::Shared(id), &[], ty)
}

/// The tree in shared memory that every course on GPUs begins with: 8 barriers for 256 threads.
pub(crate) fn block_sum() -> Kernel {
    let mut m = Make::new("block_sum");
    let x = m.input("x", Scalar::F32);
    let out = m.output("out", Scalar::F32);
    let tile = shared(&mut m, Scalar::F32, 256);
    let thread = m.id(Opcode::ThreadIdx, Dim::X);
    let at = m.global_id();
    let value = m.load_at(x, at);
    m.store_at(tile, thread, value);
    for half in [128, 64, 32, 16, 8, 4, 2, 1] {
        barrier(&mut m);
        let half = m.u32(half);
        let low = m.0.compare(Opcode::Lt, thread, half);
        m.0.begin_if(low);
        let other = m.op(Opcode::Add, &[thread, half]);
        let (a, b) = (m.load_at(tile, thread), m.load_at(tile, other));
        let sum = m.op(Opcode::Add, &[a, b]);
        m.store_at(tile, thread, sum);
        m.0.begin_else(&[]);
        m.0.end_if(&[], &[]);
    }
    let zero = m.u32(0);
    let leads = m.0.compare(Opcode::Eq, thread, zero);
    m.0.begin_if(leads);
    let sum = m.load_at(tile, zero);
    let block = m.id(Opcode::BlockIdx, Dim::X);
    m.store_at(out, block, sum);
    m.0.begin_else(&[]);
    m.0.end_if(&[], &[]);
    m.finish()
}

/// `y[i] = a * x[i] + y[i]` where there is one.
pub(crate) fn saxpy() -> Kernel {
    let mut m = Make::new("saxpy");
    let a = m.scalar("a", Scalar::F32);
    let (x, x_len) = (m.input("x", Scalar::F32), m.scalar("x.len", Scalar::U64));
    let (y, y_len) = (m.output("y", Scalar::F32), m.scalar("y.len", Scalar::U64));
    let i = m.global_id();
    let i = m.0.cast(i, Scalar::U64);
    let inside = m.0.compare(Opcode::Lt, i, y_len);
    m.0.begin_if(inside);
    m.0.check_bounds(i, x_len);
    let (xi, yi) = (m.load_at(x, i), m.load_at(y, i));
    let product = m.op(Opcode::Mul, &[a, xi]);
    let sum = m.op(Opcode::Add, &[product, yi]);
    m.store_at(y, i, sum);
    m.0.begin_else(&[]);
    m.0.end_if(&[], &[]);
    m.finish()
}

/// Each lane halves its number until it is odd.
const HALVE: &str = "kernel @halve(%0 \"x\": ptr<global, u32> exclusive) {
  %1: u32 = thread_idx[x]
  %2: u32 = const[u32 1]
  %3: ptr<global, u32> = ptr_add %0, %1
  %4: u32 = load[align 4] %3
  %5: u32 = loop[$0] %4 { |%6: u32|
    %7: u32 = and %6, %2
    %8: bool = eq %7, %2
    if %8 {
      break[$0] %6
    } {
      yield
    }
    %9: u32 = shr %6, %2
    continue[$0] %9
  }
  store[align 4] %3, %5
  return
}
";

/// [`HALVE`].
pub(crate) fn halve() -> Kernel {
    parse(HALVE).expect("it parses")
}
