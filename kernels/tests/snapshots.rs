//! What becomes of two of the library's kernels at each stage, as text. A change of a pass or a code
//! generator shows here what it does; `cargo insta review` (or `INSTA_UPDATE=always`) accepts it.

use kernelsmith::Target;
use kernelsmith::codegen::{Stage, emit};
use kernelsmith_kernels::catalog;

/// The text without source lines, which move with every edit.
fn text(kernel: &str, target: &str, stage: Stage) -> String {
    let target: Target = target.parse().unwrap();
    let kernel = (catalog::find(kernel).unwrap().ir)(&target).unwrap();
    let text = emit(&kernel, None, &target, stage).unwrap();
    let lines = text.lines().filter(|line| {
        let line = line.trim_start();
        ![".loc ", ".file ", "file f"].iter().any(|prefix| line.starts_with(prefix))
    });
    lines.map(|line| without_place(line) + "\n").collect()
}

/// Cuts ` at f1:23:4`.
fn without_place(line: &str) -> String {
    let Some(start) = line.find(" at f") else { return line.to_owned() };
    let place = line[start + 5..].find(|c: char| c != ':' && !c.is_ascii_digit());
    let rest = place.map_or("", |end| &line[start + 5 + end..]);
    format!("{}{rest}", &line[..start])
}

#[test]
fn saxpy() {
    insta::assert_snapshot!("saxpy_staged", text("saxpy", "cpu", Stage::Staged));
    insta::assert_snapshot!("saxpy_ir_sm_90a", text("saxpy", "sm_90a", Stage::Ir));
    insta::assert_snapshot!("saxpy_ptx_sm_90a", text("saxpy", "sm_90a", Stage::Asm));
    insta::assert_snapshot!("saxpy_llvm_cpu", text("saxpy", "cpu", Stage::Llvm));
    insta::assert_snapshot!("saxpy_llvm_gfx942", text("saxpy", "gfx942", Stage::Llvm));
}

#[test]
fn softmax() {
    insta::assert_snapshot!("softmax_staged", text("softmax", "cpu", Stage::Staged));
    insta::assert_snapshot!("softmax_ir_gfx1100", text("softmax", "gfx1100", Stage::Ir));
    insta::assert_snapshot!("softmax_llvm_gfx1100", text("softmax", "gfx1100", Stage::Llvm));
}
