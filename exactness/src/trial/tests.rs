use kernelsmith::Device;
use kernelsmith::prelude::*;

use super::{Column, Place, Trial};
use crate::types::Scalar;

#[kernel]
fn k0(i0: &[u32], o0: &mut [u32], o1: &mut [f32]) {
    let i = global_idx_x();
    if i < o0.len() {
        o0[i] = i0[i] + 1;
        o1[i] = (i0[i] % 50) as f32;
    }
}

/// What is found wrong if plain Rust had these results.
fn failures(first: fn(u32) -> u32, second: fn(u32) -> f32) -> Vec<String> {
    let target = match "sm_80".parse() {
        Ok(kernelsmith::Target::Ptx(target)) => target,
        other => panic!("{other:?}"),
    };
    let places = [Place::Device("cpu", Device::cpu()), Place::Ptx(target)];
    let mut t = Trial::new("p0", 3, &places);
    t.approximate(1);
    let i0 = t.input::<u32>();
    t.expect(&i0.iter().map(|&x| first(x)).collect::<Vec<_>>());
    t.expect(&i0.iter().map(|&x| second(x)).collect::<Vec<_>>());
    for place in t.places() {
        let b0 = place.buffer(&i0);
        let (mut o0, mut o1) = (place.results::<u32>(1), place.results::<f32>(1));
        t.go(&place, k0(&b0, &mut o0, &mut o1));
        t.found(&place, 0, &o0);
        t.found(&place, 1, &o1);
    }
    t.failures
}

#[test]
fn differences_are_found_everywhere() {
    let right = |x: u32| x.wrapping_add(1);
    let near = |x: u32| ((x % 50) as f32).next_up().next_down();
    assert_eq!(failures(right, near), [""; 0]);
    let wrong = failures(|x| x | 1, near);
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(wrong[0].starts_with("cpu: result 0 of (") && wrong[0].contains(" rows differ"));
    assert!(wrong[1].starts_with("sm_80: result 0 of ("), "{wrong:?}");
    let wrong = failures(right, |x| (x % 50) as f32 * 1.000_001);
    assert_eq!(wrong.len(), 2, "{wrong:?}");
}

#[test]
fn only_the_tolerance_tolerates() {
    let (one, near) = (Column::new(&[1.0f32, 0.0], 1), Column::new(&[1.0f32.next_up(), -0.0], 1));
    assert!(!one.agrees(&near, 0, 0) && one.agrees(&near, 0, 1));
    assert!(!one.agrees(&near, 1, 0) && one.agrees(&near, 1, 1));
    let nan = Column::new(&[f32::NAN, -f32::NAN], 1);
    assert!(!one.agrees(&nan, 0, 3) && nan.agrees(&Column::new(&[-f32::NAN; 2], 1), 0, 0));
    assert_eq!(Column::new(&[-1i8], 1).text(0), "-1i8");
    assert_eq!(Scalar::I8.name(), "i8");
}
