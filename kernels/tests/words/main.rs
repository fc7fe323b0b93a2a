//! Products of small numbers, taken as words of several: bytes, exactly and with scales, and bf16.

mod bf16s;
mod bytes;
mod instructions;
mod scaled;

use kernelsmith::launch::ViewArg;
use kernelsmith::prelude::*;
use proptest::prelude::*;

/// How a matrix lies in its buffer.
#[derive(Clone, Copy, Debug)]
enum Lie {
    Rows,
    Columns,
    /// Rows longer than the matrix is wide, by an odd number.
    Padded,
    /// Neither rows nor columns contiguous.
    Apart,
}

impl Lie {
    fn strides(self, [_, rows, columns]: [usize; 3]) -> [usize; 3] {
        match self {
            Lie::Rows => [rows * columns, columns, 1],
            Lie::Columns => [rows * columns, 1, rows],
            Lie::Padded => [rows * (columns + 5) + 7, columns + 5, 1],
            Lie::Apart => [rows * columns * 3 + 2, columns * 3, 3],
        }
    }
}

fn lie() -> impl Strategy<Value = Lie> {
    prop_oneof![Just(Lie::Rows), Just(Lie::Columns), Just(Lie::Padded), Just(Lie::Apart)]
}

/// A batch of matrices, in a buffer and by index.
struct Tensor<T: Num> {
    buffer: Buffer<T>,
    shape: [usize; 3],
    strides: [usize; 3],
    elements: Vec<T>,
}

fn indices([batch, rows, columns]: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    (0..batch).flat_map(move |b| (0..rows).flat_map(move |r| (0..columns).map(move |c| [b, r, c])))
}

impl<T: Num> Tensor<T> {
    /// Of elements by number, with `filler` between them.
    fn new(
        device: &Device,
        shape: [usize; 3],
        lie: Lie,
        filler: T,
        mut element: impl FnMut() -> T,
    ) -> Tensor<T> {
        let strides = lie.strides(shape);
        let len = shape.iter().zip(strides).map(|(n, s)| n * s).max().unwrap_or(0);
        let mut all = vec![filler; len + shape[1] * strides[1] + shape[2] * strides[2] + 1];
        let elements: Vec<T> = indices(shape).map(|_| element()).collect();
        for (at, &x) in indices(shape).zip(&elements) {
            all[offset(strides, at)] = x;
        }
        Tensor { buffer: Buffer::from_slice(device, &all).unwrap(), shape, strides, elements }
    }

    fn view(&self) -> ViewArg<'_, T, 3> {
        View::of(&self.buffer, self.shape).strides(self.strides)
    }

    fn at(&self, [batch, row, column]: [usize; 3]) -> T {
        self.elements[(batch * self.shape[1] + row) * self.shape[2] + column]
    }

    /// The elements in the buffer, after all others were found to be `filler`.
    fn read(&self, filler: T) -> Vec<T> {
        let mut all = self.buffer.to_vec().unwrap();
        let found = indices(self.shape).map(|at| all[offset(self.strides, at)]).collect();
        for at in indices(self.shape) {
            all[offset(self.strides, at)] = filler;
        }
        assert!(all.iter().all(|x| *x == filler), "written beside the matrix");
        found
    }
}

fn offset(strides: [usize; 3], at: [usize; 3]) -> usize {
    strides.into_iter().zip(at).map(|(s, i)| s * i).sum()
}

/// xorshift64 (Marsaglia, "Xorshift RNGs", 2003).
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state >> 16
}
