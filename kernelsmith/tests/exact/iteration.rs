//! What `for` goes over.

use kernelsmith::prelude::*;

#[device(host)]
fn stepped_and_reversed(a: u32, b: u32, c: u32) -> u32 {
    let mut sum = 0u32;
    for i in (b..a).step_by(c as usize % 5 + 1) {
        sum = sum.wrapping_mul(31).wrapping_add(i);
    }
    for i in (0..b).rev() {
        sum = sum.wrapping_mul(31).wrapping_add(i);
    }
    for i in (c..c + 20).step_by(3).rev() {
        sum = sum.wrapping_mul(31).wrapping_add(i);
    }
    for i in (0..10u32).step_by(4) {
        sum = sum.wrapping_mul(31).wrapping_add(i);
    }
    sum
}

#[device(host)]
fn signed_ranges(a: u32, b: u32, _c: u32) -> u32 {
    let mut sum = 0i32;
    for i in -(a as i32)..b as i32 {
        sum = sum.wrapping_mul(3).wrapping_add(i);
    }
    for i in (-5..b as i32 - 10).rev() {
        sum = sum.wrapping_mul(3).wrapping_add(i);
    }
    sum as u32
}

#[device(host)]
fn mutable_counter(a: u32, b: u32, _c: u32) -> u32 {
    let mut sum = 0;
    for mut i in 0..a {
        i += b;
        sum += i;
    }
    sum
}

#[device(host)]
fn over_arrays(a: u32, b: u32, c: u32) -> u32 {
    let values = [a, b, c, 7];
    let mut sum = 0;
    for v in values {
        sum = sum * 3 + v;
    }
    for (i, v) in values.iter().enumerate() {
        sum += i as u32 * *v;
    }
    let weights = [1, 2, 3, 4];
    for (x, y) in values.iter().zip(weights) {
        sum += x * y;
    }
    for &v in values.iter().rev() {
        sum = sum * 2 + v;
    }
    sum
}

#[device(host)]
fn changing_arrays(a: u32, b: u32, c: u32) -> u32 {
    let mut rows = [[a, b], [c, 1], [2, 3]];
    for row in rows.iter_mut() {
        row[0] += 1;
        for v in row.iter_mut() {
            *v *= 3;
        }
    }
    for (i, row) in rows.iter_mut().enumerate() {
        if row[0] > 20 {
            continue;
        }
        row[1] += i as u32;
    }
    for row in &mut rows {
        let [x, y] = *row;
        *row = [y, x];
    }
    let mut sum = 0;
    for row in rows {
        sum = sum * 5 + row[0] * 2 + row[1];
    }
    sum
}

#[device(host)]
fn changing_side_by_side(a: u32, b: u32, c: u32) -> u32 {
    let mut x = [a, b, c, 1];
    let mut y = [b, 7, a, c];
    for (v, w) in x.iter_mut().zip(y.iter_mut()) {
        *v += *w;
        *w = *v * 2;
    }
    for (v, w) in x.iter_mut().rev().zip([10, 20, 30, 40]) {
        *v = *v * 3 + w;
    }
    for (i, v) in y.iter_mut().skip(1).enumerate() {
        if *v > 30 {
            continue;
        }
        *v += i as u32;
    }
    let mut sum = 0;
    for (v, w) in x.iter().zip(y.iter()) {
        sum = sum * 3 + *v + 5 * *w;
    }
    sum
}

crate::agreement!(agree:
    stepped_and_reversed, signed_ranges, mutable_counter, over_arrays, changing_arrays,
    changing_side_by_side,
);

/// A kernel, and the same function on the host.
macro_rules! both {
    ($kernel:ident $host:ident ($($arguments:tt)*) $body:tt) => {
        #[kernel]
        fn $kernel($($arguments)*) $body

        fn $host($($arguments)*) $body
    };
}

// One thread does it all.
both! { walks_memory walks_on_the_host (n: usize, x: &[u32], y: &mut [u32], out: &mut [u32]) {
    for v in y.iter_mut() {
        *v = *v * 3 + 1;
    }
    for (i, v) in y.iter_mut().enumerate() {
        if i % 3 == 1 {
            continue;
        }
        *v += i as u32;
    }
    for (v, w) in y.iter_mut().zip(x.iter()) {
        *v ^= *w;
    }
    for (w, v) in x.iter().rev().zip(y.iter_mut().rev()) {
        *v = v.wrapping_add(*w);
    }
    for v in y[1..n].iter_mut().step_by(2).skip(1) {
        let mut k = *v;
        k += 5;
        *v = k;
    }
    // Parts of memory that may change are read as others are.
    fn last_but(n: usize, x: &[u32]) -> u32 {
        x[x.len() - 1 - n.min(x.len() - 1)]
    }
    // What is lent to change is changed more than once.
    for v in y[..n.min(2)].iter_mut() {
        *v += 3;
        *v ^= *v << 2;
    }
    out[5] = last_but(1, &y[n / 2..]) ^ last_but(0, &x[..n]);
    out[0] = x.iter().copied().min().unwrap_or(77);
    out[1] = x.iter().map(|v| *v ^ 21).max().unwrap_or(78);
    out[2] = y.iter().max().copied().unwrap_or(79);
    out[3] = match x.iter().skip(1).copied().max() {
        Some(found) => found + 1,
        None => 80,
    };
    out[4] = x.iter().map(|v| *v as i32 - 50).min().unwrap_or(5) as u32;
}}

#[test]
fn memory_is_changed_and_searched_as_in_rust() {
    for device in [Device::cpu(), Device::interpreter()] {
        for n in [1usize, 2, 3, 17, 100] {
            let x: Vec<u32> = (0..n as u32).map(|i| i * 37 % 101).collect();
            let mut y: Vec<u32> = (0..n as u32).map(|i| i * 53 % 97).collect();
            let mut out = [0; 6];
            let on_device = Buffer::from_slice(&device, &x).unwrap();
            let mut changed = Buffer::from_slice(&device, &y).unwrap();
            let mut found = Buffer::<u32>::zeros(&device, 6).unwrap();
            walks_memory(n, &on_device, &mut changed, &mut found)
                .grid(1)
                .block(1)
                .launch(&device)
                .unwrap();
            walks_on_the_host(n, &x, &mut y, &mut out);
            assert_eq!(changed.to_vec().unwrap(), y, "{n}");
            assert_eq!(found.to_vec().unwrap(), out, "{n}");
        }
        // Nothing to find.
        let empty = Buffer::<u32>::zeros(&device, 1).unwrap();
        let mut found = Buffer::<u32>::zeros(&device, 5).unwrap();
        nothing(empty.slice(..0).unwrap(), &mut found).grid(1).block(1).launch(&device).unwrap();
        assert_eq!(found.to_vec().unwrap()[..2], [77, 78]);
    }
}

#[kernel]
fn nothing(x: &[u32], out: &mut [u32]) {
    out[0] = x.iter().copied().min().unwrap_or(77);
    out[1] = x.iter().max().copied().unwrap_or(78);
}
