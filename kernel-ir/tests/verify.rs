//! What the verifier and the legality check reject: `tests/verify/*.kir`, `tests/legal/*.kir`.
//!
//! A case is a first line `// rule: NAME` (or `// targets: NAMES`), a kernel, a line `----`, and
//! what is said of it. `UPDATE_EXPECT=1` writes what was said into the files, for review. What the
//! text form cannot say, since the parser rejects it, is built by [`built`].

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use kernelsmith_ir::attr::{Attr, Const};
use kernelsmith_ir::kernel::{Kernel, Value};
use kernelsmith_ir::mma::{MmaShape, Operand};
use kernelsmith_ir::verify::{Rule, VerifyError};
use kernelsmith_ir::{Builder, Opcode, ParamKind, Scalar, Space, Target, Type, legal, verify};

fn cases(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Runs a folder's cases: `said` is given the first line's words and the kernel.
fn run_cases(folder: &str, key: &str, said: impl Fn(&str, &Kernel) -> String) {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut wrong = String::new();
    for file in cases(folder) {
        let name = file.display();
        let text = std::fs::read_to_string(&file).unwrap();
        let (input, expected) = text.split_once("----\n").unwrap_or((&text, ""));
        let (first, kernel) = input.split_once('\n').unwrap();
        let words = first.strip_prefix(key).unwrap_or_else(|| panic!("{name}: no `{key}`"));
        let kernel = kernelsmith_ir::parse(kernel).unwrap_or_else(|e| panic!("{name}: {e}"));
        let out = said(words.trim(), &kernel);
        if update {
            std::fs::write(&file, format!("{input}----\n{out}")).unwrap();
        } else if out != expected {
            writeln!(wrong, "{name}:\n{out}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "not as expected:\n{wrong}");
}

/// The error, which must be of one rule only.
fn rejected(rule: &str, kernel: &Kernel) -> VerifyError {
    let error = verify(kernel).expect_err(&format!("a kernel that breaks {rule}\n{kernel}"));
    for violation in &error.violations {
        assert_eq!(violation.rule.name(), rule, "{error}\n{kernel}");
    }
    error
}

#[test]
fn each_rule_rejects_what_breaks_it() {
    run_cases("verify", "// rule:", |rule, kernel| format!("{}\n", rejected(rule, kernel)));
}

/// What targets lack, in kernels that keep every rule.
#[test]
fn targets_reject_what_they_lack() {
    run_cases("legal", "// targets:", |targets, kernel| {
        verify(kernel).unwrap();
        let mut out = String::new();
        for name in targets.split_whitespace() {
            match legal::check(kernel, &name.parse().unwrap()) {
                Ok(()) => writeln!(out, "{name}: ok").unwrap(),
                Err(error) => writeln!(out, "{name}: {error}").unwrap(),
            }
        }
        out
    });
}

/// A kernel with a parameter `a` that computes `a + a`.
fn doubling() -> (Kernel, Value) {
    let mut b = Builder::new("k");
    let a = b.param("a", Type::F32, ParamKind::Scalar);
    b.same(Opcode::Add, &[a, a]);
    (b.finish(), a)
}

/// An `mma` of a shape that no table has, its fragments as the shape says.
fn odd_mma() -> Kernel {
    let mut shape = MmaShape::from_name("mma_sync.m16n8k16.f16.f32").unwrap();
    (shape.n, shape.k) = (16, 8);
    let mut b = Builder::new("k");
    let fragments = [Operand::A, Operand::B, Operand::C].map(|operand| {
        let ty = shape.fragment_type(operand);
        let ptr = Type::Ptr(Space::Global, ty.elem());
        let from = b.param(&format!("{operand:?}"), ptr, ParamKind::ReadOnly);
        b.load(from, ty)
    });
    b.emit1(Opcode::Mma, Attr::Mma(shape), &fragments, shape.fragment_type(Operand::C));
    b.finish()
}

/// Kernels that only a program can make, with the rule each breaks and what is said.
fn built() -> Vec<(Rule, Kernel, &'static str)> {
    let (mut unknown, _) = doubling();
    unknown.body.insts[0].operands[1] = Value(99);
    let (mut twice, a) = doubling();
    twice.body.insts[0].results[0] = a;
    let (mut early, _) = doubling();
    let result = early.body.insts[0].result();
    early.body.insts[0].operands[0] = result;
    let mut wide = Builder::new("k");
    let c = Const { ty: Scalar::I8, bits: 0x1ff };
    wide.emit1(Opcode::Const, Attr::Const(c), &[], Type::Scalar(Scalar::I8));
    let mut label = Builder::new("k");
    label.begin_loop();
    label.ret();
    label.end_loop();
    label.kernel_mut().labels = 0;
    vec![
        (Rule::ValueNumber, unknown, "found value 99, expected one of the 2 that have a type"),
        (Rule::DefinedOnce, twice, "found another definition of value 0, expected a new value"),
        (Rule::DefinedBeforeUse, early, "found operand 0 (value 1) not defined so far, expected"),
        (Rule::ConstantFits, wide.finish(), "found i8 with bits 0x1ff, expected 8 bits"),
        (Rule::LabelUnique, label.finish(), "found label $0, expected one below 0"),
        (Rule::MatrixShape, odd_mma(), "found mma_sync.m16n16k8.f16.f32, expected a shape of"),
    ]
}

#[test]
fn rules_the_parser_enforces_too_are_checked_on_built_kernels() {
    for (rule, kernel, expected) in built() {
        let text = rejected(rule.name(), &kernel).to_string();
        assert!(text.contains(&format!("[{}]: {expected}", rule.name())), "{text}");
    }
}

/// A rule without a case that breaks it is a rule that nobody knows to work.
#[test]
fn every_rule_has_a_case() {
    let mut covered: BTreeSet<String> =
        built().iter().map(|(rule, ..)| rule.name().to_owned()).collect();
    for file in cases("verify") {
        let text = std::fs::read_to_string(&file).unwrap();
        let rule = text.lines().next().and_then(|l| l.strip_prefix("// rule:"));
        covered.insert(rule.expect("a case says its rule").trim().to_owned());
    }
    let rules: BTreeSet<String> = Rule::ALL.iter().map(|r| r.name().to_owned()).collect();
    let missing: Vec<&String> = rules.difference(&covered).collect();
    assert!(missing.is_empty(), "add tests/verify/RULE.kir for {missing:?}");
    let unknown: Vec<&String> = covered.difference(&rules).collect();
    assert!(unknown.is_empty(), "cases of rules that are not there: {unknown:?}");
}

/// The pipeline asks both questions, before any pass.
#[test]
fn prepare_rejects_what_they_reject() {
    let prepare = kernelsmith_ir::passes::prepare;
    for (rule, kernel, _) in built() {
        let error = prepare(&kernel, &Target::Cpu).unwrap_err().to_string();
        assert!(error.contains(rule.name()), "{error}");
    }
    let mut b = Builder::new("k");
    let mut shared = |len| b.shared("tile", Scalar::F32, Some(len), 16);
    shared(1 << 18);
    shared(1);
    let error = prepare(&b.finish(), &Target::Cpu).unwrap_err().to_string();
    assert!(error.contains("take 1048580 bytes"), "{error}");
}

/// One mistake early in a kernel can break rules in all that follows; the error stays readable.
#[test]
fn only_the_first_violations_are_described() {
    let mut b = Builder::new("k");
    let a = b.param("a", Type::F32, ParamKind::Scalar);
    for _ in 0..40 {
        b.emit1(Opcode::Add, Attr::None, &[a], Type::F32);
    }
    let error = verify(&b.finish()).unwrap_err();
    assert_eq!((error.violations.len(), error.more), (16, 24));
    assert!(error.to_string().ends_with("and 24 more"), "{error}");
}
