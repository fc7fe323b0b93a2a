//! The reference page of the operations, from the tables that the compiler itself reads.

use std::fmt::Write;

use super::{Availability, Class, Effect, OpInfo, Opcode, Signature, TABLE};
use crate::legal::has_atomics;
use crate::mma::{MmaShape, Operand, SHAPES};
use crate::target::Target;
use crate::types::Scalar;
use crate::verify::{Rule, attribute_of};

/// Where the chapters of the page begin in the table.
const CHAPTERS: &[(&str, Opcode)] = &[
    ("Constants and ids", Opcode::Const),
    ("Arithmetic", Opcode::Add),
    ("Float functions", Opcode::Sqrt),
    ("Comparison and choice", Opcode::Eq),
    ("Conversion", Opcode::Cast),
    ("Vectors", Opcode::VecMake),
    ("Variables", Opcode::VarLoad),
    ("Memory", Opcode::SharedAddr),
    ("Cooperation", Opcode::Barrier),
    ("Matrices", Opcode::Mma),
    ("Asynchronous copies", Opcode::CpAsync),
    ("Barriers in shared memory", Opcode::MbarrierInit),
    ("Checks", Opcode::Check),
    ("Control flow", Opcode::If),
];

const HEAD: &str = "\
# Operations

The operations of the IR, what they take and give, and who has them. This page is written from the
tables in `kernel-ir/src/op.rs`, `mma.rs`, `target.rs` and `verify/rule.rs`; after a change of those:

```sh
UPDATE_EXPECT=1 cargo test -p kernelsmith-ir --test operations
```

In the forms, `t` and `u` are types, `s` is a scalar type, and what stands in brackets is fixed while
compiling. The effect decides what passes may do: *pure* operations are moved, merged and removed
freely, *collective* ones stay in their control flow, as their value depends on the other lanes.
";

/// The whole page, as Markdown.
pub fn reference() -> String {
    let mut page = HEAD.to_owned();
    for (i, &(title, first)) in CHAPTERS.iter().enumerate() {
        let end = CHAPTERS.get(i + 1).map_or(TABLE.len(), |&(_, next)| next as usize);
        chapter(&mut page, title, &TABLE[first as usize..end]);
    }
    shapes(&mut page);
    targets(&mut page);
    rules(&mut page);
    page
}

/// A heading and the head of a table.
fn table(page: &mut String, title: &str, columns: &[&str]) {
    write!(page, "\n## {title}\n\n").expect("writing to a string");
    row(page, columns);
    row(page, &vec!["---"; columns.len()]);
}

fn row(page: &mut String, cells: &[&str]) {
    writeln!(page, "| {} |", cells.join(" | ")).expect("writing to a string");
}

fn chapter(page: &mut String, title: &str, rows: &[OpInfo]) {
    table(page, title, &["operation", "form", "meaning", "effect", "targets"]);
    for info in rows {
        let attribute = match attribute_of(info.op) {
            None => String::new(),
            Some(what) => format!(" [{what}]"),
        };
        let name = format!("`{}`{attribute}", info.name);
        row(page, &[&name, &form(info), info.doc, effect(info.effect), &availability(info)]);
    }
}

fn availability(info: &OpInfo) -> String {
    match info.availability {
        Availability::ByShape => "by shape, see [Matrix shapes](#matrix-shapes)".to_owned(),
        Availability::SmElsePlain(_) => {
            let native = |t: &Target| matches!(t, Target::Ptx(_)) && info.availability.on(t);
            let plain = |t: &Target| !matches!(t, Target::Ptx(_)) && info.availability.on(t);
            let [native, plain] = [Target::describe_where(native), Target::describe_where(plain)];
            format!("{native}; as plain code on {plain}")
        }
        other if matches!(info.signature, Signature::AtomicRmw | Signature::AtomicCas) => {
            let narrow = |t: &Target| other.on(t) && has_atomics(t, Scalar::U8);
            let narrow = Target::describe_where(narrow);
            format!("{}; on types of 1 and 2 bytes: {narrow}", other.describe())
        }
        other => other.describe(),
    }
}

const fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Pure => "pure",
        Effect::Collective => "collective",
        Effect::Read => "reads memory",
        Effect::Write => "writes memory",
        Effect::Var => "variable",
        Effect::Sync => "synchronises",
        Effect::Check => "may end the thread",
        Effect::Control => "holds regions",
        Effect::Terminator => "ends a region",
    }
}

/// Operands and results.
fn form(info: &OpInfo) -> String {
    let of = |form: &str, class: Class| format!("`{form}`, `t` {}", class.describe());
    let wide = |form, class| of(form, class) + " or a vector of it";
    match info.signature {
        Signature::Unary(class) => wide("(t) -> t", class),
        Signature::Binary(class) => wide("(t, t) -> t", class),
        Signature::Ternary(class) => wide("(t, t, t) -> t", class),
        Signature::Shift => wide("(t, u32) -> t", Class::Int),
        Signature::Count(class) => of("(t) -> u32", class),
        Signature::Compare(Class::Any) => of("(t, t) -> bool", Class::Any) + " or a pointer",
        Signature::Compare(class) => of("(t, t) -> bool", class),
        Signature::VarAccess => match info.op {
            Opcode::VarLoad => "`() -> t`".to_owned(),
            Opcode::VarStore => "`(t) -> ()`".to_owned(),
            Opcode::VarLoadAt => "`(index: u64) -> t`".to_owned(),
            _ => "`(index: u64, t) -> ()`".to_owned(),
        },
        Signature::Terminator => match info.op {
            Opcode::Return => "`() -> ()`".to_owned(),
            _ => "`(values...) -> ()`".to_owned(),
        },
        other => format!("`{}`", fixed_form(other)),
    }
}

/// The forms that have no type class.
const fn fixed_form(signature: Signature) -> &'static str {
    match signature {
        Signature::Const => "() -> s",
        Signature::Id(_) => "() -> u32",
        Signature::Select => "(bool, t, t) -> t",
        Signature::Dot4 => "(u32 or i32, u32 or i32, i32) -> i32",
        Signature::Dot2 => "(u32, u32, f32) -> f32",
        Signature::Cast | Signature::Bitcast => "(t) -> u",
        Signature::VecMake => "(s, ..., s) -> vector of s",
        Signature::VecExtract => "(vector of s) -> s",
        Signature::VecInsert => "(vector of s, s) -> vector of s",
        Signature::Address => "() -> ptr<s>",
        Signature::PtrAdd => "(ptr<s>, i64 or u64 or u32) -> ptr<s>",
        Signature::Load => "(ptr<s>) -> s or vector of s",
        Signature::Store => "(ptr<s>, s or vector of s) -> ()",
        Signature::AtomicRmw => "(ptr<s>, s) -> s",
        Signature::AtomicCas => "(ptr<s>, expected: s, new: s) -> s",
        Signature::Prefetch => "(ptr<global, s>) -> ()",
        Signature::Shuffle => "(s, u32) -> s",
        Signature::Vote => "(bool) -> bool",
        Signature::Ballot => "(bool) -> u64",
        Signature::Match => "(s) -> u64",
        Signature::Reduce => "(s) -> s",
        Signature::Mma => "(a, b, c) -> d",
        Signature::Ldmatrix => "(ptr<shared, f16 or bf16>) -> vector of 2, 4 or 8",
        Signature::Stmatrix => "(ptr<shared, f16 or bf16>, vector of 2, 4 or 8) -> ()",
        Signature::Elect => "() -> bool",
        Signature::Wgmma => "(a: ptr<shared, s> or fragment, b: ptr<shared, s>, c, bool) -> d",
        Signature::WgmmaWait => "(accumulators...) -> the same",
        Signature::MbarrierInit => "(ptr<shared, u64>, count: u32) -> ()",
        Signature::MbarrierArrive => "(ptr<shared or cluster, u64>) -> ()",
        Signature::MbarrierExpect => "(ptr<shared, u64>, bytes: u32) -> ()",
        Signature::MbarrierWait => "(ptr<shared, u64>, parity: u32) -> ()",
        Signature::MbarrierTest => "(ptr<shared, u64>, parity: u32) -> bool",
        Signature::MapShared => "(ptr<shared, s>, rank: u32) -> ptr<cluster, s>",
        Signature::TmaLoad => {
            "(to: ptr<shared, s>, tensor_map<s>, barrier: ptr<shared or cluster, u64>, coordinates: i32..., \
             [blocks: u32]) -> ()"
        }
        Signature::TmaStore => "(tensor_map<s>, from: ptr<shared, s>, coordinates: i32...) -> ()",
        Signature::TmaPrefetch => "(tensor_map<s>) -> ()",
        Signature::TmaFetch => "(tensor_map<s>, coordinates: i32...) -> ()",
        Signature::BulkFetch => "(from: ptr<global, s>, bytes: u32) -> ()",
        Signature::BulkLoad => {
            "(to: ptr<shared, s>, from: ptr<global, s>, bytes: u32, barrier: ptr<shared, u64>, \
             [blocks: u32]) -> ()"
        }
        Signature::BulkStore => "(to: ptr<global, s>, from: ptr<shared, s>, bytes: u32) -> ()",
        Signature::TensorAlloc => "(ptr<shared, u32>) -> ()",
        Signature::TensorFree => "(address: u32) -> ()",
        Signature::TensorYield => "() -> ()",
        Signature::TensorCommit => "(ptr<shared, u64>, [blocks: u32]) -> ()",
        Signature::TensorLoad => "(address: u32) -> vector of u32",
        Signature::TensorStore => "(address: u32, vector of u32) -> ()",
        Signature::Tcgen05 => {
            "(d: u32, a: ptr<shared, s> or u32, b: ptr<shared, s>, bool, \
             [scales of a: u32, scales of b: u32]) -> ()"
        }
        Signature::TensorCopy => "(to: u32, from: ptr<shared, s>) -> ()",
        Signature::CpAsync => "(to: ptr<shared, s>, from: ptr<global, u>) -> ()",
        Signature::Check => "(bool, [index: u64, len: u64]) -> ()",
        Signature::If => "(bool) -> results, two regions",
        Signature::For => "(lo: t, hi: t, carried...) -> carried, one region (t, carried...)",
        Signature::Loop => "(carried...) -> results of break, one region (carried...)",
        Signature::Block => "() -> results, one region",
        _ => "() -> ()",
    }
}

