//! The LLVM text of representative kernels, before LLVM's passes.

use kernelsmith_codegen_cpu::Isa;
use kernelsmith_codegen_cpu::compile::llvm_ir;
use kernelsmith_ir::{Kernel, Opcode, Scalar, parse};

use crate::barriers::block_sum;
use crate::harness::{Make, prepare};

fn text(kernel: &Kernel, block: [u32; 3]) -> String {
    llvm_ir(&prepare(kernel), block, Isa::Avx2).expect("the CPU has it")
}

/// `y[i] = a * x[i] + y[i]` where there is one.
fn saxpy() -> Kernel {
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

#[test]
fn uniform_arguments_and_consecutive_addresses() {
    insta::assert_snapshot!("saxpy", text(&saxpy(), [64, 1, 1]));
}

#[test]
fn a_divergent_loop() {
    insta::assert_snapshot!("halve", text(&parse(HALVE).expect("it parses"), [32, 1, 1]));
}

#[test]
fn a_block_split_at_barriers() {
    insta::assert_snapshot!("block_sum", text(&block_sum(), [256, 1, 1]));
}
