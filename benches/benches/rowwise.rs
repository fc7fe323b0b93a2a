//! Kernels that memory bounds, against a copy in the same interleaved run, as CSV on standard output:
//! `cargo bench --bench rowwise`, with `-- <word>` the cases that have the word in their name.
//!
//! Columns: case, GB/s that a program sees (what it reads and what it writes), those of a copy of as many bytes
//! by all threads, the ratio. Buffers are larger than any cache.

use std::hint::black_box;
use std::time::Duration;

use kernelsmith::prelude::*;
use kernelsmith_benches::interleave::best_of;
use kernelsmith_kernels::activation::{gelu, silu, swiglu};
use kernelsmith_kernels::elementwise::{map, map_in_place, zip_map};
use kernelsmith_kernels::embedding::embedding;
use kernelsmith_kernels::loss::CrossEntropy;
use kernelsmith_kernels::number::Number;
use kernelsmith_kernels::optimizer::Adam;
use kernelsmith_kernels::reduce::{Extreme, Reduction};
use kernelsmith_kernels::rope::{Pairing, Rope};
use kernelsmith_kernels::sampling::{Draw, Sampler, top_k};
use kernelsmith_kernels::scan::Scan;

mod peers;

/// Elements of most cases.
const N: usize = 1 << 25;
const ROUNDS: usize = 12;

fn main() {
    println!("case,ours,copy,ratio");
    let bench = Bench { wanted: std::env::args().skip(1).find(|a| !a.starts_with("--")) };
    bench.elementwise();
    bench.reductions();
    bench.scans();
    bench.ropes();
    bench.tables();
    bench.losses();
    bench.steps();
    bench.choices();
}

struct Bench {
    wanted: Option<String>,
}

/// Numbers from -1 to 1, in no order.
fn numbers<T: Number>(len: usize, of: fn(f32) -> T) -> Buffer<T> {
    let number = |i: usize| (i.wrapping_mul(2_654_435_761) >> 8 & 0xffff) as f32 / 32768.0 - 1.0;
    let x: Vec<T> = (0..len).map(|i| of(number(i))).collect();
    Buffer::from_slice(&Device::cpu(), &x).expect("memory")
}

fn floats(len: usize) -> Buffer<f32> {
    numbers(len, |x| x)
}

fn halves(len: usize) -> Buffer<bf16> {
    numbers(len, bf16::from_f32)
}

impl Bench {
    /// Times `run`, which reads and writes `bytes`, and a copy of as many.
    fn case(&self, name: &str, bytes: usize, mut run: impl FnMut()) {
        if self.wanted.as_ref().is_some_and(|wanted| !name.contains(wanted.as_str())) {
            return;
        }
        let from = vec![1.0f32; bytes / 8];
        let mut to = vec![0.0f32; bytes / 8];
        let device = Device::cpu();
        let best = best_of(
            ROUNDS,
            &mut [
                &mut || {
                    run();
                    device.synchronize().expect("no failed check");
                },
                &mut || peers::copy(black_box(&from), &mut to),
            ],
        );
        let rate = |time: Duration| bytes as f64 / time.as_secs_f64() / 1e9;
        let [ours, copy] = [best[0], best[1]].map(rate);
        println!("{name},{ours:.1},{copy:.1},{:.2}", ours / copy);
    }

    fn elementwise(&self) {
        let (x, mut y) = (floats(N), floats(N));
        self.case("map x + 1 f32", 8 * N, || map(&x, &mut y, |x| x + 1.0).expect("a launch"));
        self.case("map silu f32", 8 * N, || map(&x, &mut y, silu::<f32>).expect("a launch"));
        self.case("map gelu f32", 8 * N, || map(&x, &mut y, gelu::<f32>).expect("a launch"));
        self.case("map silu f32 in place", 8 * N, || {
            map_in_place(&mut y, silu::<f32>).expect("a launch");
        });
        let z = floats(N);
        self.case("swiglu f32", 12 * N, || {
            zip_map(&x, &z, &mut y, swiglu::<f32>).expect("a launch");
        });
        let (x, z, mut y) = (halves(N), halves(N), halves(N));
        self.case("swiglu bf16", 6 * N, || {
            zip_map(&x, &z, &mut y, swiglu::<f32>).expect("a launch");
        });
        self.case("map silu bf16", 4 * N, || map(&x, &mut y, silu::<f32>).expect("a launch"));
    }

    fn reductions(&self) {
        let x = floats(N);
        let (rows, columns) = (N / 4096, 4096);
        let mut one = floats(1);
        let mut by_row = floats(rows);
        let mut by_column = floats(columns);
        let mut places = Buffer::<u32>::zeros(x.device(), rows).expect("memory");
        self.case("sum of all f32", 4 * N, || {
            Reduction::Sum.all(&x, &mut one).expect("a launch");
        });
        self.case("sum of rows f32", 4 * N, || {
            Reduction::Sum.rows(columns, &x, &mut by_row).expect("a launch");
        });
        self.case("max of rows f32", 4 * N, || {
            Reduction::Max.rows(columns, &x, &mut by_row).expect("a launch");
        });
        self.case("sum of columns f32", 4 * N, || {
            Reduction::Sum.columns(rows, &x, &mut by_column).expect("a launch");
        });
        self.case("argmax of rows f32", 4 * N, || {
            Extreme::Max.rows(columns, &x, &mut by_row, &mut places).expect("a launch");
        });
        let x = halves(N);
        self.case("sum of rows bf16", 2 * N, || {
            Reduction::Sum.rows(columns, &x, &mut by_row).expect("a launch");
        });
        let x = numbers(N, |x| (x * 100.0) as i32);
        let mut one = Buffer::<i64>::zeros(x.device(), 1).expect("memory");
        self.case("sum of all i32 as i64", 4 * N, || {
            Reduction::Sum.all(&x, &mut one).expect("a launch");
        });
    }

