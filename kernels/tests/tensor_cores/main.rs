//! Tensor cores from the language: typed fragments, `mma`, `ldmatrix` and `cp.async`. The kernels
//! compile for every target with the instructions, and what NVIDIA's hardware is given is run by
//! the PTX emulator against an f64 reference.

mod interpreted;
mod kernels;

use kernelsmith::Target;
use kernelsmith::codegen::{Stage, emit, resources};
use kernelsmith::ir::target::Ptx;
use kernelsmith::ir::{Kernel, passes};
use kernelsmith::prelude::*;
use kernelsmith_codegen_ptx::compile;
use kernelsmith_codegen_ptx::emulator::{Launch as Grid, Memory, run};
use kernelsmith_codegen_ptx::ptxas::{Nvdisasm, Ptxas, Sass};

use kernels::{pipelined, tiles};

/// The arguments of `ir`: only types count, no memory is read.
fn staged<T: Stored + Default, U: Num + Default>(
    target: &Target,
    launch: impl FnOnce(&Buffer<T>, &mut Buffer<U>) -> Result<Kernel, kernelsmith::Error>,
) -> Kernel {
    let device = Device::cpu();
    let input = Buffer::<T>::zeros(&device, 1).unwrap();
    let mut output = Buffer::<U>::zeros(&device, 1).unwrap();
    launch(&input, &mut output).unwrap_or_else(|e| panic!("{target}: {e}"))
}

fn tiles_for<S: MmaAtom>(target: &Target) -> Kernel
where
    S::Input: Default,
    S::Sum: Default,
{
    staged(target, |x, c| tiles::<S>(1, 1, x, x, c).block(target.warp_size() as usize).ir(target))
}

fn pipelined_for<T: Float + Default>(target: &Target) -> Kernel
where
    MmaSync<T, 16, 8, 16>: LdmatrixAtom<Input = T, Sum = f32>,
{
    staged(target, |x, c| pipelined::<T>(1, 1, x, x, c).ir(target))
}

fn target(name: &str) -> Target {
    name.parse().unwrap()
}

fn sass(kernel: &Kernel, target: Ptx) -> Sass {
    let prepared = passes::prepare(kernel, &Target::Ptx(target)).unwrap();
    let module = compile(&prepared, target).unwrap();
    let ptxas = Ptxas::find().unwrap_or_else(|e| panic!("{e}"));
    let assembled = ptxas.assemble(&module).unwrap_or_else(|e| panic!("{e}\n{}", module.text));
    let nvdisasm = Nvdisasm::find().unwrap_or_else(|e| panic!("{e}"));
    nvdisasm.disassemble(&assembled).unwrap()
}

#[test]
fn nvidia_machine_code_has_the_instructions() {
    for name in ["sm_80", "sm_90a", "sm_100a"] {
        let target = target(name);
        let Target::Ptx(ptx) = target.clone() else { unreachable!("{name} is NVIDIA's") };
        for kernel in [
            tiles_for::<MmaSync<f16, 16, 8, 8>>(&target),
            tiles_for::<MmaSync<f16, 16, 8, 16>>(&target),
            tiles_for::<MmaSync<bf16, 16, 8, 16>>(&target),
        ] {
            let sass = sass(&kernel, ptx);
            assert!(sass.count("HMMA") >= 1, "{name}\n{}", sass.text());
        }
        let integers = sass(&tiles_for::<MmaSync<i8, 16, 8, 32>>(&target), ptx);
        assert!(integers.count("IMMA") >= 1, "{name}\n{}", integers.text());
        for kernel in [pipelined_for::<f16>(&target), pipelined_for::<bf16>(&target)] {
            let sass = sass(&kernel, ptx);
            for (opcode, least) in [("HMMA", 4), ("LDSM", 6), ("LDGSTS", 4)] {
                assert!(sass.count(opcode) >= least, "{name} {opcode}\n{}", sass.text());
            }
            assert_eq!(resources(&kernel, None, &target).unwrap().spills, Some(0));
        }
    }
}

