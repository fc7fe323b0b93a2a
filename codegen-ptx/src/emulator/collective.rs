//! Instructions that the lanes of a warp execute together.

use half::{bf16, f16};
use kernelsmith_ir::Scalar;
use kernelsmith_ir::attr::Const;

use super::arith::signed;
use super::memory::load;
use super::parse::{Arg, Instr, Ty};
use super::thread::{Common, Thread, combine};

/// Executes an instruction for the threads given, which are all of a warp that have not ended.
pub(super) fn execute(
    instr: &Instr,
    warp: &mut [&mut Thread],
    common: &Common<'_>,
) -> Result<(), String> {
    match instr.name[0].as_str() {
        "bar" => Ok(()),
        "shfl" => shuffle(instr, warp, common),
        "vote" => vote(instr, warp, common),
        "match" => matching(instr, warp, common),
        "redux" => reduce(instr, warp, common),
        "ldmatrix" => load_matrices(instr, warp, common),
        _ => multiply(instr, warp, common),
    }
}

fn each(warp: &[&mut Thread], arg: &Arg, common: &Common<'_>) -> Result<Vec<(u32, u64)>, String> {
    warp.iter().map(|t| Ok((t.lane, t.read(arg, common)?))).collect()
}

fn shuffle(instr: &Instr, warp: &mut [&mut Thread], common: &Common<'_>) -> Result<(), String> {
    let values = each(warp, &instr.args[1], common)?;
    for thread in warp.iter_mut() {
        let by = (thread.read(&instr.args[2], common)? & 31) as u32;
        let clamp = thread.read(&instr.args[3], common)?;
        let lane = thread.lane;
        let source = match instr.name[2].as_str() {
            "idx" => Some(by),
            "bfly" => Some(lane ^ by),
            "up" => lane.checked_sub(by).filter(|l| u64::from(*l) >= clamp),
            _ => Some(lane + by).filter(|l| u64::from(*l) <= clamp),
        };
        let source = source.unwrap_or(lane);
        let value = match values.iter().find(|(l, _)| *l == source) {
            Some((_, value)) => *value,
            None if common.failed => ARBITRARY,
            None => return Err(format!("lane {source} has ended")),
        };
        thread.write(&instr.args[0], value, common)?;
    }
    Ok(())
}

fn vote(instr: &Instr, warp: &mut [&mut Thread], common: &Common<'_>) -> Result<(), String> {
    let values = each(warp, &instr.args[1], common)?;
    let result = match instr.name[2].as_str() {
        "all" => values.iter().all(|(_, v)| *v != 0).into(),
        "any" => values.iter().any(|(_, v)| *v != 0).into(),
        _ => values.iter().fold(0, |all, (lane, v)| all | v << lane),
    };
    write_all(&instr.args[0], warp, result, common)
}

fn matching(instr: &Instr, warp: &mut [&mut Thread], common: &Common<'_>) -> Result<(), String> {
    let values = each(warp, &instr.args[1], common)?;
    for (thread, (_, own)) in warp.iter_mut().zip(&values) {
        let same = values.iter().filter(|(_, value)| value == own);
        let lanes = same.fold(0, |lanes, (lane, _)| lanes | 1u64 << lane);
        thread.write(&instr.args[0], lanes, common)?;
    }
    Ok(())
}

fn reduce(instr: &Instr, warp: &mut [&mut Thread], common: &Common<'_>) -> Result<(), String> {
    let values = each(warp, &instr.args[1], common)?;
    let mut all = values[0].1;
    for (_, value) in &values[1..] {
        all = combine(&instr.name[2], instr, all, *value)?;
    }
    write_all(&instr.args[0], warp, all, common)
}

fn write_all(
    to: &Arg,
    warp: &mut [&mut Thread],
    bits: u64,
    common: &Common<'_>,
) -> Result<(), String> {
    warp.iter_mut().try_for_each(|t| t.write(to, bits, common))
}

/// What comes from a lane that a failing check ended.
const ARBITRARY: u64 = 0xA5A5_A5A5;

fn whole(warp: &[&mut Thread], common: &Common<'_>) -> Result<(), String> {
    let all = warp.iter().map(|t| t.lane).eq(0..32);
    if all || common.failed { Ok(()) } else { Err("a lane of the warp has ended".to_owned()) }
}

/// Lane `i` gives the address of row `i % 8` of matrix `i / 8`, and gets from each matrix the two
/// elements `2 * (i % 4)` of row `i / 4`, or of that column if transposed.
fn load_matrices(
    instr: &Instr,
    warp: &mut [&mut Thread],
    common: &Common<'_>,
) -> Result<(), String> {
    whole(warp, common)?;
    let Arg::List(to) = &instr.args[0] else { return Err("no list".to_owned()) };
    let mut rows = [None; 32];
    for thread in warp.iter() {
        rows[thread.lane as usize] = Some(thread.address(&instr.args[1], common)?);
    }
    let element = |matrix: usize, row: usize, column: usize| {
        let Some(at) = rows[matrix * 8 + row] else { return Ok(ARBITRARY & 0xFFFF) };
        if !at.is_multiple_of(16) {
            return Err(format!("the row at {at:#x} is not aligned"));
        }
        let at = at as usize + column * 2;
        common.shared.get(at..at + 2).map(load).ok_or("a row outside shared memory".to_owned())
    };
    for thread in warp.iter_mut() {
        let (row, column) = (thread.lane as usize / 4, thread.lane as usize % 4 * 2);
        for (matrix, to) in to.iter().enumerate() {
            let [low, high] = if instr.has("trans") {
                [element(matrix, column, row)?, element(matrix, column + 1, row)?]
            } else {
                [element(matrix, row, column)?, element(matrix, row, column + 1)?]
            };
            thread.write(to, low | high << 16, common)?;
        }
    }
    Ok(())
}

