//! What only memory bounds, against a plain copy.

use kernelsmith::Buffer;
use kernelsmith_kernels::elementwise::saxpy;
use kernelsmith_kernels::norm::softmax;

use super::Outcome;
use super::bench::{Bench, Case, Peer, case};
use super::turns::medians;

pub(crate) fn all() -> Vec<Case> {
    vec![case("bandwidth", bandwidth)]
}

fn bandwidth(bench: &mut Bench) -> Outcome<()> {
    let (n, columns) = (1usize << 28, 4096);
    let device = bench.device.clone();
    let zeros = || Buffer::<f32>::zeros(&device, n);
    let (x, mut y, mut z, mut w) = (zeros()?, zeros()?, zeros()?, zeros()?);
    let times = medians(
        &device,
        &mut [
            &mut |_| Ok(y.view_mut().copy_from_view(x.view())?),
            &mut |_| Ok(saxpy(1.5, &x, &mut z)?),
            &mut |_| Ok(softmax(columns, &x, &mut w)?),
        ],
    )?;
    let [copy, saxpy, softmax] = [(2.0, 0), (3.0, 1), (2.0, 2)]
        .map(|(sweeps, at): (f64, usize)| sweeps * 4.0 * n as f64 / times[at].as_secs_f64() / 1e9);
    bench.copy = Some(copy);
    bench.row("copy f32", &n.to_string(), copy, "GB/s", Peer::None)?;
    let copy = Peer::Rate("copy", copy);
    bench.row("saxpy f32", &n.to_string(), saxpy, "GB/s", copy)?;
    bench.row("softmax f32", &format!("{}x{columns}", n / columns), softmax, "GB/s", copy)
}
