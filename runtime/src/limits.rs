//! What a device can launch, and whether a launch keeps to it.

use kernelsmith_ir::Target;

use crate::error::{Error, Result};
use crate::launch::LaunchConfig;

/// The numbers a launch must keep to, and a few that tuning looks at.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct DeviceLimits {
    /// Most blocks along each axis of the grid.
    pub max_grid: [u32; 3],
    /// Most threads along each axis of a block.
    pub max_block: [u32; 3],
    /// Most threads in one block.
    pub max_threads_per_block: u32,
    /// Most threads along one axis of the whole grid, where that is bounded.
    pub max_threads_per_axis: Option<u64>,
    /// Most bytes of shared memory of one block, static and dynamic together.
    pub max_shared_bytes: u32,
    /// Most blocks in one cluster; 1 where there are no clusters.
    pub max_cluster: u32,
    /// Threads that execute together.
    pub warp_size: u32,
    /// Multiprocessors, compute units or cores.
    pub compute_units: u32,
    /// Bytes of device memory; 0 where it is not known.
    pub memory_bytes: u64,
    /// Whether the dot product of two bf16 (`dot2`) is one instruction of the device's, which makes it
    /// twice as fast as multiply-adds of f32. The interpreter says so, too.
    pub has_dot2: bool,
}

impl DeviceLimits {
    /// The limits every device of a target has. Grids are those of CUDA (CUDA C++ Programming
    /// Guide, "Technical Specifications per Compute Capability"), on the CPU as well, so that what
    /// launches here launches there.
    pub fn of(target: &Target) -> DeviceLimits {
        DeviceLimits {
            max_grid: [i32::MAX as u32, 65_535, 65_535],
            max_block: [1024, 1024, 64],
            max_threads_per_block: target.max_threads(),
            max_threads_per_axis: None,
            max_shared_bytes: target.max_shared_bytes(),
            max_cluster: max_cluster(target),
            warp_size: target.warp_size(),
            compute_units: 1,
            memory_bytes: 0,
            has_dot2: false,
        }
    }
}

/// 8 blocks are portable; Hopper and data-centre Blackwell take 16 from kernels that allow it, as
/// ours do (CUDA C++ Programming Guide, "Thread Block Clusters").
fn max_cluster(target: &Target) -> u32 {
    match target {
        Target::Ptx(ptx) if ptx.sm == 90 || ptx.sm == 100 => 16,
        Target::Ptx(ptx) if ptx.sm > 90 => 8,
        _ => 1,
    }
}

/// What of a kernel a launch must agree with.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct KernelNeeds {
    /// The block size the kernel fixes.
    pub block: Option<[u32; 3]>,
    /// The blocks of a cluster, where the kernel fixes them.
    pub cluster: Option<[u32; 3]>,
    /// Bytes of its static shared arrays.
    pub static_shared: u32,
}

/// Checks a launch against the device's limits and the kernel's needs.
pub(crate) fn check(
    config: &LaunchConfig,
    limits: &DeviceLimits,
    needs: KernelNeeds,
) -> Result<()> {
    // A grid may be empty: that is what the grid of an empty input comes to.
    axes("grid", config.grid, 0, limits.max_grid)?;
    axes("block", config.block, 1, limits.max_block)?;
    let threads: u64 = config.block.iter().map(|&n| u64::from(n)).product();
    let most = limits.max_threads_per_block;
    if threads > u64::from(most) {
        let rule = format!("has {threads} threads, and the device's limit is {most}");
        return Err(Error::invalid("block", show(config.block), rule));
    }
    if let Some(block) = needs.block
        && block != config.block
    {
        let rule = format!("the kernel is compiled for blocks of {}", show(block));
        return Err(Error::invalid("block", show(config.block), rule));
    }
    if let Some(most) = limits.max_threads_per_axis {
        for (axis, (&blocks, &threads)) in "xyz".chars().zip(config.grid.iter().zip(&config.block))
        {
            let total = u64::from(blocks) * u64::from(threads);
            if total > most {
                let rule = format!("times block.{axis} is {total}, and the limit is {most}");
                return Err(Error::invalid(format!("grid.{axis}"), blocks, rule));
            }
        }
    }
    shared(config, limits, needs)?;
    cluster(config, limits, needs)
}

fn axes(what: &str, value: [u32; 3], least: u32, most: [u32; 3]) -> Result<()> {
    for (axis, (&value, &most)) in "xyz".chars().zip(value.iter().zip(&most)) {
        if value < least || value > most {
            let rule = format!("must be between {least} and {most}");
            return Err(Error::invalid(format!("{what}.{axis}"), value, rule));
        }
    }
    Ok(())
}

fn shared(config: &LaunchConfig, limits: &DeviceLimits, needs: KernelNeeds) -> Result<()> {
    let total = u64::from(config.shared_bytes) + u64::from(needs.static_shared);
    let most = limits.max_shared_bytes;
    if total <= u64::from(most) {
        return Ok(());
    }
    let rule = format!(
        "with the kernel's own {} bytes that makes {total}, and the device's limit is {most}",
        needs.static_shared
    );
    Err(Error::invalid("shared_bytes", config.shared_bytes, rule))
}

