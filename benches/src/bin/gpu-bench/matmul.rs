//! Products of matrices against the best of cuBLASLt's heuristics: cubes, and the layers of language models.

use kernelsmith::launch::{ViewArg, ViewMutArg};
use kernelsmith::prelude::*;
use kernelsmith_benches::cublas_lt::{self, Types};
use kernelsmith_benches::gpu::normal;
use kernelsmith_kernels::Error;
use kernelsmith_kernels::matmul::{Matmul, ScaledMatmul, Scales};

use super::Outcome;
use super::bench::{Bench, Case, Peer, case};
use super::turns::medians;

const CUBES: [usize; 6] = [512, 1024, 2048, 4096, 8192, 16384];

/// Rows of activations.
const ROWS: [usize; 5] = [1, 16, 128, 1024, 4096];

/// `[n, k]` of layers: queries, keys and values; attention's output; gate and up; down.
const LLAMA_8B: [[usize; 2]; 4] = [[6144, 4096], [4096, 4096], [28672, 4096], [4096, 14336]];
const LLAMA_70B: [[usize; 2]; 4] = [[10240, 8192], [8192, 8192], [57344, 8192], [8192, 28672]];
/// Those that DeepGEMM's README lists.
const DEEPSEEK_V3: [[usize; 2]; 6] =
    [[2112, 7168], [24576, 1536], [32768, 512], [7168, 16384], [4096, 7168], [7168, 2048]];

/// Bytes that no L2 cache holds, through which the inputs rotate.
const PAST_CACHES: usize = 256 << 20;

/// Random numbers that matrices repeat: a prime, so that rows differ.
const PATTERN: usize = 262_139;

/// What matters most.
pub(crate) fn first() -> Vec<Case> {
    let cubes = CUBES.into_iter().rev().map(|n| [n; 3]);
    let mut cases: Vec<Case> = cubes.clone().chain(layers(&LLAMA_8B)).map(bf16_case).collect();
    cases.extend(cubes.map(e4m3_case));
    cases
}

/// What matters less.
pub(crate) fn rest() -> Vec<Case> {
    let large = || layers(&LLAMA_70B).chain(layers(&DEEPSEEK_V3));
    let mut cases: Vec<Case> = large().map(bf16_case).collect();
    cases.extend(layers(&LLAMA_8B).chain(large()).map(e4m3_case));
    for n in [8192, 4096, 2048, 1024] {
        cases.extend([f16_case([n; 3]), tf32_case([n; 3]), i8_case([n; 3])]);
    }
    for n in [4096, 2048, 1024] {
        cases.push(f32_case([n; 3]));
    }
    for shape in layers(&LLAMA_8B) {
        cases.extend([f16_case(shape), i8_case(shape)]);
    }
    for shape in [[8192; 3], [4096; 3], [128, 4096, 14336], [16, 4096, 4096]] {
        cases.extend([tuned_case(shape), fast_e4m3_case(shape)]);
    }
    cases
}

/// Layers with few rows before those with many.
fn layers(of: &'static [[usize; 2]]) -> impl Iterator<Item = [usize; 3]> {
    ROWS.into_iter().flat_map(move |m| of.iter().map(move |&[n, k]| [m, n, k]))
}

/// How products of a type are computed and judged. Factors are `X: m x k` and `W: n x k`, as layers have them.
struct Kind<T: Stored, O: Stored> {
    name: &'static str,
    types: Types,
    number: fn(f32) -> T,
    value: fn(T) -> f64,
    sum: fn(O) -> f64,
    /// How far a result may be off, of its own size and of the root of k.
    error: [f64; 2],
    /// `Y = X * W'`, given a scale of 1.
    ours: Ours<T, O>,
}

