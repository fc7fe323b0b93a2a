//! Tensors of GPTQ and AWQ: packed here as their papers' code does, word by word.

use kernelsmith::{Device, f16};
use kernelsmith_kernels::quant::{Int4Order, Int4Tensors, QuantizedMatrix};
use proptest::prelude::*;

use crate::product::{check, numbers};

const ORDERS: [Int4Order; 3] =
    [Int4Order::Gptq { less_by_one: true }, Int4Order::Gptq { less_by_one: false }, Int4Order::Awq];

/// The order of columns in a word of AWQ's.
const AWQ: [usize; 8] = [0, 2, 4, 6, 1, 3, 5, 7];

/// Eight numbers of 4 bits along columns of a row-major matrix.
fn along_columns(x: &[u8], order: Int4Order) -> Vec<u32> {
    let at = |i: usize| if order == Int4Order::Awq { AWQ[i] } else { i };
    x.chunks_exact(8).map(|x| (0..8).map(|i| u32::from(x[at(i)]) << (4 * i)).sum()).collect()
}

/// Eight numbers along rows of a row-major matrix of `n` columns.
fn along_rows(x: &[u8], n: usize) -> Vec<u32> {
    let word = |x: &[u8], j: usize| (0..8).map(|i| u32::from(x[i * n + j]) << (4 * i)).sum();
    x.chunks_exact(8 * n.max(1)).flat_map(|x| (0..n).map(move |j| word(x, j))).collect()
}

/// A layer's codes (`k x n`), zeros and scales (`groups x n`).
struct Layer {
    shape: [usize; 2],
    group: usize,
    codes: Vec<u8>,
    zeros: Vec<u8>,
    scales: Vec<f16>,
}

impl Layer {
    fn new(n: usize, group: usize, groups: usize, seed: u32) -> Layer {
        let k = group * groups;
        let codes = |len: usize, seed: u32| -> Vec<u8> {
            numbers(len, seed).iter().map(|x| ((x + 2.0) * 1e4) as u32 as u8 & 15).collect()
        };
        Layer {
            shape: [n, k],
            group,
            codes: codes(k * n, seed),
            zeros: codes(groups * n, seed ^ 5),
            scales: numbers(groups * n, seed ^ 9).into_iter().map(f16::from_f32).collect(),
        }
    }

    fn load(&self, order: Int4Order) -> QuantizedMatrix {
        let qweight = match order {
            Int4Order::Awq => along_columns(&self.codes, order),
            _ => along_rows(&self.codes, self.shape[0]),
        };
        let less = u8::from(order == Int4Order::Gptq { less_by_one: true });
        let zeros: Vec<u8> = self.zeros.iter().map(|z| z.wrapping_sub(less) & 15).collect();
        let qzeros = along_columns(&zeros, order);
        let tensors = Int4Tensors {
            shape: self.shape,
            group: self.group,
            order,
            qweight: &qweight,
            qzeros: &qzeros,
            scales: &self.scales,
        };
        QuantizedMatrix::from_int4(&Device::cpu(), &tensors).unwrap()
    }

    fn weight(&self, row: usize, at: usize, order: Int4Order) -> f64 {
        let n = self.shape[0];
        let i = at / self.group * n + row;
        let zero = match (self.zeros[i], order) {
            (0, Int4Order::Gptq { less_by_one: true }) => 16,
            (zero, _) => zero,
        };
        self.scales[i].to_f64() * (f64::from(self.codes[at * n + row]) - f64::from(zero))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, failure_persistence: None, ..Default::default() })]
    #[test]
    fn layers_mean_what_their_files_say(
        eighths in 0usize..10,
        group in prop::sample::select(vec![32usize, 64, 96, 128, 352, 512]),
        groups in 0usize..3,
        m in 1usize..8,
        seed: u32,
        order in prop::sample::select(ORDERS.to_vec()),
    ) {
        let layer = Layer::new(8 * eighths, group, groups, seed);
        let (matrix, [n, k]) = (layer.load(order), layer.shape);
        let weights = matrix.dequantize().unwrap();
        prop_assert_eq!(weights.len(), n * k);
        for (i, &weight) in weights.iter().enumerate() {
            prop_assert_eq!(weight, layer.weight(i / k, i % k, order), "weight {}", i);
        }
        check(&Device::cpu(), &matrix, m, &numbers(m * k, seed ^ 3));
    }
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let layer = Layer::new(16, 32, 2, 1);
    let words = along_columns(&layer.codes, Int4Order::Awq);
    let zeros = along_columns(&layer.zeros, Int4Order::Awq);
    let good = Int4Tensors {
        shape: [16, 64],
        group: 32,
        order: Int4Order::Awq,
        qweight: &words,
        qzeros: &zeros,
        scales: &layer.scales,
    };
    let message = |tensors: Int4Tensors<'_>| {
        QuantizedMatrix::from_int4(&Device::cpu(), &tensors)
            .err()
            .map_or_else(String::new, |e| e.to_string())
    };
    assert_eq!(message(good), "");
    for (tensors, expected) in [
        (Int4Tensors { group: 48, ..good }, "`group` has 48, but it must be a multiple of 32"),
        (Int4Tensors { group: 0, ..good }, "`group` has 0, but it must be a multiple of 32"),
        (
            Int4Tensors { group: 128, ..good },
            "`shape` has k = 64, but k must be whole groups of 128",
        ),
        (
            Int4Tensors { shape: [12, 64], ..good },
            "`shape` has n = 12, but n must be a multiple of 8",
        ),
        (
            Int4Tensors { qweight: &words[1..], ..good },
            "`qweight` has 127 elements, but it must have n * k / 8 = 128",
        ),
        (
            Int4Tensors { qzeros: &zeros[1..], ..good },
            "`qzeros` has 3 elements, but it must have n / 8 * k / group = 4",
        ),
        (
            Int4Tensors { scales: &layer.scales[1..], ..good },
            "`scales` has 31 elements, but it must have n * k / group = 32",
        ),
    ] {
        assert_eq!(message(tensors), expected);
    }
}
