//! How many threads a kernel runs with.

/// The shape of a launch.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LaunchConfig {
    /// Blocks along each axis.
    pub grid: [u32; 3],
    /// Threads of a block along each axis.
    pub block: [u32; 3],
    /// Bytes of dynamic shared memory of each block.
    pub shared_bytes: u32,
    /// Blocks of a cluster along each axis (Hopper and newer).
    pub cluster: Option<[u32; 3]>,
    /// Whether the launch may begin before the one ahead of it in the stream has ended
    /// (programmatic dependent launch). The kernel must then wait for its inputs itself. Devices
    /// without it run launches one after the other, which is always right.
    pub overlap_previous: bool,
}

impl LaunchConfig {
    /// A launch of `grid` blocks of `block` threads.
    pub const fn new(grid: [u32; 3], block: [u32; 3]) -> LaunchConfig {
        LaunchConfig { grid, block, shared_bytes: 0, cluster: None, overlap_previous: false }
    }

    /// Sets the dynamic shared memory of each block.
    #[must_use]
    pub const fn shared_bytes(mut self, bytes: u32) -> LaunchConfig {
        self.shared_bytes = bytes;
        self
    }

    /// Sets the cluster's shape.
    #[must_use]
    pub const fn cluster(mut self, cluster: [u32; 3]) -> LaunchConfig {
        self.cluster = Some(cluster);
        self
    }

    /// Lets the launch begin while the one before it still runs.
    #[must_use]
    pub const fn overlap_previous(mut self) -> LaunchConfig {
        self.overlap_previous = true;
        self
    }
}
