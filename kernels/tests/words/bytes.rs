//! Products of bytes are exact, whatever their signs, and sums wrap.

use kernelsmith::prelude::*;
use kernelsmith_kernels::matmul::{Factor, Matmul, Packed};
use proptest::prelude::*;

use super::{Lie, Tensor, indices, lie, random};

/// What is asked of a product.
#[derive(Clone, Debug)]
struct Case {
    /// Batch, m, n, k.
    shape: [usize; 4],
    lies: [Lie; 3],
    seed: u64,
    alpha: i32,
    beta: i32,
    packed: bool,
    bias: bool,
    residual: bool,
    map: bool,
}

const PLAIN: Case = Case {
    shape: [1, 5, 7, 9],
    lies: [Lie::Rows; 3],
    seed: 1,
    alpha: 1,
    beta: 0,
    packed: false,
    bias: false,
    residual: false,
    map: false,
};

/// Bytes as they are: the extremes one time in four.
trait Byte: Num {
    fn of(bits: u8) -> Self;
    fn wide(self) -> i32;
}

impl Byte for i8 {
    fn of(bits: u8) -> i8 {
        bits as i8
    }
    fn wide(self) -> i32 {
        self.into()
    }
}

impl Byte for u8 {
    fn of(bits: u8) -> u8 {
        bits
    }
    fn wide(self) -> i32 {
        self.into()
    }
}

fn byte<T: Byte>(state: &mut u64) -> T {
    let bits = random(state);
    T::of(match bits % 4 {
        0 => [0x00, 0x7f, 0x80, 0xff][(bits >> 2) as usize % 4],
        _ => (bits >> 8) as u8,
    })
}

/// What is done to sums: one function of all products, so that they have kernels in common.
fn shifted(x: Val<i32>) -> Val<i32> {
    x.max(0) >> 3
}

fn check<T: Byte + Factor<U, Sum = i32>, U: Byte + Factor + Factor<T, Sum = i32>>(
    device: &Device,
    case: &Case,
) {
    let Case { shape: [batch, m, n, k], lies, seed, alpha, beta, .. } = *case;
    let mut state = seed | 1;
    let a = Tensor::<T>::new(device, [batch, m, k], lies[0], T::of(0x55), || byte(&mut state));
    let b = Tensor::<U>::new(device, [batch, k, n], lies[1], U::of(0x55), || byte(&mut state));
    let mut word = || random(&mut state) as i32;
    let shape = [batch, m, n];
    let c = Tensor::<i32>::new(device, shape, lies[2], -7, &mut word);
    let residual = Tensor::<i32>::new(device, shape, Lie::Padded, 0, &mut word);
    let bias: Vec<i32> = (0..n).map(|_| word()).collect();
    let bias_there = Buffer::from_slice(device, &bias).unwrap();
    let packed = case.packed.then(|| Packed::new(b.view()).unwrap());
    let product = match &packed {
        Some(packed) => Matmul::new(a.view(), packed),
        None => Matmul::new(a.view(), b.view()),
    };
    let mut product = product.alpha(alpha).beta(beta);
    if case.bias {
        product = product.bias(&bias_there);
    }
    if case.residual {
        product = product.residual(residual.view());
    }
    let mut c = c;
    let to = View::of_mut(&mut c.buffer, c.shape).strides(c.strides);
    match case.map {
        true => product.map(shifted).run(to),
        false => product.run(to),
    }
    .unwrap();
    device.synchronize().unwrap();
    for (at, found) in indices(shape).zip(c.read(-7)) {
        let [s, row, column] = at;
        let sum = (0..k).fold(0i32, |sum, p| {
            sum.wrapping_add(a.at([s, row, p]).wide() * b.at([s, p, column]).wide())
        });
        let mut x = alpha.wrapping_mul(sum).wrapping_add(beta.wrapping_mul(c.at(at)));
        x = x.wrapping_add(if case.bias { bias[column] } else { 0 });
        x = if case.map { x.max(0) >> 3 } else { x };
        x = x.wrapping_add(if case.residual { residual.at(at) } else { 0 });
        assert_eq!(found, x, "{case:?} at {at:?}");
    }
}

fn check_all(device: &Device, case: &Case) {
    check::<i8, i8>(device, case);
    check::<u8, i8>(device, case);
    check::<i8, u8>(device, case);
    check::<u8, u8>(device, case);
}

prop_compose! {
    fn case()(
        shape in (1usize..3, 0usize..70, 0usize..80, 0usize..150),
        lies in [lie(), lie(), lie()],
        seed: u64,
        alpha in prop_oneof![Just(1), Just(-3)],
        beta in prop_oneof![Just(0), Just(1), Just(5)],
        packed: bool,
        bias: bool,
        residual: bool,
        map: bool,
    ) -> Case {
        let (batch, m, n, k) = shape;
        Case { shape: [batch, m, n, k], lies, seed, alpha, beta, packed, bias, residual, map }
    }
}

// Most of a case's time is that of the compiler: few cases have a kernel in common.
proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn products_of_bytes_are_exact(case in case()) {
        check_all(&Device::cpu(), &case);
    }
}

/// Deeper than what a block copies of A at a time, and low and high.
#[test]
fn deep_low_and_high_products_are_exact() {
    let device = Device::cpu();
    for (shape, packed) in
        [([1, 13, 40, 4101], true), ([1, 1, 70, 9000], false), ([1, 200, 33, 96], false)]
    {
        for lies in [[Lie::Rows; 3], [Lie::Columns, Lie::Columns, Lie::Rows]] {
            check::<i8, i8>(&device, &Case { shape, lies, packed, bias: true, ..PLAIN });
            check::<u8, i8>(&device, &Case { shape, lies, packed, beta: 2, ..PLAIN });
        }
    }
}

/// 40,000 products of 65,025 are more than an i32 holds.
#[test]
fn sums_wrap() {
    let (device, k) = (Device::cpu(), 40_000);
    let a = Buffer::from_slice(&device, &vec![255u8; k]).unwrap();
    let mut c = Buffer::<i32>::zeros(&device, 1).unwrap();
    Matmul::new(View::of(&a, [1, k]), View::of(&a, [k, 1]))
        .run(View::of_mut(&mut c, [1, 1]))
        .unwrap();
    assert_eq!(c.to_vec().unwrap(), [(k as i64 * 65_025) as i32]);
    let a = Buffer::from_slice(&device, &vec![-128i8; k]).unwrap();
    Matmul::new(View::of(&a, [1, k]), View::of(&a, [k, 1]))
        .run(View::of_mut(&mut c, [1, 1]))
        .unwrap();
    assert_eq!(c.to_vec().unwrap(), [k as i32 * 16_384]);
}

/// Races, and reads of what nobody wrote, are findings.
#[test]
fn the_interpreter_finds_nothing() {
    for target in ["cpu", "sm_90a", "gfx942"] {
        let device = Device::interpreter_for(target.parse().unwrap());
        let case = Case { shape: [2, 21, 35, 18], map: true, bias: true, beta: 3, ..PLAIN };
        check::<i8, i8>(&device, &Case { residual: true, ..case.clone() });
        let lies = [Lie::Columns, Lie::Columns, Lie::Rows];
        check::<u8, u8>(&device, &Case { lies, packed: true, ..case.clone() });
        check::<u8, i8>(&device, &Case { lies: [Lie::Apart; 3], ..case });
    }
}
