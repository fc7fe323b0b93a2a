//! [`Matmul`] against f64: shapes, strides, batches, element types, epilogues, on the CPU and the
//! interpreter.

use kernelsmith::lang::Float;
use kernelsmith::launch::{ViewArg, ViewMutArg};
use kernelsmith::prelude::*;
use kernelsmith_kernels::activation::{gelu, gelu_tanh, relu, silu};
use kernelsmith_kernels::matmul::{Factor, Matmul, Output, Packed};
use proptest::prelude::*;

/// How a matrix lies in its buffer.
#[derive(Clone, Copy, Debug)]
enum Lie {
    Rows,
    Columns,
    /// Rows longer than the matrix is wide.
    Padded,
    /// Columns longer than it is high.
    PaddedColumns,
    /// Neither rows nor columns contiguous.
    Apart,
}

const LIES: [Lie; 5] = [Lie::Rows, Lie::Columns, Lie::Padded, Lie::PaddedColumns, Lie::Apart];

impl Lie {
    fn strides(self, [_, rows, columns]: [usize; 3]) -> [usize; 3] {
        match self {
            Lie::Rows => [rows * columns, columns, 1],
            Lie::Columns => [rows * columns, 1, rows],
            Lie::Padded => [rows * (columns + 5) + 7, columns + 5, 1],
            Lie::PaddedColumns => [(rows + 3) * columns, 1, rows + 3],
            Lie::Apart => [rows * columns * 3 + 2, columns * 3, 3],
        }
    }
}

fn offset(strides: [usize; 3], at: [usize; 3]) -> usize {
    strides.into_iter().zip(at).map(|(s, i)| s * i).sum()
}

/// What a view needs of its buffer, and a few elements behind.
fn needed(shape: [usize; 3], strides: [usize; 3]) -> usize {
    shape.into_iter().zip(strides).map(|(n, s)| n.saturating_sub(1) * s).sum::<usize>() + 1 + 9
}

fn indices([batch, rows, columns]: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    (0..batch).flat_map(move |b| (0..rows).flat_map(move |r| (0..columns).map(move |c| [b, r, c])))
}

/// A tensor: in a buffer, and its elements as f64.
struct Tensor<T: Num> {
    buffer: Buffer<T>,
    shape: [usize; 3],
    strides: [usize; 3],
    values: Vec<f64>,
}

trait Number: Float {
    const EPSILON: f64;
    fn wide(self) -> f64;
}

macro_rules! numbers {
    ($($ty:ty: $epsilon:expr, $wide:expr;)*) => {
        $(impl Number for $ty {
            const EPSILON: f64 = $epsilon;
            fn wide(self) -> f64 {
                $wide(self)
            }
        })*
    };
}

numbers! {
    f32: f32::EPSILON as f64, f64::from;
    f64: f64::EPSILON, |x| x;
    f16: 1.0 / 1024.0, f64::from;
    bf16: 1.0 / 128.0, f64::from;
}

/// Numbers in [-1, 1], spread evenly.
fn number(state: &mut u64) -> f64 {
    // xorshift64 (Marsaglia, "Xorshift RNGs", 2003).
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 40) as f64 / (1u64 << 23) as f64 - 1.0
}

impl<T: Number> Tensor<T> {
    /// Between the elements is `filler`; so is all of it without a seed.
    fn new(device: &Device, shape: [usize; 3], lie: Lie, seed: Option<u64>, filler: f64) -> Self {
        let strides = lie.strides(shape);
        let mut elements = vec![T::lit(filler); needed(shape, strides)];
        if let Some(seed) = seed {
            let mut state = seed | 1;
            for at in indices(shape) {
                elements[offset(strides, at)] = T::lit(number(&mut state));
            }
        }
        let values = indices(shape).map(|at| elements[offset(strides, at)].wide()).collect();
        let buffer = Buffer::from_slice(device, &elements).unwrap();
        Tensor { buffer, shape, strides, values }
    }

