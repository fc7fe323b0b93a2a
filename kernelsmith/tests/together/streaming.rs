//! Stores past the caches and prefetches: hints, which change no result.

use kernelsmith::Target;
use kernelsmith::codegen::{Stage, emit};
use kernelsmith::ir::Kernel;
use kernelsmith::prelude::*;

use crate::harness::{Run, TARGETS};

/// Copies to `skip` elements further on, which makes rows of vectors aligned or not.
#[kernel]
fn copy<T: Num>(#[comptime] skip: usize, x: &[T], out: &mut [T]) {
    let i = block_idx_x() * block_dim_x() + thread_idx_x();
    x.prefetch(i + 64);
    x.prefetch(usize::MAX - i);
    if i < x.len() {
        out.store_streaming(i + skip, x[i]);
    }
}

/// Asks for elements in and outside of views.
#[kernel]
fn copy_views(x: &View<f32, 2>, out: &mut View<f32, 2>) {
    let i = thread_idx_x();
    x.prefetch([i + 1, i]);
    out.prefetch([usize::MAX - i, i]);
    if i < out.shape(1) {
        for row in 0..out.shape(0) {
            out[[row, i]] = x[[row, i]];
        }
    }
}

#[test]
fn views_can_be_asked_for() {
    let xs: Vec<f32> = (0..90).map(|i| i as f32).collect();
    for device in [Device::cpu(), Device::interpreter()] {
        let x = Buffer::from_slice(&device, &xs).unwrap();
        let mut out = Buffer::<f32>::zeros(&device, xs.len()).unwrap();
        let (from, to) = (View::of(&x, [3, 30]), View::of_mut(&mut out, [3, 30]));
        copy_views(from, to).grid(1).block(32).launch(&device).unwrap();
        assert_eq!(out.to_vec().unwrap(), xs);
    }
}

fn copies<T: Num>(of: impl Fn(usize) -> T) {
    for skip in [0, 1, 16] {
        let x: Vec<T> = (0..200).map(|i| of(i + 1)).collect();
        let out = vec![of(0); x.len() + skip];
        let run = Run { grid: 2, block: [128, 1, 1], shared_bytes: 0, x: &x, out: &out };
        let expected = [&out[..skip], &x[..]].concat();
        run.everywhere(|x, out| copy::<T>(skip, x, out), |found| assert_eq!(found, expected));
        run.compiles_for(&TARGETS, |x, out| copy::<T>(skip, x, out));
    }
}

#[test]
fn streamed_elements_arrive() {
    copies(|i| i as f32);
    copies(|i| i as u8);
    copies(|i| i as u64);
    copies(|i| f16::from_f32(i as f32));
}

/// Streams an element, then says so.
#[kernel(block = 32)]
fn publish(x: &[u32], out: &mut [u32]) {
    let i = thread_idx_x();
    x.prefetch(i + 32);
    out.store_streaming(i, x.load_past_l1(i));
    if i == 0 {
        fence(Ordering::Release, Scope::Device);
        out.atomic(32).store(1, Ordering::Release, Scope::Device);
    }
}

#[test]
fn targets_with_such_instructions_use_them() {
    let x = [0u32; 32];
    let run = Run { grid: 1, block: [32, 1, 1], shared_bytes: 0, x: &x, out: &[0; 33] };
    let expected = [&[0u32; 32][..], &[1]].concat();
    run.everywhere(|x, out| publish(x, out), |found| assert_eq!(found, expected));
    let text = |target: &str, stage| {
        let target: Target = target.parse().unwrap();
        let kernel: Kernel = run.kernel(|x, out| publish(x, out), &target);
        let block = Some([32, 1, 1]);
        emit(&kernel, block, &target, stage).unwrap()
    };
    let ptx = text("sm_90", Stage::Asm);
    assert!(ptx.contains("st.global.cs") && ptx.contains("prefetch.global.L2"), "{ptx}");
    assert!(ptx.contains("ld.global.nc.L1::no_allocate.b32"), "{ptx}");
    let cpu = text("cpu", Stage::Llvm);
    assert!(cpu.contains("!nontemporal") && cpu.contains("@llvm.prefetch"), "{cpu}");
    // x86's releases do not wait for streamed stores; this fence does.
    assert_eq!(cpu.matches("fence seq_cst").count(), 2, "{cpu}");
    assert!(text("gfx942", Stage::Llvm).contains("!nontemporal"));
}