#[test]
fn amd_machine_code_has_the_instructions() {
    for (name, kernel, instruction) in [
        (
            "gfx90a",
            tiles_for::<Mfma<f16, 16, 16, 16>> as fn(&Target) -> Kernel,
            "v_mfma_f32_16x16x16",
        ),
        ("gfx942", tiles_for::<Mfma<f16, 32, 32, 8>>, "v_mfma_f32_32x32x8"),
        ("gfx942", tiles_for::<Mfma<bf16, 16, 16, 16>>, "v_mfma_f32_16x16x16"),
        ("gfx942", tiles_for::<Mfma<f32, 16, 16, 4>>, "v_mfma_f32_16x16x4"),
        ("gfx950", tiles_for::<Mfma<bf16, 16, 16, 32>>, "v_mfma_f32_16x16x32"),
        ("gfx1100", tiles_for::<WmmaGfx11<f16, 16, 16, 16>>, "v_wmma_f32_16x16x16_f16"),
        ("gfx1100", tiles_for::<WmmaGfx11<bf16, 16, 16, 16>>, "v_wmma_f32_16x16x16_bf16"),
        ("gfx1201", tiles_for::<WmmaGfx12<f16, 16, 16, 16>>, "v_wmma_f32_16x16x16_f16"),
    ] {
        let target = target(name);
        let kernel = kernel(&target);
        let text =
            emit(&kernel, None, &target, Stage::Asm).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(text.contains(instruction), "{name} {instruction}\n{text}");
    }
}

/// The line of the instruction, and who has it.
#[test]
fn a_target_without_the_instruction_is_refused() {
    for (name, kernel, has) in [
        ("cpu", tiles_for::<MmaSync<bf16, 16, 8, 16>> as fn(&Target) -> Kernel, "sm_80 and newer"),
        ("sm_90a", tiles_for::<Mfma<f16, 16, 16, 32>>, "gfx950"),
        ("gfx942", tiles_for::<WmmaGfx11<f16, 16, 16, 16>>, "gfx1100"),
        ("gfx1100", pipelined_for::<f16>, "sm_75 and newer"),
    ] {
        let target = target(name);
        let error = emit(&kernel(&target), None, &target, Stage::Ir).unwrap_err().to_string();
        assert!(error.contains("tests/tensor_cores/kernels.rs:"), "{name}: {error}");
        assert!(error.contains(has), "{name}: {error}");
    }
}

#[kernel]
fn positions<S: MmaAtom, R: MatrixRole>(#[comptime] len: usize, out: &mut [u32]) {
    for i in 0..len {
        let (row, column) = (Fragment::<S, R>::row(i), Fragment::<S, R>::column(i));
        out[lane_id() * len + i] = (row * 1000 + column) as u32;
    }
}

fn check_positions<S: MmaAtom, R: MatrixRole>() {
    let device = Device::cpu();
    let (len, lanes) = (Fragment::<S, R>::LEN, 32);
    let mut out = Buffer::<u32>::zeros(&device, len * lanes).unwrap();
    positions::<S, R>(len, &mut out).threads(lanes, lanes).launch(&device).unwrap();
    for (at, found) in out.to_vec().unwrap().into_iter().enumerate() {
        let (lane, index) = ((at / len) as u32, (at % len) as u32);
        let (row, column) = S::SHAPE.element(R::OPERAND, lane, index);
        assert_eq!(found, row * 1000 + column, "{} {:?}", S::SHAPE.name(), R::OPERAND);
    }
}

/// The positions that lanes compute are the table's: here on the CPU, whose warps have 32 lanes.
#[test]
fn positions_are_the_tables() {
    fn check<S: MmaAtom>() {
        check_positions::<S, MatrixA>();
        check_positions::<S, MatrixB>();
        check_positions::<S, Accumulator>();
    }
    check::<MmaSync<f16, 16, 8, 8>>();
    check::<MmaSync<bf16, 16, 8, 16>>();
    check::<MmaSync<i8, 16, 8, 32>>();
    check::<Mfma<f32, 16, 16, 4>>();
    check::<Mfma<f16, 16, 16, 16>>();
    check::<Mfma<bf16, 32, 32, 8>>();
    check::<Mfma<bf16, 16, 16, 32>>();
    check::<WmmaGfx11<f16, 16, 16, 16>>();
    check::<WmmaGfx12<bf16, 16, 16, 16>>();
}

