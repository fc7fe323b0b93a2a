//! Runs a kernel `(x: &[T], out: &mut [U])` wherever there is something to run it.

use kernelsmith::Target;
use kernelsmith::codegen::resources;
use kernelsmith::ir::check::ErrorRecord;
use kernelsmith::ir::printing::{PrintBuffer, records};
use kernelsmith::ir::target::Ptx;
use kernelsmith::ir::{Kernel, ParamKind, passes};
use kernelsmith::prelude::*;
use kernelsmith_codegen_ptx::compile;
use kernelsmith_codegen_ptx::emulator::{self, Memory};

/// One of each family, and of each generation that differs.
pub(crate) const TARGETS: [&str; 11] = [
    "cpu", "sm_75", "sm_80", "sm_90", "sm_100a", "sm_120", "gfx90a", "gfx942", "gfx950", "gfx1100",
    "gfx1201",
];

/// How a kernel is run.
pub(crate) struct Run<'a, T: Stored, U: Stored> {
    pub(crate) grid: usize,
    pub(crate) block: [usize; 3],
    pub(crate) shared_bytes: u32,
    pub(crate) x: &'a [T],
    /// What `out` holds at first.
    pub(crate) out: &'a [U],
}

/// A run of one block.
pub(crate) fn one_block<'a, T: Stored, U: Stored>(
    block: [usize; 3],
    x: &'a [T],
    out: &'a [U],
) -> Run<'a, T, U> {
    Run { grid: 1, block, shared_bytes: 0, x, out }
}

/// What a run on the emulator leaves.
pub(crate) struct Emulated<U> {
    pub(crate) out: Vec<U>,
    pub(crate) record: ErrorRecord,
    pub(crate) lines: Vec<String>,
    pub(crate) dropped: u64,
}