type Ours<T, O> =
    fn(&Buffer<f32>, Factor<'_, T>, Factor<'_, T>, ViewMutArg<'_, O, 2>) -> Result<(), Error>;
type Factor<'a, T> = ViewArg<'a, T, 2>;

fn bf16_case(shape: [usize; 3]) -> Case {
    Kind::<bf16, bf16> {
        name: "matmul bf16",
        types: Types::BF16,
        number: bf16::from_f32,
        value: bf16::to_f64,
        sum: bf16::to_f64,
        error: [1.0 / 256.0, 1e-3],
        ours: |_, x, w, y| Matmul::new(x, w.transposed()).run(y),
    }
    .case(shape)
}

/// After a search, if there was none on the machine.
fn tuned_case(shape: [usize; 3]) -> Case {
    Kind::<bf16, bf16> {
        name: "matmul bf16 tuned",
        types: Types::BF16,
        number: bf16::from_f32,
        value: bf16::to_f64,
        sum: bf16::to_f64,
        error: [1.0 / 256.0, 1e-3],
        ours: |_, x, w, y| Matmul::new(x, w.transposed()).tuned().run(y),
    }
    .case(shape)
}

fn f16_case(shape: [usize; 3]) -> Case {
    Kind::<f16, f16> {
        name: "matmul f16",
        types: Types::F16,
        number: f16::from_f32,
        value: f16::to_f64,
        sum: f16::to_f64,
        error: [1.0 / 1024.0, 1e-3],
        ours: |_, x, w, y| Matmul::new(x, w.transposed()).run(y),
    }
    .case(shape)
}

fn f32_case(shape: [usize; 3]) -> Case {
    Kind::<f32, f32> {
        name: "matmul f32",
        types: Types::F32,
        number: |x| x,
        value: f64::from,
        sum: f64::from,
        error: [1e-5, 1e-4],
        ours: |_, x, w, y| Matmul::new(x, w.transposed()).run(y),
    }
    .case(shape)
}

/// Both factors are cut to 10 bits, which is off by 2^-10 at most.
fn tf32_case(shape: [usize; 3]) -> Case {
    Kind::<f32, f32> {
        name: "matmul tf32",
        types: Types::TF32,
        number: |x| x,
        value: f64::from,
        sum: f64::from,
        error: [1.0 / 256.0, 1.0 / 64.0],
        ours: |_, x, w, y| Matmul::new(x, w.transposed()).allow_tf32().run(y),
    }
    .case(shape)
}

fn i8_case(shape: [usize; 3]) -> Case {
    Kind::<i8, i32> {
        name: "matmul i8",
        types: Types::I8,
        number: |x| (32.0 * x) as i8,
        value: f64::from,
        sum: f64::from,
        error: [0.0; 2],
        ours: |_, x, w, y| Matmul::new(x, w.transposed()).run(y),
    }
    .case(shape)
}

/// The tensor cores sum 8-bit floats with about 14 bits.
fn e4m3_case(shape: [usize; 3]) -> Case {
    Kind::<e4m3, bf16> {
        name: "matmul e4m3",
        types: Types::E4M3,
        number: e4m3::from_f32,
        value: |x| x.to_f32().into(),
        sum: bf16::to_f64,
        error: [1.0 / 64.0, 1.0 / 32.0],
        ours: |one, x, w, y| {
            ScaledMatmul::new(x, w.transposed(), Scales::per_tensor(one, one)).run(y)
        },
    }
    .case(shape)
}

/// All sums left to the tensor cores.
fn fast_e4m3_case(shape: [usize; 3]) -> Case {
    Kind::<e4m3, bf16> {
        name: "matmul e4m3 fast",
        types: Types::E4M3,
        number: e4m3::from_f32,
        value: |x| x.to_f32().into(),
        sum: bf16::to_f64,
        error: [1.0 / 32.0, 1.0 / 16.0],
        ours: |one, x, w, y| {
            let scales = Scales::per_tensor(one, one);
            ScaledMatmul::new(x, w.transposed(), scales).fast_accumulation().run(y)
        },
    }
    .case(shape)
}

impl<T: Stored, O: Stored> Kind<T, O> {
    fn case(self, shape @ [m, n, k]: [usize; 3]) -> Case {
        case(format!("{} {m}x{n}x{k}", self.name), move |bench| self.compare(bench, shape))
    }

    /// `len` numbers.
    fn numbers(&self, device: &Device, len: usize, seed: u64) -> Outcome<Buffer<T>> {
        let pattern: Vec<T> = normal(PATTERN, seed).into_iter().map(self.number).collect();
        let pattern = Buffer::from_slice(device, &pattern)?;
        // SAFETY: the copies write every element.
        let mut all = unsafe { Buffer::<T>::uninit(device, len) }?;
        for begin in (0..len).step_by(PATTERN) {
            let end = len.min(begin + PATTERN);
            all.slice_mut(begin..end)?.copy_from_view(pattern.slice(..end - begin)?)?;
        }
        Ok(all)
    }

    fn compare(self, bench: &mut Bench, shape @ [m, n, k]: [usize; 3]) -> Outcome<()> {
        let device = bench.device.clone();
        let sets = PAST_CACHES.div_ceil((m + n) * k * size_of::<T>());
        let x = self.numbers(&device, sets * m * k, 1)?;
        let w = self.numbers(&device, sets * n * k, 2)?;
        let mut ours = Buffer::<O>::zeros(&device, m * n)?;
        let mut theirs = Buffer::<O>::zeros(&device, m * n)?;
        let factor = |of: &Buffer<T>, set: usize, rows: usize| {
            of.view().address() + (set % sets * rows * k * size_of::<T>()) as u64
        };
        let mut run_ours = |set: usize| {
            let set = set % sets;
            let x = View::of(x.slice(set * m * k..(set + 1) * m * k)?, [m, k]);
            let w = View::of(w.slice(set * n * k..(set + 1) * n * k)?, [n, k]);
            Ok((self.ours)(&bench.one, x, w, View::of_mut(&mut ours, [m, n]))?)
        };
        let peer = bench.lt.as_ref().map_err(Clone::clone);
        let peer = peer.and_then(|lt| lt.product(self.types, shape));
        let address = theirs.view_mut().address();
        let enqueue = |product: &cublas_lt::Product<'_>, algorithm: usize, set: usize| {
            let (x, w) = (factor(&x, set, m), factor(&w, set, n));
            // SAFETY: the matrices have the product's shape and types, and are dropped behind the last
            // synchronisation.
            Ok(unsafe { product.enqueue(algorithm, x, w, address) }?)
        };
        let best = peer.and_then(|product| {
            best(&device, &product, &enqueue).map(|algorithm| (product, algorithm))
        });
        // Another pair than ours of the same call.
        let mut run_theirs = |set: usize| match &best {
            Ok((product, algorithm)) => enqueue(product, *algorithm, set + sets / 2),
            Err(_) => Ok(()),
        };
        let times = medians(&device, &mut [&mut run_ours, &mut run_theirs])?;
        run_ours(0)?;
        if let Ok((product, algorithm)) = &best {
            enqueue(product, *algorithm, 0)?;
        }
        device.synchronize()?;
        self.check("ours", shape, &x, &w, &ours)?;
        let rate = |at: usize| 2.0 * (m * n * k) as f64 / times[at].as_secs_f64() / 1e12;
        let peer = match &best {
            Ok(_) => {
                self.check("cuBLASLt's", shape, &x, &w, &theirs)?;
                Peer::Rate("cuBLASLt", rate(1))
            }
            Err(reason) => {
                if bench.lt.is_ok() {
                    println!("{} {m}x{n}x{k} has no peer: {reason}", self.name);
                }
                Peer::None
            }
        };
        drop(best);
        let text = if [n, k] == [m; 2] { format!("{n}^3") } else { format!("{m}x{n}x{k}") };
        bench.row(self.name, &text, rate(0), "TFLOP/s", peer)
    }

    /// Corners of a product of the first matrices against f64.
    fn check(
        &self,
        who: &str,
        [m, n, k]: [usize; 3],
        x: &Buffer<T>,
        w: &Buffer<T>,
        y: &Buffer<O>,
    ) -> Outcome<()> {
        let wide = |of: &Buffer<T>, row: usize| -> Outcome<Vec<f64>> {
            let row = of.slice(row * k..(row + 1) * k)?.to_vec()?;
            Ok(row.into_iter().map(self.value).collect())
        };
        let [relative, of_depth] = self.error;
        for i in [0, m - 1] {
            let left = wide(x, i)?;
            let found = y.slice(i * n..(i + 1) * n)?.to_vec()?;
            for j in (0..16).chain(n - 16..n) {
                let expected: f64 = left.iter().zip(wide(w, j)?).map(|(x, w)| x * w).sum();
                let error = ((self.sum)(found[j]) - expected).abs();
                let allowed = relative * expected.abs() + of_depth * (k as f64).sqrt();
                if error.is_nan() || error > allowed {
                    return Err(format!("{who}, row {i}, column {j}: error {error:e}").into());
                }
            }
        }
        Ok(())
    }
}

