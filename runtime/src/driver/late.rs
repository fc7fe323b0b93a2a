//! A driver for tests that puts everything off as long as it may.
//!
//! Nothing runs until somebody waits for it, and then only what that wait needs: the stream waited
//! for, and others only as far as events demand. Whatever the runtime forgets to order therefore
//! happens in the wrong order, every time. Each access is checked against the memory that is
//! allocated at that moment, so a buffer freed too early is a panic.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::{Driver, Handle, PackedArgs};
use crate::compile::Loaded;
use crate::error::{Error, Result};
use crate::launch::LaunchConfig;
use crate::sync::lock;

/// A point in a stream that events name.
struct Point {
    stream: Handle,
    happened: AtomicBool,
}

enum Op {
    Run(Box<dyn FnOnce(&mut State)>),
    Reach(Arc<Point>),
    Wait(Arc<Point>),
}

#[derive(Default)]
pub(crate) struct State {
    streams: HashMap<usize, VecDeque<Op>>,
    events: HashMap<usize, Option<Arc<Point>>>,
    /// Device memory: address to bytes.
    memory: BTreeMap<u64, Box<[u8]>>,
    pinned: HashMap<usize, usize>,
    last: usize,
}

// SAFETY: the raw pointers inside the operations are only followed under the driver's lock.
unsafe impl Send for State {}

/// See the module.
#[derive(Default)]
pub(crate) struct LateDriver {
    state: Mutex<State>,
    /// Makes the next synchronisation fail, as a lost device would.
    broken: AtomicBool,
}

impl LateDriver {
    pub(crate) fn new() -> Arc<LateDriver> {
        Arc::default()
    }

    pub(crate) fn pinned_bytes(&self) -> usize {
        lock(&self.state).pinned.values().sum()
    }

    pub(crate) fn device_allocations(&self) -> usize {
        lock(&self.state).memory.len()
    }

    pub(crate) fn break_device(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }

    fn push(&self, stream: Handle, op: Op) -> Result<()> {
        lock(&self.state).queue(stream).push_back(op);
        Ok(())
    }

    fn run(&self, stream: Handle, run: impl FnOnce(&mut State) + 'static) -> Result<()> {
        self.push(stream, Op::Run(Box::new(run)))
    }

    fn alive(&self) -> Result<()> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(Error::Driver {
                api: "late",
                call: "synchronize",
                code: 700,
                name: "LOST".into(),
                message: "the device is lost".into(),
            });
        }
        Ok(())
    }
}

impl State {
    fn new_handle(&mut self) -> Handle {
        self.last += 1;
        Handle(self.last as *mut c_void)
    }

    fn queue(&mut self, stream: Handle) -> &mut VecDeque<Op> {
        self.streams.get_mut(&(stream.0 as usize)).expect("a stream that was destroyed")
    }

    /// Runs a stream to its end, or until a point is reached.
    fn advance(&mut self, stream: Handle, until: Option<&Point>) {
        while until.is_none_or(|point| !point.happened.load(Ordering::Relaxed)) {
            match self.streams.get_mut(&(stream.0 as usize)).and_then(VecDeque::pop_front) {
                Some(Op::Run(run)) => run(self),
                Some(Op::Reach(point)) => point.happened.store(true, Ordering::Relaxed),
                Some(Op::Wait(point)) => self.advance(point.stream, Some(&point)),
                None => return,
            }
        }
    }

    /// Device memory that must be allocated now.
    pub(crate) fn bytes(&mut self, at: u64, len: usize) -> &mut [u8] {
        let (base, memory) = self.memory.range_mut(..=at).next_back().expect("no memory there");
        let from = (at - base) as usize;
        memory.get_mut(from..from + len).expect("beyond the end of an allocation")
    }
}

impl Driver for LateDriver {
    fn create_stream(&self) -> Result<Handle> {
        let mut state = lock(&self.state);
        let stream = state.new_handle();
        state.streams.insert(stream.0 as usize, VecDeque::new());
        Ok(stream)
    }

    unsafe fn destroy_stream(&self, stream: Handle) {
        let mut state = lock(&self.state);
        state.advance(stream, None);
        state.streams.remove(&(stream.0 as usize));
    }

    fn synchronize(&self, stream: Handle) -> Result<()> {
        self.alive()?;
        lock(&self.state).advance(stream, None);
        Ok(())
    }

    fn is_idle(&self, stream: Handle) -> Result<bool> {
        Ok(lock(&self.state).queue(stream).is_empty())
    }

    fn create_event(&self) -> Result<Handle> {
        let mut state = lock(&self.state);
        let event = state.new_handle();
        state.events.insert(event.0 as usize, None);
        Ok(event)
    }

