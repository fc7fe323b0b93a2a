//! The matrix instruction of the data centre's Blackwell: `tcgen05.mma`, begun by one thread, with sums
//! in a memory of their own.
//!
//! `D = A * B + D` with `A: m x k`, `B: k x n`, `k` 32 bytes of elements. B is a tile in shared memory,
//! A one too or in tensor memory; D is in tensor memory. Tiles in shared memory lie as those of `wgmma`
//! do ([`SmemLayout`]; PTX ISA, "tcgen05: Shared Memory Layout and Swizzling", has the same canonical
//! layouts), but what describes them, and the instruction, are words of another form (PTX ISA, "Shared
//! memory descriptor", "Instruction descriptor"). Here are the forms with one block and 128 rows, and with
//! a pair of blocks ([`group`]) and 128 or 256 rows.
//!
//! Tensor memory has 128 lanes of 512 columns of 32 bits for each block (PTX ISA, "Tensor Memory"). A warp
//! reaches the 32 lanes that its number in its warpgroup says.

pub mod copy;
pub mod group;
pub mod scales;

use crate::tensor_map::Swizzle;
use crate::types::{Scalar, Type};
use crate::wgmma::SmemLayout;
use group::Group;
use scales::{ScaledInstruction, Scales};

/// Lanes of tensor memory: rows of A and D in one block.
pub const ROWS: u32 = 128;

/// Columns of tensor memory.
pub const COLUMNS: u32 = 512;

/// Bytes of a column of one lane.
pub const CELL: u32 = 4;

/// A `tcgen05.mma`: its shape, and how its factors lie.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Tcgen05 {
    /// The blocks that multiply.
    pub group: Group,
    /// Rows of A and D.
    pub m: u32,
    /// Columns of B and D.
    pub n: u32,
    /// Element type of A and B.
    pub ab: Scalar,
    /// Element type of D.
    pub cd: Scalar,
    /// How A lies in shared memory; `None` where it is in tensor memory.
    pub a: Option<SmemLayout>,
    /// How B lies in shared memory.
    pub b: SmemLayout,
    /// The scales of a block-scaled product.
    pub scales: Option<Scales>,
}

impl Tcgen05 {
    /// Columns of A, rows of B: 32 bytes of them.
    pub const fn k(&self) -> u32 {
        depth(self.ab, self.cd)
    }

    /// The shape's name in the text form, as in `m128n64k16.bf16.f32`.
    pub fn name(&self) -> String {
        shape_name(self.m, self.n, self.ab, self.cd)
    }

    /// The kind of the instruction (PTX ISA, `tcgen05.mma`: "Kinds").
    pub const fn kind(&self) -> &'static str {
        if let Some(scales) = self.scales {
            return scales.kind.name();
        }
        match self.ab {
            Scalar::TF32 => "tf32",
            Scalar::E4M3 | Scalar::E5M2 => "f8f6f4",
            Scalar::I8 | Scalar::U8 => "i8",
            _ => "f16",
        }
    }

    /// What is wrong with it, if anything is.
    pub fn fault(&self) -> Option<String> {
        let there = match self.scales {
            None => exists(self.group, self.m, self.n, self.ab, self.cd),
            Some(scales) => {
                if let Some(fault) = scales.fault() {
                    return Some(fault);
                }
                let narrow = are_pairs(self.ab, self.cd);
                let shape = scaled_exists(self.group, self.m, self.n, self.ab, self.cd);
                shape && narrow == scales.kind.is_narrow()
            }
        };
        if !there {
            let of = if self.group == Group::Pair { " of a pair" } else { "" };
            let (name, kind) = (self.name(), self.kind());
            return Some(format!("{name} is no shape of tcgen05.mma.{kind}{of}"));
        }
        // PTX ISA, "Various combinations of N shape with .cta_group qualifier for 8bit transpose B".
        let whole = if self.ab.size() == 1 { 16 * self.group.blocks() } else { 16 };
        if self.b.mn_major && !self.n.is_multiple_of(whole) {
            return Some(format!("{} columns of B along n are no multiple of {whole}", self.n));
        }
        for layout in self.a.iter().chain([&self.b]) {
            // PTX ISA, "Valid Combinations of Type-Size, Major-ness and Swizzling"; of 4-bit floats,
            // "Transpose and Negate operations".
            if layout.mn_major && (self.ab.size() > 2 || are_pairs(self.ab, self.cd)) {
                return Some(format!("factors of {} lie along k", element_name(self.ab, self.cd)));
            }
            if let Some(fault) = layout_fault(*layout) {
                return Some(fault);
            }
        }
        None
    }

    /// The type of a sum as a thread reads it.
    pub const fn sum(&self) -> Type {
        Type::Scalar(self.cd)
    }

    /// The word that tells the tensor core of it.
    pub fn instruction(&self) -> u32 {
        let transposed = |layout: SmemLayout| layout.mn_major;
        let a_transposed = self.a.is_some_and(transposed);
        let b_transposed = transposed(self.b);
        if let Some(Scales { ty, a_byte, b_byte, .. }) = self.scales {
            let (m, n, ab) = (self.m, self.n, self.ab);
            return ScaledInstruction { m, n, ab, a_transposed, b_transposed, ty, a_byte, b_byte }
                .encode();
        }
        let (m, n, ab, cd) = (self.m, self.n, self.ab, self.cd);
        Instruction { m, n, ab, cd, a_transposed, b_transposed }.encode()
    }
}

