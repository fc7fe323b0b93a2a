//! Closures.

use super::{Generator, How, Kind, Name, Param, Stage, Want};
use crate::program::{Block, Code, code};
use crate::types::{Scalar, Type};

impl Generator {
    pub(super) fn closure_statement(&mut self) -> Code {
        match self.random.below(3) {
            0 => self.sharing_closure(),
            1 => self.moving_closure(),
            _ => self.counting_closure(),
        }
    }

    /// The parameters and the result of a closure: often those of another, which it may stand for.
    pub(super) fn closure_shape(&mut self) -> (Vec<Type>, Scalar) {
        if !self.shapes.is_empty() && self.random.chance(60) {
            return self.random.pick(&self.shapes).clone();
        }
        let params = (0..self.random.within(1, 2)).map(|_| self.any_scalar().into()).collect();
        let shape = (params, self.number());
        self.shapes.push(shape.clone());
        shape
    }

    /// The same for a closure that no function needs to take.
    fn any_closure_shape(&mut self) -> (Vec<Type>, Scalar) {
        let (mut params, result) = self.closure_shape();
        if self.random.chance(20) {
            params[0] = self.any_type();
        }
        (params, result)
    }

    /// Writes `impl Fn(..)` of parameters as type parameters and bounds, or leaves it.
    pub(super) fn closure_bounds(
        &mut self,
        text: String,
        list: String,
        params: &[Param],
    ) -> (String, String, String) {
        let closures = params.iter().filter(|param| matches!(param.how, How::Closure(_)));
        let count = closures.count();
        if count == 0
            || !text.starts_with("pub fn")
            || text.ends_with('>')
            || self.random.chance(40)
        {
            return (text, list, String::new());
        }
        let (mut list, mut bounds) = (list, Vec::new());
        for i in 0..count {
            let Some(at) = list.find("impl Fn(") else { break };
            let result = at + list[at..].find("-> ").unwrap_or_default();
            let end = result + list[result..].find(',').unwrap_or_default();
            bounds.push(format!("F{i}: {}", &list[at + "impl ".len()..end]));
            list.replace_range(at..end, &format!("F{i}"));
        }
        if self.random.chance(50) {
            return (format!("{text}<{}>", bounds.join(", ")), list, String::new());
        }
        let names: Vec<String> = (0..count).map(|i| format!("F{i}")).collect();
        let text = format!("{text}<{}>", names.join(", "));
        (text, list, format!("where {} ", bounds.join(", ")))
    }

    /// Parameters, declared, and their text.
    fn closure_params(&mut self, types: &[Type], spelled: bool) -> String {
        let mut text = String::new();
        for ty in types {
            let name = self.name("a");
            let mutable = self.random.chance(20);
            let (word, kind) = match mutable {
                true => ("mut ", Kind::Variable),
                false => ("", Kind::Let(Stage::Run)),
            };
            let of = if spelled { format!(": {ty}") } else { String::new() };
            text += &format!("{word}{name}{of}, ");
            self.declare(name, ty.clone(), kind);
        }
        text
    }

    /// Runs `f` where nothing outside can be left.
    pub(super) fn apart<R>(&mut self, f: impl FnOnce(&mut Generator) -> R) -> R {
        let targets = std::mem::take(&mut self.targets);
        let returns = self.returns.take();
        let result = f(self);
        (self.targets, self.returns) = (targets, returns);
        result
    }

    /// `|a: T| -> R { .. }`, where names that `hide` says are not there.
    fn closure(
        &mut self,
        types: &[Type],
        result: &Type,
        spelled: bool,
        hide: fn(&Name) -> bool,
    ) -> Code {
        self.hiding(hide, |g| {
            g.apart(|g| {
                g.scoped(|g| {
                    let text = g.closure_params(types, spelled);
                    g.returns = spelled.then(|| result.clone());
                    let n = g.random.below(3);
                    let statements = g.statements(n);
                    let tail = g.any(result, Want::Run, 3);
                    let block = Block { head: String::new(), statements, tail: Some(tail) };
                    let of = if spelled { format!("-> {result} ") } else { String::new() };
                    code(format!("|{text}| {of}")).block(block)
                })
            })
        })
    }

    /// A closure for a parameter `impl Fn`: a new one or one that is there.
    pub(super) fn closure_argument(&mut self, types: &[Type], result: &Type) -> Code {
        let fits: Vec<String> = self
            .names
            .iter()
            .filter(|name| {
                let kind = Kind::Closure { params: types.to_vec(), changes: false };
                !name.hidden && name.kind == kind && name.ty == *result
            })
            .map(|name| name.name.clone())
            .collect();
        if !fits.is_empty() && self.random.chance(70) {
            let name = self.random.pick(&fits).clone();
            // Of a parameter nobody knows whether it can be copied.
            let borrow = if name.starts_with('a') || self.random.chance(50) { "&" } else { "" };
            return code(borrow).text(name);
        }
        // Types are known from the function's.
        let spelled = self.random.chance(60);
        self.closure(types, result, spelled, changes_or_changing)
    }

    /// One that reads what is immutable around it.
    fn sharing_closure(&mut self) -> Code {
        let (params, result) = self.any_closure_shape();
        let result = Type::from(result);
        let closure = self.closure(&params, &result, true, changes_or_changing);
        let name = self.name("f");
        self.declare(&name, result, Kind::Closure { params, changes: false });
        code(format!("let {name} = ")).code(closure).text(";")
    }

    /// One that owns copies of what it names, and changes them.
    fn moving_closure(&mut self) -> Code {
        let hide = |name: &Name| {
            matches!(name.kind, Kind::Reference | Kind::Shared | Kind::Closure { .. } | Kind::Count)
        };
        let (params, result) = self.any_closure_shape();
        let result = Type::from(result);
        let closure = self.closure(&params, &result, true, hide);
        let name = self.name("f");
        self.declare(&name, result, Kind::Closure { params, changes: true });
        code(format!("let mut {name} = move ")).code(closure).text(";")
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
}

/// What a closure that can be shared does not name.
fn changes_or_changing(name: &Name) -> bool {
    match &name.kind {
        Kind::Let(_) => false,
        Kind::Closure { changes, .. } => *changes,
        _ => true,
    }
}