#[kernel(block = 32)]
fn reversed(shift: usize, x: &[f32], y: &mut [f32]) {
    let tile = shared::<f32>(128);
    cp_async::<4, f32>(tile, thread_idx_x() * 4, x, thread_idx_x() * 4 + shift);
    cp_async_commit();
    cp_async_wait(0);
    barrier();
    for i in 0..4 {
        let at = thread_idx_x() * 4 + i;
        y[at] = tile[127 - at];
    }
}

#[test]
fn asynchronous_copies_on_the_cpu_and_their_checks() {
    let device = Device::cpu();
    let numbers: Vec<f32> = (0..132).map(|i| i as f32).collect();
    let x = Buffer::from_slice(&device, &numbers).unwrap();
    let mut y = Buffer::<f32>::zeros(&device, 128).unwrap();
    reversed(4, &x, &mut y).grid(1).launch(&device).unwrap();
    assert!(y.to_vec().unwrap().iter().eq(numbers[4..].iter().rev()));
    for (shift, what) in [(2, "multiples"), (8, "out of bounds")] {
        let mut failing = || {
            reversed(shift, &x, &mut y).grid(1).launch(&device)?;
            device.synchronize().map_err(kernelsmith::Error::from)
        };
        let error = failing().unwrap_err().to_string();
        assert!(error.contains(what) && error.contains("tensor_cores/main.rs:"), "{error}");
    }
}

#[kernel(block = 32)]
fn crooked(y: &mut [f32]) {
    let tile = shared::<f16>(512);
    let x =
        Fragment::<MmaSync<f16, 16, 8, 16>, MatrixA>::ldmatrix(tile, 0, 20, MatrixLayout::RowMajor);
    y[thread_idx_x()] = x[0].to_f32();
}

#[test]
fn rows_that_ldmatrix_cannot_take_are_a_staging_error() {
    let mut y = Buffer::<f32>::zeros(&Device::cpu(), 1).unwrap();
    let error = crooked(&mut y).ir(&target("sm_90a")).unwrap_err().to_string();
    assert!(error.contains("20 elements apart"), "{error}");
    assert!(error.contains("tensor_cores/main.rs:"), "{error}");
}

/// Small numbers that every element type holds exactly.
fn numbers(len: usize, seed: usize) -> Vec<f64> {
    (0..len).map(|i| ((i * 37 + seed * 101) % 29) as f64 - 14.0).collect()
}

struct Case<'a> {
    kernel: &'a Kernel,
    shape: (usize, usize, usize),
    grid: [u32; 3],
    block: u32,
}

impl Case<'_> {
    /// Runs the kernel on `a` and `b`; the bytes of `c`, each of 4.
    fn run(&self, target: Ptx, a: &[u8], b: &[u8], order: u64) -> Vec<[u8; 4]> {
        let (m, n, k) = self.shape;
        let prepared = passes::prepare(self.kernel, &Target::Ptx(target)).unwrap();
        let module = compile(&prepared, target).unwrap();
        let mut memory = Memory::new();
        let element = a.len() / (m * k);
        let a = (memory.alloc(a), m * k);
        let b = (memory.alloc(b), k * n);
        assert!(element > 0, "factors have elements");
        // NaN wherever the kernel does not write.
        let c = (memory.alloc(&vec![0xff; m * n * 4]), m * n);
        let (offsets, size) = prepared.param_layout();
        let mut packed = vec![0; size as usize];
        for (param, at) in prepared.params.iter().zip(offsets) {
            let value = match param.name.as_str() {
                "n" => n as u64,
                "k" => k as u64,
                "a" => a.0,
                "b" => b.0,
                "c" => c.0,
                "a.len" => a.1 as u64,
                "b.len" => b.1 as u64,
                "c.len" => c.1 as u64,
                other => panic!("no argument `{other}`"),
            };
            packed[at as usize..at as usize + 8].copy_from_slice(&value.to_le_bytes());
        }
        let block = [self.block, 1, 1];
        let launch = Grid { grid: self.grid, block, dynamic_shared: 0, order };
        let record = run(&module, &prepared, launch, &packed, &mut memory)
            .unwrap_or_else(|fault| panic!("{fault}\n{}", module.text));
        assert_eq!(record.state, 0, "{record:?}");
        memory.bytes(c.0).chunks(4).map(|x| x.try_into().unwrap()).collect()
    }
}

