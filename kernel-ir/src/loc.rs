//! Source locations: every instruction knows the line of the user's kernel it came from.

use std::panic::Location;

/// A source location, interned in a [`SourceMap`]. `Loc::NONE` where there is none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Loc(pub u32);

impl Loc {
    /// No location: made by a pass or by a test.
    pub const NONE: Loc = Loc(u32::MAX);
}

/// A position in a source file; lines and columns count from 1.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Position {
    /// Index into [`SourceMap::files`].
    pub file: u32,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
}

/// The files and positions that the [`Loc`]s of one kernel refer to.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct SourceMap {
    /// File names as rustc gives them.
    pub files: Vec<String>,
    /// Positions by `Loc` number.
    pub positions: Vec<Position>,
}

impl SourceMap {
    /// Interns a position.
    pub fn intern(&mut self, file: &str, line: u32, column: u32) -> Loc {
        let file = match self.files.iter().position(|f| f == file) {
            Some(i) => i,
            None => {
                self.files.push(file.to_owned());
                self.files.len() - 1
            }
        } as u32;
        let position = Position { file, line, column };
        // Consecutive instructions mostly share a line, so the search runs from the back.
        let index = match self.positions.iter().rposition(|p| *p == position) {
            Some(i) => i,
            None => {
                self.positions.push(position);
                self.positions.len() - 1
            }
        };
        Loc(index as u32)
    }

    /// Interns what `#[track_caller]` saw.
    pub fn intern_caller(&mut self, location: &Location<'_>) -> Loc {
        self.intern(location.file(), location.line(), location.column())
    }

    /// The position of a `Loc`; `None` for [`Loc::NONE`].
    pub fn get(&self, loc: Loc) -> Option<(&str, u32, u32)> {
        let p = self.positions.get(loc.0 as usize)?;
        Some((&self.files[p.file as usize], p.line, p.column))
    }

    /// `file:line:column`, or `<unknown>`.
    pub fn display(&self, loc: Loc) -> String {
        match self.get(loc) {
            Some((file, line, column)) => format!("{file}:{line}:{column}"),
            None => "<unknown>".to_owned(),
        }
    }
}
