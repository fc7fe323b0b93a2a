//! Devices as run-time values.

mod available;
mod open;

use std::fmt;
use std::sync::{Arc, Mutex, Weak};

use kernelsmith_ir::Target;

pub use available::{Availability, Present, Unavailable};

use crate::driver::{Driver, Handle, Staging};
use crate::error::{Error, Result};
use crate::limits::DeviceLimits;
use crate::machine::Machine;
use crate::stream::{Stream, StreamCore};
use crate::sync::lock;
use crate::{codegen, cuda, hip, interpreter};

/// How a device is reached.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum DeviceKind {
    /// This process's own processor.
    Cpu,
    /// An NVIDIA GPU, through CUDA's driver.
    Cuda,
    /// An AMD GPU, through HIP.
    Hip,
    /// No hardware: kernels are interpreted, and what is wrong in them is found.
    Interpreter,
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DeviceKind::Cpu => "CPU",
            DeviceKind::Cuda => "CUDA",
            DeviceKind::Hip => "HIP",
            DeviceKind::Interpreter => "interpreter",
        })
    }
}

/// A device: cheap to clone, the same one however often it is asked for.
///
/// ```
/// let device = kernelsmith_runtime::Device::best();
/// println!("{device}: {} threads in a block", device.limits().max_threads_per_block);
/// ```
#[derive(Clone)]
pub struct Device(Arc<DeviceInner>);

/// What a device is, apart from how it is driven.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct DeviceInfo {
    pub kind: DeviceKind,
    pub index: u32,
    pub name: String,
    pub target: Target,
    pub limits: DeviceLimits,
    pub machine: Machine,
}

struct DeviceInner {
    info: DeviceInfo,
    driver: Arc<dyn Driver>,
    staging: Staging,
    default_stream: Arc<StreamCore>,
    /// Streams in use, for [`Device::synchronize`].
    streams: Mutex<Vec<Weak<StreamCore>>>,
}

impl Device {
    /// The fastest device here: the first CUDA device, else the first HIP device, else the CPU.
    /// [`Device::available`] says why one is missing. With `KERNELSMITH_SANITIZE=1` in the
    /// environment, [`Device::interpreter`].
    pub fn best() -> Device {
        if let Some(target) = interpreter::asked_for() {
            return Device::interpreter_for(target);
        }
        Device::cuda(0).or_else(|_| Device::hip(0)).unwrap_or_else(|_| Device::cpu())
    }

    /// The CPU, which is always here. With `KERNELSMITH_SANITIZE=1` in the environment,
    /// [`Device::interpreter`].
    pub fn cpu() -> Device {
        match interpreter::asked_for() {
            Some(target) => Device::interpreter_for(target),
            None => open::cpu(),
        }
    }

    /// The interpreter: it runs any kernel, slowly, and finds what is wrong in it. Findings come
    /// back from `synchronize` as [`Error::Finding`]. Kernels are staged for NVIDIA's Hopper, so
    /// that those with tensor cores and asynchronous copies run; see
    /// [`Device::interpreter_for`].
    pub fn interpreter() -> Device {
        Device::interpreter_for(interpreter::TARGET)
    }

    /// The interpreter, for kernels staged for a target: with its operations, limits and number of
    /// lanes in a warp.
    pub fn interpreter_for(target: Target) -> Device {
        open::interpreter(target)
    }

    /// A CUDA device.
    ///
    /// # Errors
    /// [`Error::NoDevice`] with the reason: no library, a driver too old, no such index.
    pub fn cuda(index: u32) -> Result<Device> {
        open::cuda(index)
    }

    /// A HIP device.
    ///
    /// # Errors
    /// [`Error::NoDevice`] with the reason.
    pub fn hip(index: u32) -> Result<Device> {
        open::hip(index)
    }

    /// What is here, and why the rest is not.
    pub fn available() -> Availability {
        available::report()
    }

    /// How the device is reached.
    pub fn kind(&self) -> DeviceKind {
        self.0.info.kind
    }

    /// Its number among devices of its kind.
    pub fn index(&self) -> u32 {
        self.0.info.index
    }

    /// Its name, as its driver or the operating system gives it.
    pub fn name(&self) -> &str {
        &self.0.info.name
    }

    /// What kernels are compiled for to run here.
    pub fn target(&self) -> &Target {
        &self.0.info.target
    }

    /// What a launch must keep to.
    pub fn limits(&self) -> &DeviceLimits {
        &self.0.info.limits
    }