fn shapes(page: &mut String) {
    let columns = [
        "shape",
        "rows, columns, depth",
        "lanes",
        "A of a lane",
        "B of a lane",
        "C, D of a lane",
        "targets",
    ];
    table(page, "Matrix shapes", &columns);
    for &shape in SHAPES {
        let MmaShape { m, n, k, .. } = shape;
        let [a, b, c] = [Operand::A, Operand::B, Operand::C].map(|operand| {
            let ty = shape.fragment_type(operand);
            format!("`{ty}`")
        });
        let name = format!("`{}`", shape.name());
        let size = format!("{m}, {n}, {k}");
        let lanes = shape.warp_size().to_string();
        let there = Target::describe_where(|t| shape.available(t));
        row(page, &[&name, &size, &lanes, &a, &b, &c, &there]);
    }
}

fn targets(page: &mut String) {
    let columns = ["target", "lanes of a warp", "threads of a block", "bytes of shared memory"];
    table(page, "Targets", &columns);
    for target in Target::all() {
        row(
            page,
            &[
                &format!("`{target}`"),
                &target.warp_size().to_string(),
                &target.max_threads().to_string(),
                &target.max_shared_bytes().to_string(),
            ],
        );
    }
}

fn rules(page: &mut String) {
    table(page, "Rules of the verifier", &["rule", "what it says"]);
    for rule in Rule::ALL {
        row(page, &[&format!("`{}`", rule.name()), rule.sentence()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chapters_are_in_order_and_cover_the_table() {
        assert_eq!(CHAPTERS[0].1 as usize, 0);
        assert!(CHAPTERS.is_sorted_by_key(|&(_, first)| first));
        let page = reference();
        for info in TABLE {
            assert_eq!(page.matches(&format!("\n| `{}`", info.name)).count(), 1, "{}", info.name);
        }
    }
}