    unsafe fn destroy_event(&self, event: Handle) {
        lock(&self.state).events.remove(&(event.0 as usize));
    }

    fn record(&self, event: Handle, stream: Handle) -> Result<()> {
        let point = Arc::new(Point { stream, happened: AtomicBool::new(false) });
        lock(&self.state).events.insert(event.0 as usize, Some(point.clone()));
        self.push(stream, Op::Reach(point))
    }

    fn wait(&self, stream: Handle, event: Handle) -> Result<()> {
        let point = lock(&self.state).events[&(event.0 as usize)].clone();
        point.map_or(Ok(()), |point| self.push(stream, Op::Wait(point)))
    }

    fn synchronize_event(&self, event: Handle) -> Result<()> {
        self.alive()?;
        let mut state = lock(&self.state);
        if let Some(point) = state.events[&(event.0 as usize)].clone() {
            state.advance(point.stream, Some(&point));
        }
        Ok(())
    }

    fn event_happened(&self, event: Handle) -> Result<bool> {
        let state = lock(&self.state);
        let point = state.events[&(event.0 as usize)].as_ref();
        Ok(point.is_none_or(|point| point.happened.load(Ordering::Relaxed)))
    }

    fn milliseconds(&self, _: Handle, _: Handle) -> Result<f32> {
        Ok(1.0)
    }

    fn allocate(&self, bytes: usize, _: Handle) -> Result<u64> {
        let mut state = lock(&self.state);
        let at = match state.memory.last_key_value() {
            Some((at, memory)) => (at + memory.len() as u64).next_multiple_of(256) + 256,
            None => 4096,
        };
        // Never zero: what is not written must not look as if it were.
        state.memory.insert(at, vec![0xcd; bytes].into());
        Ok(at)
    }

    unsafe fn free(&self, address: u64, bytes: usize, stream: Handle) {
        let freed = self.run(stream, move |state| {
            let memory = state.memory.remove(&address).expect("freed twice");
            assert_eq!(memory.len(), bytes);
        });
        freed.expect("a queue that takes everything");
    }

    fn allocate_host(&self, bytes: usize) -> Result<*mut u8> {
        let memory = Box::leak(vec![0u8; bytes].into_boxed_slice()).as_mut_ptr();
        lock(&self.state).pinned.insert(memory as usize, bytes);
        Ok(memory)
    }

    unsafe fn free_host(&self, pointer: *mut u8, bytes: usize) {
        assert_eq!(lock(&self.state).pinned.remove(&(pointer as usize)), Some(bytes));
        // SAFETY: leaked by `allocate_host` with this length.
        drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(pointer, bytes)) });
    }

    unsafe fn copy_in(&self, to: u64, from: *const u8, bytes: usize, stream: Handle) -> Result<()> {
        self.run(stream, move |state| {
            // SAFETY: the caller keeps `from` valid until the stream got here.
            let from = unsafe { std::slice::from_raw_parts(from, bytes) };
            state.bytes(to, bytes).copy_from_slice(from);
        })
    }

    unsafe fn copy_out(&self, to: *mut u8, from: u64, bytes: usize, stream: Handle) -> Result<()> {
        self.run(stream, move |state| {
            // SAFETY: the caller keeps `to` valid until the stream got here.
            let to = unsafe { std::slice::from_raw_parts_mut(to, bytes) };
            to.copy_from_slice(state.bytes(from, bytes));
        })
    }

    unsafe fn copy(&self, to: u64, from: u64, bytes: usize, stream: Handle) -> Result<()> {
        self.run(stream, move |state| {
            let data = state.bytes(from, bytes).to_vec();
            state.bytes(to, bytes).copy_from_slice(&data);
        })
    }

    unsafe fn zero(&self, at: u64, bytes: usize, stream: Handle) -> Result<()> {
        self.run(stream, move |state| state.bytes(at, bytes).fill(0))
    }

    fn load(&self, _: &[u8], _: &str) -> Result<(Handle, Handle)> {
        unreachable!("tests give kernels as closures")
    }

    unsafe fn unload(&self, _: Handle) {}

    unsafe fn launch(
        &self,
        stream: Handle,
        kernel: &Loaded,
        _: &LaunchConfig,
        args: PackedArgs<'_>,
    ) -> Result<()> {
        let Loaded::Late(kernel) = kernel else { unreachable!("a kernel of another driver") };
        let (kernel, bytes, record) = (kernel.clone(), args.bytes.to_vec(), args.record);
        self.run(stream, move |state| kernel(state, &bytes, record))
    }
}
