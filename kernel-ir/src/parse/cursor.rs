//! Reads characters of the text form.

/// Where and why a text is not a kernel.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct ParseError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What was expected or is wrong.
    pub message: String,
}

/// The result of reading something.
pub(super) type Parsed<T> = Result<T, ParseError>;

/// A place in the text.
pub(super) struct Cursor<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Cursor<'t> {
    pub(super) fn new(text: &'t str) -> Cursor<'t> {
        Cursor { text, at: 0 }
    }

    /// An error at this place.
    pub(super) fn error<T>(&self, message: impl Into<String>) -> Parsed<T> {
        let before = &self.text[..self.at];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
        Err(ParseError { line, column, message: message.into() })
    }

    /// What comes behind white space and comments, which go from `//` to the end of the line.
    fn rest(&self) -> &'t str {
        let mut rest = &self.text[self.at..];
        loop {
            rest = rest.trim_start();
            if !rest.starts_with("//") {
                return rest;
            }
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
        }
    }

    /// Takes everything up to a rest of the text.
    fn go_to(&mut self, rest: &str) {
        self.at = self.text.len() - rest.len();
    }

    /// Whether this comes next.
    pub(super) fn sees(&self, mark: &str) -> bool {
        self.rest().starts_with(mark)
    }

    /// Whether this comes next on the same line.
    pub(super) fn sees_on_line(&self, mark: &str) -> bool {
        self.text[self.at..].trim_start_matches(' ').starts_with(mark)
    }

    /// Takes this if it comes next. A word is only taken whole.
    pub(super) fn eat(&mut self, mark: &str) -> bool {
        let Some(after) = self.rest().strip_prefix(mark) else { return false };
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if mark.ends_with(word) && after.starts_with(word) {
            return false;
        }
        self.go_to(after);
        true
    }

    /// Takes this.
    pub(super) fn expect(&mut self, mark: &str) -> Parsed<()> {
        if self.eat(mark) { Ok(()) } else { self.error(format!("expected `{mark}`")) }
    }

    /// Takes what goes on with characters of a kind.
    fn take(&mut self, kind: impl Fn(char) -> bool, what: &str) -> Parsed<&'t str> {
        let rest = self.rest();
        let end = rest.find(|c| !kind(c)).unwrap_or(rest.len());
        if end == 0 {
            return self.error(format!("expected {what}"));
        }
        self.go_to(&rest[end..]);
        Ok(&rest[..end])
    }

    /// A word, which may hold dots.
    pub(super) fn word(&mut self) -> Parsed<&'t str> {
        self.take(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.', "a name")
    }

    /// A decimal number.
    pub(super) fn number<N: TryFrom<i128>>(&mut self) -> Parsed<N> {
        let start = self.rest();
        let digits = self.take(|c| c.is_ascii_digit() || c == '-', "a number")?;
        match digits.parse::<i128>().ok().and_then(|n| N::try_from(n).ok()) {
            Some(n) => Ok(n),
            None => {
                self.go_to(start);
                self.error(format!("`{digits}` is out of range here"))
            }
        }
    }

    /// A number behind a letter, as in `f0`.
    pub(super) fn tagged<N: TryFrom<i128>>(&mut self, tag: &str) -> Parsed<N> {
        let Some(after) = self.rest().strip_prefix(tag) else {
            return self.error(format!("expected `{tag}` and a number"));
        };
        self.go_to(after);
        if !self.text[self.at..].starts_with(|c: char| c.is_ascii_digit()) {
            return self.error("expected a number");
        }
        self.number()
    }

    /// Bits as `0x..`, and then anything up to a closing bracket, for the reader.
    pub(super) fn bits(&mut self) -> Parsed<u64> {
        self.expect_prefix("0x")?;
        let digits = self.take(|c| c.is_ascii_hexdigit(), "hexadecimal digits")?;
        let Ok(bits) = u64::from_str_radix(digits, 16) else {
            return self.error("more than 64 bits");
        };
        self.take(|c| c != ']' && c != '\n', "").ok();
        Ok(bits)
    }

    fn expect_prefix(&mut self, prefix: &str) -> Parsed<()> {
        let Some(after) = self.rest().strip_prefix(prefix) else {
            return self.error(format!("expected `{prefix}`"));
        };
        self.go_to(after);
        Ok(())
    }

    /// A quoted string with Rust's escapes.
    pub(super) fn string(&mut self) -> Parsed<String> {
        self.expect_prefix("\"")?;
        let mut out = String::new();
        let mut chars = self.text[self.at..].char_indices();
        while let Some((i, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += i + 1;
                    return Ok(out);
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => out.push('\n'),
                    Some((_, 't')) => out.push('\t'),
                    Some((_, 'r')) => out.push('\r'),
                    Some((_, '0')) => out.push('\0'),
                    Some((_, 'u')) => {
                        let code: String =
                            chars.by_ref().map(|(_, c)| c).take_while(|&c| c != '}').collect();
                        let code = u32::from_str_radix(code.trim_start_matches('{'), 16);
                        match code.ok().and_then(char::from_u32) {
                            Some(c) => out.push(c),
                            None => return self.error("a wrong escape in this string"),
                        }
                    }
                    Some((_, c)) => out.push(c),
                    None => break,
                },
                c => out.push(c),
            }
        }
        self.error("this string has no end")
    }

    /// Nothing but white space is left.
    pub(super) fn end(&self) -> Parsed<()> {
        if self.rest().is_empty() { Ok(()) } else { self.error("expected the end of the text") }
    }
}