/// Exact, as sums of integers below 2^24 are in f32 and in any order.
fn product(shape: (usize, usize, usize), a: &[f64], b: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    let (m, n, k) = shape;
    let element = |at: usize| (0..k).map(|l| a[at / n * k + l] * b(l, at % n)).sum();
    (0..m * n).map(element).collect()
}

const SMS: [Ptx; 2] = [Ptx { sm: 80, specific: false }, Ptx { sm: 90, specific: true }];

fn check_tiles<S: MmaAtom>(bytes: impl Fn(&[f64]) -> Vec<u8>, number: impl Fn([u8; 4]) -> f64)
where
    S::Input: Default,
    S::Sum: Default,
{
    for steps in [1, 3] {
        let shape @ (m, n, k) = (2 * S::M, 3 * S::N, steps * S::K);
        let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
        let expected = product(shape, &a, |i, j| b[j * k + i]);
        for (order, target) in SMS.into_iter().enumerate() {
            let kernel = &tiles_for::<S>(&Target::Ptx(target));
            let case = Case { kernel, shape, grid: [3, 2, 1], block: 32 };
            let found = case.run(target, &bytes(&a), &bytes(&b), order as u64);
            let found: Vec<f64> = found.into_iter().map(&number).collect();
            assert_eq!(found, expected);
        }
    }
}

fn halves(x: &[f64]) -> Vec<u8> {
    x.iter().flat_map(|x| f16::from_f64(*x).to_le_bytes()).collect()
}

fn brains(x: &[f64]) -> Vec<u8> {
    x.iter().flat_map(|x| bf16::from_f64(*x).to_le_bytes()).collect()
}

fn float(x: [u8; 4]) -> f64 {
    f32::from_le_bytes(x).into()
}

#[test]
fn tiles_in_the_emulator() {
    check_tiles::<MmaSync<f16, 16, 8, 8>>(halves, float);
    check_tiles::<MmaSync<bf16, 16, 8, 8>>(brains, float);
    check_tiles::<MmaSync<f16, 16, 8, 16>>(halves, float);
    check_tiles::<MmaSync<bf16, 16, 8, 16>>(brains, float);
    let bytes = |x: &[f64]| x.iter().map(|x| *x as i8 as u8).collect();
    let integer = |x| f64::from(i32::from_le_bytes(x));
    check_tiles::<MmaSync<i8, 16, 8, 16>>(bytes, integer);
    check_tiles::<MmaSync<i8, 16, 8, 32>>(bytes, integer);
}

fn check_pipelined<T: Float + Default>(bytes: impl Fn(&[f64]) -> Vec<u8>)
where
    MmaSync<T, 16, 8, 16>: LdmatrixAtom<Input = T, Sum = f32>,
{
    for k in [32, 64, 160] {
        let shape @ (m, n, k) = (64, 96, k);
        let (a, b) = (numbers(m * k, 3), numbers(k * n, 4));
        let sums = product(shape, &a, |i, j| b[i * n + j]);
        let expected: Vec<f64> = sums.into_iter().map(|x| (2.0 * x + 1.0).max(0.0)).collect();
        for (order, target) in SMS.into_iter().enumerate() {
            let kernel = &pipelined_for::<T>(&Target::Ptx(target));
            let case = Case { kernel, shape, grid: [3, 2, 1], block: 128 };
            let found = case.run(target, &bytes(&a), &bytes(&b), order as u64 + 1);
            assert_eq!(found.into_iter().map(float).collect::<Vec<_>>(), expected);
        }
    }
}

#[test]
fn pipelined_in_the_emulator() {
    check_pipelined::<f16>(halves);
    check_pipelined::<bf16>(brains);
}
