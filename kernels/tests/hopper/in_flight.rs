//! Registers of disassembled matrix instructions that are in flight.
//!
//! PTX ISA, `wgmma.mma_async`: neither the sums nor a left factor in registers may be accessed before a wait for
//! the instruction's group. Kernels keep to that, but the assembler chooses registers and places, so its
//! code is what this looks at: an instruction whose last operand is `gsb0` closes a group, and
//! `WARPGROUP.DEPBAR.LE gsb0, n` waits until `n` are left.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::loops::{Code, Instruction};

/// Groups that are told apart: more are never in flight.
const GROUPS: u32 = 8;

/// Left factors in registers and what is written to the registers of a product in flight, by the places in the
/// code: the product's and the writer's.
pub(crate) struct InFlight {
    pub(crate) left_factors: usize,
    pub(crate) overwritten: Vec<[usize; 2]>,
}

/// What the products of a kernel read from registers, and who overwrites that, or sums, too early.
pub(crate) fn in_flight(code: &str) -> InFlight {
    let code = Code::parse(code);
    let mut found = InFlight { left_factors: 0, overwritten: Vec::new() };
    for (at, product) in code.instructions.iter().enumerate().filter(|(_, one)| is_product(one)) {
        let factor = left_factor(product);
        found.left_factors += usize::from(factor.is_some());
        let sums = written(product);
        let mut seen = BTreeSet::new();
        let mut open: Vec<_> =
            code.followers(at).into_iter().map(|next| (next, closes(product))).collect();
        while let Some((next, closed)) = open.pop() {
            if !seen.insert((next, closed)) {
                continue;
            }
            let one = &code.instructions[next];
            if let Some(left) = waits(one)
                && closed > left
            {
                continue;
            }
            let adds = is_product(one) && written(one) == sums;
            let hit = |mine: &Option<Range<u32>>| {
                let (mine, theirs) = (mine.clone()?, written(one)?);
                Some(mine.start < theirs.end && theirs.start < mine.end)
            };
            if hit(&factor) == Some(true) || (!adds && hit(&sums) == Some(true)) {
                found.overwritten.push([at, next]);
                continue;
            }
            let closed = (closed + closes(one)).min(GROUPS);
            open.extend(code.followers(next).into_iter().map(|next| (next, closed)));
        }
    }
    found
}

fn is_product(one: &Instruction<'_>) -> bool {
    ["HGMMA.", "QGMMA.", "IGMMA."].iter().any(|name| one.opcode.starts_with(name))
}

/// 1 if the product is the last of a group.
fn closes(one: &Instruction<'_>) -> u32 {
    u32::from(is_product(one) && operands(one).any(|operand| operand == "gsb0"))
}

/// How many groups are left when this goes on.
fn waits(one: &Instruction<'_>) -> Option<u32> {
    let waits = one.opcode.starts_with("WARPGROUP.DEPBAR");
    let count = operands(one).nth(1).filter(|_| waits)?;
    u32::from_str_radix(count.strip_prefix("0x")?, 16).ok()
}

fn operands<'a>(one: &Instruction<'a>) -> impl Iterator<Item = &'a str> {
    one.operands.split(',').map(str::trim)
}

/// The number of a register of a thread's own; of none others, as `RZ` or `UR4`.
fn register(operand: &str) -> Option<u32> {
    let digits = operand.strip_prefix('R')?;
    digits.split('.').next()?.parse().ok()
}

/// The four registers of a left factor, if it is in such: 64 x 16 elements of 2 bytes or 64 x 32 of 1, on 128 threads.
fn left_factor(product: &Instruction<'_>) -> Option<Range<u32>> {
    let first = operands(product).nth(1).and_then(register)?;
    Some(first..first + 4)
}

/// What an instruction writes. Those that only read registers have an address or a predicate first.
fn written(one: &Instruction<'_>) -> Option<Range<u32>> {
    let mut parts = one.opcode.split('.');
    let name = parts.next()?;
    // A predicate says whether the lane exists, or is the old value's.
    let at = usize::from(["SHFL", "ATOM", "ATOMG", "ATOMS", "MATCH"].contains(&name));
    if ["BAR", "WARPSYNC", "NANOSLEEP", "BRX", "RET"].contains(&name) {
        return None;
    }
    let first = operands(one).nth(at).and_then(register)?;
    let size = |name: &str| one.opcode.split('.').any(|part| part == name);
    let len = match name {
        "HGMMA" | "QGMMA" | "IGMMA" => {
            let columns: u32 = one.opcode.split('x').nth(1)?.parse().ok()?;
            columns / 2
        }
        "CS2R" if !size("32") => 2,
        "LDSM" => parts.next_back()?.parse().unwrap_or(1),
        _ if size("128") => 4,
        _ if size("64") || size("WIDE") => 2,
        _ => 1,
    };
    Some(first..first + len)
}

/// One product is waited for while the next goes on, whose left factor is written too early on one way.
#[test]
fn writes_to_products_in_flight_are_found() {
    let code = |late: &str, early: &str| {
        format!(
            "k:
        /*0000*/ HGMMA.64x32x16.F32.BF16 R24, R4, gdesc[UR4].tnspB, R24, gsb0 ;
        /*0010*/ HGMMA.64x16x16.F32.BF16 R48, R8, gdesc[UR8].tnspB, R48 ;
        /*0020*/ HGMMA.64x16x16.F32.BF16 R48, R12, gdesc[UR8].tnspB, R48, gsb0 ;
        /*0030*/ WARPGROUP.DEPBAR.LE gsb0, 0x1 ;
        /*0040*/ F2FP.BF16.F32.PACK_AB R4, R24, R25 ;
        /*0050*/ @P0 BRA `(.L_x_1) ;
        /*0060*/ {early} ;
.L_x_1:
        /*0070*/ WARPGROUP.DEPBAR.LE gsb0, 0x0 ;
        /*0080*/ {late} ;
        /*0090*/ EXIT ;
"
        )
    };
    let all = ["LDS.128 R12, [R2]", "SHFL.BFLY PT, R9, R2, 0x1, 0x1f", "FADD R55, R2, R3"];
    for one in all {
        let good = in_flight(&code(one, "STS.128 [R8], R8"));
        assert_eq!((good.left_factors, good.overwritten), (3, vec![]), "{one}");
        let bad = in_flight(&code("NOP", one));
        assert_eq!(bad.overwritten.len(), if one.starts_with("FADD") { 2 } else { 1 }, "{one}");
        assert!(bad.overwritten.iter().all(|&[_, at]| at == 6), "{one}");
    }
}
