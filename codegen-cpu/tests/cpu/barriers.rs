//! Blocks of several warps that meet at barriers: in straight line, in loops, under conditions, with
//! values that live across; whole and partial warps, blocks and grids of up to three dimensions.

use kernelsmith_ir::attr::Dim;
use kernelsmith_ir::{Kernel, Opcode, Scalar, Type, Value, parse};

use crate::harness::{Array, Make, build, isas, prepare};
use crate::kernels::{barrier, block_sum, shared};

const SIZES: [u32; 7] = [1, 31, 32, 33, 96, 256, 1024];

/// `rounds` times, a block turns its values by one place, through shared memory: the place, the
/// round and the sum so far live across two barriers in a loop whose length is an argument. What
/// stands in front of the loop is used behind it.
fn turning() -> Kernel {
    let mut m = Make::new("turning");
    let x = m.input("x", Scalar::U32);
    let rounds = m.scalar("rounds", Scalar::U32);
    let out = m.output("out", Scalar::U32);
    let tile = shared(&mut m, Scalar::U32, 1024);
    let (thread, dim) = (m.id(Opcode::ThreadIdx, Dim::X), m.id(Opcode::BlockDim, Dim::X));
    let at = m.global_id();
    let (zero, one, three) = (m.u32(0), m.u32(1), m.u32(3));
    let first = m.load_at(x, at);
    let (own, sum) = (m.0.var("own", Type::U32), m.0.var("sum", Type::U32));
    m.0.var_store(own, first);
    m.0.var_store(sum, zero);
    let next = m.op(Opcode::Add, &[thread, one]);
    let next = m.op(Opcode::Rem, &[next, dim]);
    let (_, round) = m.0.begin_for(zero, rounds);
    let value = m.0.var_load(own);
    m.store_at(tile, thread, value);
    barrier(&mut m);
    let turned = m.load_at(tile, next);
    m.0.var_store(own, turned);
    // Every third round meets once more: a condition that the whole block agrees on.
    let third = m.op(Opcode::Rem, &[round, three]);
    let again = m.0.compare(Opcode::Eq, third, zero);
    m.0.begin_if(again);
    barrier(&mut m);
    m.store_at(tile, thread, first);
    barrier(&mut m);
    let start = m.load_at(tile, next);
    let weighted = m.op(Opcode::Mul, &[start, round]);
    let before = m.0.var_load(sum);
    let more = m.op(Opcode::Add, &[before, weighted]);
    m.0.var_store(sum, more);
    m.0.begin_else(&[]);
    let before = m.0.var_load(sum);
    let more = m.op(Opcode::Add, &[before, turned]);
    m.0.var_store(sum, more);
    m.0.end_if(&[], &[]);
    barrier(&mut m);
    m.0.end_for();
    let (value, sum) = (m.0.var_load(own), m.0.var_load(sum));
    let both = m.op(Opcode::Xor, &[value, sum]);
    let all = m.op(Opcode::Add, &[both, first]);
    m.store_at(out, at, all);
    m.finish()
}

fn turned(x: &[u32], rounds: u32) -> Vec<u32> {
    let n = x.len();
    let (mut own, mut sum) = (x.to_vec(), vec![0u32; n]);
    for round in 0..rounds {
        own = (0..n).map(|t| own[(t + 1) % n]).collect();
        for t in 0..n {
            let term = if round % 3 == 0 { x[(t + 1) % n].wrapping_mul(round) } else { own[t] };
            sum[t] = sum[t].wrapping_add(term);
        }
    }
    (0..n).map(|t| (own[t] ^ sum[t]).wrapping_add(x[t])).collect()
}

#[test]
fn values_live_across_barriers_in_loops_and_ifs() {
    let kernel = prepare(&turning());
    for isa in isas() {
        for size in SIZES {
            let compiled = build(&kernel, [size, 1, 1], isa);
            for rounds in [0, 1, 2, 7] {
                let words: Vec<u32> =
                    (0..size * 3).map(|i| i.wrapping_mul(2_654_435_769)).collect();
                let mut x = Array::of(Scalar::U32, words.iter().map(|&w| w.into()));
                let mut out = Array::new(Scalar::U32, words.len());
                compiled.run_well([3, 1, 1], &[x.address(), rounds.into(), out.address()]);
                let blocks = words.chunks(size as usize);
                let expected: Vec<u32> = blocks.flat_map(|b| turned(b, rounds)).collect();
                for (i, &e) in expected.iter().enumerate() {
                    let found = out.get(i).bits as u32;
                    assert_eq!(found, e, "{isa:?}, {size} threads, {rounds} rounds, thread {i}");
                }
            }
        }
    }
}

#[test]
fn a_block_reduction_with_eight_barriers() {
    let kernel = prepare(&block_sum());
    for isa in isas() {
        let compiled = build(&kernel, [256, 1, 1], isa);
        // Small whole numbers: every order of additions gives the same sum.
        let value = |i: u32| (i * 37 % 101) as f32;
        let mut x = Array::of(Scalar::F32, (0..1024).map(|i| value(i).to_bits().into()));
        let mut out = Array::new(Scalar::F32, 4);
        compiled.run_well([4, 1, 1], &[x.address(), out.address()]);
        for block in 0..4 {
            let sum: f32 = (block * 256..(block + 1) * 256).map(value).sum();
            assert_eq!(out.get(block as usize).bits as u32, sum.to_bits(), "{isa:?}");
        }
    }
}

