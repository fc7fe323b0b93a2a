//! What `KERNELSMITH_TUNE` says.

use std::sync::OnceLock;

use crate::Error;

const VARIABLE: &str = "KERNELSMITH_TUNE";

/// How a configuration is chosen.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Mode {
    /// The first candidate, whatever was found before.
    Off,
    /// What was found before, if it still holds; else the first candidate.
    #[default]
    Cached,
    /// What was found before, if it still holds; else a search.
    Search,
}

impl Mode {
    /// What `KERNELSMITH_TUNE` asks for, read once: `off`, `cached` or `search`; unset, `cached`.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn from_env() -> Result<Mode, Error> {
        static MODE: OnceLock<Result<Mode, String>> = OnceLock::new();
        let read = || Mode::parse(std::env::var(VARIABLE).ok().as_deref());
        MODE.get_or_init(read).clone().map_err(|value| Error::Argument {
            argument: VARIABLE.to_owned(),
            value: format!("{value:?}"),
            rule: "`off`, `cached` and `search` are what it can be".to_owned(),
        })
    }

    fn parse(value: Option<&str>) -> Result<Mode, String> {
        match value.unwrap_or_default() {
            "off" => Ok(Mode::Off),
            "" | "cached" => Ok(Mode::Cached),
            "search" => Ok(Mode::Search),
            other => Err(other.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_is_read_strictly() {
        assert_eq!([None, Some("")].map(Mode::parse), [Ok(Mode::Cached), Ok(Mode::Cached)]);
        assert_eq!(Mode::parse(Some("off")), Ok(Mode::Off));
        assert_eq!(Mode::parse(Some("search")), Ok(Mode::Search));
        assert_eq!(Mode::parse(Some("yes")), Err("yes".to_owned()));
    }
}
