//! Blocks: their threads, barriers, and the order in which all of it runs.

use kernelsmith_ir::Kernel;
use kernelsmith_ir::check::ErrorRecord;

use super::memory::Memory;
use super::parse::parse;
use super::thread::{Common, State, Thread};
use super::{Fault, collective};
use crate::module::PtxModule;

/// Instructions a thread runs before others get their turn, so that threads may wait for each
/// other in loops.
const SLICE: usize = 4096;

/// How a kernel is launched.
#[derive(Clone, Copy, Debug)]
pub struct Launch {
    /// Blocks along each axis.
    pub grid: [u32; 3],
    /// Threads of a block along each axis.
    pub block: [u32; 3],
    /// Bytes of dynamic shared memory, as the user asks for them.
    pub dynamic_shared: u32,
    /// Decides the order in which threads run.
    pub order: u64,
}

/// Runs a kernel; returns the error record. `kernel` is what the module was compiled from, `args`
/// its packed arguments without the hidden one.
///
/// # Errors
/// A [`Fault`] at the first thing that must not be.
pub fn run(
    module: &PtxModule,
    kernel: &Kernel,
    launch: Launch,
    args: &[u8],
    memory: &mut Memory,
) -> Result<ErrorRecord, Fault> {
    let fault = |what: String| Fault {
        what,
        instruction: module.entry.clone(),
        thread: [0; 3],
        block: [0; 3],
    };
    let program = parse(&module.text, kernel).map_err(fault)?;
    let record = memory.alloc(&[0; ErrorRecord::SIZE as usize]);
    let mut params = args.to_vec();
    params.resize(module.record_offset as usize, 0);
    params.extend(record.to_le_bytes());
    let shared = program.shared_bytes + module.hidden_dynamic_shared + launch.dynamic_shared;
    let [gx, gy, gz] = launch.grid;
    for i in 0..gx * gy * gz {
        let block = [i % gx, i / gx % gy, i / (gx * gy)];
        let mut common = Common {
            program: &program,
            params: &params,
            memory,
            shared: vec![0xA5; shared as usize],
            block,
            block_dim: launch.block,
            grid_dim: launch.grid,
            failed: false,
            named: Default::default(),
        };
        Block::new(&common, launch).run(&mut common)?;
    }
    Ok(read_record(memory.bytes(record)))
}

fn read_record(bytes: &[u8]) -> ErrorRecord {
    let word = |at: u32| u32::from_le_bytes(bytes[at as usize..][..4].try_into().expect("4 bytes"));
    let long = |at: u32| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
    let three = |at: u32| [word(at), word(at + 4), word(at + 8)];
    ErrorRecord {
        state: word(ErrorRecord::STATE),
        check: word(ErrorRecord::CHECK),
        values: std::array::from_fn(|i| long(ErrorRecord::VALUES + 8 * i as u32)),
        block: three(ErrorRecord::BLOCK),
        thread: three(ErrorRecord::THREAD),
    }
}

struct Block {
    threads: Vec<Thread>,
    /// The state of a pseudo-random sequence (Knuth's MMIX).
    order: u64,
}

impl Block {
    fn new(common: &Common<'_>, launch: Launch) -> Block {
        let [x, y, z] = launch.block;
        let threads = (0..x * y * z)
            .map(|i| Thread::new(common.program, [i % x, i / x % y, i / (x * y)], i))
            .collect();
        Block { threads, order: launch.order }
    }

    fn random(&mut self, below: usize) -> usize {
        self.order = self.order.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.order >> 33) as usize % below
    }

    fn run(mut self, common: &mut Common<'_>) -> Result<(), Fault> {
        loop {
            let warps = self.threads.len().div_ceil(32);
            let first = self.random(warps);
            let mut progress = false;
            for i in 0..warps {
                progress |= self.run_warp((first + i) % warps, common)?;
            }
            if self.threads.iter().all(|t| t.state == State::Ended) {
                return Ok(());
            }
            for thread in &mut self.threads {
                progress |= thread.pass_named(common);
            }
            progress |= self.release_barrier(common)?;
            if !progress {
                let waiting = self.threads.iter().position(|t| t.state != State::Ended);
                let thread = &self.threads[waiting.expect("one has not ended")];
                let what = "the threads wait for each other at different places".to_owned();
                return Err(fault(what, thread, common));
            }
        }
    }

    /// Runs the threads of a warp until each waits or has had its turn; whether any got on.
    fn run_warp(&mut self, warp: usize, common: &mut Common<'_>) -> Result<bool, Fault> {
        let from = warp * 32;
        let len = (self.threads.len() - from).min(32);
        let first = self.random(len);
        let mut progress = false;
        for i in 0..len {
            let thread = &mut self.threads[from + (first + i) % len];
            for _ in 0..SLICE {
                if thread.state != State::Running {
                    break;
                }
                progress = true;
                thread.step(common).map_err(|what| fault(what, thread, common))?;
            }
        }
        Ok(progress | self.meet(from, len, common)?)
    }

    /// Executes a warp's collective instruction once all its threads are there.
    fn meet(&mut self, from: usize, len: usize, common: &mut Common<'_>) -> Result<bool, Fault> {
        let warp = &mut self.threads[from..from + len];
        let mut warp: Vec<&mut Thread> =
            warp.iter_mut().filter(|t| t.state != State::Ended).collect();
        let Some(at) = warp.first().map(|t| t.at) else { return Ok(false) };
        if !warp.iter().all(|t| t.state == State::AtCollective && t.at == at) {
            return Ok(false);
        }
        let instr = &common.program.code[at];
        collective::execute(instr, &mut warp, common)
            .map_err(|what| fault(what, warp[0], common))?;
        for thread in warp {
            thread.at += 1;
            thread.state = State::Running;
        }
        Ok(true)
    }

    fn release_barrier(&mut self, common: &Common<'_>) -> Result<bool, Fault> {
        let mut waiting = self.threads.iter_mut().filter(|t| t.state != State::Ended).peekable();
        let Some(at) = waiting.peek().map(|t| t.at) else { return Ok(false) };
        let mut waiting: Vec<&mut Thread> = waiting.collect();
        if !waiting.iter().all(|t| t.state == State::AtBarrier) {
            return Ok(false);
        }
        if let Some(elsewhere) = waiting.iter().find(|t| t.at != at) {
            let what = "other threads wait at another barrier".to_owned();
            return Err(fault(what, elsewhere, common));
        }
        for thread in &mut waiting {
            thread.at += 1;
            thread.state = State::Running;
        }
        Ok(true)
    }
}

fn fault(what: String, thread: &Thread, common: &Common<'_>) -> Fault {
    let instr = common.program.code.get(thread.at);
    Fault {
        what,
        instruction: instr.map_or_else(String::new, |i| i.text.clone()),
        thread: thread.index,
        block: common.block,
    }
}
