//! Rust as it is written where nobody thinks of kernels.

use kernelsmith::prelude::*;

// 1 match guards/ranges/or patterns
#[device(host)]
fn classify(a: u32, b: u32, c: u32) -> u32 {
    match a {
        0 => 1,
        1..=9 if b > 3 => 2,
        1 | 3 | 5 | 7 | 9 => 3,
        10.. => match (b, c) {
            (0, 0) => 4,
            (x, 0) | (0, x) => x,
            (x, y) if x == y => 5,
            (x, y) => x + y,
        },
        _ => 6,
    }
}

#[device(host)]
fn guards_only(a: u32, b: u32, c: u32) -> u32 {
    match a {
        x if x > b => 1,
        x if x == c => 2,
        _ => 3,
    }
}

#[device(host)]
fn guards_on_tuple(a: u32, b: u32, c: u32) -> u32 {
    let r = match (a, b) {
        (x, y) if x > y => x - y,
        (x, y) if x == y && c > 2 => c,
        (x, y) => y - x,
    };
    let s = match () {
        _ if a > 10 => 1,
        _ if b > 10 => 2,
        _ => 3,
    };
    r * 10 + s
}

#[device(host)]
fn nested_closures(a: u32, b: u32, c: u32) -> u32 {
    let add = |x: u32| move |y: u32| x + y;
    let f = add(a);
    let g = |h: &dyn Fn(u32) -> u32, n: u32| h(n) * 2;
    let twice = |x| f(f(x));
    g(&|x| x + b, c) + twice(3)
}

#[device(host)]
fn early(a: u32, b: u32, c: u32) -> u32 {
    if a == 0 {
        return 7;
    }
    let mut i = 0;
    while i < b {
        if i == c {
            return i * 3;
        }
        i += 1;
    }
    let x = if a > b { a } else { return 5 };
    x + i
}

#[device(host)]
fn labels(a: u32, b: u32, c: u32) -> u32 {
    let mut found = None;
    'rows: for i in 0..a {
        for j in 0..b {
            if i * j == c {
                found = Some((i, j));
                break 'rows;
            }
            if j > i {
                continue 'rows;
            }
        }
    }
    match found {
        Some((i, j)) => i * 100 + j,
        None => 9999,
    }
}

#[device(host)]
fn option_variable(a: u32, b: u32, c: u32) -> u32 {
    let mut best: Option<u32> = None;
    for i in 0..a {
        let v = i * b % 7;
        if v > c {
            continue;
        }
        best = match best {
            None => Some(v),
            Some(x) if v > x => Some(v),
            other => other,
        };
    }
    best.unwrap_or(100)
}

#[device(host)]
fn option_of_if(a: u32, b: u32, c: u32) -> u32 {
    let x = if a > b { Some(a - b) } else { None };
    let y = x.map(|v| v * 2).filter(|v| *v < c);
    if let Some(v) = y {
        v
    } else if let Some(w) = x {
        w + 1000
    } else {
        2000
    }
}

#[device(host)]
fn find_first(xs: [u32; 4], limit: u32) -> Option<u32> {
    for x in xs {
        if x > limit {
            return Some(x);
        }
    }
    None
}

#[device(host(find_first))]
fn option_function(a: u32, b: u32, c: u32) -> u32 {
    let Some(x) = find_first([a, b, c, 5], 10) else {
        return 1;
    };
    let y = find_first([c, b, a, 9], 3).unwrap_or_default();
    x + y * 100
}

#[device(host)]
fn while_let(a: u32, b: u32, c: u32) -> u32 {
    let mut n = a;
    let mut steps = 0;
    while let Some(next) = n.checked_sub(b + 1) {
        n = next;
        steps += 1;
    }
    n + steps * 100 + c
}

#[device(host)]
fn swap(x: &mut u32, y: &mut u32) {
    let t = *x;
    *x = *y;
    *y = t;
}

#[device(host(swap))]
fn sort3(a: u32, b: u32, c: u32) -> u32 {
    let mut v = [a, b, c];
    if v[0] > v[1] {
        v.swap(0, 1);
    }
    if v[1] > v[2] {
        v.swap(1, 2);
    }
    let (mut p, mut q) = (v[0], v[1]);
    if p > q {
        swap(&mut p, &mut q);
    }
    if p > q {
        std::mem::swap(&mut p, &mut q);
    }
    let old = std::mem::replace(&mut p, 4);
    old + 100 * q + 10000 * v[2] + p
}

