//! Tensor maps: what the copy engine (TMA) must know of a tensor in global memory.
//!
//! A kernel declares a parameter of this sort with the box that each of its copies moves and how
//! the box lies in shared memory ([`TensorTile`]); a launch adds where the tensor is and how large
//! ([`TensorMap`]). The engine itself wants an opaque descriptor, which only the driver of the
//! device can write (CUDA Driver API, "Tensor Map Object Management"); [`TensorMap::encode`] is the
//! form that travels to it in the packed arguments, and that the interpreter reads.

use crate::attr::named_enum;
use crate::types::Scalar;

/// Bytes of a tensor map among the arguments.
pub const BYTES: usize = 128;

/// Its alignment there.
pub const ALIGN: usize = 64;

/// Most axes a tensor has.
pub const MOST_AXES: usize = 5;

named_enum! {
    /// How rows of a tile in shared memory are exchanged in pieces of 16 bytes, so that a column of
    /// them meets all banks (PTX ISA, "Tensors: Swizzling modes"; the same patterns are those of
    /// matrix descriptors, "Asynchronous Warpgroup Level Matrix: Shared Memory Matrix Layout").
    Swizzle {
        /// Not at all.
        None = "none",
        /// Within 32 bytes.
        B32 = "b32",
        /// Within 64 bytes.
        B64 = "b64",
        /// Within 128 bytes.
        B128 = "b128",
    }
}

impl Swizzle {
    /// Bytes within which pieces are exchanged: the longest row of a tile. 16 without swizzle, the
    /// piece itself.
    pub const fn width(self) -> u32 {
        match self {
            Swizzle::None => 16,
            Swizzle::B32 => 32,
            Swizzle::B64 => 64,
            Swizzle::B128 => 128,
        }
    }

    /// Bytes after which the pattern repeats: a tile begins at a multiple of this. Without swizzle
    /// 128, which is what the engine asks of any address.
    pub const fn period(self) -> u32 {
        match self {
            Swizzle::None => 128,
            swizzle => 8 * swizzle.width(),
        }
    }

    /// Where the byte lies that plain order has at an address: bits 4 and up of the address are
    /// changed by those from 7 up, as many as there are pieces in a row. Its own inverse.
    pub const fn apply(self, address: u32) -> u32 {
        let mask = self.width() / 16 - 1;
        address ^ ((address >> 7 & mask) << 4)
    }
}

/// How a window walks over a batch of images, `N x D x H x W x C` with up to three axes between the
/// batch and the channels (PTX ISA, "Tensors: im2col mode"; CUDA Driver API,
/// `cuTensorMapEncodeIm2col`).
///
/// A copy begins with the window's first corner at a pixel, and goes on along the innermost axis of
/// the image, then the next, then to the next image, until it has as many pixels as the box is high.
/// The corner stays within `lower ..= extent - 1 + upper` along each axis. What is read is the pixel at the corner plus
/// the copy's offset in the window; outside of the image that is 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Walk {
    /// Axes of the image, 1 to 3: two less than the tensor has.
    pub axes: u8,
    /// Where the corner begins along each axis, innermost first: minus the padding.
    pub lower: [i16; 3],
    /// Where it ends, from the image's last pixel: padding minus what the window reaches over.
    pub upper: [i16; 3],
    /// From one corner to the next, 1 to 8.
    pub steps: [u8; 3],
}

impl Walk {
    /// What is wrong with it for a tensor of so many axes, if anything is.
    pub fn fault(&self, rank: u8) -> Option<String> {
        let Walk { axes, lower, upper, steps } = *self;
        if !(1..=3).contains(&axes) || rank != axes + 2 {
            return Some(format!("a window along {axes} axes walks over no tensor of {rank}"));
        }
        // The corners of all axes share 16 bits.
        let most = [1 << 15, 1 << 7, 1 << 4][usize::from(axes) - 1];
        for i in 0..usize::from(axes) {
            for corner in [lower[i], upper[i]].map(i32::from) {
                if !(-most..most).contains(&corner) {
                    let range = format!("{} to {}", -most, most - 1);
                    return Some(format!(
                        "its corner {corner} along axis {} is not {range}",
                        i + 1
                    ));
                }
            }
            if !(1..=8).contains(&steps[i]) {
                return Some(format!("its step {} along axis {} is not 1 to 8", steps[i], i + 1));
            }
        }
        None
    }

