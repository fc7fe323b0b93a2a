//! Buffers, views and copies.

use half::{bf16, f16};

use super::late;
use crate::{ALIGNMENT, Buffer, Device, Element};

fn devices() -> [Device; 2] {
    [Device::cpu(), late().0]
}

fn round_trip<T: Element + PartialEq + std::fmt::Debug>(device: &Device, values: &[T]) {
    let buffer = Buffer::from_slice(device, values).unwrap();
    assert_eq!(buffer.len(), values.len());
    assert_eq!(buffer.raw().address() % ALIGNMENT, 0);
    assert_eq!(buffer.to_vec().unwrap(), values);
    let zeros = Buffer::<T>::zeros(device, values.len()).unwrap();
    assert_eq!(zeros.to_vec().unwrap(), vec![T::zeroed(); values.len()]);
}

#[test]
fn every_element_type_makes_the_round_trip() {
    for device in devices() {
        round_trip(&device, &[1i8, -2, 3]);
        round_trip(&device, &[-1i16]);
        round_trip(&device, &[i32::MIN, 7]);
        round_trip(&device, &[i64::MAX]);
        round_trip(&device, &[255u8; 1000]);
        round_trip(&device, &[1u16, 2]);
        round_trip(&device, &[1u32, 2, 3]);
        round_trip(&device, &[u64::MAX]);
        round_trip(&device, &[f16::from_f32(0.1), f16::NEG_INFINITY]);
        round_trip(&device, &[bf16::from_f32(0.1)]);
        round_trip(&device, &[0.1f32, f32::INFINITY]);
        round_trip(&device, &[0.1f64, -0.0]);
        round_trip(&device, &[1usize, usize::MAX]);
        round_trip::<f32>(&device, &[]);
    }
}

#[test]
fn views_reach_their_part_alone() {
    for device in devices() {
        let mut x = Buffer::from_slice(&device, &[0i32, 1, 2, 3, 4, 5, 6, 7]).unwrap();
        x.slice_mut(2..4).unwrap().copy_from(&[20, 30]).unwrap();
        x.slice_mut(6..).unwrap().fill_zero().unwrap();
        assert_eq!(x.slice(1..=4).unwrap().slice(1..3).unwrap().to_vec().unwrap(), [20, 30]);
        let (left, right) = x.view_mut().split_at(4).unwrap();
        assert_eq!((left.len(), right.len()), (4, 4));
        assert_eq!(right.address() - left.address(), 16);
        right.copy_from_view(left.view()).unwrap();
        assert_eq!(x.to_vec().unwrap(), [0, 1, 20, 30, 0, 1, 20, 30]);
        assert!(x.slice(8..).unwrap().is_empty());
        x.slice_mut(3..3).unwrap().copy_from(&[]).unwrap();
        x.slice_mut(2..4).unwrap().cast::<u64>().unwrap().copy_from(&[7 | 9 << 32]).unwrap();
        assert_eq!(x.slice(2..4).unwrap().to_vec().unwrap(), [7, 9]);
        assert_eq!(x.slice(3..4).unwrap().cast::<u8>().unwrap().to_vec().unwrap(), [9, 0, 0, 0]);
        let message = x.slice(1..3).unwrap().cast::<u64>().unwrap_err().to_string();
        assert!(message.contains("8 bytes from byte 4") && message.contains("u64"), "{message}");
        assert!(x.slice(2..5).unwrap().cast::<u64>().is_err());
    }
}

#[test]
fn bad_ranges_and_lengths_are_errors() {
    let mut x = Buffer::<f32>::zeros(&Device::cpu(), 4).unwrap();
    let message = x.slice(2..5).unwrap_err().to_string();
    assert!(message.ends_with("must lie within 0..4"), "{message}");
    #[allow(clippy::reversed_empty_ranges)]
    let backwards = x.slice(3..2);
    assert!(backwards.is_err());
    assert!(x.slice(..=usize::MAX).is_err());
    assert!(x.view_mut().split_at(5).is_err());
    let message = x.copy_from(&[0.0; 3]).unwrap_err().to_string();
    assert_eq!(
        message,
        "`from` is 3 elements long: must have as many elements as the other side, 4"
    );
    assert!(x.copy_to(&mut [0.0; 5]).is_err());
    let huge = Buffer::<f64>::zeros(&Device::cpu(), usize::MAX / 4).unwrap_err().to_string();
    assert!(huge.contains("times 8 bytes"), "{huge}");
}

#[test]
fn more_memory_than_there_is_is_an_error() {
    // SAFETY: never read.
    let error = unsafe { Buffer::<u8>::uninit(&Device::cpu(), 1 << 61) }.unwrap_err();
    assert!(
        matches!(error, crate::Error::OutOfMemory { bytes, .. } if bytes == 1 << 61),
        "{error}"
    );
}

#[test]
fn buffers_do_not_overlap_and_large_ones_work() {
    let device = Device::cpu();
    let buffers: Vec<_> = (0..50).map(|i| Buffer::<u8>::zeros(&device, i + 1).unwrap()).collect();
    let mut spans: Vec<_> = buffers.iter().map(|b| (b.raw().address(), b.len() as u64)).collect();
    spans.sort_unstable();
    assert!(spans.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0));
    let values: Vec<u32> = (0..3 << 20).collect();
    let large = Buffer::from_slice(&device, &values).unwrap();
    assert_eq!(large.try_clone().unwrap().to_vec().unwrap(), values);
}

#[test]
fn copies_between_devices_pass_through_the_host() {
    let (a, _) = late();
    let (b, _) = late();
    let x = Buffer::from_slice(&a, &[1.0f32, 2.0]).unwrap();
    let y = x.to_device(&b).unwrap().to_device(&Device::cpu()).unwrap();
    assert_eq!(y.to_vec().unwrap(), [1.0, 2.0]);
    let mut z = Buffer::<f32>::zeros(&a, 2).unwrap();
    let error = b.default_stream().copy(z.view_mut(), x.view()).unwrap_err().to_string();
    assert!(error.contains("copy the buffer there first"), "{error}");
}