#[device(host)]
fn literals_fall_back(a: u32, b: u32, _c: u32) -> u32 {
    let mut n = 0;
    let mut total = 0;
    while total < a {
        total += b + 1;
        n += 1;
    }
    if 100 * n > 300 { 1 } else { 2 }
}

#[device(host)]
fn float_fall_back(a: u32, _b: u32, _c: u32) -> u32 {
    let mut x = 1.0;
    for _ in 0..a {
        x = x * 0.5 + 1.0;
    }
    (x * 1000.0) as u32
}

#[device(host)]
fn checked_ops(a: u32, b: u32, c: u32) -> u32 {
    let x = a.checked_sub(b).unwrap_or(3);
    let y = (a as u8).saturating_add(250).wrapping_mul(c as u8);
    let (z, o) = (a as i8).overflowing_sub(100);
    x + y as u32 + z as u8 as u32 + o as u32 + a.pow(2) + b.leading_zeros() + c.count_ones()
}

#[device(host)]
fn as_chains(a: u32, b: u32, c: u32) -> u32 {
    let x = (a as i32 - 10) as f32 * 1.5;
    let y = x as u8 as i8 as i32 as u32;
    let z = (b as f32 / 3.0).round() as i64 as usize;
    let w = (c > 3) as u32 + (a as u64 * b as u64 >> 2) as u32;
    y.wrapping_add(z as u32) + w
}

#[device(host)]
fn matches_macro(a: u32, b: u32, c: u32) -> u32 {
    let x = matches!(a, 1..=5 | 9);
    let y = matches!((a, b), (0, _) | (_, 0));
    let z = matches!(c, n if n > 4);
    x as u32 + 2 * y as u32 + 4 * u32::from(z)
}

#[device(host)]
fn defaults(a: u32, b: u32, c: u32) -> u32 {
    let mut x: u32 = Default::default();
    let mut y = [u32::default(); 3];
    let z = <u32>::default();
    x += a;
    y[1] += b;
    x + y[1] + z + c
}

#[device(host)]
fn asserts(a: u32, b: u32, c: u32) -> u32 {
    assert!(a < 1000);
    debug_assert!(b < 1000, "b is {}", b);
    assert_eq!(c, c);
    if a > 5000 {
        unreachable!();
    }
    if b > 5000 {
        panic!("b is too large");
    }
    match c {
        0..=1000 => c,
        _ => unreachable!("c is small"),
    }
}

#[device(host)]
fn iterators(a: u32, b: u32, c: u32) -> u32 {
    let xs = [a, b, c, 4];
    let sum: u32 = xs.iter().sum();
    let prod = xs.iter().map(|x| x % 3 + 1).product::<u32>();
    let m = xs.iter().copied().max().unwrap();
    let n = *xs.iter().min().unwrap();
    let any = xs.iter().any(|&x| x > 10);
    let all = xs.iter().all(|x| *x < 20);
    let pos = xs.iter().position(|&x| x == c).unwrap_or(9);
    let count = xs.iter().filter(|x| **x > 5).count();
    let folded = xs.iter().fold(0, |acc, x| acc * 2 + x);
    sum + prod + m * 3 + n + any as u32 + all as u32 * 2 + pos as u32 + count as u32 + folded
}

#[device(host)]
fn iterators2(a: u32, b: u32, c: u32) -> u32 {
    let xs = [a, b, c, 4];
    let ys: [u32; 4] = [1, 2, 3, 4];
    let dot: u32 = xs.iter().zip(ys.iter()).map(|(x, y)| x * y).sum();
    let total: u32 = (0..a).map(|i| i * b).sum();
    let evens = (0..a).filter(|i| i % 2 == 0).count() as u32;
    let chained: u32 = xs.iter().chain(ys.iter()).skip(1).take(5).sum();
    let last = xs.iter().rev().step_by(2).map(|x| x + 1).max().unwrap();
    let f = xs.map(|x| x as f32).iter().cloned().fold(f32::NEG_INFINITY, f32::max);
    dot + total + evens + chained + last + f as u32
}

#[device(host)]
fn shadowing(a: u32, b: u32, c: u32) -> u32 {
    let x = a;
    let x = x + b;
    let mut x = [x, c];
    x[0] += 1;
    let x = x[0] * x[1];
    for x in 0..x % 5 {
        let _ = x;
    }
    x
}