/// Whether factors are bytes of two 4-bit floats (E2M1), without padding (PTX ISA, "Packing format used for
/// matrix A and B by .kind::mxf4 and .kind::mxf4nvf4"): bytes whose sums are floats.
///
/// The first is in the lower half. Of products the manual's text does not say so, but what makes their
/// factors does: `cvt.rn.satfinite.e2m1x2.f32 d, a, b` puts `a` into the upper four bits and `b` into the
/// lower ones (PTX ISA, `cvt`), and those who quantise for the tensor core (TensorRT-LLM and vLLM,
/// `fp32_vec_to_e2m1`) give it the later of two neighbours as `a`. It is also where elements below a byte
/// begin elsewhere in a factor: at the lowest bits.
pub const fn are_pairs(ab: Scalar, cd: Scalar) -> bool {
    matches!((ab, cd), (Scalar::U8, Scalar::F32))
}

/// Elements in 32 bytes.
const fn depth(ab: Scalar, cd: Scalar) -> u32 {
    if are_pairs(ab, cd) { 64 } else { 32 / ab.size() }
}

/// The name of the factors' elements.
fn element_name(ab: Scalar, cd: Scalar) -> String {
    if are_pairs(ab, cd) { "e2m1".to_owned() } else { ab.to_string() }
}

/// The name of a shape.
pub fn shape_name(m: u32, n: u32, ab: Scalar, cd: Scalar) -> String {
    format!("m{m}n{n}k{}.{}.{cd}", depth(ab, cd), element_name(ab, cd))
}

/// The rows, columns and types of the shape of that name, if some group has it.
pub fn shape_from_name(name: &str) -> Option<(u32, u32, Scalar, Scalar)> {
    let (rows, rest) = name.strip_prefix('m')?.split_once('n')?;
    let (columns, types) = rest.split_once('k')?;
    let mut types = types.split('.').skip(1);
    let ab = match types.next()? {
        "e2m1" => Scalar::U8,
        name => Scalar::from_name(name)?,
    };
    let (m, n) = (rows.parse().ok()?, columns.parse().ok()?);
    let cd = Scalar::from_name(types.next()?)?;
    let there = |group| exists(group, m, n, ab, cd) || scaled_exists(group, m, n, ab, cd);
    let there = there(Group::One) || there(Group::Pair);
    (there && shape_name(m, n, ab, cd) == name).then_some((m, n, ab, cd))
}

/// Whether a group of blocks multiplies so many rows (PTX ISA, `tcgen05.mma`: "Matrix shape").
const fn rows_exist(group: Group, m: u32) -> bool {
    match group {
        Group::One => m == ROWS,
        Group::Pair => m == ROWS || m == 2 * ROWS,
    }
}

/// Whether there is such a block-scaled shape (PTX ISA, `tcgen05.mma`: "Matrix shape").
pub fn scaled_exists(group: Group, m: u32, n: u32, ab: Scalar, cd: Scalar) -> bool {
    let types = matches!(ab, Scalar::E4M3 | Scalar::E5M2) || are_pairs(ab, cd);
    let step = 8 * group.blocks();
    let columns = (step..=256).contains(&n) && n.is_multiple_of(step);
    rows_exist(group, m) && columns && types && cd == Scalar::F32
}

/// What is wrong with how something lies in shared memory, if anything is.
fn layout_fault(layout: SmemLayout) -> Option<String> {
    let offsets = [("leading", layout.leading), ("stride", layout.stride)];
    let (name, bytes) = offsets.into_iter().find(|(_, b)| b % 16 != 0 || *b >= 1 << 18)?;
    Some(format!("a {name} offset of {bytes} bytes is no multiple of 16 below 2^18"))
}

