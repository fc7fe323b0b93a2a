//! Machine instructions as `nvdisasm` lists them.

use std::collections::BTreeMap;

/// The listing of a kernel.
#[derive(Clone, Debug)]
pub struct Sass {
    text: String,
    opcodes: BTreeMap<String, usize>,
}

impl Sass {
    pub(super) fn parse(text: String) -> Sass {
        let mut opcodes = BTreeMap::new();
        for opcode in text.lines().filter_map(opcode) {
            *opcodes.entry(opcode.to_owned()).or_insert(0) += 1;
        }
        Sass { text, opcodes }
    }

    /// The whole listing.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The source lines in the line table, as file and line, in the order of the code.
    pub fn lines(&self) -> impl Iterator<Item = (&str, u32)> {
        self.text.lines().filter_map(source_line)
    }

    /// How often each opcode occurs, modifiers included, as in `LDG.E.128`.
    pub fn opcodes(&self) -> &BTreeMap<String, usize> {
        &self.opcodes
    }

    /// How many instructions have this opcode, whatever their modifiers: `LDG` counts
    /// `LDG.E.128.CONSTANT`, `LDG.E.128` too.
    pub fn count(&self, opcode: &str) -> usize {
        let matches = |name: &str| {
            name.strip_prefix(opcode).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.opcodes.iter().filter(|(name, _)| matches(name)).map(|(_, n)| n).sum()
    }
}

/// The place in a line like `//## File "src/user.rs", line 7`.
fn source_line(line: &str) -> Option<(&str, u32)> {
    let rest = line.trim_start().strip_prefix("//## File \"")?;
    let (file, rest) = rest.split_once("\", line ")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    Some((file, digits.parse().ok()?))
}

/// The opcode of a line like `/*0050*/ @!P0 LDG.E R2, desc[UR4][R2.64] ;`.
fn opcode(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("/*")?;
    let (address, rest) = rest.split_once("*/")?;
    if address.is_empty() || !address.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut words = rest.split_whitespace();
    let first = words.next()?;
    let opcode = if first.starts_with('@') { words.next()? } else { first };
    Some(opcode.trim_end_matches(';'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_opcodes() {
        let sass = Sass::parse(
            "\t.headerflags\t@\"EF_CUDA_SM90\"\n.text.k:\n        \
             /*0000*/                   LDC R1, c[0x0][0x28] ;\n        \
             /*0010*/              @!P0 LDG.E.128 R4, desc[UR4][R2.64] ;\n        \
             /*0020*/                   LDG.E.CONSTANT R8, desc[UR4][R2.64+0x10] ;\n        \
             /*0030*/                   EXIT ;\n.L_x_0:\n"
                .to_owned(),
        );
        assert_eq!(sass.count("LDG"), 2);
        assert_eq!(sass.count("LDG.E.128"), 1);
        assert_eq!(sass.count("LD"), 0);
        assert_eq!(sass.count("EXIT"), 1);
        assert_eq!(sass.opcodes().values().sum::<usize>(), 4);
    }
}
