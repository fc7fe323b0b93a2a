//! B in panels: what the CPU's matmul reads.

use kernelsmith::prelude::*;

/// Columns of a panel: the lanes of a warp.
pub(super) const PANEL: usize = 32;

/// Writes `B: batch x k x n` as panels of 32 columns, one after the other:
/// `packed[batch * panels + panel][row][column]`, with zeros beyond `n`. The matmul then reads B from
/// front to back, from few pages of memory.
///
/// `rows` and `columns` say whether elements of a row or column of B are next to each other: lanes run
/// along those that are. `batched` is whether there is more than one matrix.
#[kernel(
    block = PANEL,
    requires = (
        packed.shape(1) == b.shape(1),
        packed.shape(2) == PANEL,
        packed.tile(2) == PANEL,
        rows * b.stride(2) == rows,
        columns * b.stride(1) == columns,
    ),
)]
pub fn pack_panels<T: Float, P: Float>(
    #[comptime] rows: bool,
    #[comptime] columns: bool,
    #[comptime] batched: bool,
    b: &View<T, 3>,
    packed: &mut Part<P, 3>,
) {
    let lane = thread_idx_x();
    let n = b.shape(2);
    let panels = (n + (PANEL - 1)) / PANEL;
    if columns && !rows {
        let turned = shared::<P>(PANEL * (PANEL + 1));
        for j in 0..packed.count(0) {
            let (matrix, panel) = place(packed.global(0, j), panels, batched);
            let b = b.outer(matrix);
            for r0 in (0..packed.count(1)).step_by(PANEL) {
                let depth = (packed.count(1) - r0).min(PANEL);
                for c in range(0, PANEL) {
                    let column = panel * PANEL + c;
                    turned[c * (PANEL + 1) + lane] = if column < n && lane < depth {
                        b[[packed.global(1, r0 + lane), column]].cast::<P>()
                    } else {
                        Val::<P>::lit(0.0)
                    };
                }
                barrier();
                for r in 0..depth {
                    packed[[j, r0 + r, 0]] = turned[lane * (PANEL + 1) + r];
                }
                barrier();
            }
        }
    } else {
        for r in 0..packed.count(1) {
            let row = packed.global(1, r);
            for j in 0..packed.count(0) {
                let (matrix, panel) = place(packed.global(0, j), panels, batched);
                let b = b.outer(matrix);
                let column = panel * PANEL;
                // Of one branch all lanes agree, which spares a whole panel its masks.
                packed[[j, r, 0]] = if column + PANEL <= n {
                    b[[row, column + lane]].cast::<P>()
                } else if column + lane < n {
                    b[[row, column + lane]].cast::<P>()
                } else {
                    Val::<P>::lit(0.0)
                };
            }
        }
    }
}

/// The matrix that a panel belongs to, and the panel's number in it.
#[device]
fn place(index: usize, panels: usize, #[comptime] batched: bool) -> (usize, usize) {
    if batched { (index / panels, index % panels) } else { (0, index) }
}