/// Whether there is such a shape (PTX ISA, `tcgen05.mma`: "Matrix shape" and "Data types"), with sums of
/// 32 bits.
pub fn exists(group: Group, m: u32, n: u32, ab: Scalar, cd: Scalar) -> bool {
    use Scalar::*;
    let types = match ab {
        F16 | BF16 | TF32 | E4M3 | E5M2 => cd == F32,
        I8 | U8 => cd == I32,
        _ => false,
    };
    let step = if cd == I32 { 16 * group.blocks() } else { 16 };
    rows_exist(group, m) && (step..=256).contains(&n) && n.is_multiple_of(step) && types
}

/// What the instruction descriptor says (PTX ISA, "Instruction descriptor", the table of
/// `.kind::tf32`, `.kind::f16`, `.kind::f8f6f4` and `.kind::i8`): a dense product whose factors are not
/// negated. How many blocks multiply is no part of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Instruction {
    /// Rows of A and D.
    pub m: u32,
    /// Columns of B and D.
    pub n: u32,
    /// Element type of A and B.
    pub ab: Scalar,
    /// Element type of D.
    pub cd: Scalar,
    /// Whether A lies along m.
    pub a_transposed: bool,
    /// Whether B lies along n.
    pub b_transposed: bool,
}

/// Element types with their codes, kind by kind.
const FACTORS: [(&str, &[(Scalar, u32)]); 4] = [
    ("f16", &[(Scalar::F16, 0), (Scalar::BF16, 1)]),
    ("tf32", &[(Scalar::TF32, 2)]),
    ("f8f6f4", &[(Scalar::E4M3, 0), (Scalar::E5M2, 1)]),
    ("i8", &[(Scalar::U8, 0), (Scalar::I8, 1)]),
];

/// Types of sums with their codes.
const SUMS: [(Scalar, u32); 3] = [(Scalar::F16, 0), (Scalar::F32, 1), (Scalar::I32, 2)];

impl Instruction {
    /// The word.
    ///
    /// # Panics
    /// If its types have no codes: a bug, since the verifier asks for shapes that there are.
    pub fn encode(self) -> u32 {
        let code = |ty: Scalar, codes: &[(Scalar, u32)]| {
            codes.iter().find(|(scalar, _)| *scalar == ty).map(|&(_, code)| code)
        };
        let factor = FACTORS.iter().find_map(|(_, codes)| code(self.ab, codes));
        let factor = factor.expect("a type of factors");
        code(self.cd, &SUMS).expect("a type of sums") << 4
            | factor << 7
            | factor << 10
            | u32::from(self.a_transposed) << 15
            | u32::from(self.b_transposed) << 16
            | self.n >> 3 << 17
            | self.m >> 4 << 24
    }

    /// What a word says to an instruction of this kind; `None` if that is none of these.
    pub fn decode(kind: &str, word: u32) -> Option<Instruction> {
        let scalar = |codes: &[(Scalar, u32)], found: u32| {
            codes.iter().find(|(_, code)| *code == found).map(|&(scalar, _)| scalar)
        };
        let codes = FACTORS.iter().find(|(name, _)| *name == kind)?.1;
        let instruction = Instruction {
            m: (word >> 24 & 0x1F) << 4,
            n: (word >> 17 & 0x3F) << 3,
            ab: scalar(codes, word >> 7 & 7)?,
            cd: scalar(&SUMS, word >> 4 & 3)?,
            a_transposed: word >> 15 & 1 != 0,
            b_transposed: word >> 16 & 1 != 0,
        };
        (instruction.encode() == word).then_some(instruction)
    }
}

/// Swizzles with the codes of bits 61 to 63.
const SWIZZLES: [(Swizzle, u64); 4] =
    [(Swizzle::None, 0), (Swizzle::B128, 2), (Swizzle::B64, 4), (Swizzle::B32, 6)];

/// The bits of a shared memory descriptor besides the start address (PTX ISA, "Shared memory
/// descriptor"): offsets in units of 16 bytes, 0b001 in bits 46 to 48, the swizzle. The base offset is 0,
/// since patterns begin at multiples of [`Swizzle::period`], and the leading offset is relative.
pub fn descriptor(layout: SmemLayout) -> u64 {
    let field = |bytes: u32| u64::from((bytes & 0x3FFFF) >> 4);
    // Not used with a swizzle along k, and assumed to be 1 there.
    let leading = match (layout.mn_major, layout.swizzle) {
        (false, Swizzle::B32 | Swizzle::B64 | Swizzle::B128) => 1,
        _ => field(layout.leading),
    };
    let code = SWIZZLES.iter().find(|(swizzle, _)| *swizzle == layout.swizzle);
    let code = code.expect("every swizzle has a code").1;
    leading << 16 | field(layout.stride) << 32 | 1 << 46 | code << 61
}

