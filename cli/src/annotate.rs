//! Source lines beside generated code.
//!
//! IR names its places (`at f1:13:15`), assembly and PTX by `.loc` directives, the disassembler of
//! NVIDIA's machine code in comments. In each a comment with the
//! user's line goes before the first instruction that comes from it. Paths are as rustc gave them,
//! relative to the folder that cargo ran in; where a file is not found from here, the place alone is
//! shown.

use std::collections::HashMap;
use std::fs;

/// Text with a comment wherever the source line changes; `comment` begins a comment.
pub(crate) fn annotate(text: &str, comment: &str) -> String {
    let mut sources = Sources::default();
    let mut out = String::with_capacity(text.len() * 2);
    let mut last = None;
    for line in text.lines() {
        sources.declare(line);
        let place = sources.place(line).filter(|&(_, number)| number > 0);
        if let Some((path, number)) = place
            && last.as_ref() != Some(&(path.clone(), number))
        {
            let indent = line.len() - line.trim_start().len();
            let shown = sources.show(&path, number);
            out.push_str(&format!("{}{comment} {shown}\n", &line[..indent]));
            last = Some((path, number));
        }
        let only_place = [".loc", LISTED].iter().any(|head| line.trim_start().starts_with(head));
        if !only_place {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

/// How `nvdisasm` begins a line that names a place.
const LISTED: &str = "//## File \"";

/// The files that the text declares by number, and the lines of those already shown.
#[derive(Default)]
struct Sources {
    paths: HashMap<u32, String>,
    lines: HashMap<String, Option<Vec<String>>>,
}

impl Sources {
    /// Notes `.file 1 "folder" "name"` and `file f1 "path"`.
    fn declare(&mut self, line: &str) {
        let line = line.trim_start();
        let Some(rest) = line.strip_prefix(".file").or_else(|| line.strip_prefix("file f")) else {
            return;
        };
        let Some((number, names)) = rest.trim_start().split_once(char::is_whitespace) else {
            return;
        };
        if let Ok(number) = number.parse() {
            let parts: Vec<&str> = names.split('"').skip(1).step_by(2).collect();
            self.paths.insert(number, parts.join("/"));
        }
    }

    /// The file and line that a line of code is from.
    fn place(&self, line: &str) -> Option<(String, usize)> {
        let trimmed = line.trim_start();
        if let Some(rest) = trimmed.strip_prefix(LISTED) {
            let (path, rest) = rest.split_once("\", line ")?;
            return Some((path.to_owned(), leading_number(rest)?));
        }
        let (file, line) = if let Some(rest) = trimmed.strip_prefix(".loc") {
            let mut numbers = rest.split_whitespace();
            (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?)
        } else {
            let (_, place) = trimmed.rsplit_once(" at f")?;
            let (file, line) = place.split_once(':')?;
            (file.parse().ok()?, leading_number(line)?)
        };
        Some((self.paths.get(&file)?.clone(), line))
    }

    fn show(&mut self, path: &str, line: usize) -> String {
        let read = || Some(fs::read_to_string(path).ok()?.lines().map(str::to_owned).collect());
        let lines = self.lines.entry(path.to_owned()).or_insert_with(read);
        match lines.as_ref().and_then(|lines: &Vec<String>| lines.get(line - 1)) {
            Some(text) => format!("{path}:{line}: {}", text.trim()),
            None => format!("{path}:{line}"),
        }
    }
}

fn leading_number(text: &str) -> Option<usize> {
    text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assembly_gets_the_line_where_it_changes() {
        let text = "\t.file\t3 \"cli/src\" \"nowhere.rs\"\n\t.loc 3 7 9\n\tadd\n\t.loc 3 7 20\n\tsub\n\
                    \t.loc 3 0 0\n\tmul\n\t.loc 3 8 1\n\tret\n";
        assert_eq!(
            annotate(text, "//"),
            "\t.file\t3 \"cli/src\" \"nowhere.rs\"\n\t// cli/src/nowhere.rs:7\n\tadd\n\tsub\n\tmul\n\
             \t// cli/src/nowhere.rs:8\n\tret\n"
        );
    }

    #[test]
    fn listings_of_machine_code_name_their_files() {
        let text =
            "\t//## File \"nowhere.rs\", line 9\n\tFFMA\n\t//## File \"nowhere.rs\", line 9\n";
        assert_eq!(annotate(text, "//"), "\t// nowhere.rs:9\n\tFFMA\n");
    }

    #[test]
    fn ir_shows_the_users_text() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/annotate.rs");
        let text =
            format!("  file f0 \"{path}\"\n  %1: f32 = add %0, %0 at f0:1:5\n  return at f0:1:9\n");
        let shown = annotate(&text, "//");
        assert!(
            shown.contains("annotate.rs:1: //! Source lines beside generated code.\n"),
            "{shown}"
        );
        assert_eq!(shown.lines().count(), 4);
    }
}
