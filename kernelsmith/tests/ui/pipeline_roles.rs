use kernelsmith::prelude::*;

#[kernel(block = 256)]
fn consumer_fills() {
    let (_, consumer) = pipeline::<2>(128).split();
    let stage = consumer.acquire();
    stage.commit();
}

#[kernel(block = 256)]
fn producer_uses() {
    let (producer, _) = pipeline::<2>(128).split();
    let stage = producer.wait();
    stage.release();
}

#[kernel(block = 256)]
fn full_stage_is_filled(x: &TensorMap<f32, 2>) {
    let piece = x.tile([8, 32], Swizzle::B128);
    let rows = tiles::<f32>(2, [8, 32], Swizzle::B128);
    let (_, consumer) = pipeline::<2>(128).split();
    let stage = consumer.wait();
    stage.load(rows.stage(stage.index()), piece, [0, 0]);
    stage.commit();
}

#[kernel(block = 256)]
fn empty_stage_is_released() {
    let (producer, _) = pipeline::<2>(128).split();
    let stage = producer.acquire();
    stage.release();
}

#[kernel(block = 256)]
fn split_twice() {
    let ring = pipeline::<2>(128);
    let (producer, _) = ring.split();
    let (_, consumer) = ring.split();
    producer.acquire().commit_bytes(0);
    consumer.wait().release();
}

#[kernel(block = 256)]
fn stages_of_another_ring() {
    let (_, twos) = pipeline::<2>(128).split();
    let (_, threes) = pipeline::<3>(128).split();
    let before = twos.hold();
    before.replace(threes.wait());
    before.release();
}

fn main() {}