/// The layout that a descriptor's bits say, of a factor along k or not; `None` if they say none.
pub fn layout(bits: u64, mn_major: bool) -> Option<SmemLayout> {
    let swizzle = SWIZZLES.iter().find(|(_, code)| *code == bits >> 61)?.0;
    let field = |at: u32| ((bits >> at & 0x3FFF) as u32) << 4;
    let layout = SmemLayout { swizzle, mn_major, leading: field(16), stride: field(32) };
    (descriptor(layout) == bits & !0x3FFF).then_some(layout)
}

/// The address of a lane and column of tensor memory (PTX ISA, "Tensor Memory Addressing"): the lane in
/// the upper half.
pub const fn address(lane: u32, column: u32) -> u32 {
    lane << 16 | column
}

/// The lane and column of an address.
pub const fn place(address: u32) -> (u32, u32) {
    (address >> 16, address & 0xFFFF)
}

/// Where element `k` of a row of A is that lies in tensor memory: the column from the factor's first one
/// on, and the byte in it. Elements fill columns from the lowest bits on (PTX ISA, "Packing formats of
/// elements in Tensor and Shared memory"); the row is the lane.
pub const fn a_place(size: u32, k: u32) -> (u32, u32) {
    (k * size / CELL, k * size % CELL)
}

