//! `docs/reference/operations.md` says what the tables say.

use std::path::Path;

const COMMAND: &str = "UPDATE_EXPECT=1 cargo test -p kernelsmith-ir --test operations";

#[test]
fn the_reference_page_is_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let file = root.join("docs/reference/operations.md");
    let page = kernelsmith_ir::op::doc::reference();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, page).unwrap();
        return;
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(page.contains(COMMAND), "the page names the command that writes it");
    // The pages are long: the first line that differs says more than both.
    let line = found.lines().zip(page.lines()).position(|(a, b)| a != b);
    let line = line.unwrap_or(found.lines().count().min(page.lines().count())) + 1;
    assert!(found == page, "{} is out of date from line {line} on: run {COMMAND}", file.display());
}
