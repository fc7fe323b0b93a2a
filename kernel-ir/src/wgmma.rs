//! Hopper's warpgroup matrix instruction: `wgmma`, four warps at once, factors in shared memory.
//!
//! `D = A * B + C` with `A: 64 x k`, `B: k x n`, `n` a multiple of 8 up to 256, `k` 32 bytes of
//! elements. B is a tile in shared memory, A one too or fragments of registers; where the elements
//! of a tile lie is what a [`SmemLayout`] says (PTX ISA, "Asynchronous Warpgroup Level Matrix
//! Multiply-Accumulate Operation", sections "Shared Memory Matrix Layout" and "Matrix Descriptor
//! Format"). The accumulators' places are in [`crate::mma`], as those of the other instructions.

use crate::mma::{Family, MmaShape};
use crate::tensor_map::Swizzle;
use crate::types::Scalar;

/// Threads of a warpgroup.
pub const THREADS: u32 = 128;

/// How a factor's tile lies in shared memory. Rows are those along m (A) or n (B).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SmemLayout {
    /// The exchange of pieces of 16 bytes.
    pub swizzle: Swizzle,
    /// Whether neighbours along m or n are neighbours in memory, instead of those along k.
    pub mn_major: bool,
    /// The leading dimension byte offset. K-major: without swizzle from one 16 bytes along k to the
    /// next, else not used. MN-major: without swizzle from 8 indices of k to the next 8, else from
    /// one swizzle's width along m or n to the next.
    pub leading: u32,
    /// The stride dimension byte offset. K-major: from 8 rows to the next 8. MN-major: without
    /// swizzle from 16 bytes along m or n to the next, else from 8 indices of k to the next 8.
    pub stride: u32,
}

impl SmemLayout {
    /// Where, in bytes from the tile's start, plain order has an element; the swizzle of the address
    /// comes on top. The canonical layouts of PTX ISA, "Strides", with elements of `size` bytes.
    pub const fn offset(self, size: u32, row: u32, k: u32) -> u32 {
        // Elements of 16 bytes, and of a row of the swizzle's width.
        let piece = 16 / size;
        let wide = self.swizzle.width() / size;
        match (self.mn_major, self.swizzle) {
            (false, Swizzle::None) => {
                row % 8 * 16 + row / 8 * self.stride + k % piece * size + k / piece * self.leading
            }
            (false, _) => row % 8 * self.swizzle.width() + row / 8 * self.stride + k * size,
            (true, Swizzle::None) => {
                row % piece * size + row / piece * self.stride + k % 8 * 16 + k / 8 * self.leading
            }
            (true, _) => {
                row % wide * size
                    + row / wide * self.leading
                    + k % 8 * self.swizzle.width()
                    + k / 8 * self.stride
            }
        }
    }

    /// The address of an element of a tile that begins at `start`.
    pub const fn address(self, start: u32, size: u32, row: u32, k: u32) -> u32 {
        self.swizzle.apply(start + self.offset(size, row, k))
    }

    /// The bits of a matrix descriptor besides the start address (PTX ISA, "Matrix Descriptor
    /// Format"). The base offset is 0: patterns begin at multiples of [`Swizzle::period`].
    pub const fn descriptor(self) -> u64 {
        const fn field(bytes: u32) -> u64 {
            ((bytes & 0x3FFFF) >> 4) as u64
        }
        // Not used with a swizzle along k, and assumed to be 1 there.
        let leading = match (self.mn_major, self.swizzle) {
            (false, Swizzle::B32 | Swizzle::B64 | Swizzle::B128) => 1,
            _ => field(self.leading),
        };
        let mut mode = 0;
        while MODES[mode] as u8 != self.swizzle as u8 {
            mode += 1;
        }
        let mode = mode as u64;
        leading << 16 | field(self.stride) << 32 | mode << 62
    }
}

/// The swizzles by their codes in a matrix descriptor.
const MODES: [Swizzle; 4] = [Swizzle::None, Swizzle::B128, Swizzle::B64, Swizzle::B32];

