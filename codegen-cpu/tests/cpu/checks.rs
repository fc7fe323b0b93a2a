//! Failing checks: what the record says, and that nobody fails who is not there.

use kernelsmith_ir::attr::{CheckKind, Dim};
use kernelsmith_ir::check::ErrorRecord;
use kernelsmith_ir::{Kernel, Opcode, Scalar, parse};

use crate::harness::{Array, Make, build, isas, prepare};

const LINE: u32 = 17;

/// `y[index(i)] = i`, checked; the index comes from memory, or is `i * stride + start`.
fn indexed(stride: Option<u64>) -> Kernel {
    let mut m = Make::new("indexed");
    let index = m.input("index", Scalar::U64);
    let start = m.scalar("start", Scalar::U64);
    let (y, len) = (m.output("y", Scalar::U32), m.scalar("y.len", Scalar::U64));
    let [tx, ty] = [Dim::X, Dim::Y].map(|d| m.id(Opcode::ThreadIdx, d));
    let dx = m.id(Opcode::BlockDim, Dim::X);
    let row = m.op(Opcode::Mul, &[ty, dx]);
    let thread = m.op(Opcode::Add, &[row, tx]);
    let at = match stride {
        None => m.load_at(index, thread),
        Some(stride) => {
            let wide = m.0.cast(thread, Scalar::U64);
            let stride = m.0.constant(kernelsmith_ir::attr::Const::new(Scalar::U64, stride));
            let place = m.op(Opcode::Mul, &[wide, stride]);
            m.op(Opcode::Add, &[place, start])
        }
    };
    let loc = m.0.kernel_mut().sources.intern("src/indexed.rs", LINE, 5);
    m.0.set_loc(loc);
    m.0.check_bounds(at, len);
    m.store_at(y, at, thread);
    prepare(&m.finish())
}

fn assert_reports(kernel: &Kernel, record: &ErrorRecord, index: u64, len: u64, what: &str) {
    assert_eq!(
        (record.state, record.values[0], record.values[1]),
        (1, index, len),
        "{what}\n{kernel}"
    );
    let info = &kernel.checks()[record.check as usize];
    assert_eq!(info.kind, CheckKind::Bounds, "{what}");
    assert_eq!(info.location, Some(("src/indexed.rs".to_owned(), LINE, 5)), "{what}");
}

#[test]
fn the_first_failing_lane_is_reported() {
    let kernel = indexed(None);
    for isa in isas() {
        for (block, failing) in [
            ([64, 1, 1], vec![0]),
            ([64, 1, 1], vec![37, 40, 63]),
            ([70, 1, 1], vec![69]),
            ([10, 5, 1], vec![33, 49]),
            ([1, 1, 1], vec![0]),
        ] {
            let threads: u32 = block.iter().product();
            let bad = |i: u32| failing.contains(&i);
            let place = |i: u32| if bad(i) { u64::MAX - u64::from(i) } else { i.into() };
            let mut index = Array::of(Scalar::U64, (0..threads).map(place));
            let mut y = Array::new(Scalar::U32, threads as usize);
            let len = u64::from(threads);
            let compiled = build(&kernel, block, isa);
            let record = compiled.run([1, 1, 1], &[index.address(), 0, y.address(), len]);
            let what = format!("{isa:?}, {block:?}, {failing:?}");
            let first = failing[0];
            assert_reports(&kernel, &record, place(first), len, &what);
            let thread = [first % block[0], first / block[0], 0];
            assert_eq!((record.thread, record.block), (thread, [0; 3]), "{what}");
        }
    }
}

/// Evenly spaced indices are tested at both ends; none slips through by wrapping around.
#[test]
fn evenly_spaced_indices_do_not_slip_through() {
    // 31 steps of this come back to 1, by way of places far outside.
    let better = |x: u64, _| x.wrapping_mul(2u64.wrapping_sub(x.wrapping_mul(31)));
    let inverse = (0..6).fold(31, better);
    assert_eq!(inverse.wrapping_mul(31), 1);
    for isa in isas() {
        for stride in [1, 3, u64::MAX, u64::MAX - 2, 1 << 33, 1 << 59, 1 << 63, inverse] {
            let kernel = indexed(Some(stride));
            let compiled = build(&kernel, [32, 1, 1], isa);
            let mut y = Array::new(Scalar::U32, 100);
            for start in [0, 3, 7, 31, 68, 69, 93, 99, 100, u64::MAX, u64::MAX - 30, 1 << 63] {
                let place = |i: u64| i.wrapping_mul(stride).wrapping_add(start);
                let record = compiled.run([1; 3], &[8, start, y.address(), 100]);
                let what = format!("{isa:?}, from {start} by {stride}");
                match (0..32).find(|&i| place(i) >= 100) {
                    None => assert_eq!(record.state, 0, "{what}"),
                    Some(first) => {
                        assert_reports(&kernel, &record, place(first), 100, &what);
                        assert_eq!(record.thread[0], first as u32, "{what}");
                    }
                }
            }
        }
    }
}

/// A block that fails ends there; the record is the first failing block's to claim it, and whole.
#[test]
fn one_record_for_many_blocks() {
    let kernel = indexed(None);
    for isa in isas() {
        let compiled = build(&kernel, [32, 1, 1], isa);
        let mut index = Array::of(Scalar::U64, (0..32).map(|i| if i < 8 { i } else { 1000 + i }));
        let mut y = Array::new(Scalar::U32, 32);
        let record = compiled.run([50, 2, 2], &[index.address(), 0, y.address(), 32]);
        assert_reports(&kernel, &record, 1008, 32, &format!("{isa:?}"));
        assert_eq!(record.thread, [8, 0, 0]);
        assert!(record.block[0] < 50 && record.block[1] < 2 && record.block[2] < 2);
    }
}

/// A warp that all lanes have left does nothing any more: neither a check on a value that all
/// agree on, nor a store to one place, nor a loop that nobody is there to leave.
#[test]
fn warps_without_lanes_do_nothing() {
    let text = "kernel @k(%0 \"n\": u32 scalar, %1 \"y\": ptr<global, u32> exclusive) {
  %2: u32 = thread_idx[x]
  %3: u32 = const[u32 0]
  %4: u32 = const[u32 1]
  %5: u32 = block[$0] {
    %6: u32 = loop[$1] %3 { |%7: u32|
      %8: bool = ge %2, %0
      if %8 {
        return
      } {
        yield
      }
      %9: bool = ge %7, %2
      if %9 {
        break[$0] %7
      } {
        yield
      }
      %10: u32 = add %7, %4
      continue[$1] %10
    }
    yield %6
  }
  %11: bool = gt %0, %3
  check[assert \"somebody is here\"] %11
  %12: u32 = atomic_rmw[add relaxed device] %1, %4
  %13: ptr<global, u32> = ptr_add %1, %4
  %14: u32 = add %2, %5
  store[align 4] %13, %14
  return
}
";
    let kernel = prepare(&parse(text).expect("it parses"));
    for isa in isas() {
        let compiled = build(&kernel, [96, 1, 1], isa);
        for n in [0, 1, 32, 33, 96] {
            let mut y = Array::of(Scalar::U32, [0, 77]);
            compiled.run_well([1; 3], &[n, y.address()]);
            assert_eq!(y.get(0).bits, n, "{isa:?}");
            // The last lane's value stays.
            let expected = if n == 0 { 77 } else { 2 * (n - 1) };
            assert_eq!(y.get(1).bits, expected, "{isa:?}, {n}");
        }
    }
}
