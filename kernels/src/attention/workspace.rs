//! Memory that an attention needs besides its tensors.

use kernelsmith::prelude::*;

use crate::error::Error;

/// Memory for the outputs of parts of the keys, of attentions of few queries to many keys
/// ([`FlashAttention::workspace`](super::FlashAttention::workspace)): kept from one to the next, it is neither
/// allocated nor cleared each time. It grows to what the largest of them needs.
#[derive(Debug)]
pub struct AttentionWorkspace {
    device: Device,
    parts: Buffer<f32>,
    arrivals: Buffer<u64>,
    launches: u64,
}

/// What a launch uses of a workspace whose parts are put together by the block that comes last; nothing, if
/// there is one part.
#[derive(Default)]
pub(super) struct Arrivals<'a> {
    pub(super) parts: Option<&'a mut Buffer<f32>>,
    /// For each tile which launch came there last, in the upper half, and how many of its blocks did.
    pub(super) arrivals: Option<&'a mut Buffer<u64>>,
    /// This launch's number: those of all earlier ones are less.
    pub(super) launch: u64,
}

/// So many numbers, each of which is written before it is read.
pub(super) fn room(device: &Device, len: usize) -> Result<Buffer<f32>, Error> {
    // SAFETY: the promise above.
    Ok(unsafe { Buffer::uninit(device, len) }?)
}

impl AttentionWorkspace {
    /// For attentions on this device; empty at first.
    ///
    /// # Errors
    /// The driver's.
    pub fn new(device: &Device) -> Result<AttentionWorkspace, Error> {
        let (parts, arrivals) = (Buffer::zeros(device, 0)?, Buffer::zeros(device, 0)?);
        Ok(AttentionWorkspace { device: device.clone(), parts, arrivals, launches: 0 })
    }

    /// Refuses tensors of another device.
    pub(super) fn check(&self, device: &Device) -> Result<(), Error> {
        if self.device == *device {
            return Ok(());
        }
        Err(Error::Shape {
            argument: "workspace",
            found: format!("memory on {}", self.device),
            rule: format!("`out` is on {device}"),
        })
    }

    /// Room for so many numbers at least, each of which is written before it is read.
    pub(super) fn parts(&mut self, len: usize) -> Result<&mut Buffer<f32>, Error> {
        if self.parts.len() < len {
            self.parts = room(&self.device, len)?;
        }
        Ok(&mut self.parts)
    }

    /// The same, and counters of `tiles` at least for the blocks of one launch.
    pub(super) fn arrivals(&mut self, len: usize, tiles: usize) -> Result<Arrivals<'_>, Error> {
        self.parts(len)?;
        // A launch's number has 32 bits.
        if self.arrivals.len() < tiles || self.launches == u64::from(u32::MAX) {
            self.arrivals = Buffer::zeros(&self.device, tiles.max(self.arrivals.len()))?;
            self.launches = 0;
        }
        self.launches += 1;
        let AttentionWorkspace { parts, arrivals, launches, .. } = self;
        Ok(Arrivals { parts: Some(parts), arrivals: Some(arrivals), launch: *launches })
    }
}