#[device(host)]
fn all_caps_locals(a: u32, b: u32, c: u32) -> u32 {
    #[allow(non_snake_case)]
    let (A, B) = (a + 1, b + 1);
    #[allow(non_snake_case)]
    let mut C = c;
    C += A;
    let v = u32::max(A, B);
    let w = A.min(C);
    let r = if a > 3 { A } else { B };
    v + w + r + C
}

#[device(host)]
fn same<T: Copy>(x: T) -> T {
    x
}

#[device(host(same))]
fn all_caps_arguments(a: u32, b: u32, _c: u32) -> u32 {
    #[allow(non_snake_case)]
    let N = a + 1;
    const K: u32 = 3;
    same(N) + same(b) + same::<u32>(K)
}

#[device(host)]
fn tuples_from_if(a: u32, b: u32, c: u32) -> u32 {
    let (lo, hi) = if a < b { (a, b) } else { (b, a) };
    let ((x, y), z) = match c % 3 {
        0 => ((lo, hi), 1),
        1 => ((hi, lo), 2),
        _ => ((0, 0), 3),
    };
    x + y * 10 + z * 100
}

#[device(host)]
fn arrays_of_arrays(a: u32, b: u32, c: u32) -> u32 {
    let mut m = [[0u32; 3]; 3];
    for (i, row) in m.iter_mut().enumerate() {
        for (j, x) in row.iter_mut().enumerate() {
            *x = a * i as u32 + b * j as u32;
        }
    }
    let mut t = [[0; 3]; 3];
    for i in 0..3 {
        for j in 0..3 {
            t[j][i] = m[i][j];
        }
    }
    let row = t[(c % 3) as usize];
    let trace: u32 = (0..3).map(|i| t[i][i]).sum();
    row.iter().sum::<u32>() + trace + m.len() as u32 + m[0].len() as u32
}

#[device(host)]
fn const_generic<const N: usize>(xs: [u32; N]) -> [u32; N] {
    let mut out = [0; N];
    let mut i = 0;
    while i < N {
        out[N - 1 - i] = xs[i];
        i += 1;
    }
    out
}

#[device(host(const_generic))]
fn calls_const_generic(a: u32, b: u32, c: u32) -> u32 {
    let [x, y, z] = const_generic([a, b, c]);
    let r = const_generic::<2>([a, 1]);
    x + 10 * y + 100 * z + r[1]
}

#[device(host)]
fn slice_patterns(a: u32, b: u32, c: u32) -> u32 {
    let xs = [a, b, c];
    let [first, .., last] = xs;
    let [head, tail @ ..] = xs;
    match xs {
        [0, ..] => 1,
        [_, 0, x] => x,
        [x, .., y] if x == y => 77,
        _ => first + last + head + tail[0],
    }
}

#[device(host)]
fn let_else_and_loops(a: u32, b: u32, c: u32) -> u32 {
    let mut i = a;
    let r = loop {
        let Some(j) = i.checked_sub(c + 1) else { break i };
        i = j;
        if i % 7 == b % 7 {
            break 100 + i;
        }
    };
    let v = 'found: {
        if r > 50 {
            break 'found 1;
        }
        for k in 0..r {
            if k * k > b {
                break 'found k;
            }
        }
        2
    };
    r + v * 1000
}

#[device(host)]
fn bools(a: u32, b: u32, c: u32) -> u32 {
    let mut ok = true;
    ok &= a > 3;
    ok |= b == 2;
    ok ^= c > 10;
    let x = ok && !(a > b) || c == 0;
    let y = x.then(|| a + 1).unwrap_or(5);
    let z = (a > b).then_some(b).unwrap_or(9);
    if ok == x { y } else { z }
}

#[device(host)]
fn floats(a: u32, b: u32, c: u32) -> u32 {
    let x = a as f32;
    let y = x.mul_add(2.0, 0.5).max(b as f32).min(100.0).clamp(1.0, 50.0);
    let z = if y.is_nan() { 0.0 } else { y.floor() };
    let w = f32::from_bits(c) + f32::EPSILON * std::f32::consts::PI;
    let v = (x - y).abs().signum().copysign(-z);
    (z + w + v + x.recip().fract()).to_bits()
}