    /// How large the offset in a window may be along each axis: they share 16 bits, too.
    pub const fn most_offset(axes: u8) -> u32 {
        match axes {
            1 => (1 << 16) - 1,
            2 => (1 << 8) - 1,
            _ => (1 << 5) - 1,
        }
    }

    /// The corners, innermost axis first with the image behind, from one on.
    pub fn corners(self, extents: [i64; 3], start: [i64; 4]) -> impl Iterator<Item = [i64; 4]> {
        std::iter::successors(Some(start), move |at| {
            let mut next = *at;
            for i in 0..usize::from(self.axes) {
                next[i] += i64::from(self.steps[i]);
                if next[i] <= extents[i] - 1 + i64::from(self.upper[i]) {
                    return Some(next);
                }
                next[i] = i64::from(self.lower[i]);
            }
            next[3] += 1;
            Some(next)
        })
    }
}

/// What a kernel says of a tensor map: the box that each of its copies moves.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TensorTile {
    /// Axes, 1 to 5.
    pub rank: u8,
    /// Elements of the box along each axis, from the one whose elements are neighbours on; 1 to 256
    /// for the first `rank`, and 1 behind them.
    pub extents: [u16; MOST_AXES],
    /// How the box lies in shared memory.
    pub swizzle: Swizzle,
    /// Whether the kernel writes the tensor.
    pub written: bool,
    /// How a window walks over the tensor. The box is then one of channels by pixels: its first two
    /// extents, with 1 for each axis behind.
    pub walk: Option<Walk>,
}

impl TensorTile {
    /// A box of these extents, innermost axis first.
    pub fn new(extents: &[u16], swizzle: Swizzle, written: bool) -> TensorTile {
        let (rank, walk) = (extents.len() as u8, None);
        let mut tile = TensorTile { rank, extents: [1; MOST_AXES], swizzle, written, walk };
        for (to, &from) in tile.extents.iter_mut().zip(extents) {
            *to = from;
        }
        tile
    }

    /// The extents of its axes, innermost first.
    pub fn extents(&self) -> &[u16] {
        &self.extents[..usize::from(self.rank).min(MOST_AXES)]
    }

    /// Elements of the box.
    pub fn elements(&self) -> u32 {
        self.extents().iter().map(|&n| u32::from(n)).product()
    }

    /// What is wrong with it for these elements, if anything is (CUDA Driver API,
    /// `cuTensorMapEncodeTiled`).
    pub fn fault(&self, elem: Scalar) -> Option<String> {
        if !(1..=MOST_AXES).contains(&usize::from(self.rank)) {
            return Some(format!("it has {} axes, and tensor maps have 1 to 5", self.rank));
        }
        let most = |axis: usize| if axis == 1 && self.walk.is_some() { 1024 } else { 256 };
        let within = |(axis, n): (usize, &u16)| (1..=most(axis)).contains(n);
        let mut extents = self.extents().iter().enumerate();
        if let Some((axis, n)) = extents.find(|&axis| !within(axis)) {
            return Some(format!("its extent {n} along axis {axis} is not 1 to {}", most(axis)));
        }
        if let Some(walk) = self.walk {
            let deep = self.extents()[2.min(self.extents().len())..].iter().any(|&n| n != 1);
            if let Some(fault) = walk.fault(self.rank) {
                return Some(fault);
            }
            if deep || self.written {
                return Some("a window reads channels by pixels".to_owned());
            }
        }
        let row = u32::from(self.extents[0]) * elem.size();
        if !row.is_multiple_of(16) {
            return Some(format!("its rows of {row} bytes are no multiple of 16"));
        }
        if self.swizzle != Swizzle::None && row > self.swizzle.width() {
            let (name, width) = (self.swizzle.name(), self.swizzle.width());
            return Some(format!("its rows of {row} bytes are longer than the {width} of {name}"));
        }
        None
    }
}

/// A tensor map as a launch makes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TensorMap {
    /// The box.
    pub tile: TensorTile,
    /// The elements.
    pub elem: Scalar,
    /// The address of the first element.
    pub address: u64,
    /// Elements along each axis, innermost first; 1 behind the last axis.
    pub extents: [u64; MOST_AXES],
    /// Bytes from one index to the next along each axis; the first is the element's size.
    pub strides: [u64; MOST_AXES],
}

