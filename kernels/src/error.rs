//! What can go wrong when a library function is called.

/// An error of a library function.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument's shape breaks a rule.
    #[error("`{argument}` has {found}, but {rule}")]
    Shape {
        /// The argument's name.
        argument: &'static str,
        /// What it has, as in "12 elements".
        found: String,
        /// The rule, as in "it must have m * k = 16".
        rule: String,
    },
    /// Compiling, launching or running the kernel failed.
    #[error(transparent)]
    Runtime(#[from] kernelsmith::Error),
}

/// So that `?` takes the errors of buffers, too.
impl From<kernelsmith::RuntimeError> for Error {
    fn from(error: kernelsmith::RuntimeError) -> Error {
        Error::Runtime(error.into())
    }
}

/// The elements `argument` has must be `expected`, which the shape formula `formula` gave.
pub(crate) fn check_len(
    argument: &'static str,
    found: usize,
    formula: &str,
    expected: Option<usize>,
) -> Result<(), Error> {
    match expected {
        Some(n) if n == found => Ok(()),
        Some(n) => Err(Error::Shape {
            argument,
            found: format!("{found} elements"),
            rule: format!("it must have {formula} = {n}"),
        }),
        None => Err(Error::Shape {
            argument,
            found: format!("{found} elements"),
            rule: format!("{formula} overflows usize"),
        }),
    }
}