#[device(host)]
fn ints(a: u32, b: u32, c: u32) -> u32 {
    let x = a as i32 - 12;
    let y = x.abs() + x.signum() * 2 + x.rem_euclid(5) + x.div_euclid(3);
    let z = (x.pow(2) as u32).rotate_left(b % 32) ^ c.swap_bytes() ^ b.reverse_bits();
    let w = (u32::MAX / (c + 2)) ^ i32::MIN as u32 ^ u8::MAX as u32;
    let v = i64::from(x) as u16 as u32 + u64::from(a) as u32 + usize::from(b as u8) as u32;
    let u: u64 = a.into();
    z.wrapping_add(y as u32).wrapping_add(w).wrapping_add(v).wrapping_add(u as u32)
}

#[device(host)]
fn sum_checked(a: u32, b: u32) -> Option<u32> {
    let x = a.checked_sub(b)?;
    let y = x.checked_mul(3)?;
    Some(y + 1)
}

#[device(host(sum_checked))]
fn question_marks(a: u32, b: u32, c: u32) -> u32 {
    let third = |x: u32| -> Option<u32> {
        let y = sum_checked(x, c)?;
        if y % 2 == 0 { Some(y / 2) } else { None }
    };
    sum_checked(a, b).unwrap_or(500) + third(a).map_or(1000, |x| x * 2)
}

#[device(host)]
fn let_chains(a: u32, b: u32, c: u32) -> u32 {
    let x = if let Some(d) = a.checked_sub(b)
        && d > c
    {
        d
    } else {
        c + 100
    };
    let mut n = a;
    let mut steps = 0;
    while let Some(m) = n.checked_sub(b + 1)
        && m > 2
    {
        n = m;
        steps += 1;
    }
    if a > b
        && let Some(d) = a.checked_sub(c)
        && let Some(e) = d.checked_sub(b)
    {
        steps += e * 10;
    }
    x + n * 100 + steps * 1000
}

#[device(host)]
fn option_parameter(x: Option<u32>, y: Option<(u32, bool)>) -> u32 {
    let z = match (x, y) {
        (Some(a), Some((b, true))) => a + b,
        (Some(a), Some((_, false))) => a,
        (None, Some((b, _))) => b * 2,
        (Some(3), None) => 33,
        (_, None) => 7,
    };
    let w = match x {
        Some(v) if v > 10 => 1,
        Some(0) => 2,
        Some(_) => 3,
        None => 4,
    };
    z * 10 + w
}

#[device(host(option_parameter))]
fn options_everywhere(a: u32, b: u32, c: u32) -> u32 {
    let mut slot = Some(a);
    let mut sum = 0;
    if b > 5 {
        sum += slot.take().unwrap_or(1);
    }
    if slot.is_none() && c > 3 {
        slot = Some(c);
    }
    let pair = if c > 10 { Some((b, a > b)) } else { None };
    let both = slot.zip(a.checked_sub(b)).map(|(x, y)| x + y);
    let either = a.checked_sub(b).or_else(|| b.checked_sub(a + 1)).unwrap_or(0);
    let equal = (slot == Some(c)) as u32 + 2 * (both != None) as u32;
    let filtered = slot.filter(|v| *v > 4).is_some_and(|v| v % 2 == 0);
    sum + option_parameter(slot, pair)
        + 1000 * option_parameter(None, Some((c, filtered)))
        + either
        + equal
        + both.unwrap_or(5)
}

#[device(host)]
fn filtered_iterators(a: u32, b: u32, c: u32) -> u32 {
    let xs = [a, b, c, 7, 11];
    let mut sum = 0;
    for x in xs.iter().filter(|x| **x > 5) {
        sum = sum * 3 + x;
    }
    for (i, x) in xs.iter().filter(|&&x| x % 2 == 1).enumerate() {
        sum += i as u32 * x;
    }
    let evens: u32 = (0..a).filter(|i| i % 2 == 0).map(|i| i * b).sum();
    let found = xs.iter().find(|x| **x > b).copied().unwrap_or(99);
    let before: u32 = xs.iter().take_while(|x| **x != 7).sum();
    let behind = xs.iter().skip_while(|x| **x < 10).count() as u32;
    let halves: u32 = xs.iter().filter_map(|x| x.checked_sub(9)).sum();
    let smallest = (b..a + b).map(|i| i * 7 % 11).min().unwrap_or(50);
    let any = (0..a).any(|i| i * i == b) as u32;
    let last = xs.iter().filter(|x| **x < 10).last().copied().unwrap_or(3);
    let at = xs.iter().position(|x| *x == c).map_or(100, |i| i as u32);
    sum + evens + found + before + behind + halves + smallest + any + last + at
}

