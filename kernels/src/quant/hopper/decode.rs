//! From packed bits to left factors, in registers.
//!
//! Bits are put into the mantissa of a power of two whose last bit counts 1, so that they are a float without a
//! conversion (Kim et al., "Who Says Elephants Can't Run", 2022, section 4.1): of 4 bits two at a time, in
//! halves of a word, of 8 bits, which a bf16 cannot hold beside the power, in f32.

use kernelsmith::prelude::*;

use super::fragments::{Form, SLICES, THREADS};

/// What a thread needs of its two rows for one group of columns.
#[derive(Clone, Copy)]
struct Scale<T: Float> {
    scale: Pair<T>,
    /// What is subtracted first: the zero, and the power of two.
    less: Pair<T>,
    /// The same for 8 bits.
    wide: [Val<f32>; 2],
}

/// A half piece of weights in shared memory, as one thread of its warpgroup sees it.
#[derive(Clone, Copy)]
pub(super) struct Half {
    pub(super) form: Form,
    pub(super) words: Shared<u32>,
    /// Its first word.
    pub(super) first: Val<usize>,
    /// The thread of the warpgroup.
    pub(super) thread: Val<usize>,
}

impl Half {
    /// The left factors of the piece, one for each 16 columns.
    #[track_caller]
    pub(super) fn factors<W, T>(&self) -> Vec<Fragment<W, MatrixA>>
    where
        W: WgmmaAtom<Input = T>,
        T: Float,
    {
        let Form { bits, scales, .. } = self.form;
        // A thread's first row; the other one is 8 below.
        let row = self.thread / 32 * 16 + self.thread % 32 / 4;
        let mut factors = Vec::new();
        let mut rows = None;
        for slice in 0..SLICES {
            if slice % (SLICES / scales) == 0 {
                let group = slice * scales / SLICES;
                let at =
                    |below: usize| row + (self.form.own_words() * THREADS + group * 64 + below);
                rows = Some([0, 8].map(|below| self.scale::<T>(at(below))));
            }
            let Some(rows) = rows else { unreachable!("the first slice begins a group") };
            let pairs = match bits {
                4 => self.nibbles(slice, rows),
                _ => self.bytes(slice, rows),
            };
            factors.push(Fragment::from_pairs(&pairs));
        }
        factors
    }

    #[track_caller]
    fn word(&self, at: Val<usize>) -> Val<u32> {
        // SAFETY: the half piece lies in the array, and has words of weights for 128 threads, then scales of
        // 64 rows for each group.
        unsafe { self.words.get_unchecked(self.first + at) }
    }

    #[track_caller]
    fn scale<T: Float>(&self, at: Val<usize>) -> Scale<T> {
        let both = self.word(at);
        let half = |bits: Val<u32>| Val::<f16>::from_bits(bits.cast::<u16>()).to_f32();
        let (scale, zero) = (half(both & 0xffff), half(both >> 16));
        let less = -(zero + Power::of::<T>().value);
        Scale {
            scale: Pair::splat(scale.cast::<T>()),
            less: Pair::splat(less.cast::<T>()),
            wide: [scale, -(zero + Power::F32.value)],
        }
    }

    /// Four pairs of a slice, of rows in turns.
    #[track_caller]
    fn nibbles<T: Float>(&self, slice: usize, rows: [Scale<T>; 2]) -> Vec<Pair<T>> {
        let word = self.word(self.thread + slice * THREADS);
        let power = Power::of::<T>().bits;
        let (one, nothing) = (Pair::splat(Val::<T>::lit(1.0)), Pair::splat(Val::<T>::lit(-0.0)));
        let mut pairs = Vec::new();
        for i in 0..4 {
            let shifted = if i == 0 { word } else { word >> (4 * i as u32) };
            let Scale { scale, less, .. } = rows[i % 2];
            let q = Pair::from_bits(shifted & 0x000f_000f | (power | power << 16));
            // Exact; then a product, which is rounded: minus zero leaves it its sign.
            pairs.push(q.mul_add(one, less).mul_add(scale, nothing));
        }
        pairs
    }

    #[track_caller]
    fn bytes<T: Float>(&self, slice: usize, rows: [Scale<T>; 2]) -> Vec<Pair<T>> {
        let mut pairs = Vec::new();
        for i in 0..4 {
            let [scale, less] = rows[i % 2].wide;
            let word = self.word(self.thread + (2 * slice + i / 2) * THREADS);
            let mut floats = Vec::new();
            for byte in 0..2 {
                let bits = word >> ((i % 2 * 2 + byte) as u32 * 8) & 0xff | Power::F32.bits;
                floats.push((Val::<f32>::from_bits(bits) + less) * scale);
            }
            pairs.push(Pair::from_f32(floats[0], floats[1]));
        }
        pairs
    }
}

/// A power of two whose last bit counts 1.
struct Power {
    bits: u32,
    value: f32,
}

impl Power {
    const F32: Power = Power { bits: 0x4b00_0000, value: 8_388_608.0 };

    /// Of a type of 16 bits.
    fn of<T: Float>() -> Power {
        match T::TYPE == f16::TYPE {
            true => Power { bits: 0x6400, value: 1024.0 },
            false => Power { bits: 0x4300, value: 128.0 },
        }
    }
}
