//! The library's kernels as PTX, run by the emulator where there is no GPU: what NVIDIA's hardware
//! is given computes what the references say, in whatever order threads run.

use kernelsmith::ir::check::ErrorRecord;
use kernelsmith::ir::target::Ptx;
use kernelsmith::ir::{Kernel, interp, passes};
use kernelsmith::{Target, bf16};
use kernelsmith_codegen_ptx::compile;
use kernelsmith_codegen_ptx::emulator::{Launch, Memory, run};
use kernelsmith_kernels::attention::Attention;
use kernelsmith_kernels::matmul::config::GPU;
use kernelsmith_kernels::{catalog, reference};

/// An argument by its name; slices bring their own length.
enum Argument {
    Size(usize),
    Float(f32),
    Slice(Vec<u8>, usize),
    /// A view, or a partitioned output: its shape and its tiles'.
    Part(Vec<u8>, Vec<usize>, Vec<usize>),
}

fn part(x: &[f64], shape: &[usize], tile: &[usize]) -> Argument {
    let bytes = x.iter().flat_map(|x| (*x as f32).to_le_bytes());
    Argument::Part(bytes.collect(), shape.to_vec(), tile.to_vec())
}

/// `c.shape0`: a property of `c` along axis 0.
fn property(name: &str) -> Option<(&str, &str, usize)> {
    let (name, property) = name.split_once('.')?;
    let word = property.trim_end_matches(|c: char| c.is_ascii_digit());
    Some((name, word, property[word.len()..].parse().unwrap_or(0)))
}

fn floats(x: &[f64]) -> Argument {
    Argument::Slice(x.iter().flat_map(|x| (*x as f32).to_le_bytes()).collect(), x.len())
}

/// Small numbers that `bf16` holds exactly.
fn numbers(len: usize, seed: usize) -> Vec<f64> {
    (0..len).map(|i| ((i * 37 + seed * 101) % 29) as f64 * 0.125 - 1.75).collect()
}

struct Case {
    name: &'static str,
    arguments: Vec<(&'static str, Argument)>,
    grid: [u32; 3],
    block: [u32; 3],
}

impl Case {
    fn prepared(&self, target: Ptx) -> Kernel {
        let target = Target::Ptx(target);
        let staged = (catalog::find(self.name).unwrap().ir)(&target).unwrap();
        passes::prepare(&staged, &target).unwrap()
    }

    /// The packed arguments for memory of some sort, and the address of the last slice.
    fn pack(&self, kernel: &Kernel, mut alloc: impl FnMut(&[u8]) -> u64) -> (Vec<u8>, u64) {
        let (offsets, size) = kernel.param_layout();
        let mut packed = vec![0; size as usize];
        let mut last = 0;
        for (param, at) in kernel.params.iter().zip(offsets) {
            let at = at as usize;
            let (name, word, axis) = property(&param.name).unwrap_or((&param.name, "", 0));
            let argument = self.arguments.iter().find(|(n, _)| *n == name);
            let (_, argument) = argument.unwrap_or_else(|| panic!("no argument `{name}`"));
            let mut put = |bytes: &[u8]| packed[at..at + bytes.len()].copy_from_slice(bytes);
            match argument {
                Argument::Size(n) => put(&(*n as u64).to_le_bytes()),
                Argument::Float(x) => put(&x.to_le_bytes()),
                Argument::Slice(_, len) if word == "len" => put(&(*len as u64).to_le_bytes()),
                Argument::Part(_, shape, tile) if word == "tiles" => {
                    put(&(shape[axis].div_ceil(tile[axis]) as u32).to_le_bytes());
                }
                Argument::Part(_, shape, tile) if !word.is_empty() => {
                    let value = match word {
                        "shape" => shape[axis],
                        "tile" => tile[axis],
                        _ => shape[axis + 1..].iter().product(),
                    };
                    put(&(value as u64).to_le_bytes());
                }
                Argument::Slice(bytes, _) | Argument::Part(bytes, ..) => {
                    last = alloc(bytes);
                    put(&last.to_le_bytes());
                }
            }
        }
        (packed, last)
    }

