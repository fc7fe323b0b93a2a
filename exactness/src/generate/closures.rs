//! Closures and calls.

use super::{Generator, Kind, Name, Signature, Stage, Want};
use crate::program::{Block, Code, code};
use crate::types::Type;

impl Generator {
    pub(super) fn closure_statement(&mut self) -> Code {
        match self.random.below(3) {
            0 => self.sharing_closure(),
            1 => self.moving_closure(),
            _ => self.counting_closure(),
        }
    }

    /// Parameters, declared, and their text.
    fn closure_params(&mut self) -> (Vec<Type>, String) {
        let mut types = Vec::new();
        let mut text = String::new();
        for _ in 0..self.random.within(1, 2) {
            let (name, ty) = (self.name("a"), self.any_scalar());
            let mutable = self.random.chance(20);
            let (word, kind) = match mutable {
                true => ("mut ", Kind::Variable),
                false => ("", Kind::Let(Stage::Run)),
            };
            text += &format!("{word}{name}: {ty}, ");
            self.declare(name, ty, kind);
            types.push(ty.into());
        }
        (types, text)
    }

    /// Runs `f` where nothing outside can be left.
    fn apart<R>(&mut self, f: impl FnOnce(&mut Generator) -> R) -> R {
        let targets = std::mem::take(&mut self.targets);
        let returns = self.returns.take();
        let result = f(self);
        (self.targets, self.returns) = (targets, returns);
        result
    }

    /// The body of a closure, in a scope with its parameters.
    fn closure_body(&mut self, hide: fn(&Name) -> bool) -> (Vec<Type>, String, Type, Block) {
        let result = Type::from(self.number());
        self.hiding(hide, |g| {
            g.apart(|g| {
                g.scoped(|g| {
                    let (types, text) = g.closure_params();
                    g.returns = Some(result.clone());
                    let n = g.random.below(3);
                    let statements = g.statements(n);
                    let tail = g.any(&result, Want::Run, 3);
                    let block = Block { head: String::new(), statements, tail: Some(tail) };
                    (types, text, result.clone(), block)
                })
            })
        })
    }

    /// One that reads what is immutable around it.
    fn sharing_closure(&mut self) -> Code {
        let hide = |name: &Name| match &name.kind {
            Kind::Let(_) => false,
            Kind::Closure { changes, .. } => *changes,
            _ => true,
        };
        let (params, text, result, body) = self.closure_body(hide);
        let name = self.name("f");
        self.declare(&name, result.clone(), Kind::Closure { params, changes: false });
        code(format!("let {name} = |{text}| -> {result} ")).block(body).text(";")
    }

    /// One that owns copies of what it names, and changes them.
    fn moving_closure(&mut self) -> Code {
        let hide = |name: &Name| {
            matches!(name.kind, Kind::Reference | Kind::Shared | Kind::Closure { .. } | Kind::Count)
        };
        let (params, text, result, body) = self.closure_body(hide);
        let name = self.name("f");
        self.declare(&name, result.clone(), Kind::Closure { params, changes: true });
        code(format!("let mut {name} = move |{text}| -> {result} ")).block(body).text(";")
    }

    /// One that changes a variable around it, used at once.
    fn counting_closure(&mut self) -> Code {
        let ty = self.number();
        if ty.is_half() {
            return self.sharing_closure();
        }
        let Some((place, at)) = self.lendable(&ty.into(), &[]) else {
            return self.sharing_closure();
        };
        let place = place.to_string();
        let place = match place.strip_prefix("&mut ") {
            Some(place) => place.to_owned(),
            None => format!("(*{place})"),
        };
        let hide = self.names[at].name.clone();
        let (name, parameter) = (self.name("f"), self.name("a"));
        let first =
            self.hiding(|n| n.name == hide, |g| g.purely(|g| g.scalar(ty, Want::Run, 2).code));
        let second =
            self.hiding(|n| n.name == hide, |g| g.purely(|g| g.scalar(ty, Want::Run, 2).code));
        let (x, y) = (self.name("x"), self.name("x"));
        self.declare(&x, ty, Kind::Let(Stage::Run));
        self.declare(&y, ty, Kind::Let(Stage::Run));
        code(format!(
            "let mut {name} = |{parameter}: {ty}| -> {ty} {{ {place} += {parameter}; {place} - {parameter} * {place} }}; let {x} = {name}("
        ))
        .code(first)
        .text(format!("); let {y} = {name}("))
        .code(second)
        .text(");")
    }

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
        Some(call(&closure.name, arguments))
    }

    /// A call of a function; `None` if nothing can be lent to it.
    fn call(&mut self, function: &Signature) -> Option<Code> {
        let mut lent = Vec::new();
        let mut taken = Vec::new();
        for (ty, by_reference) in &function.params {
            lent.push(match by_reference {
                false => None,
                true => {
                    let (code, name) = self.lendable(ty, &taken)?;
                    taken.push(name);
                    Some(code)
                }
            });
        }
        self.steps += self.repeats * function.steps;
        self.size += self.copies * function.size;
        self.called.insert(function.name.clone());
        let names: Vec<String> = taken.iter().map(|&at| self.names[at].name.clone()).collect();
        let lends = !names.is_empty();
        // What has been lent cannot be used until the function returns; closures may hold it.
        let arguments = self.hiding(
            |name| names.contains(&name.name),
            |g| {
                let arguments =
                    function.params.iter().zip(lent).map(|((ty, _), lent)| match lent {
                        Some(code) => code,
                        None if lends => g.apart(|g| g.value(ty, 2)),
                        None => g.value(ty, 2),
                    });
                arguments.collect::<Vec<_>>()
            },
        );
        Some(call(&function.name, arguments))
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

fn call(name: &str, arguments: Vec<Code>) -> Code {
    let mut out = code(format!("{name}("));
    for (i, argument) in arguments.into_iter().enumerate() {
        out = out.text(if i == 0 { "" } else { ", " }).code(argument);
    }
    out.text(")")
}
