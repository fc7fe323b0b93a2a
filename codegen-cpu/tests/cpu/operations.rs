//! Every operation that computes, on every type, bit for bit as the reference evaluator says.
//!
//! One kernel for each element type holds all its operations. It runs with blocks of 64 threads,
//! where operands differ from lane to lane, and with blocks of one, where they are scalars.

use kernelsmith_ir::attr::{Attr, Const};
use kernelsmith_ir::eval::{bounds, eval, folds};
use kernelsmith_ir::op::{Class, Signature, TABLE};
use kernelsmith_ir::{Kernel, Opcode, Scalar, Target, Value};

use crate::harness::{Array, Make, Rng, build, isas, prepare};

pub(crate) const NUMBERS: [Scalar; 12] = {
    use Scalar::*;
    [I8, I16, I32, I64, U8, U16, U32, U64, F16, BF16, F32, F64]
};

/// Operand tuples of a kernel: a multiple of 64.
const CASES: usize = 256;

fn is_in(class: Class, elem: Scalar) -> bool {
    match class {
        Class::Int => elem.is_int(),
        Class::Float => elem.is_float(),
        Class::Num => elem.is_num(),
        Class::Signed => elem.is_signed() || elem.is_float(),
        Class::Bits => elem.is_int() || elem == Scalar::Bool,
        Class::Any => elem.is_num() || elem == Scalar::Bool,
    }
}

/// Operand and result types of an operation on an element type, if it is tried here.
fn types(op: Opcode, elem: Scalar) -> Option<(Vec<Scalar>, Scalar)> {
    if !folds(op) {
        return None;
    }
    Some(match op.info().signature {
        Signature::Unary(c) if is_in(c, elem) => (vec![elem], elem),
        Signature::Binary(c) if is_in(c, elem) => (vec![elem; 2], elem),
        Signature::Ternary(c) if is_in(c, elem) => (vec![elem; 3], elem),
        Signature::Shift if elem.is_int() => (vec![elem, Scalar::U32], elem),
        Signature::Select => (vec![Scalar::Bool, elem, elem], elem),
        Signature::Compare(c) if is_in(c, elem) => (vec![elem; 2], Scalar::Bool),
        Signature::Count(c) if is_in(c, elem) => (vec![elem], Scalar::U32),
        _ => return None,
    })
}

/// What is hard about a type: bounds, zeros, subnormals, infinities, NaNs, halves between integers.
pub(crate) fn edges(elem: Scalar) -> Vec<u64> {
    if elem == Scalar::Bool {
        return vec![0, 1];
    }
    let bit = |x: f64| Const::float(elem, x).bits;
    let bits = elem.bits();
    if elem.is_float() {
        let sign = 1u64 << (bits - 1);
        let infinity = bit(f64::INFINITY);
        let least = [0, 1, 2, infinity - 1, infinity, infinity | (infinity >> 1)];
        let values =
            [1.0, 0.5, 1.5, 2.5, 3.0, 0.1, 127.5, 255.9, 1e-3, 32767.0, 65504.0, 1e9, 3e38];
        let quiet = infinity | (infinity >> 1) & !infinity | 1 << (bits / 4);
        let all: Vec<u64> =
            least.into_iter().chain(values.map(bit)).chain([quiet | infinity]).collect();
        return all.iter().flat_map(|&b| [b, b ^ sign]).collect();
    }
    let (low, high) = bounds(elem);
    let around = [0, 1, 2, 3, 7, 31, 63, -1, -2, low, low + 1, high, high - 1, high / 2, high / 3];
    around.into_iter().map(|x| Const::int(elem, x).bits).collect()
}

/// The `i`-th operand tuple: first all pairs of edges, then numbers of all magnitudes.
fn operands(elem: Scalar, rng: &mut Rng) -> [Vec<u64>; 3] {
    let edges = edges(elem);
    let mut columns = [vec![], vec![], vec![]];
    for i in 0..CASES {
        for column in &mut columns {
            let random = rng.next();
            let bits = match i % 4 {
                0 | 1 => edges[(random % edges.len() as u64) as usize],
                2 => random >> (rng.next() % 64),
                _ => random,
            };
            column.push(Const::new(elem, bits).bits);
        }
    }
    columns
}