#[device(host)]
fn sum_slice(xs: &[u32], from: usize) -> u32 {
    let mut s = 0;
    for i in from..xs.len() {
        s += xs[i];
    }
    s
}

#[device(host(sum_slice))]
fn slices_as_parameters(a: u32, b: u32, c: u32) -> u32 {
    let xs = [a, b, c, 1, 2];
    let ys = [[a, b], [c, a]];
    sum_slice(&xs, 1) + sum_slice(&xs[1..3], 0) + sum_slice(&ys[1], 0)
}

#[device(host)]
fn fill(xs: &mut [u32], v: u32) {
    for x in xs.iter_mut() {
        *x = v;
    }
    for i in 0..xs.len() {
        xs[i] += i as u32;
    }
}

#[device(host(fill))]
fn mutable_slices(a: u32, b: u32, c: u32) -> u32 {
    let mut xs = [a, b, c];
    fill(&mut xs, a);
    let mut ys = [0u32; 4];
    fill(&mut ys[1..3], b);
    xs[0] + 10 * xs[2] + 100 * ys[0] + 1000 * ys[1]
}

#[device(host)]
fn bubble_sort(xs: &mut [u32]) -> u32 {
    let mut swaps = 0;
    for i in 0..xs.len() {
        for j in 0..xs.len() - 1 - i {
            if xs[j] > xs[j + 1] {
                xs.swap(j, j + 1);
                swaps += 1;
            }
        }
    }
    if swaps == 0 {
        return 100;
    }
    swaps
}

#[device(host)]
fn binary_search(xs: &[u32], x: u32) -> Option<usize> {
    let (mut lo, mut hi) = (0, xs.len());
    while lo < hi {
        let mid = lo + (hi - lo) / 2;
        if xs[mid] == x {
            return Some(mid);
        }
        if xs[mid] < x {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    None
}

#[device(host(bubble_sort, binary_search))]
fn sorts_and_searches(a: u32, b: u32, c: u32) -> u32 {
    let mut xs = [a, b, c, 9, a ^ b];
    let swaps = bubble_sort(&mut xs);
    let mut tail = [c, b, a, 1];
    bubble_sort(&mut tail[1..]);
    let at = binary_search(&xs, c).map_or(50, |i| i as u32);
    let nowhere = binary_search(&[2, 3, 5, 7], a).is_some() as u32;
    swaps + at * 100 + tail[1] * 1000 + tail[0] + nowhere + xs[4]
}

crate::agreement!(agree:
    classify, guards_only, guards_on_tuple, nested_closures, early, labels, option_variable, option_of_if, option_function, while_let, sort3, literals_fall_back, float_fall_back, checked_ops, as_chains, matches_macro, defaults, asserts, iterators, iterators2, shadowing, all_caps_locals, all_caps_arguments, tuples_from_if, arrays_of_arrays, calls_const_generic, slice_patterns, let_else_and_loops, bools, floats, ints,
    question_marks, let_chains, options_everywhere, filtered_iterators,
    slices_as_parameters, mutable_slices, sorts_and_searches,
);

#[kernel]
fn sorts(x: &[u32], out: &mut [u32]) {
    out[0] = sorts_and_searches(x[0], x[1], x[2]);
}

#[test]
fn arrays_become_local_memory_on_all_targets() {
    use kernelsmith::codegen::{Stage, emit};
    let device = Device::interpreter();
    let x = Buffer::from_slice(&device, &[7, 3, 5]).unwrap();
    let mut out = Buffer::<u32>::zeros(&device, 1).unwrap();
    sorts(&x, &mut out).grid(1).block(1).launch(&device).unwrap();
    assert_eq!(out.to_vec().unwrap(), [sorts_and_searches::host(7, 3, 5)]);
    for name in ["sm_90", "gfx942", "gfx1201"] {
        let target: kernelsmith::Target = name.parse().unwrap();
        emit(&sorts_ir(&target).unwrap(), None, &target, Stage::Asm).unwrap();
    }
}
