//! Loops of disassembled code, by its control flow: blocks that wait lie behind the kernel's end and jump
//! back from there, so that where a branch goes does not tell what a loop is.

use std::collections::{BTreeSet, HashMap};

/// An instruction: whether a condition guards it, its opcode and the label it names.
pub(crate) struct Instruction<'a> {
    guarded: bool,
    pub(crate) opcode: &'a str,
    pub(crate) operands: &'a str,
    label: Option<&'a str>,
}

/// A kernel's code, and where its labels are.
pub(crate) struct Code<'a> {
    pub(crate) instructions: Vec<Instruction<'a>>,
    labels: HashMap<&'a str, usize>,
}

/// The opcodes of a loop.
pub(crate) struct Loop<'a>(Vec<&'a str>);

impl Loop<'_> {
    /// How many begin so.
    pub(crate) fn count(&self, opcode: &str) -> usize {
        self.0.iter().filter(|name| name.starts_with(opcode)).count()
    }

    /// Whether there are such opcodes, and all of them before any of the others.
    pub(crate) fn before(&self, opcode: &str, other: &str) -> bool {
        let last = self.0.iter().rposition(|name| name.starts_with(opcode));
        let first = self.0.iter().position(|name| name.starts_with(other));
        last.zip(first).is_some_and(|(last, first)| last < first)
    }
}

/// Loops with such an instruction that have no smaller loop with one in them, in the order of their heads.
pub(crate) fn innermost<'a>(code: &'a str, opcode: &str) -> Vec<Loop<'a>> {
    let code = Code::parse(code);
    let all = &code.instructions;
    let followers: Vec<Vec<usize>> = (0..all.len()).map(|at| code.followers(at)).collect();
    let mut found = natural_loops(&followers);
    let has = |at: &usize| all[*at].opcode.starts_with(opcode);
    found.retain(|(_, body)| body.iter().any(has));
    let inner = |(head, body): &(usize, BTreeSet<usize>)| {
        !found.iter().any(|(other, inside)| other != head && inside.is_subset(body))
    };
    let innermost = found.iter().filter(|found| inner(found));
    innermost.map(|(_, body)| Loop(body.iter().map(|&at| all[at].opcode).collect())).collect()
}