/// The kernel of all operations on a type: `out_i[at] = op_i(a[at], b[at], c[at])`.
fn kernel(elem: Scalar, ops: &[Opcode]) -> Kernel {
    let mut m = Make::new(&format!("operations_{elem}"));
    let [a, b, c] = ["a", "b", "c"].map(|name| m.input(name, elem));
    let (amount, choice) = (m.input("amount", Scalar::U32), m.input("choice", Scalar::Bool));
    let at = m.global_id();
    let [a, b, c] = [a, b, c].map(|p| m.load_at(p, at));
    let (amount, choice) = (m.load_at(amount, at), m.load_at(choice, at));
    for &op in ops {
        let (operands, result) = types(op, elem).expect("chosen by it");
        let values: Vec<Value> = match op.info().signature {
            Signature::Shift => vec![a, amount],
            Signature::Select => vec![choice, a, b],
            _ => [a, b, c][..operands.len()].to_vec(),
        };
        let values = safe_divisor(&mut m, op, elem, &values);
        let value = m.0.emit1(op, Attr::None, &values, result.into());
        let out = m.output(op.name(), result);
        m.store_at(out, at, value);
    }
    m.finish()
}

/// Divisors are checked in real kernels; here what may not be divided is divided by 1.
fn safe_divisor(m: &mut Make, op: Opcode, elem: Scalar, values: &[Value]) -> Vec<Value> {
    if !matches!(op, Opcode::Div | Opcode::Rem) || !elem.is_int() {
        return values.to_vec();
    }
    let constant = |m: &mut Make, x| m.0.constant(Const::int(elem, x));
    let (zero, one, minus_one) = (constant(m, 0), constant(m, 1), constant(m, -1));
    let low = constant(m, bounds(elem).0);
    let is_zero = m.0.compare(Opcode::Eq, values[1], zero);
    let mut divisor = m.0.select(is_zero, one, values[1]);
    if elem.is_signed() {
        let lowest = m.0.compare(Opcode::Eq, values[0], low);
        let by_minus_one = m.0.compare(Opcode::Eq, values[1], minus_one);
        let overflows = m.op(Opcode::And, &[lowest, by_minus_one]);
        divisor = m.0.select(overflows, one, divisor);
    }
    vec![values[0], divisor]
}

/// Whether two results are the same. NaNs are, unless the operation is one on bits; between two
/// zeros `min` and `max` may choose, as `f32::min` may.
pub(crate) fn agree(op: Opcode, expected: Const, found: Const) -> bool {
    let nan = |c: Const| c.as_f64().is_some_and(f64::is_nan);
    let zero = |c: Const| c.as_f64() == Some(0.0);
    let bitwise = matches!(op, Opcode::Neg | Opcode::Abs | Opcode::CopySign | Opcode::Select);
    match op {
        Opcode::Min | Opcode::Max if zero(expected) && zero(found) => true,
        _ if !bitwise && nan(expected) => nan(found),
        _ => expected == found,
    }
}

fn check_type(elem: Scalar) {
    let ops: Vec<Opcode> =
        TABLE.iter().map(|row| row.op).filter(|&op| types(op, elem).is_some()).collect();
    let kernel = prepare(&kernel(elem, &ops));
    let mut rng = Rng(elem as u64);
    let columns = operands(elem, &mut rng);
    let amounts: Vec<u64> = (0..CASES).map(|i| [i as u64 % 70, rng.next()][i % 2]).collect();
    let choices: Vec<u64> = (0..CASES).map(|_| rng.next() & 1).collect();
    for isa in isas() {
        for threads in [64, 1] {
            let compiled = build(&kernel, [threads, 1, 1], isa);
            let mut inputs = columns.clone().map(|c| Array::of(elem, c)).to_vec();
            inputs.push(Array::of(Scalar::U32, amounts.clone()));
            inputs.push(Array::of(Scalar::Bool, choices.clone()));
            let result = |&op| types(op, elem).expect("chosen by it").1;
            let mut outputs: Vec<Array> =
                ops.iter().map(|op| Array::new(result(op), CASES)).collect();
            let args: Vec<u64> =
                inputs.iter_mut().chain(&mut outputs).map(Array::address).collect();
            compiled.run_well([CASES as u32 / threads, 1, 1], &args);
            for (&op, output) in ops.iter().zip(&outputs) {
                for i in 0..CASES {
                    let operands = operands_of(op, elem, &inputs, i);
                    let expected = eval(op, &operands, output.elem)
                        .unwrap_or_else(|| panic!("{} of {operands:?}", op.name()));
                    let found = output.get(i);
                    assert!(
                        agree(op, expected, found),
                        "{isa:?}, {threads} threads: {} of {operands:x?} is {expected:x?}, found \
                         {found:x?}",
                        op.name()
                    );
                }
            }
        }
    }
}

