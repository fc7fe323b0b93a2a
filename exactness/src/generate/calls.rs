//! Calls of functions, methods and closures.

use super::{Generator, How, Kind, Name, Param, Signature, Stage, Want};
use crate::program::{Code, code};
use crate::types::Type;

impl Generator {
    /// A call of a closure or function with this result.
    pub(super) fn call_for(&mut self, ty: &Type) -> Option<Code> {
        if self.random.chance(40)
            && let Some(code) = self.call_closure(ty)
        {
            return Some(code);
        }
        let fits: Vec<Signature> =
            self.functions.iter().filter(|f| f.result == *ty && self.affords(f)).cloned().collect();
        if fits.is_empty() {
            return None;
        }
        let function = self.random.pick(&fits).clone();
        self.call(&function)
    }

    fn affords(&self, f: &Signature) -> bool {
        self.steps + self.repeats * f.steps < super::MAX_STEPS
            && self.size + self.copies * f.size < super::MAX_SIZE
    }

    fn call_closure(&mut self, ty: &Type) -> Option<Code> {
        let fits: Vec<Name> = self
            .names
            .iter()
            .filter(|name| match &name.kind {
                Kind::Closure { changes, .. } => {
                    name.ty == *ty && !name.hidden && !(*changes && self.pure > 0)
                }
                _ => false,
            })
            .cloned()
            .collect();
        if fits.is_empty() {
            return None;
        }
        let closure = self.random.pick(&fits).clone();
        let Kind::Closure { params, .. } = closure.kind else { unreachable!("just matched") };
        self.steps += self.repeats * 20;
        self.size += self.copies * 20;
        let hide = closure.name.clone();
        let arguments = self.hiding(
            |name| name.name == hide,
            |g| params.iter().map(|ty| g.value(ty, 2)).collect::<Vec<_>>(),
        );
        Some(call(code(&closure.name), arguments))
    }

    /// A call of a function; `None` if nothing can be lent to it.
    fn call(&mut self, function: &Signature) -> Option<Code> {
        let (mut lent, mut taken) = (Vec::new(), Vec::new());
        for Param { ty, how } in &function.params {
            lent.push(match how {
                How::Changed => {
                    let (code, name) = self.lendable(ty, &taken)?;
                    taken.push(name);
                    Some(code)
                }
                _ => None,
            });
        }
        let lends = !taken.is_empty();
        for (Param { ty, how }, lent) in function.params.iter().zip(&mut lent) {
            let slice = matches!(ty, Type::Slice(_));
            if *how == How::Shared && (slice || self.random.chance(70)) {
                match self.shareable(ty, &taken) {
                    Some((code, name)) => {
                        taken.push(name);
                        *lent = Some(code);
                    }
                    None if slice => return None,
                    None => {}
                }
            }
        }
        let generic = function.name.starts_with('g') && !function.name.ends_with('>');
        self.steps += self.repeats * function.steps;
        self.size += self.copies * function.size;
        let names: Vec<String> = taken.iter().map(|&at| self.names[at].name.clone()).collect();
        // What has been lent cannot be used until the function returns; closures may hold it.
        let arguments = self.hiding(
            |name| names.contains(&name.name),
            |g| {
                let arguments = function.params.iter().zip(lent).map(|(param, lent)| match lent {
                    Some(code) => code,
                    None if lends => g.apart(|g| g.argument(param, generic)),
                    None => g.argument(param, generic),
                });
                arguments.collect::<Vec<_>>()
            },
        );
        let by_dot = function.method && self.random.chance(80);
        Some(if by_dot {
            by_method(function, arguments)
        } else {
            call(code(&function.name), arguments)
        })
    }

    /// An argument that is not part of a name.
    fn argument(&mut self, Param { ty, how }: &Param, generic: bool) -> Code {
        match how {
            How::Closure(params) => self.closure_argument(params, ty),
            How::Shared => {
                let value = self.any(ty, Want::Run, 1);
                // A place would be borrowed while later arguments may change it.
                match value.is_place() {
                    true => code("&{ ").code(value).text(" }"),
                    false => code("&").code(value),
                }
            }
            // Of a literal for a parameter's type nothing would be known.
            _ if generic => self.any(ty, Want::Run, 2),
            _ => self.value(ty, 2),
        }
    }

    /// A call for what it does.
    pub(super) fn call_statement(&mut self) -> Code {
        let fits: Vec<Signature> =
            self.functions.iter().filter(|f| self.affords(f)).cloned().collect();
        if fits.is_empty() {
            return self.let_statement();
        }
        let function = self.random.pick(&fits).clone();
        let Some(call) = self.call(&function) else { return self.let_statement() };
        if self.random.chance(30) {
            return code("let _ = ").code(call).text(";");
        }
        let name = self.name("x");
        self.declare(&name, function.result, Kind::Let(Stage::Run));
        code(format!("let {name} = ")).code(call).text(";")
    }
}

fn call(function: Code, arguments: Vec<Code>) -> Code {
    let mut out = function.text("(");
    for (i, argument) in arguments.into_iter().enumerate() {
        out = out.text(if i == 0 { "" } else { ", " }).code(argument);
    }
    out.text(")")
}

/// `x.f(y)` for `S::f(&mut x, y)`.
fn by_method(function: &Signature, arguments: Vec<Code>) -> Code {
    let mut arguments = arguments.into_iter();
    let receiver = arguments.next().unwrap_or_default();
    let receiver = match &function.params[0].how {
        How::Changed => receiver.without_prefix("&mut "),
        _ => code("(").code(receiver.without_prefix("&")).text(")"),
    };
    let name = function.name.rsplit(':').next().unwrap_or_default();
    call(receiver.text(format!(".{name}")), arguments.collect())
}