/// The layout that a matrix descriptor says, of a factor along k or not, whatever its start address; `None`
/// if it has a base offset or bits that are not used. The inverse of [`SmemLayout::descriptor`].
pub fn layout(descriptor: u64, mn_major: bool) -> Option<SmemLayout> {
    let field = |at: u32| ((descriptor >> at & 0x3FFF) as u32) << 4;
    let swizzle = MODES[(descriptor >> 62) as usize];
    let layout = SmemLayout { swizzle, mn_major, leading: field(16), stride: field(32) };
    (layout.descriptor() == descriptor & !0x3FFF).then_some(layout)
}

/// A `wgmma`: its shape, and how its factors lie.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Wgmma {
    /// Of the family [`Family::Wgmma`].
    pub shape: MmaShape,
    /// How A lies in shared memory; `None` where it is in registers.
    pub a: Option<SmemLayout>,
    /// How B lies in shared memory.
    pub b: SmemLayout,
}

impl Wgmma {
    /// What is wrong with it, if anything is.
    pub fn fault(&self) -> Option<String> {
        if !exists(self.shape) {
            return Some(format!("{} is no shape of wgmma", self.shape.name()));
        }
        let narrow = matches!(self.shape.ab, Scalar::F16 | Scalar::BF16);
        for layout in self.a.iter().chain([&self.b]) {
            // PTX ISA, `wgmma.mma_async`: only f16 and bf16 have imm-trans.
            if layout.mn_major && !narrow {
                return Some(format!("factors of {} lie along k", self.shape.ab));
            }
            for (name, bytes) in [("leading", layout.leading), ("stride", layout.stride)] {
                if bytes % 16 != 0 || bytes >= 1 << 18 {
                    return Some(format!(
                        "a {name} offset of {bytes} bytes is no multiple of 16 below 2^18"
                    ));
                }
            }
        }
        None
    }
}

/// The shape of a `wgmma` of `n` columns.
pub const fn shape(n: u32, ab: Scalar, cd: Scalar) -> MmaShape {
    MmaShape { family: Family::Wgmma, m: 64, n, k: 32 / ab.size(), ab, cd }
}