    fn view(&self) -> ViewArg<'_, T, 3> {
        View::of(&self.buffer, self.shape).strides(self.strides)
    }

    /// One matrix as many, if it is one.
    fn view_of(&self, batch: usize) -> ViewArg<'_, T, 3> {
        let ([own, rows, columns], mut strides) = (self.shape, self.strides);
        if own == 1 {
            strides[0] = 0;
        }
        View::of(&self.buffer, [batch, rows, columns]).strides(strides)
    }

    fn view_mut(&mut self) -> ViewMutArg<'_, T, 3> {
        View::of_mut(&mut self.buffer, self.shape).strides(self.strides)
    }

    /// The elements, after what is between and behind them was found as it was.
    fn read(&self, filler: f64) -> Vec<f64> {
        let mut elements = self.buffer.to_vec().unwrap();
        let values = indices(self.shape).map(|at| elements[offset(self.strides, at)].wide());
        let values = values.collect();
        for at in indices(self.shape) {
            elements[offset(self.strides, at)] = T::lit(filler);
        }
        let canary = T::lit(filler);
        assert!(elements.iter().all(|&x| x == canary), "written beside the matrix");
        values
    }
}

/// What is asked of a product.
#[derive(Clone, Debug)]
struct Case {
    shape: (usize, usize, usize, usize),
    lies: [Lie; 4],
    seed: u64,
    alpha: f64,
    beta: f64,
    shared: [bool; 2],
    packed: bool,
    bias: bool,
    residual: bool,
    map: usize,
}

const CANARY: f64 = -7.0;

/// The functions of epilogues by number, in f64.
fn mapped(map: usize, x: f64) -> f64 {
    let root = (2.0 / std::f64::consts::PI).sqrt();
    match map {
        1 => x.max(0.0),
        2 => x / (1.0 + (-x).exp()),
        3 => x * x,
        4 => 0.5 * x * (1.0 + (root * (x + 0.044715 * x.powi(3))).tanh()),
        _ => x,
    }
}

/// The functions that every pair of types is checked with, and those that f32 is: each is a set of kernels to
/// compile for each pair, and sums of small floats are f32 too.
const SOME: &[usize] = &[0, 3];
const ALL: &[usize] = &[0, 1, 2, 3, 4];

