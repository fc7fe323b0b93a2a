//! What can go wrong, each with the argument, the value and the rule it broke.

use std::fmt;

use kernelsmith_ir::attr::CheckKind;
use kernelsmith_ir::interp::Finding;

use crate::contract::ContractBroken;
use crate::device::DeviceKind;

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation of the runtime failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The device asked for is not here.
    #[error("{kind} device {index} is not available: {reason}")]
    NoDevice {
        /// The kind asked for.
        kind: DeviceKind,
        /// The index asked for.
        index: u32,
        /// Why it is not here.
        reason: String,
    },
    /// An argument breaks a rule.
    #[error("`{argument}` is {value}: {rule}")]
    InvalidArgument {
        /// The argument's name.
        argument: String,
        /// Its value.
        value: String,
        /// The rule it breaks.
        rule: String,
    },
    /// The device has no memory left for a buffer.
    #[error("out of memory on {device}: {bytes} bytes asked for ({detail})")]
    OutOfMemory {
        /// The device's name.
        device: String,
        /// How many bytes were asked for.
        bytes: u64,
        /// What the allocator or driver said.
        detail: String,
    },
    /// A check inside a kernel failed. The kernel ended early, so what it wrote is incomplete.
    #[error("{0}")]
    CheckFailed(Box<CheckFailed>),
    /// The interpreter found something wrong in a kernel.
    #[error("{0}")]
    Finding(Box<Finding>),
    /// The arguments of a launch are not what the kernel requires. Nothing was enqueued.
    #[error("{0}")]
    ContractBroken(Box<ContractBroken>),
    /// A kernel could not be compiled.
    #[error("kernel `{kernel}` does not compile for {target}: {message}")]
    Compile {
        /// The kernel's name.
        kernel: String,
        /// The target's name.
        target: String,
        /// What the compiler said.
        message: String,
    },
    /// The driver refused compiled code.
    #[error("{api} could not load kernel `{kernel}`: {message}")]
    Load {
        /// `CUDA` or `HIP`.
        api: &'static str,
        /// The kernel's name.
        kernel: String,
        /// The driver's error and its log.
        message: String,
    },
    /// A call of a GPU driver failed.
    #[error("{api}: {call} failed with {name} ({code}): {message}")]
    Driver {
        /// `CUDA` or `HIP`.
        api: &'static str,
        /// The function called.
        call: &'static str,
        /// The error's number.
        code: u32,
        /// The error's name.
        name: String,
        /// The driver's description, and what the runtime knows besides.
        message: String,
    },
}

impl Error {
    /// An [`Error::InvalidArgument`].
    pub fn invalid(
        argument: impl Into<String>,
        value: impl fmt::Display,
        rule: impl Into<String>,
    ) -> Error {
        Error::InvalidArgument {
            argument: argument.into(),
            value: value.to_string(),
            rule: rule.into(),
        }
    }

    /// The check that failed, if that is what this is.
    pub fn check_failed(&self) -> Option<&CheckFailed> {
        match self {
            Error::CheckFailed(failure) => Some(failure),
            _ => None,
        }
    }

    /// What the interpreter found, if that is what this is.
    pub fn finding(&self) -> Option<&Finding> {
        match self {
            Error::Finding(finding) => Some(finding),
            _ => None,
        }
    }

    /// The broken contract, if that is what this is.
    pub fn contract_broken(&self) -> Option<&ContractBroken> {
        match self {
            Error::ContractBroken(broken) => Some(broken),
            _ => None,
        }
    }
}

/// A check that failed in a kernel: by the first thread that got there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckFailed {
    /// The kernel's name.
    pub kernel: String,
    /// File, line and column of the user's expression, where they are known.
    pub location: Option<(String, u32, u32)>,
    /// The rule.
    pub kind: CheckKind,
    /// The author's message, for assertions.
    pub message: Option<String>,
    /// The index, for bounds checks.
    pub index: u64,
    /// The length, for bounds checks.
    pub len: u64,
    /// The block the thread belongs to.
    pub block: [u32; 3],
    /// The thread within its block.
    pub thread: [u32; 3],
}

impl CheckFailed {
    /// What happened, without where: `index out of bounds: the index is 7 but the length is 5`.
    pub fn what(&self) -> String {
        match self.kind {
            CheckKind::Bounds => {
                let (index, len) = (self.index, self.len);
                // An index that went below zero is easier to recognise with its sign.
                let negative = match index as i64 {
                    i if i < 0 => format!(" ({i} before it wrapped)"),
                    _ => String::new(),
                };
                format!(
                    "index out of bounds: the index is {index}{negative} but the length is {len}"
                )
            }
            CheckKind::DivZero => "division by zero".to_owned(),
            CheckKind::DivOverflow => "division overflows (MIN / -1)".to_owned(),
            CheckKind::Assumption => {
                "a fact that the kernel's language relies on is not one".to_owned()
            }
            CheckKind::Assert => match &self.message {
                Some(message) => format!("assertion failed: {message}"),
                None => "assertion failed".to_owned(),
            },
        }
    }
}

impl fmt::Display for CheckFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kernel `{}`", self.kernel)?;
        if let Some((file, line, column)) = &self.location {
            write!(f, " at {file}:{line}:{column}")?;
        }
        let ([bx, by, bz], [tx, ty, tz]) = (self.block, self.thread);
        write!(f, ": {} (block {bx},{by},{bz}, thread {tx},{ty},{tz})", self.what())
    }
}

impl From<CheckFailed> for Error {
    fn from(failure: CheckFailed) -> Error {
        Error::CheckFailed(Box::new(failure))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(kind: CheckKind) -> CheckFailed {
        CheckFailed {
            kernel: "saxpy".into(),
            location: Some(("src/lib.rs".into(), 12, 5)),
            kind,
            message: None,
            index: 7,
            len: 5,
            block: [1, 0, 0],
            thread: [33, 2, 0],
        }
    }

    #[test]
    fn messages_name_argument_value_and_rule() {
        let error = Error::invalid("grid.x", 0, "must be at least 1");
        assert_eq!(error.to_string(), "`grid.x` is 0: must be at least 1");
    }

    #[test]
    fn check_failures_name_kernel_line_index_and_thread() {
        let error = Error::from(failure(CheckKind::Bounds));
        assert_eq!(
            error.to_string(),
            "kernel `saxpy` at src/lib.rs:12:5: index out of bounds: the index is 7 but the length \
             is 5 (block 1,0,0, thread 33,2,0)"
        );
        let negative = CheckFailed { index: -3i64 as u64, ..failure(CheckKind::Bounds) };
        assert!(negative.what().contains("(-3 before it wrapped)"), "{}", negative.what());
        let assertion =
            CheckFailed { message: Some("n is even".into()), ..failure(CheckKind::Assert) };
        assert_eq!(assertion.what(), "assertion failed: n is even");
    }
}
