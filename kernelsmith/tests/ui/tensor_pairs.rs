use kernelsmith::prelude::*;

#[kernel(block = 128, cluster = 2)]
fn scales_of_one_block() {
    let tile = tiles::<e4m3>(1, [128, 128], Swizzle::B128).stage(0);
    let (pair, alone) = (tensor_memory_of_pair(128), tensor_memory(128));
    let sums = pair.sums::<e4m3, 64>(0);
    let scales = [pair.scales(64, 128), alone.scales(68, 64)];
    let (a, b) = (tile.k_major(0, 0), tile.k_major(0, 0));
    tensor_mma_scaled(sums, a, b, ScaleFormat::Mxfp8, scales, false);
}

#[kernel(block = 128, cluster = 2)]
fn commit_of_one_block_to_two() {
    let memory = tensor_memory(64);
    memory.commit_to_pair(mbarriers(1).stage(0));
}

#[kernel(block = 128, cluster = 2)]
fn used_after_free() {
    let memory = tensor_memory_of_pair(64);
    memory.free();
    memory.commit_to_pair(mbarriers(1).stage(0));
}

fn main() {}
