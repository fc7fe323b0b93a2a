//! Passes on kernels in text form: `tests/passes/*.kir`.
//!
//! A case is comments (the first line that begins `// passes:` names the passes to run), a kernel,
//! a line `----`, and the kernel or error that must come out. `UPDATE_EXPECT=1` writes what came
//! out into the files, for review.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use kernelsmith_ir::{Kernel, Target, passes};

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/passes");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "kir"));
    files.sort();
    files
}

/// The kernel after the passes, or the error of one.
fn run(kernel: &mut Kernel, names: &str) -> String {
    let target = Target::Cpu;
    for name in names.split_whitespace() {
        match name {
            "convergence" => {
                if let Err(e) = passes::convergence::check(kernel, &target) {
                    return format!("error: {e}\n");
                }
            }
            "in_flight" => {
                if let Err(e) = passes::in_flight::check(kernel) {
                    return format!("error: {e}\n");
                }
            }
            "cse" => passes::cse::run(kernel),
            "dce" => passes::dce::run(kernel),
            "flatten" => passes::flatten::run(kernel),
            "fold" => passes::fold::run(kernel),
            "licm" => passes::licm::run(kernel),
            "mem2reg" => passes::mem2reg::run(kernel),
            "uniformity" => return levels(kernel),
            "ranges" => passes::ranges::run(kernel, &target),
            other => panic!("unknown pass `{other}`"),
        }
        let text = kernel.to_string();
        let again = kernelsmith_ir::parse(&text).unwrap_or_else(|e| panic!("{name}: {e}\n{text}"));
        assert_eq!(again.to_string(), text, "after {name}");
    }
    kernel.to_string()
}

/// Who agrees on each value, by the numbers the kernel prints with.
fn levels(kernel: &Kernel) -> String {
    let target = Target::sm(90, true);
    let uniformity = passes::Uniformity::analyse(kernel, &target, false);
    let mut values = Vec::new();
    values.extend(kernel.params.iter().map(|p| p.value));
    kernel.body.walk(&mut |inst| {
        values.extend(&inst.results);
        inst.regions.iter().for_each(|r| values.extend(&r.args));
    });
    let mut text = String::new();
    for (n, &value) in values.iter().enumerate() {
        writeln!(text, "%{n} {:?}", uniformity.level(value)).unwrap();
    }
    text
}

#[test]
fn cases_come_out_as_written() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut wrong = String::new();
    for file in cases() {
        let text = std::fs::read_to_string(&file).unwrap();
        let (input, expected) = text.split_once("----\n").unwrap_or((&text, ""));
        let names = input.lines().find_map(|l| l.strip_prefix("// passes:"));
        let names = names.unwrap_or_else(|| panic!("{}: no `// passes:`", file.display()));
        let kernel_text: Vec<&str> = input.lines().filter(|l| !l.starts_with("//")).collect();
        let mut kernel: Kernel = kernelsmith_ir::parse(&kernel_text.join("\n"))
            .unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let out = run(&mut kernel, names);
        if update {
            std::fs::write(&file, format!("{input}----\n{out}")).unwrap();
        } else if out != expected {
            writeln!(wrong, "{}:\n{out}", file.display()).unwrap();
        }
    }
    assert!(wrong.is_empty(), "not as expected:\n{wrong}");
}