impl<'a> Code<'a> {
    /// Lines like `/*0050*/ @!P0 BRA `(.L_x_2) ;` and labels like `.L_x_2:`, which stand for what follows.
    pub(crate) fn parse(code: &'a str) -> Code<'a> {
        let (mut instructions, mut labels) = (Vec::new(), HashMap::new());
        for line in code.lines().map(str::trim) {
            if let Some(label) = line.strip_suffix(':') {
                labels.insert(label, instructions.len());
            }
            let Some((address, text)) =
                line.strip_prefix("/*").and_then(|rest| rest.split_once("*/"))
            else {
                continue;
            };
            if !address.bytes().all(|byte| byte.is_ascii_hexdigit()) || text.trim().starts_with('.')
            {
                continue;
            }
            let text = text.trim();
            let guarded = text.starts_with('@');
            let text =
                if guarded { text.split_once(' ').map_or("", |(_, rest)| rest) } else { text };
            let text = text.trim().trim_end_matches(';');
            let (opcode, operands) = text.split_once(' ').unwrap_or((text, ""));
            let label = operands.split_once("`(").and_then(|(_, rest)| rest.split_once(')'));
            let label = label.map(|(label, _)| label);
            instructions.push(Instruction { guarded, opcode: opcode.trim(), operands, label });
        }
        Code { instructions, labels }
    }

    /// What may come behind an instruction.
    pub(crate) fn followers(&self, at: usize) -> Vec<usize> {
        let Code { instructions: all, labels } = self;
        let Instruction { guarded, opcode, operands, label } = &all[at];
        let name = opcode.split('.').next().unwrap_or_default();
        let next = (at + 1 < all.len()).then_some(at + 1);
        let target = label.and_then(|label| labels.get(label)).copied();
        // Branches take conditions of registers, too.
        let always = !guarded && !operands.trim_start().starts_with(['U', 'P', '!', 'R']);
        match name {
            "BRA" if always => target.into_iter().collect(),
            "BRA" => next.into_iter().chain(target).collect(),
            "EXIT" | "RET" if !guarded => Vec::new(),
            // Threads go on where they have agreed to meet.
            "BSYNC" => {
                let place = operands.trim();
                let meeting = all[..at].iter().rev().find(|one| {
                    one.opcode.starts_with("BSSY") && one.operands.trim_start().starts_with(place)
                });
                let meeting = meeting.and_then(|one| labels.get(one.label?)).copied();
                meeting.or(next).into_iter().collect()
            }
            _ => next.into_iter().collect(),
        }
    }
}

/// Loops by their heads: what gets to a branch back to the head without passing it, where every way to the
/// branch passes the head (Aho et al., "Compilers", section 9.6.6).
fn natural_loops(followers: &[Vec<usize>]) -> Vec<(usize, BTreeSet<usize>)> {
    let mut before = vec![Vec::new(); followers.len()];
    for (at, next) in followers.iter().enumerate() {
        next.iter().for_each(|&next| before[next].push(at));
    }
    let reached = reachable(followers, 0, None);
    let mut heads: HashMap<usize, BTreeSet<usize>> = HashMap::new();
    for (from, next) in followers.iter().enumerate().filter(|(at, _)| reached.contains(at)) {
        for &head in next.iter().filter(|&&head| head <= from) {
            // Without the head nothing gets to the branch.
            if head != 0 && reachable(followers, 0, Some(head)).contains(&from) {
                continue;
            }
            let body = reachable(&before, from, Some(head));
            let all = heads.entry(head).or_default();
            all.extend(body.intersection(&reached));
            all.insert(head);
        }
    }
    let mut loops: Vec<_> = heads.into_iter().collect();
    loops.sort_by_key(|(head, _)| *head);
    loops
}

/// What edges lead to, but for what lies behind one place.
fn reachable(edges: &[Vec<usize>], start: usize, without: Option<usize>) -> BTreeSet<usize> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![start]);
    while let Some(at) = open.pop() {
        if Some(at) != without && seen.insert(at) {
            open.extend(&edges[at]);
        }
    }
    seen
}

/// A loop in a loop, with a block that waits behind the end.
#[test]
fn loops_are_told_by_control_flow() {
    let code = "k:
        /*0000*/ MOV R1, R2 ;
.L_outer:
        /*0010*/ UTMALDG.4D [UR8], [UR4] ;
.L_inner:
        /*0020*/ SYNCS.PHASECHK P0, [R1] ;
        /*0030*/ @!P0 BRA `(.L_wait) ;
.L_done:
        /*0040*/ HGMMA.64x128x16.F32 R24, gdesc[UR4], R24 ;
        /*0050*/ @P1 BRA `(.L_inner) ;
        /*0060*/ BRA.U UP0, `(.L_outer) ;
        /*0070*/ HGMMA.64x128x16.F32 R24, gdesc[UR4], R24 ;
        /*0080*/ EXIT ;
.L_wait:
        /*0090*/ SYNCS.PHASECHK P0, [R1] ;
        /*00a0*/ @!P0 BRA `(.L_wait) ;
        /*00b0*/ BRA `(.L_done) ;
";
    let products = innermost(code, "HGMMA");
    assert_eq!(products.iter().map(|l| l.count("HGMMA.")).collect::<Vec<_>>(), [1]);
    assert_eq!(products[0].count("SYNCS"), 2);
    assert_eq!(products[0].count("UTMALDG"), 0);
    let copies = innermost(code, "UTMALDG");
    assert_eq!((copies.len(), copies[0].count("HGMMA"), copies[0].count("MOV")), (1, 1, 0));
}