impl TensorMap {
    /// The portable form.
    pub fn encode(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        let words = [self.address].into_iter().chain(self.extents).chain(self.strides);
        for (to, word) in bytes.chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        for (to, extent) in bytes[88..98].chunks_exact_mut(2).zip(self.tile.extents) {
            to.copy_from_slice(&extent.to_le_bytes());
        }
        bytes[98] = self.tile.rank;
        bytes[99] = self.tile.swizzle as u8;
        bytes[100] = self.tile.written.into();
        let elem = Scalar::ALL.into_iter().position(|s| s == self.elem);
        bytes[101] = elem.expect("every scalar is listed") as u8;
        if let Some(walk) = self.tile.walk {
            bytes[102] = walk.axes;
            for i in 0..3 {
                bytes[104 + 4 * i..][..2].copy_from_slice(&walk.lower[i].to_le_bytes());
                bytes[106 + 4 * i..][..2].copy_from_slice(&walk.upper[i].to_le_bytes());
                bytes[116 + i] = walk.steps[i];
            }
        }
        bytes
    }

    /// Reads the portable form; `None` if it is none.
    pub fn decode(bytes: &[u8; BYTES]) -> Option<TensorMap> {
        let word = |i: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[8 * i..8 * i + 8]);
            u64::from_le_bytes(word)
        };
        let extents =
            std::array::from_fn(|i| u16::from_le_bytes([bytes[88 + 2 * i], bytes[89 + 2 * i]]));
        Some(TensorMap {
            tile: TensorTile {
                rank: bytes[98],
                extents,
                swizzle: *Swizzle::ALL.get(usize::from(bytes[99]))?,
                written: bytes[100] != 0,
                walk: decode_walk(bytes)?,
            },
            elem: *Scalar::ALL.get(usize::from(bytes[101]))?,
            address: word(0),
            extents: std::array::from_fn(|i| word(1 + i)),
            strides: std::array::from_fn(|i| word(6 + i)),
        })
    }
}

