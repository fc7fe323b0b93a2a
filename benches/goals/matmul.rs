//! Products: square ones of f32, f64, bf16 and f16, and low ones with weights of 4096 x 4096.

use std::time::Duration;

use half::{bf16, f16};
use kernelsmith::prelude::*;
use kernelsmith_benches::gpu::normal;
use kernelsmith_benches::interleave::{best_within, turn};
use kernelsmith_kernels::matmul::{Factor, Matmul, Output};

use super::blas::{OneDnn, OpenBlas, Shape};
use super::crates;
use super::python::Python;
use super::table::{Case, Table};
use super::wanted;

/// How long a case is measured.
const BUDGET: Duration = Duration::from_secs(3);

/// A peer's product of slices.
type Peer<'p, T> = (&'p str, Box<dyn Fn(Shape, &[T], &[T], &mut [T]) + 'p>);

pub(crate) fn cases(table: &mut Table) -> Result<(), String> {
    let (openblas, onednn) = (OpenBlas::open()?, OneDnn::open()?);
    let torch = Python::torch(super::threads())?;
    let squares = |least: usize| {
        [64, 128, 256, 512, 1024, 2048, 4096].into_iter().filter(move |n| *n >= least)
    };
    let square = |n| Shape { m: n, n, k: n, transposed: false };
    let low = |rows: &'static [usize]| {
        [false, true].into_iter().flat_map(move |transposed| {
            rows.iter().map(move |&m| Shape { m, n: 4096, k: 4096, transposed })
        })
    };
    let f32s: [Peer<'_, f32>; 5] = [
        ("gemm", Box::new(|s, a, b, c| crates::gemm(s, (0.0, 1.0), a, b, c))),
        ("faer", Box::new(crates::faer::<f32>)),
        ("matrixmultiply", Box::new(crates::matrixmultiply::<f32>)),
        ("openblas", Box::new(|s, a, b, c| openblas.f32(s, a, b, c))),
        ("onednn", Box::new(|s, a, b, c| onednn.f32(s, a, b, c))),
    ];
    for shape in squares(64).map(square).chain(low(&[1, 8, 32])) {
        case::<f32, f32>(table, &torch, "f32", 1.0, shape, &f32s)?;
    }
    let f64s: [Peer<'_, f64>; 4] = [
        ("gemm", Box::new(|s, a, b, c| crates::gemm(s, (0.0, 1.0), a, b, c))),
        ("faer", Box::new(crates::faer::<f64>)),
        ("matrixmultiply", Box::new(crates::matrixmultiply::<f64>)),
        ("openblas", Box::new(|s, a, b, c| openblas.f64(s, a, b, c))),
    ];
    for shape in [128, 512, 2048].map(square) {
        case::<f64, f64>(table, &torch, "f64", 1.0, shape, &f64s)?;
    }
    for shape in squares(256).map(square).chain(low(&[8, 32])) {
        case::<bf16, bf16>(table, &torch, "bf16", 1.0, shape, &[])?;
    }
    let f16s: [Peer<'_, f16>; 1] = [(
        "gemm",
        Box::new(|s, a, b, c| crates::gemm(s, (f16::from_f32(0.0), f16::from_f32(1.0)), a, b, c)),
    )];
    for shape in [256, 1024].map(square) {
        case::<f16, f16>(table, &torch, "f16", 1.0, shape, &f16s)?;
    }
    Ok(())
}

