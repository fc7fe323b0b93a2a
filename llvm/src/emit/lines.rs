//! The user's lines in LLVM IR: debug metadata with nothing but line numbers (LLVM Language
//! Reference, "Specialized Metadata Nodes"; "Source Level Debugging with LLVM").
//!
//! Locations keep their numbers: after the fixed nodes and two nodes a file come the kernel's
//! positions in their own order, so that an instruction's node is its `Loc` plus a constant.

use std::fmt::Write;

use kernelsmith_ir::Loc;
use kernelsmith_ir::loc::SourceMap;

use super::Writer;

/// Which line information a module carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Lines {
    /// None.
    #[default]
    None,
    /// `.loc` directives in assembly, nothing in objects.
    Directives,
    /// Line tables in objects, for debuggers and profilers.
    Tables,
}

/// Compile unit, function, the function's type.
const FIXED: usize = 3;

/// The metadata number of the first position.
fn first(sources: &SourceMap) -> usize {
    FIXED + 2 * sources.files.len()
}

impl Writer {
    /// Gives the instructions written from now on their lines.
    pub fn number_lines(&mut self, lines: Lines, sources: &SourceMap) {
        if lines != Lines::None && !sources.files.is_empty() {
            self.lines = lines;
            self.first_position = first(sources);
        }
    }

    /// The line of the instructions that follow.
    pub fn at(&mut self, loc: Loc) {
        let numbered = self.lines != Lines::None && loc != Loc::NONE;
        self.position = numbered.then(|| self.first_position + loc.0 as usize);
    }

    /// What goes behind the head of the function's definition.
    pub fn function_lines(&self) -> &'static str {
        if self.lines == Lines::None { "" } else { " !dbg !1" }
    }

    /// The module's metadata: its flags (each the operands of a node), and the lines.
    pub fn metadata(&self, function: &str, sources: &SourceMap, flags: &[&str]) -> String {
        let mut flags = flags.to_vec();
        let mut out = String::new();
        let mut next = 0;
        if self.lines != Lines::None {
            out = self.line_metadata(function, sources);
            next = self.first_position + sources.positions.len();
            flags.push("i32 2, !\"Debug Info Version\", i32 3");
        }
        let nodes: Vec<String> = (next..next + flags.len()).map(|n| format!("!{n}")).collect();
        if !flags.is_empty() {
            writeln!(out, "!llvm.module.flags = !{{{}}}", nodes.join(", "))
                .expect("writing to a string");
        }
        for (node, flag) in nodes.iter().zip(flags) {
            writeln!(out, "{node} = !{{{flag}}}").expect("writing to a string");
        }
        out
    }

    fn line_metadata(&self, function: &str, sources: &SourceMap) -> String {
        let kind =
            if self.lines == Lines::Tables { "LineTablesOnly" } else { "DebugDirectivesOnly" };
        let line = sources.positions.first().map_or(1, |p| p.line);
        let mut out = format!(
            "!llvm.dbg.cu = !{{!0}}\n\
             !0 = distinct !DICompileUnit(language: DW_LANG_Rust, file: !{FIXED}, \
             producer: \"Kernelsmith\", isOptimized: true, runtimeVersion: 0, \
             emissionKind: {kind})\n\
             !1 = distinct !DISubprogram(name: \"{function}\", scope: !{FIXED}, file: !{FIXED}, \
             line: {line}, type: !2, scopeLine: {line}, \
             spFlags: DISPFlagDefinition | DISPFlagOptimized, unit: !0)\n\
             !2 = !DISubroutineType(types: !{{}})\n"
        );
        let scope = |file: usize| FIXED + sources.files.len() + file;
        for (i, file) in sources.files.iter().enumerate() {
            let (node, name) = (FIXED + i, escaped(file));
            writeln!(out, "!{node} = !DIFile(filename: \"{name}\", directory: \"\")")
                .expect("writing to a string");
            writeln!(
                out,
                "!{} = !DILexicalBlockFile(scope: !1, file: !{node}, discriminator: 0)",
                scope(i)
            )
            .expect("writing to a string");
        }
        for (i, position) in sources.positions.iter().enumerate() {
            writeln!(
                out,
                "!{} = !DILocation(line: {}, column: {}, scope: !{})",
                self.first_position + i,
                position.line,
                position.column,
                scope(position.file as usize)
            )
            .expect("writing to a string");
        }
        out
    }
}

/// A string in LLVM's text: bytes outside printable ASCII, quotes and backslashes as two hex digits.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, b| {
        match b {
            b'"' | b'\\' => write!(out, "\\{b:02X}").expect("writing to a string"),
            b' '..=b'~' => out.push(char::from(b)),
            _ => write!(out, "\\{b:02X}").expect("writing to a string"),
        }
        out
    })
}