/// Whether there is such a shape (PTX ISA, `wgmma.mma_async`: "Matrix Shape", "Matrix Data-types").
pub fn exists(shape: MmaShape) -> bool {
    use Scalar::*;
    let MmaShape { family, m, n, k, ab, cd } = shape;
    let columns = match ab {
        // Of the larger integer shapes only every second is there.
        I8 | U8 => (8..=256).contains(&n) && (n % 16 == 0 || (n % 8 == 0 && n <= 24)),
        _ => (8..=256).contains(&n) && n % 8 == 0,
    };
    let types = match ab {
        F16 | E4M3 | E5M2 => matches!(cd, F32 | F16),
        BF16 | TF32 => cd == F32,
        I8 | U8 => cd == I32,
        _ => false,
    };
    family == Family::Wgmma && m == 64 && columns && types && k * ab.size() == 32
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const SWIZZLES: [Swizzle; 4] = [Swizzle::None, Swizzle::B32, Swizzle::B64, Swizzle::B128];

    /// A dense tile of `rows` by `depth` elements, as the manual's figures have them.
    fn dense(swizzle: Swizzle, mn_major: bool, size: u32, rows: u32, depth: u32) -> SmemLayout {
        let wide = swizzle.width();
        let (leading, stride) = match (mn_major, swizzle) {
            (false, Swizzle::None) => (rows * 16, 128),
            (false, _) => (16, 8 * wide),
            (true, Swizzle::None) => (rows * size / 16 * 128, 128),
            (true, _) => (depth / 8 * 8 * wide, 8 * wide),
        };
        SmemLayout { swizzle, mn_major, leading, stride }
    }

    /// Every layout puts each element of a dense tile at a place of its own, and fills it.
    #[test]
    fn layouts_are_one_to_one() {
        for swizzle in SWIZZLES {
            for (mn_major, size) in [(false, 1), (false, 2), (false, 4), (true, 2)] {
                // As deep as rows of the swizzle are wide: what a tile in memory holds.
                let depth = if mn_major { 64 } else { swizzle.width() / size };
                let rows = 128;
                let layout = dense(swizzle, mn_major, size, rows, depth);
                let mut seen = HashSet::new();
                for (row, k) in (0..rows).flat_map(|row| (0..depth).map(move |k| (row, k))) {
                    let at = layout.address(0, size, row, k);
                    assert!(at < rows * depth * size, "{layout:?} {row} {k}: {at}");
                    assert!(
                        at.is_multiple_of(size) && seen.insert(at),
                        "{layout:?} {row} {k}: {at}"
                    );
                }
            }
        }
    }

    /// The examples of PTX ISA, "Canonical Layouts", element by element.
    #[test]
    fn layouts_are_the_manuals() {
        // K-major, no swizzle, tf32: Swizzle<0,4,3> o ((8,2),(4,4)):((4,32),(1,64)).
        let k_plain =
            SmemLayout { swizzle: Swizzle::None, mn_major: false, leading: 256, stride: 128 };
        // K-major, 32 bytes, tf32: Swizzle<1,4,3> o ((8,2),(4,4)):((8,64),(1,4)).
        let k_32 = SmemLayout { swizzle: Swizzle::B32, mn_major: false, leading: 0, stride: 256 };
        // MN-major, no swizzle, bf16: ((8,1,2),(8,2)):((1,8,64),(8,128)).
        let mn_plain =
            SmemLayout { swizzle: Swizzle::None, mn_major: true, leading: 256, stride: 128 };
        // MN-major, 32 bytes, bf16: ((8,2,2),(8,2)):((1,8,128),(16,256)).
        let mn_32 = SmemLayout { swizzle: Swizzle::B32, mn_major: true, leading: 256, stride: 512 };
        // MN-major, 64 bytes, bf16: ((8,4,2),(8,2)):((1,8,256),(32,512)).
        let mn_64 =
            SmemLayout { swizzle: Swizzle::B64, mn_major: true, leading: 512, stride: 1024 };
        for (r, k) in (0..16).flat_map(|r| (0..16).map(move |k| (r, k))) {
            let plain = k_plain.offset(4, r, k % 16);
            assert_eq!(plain, 4 * (r % 8 * 4 + r / 8 * 32 + k % 4 + k / 4 * 64));
            if k < 8 {
                assert_eq!(k_32.offset(4, r, k), 4 * (r % 8 * 8 + r / 8 * 64 + k));
            }
            assert_eq!(
                mn_plain.offset(2, r, k),
                2 * (r % 8 + r / 8 * 64 + k % 8 * 8 + k / 8 * 128)
            );
        }
        for (r, k) in (0..64).flat_map(|r| (0..16).map(move |k| (r, k))) {
            let at = mn_64.offset(2, r, k);
            assert_eq!(at, 2 * (r % 32 + r / 32 * 256 + k % 8 * 32 + k / 8 * 512));
            let at = mn_32.offset(2, r % 32, k);
            let r = r % 32;
            assert_eq!(at, 2 * (r % 16 + r / 16 * 128 + k % 8 * 16 + k / 8 * 256));
        }
    }

    #[test]
    fn descriptors_are_the_manuals() {
        let k = SmemLayout { swizzle: Swizzle::B128, mn_major: false, leading: 0, stride: 1024 };
        assert_eq!(k.descriptor(), 1 << 62 | 64 << 32 | 1 << 16);
        let mn = SmemLayout { swizzle: Swizzle::B64, mn_major: true, leading: 512, stride: 1024 };
        assert_eq!(mn.descriptor(), 2 << 62 | 64 << 32 | 32 << 16);
        let plain =
            SmemLayout { swizzle: Swizzle::None, mn_major: false, leading: 256, stride: 128 };
        assert_eq!(plain.descriptor(), 8 << 32 | 16 << 16);
    }

    /// Every swizzle and major order with offsets of every bit, field by field, and back.
    #[test]
    fn descriptors_come_back() {
        let offsets: Vec<u32> = (4..18).map(|bit| 1 << bit).chain([0x3FFF0, 0]).collect();
        for (swizzle, code) in SWIZZLES.into_iter().zip([0, 3, 2, 1]) {
            for mn_major in [false, true] {
                for (&leading, &stride) in
                    offsets.iter().flat_map(|l| offsets.iter().map(move |s| (l, s)))
                {
                    let fixed = !mn_major && swizzle != Swizzle::None;
                    let leading = if fixed { 16 } else { leading };
                    let found = SmemLayout { swizzle, mn_major, leading, stride };
                    let bits = found.descriptor();
                    let field = |from: u32, len: u32| bits >> from & ((1 << len) - 1);
                    assert_eq!((field(0, 16), field(30, 2), field(46, 16)), (0, 0, 0));
                    assert_eq!(field(16, 14), u64::from(leading >> 4));
                    assert_eq!((field(32, 14), field(62, 2)), (u64::from(stride >> 4), code));
                    assert_eq!(layout(bits | 0x2345, mn_major), Some(found));
                }
            }
        }
        for bits in [1 << 49, 1 << 14, 1 << 30, 1 << 62] {
            assert_eq!(layout(bits, false), None);
        }
    }

    /// Every shape's fragments, by the formulas of PTX ISA, "Register Fragments", each place once.
    #[test]
    fn fragments_are_the_manuals() {
        use crate::mma::Operand;
        use Scalar::*;
        for (ab, cd) in [(BF16, F32), (F16, F16), (TF32, F32), (E4M3, F32), (U8, I32)] {
            for n in (8..=256).step_by(8).filter(|&n| exists(shape(n, ab, cd))) {
                let shape = shape(n, ab, cd);
                let mut seen = HashSet::new();
                for (thread, i) in (0..THREADS).flat_map(|t| (0..n / 2).map(move |i| (t, i))) {
                    let place = shape.element(Operand::C, thread, i);
                    let row = 16 * (thread / 32) + thread % 32 / 4 + i / 2 % 2 * 8;
                    let column = i / 4 * 8 + thread % 4 * 2 + i % 2;
                    assert_eq!(place, (row, column), "{} {thread} {i}", shape.name());
                    assert!(seen.insert(place));
                }
                assert_eq!(seen.len() as u32, 64 * n);
            }
            let shape = shape(16, ab, cd);
            let each = shape.fragment_len(Operand::A);
            let mut seen = HashSet::new();
            for (thread, i) in (0..THREADS).flat_map(|t| (0..each).map(move |i| (t, i))) {
                let place = shape.element(Operand::A, thread, i);
                // Neighbours along k fill a word; words alternate between rows 8 apart.
                let packed = 4 / ab.size();
                let (word, part) = (i / packed, i % packed);
                let row = 16 * (thread / 32) + thread % 32 / 4 + word % 2 * 8;
                let k = thread % 4 * packed + part + word / 2 * 4 * packed;
                assert_eq!(place, (row, k), "{} {thread} {i}", shape.name());
                assert!(seen.insert(place));
            }
            assert_eq!(seen.len() as u32, 64 * shape.k);
        }
    }

    #[test]
    fn shapes_are_the_manuals() {
        let count = |ab, cd| (0..512).filter(|&n| exists(shape(n, ab, cd))).count();
        assert_eq!(count(Scalar::BF16, Scalar::F32), 32);
        assert_eq!(count(Scalar::BF16, Scalar::F16), 0);
        assert_eq!(count(Scalar::F16, Scalar::F16), 32);
        assert_eq!(count(Scalar::E4M3, Scalar::F32), 32);
        assert_eq!(count(Scalar::TF32, Scalar::F32), 32);
        // 8, 16, 24, 32, then 48, 64, ... 256.
        assert_eq!(count(Scalar::I8, Scalar::I32), 18);
        assert_eq!(shape(128, Scalar::E4M3, Scalar::F32).k, 32);
        assert_eq!(shape(128, Scalar::TF32, Scalar::F32).k, 8);
    }
}