/// Each thread writes its place in the grid where its mirror image in the block reads it.
#[test]
fn blocks_and_grids_of_three_dimensions() {
    let mut m = Make::new("mirror");
    let out = m.output("out", Scalar::U32);
    let tile = shared(&mut m, Scalar::U32, 1024);
    let [tx, ty, tz] = [Dim::X, Dim::Y, Dim::Z].map(|d| m.id(Opcode::ThreadIdx, d));
    let [dx, dy, dz] = [Dim::X, Dim::Y, Dim::Z].map(|d| m.id(Opcode::BlockDim, d));
    let [bx, by, bz] = [Dim::X, Dim::Y, Dim::Z].map(|d| m.id(Opcode::BlockIdx, d));
    let [gx, gy] = [Dim::X, Dim::Y].map(|d| m.id(Opcode::GridDim, d));
    let flat = |m: &mut Make, [x, y, z]: [Value; 3], [ex, ey]: [Value; 2]| {
        let plane = m.op(Opcode::Mul, &[z, ey]);
        let row = m.op(Opcode::Add, &[plane, y]);
        let row = m.op(Opcode::Mul, &[row, ex]);
        m.op(Opcode::Add, &[row, x])
    };
    let thread = flat(&mut m, [tx, ty, tz], [dx, dy]);
    let block = flat(&mut m, [bx, by, bz], [gx, gy]);
    let area = m.op(Opcode::Mul, &[dx, dy]);
    let volume = m.op(Opcode::Mul, &[area, dz]);
    let start = m.op(Opcode::Mul, &[block, volume]);
    let place = m.op(Opcode::Add, &[start, thread]);
    m.store_at(tile, thread, place);
    barrier(&mut m);
    let one = m.u32(1);
    let last = m.op(Opcode::Sub, &[volume, one]);
    let mirror = m.op(Opcode::Sub, &[last, thread]);
    let value = m.load_at(tile, mirror);
    m.store_at(out, place, value);
    let kernel = prepare(&m.finish());
    for isa in isas() {
        for block @ [x, y, z] in
            [[32, 2, 1], [8, 8, 2], [5, 3, 7], [64, 1, 3], [1, 1, 40], [16, 2, 1], [32, 4, 8]]
        {
            let compiled = build(&kernel, block, isa);
            let (volume, grid) = (x * y * z, [2u32, 3, 2]);
            let mut out = Array::new(Scalar::U32, (volume * 12) as usize);
            compiled.run_well(grid, &[out.address()]);
            for i in 0..volume * 12 {
                let mirrored = i / volume * volume + (volume - 1 - i % volume);
                assert_eq!(out.get(i as usize).bits as u32, mirrored, "{isa:?}, {block:?}, {i}");
            }
        }
    }
}

/// Threads that returned count as arrived; when all have, the block ends, though the loop that
/// counts the barriers has long to go.
#[test]
fn returned_threads_count_as_arrived() {
    let text = "kernel @k(%0 \"limit\": u32 scalar, %1 \"y\": ptr<global, u32> exclusive) {
  %2: u32 = thread_idx[x]
  %3: bool = ge %2, %0
  if %3 {
    return
  } {
    yield
  }
  %4: u32 = const[u32 0]
  %5: u32 = const[u32 1]
  %6: u32 = loop[$0] %4 { |%7: u32|
    barrier
    %8: u32 = add %7, %5
    %9: u32 = const[u32 5]
    %10: bool = ge %8, %9
    if %10 {
      break[$0] %8
    } {
      yield
    }
    continue[$0] %8
  }
  %11: ptr<global, u32> = ptr_add %1, %2
  store[align 4] %11, %6
  return
}
";
    let kernel = prepare(&parse(text).unwrap());
    for isa in isas() {
        for size in [33, 96] {
            let compiled = build(&kernel, [size, 1, 1], isa);
            for limit in [0, 1, 31, 32, 40, 96] {
                let mut y = Array::new(Scalar::U32, 96);
                let untouched = y.get(0).bits;
                compiled.run_well([1; 3], &[limit.into(), y.address()]);
                for i in 0..96 {
                    let expected = if i < limit.min(size) { 5 } else { untouched };
                    let found = y.get(i as usize).bits;
                    assert_eq!(found, expected, "{isa:?}, {size} threads, limit {limit}, {i}");
                }
            }
        }
    }
}

/// What a `for` of the whole block carries is the same for all threads, what it hands out is not.
#[test]
fn a_break_hands_out_what_differs() {
    let text = "kernel @k(%0 \"n\": u32 scalar, %1 \"y\": ptr<global, u32> exclusive) {
  %2: u32 = thread_idx[x]
  %3: u32 = const[u32 0]
  %4: u32 = const[u32 2]
  %5: u32 = for[$0] %3, %0, %3 { |%6: u32, %7: u32|
    barrier
    %8: bool = ge %6, %4
    if %8 {
      break[$0] %2
    } {
      yield
    }
    %9: u32 = add %7, %4
    continue[$0] %9
  }
  barrier
  %10: ptr<global, u32> = ptr_add %1, %2
  store[align 4] %10, %5
  return
}
";
    let kernel = prepare(&parse(text).expect("it parses"));
    for isa in isas() {
        let compiled = build(&kernel, [70, 1, 1], isa);
        for n in 0..5 {
            let mut y = Array::new(Scalar::U32, 70);
            compiled.run_well([1; 3], &[n, y.address()]);
            for i in 0..70 {
                let expected = if n > 2 { i } else { 2 * n };
                assert_eq!(y.get(i as usize).bits, expected, "{isa:?}, {n}, {i}");
            }
        }
    }
}
