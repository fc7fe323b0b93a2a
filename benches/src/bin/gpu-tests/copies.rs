//! The copy engine's other ways, on hardware: windows over images, and hints of what the L2 cache keeps. What
//! they should do the interpreter says.

use kernelsmith::Target;
use kernelsmith::prelude::*;

use crate::Outcome;
use crate::cases::{Case, case};

/// None on GPUs without the engine.
pub(crate) fn all(device: &Device) -> Vec<Case> {
    if *device.target() != Target::sm(90, true) {
        return Vec::new();
    }
    both()
}

fn both() -> Vec<Case> {
    let mut cases = Vec::new();
    for start in [[0, -1, -1, 0], [0, 1, 2, 8], [1, 3, 3, 4]] {
        cases.push(case("windows", format!("small {start:?}"), move |device| {
            alike(device, |device| windows_seen(device, &start))
        }));
    }
    cases.push(case("hints to the L2 cache", "small", |device| alike(device, hints)));
    cases
}

/// What a device computes is what the interpreter does.
fn alike(
    device: &Device,
    run: impl Fn(&Device) -> Result<Vec<f32>, kernelsmith::Error>,
) -> Outcome {
    let expected = run(&Device::interpreter_for(Target::sm(90, true)))?;
    let right = run(device)? == expected && expected.iter().any(|&x| x > 0.0);
    Ok((f64::from(u8::from(!right)), 0.0))
}

/// What each place of a 3 x 2 window with a padding of 1 and steps of 2 and 1 sees, from the pixel on
/// that `start` names.
#[kernel(block = 32)]
fn windows(x: &TensorMap<f32, 4>, start: &[i32], y: &mut [f32]) {
    let shape = Window { channels: 8, pixels: 16, lower: [-1, -1], upper: [-1, 0], steps: [2, 1] };
    let pixels = x.window(shape, Swizzle::B32);
    let tile = tiles::<f32>(1, [16, 8], Swizzle::B32).stage(0);
    let (producer, consumer) = pipeline::<1>(32).split();
    for place in 0..6u32 {
        if thread_idx_x() == 0 {
            let stage = producer.acquire();
            let at = [start[0], start[1], start[2], start[3]];
            tile.load_window(pixels, at, [place / 2, place % 2], stage.barrier());
            stage.commit_bytes(pixels.bytes());
        }
        let stage = consumer.wait();
        if thread_idx_x() < 8 {
            for i in 0..16 {
                y[(place as usize * 16 + i) * 8 + thread_idx_x()] =
                    tile.at(i, thread_idx_x()).get();
            }
        }
        stage.release();
    }
}

fn windows_seen(device: &Device, start: &[i32; 4]) -> Result<Vec<f32>, kernelsmith::Error> {
    let shape @ [n, h, w, c] = [2, 5, 4, 12];
    let data: Vec<f32> = (0..n * h * w * c).map(|i| 1.0 + i as f32).collect();
    let x = Buffer::from_slice(device, &data)?;
    let from = Buffer::from_slice(device, start)?;
    let mut y = Buffer::from_slice(device, &[-1.0f32; 6 * 16 * 8])?;
    windows(View::of(&x, shape), &from, &mut y).grid(1).launch(device)?;
    Ok(y.to_vec()?)
}

/// Boxes and slices fetched before they are loaded, and every hint of how long something is kept.
#[kernel(block = 32)]
fn hinted(x: &TensorMap<f32, 2>, numbers: &[f32], y: &mut [f32]) {
    let piece = x.tile([8, 32], Swizzle::B128);
    let tile = tiles::<f32>(1, [8, 32], Swizzle::B128).stage(0);
    let (producer, consumer) = pipeline::<1>(32).split();
    let i = thread_idx_x();
    if i == 0 {
        piece.fetch_keeping([8, 0], Eviction::Last);
        numbers.fetch(Val::<usize>::zero(), 32);
        let stage = producer.acquire();
        tile.load_keeping(piece, [8, 0], stage.barrier(), Eviction::First);
        stage.commit_bytes(8 * 32 * 4);
    }
    let stage = consumer.wait();
    for row in 0..8 {
        let sum = tile.at(row, i).get() + numbers[i];
        y.slot_at(row * 32 + i).set_keeping(sum, Eviction::Last);
    }
    stage.release();
}

fn hints(device: &Device) -> Result<Vec<f32>, kernelsmith::Error> {
    let numbers: Vec<f32> = (0..16 * 32).map(|i| i as f32).collect();
    let x = Buffer::from_slice(device, &numbers)?;
    let mut y = Buffer::from_slice(device, &[-1.0f32; 8 * 32])?;
    hinted(View::of(&x, [16, 32]), &x, &mut y).grid(1).launch(device)?;
    Ok(y.to_vec()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where there is no GPU, the interpreter by itself, with schedules of its own.
    #[test]
    fn they_run_on_the_interpreter() {
        for case in both() {
            let outcome = (case.run)(&Device::interpreter());
            let (error, allowed) = outcome.unwrap_or_else(|e| panic!("{}: {e}", case.name));
            assert!(error <= allowed, "{} {}", case.name, case.shape);
        }
    }
}
