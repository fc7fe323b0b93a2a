//! The way of a tile of C out: through shared memory and the copy engine, panel by panel.

use kernelsmith::prelude::*;

/// Writes `panels` panels of C, each `panel` columns, to `out` by `write` and from there to C, from `at` on.
/// `meet` is a barrier of those who write, of whom one `leads`.
#[track_caller]
pub(super) fn leave<O: Stored>(
    out: Tile<O>,
    c_box: TensorTileMut<O, 3>,
    (panels, panel): (usize, usize),
    leads: Val<bool>,
    meet: impl Fn(),
    write: impl Fn(usize),
    at: impl Fn(usize) -> [Val<usize>; 3],
) {
    for first in (0..panels).map(|i| i * panel) {
        wait_for_room(leads);
        meet();
        write(first);
        async_fence();
        meet();
        send(out, c_box, at(first), leads);
    }
}

/// Until the panel before has been read.
#[device]
fn wait_for_room(leads: bool) {
    if leads {
        bulk_wait_read(0);
    }
}

#[device]
fn send<O: Stored>(out: Tile<O>, c_box: TensorTileMut<O, 3>, at: [usize; 3], leads: bool) {
    if leads {
        out.store(c_box, at);
        bulk_commit();
    }
}
