//! Registers and loops of products, as the assembler's code has them. `wgmma` reads a left factor from registers
//! while it runs: who writes one of them before a wait for its group gets anything (PTX ISA, "wgmma.wait_group").
//! The kernels' code cannot say so, as values have no registers there yet; it is the assembler that keeps them.

use std::mem::take;
use std::ops::Range;

/// Instructions that write registers which the left factor of a product in flight is read from, in the order in which
/// they stand.
pub(crate) fn overwritten_factors(code: &str) -> Vec<&str> {
    let (mut groups, mut open) = (Vec::<Vec<Range<u32>>>::new(), Vec::new());
    let mut found = Vec::new();
    for instruction in code.lines().filter_map(instruction) {
        let (name, operands) = instruction.split_once(' ').unwrap_or((instruction, ""));
        let operands: Vec<&str> = operands.split(',').map(str::trim).collect();
        if name.starts_with("HGMMA") {
            open.extend(register(operands[1]).map(|first| first..first + 4));
            if operands.contains(&"gsb0") {
                groups.push(take(&mut open));
            }
        } else if name.starts_with("WARPGROUP.DEPBAR.LE") {
            let left = operands[1].trim_start_matches("0x");
            let left = usize::from_str_radix(left, 16).expect("how many groups are left");
            groups.drain(..groups.len().saturating_sub(left));
        } else if let Some(to) = written(name, &operands) {
            let meets = |factor: &Range<u32>| factor.start < to.end && to.start < factor.end;
            if groups.iter().flatten().chain(&open).any(meets) {
                found.push(instruction);
            }
        }
    }
    found
}

/// The innermost loops that have products, label to branch. Branches without a condition lead back from where a
/// barrier was waited for, and are none.
pub(crate) fn product_loops(code: &str) -> Vec<Vec<&str>> {
    let lines: Vec<&str> = code.lines().collect();
    let begin =
        |label: &str| lines.iter().position(|line| line.trim().strip_suffix(':') == Some(label));
    let mut loops = Vec::new();
    for (end, line) in lines.iter().enumerate() {
        let Some((_, label)) = line.split_once("BRA `(").filter(|_| line.contains('@')) else {
            continue;
        };
        let label = label.split(')').next().expect("a split has a first part");
        let products = |first: &usize| lines[*first..end].iter().any(|line| line.contains("HGMMA"));
        loops.extend(
            begin(label).filter(|&first| first < end).filter(products).map(|first| first..end),
        );
    }
    let all = loops.clone();
    let within =
        |a: &Range<usize>, b: &Range<usize>| a != b && b.start <= a.start && a.end <= b.end;
    loops.retain(|b| !all.iter().any(|a| within(a, b)));
    loops.into_iter().map(|body| lines[body].to_vec()).collect()
}

/// A line's instruction, without its address and its predicate.
fn instruction(line: &str) -> Option<&str> {
    let (_, code) = line.trim().strip_prefix("/*")?.split_once("*/")?;
    let code = code.split(';').next()?.trim();
    let code = if code.starts_with('@') { code.split_once(' ')?.1.trim() } else { code };
    code.starts_with(|c: char| c.is_ascii_uppercase()).then_some(code)
}

fn register(operand: &str) -> Option<u32> {
    operand.strip_prefix('R')?.split('.').next()?.parse().ok()
}

/// The registers that an instruction writes.
fn written(name: &str, operands: &[&str]) -> Option<Range<u32>> {
    // Behind a predicate; others that begin with one write nothing else.
    let behind = name.starts_with("SHFL") || name.starts_with("ATOM");
    let first = register(operands[if behind { 1.min(operands.len() - 1) } else { 0 }])?;
    let many = match name {
        _ if name.contains(".128") || name.contains("LDSM") => 4,
        _ if name.contains(".64") || name.contains("WIDE") => 2,
        _ => 1,
    };
    Some(first..first + many)
}

#[test]
fn a_factor_that_is_overwritten_is_found() {
    let code = |wait: &str| {
        format!(
            "/*0000*/ MOV R155, R1 ;\n\
             /*0010*/ HGMMA.64x96x16.F32.BF16 R24, R152, gdesc[UR12].tnspB, R24, gsb0 ;\n\
             /*0020*/ HGMMA.64x96x16.F32.BF16 R72, gdesc[UR4], R72, gsb0 ;\n\
             /*0030*/ WARPGROUP.DEPBAR.LE gsb0, {wait} ;\n\
             /*0040*/ @!P1 LDS.64 R154, [R2+0x400] ;\n\
             /*0050*/ MOV R156, R152 ;\n"
        )
    };
    assert_eq!(overwritten_factors(&code("0x2")), ["LDS.64 R154, [R2+0x400]"]);
    assert!(overwritten_factors(&code("0x1")).is_empty());
}
