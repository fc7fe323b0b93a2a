//! Choosing among configurations of a kernel by measuring them, once.
//!
//! A kernel with block shapes to choose has a list of configurations, the most promising first: of a cost
//! model ([`Device::machine`](crate::Device::machine)) or by experience. Without a search the first one is
//! used. A search runs them all for a bounded time, keeps what it finds beside the cache of compiled
//! kernels, and from then on every process uses that, until machine, driver, compiler or kernel change.
//!
//! ```
//! use kernelsmith::prelude::*;
//! use kernelsmith::tune::{Mode, Tuner};
//!
//! #[kernel(block = 32)]
//! fn scale(#[comptime] each: usize, a: f32, y: &mut Part<f32, 1>) {
//!     for i in 0..y.count(0) {
//!         y[[i]] *= a;
//!     }
//! }
//!
//! # fn main() -> Result<(), kernelsmith::Error> {
//! # let folder = std::env::temp_dir().join(format!("kernelsmith-tune-doc-{}", std::process::id()));
//! # let cache = kernelsmith::cache::Cache::in_dir(&folder, 1 << 20);
//! let device = Device::cpu();
//! let mut y = Buffer::<f32>::zeros(&device, 1 << 12)?;
//! let tuned = Tuner::new(&device)
//!     .key("scale", &[1 << 12])
//!     .version("1")
//!     .mode(Mode::Search)
//! #   .cache(&cache)
//!     .candidates([1024usize, 256, 4096])
//!     .run(|&each| scale(each, 1.0, y.partition([each])).launch(&device))?;
//! println!("{} elements a block", tuned.config);
//! # std::fs::remove_dir_all(folder).ok();
//! # Ok(())
//! # }
//! ```
//!
//! | Variable | |
//! |---|---|
//! | `KERNELSMITH_TUNE` | `off`: the first of each list; `cached`, the default: what was found before; `search`: search where nothing was |
//! | `KERNELSMITH_TUNE_PROGRESS` | `1`: a line on standard error for each search and each record that is refused |
//! | `KERNELSMITH_CACHE_DIR`, `KERNELSMITH_CACHE` | where records are kept (folder `tuning`), or that nothing is |

mod launches;
mod mode;
mod progress;
mod record;
mod search;
#[cfg(test)]
mod tests;
mod tuner;
mod version;

pub use mode::Mode;
pub use progress::Event;
pub use record::{Record, clear, records};
pub use tuner::{Origin, Trial, Tuned, Tuner};
pub use version::version_of;
