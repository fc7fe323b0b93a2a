//! Rotary position embedding (Su et al., "RoFormer", 2021): pairs of a head's columns turn by an angle that
//! grows with the position.
//!
//! Angles are counted in turns as fractions of 64 bits, of which whole turns drop out, so that they are as
//! exact for the last position of a long text as for the first: cosines and sines are off by less than 1e-6 for
//! every position of 32 bits. (As `f32`, an angle of 1e5 radians is known to 4e-3.)

mod kernel;

pub use kernel::{Form, rope_kernel, rope_kernel_ir};

use kernelsmith::launch::ViewMutArg;
use kernelsmith::prelude::*;

use crate::cut;
use crate::elementwise::map_view;
use crate::error::{Error, check_len};
use crate::number::SmallFloat;

/// The most columns that turn: their cosines and sines lie in a block's memory.
const MOST: usize = 512;

/// Which columns of a head are a pair.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Pairing {
    /// `i` and `i + dimension / 2`, as GPT-NeoX and Llama have them.
    Halves,
    /// `2 i` and `2 i + 1`, as GPT-J and the paper have them.
    Interleaved,
}

/// A rotary embedding: the first `dimension` columns of a head turn, others stay.
///
/// ```
/// use kernelsmith::prelude::*;
/// use kernelsmith_kernels::rope::{Pairing, Rope};
/// # fn main() -> Result<(), kernelsmith_kernels::Error> {
/// let device = Device::cpu();
/// let rope = Rope::new(&device, Pairing::Halves, 2, 10_000.0)?;
/// // Two tokens of one head of two columns, the second at position 1.
/// let mut q = Buffer::from_slice(&device, &[1.0f32, 0.0, 1.0, 0.0])?;
/// let positions = Buffer::from_slice(&device, &[0u32, 1])?;
/// rope.rotate_in_place([2, 1, 2], &positions, &mut q)?;
/// let q = q.to_vec()?;
/// assert_eq!(q[..2], [1.0, 0.0]);
/// assert!((q[2] - 1f32.cos()).abs() < 1e-6 && (q[3] - 1f32.sin()).abs() < 1e-6);
/// # Ok(())
/// # }
/// ```
pub struct Rope {
    pairing: Pairing,
    dimension: usize,
    inverse: bool,
    /// Turns of a position for each column of a part, as 64-bit fractions.
    turns: Option<Buffer<u64>>,
    /// Without those, cosines and behind them sines, `positions x dimension / 2` each.
    tables: Buffer<f32>,
}

impl Rope {
    /// Pair `i` turns by `base^(-2 i / dimension)` radians a position.
    ///
    /// # Errors
    /// If `dimension` is odd, 0 or more than 512, or `base` is not positive and finite.
    pub fn new(
        device: &Device,
        pairing: Pairing,
        dimension: usize,
        base: f64,
    ) -> Result<Rope, Error> {
        if !(base > 0.0 && base.is_finite()) {
            return Err(wrong(
                "base",
                format!("the value {base}"),
                "it must be positive and finite",
            ));
        }
        let exponent = |i: usize| -2.0 * i as f64 / dimension as f64;
        let frequencies: Vec<f64> = (0..dimension / 2).map(|i| base.powf(exponent(i))).collect();
        check_dimension(dimension)?;
        Rope::from_frequencies(device, pairing, &frequencies)
    }

    /// Pair `i` turns by `frequencies[i]` radians a position: for scaled embeddings (position
    /// interpolation, YaRN), whose frequencies are others. They are taken as exact; at position `p` what
    /// their rounding makes of an angle is `p` times as much.
    ///
    /// # Errors
    /// If there are none, more than 256, or one is not finite.
    pub fn from_frequencies(
        device: &Device,
        pairing: Pairing,
        frequencies: &[f64],
    ) -> Result<Rope, Error> {
        let dimension = 2 * frequencies.len();
        check_dimension(dimension)?;
        if let Some(bad) = frequencies.iter().find(|f| !f.is_finite()) {
            return Err(wrong("frequencies", format!("the value {bad}"), "they must be finite"));
        }
        let turns: Vec<u64> = match pairing {
            Pairing::Halves => frequencies.iter().map(|&f| fraction(f)).collect(),
            // A lane has one column, and finds its frequency without looking for its pair.
            Pairing::Interleaved => frequencies.iter().flat_map(|&f| [fraction(f); 2]).collect(),
        };
        let turns = Some(Buffer::from_slice(device, &turns)?);
        let tables = Buffer::zeros(device, 0)?;
        Ok(Rope { pairing, dimension, inverse: false, turns, tables })
    }

    /// By tables `cosines` and `sines`, `positions x dimension / 2`, row-major. A position beyond them is a
    /// failed check of the launch.
    ///
    /// # Errors
    /// If `dimension` is odd, 0 or more than 512, a table's length is no multiple of `dimension / 2`, or
    /// they differ in length.
    pub fn from_tables(
        pairing: Pairing,
        dimension: usize,
        cosines: &Buffer<f32>,
        sines: &Buffer<f32>,
    ) -> Result<Rope, Error> {
        check_dimension(dimension)?;
        let rows = cosines.len() / (dimension / 2);
        check_len("cosines", cosines.len(), "rows * dimension / 2", Some(rows * (dimension / 2)))?;
        check_len("sines", sines.len(), "cosines.len()", Some(cosines.len()))?;
        let mut tables = Buffer::zeros(cosines.device(), 2 * cosines.len())?;
        tables.slice_mut(..cosines.len())?.copy_from_view(cosines.view())?;
        tables.slice_mut(cosines.len()..)?.copy_from_view(sines.view())?;
        Ok(Rope { pairing, dimension, inverse: false, turns: None, tables })
    }

