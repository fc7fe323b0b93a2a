//! What can go wrong between a call and its result.

use crate::StagingError;

/// An error of the facade.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument breaks a rule.
    #[error("`{argument}` is {value}: {rule}")]
    Argument {
        /// The argument's name.
        argument: String,
        /// Its value.
        value: String,
        /// The rule it breaks.
        rule: String,
    },
    /// The kernel's function could not be turned into IR.
    #[error("kernel `{kernel}`: {error}")]
    Staging {
        /// The kernel's name.
        kernel: &'static str,
        /// What is wrong, and where.
        error: StagingError,
    },
    /// A device, buffer, launch or check failed.
    #[error(transparent)]
    Runtime(#[from] kernelsmith_runtime::Error),
}

impl Error {
    /// The check that failed in a kernel, if that is what this is.
    pub fn check_failed(&self) -> Option<&kernelsmith_runtime::CheckFailed> {
        match self {
            Error::Runtime(error) => error.check_failed(),
            _ => None,
        }
    }

    /// What the interpreter found, if that is what this is.
    pub fn finding(&self) -> Option<&kernelsmith_runtime::Finding> {
        match self {
            Error::Runtime(error) => error.finding(),
            _ => None,
        }
    }

    /// The launch contract that was broken, if that is what this is.
    pub fn contract_broken(&self) -> Option<&kernelsmith_runtime::ContractBroken> {
        match self {
            Error::Runtime(error) => error.contract_broken(),
            _ => None,
        }
    }
}