/// Runs a case, and gives what was found, what was expected, and how far from it is allowed.
fn run<T: Number + Factor, O: Number + Output<T::Sum>, const EVERY: bool>(
    device: &Device,
    case: &Case,
) -> (Vec<f64>, Vec<(f64, f64)>)
where
    T::Sum: Number,
{
    let Case { shape: (batch, m, n, k), lies, seed, alpha, beta, .. } = *case;
    let of = |shared: bool| if shared { 1 } else { batch };
    let [shared_a, shared_b] = case.shared;
    let a = Tensor::<T>::new(device, [of(shared_a), m, k], lies[0], Some(seed), f64::NAN);
    let b = Tensor::<T>::new(device, [of(shared_b), k, n], lies[1], Some(!seed), f64::NAN);
    let c_seed = (beta != 0.0).then_some(seed ^ 5);
    let mut c = Tensor::<O>::new(device, [batch, m, n], lies[2], c_seed, CANARY);
    if beta == 0.0 {
        poison(&mut c);
    }
    let residual = Tensor::<O>::new(device, [batch, m, n], lies[3], Some(seed ^ 9), f64::NAN);
    let bias = Tensor::<T::Sum>::new(device, [1, 1, n], Lie::Rows, Some(seed ^ 11), f64::NAN);
    let before = c.values.clone();
    let packed = case.packed.then(|| Packed::new(b.view()).unwrap());
    let shape = [batch, m, n];
    let product = match &packed {
        Some(packed) => Matmul::new(a.view_of(batch), packed),
        None => Matmul::new(a.view_of(batch), b.view_of(batch)),
    };
    let mut product = product.alpha(T::Sum::lit(alpha)).beta(T::Sum::lit(beta));
    if case.bias {
        product = product.bias(bias.buffer.slice(..n).unwrap());
    }
    if case.residual {
        product = product.residual(residual.view());
    }
    let to = c.view_mut();
    match case.map {
        0 => product.run(to),
        3 => product.map(|x| x * x).run(to),
        map if const { EVERY } => match map {
            1 => product.map(relu).run(to),
            2 => product.map(silu).run(to),
            _ => product.map(gelu_tanh).run(to),
        },
        map => panic!("function {map} is there with f32"),
    }
    .unwrap();
    device.synchronize().unwrap();
    let (eps, out_eps) = (T::Sum::EPSILON, if size_of::<O>() == 2 { O::EPSILON } else { 0.0 });
    let expected = indices(shape).enumerate().map(|(i, [s, row, column])| {
        let (sa, sb) = (if shared_a { 0 } else { s }, if shared_b { 0 } else { s });
        let mut sum = 0.0;
        for p in 0..k {
            sum += a.values[(sa * m + row) * k + p] * b.values[(sb * k + p) * n + column];
        }
        let c = if beta == 0.0 { 0.0 } else { beta * before[i] };
        let bias = if case.bias { bias.values[column] } else { 0.0 };
        let x = alpha * sum + c + bias;
        // The k products are at most 1, so their sum is about sqrt(k), and at most k roundings of it add
        // up to sqrt(k) of them if their signs are random: 8 standard deviations.
        let k = k as f64 + 4.0;
        let error = 8.0 * k.sqrt() * k.sqrt() * eps * (1.0 + alpha.abs());
        // What the function makes of an error: its slope, and a relative error of its own.
        let slope = if case.map == 3 { 2.0 * x.abs() + 1.0 } else { 1.2 };
        let residual = if case.residual { residual.values[i] } else { 0.0 };
        let y = mapped(case.map, x) + residual;
        (y, error * slope + (y.abs() + 1.0) * (8.0 * eps + out_eps))
    });
    (c.read(CANARY), expected.collect())
}

/// NaN in every element, none of it beside them.
fn poison<O: Number>(c: &mut Tensor<O>) {
    let mut elements = c.buffer.to_vec().unwrap();
    for at in indices(c.shape) {
        elements[offset(c.strides, at)] = O::lit(f64::NAN);
    }
    c.buffer.copy_from(&elements).unwrap();
}

fn check<T: Number + Factor, O: Number + Output<T::Sum>>(device: &Device, case: &Case)
where
    T::Sum: Number,
{
    holds(case, run::<T, O, false>(device, case));
}

fn check_f32(device: &Device, case: &Case) {
    holds(case, run::<f32, f32, true>(device, case));
}

fn holds(case: &Case, (found, expected): (Vec<f64>, Vec<(f64, f64)>)) {
    assert_eq!(found.len(), expected.len());
    for (i, (&found, &(expected, allowed))) in found.iter().zip(&expected).enumerate() {
        let error = (found - expected).abs();
        assert!(error <= allowed, "{case:?}, element {i}: {found}, not {expected}, +-{allowed}");
    }
}

fn lie() -> impl Strategy<Value = Lie> {
    (0..LIES.len()).prop_map(|i| LIES[i])
}

prop_compose! {
    fn case(most: usize, deepest: usize, maps: &'static [usize])(
        shape in (1usize..4, 0..most, 0..most, 0..deepest),
        lies in [lie(), lie(), lie(), lie()],
        seed: u64,
        alpha in prop_oneof![Just(1.0), Just(-0.5)],
        beta in prop_oneof![Just(0.0), Just(1.0), Just(0.25)],
        shared: [bool; 2],
        packed: bool,
        bias: bool,
        residual: bool,
        map in prop::sample::select(maps),
    ) -> Case {
        let shared = [shared[0], shared[1] && !packed];
        Case { shape, lies, seed, alpha, beta, shared, packed, bias, residual, map }
    }
}