fn cluster(config: &LaunchConfig, limits: &DeviceLimits, needs: KernelNeeds) -> Result<()> {
    if let (Some(fixed), Some(asked)) = (needs.cluster, config.cluster)
        && fixed != asked
    {
        let rule = format!("the kernel is compiled for clusters of {}", show(fixed));
        return Err(Error::invalid("cluster", show(asked), rule));
    }
    let Some(cluster) = needs.cluster.or(config.cluster) else { return Ok(()) };
    let invalid = |rule| Err(Error::invalid("cluster", show(cluster), rule));
    let blocks: u64 = cluster.iter().map(|&n| u64::from(n)).product();
    if blocks == 0 {
        return invalid("every axis must be at least 1".to_owned());
    }
    let most = limits.max_cluster;
    if blocks > u64::from(most) {
        return invalid(format!("has {blocks} blocks, and the device's limit is {most}"));
    }
    if config.grid.iter().zip(&cluster).any(|(grid, cluster)| grid % cluster != 0) {
        if needs.cluster.is_some() {
            let rule = format!(
                "must be a multiple of the kernel's clusters, {}, along every axis",
                show(cluster)
            );
            return Err(Error::invalid("grid", show(config.grid), rule));
        }
        return invalid(format!("must divide the grid, {}, along every axis", show(config.grid)));
    }
    Ok(())
}

fn show([x, y, z]: [u32; 3]) -> String {
    format!("[{x}, {y}, {z}]")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hopper() -> DeviceLimits {
        DeviceLimits { max_cluster: 8, ..DeviceLimits::of(&Target::sm(90, true)) }
    }

    fn message(config: LaunchConfig, needs: KernelNeeds) -> String {
        check(&config, &hopper(), needs).unwrap_err().to_string()
    }

    #[test]
    fn good_launches_pass() {
        let ok = |config| check(&config, &hopper(), KernelNeeds::default()).unwrap();
        ok(LaunchConfig::new([1, 1, 1], [1, 1, 1]));
        ok(LaunchConfig::new([0, 1, 1], [256, 1, 1]));
        ok(LaunchConfig::new([i32::MAX as u32, 65_535, 65_535], [1024, 1, 1]));
        ok(LaunchConfig::new([8, 2, 1], [32, 32, 1]).shared_bytes(227 * 1024).cluster([4, 2, 1]));
    }

    #[test]
    fn each_rule_names_argument_value_and_limit() {
        let none = KernelNeeds::default();
        let launch = |grid, block| LaunchConfig::new(grid, block);
        assert_eq!(
            message(launch([1, 1, 1], [0, 1, 1]), none),
            "`block.x` is 0: must be between 1 and 1024"
        );
        assert_eq!(
            message(launch([1, 70_000, 1], [32, 1, 1]), none),
            "`grid.y` is 70000: must be between 0 and 65535"
        );
        assert_eq!(
            message(launch([1, 1, 1], [1, 1, 65]), none),
            "`block.z` is 65: must be between 1 and 64"
        );
        assert_eq!(
            message(launch([1, 1, 1], [32, 33, 1]), none),
            "`block` is [32, 33, 1]: has 1056 threads, and the device's limit is 1024"
        );
        let needs =
            KernelNeeds { block: Some([128, 1, 1]), static_shared: 1024, ..KernelNeeds::default() };
        assert_eq!(
            message(launch([1, 1, 1], [64, 1, 1]), needs),
            "`block` is [64, 1, 1]: the kernel is compiled for blocks of [128, 1, 1]"
        );
        assert_eq!(
            message(launch([1, 1, 1], [128, 1, 1]).shared_bytes(232_000), needs),
            "`shared_bytes` is 232000: with the kernel's own 1024 bytes that makes 233024, and the \
             device's limit is 232448"
        );
        assert_eq!(
            message(launch([3, 1, 1], [64, 1, 1]).cluster([2, 1, 1]), none),
            "`cluster` is [2, 1, 1]: must divide the grid, [3, 1, 1], along every axis"
        );
        assert_eq!(
            message(launch([16, 1, 1], [64, 1, 1]).cluster([16, 1, 1]), none),
            "`cluster` is [16, 1, 1]: has 16 blocks, and the device's limit is 8"
        );
        let pairs = KernelNeeds { cluster: Some([2, 1, 1]), ..none };
        assert_eq!(
            message(launch([3, 1, 1], [64, 1, 1]), pairs),
            "`grid` is [3, 1, 1]: must be a multiple of the kernel's clusters, [2, 1, 1], along \
             every axis"
        );
        assert_eq!(
            message(launch([4, 1, 1], [64, 1, 1]).cluster([4, 1, 1]), pairs),
            "`cluster` is [4, 1, 1]: the kernel is compiled for clusters of [2, 1, 1]"
        );
        assert_eq!(
            message(
                launch([16, 1, 1], [64, 1, 1]),
                KernelNeeds { cluster: Some([16, 1, 1]), ..none }
            ),
            "`cluster` is [16, 1, 1]: has 16 blocks, and the device's limit is 8"
        );
    }

    #[test]
    fn hip_bounds_the_threads_of_an_axis() {
        let limits = DeviceLimits { max_threads_per_axis: Some(u32::MAX.into()), ..hopper() };
        let config = LaunchConfig::new([1 << 24, 1, 1], [256, 1, 1]);
        let error = check(&config, &limits, KernelNeeds::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`grid.x` is 16777216: times block.x is 4294967296, and the limit is 4294967295"
        );
    }
}