    fn scans(&self) {
        let (x, mut y) = (floats(N), floats(N));
        self.case("running sums of rows of 4096 f32", 8 * N, || {
            Scan::Inclusive.sums(4096, &x, &mut y).expect("a launch");
        });
        self.case("running sums of all f32", 8 * N, || {
            Scan::Inclusive.sums(N, &x, &mut y).expect("a launch");
        });
    }

    fn ropes(&self) {
        let shape = [N / 4096, 32, 128];
        let positions: Vec<u32> = (0..shape[0] as u32).collect();
        let device = Device::cpu();
        let positions = Buffer::from_slice(&device, &positions).expect("memory");
        let (x, mut y) = (floats(N), floats(N));
        for (name, pairing) in
            [("rope halves f32", Pairing::Halves), ("rope interleaved f32", Pairing::Interleaved)]
        {
            let rope = Rope::new(&device, pairing, 128, 10_000.0).expect("memory");
            self.case(name, 8 * N, || {
                rope.rotate(shape, &positions, &x, &mut y).expect("a launch")
            });
        }
        let rope = Rope::new(&device, Pairing::Halves, 128, 10_000.0).expect("memory");
        self.case("rope halves f32 in place", 8 * N, || {
            rope.rotate_in_place(shape, &positions, &mut y).expect("a launch");
        });
        let mut y = halves(N);
        self.case("rope halves bf16 in place", 4 * N, || {
            rope.rotate_in_place(shape, &positions, &mut y).expect("a launch");
        });
    }

    fn tables(&self) {
        let (vocabulary, columns, tokens) = (32_000, 1024, N / 1024);
        let table = floats(vocabulary * columns);
        let ids: Vec<u32> =
            (0..tokens).map(|i| (i.wrapping_mul(2_654_435_761) % vocabulary) as u32).collect();
        let ids = Buffer::from_slice(table.device(), &ids).expect("memory");
        let mut y = floats(tokens * columns);
        self.case("embedding f32", 8 * tokens * columns, || {
            embedding(columns, &ids, &table, &mut y).expect("a launch");
        });
    }

    fn losses(&self) {
        let (classes, rows) = (32_000, 1024);
        let device = Device::cpu();
        let targets: Vec<u32> = (0..rows as u32).collect();
        let targets = Buffer::from_slice(&device, &targets).expect("memory");
        let (mut losses, mut normalizers) = (floats(rows), floats(rows));
        let loss = CrossEntropy::new(classes);
        let (x, mut dx) = (floats(rows * classes), floats(rows * classes));
        self.case("cross-entropy f32", 4 * x.len(), || {
            loss.losses(&x, &targets, &mut losses, &mut normalizers).expect("a launch");
        });
        self.case("cross-entropy's gradient f32", 8 * x.len(), || {
            loss.gradient(1.0, &x, &targets, &normalizers, &mut dx).expect("a launch");
        });
        let x = halves(rows * classes);
        self.case("cross-entropy bf16", 2 * x.len(), || {
            loss.losses(&x, &targets, &mut losses, &mut normalizers).expect("a launch");
        });
    }

    fn steps(&self) {
        let n = N / 2;
        let (mut p, g, mut m, mut v) = (floats(n), floats(n), floats(n), floats(n));
        v.view_mut().fill_zero().expect("memory");
        self.case("adam f32", 28 * n, || {
            Adam::new(1e-3).step(10, &mut p, &g, &mut m, &mut v).expect("a launch");
        });
        let (mut p, g) = (halves(n), halves(n));
        self.case("adam bf16", 22 * n, || {
            Adam::new(1e-3).step(10, &mut p, &g, &mut m, &mut v).expect("a launch");
        });
    }

    fn choices(&self) {
        let (columns, rows) = (128 * 1024, 128);
        let x = floats(rows * columns);
        for k in [8, 50, 256] {
            let mut values = floats(rows * k);
            let mut indices = Buffer::<u32>::zeros(x.device(), rows * k).expect("memory");
            self.case(&format!("top-{k} of rows of 128 Ki f32"), 4 * x.len(), || {
                top_k(k, columns, &x, &mut values, &mut indices).expect("a launch");
            });
        }
        let mut ids = Buffer::<u32>::zeros(x.device(), rows).expect("memory");
        let draw = Draw::Seeded { seed: 1, step: 2 };
        for (name, sampler) in [
            ("sampling of rows of 128 Ki f32", Sampler::new()),
            ("sampling top-k 50 of rows of 128 Ki f32", Sampler::new().top_k(50).top_p(0.9)),
            ("sampling top-p of rows of 128 Ki f32", Sampler::new().temperature(0.1).top_p(0.01)),
        ] {
            self.case(name, 4 * x.len(), || {
                sampler.sample(columns, &x, draw, &mut ids).expect("a launch");
            });
        }
    }
}