    /// What block shapes are chosen by: caches, cores, vectors.
    pub fn machine(&self) -> &Machine {
        &self.0.info.machine
    }

    /// How many threads take part in a launch of this thread: on the CPU those of rayon's current pool
    /// (`RAYON_NUM_THREADS`, `ThreadPool::install`), on a GPU its multiprocessors.
    pub fn threads(&self) -> usize {
        match self.kind() {
            DeviceKind::Cpu => kernelsmith_codegen_cpu::threads(),
            _ => self.machine().cores,
        }
    }

    /// What measurements here depend on beside the kernel, by name: the device, its caches, threads and
    /// driver, and the compiler. Where one of these differs, a time measured before means nothing.
    pub fn identity(&self) -> Vec<(&'static str, String)> {
        let driver = match self.kind() {
            DeviceKind::Cuda => cuda::driver_description(),
            DeviceKind::Hip => hip::driver_description(),
            DeviceKind::Cpu | DeviceKind::Interpreter => "this process".to_owned(),
        };
        vec![
            ("device", self.to_string()),
            ("machine", self.machine().to_string()),
            ("threads", self.threads().to_string()),
            ("driver", driver),
            ("compiler", codegen::compiler(self.target())),
        ]
    }

    /// The stream everything uses that is not given another.
    pub fn default_stream(&self) -> Stream {
        Stream::new(self.clone(), self.0.default_stream.clone())
    }

    /// A new stream, ordered with no other except through events and through the buffers they
    /// share: work that uses a buffer waits for work that writes it, whatever their streams.
    ///
    /// # Errors
    /// The driver's.
    pub fn create_stream(&self) -> Result<Stream> {
        let core = Arc::new(StreamCore::new(self.0.driver.clone(), self.0.driver.create_stream()?));
        let mut streams = lock(&self.0.streams);
        streams.retain(|stream| stream.strong_count() > 0);
        streams.push(Arc::downgrade(&core));
        Ok(Stream::new(self.clone(), core))
    }

    /// Waits for everything on all streams of the device.
    ///
    /// # Errors
    /// The first failure of a check since it was last asked for (see [`Stream::synchronize`]), or
    /// the driver's error.
    pub fn synchronize(&self) -> Result<()> {
        let others: Vec<_> = lock(&self.0.streams).iter().filter_map(Weak::upgrade).collect();
        let streams: Vec<_> =
            std::iter::once(self.0.default_stream.clone()).chain(others).collect();
        for stream in &streams {
            stream.finish()?;
        }
        // Waited for all of them before any error is returned, and each error is returned once.
        streams.iter().try_for_each(|stream| stream.take_failure())
    }

    /// Joins a driver and a description.
    pub(crate) fn from_driver(driver: Arc<dyn Driver>, info: DeviceInfo) -> Result<Device> {
        let stream = driver.create_stream()?;
        Ok(Device::from_parts(driver, info, stream))
    }

    /// Joins a driver, a description and the default stream.
    pub(crate) fn from_parts(driver: Arc<dyn Driver>, info: DeviceInfo, stream: Handle) -> Device {
        let default_stream = Arc::new(StreamCore::new(driver.clone(), stream));
        let (staging, streams) = (Staging::default(), Mutex::default());
        Device(Arc::new(DeviceInner { info, driver, staging, default_stream, streams }))
    }

    pub(crate) fn driver(&self) -> &Arc<dyn Driver> {
        &self.0.driver
    }

    pub(crate) fn staging(&self) -> &Staging {
        &self.0.staging
    }

    pub(crate) fn default_core(&self) -> &Arc<StreamCore> {
        &self.0.default_stream
    }

    /// An error unless `other`, where `argument` lives, is this device.
    pub(crate) fn expect_same(&self, argument: &str, other: &Device) -> Result<()> {
        if self == other {
            return Ok(());
        }
        let rule = format!("the stream belongs to {self}; copy the buffer there first");
        Err(Error::invalid(argument, format!("on {other}"), rule))
    }
}

impl Drop for DeviceInner {
    fn drop(&mut self) {
        self.staging.clear(&*self.driver);
    }
}

impl PartialEq for Device {
    fn eq(&self, other: &Device) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Device {}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DeviceInfo { kind, index, name, target, .. } = &self.0.info;
        match kind {
            DeviceKind::Cpu | DeviceKind::Interpreter => write!(f, "{kind} ({name})"),
            _ => write!(f, "{kind} {index} ({name}, {target})"),
        }
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Device").field(&self.0.info).finish()
    }
}