// Most of a case's time is that of the compiler: few cases have a kernel in common.
proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn products_of_f32_are_right(case in case(100, 200, ALL)) {
        check_f32(&Device::cpu(), &case);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn products_of_other_floats_are_right(case in case(70, 100, SOME)) {
        check::<f64, f64>(&Device::cpu(), &case);
        check::<bf16, bf16>(&Device::cpu(), &case);
        check::<f16, f32>(&Device::cpu(), &case);
    }
}

const PLAIN: Case = Case {
    shape: (1, 5, 7, 9),
    lies: [Lie::Rows; 4],
    seed: 1,
    alpha: 1.0,
    beta: 0.0,
    shared: [false; 2],
    packed: false,
    bias: false,
    residual: false,
    map: 0,
};

/// Deeper than what a block copies of A at a time.
#[test]
fn deep_products_are_right() {
    let device = Device::cpu();
    for lies in [[Lie::Rows; 4], [Lie::Columns; 4]] {
        for map in [0, 3] {
            let (seed, residual) = (map as u64 + 3, map == 3);
            let case = Case { shape: (1, 37, 40, 2100), lies, seed, map, residual, ..PLAIN };
            check_f32(&device, &Case { beta: 0.5, bias: true, ..case.clone() });
            check::<f64, f64>(&device, &case);
            check::<bf16, bf16>(&device, &Case { packed: true, beta: 0.5, ..case });
        }
    }
}

/// Few rows have kernels of their own, as have few columns; wider and deeper than these take at a time.
#[test]
fn few_rows_and_few_columns_are_right() {
    let device = Device::cpu();
    let shapes =
        [(1, 1100, 2100), (2, 70, 31), (3, 33, 2100), (5, 1100, 9), (32, 130, 300), (70, 3, 600)];
    for (m, n, k) in shapes {
        for lie in [Lie::Rows, Lie::Columns, Lie::PaddedColumns] {
            let case = Case { shape: (1, m, n, k), lies: [lie; 4], seed: 5, ..PLAIN };
            check_f32(&device, &Case { map: 3, bias: true, residual: true, ..case.clone() });
            check::<f64, f64>(&device, &Case { beta: 0.5, ..case.clone() });
            let apart = [Lie::Apart, lie, Lie::Apart, Lie::Apart];
            check::<f16, f16>(&device, &Case { shape: (2, m, n, k), lies: apart, ..case });
        }
    }
}

/// With the kernels of the CPU and of GPUs; races and reads of what nobody wrote are findings.
#[test]
fn the_interpreter_finds_nothing() {
    for target in ["cpu", "sm_90a", "gfx942"] {
        let device = Device::interpreter_for(target.parse().unwrap());
        let case = Case { shape: (2, 21, 35, 18), map: 1, bias: true, beta: 0.5, ..PLAIN };
        for lies in [[Lie::Rows; 4], [Lie::Columns; 4], [Lie::Apart; 4]] {
            check_f32(&device, &Case { lies, residual: true, ..case.clone() });
        }
        let lies = [Lie::Columns, Lie::Columns, Lie::Rows, Lie::Rows];
        let squared = Case { lies, map: 3, ..case.clone() };
        check::<bf16, bf16>(&device, &Case { packed: true, ..squared.clone() });
        check::<f64, f64>(&device, &Case { shared: [false, true], ..squared });
        check_f32(&device, &Case { shape: (1, 4, 6, 0), ..case });
    }
}

#[test]
fn results_are_the_same_bits_from_run_to_run() {
    let case = Case { shape: (3, 70, 90, 300), map: 4, bias: true, ..PLAIN };
    let bits = || {
        let (found, _) = run::<f32, f32, true>(&Device::cpu(), &case);
        found.into_iter().map(f64::to_bits).collect::<Vec<_>>()
    };
    let first = bits();
    for _ in 0..4 {
        assert_eq!(bits(), first);
    }
}