/// Random factors, ours and all peers in turns, and a look at what was computed.
fn case<T, O>(
    table: &mut Table,
    torch: &Python,
    element: &str,
    goal: f64,
    shape: Shape,
    peers: &[Peer<'_, T>],
) -> Result<(), String>
where
    T: Factor + FromF32,
    O: Output<T::Sum> + FromF32,
{
    let Shape { m, n, k, transposed } = shape;
    let order = if transposed { "nt" } else { "nn" };
    let name = format!("{m}x{n}x{k} {order}");
    if !wanted(&name, element) {
        return Ok(());
    }
    torch.prepare(&format!("product {element} {order} {m} {n} {k}"))?;
    let numbers = |len, seed| normal(len, seed).into_iter().map(T::of).collect::<Vec<T>>();
    let (xs, ys) = (numbers(m * k, 1), numbers(k * n, 2));
    let device = Device::cpu();
    let memory = |e: kernelsmith::Error| e.to_string();
    let a = Buffer::from_slice(&device, &xs).map_err(|e| memory(e.into()))?;
    let b = Buffer::from_slice(&device, &ys).map_err(|e| memory(e.into()))?;
    let mut c = Buffer::<O>::zeros(&device, m * n).map_err(|e| memory(e.into()))?;
    let mut ours = || {
        turn(|| {
            let b = match transposed {
                true => View::of(&b, [n, k]).transposed(),
                false => View::of(&b, [k, n]),
            };
            let product = Matmul::new(View::of(&a, [m, k]), b);
            product.run(View::of_mut(&mut c, [m, n])).expect("a launch");
            device.synchronize().expect("no failed check");
        })
    };
    let mut theirs: Vec<Vec<T>> = peers.iter().map(|_| vec![T::of(0.0); m * n]).collect();
    let mut calls: Vec<Box<dyn FnMut() -> Duration + '_>> = Vec::new();
    for ((_, product), c) in peers.iter().zip(&mut theirs) {
        let (xs, ys) = (&xs, &ys);
        calls.push(Box::new(move || turn(|| product(shape, xs, ys, c))));
    }
    let mut by_torch = || torch.run();
    let mut all: Vec<&mut dyn FnMut() -> Duration> = vec![&mut ours, &mut by_torch];
    all.extend(calls.iter_mut().map(|call| &mut **call as &mut dyn FnMut() -> Duration));
    let best = best_within(BUDGET, 5, &mut all);
    drop(calls);
    check(shape, &xs, &ys, &c.to_vec().map_err(|e| e.to_string())?)?;
    let names = ["torch"].into_iter().chain(peers.iter().map(|peer| peer.0));
    let peers: Vec<_> = names.zip(best[1..].iter().copied()).collect();
    let work = 2.0 * (m * n) as f64 * k as f64;
    let case = Case { suite: "matmul", name: &name, element, work, unit: "GFLOP/s", goal };
    table.row(&case, best[0], &peers);
    Ok(())
}

/// Elements here and there against sums of f64.
fn check<T: FromF32, O: FromF32>(shape: Shape, a: &[T], b: &[T], c: &[O]) -> Result<(), String> {
    let Shape { m, n, k, transposed } = shape;
    for at in (0..m * n).step_by((m * n).div_ceil(50)) {
        let (i, j) = (at / n, at % n);
        let element = |p: usize| if transposed { &b[j * k + p] } else { &b[p * n + j] };
        let sum: f64 = (0..k).map(|p| a[i * k + p].wide() * element(p).wide()).sum();
        let allowed = 1e-2 * sum.abs() + 1e-4 * (k as f64).sqrt();
        let found = c[at].wide();
        if (found - sum).abs() > allowed {
            return Err(format!("element {i}, {j} of a product is {found} and should be {sum}"));
        }
    }
    Ok(())
}

/// The types of the suite, from and to those that tests use.
trait FromF32: Copy {
    fn of(x: f32) -> Self;
    fn wide(&self) -> f64;
}

macro_rules! from_f32 {
    ($($ty:ty: $of:expr, $wide:expr;)*) => {
        $(impl FromF32 for $ty {
            fn of(x: f32) -> $ty {
                $of(x)
            }
            fn wide(&self) -> f64 {
                $wide(*self)
            }
        })*
    };
}

from_f32! {
    f32: |x| x, f64::from;
    f64: f64::from, |x| x;
    f16: f16::from_f32, f64::from;
    bf16: bf16::from_f32, f64::from;
}