/// The element of A at a byte of a column, the inverse of [`a_place`].
pub const fn a_element(size: u32, column: u32, byte: u32) -> u32 {
    (column * CELL + byte) / size
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPES: [(Scalar, Scalar); 7] = [
        (Scalar::F16, Scalar::F32),
        (Scalar::BF16, Scalar::F32),
        (Scalar::TF32, Scalar::F32),
        (Scalar::E4M3, Scalar::F32),
        (Scalar::E5M2, Scalar::F32),
        (Scalar::I8, Scalar::I32),
        (Scalar::U8, Scalar::I32),
    ];

    fn plain(n: u32, ab: Scalar, cd: Scalar) -> Tcgen05 {
        let b = SmemLayout { swizzle: Swizzle::B128, mn_major: false, leading: 16, stride: 1024 };
        Tcgen05 { group: Group::One, m: 128, n, ab, cd, a: Some(b), b, scales: None }
    }

    #[test]
    fn shapes_are_the_manuals() {
        for (ab, cd) in TYPES {
            for (group, m, there) in [
                (Group::One, 128, true),
                (Group::One, 256, false),
                (Group::Pair, 64, false),
                (Group::Pair, 128, true),
                (Group::Pair, 256, true),
            ] {
                let found: Vec<u32> = (0..512).filter(|&n| exists(group, m, n, ab, cd)).collect();
                let step = if cd == Scalar::I32 { 16 * group.blocks() } else { 16 };
                let all: Vec<u32> = (1..=256 / step).map(|i| step * i).collect();
                assert_eq!(found, if there { all } else { Vec::new() }, "{group:?} {m} {ab}");
                for n in found {
                    let name = shape_name(m, n, ab, cd);
                    assert_eq!(shape_from_name(&name), Some((m, n, ab, cd)));
                }
            }
        }
        let one = |n, ab, cd| exists(Group::One, 128, n, ab, cd);
        assert!(!one(64, Scalar::F32, Scalar::F32) && !one(64, Scalar::I8, Scalar::F32));
        for name in ["m128n24k16.bf16.f32", "m128n64k8.bf16.f32", "m64n64k16.bf16.f32"] {
            assert_eq!(shape_from_name(name), None);
        }
        for (ab, name) in [(Scalar::E4M3, "m128n8k32.e4m3.f32"), (Scalar::U8, "m128n8k64.e2m1.f32")]
        {
            assert_eq!(shape_name(128, 8, ab, Scalar::F32), name);
            assert_eq!(shape_from_name(name), Some((128, 8, ab, Scalar::F32)));
            let scaled = |group, n| scaled_exists(group, 128, n, ab, Scalar::F32);
            assert!(scaled(Group::One, 8) && scaled(Group::Pair, 16) && !scaled(Group::Pair, 24));
        }
        assert_eq!(shape_from_name("m128n4k64.e2m1.f32"), None);
        assert_eq!(plain(64, Scalar::E4M3, Scalar::F32).fault(), None);
        assert!(plain(8, Scalar::E4M3, Scalar::F32).fault().is_some());
        assert!(plain(64, Scalar::U8, Scalar::F32).fault().is_some());
        let bytes = plain(48, Scalar::E4M3, Scalar::F32);
        let across = SmemLayout { mn_major: true, ..bytes.b };
        let fault = |group| Tcgen05 { group, b: across, ..bytes }.fault();
        assert_eq!(fault(Group::One), None);
        assert_eq!(fault(Group::Pair).unwrap(), "48 columns of B along n are no multiple of 32");
    }

    /// Every instruction's word, field by field as the manual's table has them, and back.
    #[test]
    fn instruction_descriptors_are_the_manuals() {
        for (ab, cd) in TYPES {
            let kind = plain(16, ab, cd).kind();
            for (m, n) in [128, 256].into_iter().flat_map(|m| (1..=16).map(move |i| (m, 16 * i))) {
                for flags in 0..4 {
                    let (a_transposed, b_transposed) = (flags & 1 != 0, flags & 2 != 0);
                    let found = Instruction { m, n, ab, cd, a_transposed, b_transposed };
                    let word = found.encode();
                    let bits = |from: u32, len: u32| word >> from & ((1 << len) - 1);
                    // Sparsity, saturation, reserved bits, negation, shifts: nothing.
                    for (from, len) in [(0, 4), (6, 1), (13, 2), (23, 1), (29, 3)] {
                        assert_eq!(bits(from, len), 0);
                    }
                    let factor = match ab {
                        Scalar::F16 | Scalar::E4M3 | Scalar::U8 => 0,
                        Scalar::TF32 => 2,
                        _ => 1,
                    };
                    assert_eq!(bits(4, 2), if cd == Scalar::I32 { 2 } else { 1 });
                    assert_eq!((bits(7, 3), bits(10, 3)), (factor, factor));
                    assert_eq!((bits(15, 1), bits(16, 1)), (flags & 1, flags >> 1));
                    assert_eq!((bits(17, 6) * 8, bits(24, 5) * 16), (n, m));
                    assert_eq!(Instruction::decode(kind, word), Some(found));
                }
            }
        }
        assert_eq!(Instruction::decode("f16", 1 << 13), None);
        assert_eq!(Instruction::decode("f16", u32::MAX), None);
    }

    /// Every swizzle and major order with offsets of every bit, field by field, and back.
    #[test]
    fn shared_memory_descriptors_are_the_manuals() {
        let swizzles =
            [(Swizzle::None, 0), (Swizzle::B128, 2), (Swizzle::B64, 4), (Swizzle::B32, 6)];
        let offsets: Vec<u32> = (4..18).map(|bit| 1 << bit).chain([0x3FFF0, 0]).collect();
        for (swizzle, code) in swizzles {
            for mn_major in [false, true] {
                for (&leading, &stride) in
                    offsets.iter().flat_map(|l| offsets.iter().map(move |s| (l, s)))
                {
                    let fixed = !mn_major && swizzle != Swizzle::None;
                    let leading = if fixed { 16 } else { leading };
                    let found = SmemLayout { swizzle, mn_major, leading, stride };
                    let bits = descriptor(found);
                    let field = |from: u32, len: u32| bits >> from & ((1 << len) - 1);
                    assert_eq!((field(0, 14), field(14, 2), field(30, 2)), (0, 0, 0));
                    assert_eq!(field(16, 14), u64::from(leading >> 4));
                    assert_eq!(field(32, 14), u64::from(stride >> 4));
                    assert_eq!((field(46, 3), field(49, 12), field(61, 3)), (1, 0, code));
                    // The start address is no part of the layout.
                    assert_eq!(layout(bits | 0x1234, mn_major), Some(found));
                }
            }
        }
        // Codes that are reserved, or that this has no name for; the fixed bits.
        for bits in [1 << 61 | 1 << 46, 3 << 61 | 1 << 46, 0, 1 << 46 | 1 << 52] {
            assert_eq!(layout(bits, true), None);
        }
    }

    #[test]
    fn places_in_tensor_memory_come_back() {
        for (lane, column) in (0..ROWS).flat_map(|l| (0..COLUMNS).map(move |c| (l, c))) {
            assert_eq!(place(address(lane, column)), (lane, column));
        }
        for size in [1, 2, 4] {
            let mut seen = std::collections::HashSet::new();
            for k in 0..32 / size {
                let (column, byte) = a_place(size, k);
                assert!(column < 8 && byte + size <= CELL && seen.insert((column, byte)));
                assert_eq!(a_element(size, column, byte), k);
            }
        }
    }
}