    /// Runs the kernel; the floats of its last slice afterwards, and the error record.
    fn run(&self, target: Ptx, order: u64) -> (Vec<f64>, ErrorRecord) {
        let kernel = self.prepared(target);
        let module = compile(&kernel, target).unwrap();
        let mut memory = Memory::new();
        let (packed, last) = self.pack(&kernel, |bytes| memory.alloc(bytes));
        let launch = Launch { grid: self.grid, block: self.block, dynamic_shared: 0, order };
        let record = run(&module, &kernel, launch, &packed, &mut memory)
            .unwrap_or_else(|fault| panic!("{}: {fault}\n{}", self.name, module.text));
        (wide(memory.bytes(last)), record)
    }

    /// The same by the interpreter, which finds nothing wrong in what the passes made.
    fn interpret(&self, target: Ptx, seed: u64) -> Vec<f64> {
        let kernel = self.prepared(target);
        let mut memory = interp::Memory::new();
        let mut len = 0;
        let (packed, last) = self.pack(&kernel, |bytes| {
            let address = memory.allocate(bytes.len());
            memory.write(address, bytes).unwrap();
            len = bytes.len();
            address
        });
        let launch = interp::Launch {
            grid: self.grid,
            block: self.block,
            dynamic_shared: 0,
            args: &packed,
            extents: &[],
            warp_size: 32,
            seed,
            fuel: interp::Launch::FUEL,
        };
        let outcome = interp::run(&interp::Program::new(&kernel), &launch, &mut memory);
        assert_eq!(outcome, interp::Outcome::default(), "{}", self.name);
        let mut bytes = vec![0; len];
        memory.read(last, &mut bytes).unwrap();
        wide(&bytes)
    }

    /// Runs the kernel on old and new architectures, in two orders.
    fn check(&self, expected: &[f64], tolerance: f64) {
        for (target, order) in [(sm(75, false), 1), (sm(80, false), 2), (sm(90, true), 3)] {
            let (found, record) = self.run(target, order);
            assert_eq!(record.state, 0, "{} on {target:?}: {record:?}", self.name);
            assert_eq!(found.len(), expected.len());
            let interpreted = self.interpret(target, order);
            for (i, (emulated, interpreted)) in found.iter().zip(&interpreted).enumerate() {
                let error = (emulated - interpreted).abs();
                let context = format!("{} on {target:?}, element {i}", self.name);
                assert!(error <= tolerance, "{context}: {interpreted} interpreted, not {emulated}");
            }
            for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
                let error = (found - expected).abs();
                let context = format!("{} on {target:?}, element {i}", self.name);
                assert!(error <= tolerance, "{context}: {found}, not {expected}");
            }
        }
    }
}

fn wide(bytes: &[u8]) -> Vec<f64> {
    bytes.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()).into()).collect()
}

const fn sm(sm: u32, specific: bool) -> Ptx {
    Ptx { sm, specific }
}

#[test]
fn saxpy() {
    let (x, y) = (numbers(300, 1), numbers(300, 2));
    let case = Case {
        name: "saxpy",
        arguments: vec![
            ("a", Argument::Float(1.5)),
            ("x", floats(&x)),
            ("y", part(&y, &[300], &[256])),
        ],
        grid: [2, 1, 1],
        block: [256, 1, 1],
    };
    case.check(&reference::saxpy(1.5, &x, &y), 0.0);
}

#[test]
fn softmax() {
    // The last block has fewer rows than the others.
    let (rows, rows_per_block) = (5, 2);
    for columns in [1, 31, 100] {
        let x = numbers(rows * columns, 3);
        let case = Case {
            name: "softmax",
            arguments: vec![
                ("x", floats(&x)),
                ("y", part(&vec![0.0; x.len()], &[rows, columns], &[rows_per_block, columns])),
            ],
            grid: [rows.div_ceil(rows_per_block) as u32, 1, 1],
            block: [32, 1, 1],
        };
        case.check(&reference::softmax(columns, &x), 1e-6);
    }
}

