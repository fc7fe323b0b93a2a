//! What a code object says of its kernel.
//!
//! The ELF note of type 32 and name `AMDGPU` holds a msgpack map (LLVM AMDGPU usage guide, "Code
//! Object V5 Metadata").

use rmpv::Value;

use crate::Error;

/// The metadata of one kernel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Metadata {
    /// The symbol of the kernel descriptor.
    pub symbol: String,
    /// Vector registers of a lane, accumulation registers included where they are unified.
    pub vgprs: u32,
    /// Accumulation registers.
    pub agprs: u32,
    /// Scalar registers of a wave.
    pub sgprs: u32,
    /// Vector registers spilled to memory.
    pub vgpr_spills: u32,
    /// Scalar registers spilled.
    pub sgpr_spills: u32,
    /// Bytes of static shared memory (LDS).
    pub lds_bytes: u32,
    /// Bytes of private memory of a lane.
    pub scratch_bytes: u32,
    /// Bytes of the argument block.
    pub kernarg_bytes: u32,
    /// Lanes of a wave.
    pub wave_size: u32,
    /// Most threads of a block.
    pub max_threads: u32,
    /// Byte offsets of the explicit arguments.
    pub argument_offsets: Vec<u32>,
}

/// `NT_AMDGPU_METADATA`.
const NOTE_TYPE: u32 = 32;
/// `SHT_NOTE`.
const SECTION_NOTE: u32 = 7;

impl Metadata {
    /// Reads the metadata of a kernel from a code object.
    ///
    /// # Errors
    /// If the bytes are no code object with that kernel.
    pub fn read(elf: &[u8], kernel: &str) -> Result<Metadata, Error> {
        let note = note(elf).ok_or_else(|| Error::Metadata("there is no AMDGPU note".into()))?;
        let map = rmpv::decode::read_value(&mut &note[..])
            .map_err(|e| Error::Metadata(format!("not msgpack: {e}")))?;
        let kernels = field(&map, "amdhsa.kernels").and_then(Value::as_array);
        let found = kernels
            .into_iter()
            .flatten()
            .find(|k| field(k, ".name").and_then(Value::as_str) == Some(kernel));
        let entry =
            found.ok_or_else(|| Error::Metadata(format!("there is no kernel `{kernel}`")))?;
        let number = |name: &str| {
            field(entry, name).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok())
        };
        let need = |name: &str| {
            number(name).ok_or_else(|| Error::Metadata(format!("there is no number `{name}`")))
        };
        let explicit = |argument: &&Value| {
            let kind = field(argument, ".value_kind").and_then(Value::as_str).unwrap_or("");
            !kind.starts_with("hidden")
        };
        let arguments = field(entry, ".args").and_then(Value::as_array);
        let offset = |a: &Value| field(a, ".offset").and_then(Value::as_u64).map(|n| n as u32);
        Ok(Metadata {
            symbol: field(entry, ".symbol").and_then(Value::as_str).unwrap_or("").to_owned(),
            vgprs: need(".vgpr_count")?,
            agprs: number(".agpr_count").unwrap_or(0),
            sgprs: need(".sgpr_count")?,
            vgpr_spills: number(".vgpr_spill_count").unwrap_or(0),
            sgpr_spills: number(".sgpr_spill_count").unwrap_or(0),
            lds_bytes: need(".group_segment_fixed_size")?,
            scratch_bytes: need(".private_segment_fixed_size")?,
            kernarg_bytes: need(".kernarg_segment_size")?,
            wave_size: need(".wavefront_size")?,
            max_threads: need(".max_flat_workgroup_size")?,
            argument_offsets: arguments
                .into_iter()
                .flatten()
                .filter(explicit)
                .filter_map(offset)
                .collect(),
        })
    }
}

fn field<'a>(map: &'a Value, name: &str) -> Option<&'a Value> {
    map.as_map()?.iter().find(|(key, _)| key.as_str() == Some(name)).map(|(_, value)| value)
}

/// An unsigned number of `N` bytes, little endian.
fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<usize> {
    let mut wide = [0; 8];
    wide[..N].copy_from_slice(bytes.get(at..at.checked_add(N)?)?);
    usize::try_from(u64::from_le_bytes(wide)).ok()
}

/// The contents of the metadata note (ELF-64 object file format, sections and notes).
fn note(elf: &[u8]) -> Option<&[u8]> {
    if elf.get(..5)? != b"\x7fELF\x02" {
        return None;
    }
    let (table, size, count) =
        (number::<8>(elf, 0x28)?, number::<2>(elf, 0x3a)?, number::<2>(elf, 0x3c)?);
    for section in 0..count {
        let header = table + section * size;
        if number::<4>(elf, header + 4)? != SECTION_NOTE as usize {
            continue;
        }
        let (mut at, len) = (number::<8>(elf, header + 0x18)?, number::<8>(elf, header + 0x20)?);
        let end = at + len;
        while at + 12 <= end {
            let name_len = number::<4>(elf, at)?;
            let body_len = number::<4>(elf, at + 4)?;
            let kind = number::<4>(elf, at + 8)?;
            let name = at + 12;
            let body = name + name_len.next_multiple_of(4);
            if kind == NOTE_TYPE as usize && elf.get(name..name + name_len)? == b"AMDGPU\0" {
                return elf.get(body..body + body_len);
            }
            at = body + body_len.next_multiple_of(4);
        }
    }
    None
}