/// The fastest of the heuristics' algorithms, each timed for a moment.
fn best(
    device: &Device,
    product: &cublas_lt::Product<'_>,
    enqueue: &impl Fn(&cublas_lt::Product<'_>, usize, usize) -> Outcome<()>,
) -> Result<usize, String> {
    let stream = device.default_stream();
    let time = |algorithm| -> Outcome<_> {
        enqueue(product, algorithm, 0)?;
        let mut best = std::time::Duration::MAX;
        for set in 1..4 {
            let start = stream.record()?;
            enqueue(product, algorithm, 2 * set)?;
            enqueue(product, algorithm, 2 * set + 1)?;
            let end = stream.record()?;
            device.synchronize()?;
            best = best.min(end.elapsed_since(&start)?);
        }
        Ok(best)
    };
    // Some that are proposed are refused when they are launched.
    let times = (0..product.algorithms()).filter_map(|i| time(i).ok().map(|time| (time, i)));
    times.min().map(|(_, i)| i).ok_or_else(|| "every algorithm of cuBLASLt failed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where there is no GPU, all but the peer.
    #[test]
    fn cases_run_on_the_cpu() {
        let path = std::env::temp_dir().join(format!("gpu-bench-{}.csv", std::process::id()));
        let mut bench = Bench::new(&Device::cpu(), "", &path).unwrap();
        let shape = [16, 48, 256];
        for case in [
            bf16_case(shape),
            e4m3_case(shape),
            fast_e4m3_case(shape),
            tf32_case(shape),
            i8_case(shape),
        ] {
            (case.run)(&mut bench).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        }
        let rows = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(rows.lines().count(), 6, "{rows}");
        assert!(rows.contains(",matmul i8,16x48x256,"), "{rows}");
    }

    /// What is wrong is told.
    #[test]
    fn wrong_results_are_found() {
        let device = Device::cpu();
        let kind = Kind::<i8, i32> {
            name: "",
            types: Types::I8,
            number: |x| x as i8,
            value: f64::from,
            sum: f64::from,
            error: [0.0; 2],
            ours: |_, x, w, y| Matmul::new(x, w.transposed()).run(y),
        };
        let ones = Buffer::from_slice(&device, &[1i8; 16 * 16]).unwrap();
        let sums = |wrong| {
            let mut sums = [16; 256];
            sums[255] += wrong;
            Buffer::from_slice(&device, &sums).unwrap()
        };
        let check = |y| kind.check("ours", [16; 3], &ones, &ones, &y);
        check(sums(0)).unwrap();
        let error = check(sums(1)).unwrap_err().to_string();
        assert!(error.contains("row 15, column 15"), "{error}");
    }
}