fn matmul(name: &'static str, bytes: fn(&f64) -> Vec<u8>) {
    let (m, n, k) = (70, 130, 35);
    let (a, b) = (numbers(m * k, 4), numbers(k * n, 5));
    let case = Case {
        name,
        arguments: vec![
            ("alpha", Argument::Float(1.0)),
            ("beta", Argument::Float(0.0)),
            ("a", Argument::Part(a.iter().flat_map(bytes).collect(), vec![1, m, k], vec![])),
            ("b", Argument::Part(b.iter().flat_map(bytes).collect(), vec![1, k, n], vec![])),
            ("c", part(&vec![0.0; m * n], &[1, m, n], &[1, GPU.bm, GPU.bn])),
        ],
        grid: [(n.div_ceil(GPU.bn) * m.div_ceil(GPU.bm)) as u32, 1, 1],
        block: [GPU.block().0 as u32, GPU.block().1 as u32, 1],
    };
    // Sums of multiples of 2^-6 below 2^10 are exact.
    case.check(&reference::matmul(m, n, k, &a, &b), 0.0);
}

#[test]
fn matmul_f32() {
    matmul("matmul_f32", |x| (*x as f32).to_le_bytes().to_vec());
}

#[test]
fn matmul_bf16() {
    matmul("matmul_bf16", |x| bf16::from_f64(*x).to_le_bytes().to_vec());
}

#[test]
fn flash_attention() {
    let (m, n, d) = (40, 45, 64);
    let [q, k, v] = [(m, 6), (n, 7), (n, 8)].map(|(rows, seed)| numbers(rows * d, seed));
    let attention = Attention::new(m, n, d).causal();
    let case = Case {
        name: "flash_attention",
        arguments: vec![
            ("batch", Argument::Size(1)),
            ("m", Argument::Size(m)),
            ("n", Argument::Size(n)),
            ("group", Argument::Size(1)),
            ("window", Argument::Size(n)),
            ("scale", Argument::Float(attention.scale)),
            ("cap", Argument::Float(0.0)),
            ("q", part(&q, &[1, 1, m, d], &[])),
            ("k", part(&k, &[1, 1, n, d], &[])),
            ("v", part(&v, &[1, 1, n, d], &[])),
            ("lse", part(&vec![0.0; m], &[1, 1, m], &[])),
            ("out", part(&vec![0.0; m * d], &[1, 1, m, d], &[])),
        ],
        grid: [2, 1, 1],
        block: [32, 1, 1],
    };
    case.check(&reference::attention(&attention, &q, &k, &v), 1e-5);
}

#[test]
fn a_failing_check_names_its_place() {
    // Keys and values have a row less than is said.
    let rows = 20;
    let tensor = |rows, seed| part(&numbers(rows * 64, seed), &[1, 1, rows, 64], &[]);
    let case = Case {
        name: "flash_attention",
        arguments: vec![
            ("batch", Argument::Size(1)),
            ("m", Argument::Size(rows)),
            ("n", Argument::Size(rows)),
            ("group", Argument::Size(1)),
            ("window", Argument::Size(rows)),
            ("scale", Argument::Float(1.0)),
            ("cap", Argument::Float(0.0)),
            ("q", tensor(rows, 1)),
            ("k", tensor(rows - 1, 2)),
            ("v", tensor(rows - 1, 3)),
            ("lse", part(&vec![0.0; rows], &[1, 1, rows], &[])),
            ("out", tensor(rows, 4)),
        ],
        grid: [1, 1, 1],
        block: [32, 1, 1],
    };
    let (_, record) = case.run(sm(90, true), 5);
    assert_eq!((record.state, record.block), (1, [0, 0, 0]));
    let checks = case.prepared(sm(90, true)).checks();
    let (file, _, _) = checks[record.check as usize].location.clone().unwrap();
    assert!(file.ends_with("tiled.rs"), "{file}");
}