#[test]
fn the_exact_gelu_is_close_to_its_approximation_and_nan_passes() {
    let device = Device::cpu();
    let x: Vec<f32> = (0..64).map(|i| i as f32 / 8.0 - 4.0).chain([f32::NAN]).collect();
    let (a, one) = (Buffer::from_slice(&device, &x), Buffer::from_slice(&device, &[1.0f32]));
    let (a, one) = (a.unwrap(), one.unwrap());
    let ys = [0, 1, 2, 3].map(|which| {
        let mut y = Buffer::<f32>::zeros(&device, x.len()).unwrap();
        let product = Matmul::new(View::of(&a, [x.len(), 1]), View::of(&one, [1, 1]));
        let to = View::of_mut(&mut y, [x.len(), 1]);
        match which {
            0 => product.map(gelu).run(to),
            1 => product.map(gelu_tanh).run(to),
            2 => product.map(relu).run(to),
            _ => product.map(silu).run(to),
        }
        .unwrap();
        y.to_vec().unwrap()
    });
    for (exact, near) in ys[0].iter().zip(&ys[1]).take(64) {
        assert!((exact - near).abs() < 1e-3, "{exact} {near}");
    }
    // gelu(1), to seven places.
    assert!((ys[0][40] - 0.841_344_7).abs() < 1e-6);
    assert!(ys.iter().all(|y| y[64].is_nan()));
}

#[test]
fn errors_name_argument_value_and_rule() {
    let device = Device::cpu();
    let x = Buffer::<f32>::zeros(&device, 24).unwrap();
    let mut y = Buffer::<f32>::zeros(&device, 24).unwrap();
    let a = View::of(&x, [2, 3]);
    let mut error = |product: Matmul<'_, f32, f32>,
                     c: fn(&mut Buffer<f32>) -> ViewMutArg<'_, f32, 2>| {
        product.run(c(&mut y)).unwrap_err().to_string()
    };
    let c: fn(&mut Buffer<f32>) -> ViewMutArg<'_, f32, 2> = |y| View::of_mut(y, [2, 4]);
    assert_eq!(
        error(Matmul::new(a, View::of(&x, [4, 4])), c),
        "`b` has shape [4, 4], but it must have as many rows as `a` has columns, 3"
    );
    assert_eq!(
        error(Matmul::new(a, View::of(&x, [3, 4])), |y| View::of_mut(y, [2, 5])),
        "`c` has 2 rows and 5 columns, but it must have the rows of `a` and the columns of `b`, 2 and 4"
    );
    assert_eq!(
        error(Matmul::new(View::of(&x, [2, 2, 3]), View::of(&x, [3, 4])), c),
        "`a` has shape [2, 2, 3], but `c` has two dimensions: so must it"
    );
    assert_eq!(
        error(Matmul::new(a, View::of(&x, [3, 4])).bias(&x), c),
        "`bias` has 24 elements, but it must have the columns of `c` = 4"
    );
    assert_eq!(
        error(Matmul::new(a, View::of(&x, [3, 4])).residual(View::of(&x, [4, 2])), c),
        "`residual` has shape [4, 2], but it must have the rows and columns of `c`, 2 and 4"
    );
    assert_eq!(
        error(Matmul::new(a, View::of(&x, [3, 4])).row_scales(&x), c),
        "`row scales` has 24 elements, but it must have the rows of `c` = 2"
    );
    assert_eq!(
        error(Matmul::new(a, View::of(&x, [3, 4])).column_scales(&x), c),
        "`column scales` has 24 elements, but it must have the columns of `c` = 4"
    );
    let far = error(Matmul::new(a, View::of(&x, [3, 4]).strides([10, 2])), c);
    assert!(far.contains("`b` is a view of shape") && far.contains("26"), "{far}");
    let twice =
        error(Matmul::new(a, View::of(&x, [3, 4])), |y| View::of_mut(y, [2, 4]).strides([3, 1]));
    assert!(twice.contains("`c`") && twice.contains("different elements"), "{twice}");
    let limit = std::hint::black_box(1.0f32);
    let product = Matmul::new(a, View::of(&x, [3, 4])).map(move |x: Val<f32>| x * limit);
    let error = product.run(View::of_mut(&mut y, [2, 4])).unwrap_err().to_string();
    assert!(error.contains("`map`") && error.contains("capture"), "{error}");
}
