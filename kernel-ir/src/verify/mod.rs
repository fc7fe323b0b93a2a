//! The verifier: whether a kernel keeps the rules of the IR.
//!
//! Everything behind it relies on them: passes move and merge what the rules allow to, and backends
//! index operands by the table's word. What a front end or a pass did wrong shows here, as a named
//! [`Rule`] at the user's line, and not as odd code later.
//!
//! The work is one walk over the kernel and linear in its size, so that it costs little next to any
//! pass. Whether a *target* has what a kernel uses is another question: [`crate::legal`].

mod asynchronous;
mod attribute;
mod collective;
mod control;
mod declare;
mod memory;
mod rule;
mod scope;
mod tensor;
mod typing;

use std::fmt;

pub(crate) use attribute::attribute_of;
pub use rule::Rule;

use crate::kernel::{Inst, Kernel, Value};
use crate::types::Type;

/// One breach of a rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// The operation that breaks it; `None` for a declaration.
    pub op: Option<&'static str>,
    /// `file:line:column` of the operation, where the front end said.
    pub location: Option<String>,
    /// What is there.
    pub found: String,
    /// What should be.
    pub expected: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(location) = &self.location {
            write!(f, "{location}: ")?;
        }
        if let Some(op) = self.op {
            write!(f, "`{op}` ")?;
        }
        write!(f, "[{}]: found {}, expected {}", self.rule.name(), self.found, self.expected)
    }
}

/// The rules that a kernel breaks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifyError {
    /// The kernel.
    pub kernel: String,
    /// The first violations, in program order.
    pub violations: Vec<Violation>,
    /// How many more there are.
    pub more: usize,
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kernel `{}` breaks rules of the IR:", self.kernel)?;
        for violation in &self.violations {
            write!(f, "\n  {violation}")?;
        }
        if self.more > 0 {
            write!(f, "\n  and {} more", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for VerifyError {}

/// How many violations are described; one mistake early in a kernel can break many rules.
const DESCRIBED: usize = 16;

/// Checks a kernel against every [`Rule`].
///
/// # Errors
/// If it breaks one: the first violations, with how many more there are.
pub fn verify(kernel: &Kernel) -> Result<(), VerifyError> {
    let mut verifier = Verifier::new(kernel);
    verifier.declarations();
    verifier.body();
    verifier.loads_are_waited_for();
    verifier.groups_agree();
    let Verifier { violations, count, .. } = verifier;
    if count == 0 {
        return Ok(());
    }
    let more = count - violations.len();
    Err(VerifyError { kernel: kernel.name.clone(), violations, more })
}

/// What is known of the kernel where the walk stands.
struct Verifier<'k> {
    kernel: &'k Kernel,
    violations: Vec<Violation>,
    count: usize,
    scope: scope::Scope<'k>,
}

impl<'k> Verifier<'k> {
    fn new(kernel: &'k Kernel) -> Verifier<'k> {
        let scope = scope::Scope::new(kernel);
        Verifier { kernel, violations: Vec::new(), count: 0, scope }
    }

    /// Notes a breach; the texts are only made for those that are described.
    fn breach(
        &mut self,
        rule: Rule,
        inst: Option<&Inst>,
        found: impl fmt::Display,
        expected: impl fmt::Display,
    ) {
        self.count += 1;
        if self.violations.len() == DESCRIBED {
            return;
        }
        let location = inst.filter(|i| self.kernel.sources.get(i.loc).is_some());
        self.violations.push(Violation {
            rule,
            op: inst.map(|i| i.op.name()),
            location: location.map(|i| self.kernel.sources.display(i.loc)),
            found: found.to_string(),
            expected: expected.to_string(),
        });
    }

    /// The type of a value that has one.
    fn ty(&self, value: Value) -> Type {
        self.kernel.ty(value)
    }

    /// Whether a value has a type; what has none cannot be looked at any further.
    fn has_type(&self, value: Value) -> bool {
        value.index() < self.kernel.types.len()
    }
}

/// Types in a row, for messages.
fn list(types: impl IntoIterator<Item = Type>) -> String {
    let types: Vec<String> = types.into_iter().map(|t| t.to_string()).collect();
    format!("({})", types.join(", "))
}