impl<T: Stored, U: Stored> Run<'_, T, U> {
    /// What the kernel makes of `out` on a device.
    pub(crate) fn on(
        &self,
        device: &Device,
        launch: impl for<'l> Fn(&'l Buffer<T>, &'l mut Buffer<U>) -> Launch<'l>,
    ) -> Vec<U> {
        let x = Buffer::from_slice(device, self.x).unwrap();
        let mut out = Buffer::from_slice(device, self.out).unwrap();
        // A stream of its own, so that failures of other tests stay with them.
        let stream = device.create_stream().unwrap();
        self.set(launch(&x, &mut out)).launch_on(&stream).unwrap();
        stream.synchronize().unwrap();
        out.to_vec().unwrap()
    }

    pub(crate) fn set<'l>(&self, launch: Launch<'l>) -> Launch<'l> {
        launch.grid(self.grid).block(self.block).shared_bytes(self.shared_bytes)
    }

    /// What the kernel makes of `out` as PTX.
    pub(crate) fn emulated(&self, kernel: &Kernel, sm: u32, order: u64, room: u64) -> Emulated<U> {
        let target = Ptx { sm, specific: false };
        let prepared = passes::prepare(kernel, &Target::Ptx(target)).unwrap();
        let module = compile(&prepared, target).unwrap();
        let mut memory = Memory::new();
        let x = memory.alloc(bytemuck::cast_slice(self.x));
        let out = memory.alloc(bytemuck::cast_slice(self.out));
        let mut buffer = vec![0u64; (PrintBuffer::HEADER_WORDS as usize / 2) + room as usize];
        buffer[PrintBuffer::CAPACITY as usize / 8] = 2 * room;
        let buffer = memory.alloc(bytemuck::cast_slice(&buffer));
        let (offsets, size) = prepared.param_layout();
        let mut args = vec![0; size as usize];
        for (param, at) in prepared.params.iter().zip(offsets) {
            let value = match (param.name.as_str(), param.kind) {
                (_, ParamKind::SharedBytes) => self.shared_bytes.into(),
                (_, ParamKind::PrintBuffer) => buffer,
                (_, ParamKind::PrintBase) => 0,
                ("x", _) => x,
                ("out", _) => out,
                ("x.len", _) => self.x.len() as u64,
                ("out.len", _) => self.out.len() as u64,
                (name, _) => panic!("no argument `{name}`"),
            };
            let bytes = value.to_le_bytes();
            let len = prepared.ty(param.value).size() as usize;
            args[at as usize..at as usize + len].copy_from_slice(&bytes[..len]);
        }
        let launch = emulator::Launch {
            grid: [self.grid as u32, 1, 1],
            block: self.block.map(|n| n as u32),
            dynamic_shared: self.shared_bytes,
            order,
        };
        let record = emulator::run(&module, &prepared, launch, &args, &mut memory)
            .unwrap_or_else(|fault| panic!("{fault}\n{}\n{prepared}", module.text));
        let out = elements(memory.bytes(out));
        let (lines, dropped) = printed(&prepared, memory.bytes(buffer));
        Emulated { out, record, lines, dropped }
    }

    /// Runs the kernel on the CPU and as PTX of several generations, in several orders; the results
    /// are handed to `check`.
    pub(crate) fn everywhere(
        &self,
        launch: impl for<'l> Fn(&'l Buffer<T>, &'l mut Buffer<U>) -> Launch<'l>,
        check: impl Fn(&[U]),
    ) {
        check(&self.on(&Device::cpu(), &launch));
        check(&self.on(&Device::interpreter(), &launch));
        for (sm, order) in [(75, 1), (80, 2), (90, 3)] {
            let kernel = self.kernel(&launch, &Target::sm(sm, false));
            let found = self.emulated(&kernel, sm, order, 0);
            assert_eq!(found.record.state, 0, "{:?}", found.record);
            check(&found.out);
        }
    }

    pub(crate) fn kernel(
        &self,
        launch: impl for<'l> Fn(&'l Buffer<T>, &'l mut Buffer<U>) -> Launch<'l>,
        target: &Target,
    ) -> Kernel {
        let device = Device::cpu();
        let x = Buffer::from_slice(&device, self.x).unwrap();
        let mut out = Buffer::from_slice(&device, self.out).unwrap();
        self.set(launch(&x, &mut out)).ir(target).unwrap()
    }

    /// Compiles the kernel for all the targets named, PTX by NVIDIA's assembler.
    pub(crate) fn compiles_for(
        &self,
        targets: &[&str],
        launch: impl for<'l> Fn(&'l Buffer<T>, &'l mut Buffer<U>) -> Launch<'l>,
    ) {
        for name in targets {
            let target: Target = name.parse().unwrap();
            let kernel = self.kernel(&launch, &target);
            let block = self.block.map(|n| n as u32);
            let found = resources(&kernel, Some(block), &target)
                .unwrap_or_else(|error| panic!("{name}: {error}\n{kernel}"));
            assert!(found.code_bytes > 0, "{name}: {:?}", found.note);
        }
    }
}

fn printed(kernel: &Kernel, buffer: &[u8]) -> (Vec<String>, u64) {
    let words: Vec<u32> = elements(buffer);
    let dropped = u64::from(words[PrintBuffer::DROPPED as usize / 4]);
    let messages: Vec<kernelsmith::ir::message::Message> =
        kernel.prints.iter().map(|text| text.parse().unwrap()).collect();
    let types = |number: u32| {
        let message = messages.get(number as usize)?;
        Some(message.holes().map(|hole| hole.ty).collect::<Vec<_>>())
    };
    let written = &words[PrintBuffer::HEADER_WORDS as usize..];
    let lines = records(written, types).map(|(n, values)| messages[n as usize].fill(values));
    (lines.collect(), dropped)
}

fn elements<U: bytemuck::AnyBitPattern>(bytes: &[u8]) -> Vec<U> {
    bytes.chunks_exact(size_of::<U>()).map(bytemuck::pod_read_unaligned).collect()
}