fn operands_of(op: Opcode, elem: Scalar, inputs: &[Array], i: usize) -> Vec<Const> {
    let [a, b, c] = [0, 1, 2].map(|k: usize| inputs[k].get(i));
    match op.info().signature {
        Signature::Shift => vec![a, inputs[3].get(i)],
        Signature::Select => vec![inputs[4].get(i), a, b],
        _ if matches!(op, Opcode::Div | Opcode::Rem) && elem.is_int() => {
            let unsafe_pair = eval(op, &[a, b], elem).is_none();
            vec![a, if unsafe_pair { Const::int(elem, 1) } else { b }]
        }
        _ => [a, b, c][..types(op, elem).expect("chosen by it").0.len()].to_vec(),
    }
}

macro_rules! each_type {
    ($($name:ident $elem:ident),*) => {
        $(#[test] fn $name() { check_type(Scalar::$elem); })*
    };
}

each_type! {
    bools Bool, signed_8 I8, signed_16 I16, signed_32 I32, signed_64 I64,
    unsigned_8 U8, unsigned_16 U16, unsigned_32 U32, unsigned_64 U64,
    half F16, bfloat BF16, single F32, double F64
}

/// Operations of the table that another module of these tests, or another crate's, is for.
const ELSEWHERE: &[(&str, &[&str])] = &[
    (
        "kernel-ir/tests/math",
        &["rsqrt", "exp", "exp2", "log", "log2", "sin", "cos", "tanh", "erf", "pow", "exp2_fast"],
    ),
    (
        "ids and every kernel",
        &["const", "thread_idx", "block_idx", "block_dim", "grid_dim", "lane_id", "warp_id"],
    ),
    ("casts", &["cast", "bitcast"]),
    ("dot", &["dot4", "dot2"]),
    (
        "memory",
        &[
            "vec_make",
            "vec_extract",
            "vec_insert",
            "shared_addr",
            "local_addr",
            "ptr_add",
            "load",
            "store",
            "fence",
            "prefetch",
            "cp_async",
            "cp_async_commit",
            "cp_async_wait",
        ],
    ),
    ("random: what mem2reg removes", &["var_load", "var_store", "var_load_at", "var_store_at"]),
    ("atomics", &["atomic_rmw", "atomic_cas", "atomic_load", "atomic_store", "ptr_cast"]),
    ("barriers", &["barrier"]),
    (
        "warp",
        &[
            "warp_sync",
            "shuffle_idx",
            "shuffle_xor",
            "shuffle_up",
            "shuffle_down",
            "vote_all",
            "vote_any",
            "ballot",
            "match_any",
            "warp_reduce",
        ],
    ),
    ("checks", &["check"]),
    ("control", &["if", "for", "loop", "block", "yield", "break", "continue", "return"]),
];

/// Whoever adds an operation that the CPU has must say here who tests it, or give it a signature
/// that this module tries.
#[test]
fn every_operation_has_a_test() {
    let elsewhere = |name: &str| ELSEWHERE.iter().any(|(_, names)| names.contains(&name));
    let here = |op| NUMBERS.iter().chain(&[Scalar::Bool]).any(|&elem| types(op, elem).is_some());
    for row in TABLE.iter().filter(|row| row.availability.on(&Target::Cpu)) {
        // The CPU has no matrix instruction of any shape.
        let matrix = row.signature == Signature::Mma;
        let tested = here(row.op) || elsewhere(row.name) || matrix;
        assert!(tested, "no test of the CPU backend covers `{}`", row.name);
        assert!(!(here(row.op) && elsewhere(row.name)), "`{}` is listed twice", row.name);
    }
}