/// The window's part of the portable form: none, or none that there is.
fn decode_walk(bytes: &[u8; BYTES]) -> Option<Option<Walk>> {
    let corner = |at: usize| i16::from_le_bytes([bytes[at], bytes[at + 1]]);
    Some(match bytes[102] {
        0 => None,
        axes @ 1..=3 => Some(Walk {
            axes,
            lower: std::array::from_fn(|i| corner(104 + 4 * i)),
            upper: std::array::from_fn(|i| corner(106 + 4 * i)),
            steps: std::array::from_fn(|i| bytes[116 + i]),
        }),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swizzles_are_their_own_inverse_and_stay_in_their_period() {
        for &swizzle in Swizzle::ALL {
            for address in 0..4096 {
                let there = swizzle.apply(address);
                assert_eq!(swizzle.apply(there), address);
                assert_eq!(there / swizzle.width(), address / swizzle.width());
                let period = swizzle.period();
                assert_eq!(swizzle.apply(address + period), there + period);
            }
        }
    }

    /// PTX ISA, "Tensors: Swizzling modes": the first 16 bytes of rows 0 to 7 of a tile of 128 bytes
    /// wide stand on the diagonal; of 64 and 32 bytes, pairs and fours of rows share their shift.
    #[test]
    fn the_first_column_is_spread() {
        let column = |swizzle: Swizzle| -> Vec<u32> {
            let width = swizzle.width();
            (0..8).map(|row| swizzle.apply(row * width) % width / 16).collect()
        };
        assert_eq!(column(Swizzle::B128), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(column(Swizzle::B64), [0, 0, 1, 1, 2, 2, 3, 3]);
        assert_eq!(column(Swizzle::B32), [0, 0, 0, 0, 1, 1, 1, 1]);
    }

    #[test]
    fn the_portable_form_comes_back() {
        let map = TensorMap {
            tile: TensorTile::new(&[64, 128, 2], Swizzle::B128, true),
            elem: Scalar::BF16,
            address: 0x7f00_1234_5600,
            extents: [1000, 2000, 3, 1, 1],
            strides: [2, 2048, 4_096_000, 0, 0],
        };
        assert_eq!(TensorMap::decode(&map.encode()), Some(map));
        let (lower, upper) = ([-1, -2, 0], [1, -7, 0]);
        let walk = Some(Walk { axes: 2, lower, upper, steps: [1, 2, 0] });
        let tile = TensorTile { walk, ..TensorTile::new(&[64, 128, 1, 1], Swizzle::B128, false) };
        let map = TensorMap { tile, ..map };
        assert_eq!(TensorMap::decode(&map.encode()), Some(map));
        assert_eq!(TensorMap::decode(&[0xFF; BYTES]), None);
    }

    /// The examples of PTX ISA, "Tensors: im2col mode", with their first and last pixels: images of
    /// 9 x 14 pixels, W before H.
    #[test]
    fn windows_walk_as_in_the_manual() {
        let walk = |corners: [i16; 2], step| Walk {
            axes: 2,
            lower: [corners[0], corners[0], 0],
            upper: [corners[1], corners[1], 0],
            steps: [step, step, 0],
        };
        let corners = |walk: Walk, extents, start, n: usize| {
            walk.corners(extents, start).take(n).collect::<Vec<_>>()
        };
        // Example 1: from W 7, H 4 within -1 to 7 and -1 to 12.
        let found = corners(walk([-1, -1], 1), [9, 14, 1], [7, 4, 0, 0], 64);
        assert_eq!(found[..3], [[7, 4, 0, 0], [-1, 5, 0, 0], [0, 5, 0, 0]]);
        assert_eq!(found[63], [7, 11, 0, 0]);
        // Example 2: within 0 to 6 and 0 to 11.
        let found = corners(walk([0, -2], 1), [9, 14, 1], [6, 4, 0, 0], 64);
        assert_eq!((found[1], found[50]), ([0, 5, 0, 0], [0, 0, 0, 1]));
        // Example 3: every second pixel of 8 x 14.
        let found = corners(walk([-1, -1], 2), [8, 14, 1], [5, 5, 0, 0], 32);
        assert_eq!(found[..2], [[5, 5, 0, 0], [-1, 7, 0, 0]]);
        assert_eq!(found[5], [-1, 9, 0, 0]);
    }

    #[test]
    fn windows_have_limits() {
        let walk = Walk { axes: 2, lower: [-1, -1, 0], upper: [-1, -1, 0], steps: [1, 1, 0] };
        let fault = |walk: Walk, extents: &[u16]| {
            let tile = TensorTile::new(extents, Swizzle::B128, false);
            TensorTile { walk: Some(walk), ..tile }.fault(Scalar::BF16).unwrap_or_default()
        };
        assert_eq!(fault(walk, &[64, 1024, 1, 1]), "");
        assert_eq!(fault(walk, &[64, 1025, 1, 1]), "its extent 1025 along axis 1 is not 1 to 1024");
        assert_eq!(fault(walk, &[64, 8, 2, 1]), "a window reads channels by pixels");
        assert_eq!(fault(walk, &[64, 8, 1]), "a window along 2 axes walks over no tensor of 3");
        let far = Walk { lower: [-1, -129, 0], ..walk };
        assert_eq!(fault(far, &[64, 8, 1, 1]), "its corner -129 along axis 2 is not -128 to 127");
        let long = Walk { steps: [1, 9, 0], ..walk };
        assert_eq!(fault(long, &[64, 8, 1, 1]), "its step 9 along axis 2 is not 1 to 8");
    }

    #[test]
    fn faults_name_their_rule() {
        let fault = |extents: &[u16], swizzle| {
            TensorTile::new(extents, swizzle, false).fault(Scalar::BF16).unwrap_or_default()
        };
        assert_eq!(fault(&[64, 256], Swizzle::B128), "");
        assert_eq!(fault(&[64, 257], Swizzle::B128), "its extent 257 along axis 1 is not 1 to 256");
        assert_eq!(fault(&[4, 8], Swizzle::None), "its rows of 8 bytes are no multiple of 16");
        assert_eq!(
            fault(&[128, 8], Swizzle::B128),
            "its rows of 256 bytes are longer than the 128 of b128"
        );
        assert_eq!(fault(&[], Swizzle::None), "it has 0 axes, and tensor maps have 1 to 5");
    }
}