/// Rows, columns and depth of the product.
struct Shape {
    m: usize,
    n: usize,
    k: usize,
}

/// Row and column of element `i` of a lane's fragment of A (PTX ISA, "Matrix Fragments for
/// mma..."): pairs, quadruples or single elements along k, then the rows 8 below, then further k.
fn place_a(lane: usize, i: usize, run: usize) -> (usize, usize) {
    let (group, within) = (lane / 4, lane % 4);
    let block = i / run;
    let row = group + 8 * (block % 2);
    let column = within * run + i % run + 4 * run * (block / 2);
    (row, column)
}

fn place_b(lane: usize, i: usize, run: usize) -> (usize, usize) {
    let (group, within) = (lane / 4, lane % 4);
    (within * run + i % run + 4 * run * (i / run), group)
}

fn place_c(lane: usize, i: usize) -> (usize, usize) {
    (lane / 4 + 8 * (i / 2), lane % 4 * 2 + i % 2)
}

/// One element of a fragment, as the type in the instruction has it.
fn element(ty: Ty, words: &[u64], i: usize) -> f64 {
    let per_word = (32 / ty.bits() as usize).max(1);
    let bits = words[i / per_word] >> (ty.bits() as usize * (i % per_word));
    match ty {
        Ty::F16 => f16::from_bits(bits as u16).to_f64(),
        Ty::BF16 => bf16::from_bits(bits as u16).to_f64(),
        Ty::TF32 => f32::from_bits(bits as u32 & !0x1FFF).into(),
        Ty::F32 => f32::from_bits(bits as u32).into(),
        Ty::F64 => f64::from_bits(bits),
        Ty::E4M3 | Ty::E5M2 => {
            let ty = if ty == Ty::E4M3 { Scalar::E4M3 } else { Scalar::E5M2 };
            Const::new(ty, bits).as_f64().unwrap_or(f64::NAN)
        }
        Ty::Signed(width) => signed(bits, width) as f64,
        Ty::Bits(width) => (bits & ((1 << width) - 1)) as f64,
        _ => f64::NAN,
    }
}

type Place = fn(usize, usize, usize) -> (usize, usize);

/// `mma.sync`, its sums rounded once.
fn multiply(instr: &Instr, warp: &mut [&mut Thread], common: &Common<'_>) -> Result<(), String> {
    whole(warp, common)?;
    let shape = shape(instr)?;
    let ab = instr.name.iter().rev().nth(1).and_then(|n| Ty::parse(n)).ok_or("no type")?;
    let run = (32 / ab.bits() as usize).max(1);
    let matrix = |arg: &Arg, columns: usize, size: usize, ty: Ty, place: Place, run: usize| {
        let mut matrix = vec![f64::NAN; size];
        for thread in warp.iter() {
            let Arg::List(regs) = arg else { return Err("no list".to_owned()) };
            let words: Result<Vec<u64>, _> = regs.iter().map(|r| thread.read(r, common)).collect();
            let words = words?;
            for i in 0..words.len() * (32 / ty.bits() as usize).max(1) {
                let (row, column) = place(thread.lane as usize, i, run);
                matrix[row * columns + column] = element(ty, &words, i);
            }
        }
        Ok(matrix)
    };
    let a = matrix(&instr.args[1], shape.k, shape.m * shape.k, ab, place_a, run)?;
    let b = matrix(&instr.args[2], shape.n, shape.k * shape.n, ab, place_b, run)?;
    let c_place: Place = |lane, i, _| place_c(lane, i);
    let c = matrix(&instr.args[3], shape.n, shape.m * shape.n, instr.ty, c_place, run)?;
    let Arg::List(to) = &instr.args[0] else { return Err("no list".to_owned()) };
    for thread in warp.iter_mut() {
        for (i, to) in to.iter().enumerate() {
            let (row, column) = place_c(thread.lane as usize, i);
            let product = (0..shape.k).map(|k| a[row * shape.k + k] * b[k * shape.n + column]);
            let sum = c[row * shape.n + column] + product.sum::<f64>();
            let bits = match instr.ty {
                Ty::F32 => (sum as f32).to_bits().into(),
                Ty::F64 => sum.to_bits(),
                _ => sum as i64 as u64,
            };
            thread.write(to, bits, common)?;
        }
    }
    Ok(())
}

/// `m16n8k8`.
fn shape(instr: &Instr) -> Result<Shape, String> {
    let is_shape = |part: &&String| part.starts_with('m') && part.contains('k');
    let name = instr.name.iter().find(is_shape).ok_or("no shape")?;
    let numbers: Vec<usize> =
        name.split(['m', 'n', 'k']).filter_map(|part| part.parse().ok()).collect();
    match numbers[..] {
        [m, n, k] => Ok(Shape { m, n, k }),
        _ => Err(format!("no shape {name}")),
    }
}
