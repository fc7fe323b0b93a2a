use kernelsmith::Target;
use kernelsmith::prelude::*;

use crate::error::{Error, check_len};
use crate::number::{Number, SmallFloat};

/// Adds the rows of `dy` to those of `dtable` that `ids` name. A block is one warp and has `own` columns of
/// all rows of the table, to which it adds one row of `dy` after the other: sums are in the order of `ids`, and
/// no two blocks write one element.
#[kernel(
    block = warp_size(),
    requires = (
        dy.len() >= ids.len() * dtable.shape(1),
        dtable.tile(0) >= dtable.shape(0),
    ),
)]
pub fn embedding_gradient_kernel<T: Num, G: Num>(ids: &[u32], dy: &[T], dtable: &mut Part<G, 2>) {
    let columns = dtable.shape(1);
    let vocabulary = dtable.shape(0);
    for i in 0..ids.len() {
        let id = ids[i];
        device_assert!(
            (id as usize) < vocabulary,
            "ids[{i}] is {id}, but the table has {vocabulary} rows"
        );
        for j in 0..dtable.count(1) {
            let column = dtable.global(1, j);
            dtable[[id as usize, j]] =
                dtable[[id as usize, j]] + dy[i * columns + column].cast::<G>();
        }
    }
}

/// Adds the gradient of [`embedding`](super::embedding) to that of the table: row `i` of `dy` to row
/// `ids[i]` of `dtable`, in the order of `ids`, so that sums are the same bits each time.
///
/// # Errors
/// If `dtable` has no whole number of rows of `columns`, `dy` has not `ids.len() * columns` elements, or the
/// buffers live on different devices. An id that the table has no row for is an error of the launch.
pub fn embedding_gradient<T: SmallFloat>(
    columns: usize,
    ids: &Buffer<u32>,
    dy: &Buffer<T>,
    dtable: &mut Buffer<f32>,
) -> Result<(), Error> {
    let vocabulary = dtable.len().checked_div(columns).unwrap_or(0);
    check_len("dtable", dtable.len(), "vocabulary * columns", vocabulary.checked_mul(columns))?;
    check_len("dy", dy.len(), "ids.len() * columns", ids.len().checked_mul(columns))?;
    if dy.is_empty() {
        return Ok(());
    }
    if vocabulary == 0 {
        return Err(Error::Shape {
            argument: "dtable",
            found: "no rows".to_owned(),
            rule: format!("{} ids name some", ids.len()),
        });
    }
    let device = dy.device().clone();
    // A CPU's few processors have long pieces of rows each; a GPU's blocks a warp's width.
    let own = match device.target() {
        Target::Cpu => columns.div_ceil(8).next_multiple_of(32),
        target => target.warp_size() as usize,
    };
    let dtable = View::of_mut(dtable, [vocabulary, columns]).partition([vocabulary, own]);
    embedding_gradient_kernel::<T, <T as Number>::Wide>(ids, dy, dtable).launch(&device)?;
    Ok(())
}
