//! B in panels: what the CPU's matmul reads.

use kernelsmith::prelude::*;

use super::left::element_or_zero;
use super::products::Words;

/// Columns of a panel: the lanes of a warp.
pub(super) const PANEL: usize = 32;

/// Writes `B: batch x k x n` as panels of 32 columns, one after the other:
/// `packed[batch * panels + panel][word][column]`, with zeros beyond `n` and `k`. The matmul then reads B
/// from front to back, from few pages of memory.
///
/// `rows` and `columns` say whether elements of a row or column of B are next to each other: lanes run
/// along those that are. `batched` is whether there is more than one matrix, `whole` whether k is a
/// multiple of a word's length.
#[kernel(
    block = PANEL,
    requires = (
        packed.shape(1) * W::LEN >= b.shape(1),
        packed.shape(1) * W::LEN < b.shape(1) + W::LEN,
        whole * packed.shape(1) * W::LEN == whole * b.shape(1),
        packed.shape(2) == PANEL,
        packed.tile(2) == PANEL,
        rows * b.stride(2) == rows,
        columns * b.stride(1) == columns,
    ),
)]
pub fn pack_panels<T: Num, W: Words>(
    #[comptime] rows: bool,
    #[comptime] columns: bool,
    #[comptime] batched: bool,
    #[comptime] whole: bool,
    b: &View<T, 3>,
    packed: &mut Part<W::Word, 3>,
) {
    let lane = thread_idx_x();
    let n = b.shape(2);
    let panels = (n + (PANEL - 1)) / PANEL;
    if columns && !rows {
        // A tile of 32 x 32 words, a column of B a row of it.
        let turned = shared::<W::Word>(PANEL * (PANEL + 1));
        let elements = turned.cast::<W::Element>();
        for j in 0..packed.count(0) {
            let (matrix, panel) = place(packed.global(0, j), panels, batched);
            let b = b.outer(matrix);
            for r0 in (0..packed.count(1)).step_by(PANEL) {
                let first = packed.global(1, r0) * W::LEN;
                let depth = (packed.count(1) - r0).min(PANEL);
                let inside = (depth * W::LEN).min(b.shape(0) - first);
                for c in range(0, PANEL) {
                    let column = panel * PANEL + c;
                    for e in unroll((0..PANEL * W::LEN).step_by(PANEL)) {
                        elements[c * ((PANEL + 1) * W::LEN) + e + lane] =
                            if column < n && e + lane < inside {
                                b[[first + e + lane, column]].cast::<W::Element>()
                            } else {
                                Val::<W::Element>::zero()
                            };
                    }
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
            let first = packed.global(1, r) * W::LEN;
            for j in 0..packed.count(0) {
                let (matrix, panel) = place(packed.global(0, j), panels, batched);
                let b = b.outer(matrix);
                let column = panel * PANEL;
                let word = || W::join(|e| element_or_zero(b, first + e, column + lane, whole));
                // Of one branch all lanes agree, which spares a whole panel its masks.
                packed[[j, r, 0]] = if column + PANEL <= n {
                    word()
                } else if column + lane < n {
                    word()
                } else {
                    Val::<W::Word>::zero()
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
