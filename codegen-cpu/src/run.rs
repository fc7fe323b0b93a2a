//! Running a compiled kernel: blocks over a thread pool.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kernelsmith_ir::check::ErrorRecord;
use kernelsmith_llvm::Jit;

use crate::compile::SYMBOL;
use crate::team::{Caller, share};
use crate::{CpuObject, Error, library};

/// Runs one block: packed arguments, shared memory, error record, block index, grid.
type Block =
    unsafe extern "C" fn(*const u8, *mut u8, *mut ErrorRecord, u32, u32, u32, u32, u32, u32);

/// A kernel in this process.
#[derive(Debug)]
pub struct CpuKernel {
    /// Keeps the code alive.
    _code: Jit,
    block: Block,
    shared_bytes: u32,
    /// Nanoseconds that a block took when it was last measured; 0 before.
    block_ns: AtomicU64,
}

/// Vectors of shared memory are loaded aligned.
const SHARED_ALIGN: usize = 64;

thread_local! {
    /// The shared memory of the blocks that a thread runs, one after the other.
    static SHARED: RefCell<Vec<[u8; SHARED_ALIGN]>> = const { RefCell::new(Vec::new()) };
}

/// Launches that took about this long before are run by the caller alone, for about this long:
/// waking the pool takes as much.
const ALONE: Duration = Duration::from_micros(15);

impl CpuKernel {
    /// Loads an object.
    ///
    /// # Errors
    /// If the object is damaged or for another machine.
    pub fn load(object: &CpuObject) -> Result<CpuKernel, Error> {
        let code = Jit::load_with(&object.bytes, &library::symbols())?;
        let address = code.lookup(SYMBOL)?;
        // SAFETY: the code generator gives the function this signature.
        let block = unsafe { std::mem::transmute::<*const u8, Block>(address) };
        let block_ns = AtomicU64::new(0);
        Ok(CpuKernel { _code: code, block, shared_bytes: object.shared_bytes, block_ns })
    }

    /// Runs every block of a grid and returns when the last one ended.
    ///
    /// # Safety
    /// `args` are the kernel's packed parameters ([`Kernel::param_layout`]), what they point to is
    /// valid, and nobody else uses what the kernel writes.
    ///
    /// [`Kernel::param_layout`]: kernelsmith_ir::Kernel::param_layout
    pub unsafe fn run(
        &self,
        grid: [u32; 3],
        args: &[u8],
        dynamic_shared: u32,
        record: &mut ErrorRecord,
    ) {
        let [gx, gy, gz] = grid;
        let blocks = u64::from(gx) * u64::from(gy) * u64::from(gz);
        let shared = self.shared_bytes as usize + dynamic_shared as usize + SHARED_ALIGN;
        let call = Call { kernel: self, grid, args, record, shared };
        let expected = self.block_ns.load(Ordering::Relaxed).saturating_mul(blocks);
        let small = expected != 0 && u128::from(expected) < ALONE.as_nanos();
        if blocks <= 1 && small {
            return call.measured(0..blocks);
        }
        let caller = Caller::enter();
        if blocks <= 1 || rayon::current_num_threads() == 1 {
            return call.measured(0..blocks);
        }
        let first = if small { call.alone(blocks) } else { 0 };
        share(&caller, blocks - first, &|run| {
            call.measured(first + run.start..first + run.end);
        });
    }
}

/// One launch.
struct Call<'a> {
    kernel: &'a CpuKernel,
    grid: [u32; 3],
    args: &'a [u8],
    record: *mut ErrorRecord,
    shared: usize,
}

// SAFETY: blocks only touch the record by compare-and-swap and, once claimed, from one thread; what
// the arguments point to is the caller's promise to `run`.
unsafe impl Sync for Call<'_> {}

impl Call<'_> {
    /// Runs blocks until all are done or [`ALONE`] has passed; how many.
    fn alone(&self, blocks: u64) -> u64 {
        let start = Instant::now();
        let mut done = 0;
        while done < blocks && (done == 0 || start.elapsed() < ALONE) {
            self.range(done..done + 1);
            done += 1;
        }
        self.measure(start, done);
        done
    }

    /// Runs blocks and notes how long one took.
    fn measured(&self, blocks: Range<u64>) {
        let (start, len) = (Instant::now(), blocks.end - blocks.start);
        self.range(blocks);
        self.measure(start, len);
    }

    fn measure(&self, start: Instant, blocks: u64) {
        let nanoseconds = start.elapsed().as_nanos() as u64 / blocks.max(1);
        self.kernel.block_ns.store(nanoseconds.max(1), Ordering::Relaxed);
    }

    /// Runs blocks, numbered x fastest.
    fn range(&self, blocks: Range<u64>) {
        SHARED.with(|shared| {
            // A kernel that launches another kernel does not exist, so it is not borrowed.
            let mut shared = shared.borrow_mut();
            let chunks = self.shared.div_ceil(SHARED_ALIGN) + 1;
            if shared.len() < chunks {
                shared.resize(chunks, [0; SHARED_ALIGN]);
            }
            let memory = shared.as_mut_ptr().cast::<u8>();
            let offset = memory.align_offset(SHARED_ALIGN);
            let memory = memory.wrapping_add(offset);
            let [gx, gy, gz] = self.grid;
            for block in blocks {
                let x = (block % u64::from(gx)) as u32;
                let row = block / u64::from(gx);
                let (y, z) = ((row % u64::from(gy)) as u32, (row / u64::from(gy)) as u32);
                // SAFETY: the caller of `run` vouches for the arguments; shared memory is this
                // thread's own and large enough.
                unsafe {
                    (self.kernel.block)(
                        self.args.as_ptr(),
                        memory,
                        self.record,
                        x,
                        y,
                        z,
                        gx,
                        gy,
                        gz,
                    );
                }
            }
            complete_streaming_stores();
        });
    }
}

/// x86 orders stores past the caches with nothing but this (Intel SDM, `SFENCE`): whoever learns that
/// the blocks have run must see what they wrote.
fn complete_streaming_stores() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 processor has the instruction.
    unsafe {
        std::arch::x86_64::_mm_sfence();
    }
}