    /// Turning back: the transpose of the rotation, which gradients go through.
    #[must_use]
    pub fn inverse(self) -> Rope {
        Rope { inverse: !self.inverse, ..self }
    }

    /// `y = rotated x`, both `tokens x heads x d`, row-major; token `t` is at `positions[t]`.
    ///
    /// # Errors
    /// If `x`, `y` or `positions` have not as many elements, `d` is less than the embedding's dimension, or
    /// the buffers live on different devices.
    pub fn rotate<T: SmallFloat>(
        &self,
        shape: [usize; 3],
        positions: &Buffer<u32>,
        x: &Buffer<T>,
        y: &mut Buffer<T>,
    ) -> Result<(), Error> {
        self.check(shape, positions)?;
        let all = shape.iter().try_fold(1usize, |all, &n| all.checked_mul(n));
        check_len("x", x.len(), "tokens * heads * d", all)?;
        check_len("y", y.len(), "tokens * heads * d", all)?;
        let [tokens, heads, d] = shape;
        if y.is_empty() {
            return Ok(());
        }
        if self.dimension < d {
            let (rows, rest) = (tokens * heads, d - self.dimension);
            let part = |len: usize| self.dimension..len;
            let from = View::of(x.slice(part(x.len()))?, [rows, rest]).strides([d, 1]);
            let len = y.len();
            let to = View::of_mut(y.slice_mut(part(len))?, [rows, rest]).strides([d, 1]);
            map_view(from, to, |x| x)?;
        }
        let folded = self.folded(shape).0;
        self.launch(shape, positions, Some(x), View::of_mut(y, folded))
    }

    /// As [`rotate`](Self::rotate), where `x` is.
    ///
    /// # Errors
    /// As [`rotate`](Self::rotate).
    pub fn rotate_in_place<T: SmallFloat>(
        &self,
        shape: [usize; 3],
        positions: &Buffer<u32>,
        x: &mut Buffer<T>,
    ) -> Result<(), Error> {
        self.check(shape, positions)?;
        let all = shape.iter().try_fold(1usize, |all, &n| all.checked_mul(n));
        check_len("x", x.len(), "tokens * heads * d", all)?;
        if x.is_empty() {
            return Ok(());
        }
        self.launch(shape, positions, None, View::of_mut(x, self.folded(shape).0))
    }

    /// What turns as a tensor of which a thread has both columns of a pair, or neighbouring threads one each:
    /// shape and strides.
    fn folded(&self, [tokens, heads, d]: [usize; 3]) -> ([usize; 3], [usize; 3]) {
        let parts = if self.pairing == Pairing::Halves { 2 } else { 1 };
        let width = self.dimension / parts;
        ([tokens * heads, parts, width], [d, width, 1])
    }

    fn check(&self, [tokens, _, d]: [usize; 3], positions: &Buffer<u32>) -> Result<(), Error> {
        check_len("positions", positions.len(), "tokens", Some(tokens))?;
        if d < self.dimension {
            let rule = format!("it must be at least the embedding's {}", self.dimension);
            return Err(wrong("d", format!("the value {d}"), &rule));
        }
        Ok(())
    }

    fn launch<T: SmallFloat>(
        &self,
        shape: [usize; 3],
        positions: &Buffer<u32>,
        x: Option<&Buffer<T>>,
        y: ViewMutArg<'_, T, 3>,
    ) -> Result<(), Error> {
        let [_, heads, d] = shape;
        let ([_, parts, width], strides) = self.folded(shape);
        let device = y.device().clone();
        let tokens = cut::rows(device.target(), heads.saturating_mul(d));
        let y = y.strides(strides).partition([tokens * heads, parts, width]);
        let form = Form {
            interleaved: self.pairing == Pairing::Interleaved,
            inverse: self.inverse,
            capacity: width.next_power_of_two().max(32),
        };
        let turns = self.turns.as_ref();
        rope_kernel::<T>(form, heads, positions, turns, &self.tables, d, x, y).launch(&device)?;
        Ok(())
    }
}

/// Radians as turns, of which whole ones do not matter: the fraction of one, of 64 bits.
fn fraction(radians: f64) -> u64 {
    let turns = (radians / std::f64::consts::TAU).rem_euclid(1.0);
    // Rounded to 2^64 it is a whole turn.
    (turns * 2f64.powi(64)) as u128 as u64
}

fn check_dimension(dimension: usize) -> Result<(), Error> {
    match dimension.is_multiple_of(2) && (2..=MOST).contains(&dimension) {
        true => Ok(()),
        false => {
            let rule = format!("columns turn in pairs, 2 to {MOST} of them");
            Err(wrong("dimension", format!("the value {dimension}"), &rule))
        }
    }
}

fn wrong(argument: &'static str, found: String, rule: &str) -> Error {
    Error::Shape { argument, found, rule: rule.to_owned() }
}
