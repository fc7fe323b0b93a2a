use kernelsmith::prelude::*;

#[kernel(block = 128)]
fn released_twice() {
    let (_, consumer) = pipeline::<2>(128).split();
    let stage = consumer.wait();
    stage.release();
    stage.release();
}

#[kernel(block = 128)]
fn released_in_a_loop(n: usize) {
    let (_, consumer) = pipeline::<2>(128).split();
    let stage = consumer.wait();
    for _ in 0..n {
        stage.release();
    }
}

#[kernel(block = 128)]
fn used_after_release() {
    let (_, consumer) = pipeline::<2>(128).split();
    let rows = tiles::<f32>(2, [8, 32], Swizzle::B128);
    let stage = consumer.wait();
    stage.release();
    let _tile = rows.stage(stage.index());
}

#[kernel(block = 128)]
fn released_and_held(n: usize) {
    let (_, consumer) = pipeline::<2>(128).split();
    let before = consumer.hold();
    for _ in 0..n {
        let stage = consumer.wait();
        before.replace(stage);
        stage.release();
    }
    before.release();
}

#[kernel(block = 128)]
fn loaded_after_commit(x: &TensorMap<f32, 2>) {
    let piece = x.tile([8, 32], Swizzle::B128);
    let rows = tiles::<f32>(2, [8, 32], Swizzle::B128);
    let (producer, _) = pipeline::<2>(1).split();
    let stage = producer.acquire();
    let tile = rows.stage(stage.index());
    stage.load(tile, piece, [0, 0]);
    stage.commit();
    stage.load(tile, piece, [8, 0]);
}

fn main() {}
