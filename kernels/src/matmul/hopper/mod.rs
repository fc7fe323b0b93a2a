//! The matmul of Hopper: TMA copies, `wgmma`, and warpgroups with roles.

pub mod choice;
pub mod config;
mod cooperative;
mod family;
mod gated;
mod grouped;
mod launch;
mod launch_gated;
mod launch_grouped;
mod launch_scaled;
mod leave;
mod operand;
mod pingpong;
mod scaled;
mod schedule;
mod stream;
mod tuning;
mod work;

pub use cooperative::{Form, matmul_cooperative, matmul_cooperative_ir};
pub use gated::{matmul_gated, matmul_gated_ir};
pub use grouped::{GroupedForm, matmul_grouped, matmul_grouped_ir};
pub(super) use launch::product;
pub(super) use launch_gated::gated_product;
pub(super) use launch_grouped::{grouped_product, grouped_scaled_product};
pub(super) use launch_scaled::{row_scaled_product, scaled_product};
pub use operand::Order;
pub use pingpong::{matmul_pingpong, matmul_pingpong_ir};
pub(super) use scaled::BLOCK;
pub use scaled::{ScaledForm, matmul_scaled, matmul_scaled_ir};
pub(crate) use schedule::{Walk, part_of};
pub(super) use work::is_hopper;
