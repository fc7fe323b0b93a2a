//! Statements.

use super::{Generator, Kind, Stage, Want};
use crate::program::{Block, Code, code};
use crate::types::{Scalar, Type};

impl Generator {
    /// Up to `n` statements.
    pub(super) fn statements(&mut self, n: usize) -> Vec<Code> {
        let mut out = Vec::new();
        for _ in 0..n {
            if self.is_full() {
                break;
            }
            out.push(self.statement());
        }
        out
    }

    fn statement(&mut self) -> Code {
        self.count();
        if self.pure > 0 {
            return self.let_statement();
        }
        let nested = self.depth < 4;
        match self.random.below(100) {
            0..22 => self.let_statement(),
            22..26 => self.destructuring(),
            26..31 => self.option_statement(),
            31..45 => self.assignment(),
            45..60 => self.compound_assignment(),
            60..70 if nested => self.if_statement(),
            70..75 if nested => self.match_statement(),
            75..86 if nested => self.loop_statement(),
            86..89 if nested => self.closure_statement(),
            89..91 if nested => self.labelled_statement(),
            91..94 => self.leave_sometimes(),
            94..96 if nested => code("").block(self.statement_block(2)),
            _ => self.call_statement(),
        }
    }

    /// A name for a `let`: sometimes one that is there, which it shadows.
    fn let_name(&mut self) -> String {
        let old: Vec<&str> = self
            .names
            .iter()
            .filter(|name| {
                matches!(name.kind, Kind::Let(_) | Kind::Variable)
                    && !name.hidden
                    && !name.name.starts_with('K')
            })
            .map(|name| name.name.as_str())
            .collect();
        if !old.is_empty() && self.random.chance(10) {
            return (*self.random.pick(&old)).to_owned();
        }
        self.name("x")
    }

    pub(super) fn let_statement(&mut self) -> Code {
        let ty = self.any_type();
        let mutable = self.random.chance(60);
        let annotated = self.random.chance(50);
        let depth = self.random.within(1, 4);
        let (value, stage) = match (&ty, mutable, annotated) {
            // A value of the host stays one in a `let`, and is run-time in a `let mut`.
            (Type::Scalar(scalar), mutable, false) if self.random.chance(25) => {
                let ex = self.scalar(*scalar, Want::Any, depth);
                let stage = if mutable { Stage::Run } else { ex.stage };
                (ex.code, stage)
            }
            (_, _, true) => (self.value(&ty, depth), Stage::Run),
            _ => (self.any(&ty, Want::Run, depth), Stage::Run),
        };
        let name = self.let_name();
        let annotation = if annotated { format!(": {ty}") } else { String::new() };
        let kind = if mutable { Kind::Variable } else { Kind::Let(stage) };
        let word = if mutable { "let mut" } else { "let" };
        self.declare(&name, ty, kind);
        code(format!("{word} {name}{annotation} = ")).code(value).text(";")
    }

    /// `let (a, mut b) = (x, y);`
    fn destructuring(&mut self) -> Code {
        let Type::Tuple(parts) = self.tuple_type() else { unreachable!("tuple_type") };
        let value = self.any(&Type::Tuple(parts.clone()), Want::Run, 3);
        let mut pattern = String::from("(");
        for part in parts {
            if self.random.chance(15) {
                pattern += "_, ";
                continue;
            }
            let (name, mutable) = (self.name("x"), self.random.chance(50));
            pattern += if mutable { "mut " } else { "" };
            pattern += &format!("{name}, ");
            let kind = if mutable { Kind::Variable } else { Kind::Let(Stage::Run) };
            self.declare(name, part, kind);
        }
        code(format!("let {pattern}) = ")).code(value).text(";")
    }

    /// A type that something assignable has.
    fn assignable_type(&mut self) -> Option<Type> {
        let mut types: Vec<Type> = Vec::new();
        for name in &self.names {
            if !name.hidden && matches!(name.kind, Kind::Variable | Kind::Reference) {
                collect(&name.ty, &mut types);
            }
        }
        (!types.is_empty()).then(|| self.random.pick(&types).clone())
    }

    fn assignment(&mut self) -> Code {
        let Some(ty) = self.assignable_type() else { return self.let_statement() };
        if self.random.chance(12) {
            return self.swap(&ty);
        }
        // Rust evaluates the right side first; the generator makes the sides in any order, since
        // neither side's names are seen by the other.
        let value = match &ty {
            Type::Scalar(scalar) if self.random.chance(20) => {
                self.typed_host(*scalar).unwrap_or_else(|| self.value(&ty, 3))
            }
            _ => self.value(&ty, 3),
        };
        let Some((place, _)) = self.assignable(&ty) else { return self.let_statement() };
        place.text(" = ").code(value).text(";")
    }

    /// A name of the host.
    fn typed_host(&mut self, ty: Scalar) -> Option<Code> {
        let ex = self.read(&ty.into(), Want::Any)?;
        Some(ex.code)
    }

    /// `(a, b) = (b, a);`
    fn swap(&mut self, ty: &Type) -> Code {
        let (Some((a, _)), Some((b, _))) = (self.assignable(ty), self.assignable(ty)) else {
            return self.let_statement();
        };
        let (c, d) = (self.any(ty, Want::Run, 1), self.any(ty, Want::Run, 1));
        code("(").code(a).text(", ").code(b).text(") = (").code(c).text(", ").code(d).text(");")
    }

    fn compound_assignment(&mut self) -> Code {
        let ty = loop {
            match self.assignable_type() {
                None => return self.let_statement(),
                Some(Type::Scalar(ty)) => break ty,
                Some(_) => {}
            }
        };
        let Some((place, name)) = (match ty.is_half() {
            // These operators are methods, which borrow the place before the right side runs.
            true => self.purely_assignable(ty),
            false => self.assignable(&ty.into()),
        }) else {
            return self.let_statement();
        };
        let (op, value) = match ty {
            Scalar::Bool => {
                let op = *self.random.pick(&["&", "|", "^"]);
                (op, self.scalar(ty, Want::Run, 3).code)
            }
            _ if ty.is_half() => {
                let hide = self.names[name].name.clone();
                let value = self
                    .hiding(|n| n.name == hide, |g| g.purely(|g| g.scalar(ty, Want::Run, 2).code));
                (*self.random.pick(&["+", "-", "*"]), value)
            }
            _ if ty.is_float() => {
                let op = *self.random.pick(&["+", "-", "*", "/"]);
                (op, self.scalar(ty, Want::Any, 3).code)
            }
            _ => self.integer_operand(ty),
        };
        place.text(format!(" {op}= ")).code(value).text(";")
    }

    fn purely_assignable(&mut self, ty: Scalar) -> Option<(Code, usize)> {
        let (code, name) = self.lendable(&ty.into(), &[])?;
        let text = code.to_string();
        match text.strip_prefix("&mut ") {
            Some(place) => Some((crate::program::code(place), name)),
            None => Some((crate::program::code(format!("*{text}")), name)),
        }
    }

    fn integer_operand(&mut self, ty: Scalar) -> (&'static str, Code) {
        match self.random.below(10) {
            0 => (*self.random.pick(&["/", "%"]), self.divisor(ty, 2).code),
            1 => {
                let amount = self.scalar(Scalar::U32, Want::Any, 2).code;
                (*self.random.pick(&["<<", ">>"]), code("(").code(amount).text(" % 67)"))
            }
            2 => ("+", code(self.random.below(100))),
            _ => {
                let op = *self.random.pick(&["+", "-", "*", "^", "|", "&", "+"]);
                (op, self.scalar(ty, Want::Any, 3).code)
            }
        }
    }

    fn if_statement(&mut self) -> Code {
        let condition = self.condition(3).code;
        let then = self.statement_block(2);
        let mut out = code("if ").code(condition).text(" ").block(then);
        while self.random.chance(30) {
            let condition = self.scalar(Scalar::Bool, Want::Run, 2).code;
            let then = self.statement_block(2);
            out = out.text(" else if ").code(condition).text(" ").block(then);
        }
        if self.random.chance(40) {
            let otherwise = self.statement_block(2);
            out = out.text(" else ").block(otherwise);
        }
        out
    }

    /// `if c { break; }`, or another way to leave; a declaration where there is none.
    pub(super) fn leave_sometimes(&mut self) -> Code {
        if self.targets.is_empty() && self.returns.is_none() || self.pure > 0 {
            return self.let_statement();
        }
        let condition = self.scalar(Scalar::Bool, Want::Run, 3).code;
        let body = self.scoped(|g| {
            let n = g.random.below(2);
            let mut statements = g.statements(n);
            statements.push(g.leave());
            Block { statements, ..Block::default() }
        });
        code("if ").code(condition).text(" ").block(body)
    }

    /// `return`, `break` or `continue`; there is something to leave.
    pub(super) fn leave(&mut self) -> Code {
        let returns = match self.returns.clone() {
            Some(ty) if self.targets.is_empty() || self.random.chance(20) => Some(ty),
            _ => None,
        };
        if let Some(ty) = returns {
            let value = self.value(&ty, 2);
            return code("return ").code(value).text(";");
        }
        if self.targets.is_empty() {
            // In a closure there is nothing to leave.
            return code("let _ = 0;");
        }
        let innermost = self.targets.len() - 1;
        let at = if self.random.chance(60) { innermost } else { self.random.below(innermost + 1) };
        let target = self.targets[at].clone();
        let label = match target.label {
            Some(label) if at < innermost || !target.is_loop || self.random.chance(50) => {
                format!(" {label}")
            }
            None if at < innermost => return self.leave_innermost(),
            _ => String::new(),
        };
        if target.is_loop && self.random.chance(35) {
            return code(format!("continue{label};"));
        }
        let leave = code(format!("break{label}"));
        match target.value {
            Some(ty) => {
                let value = self.any(&ty, Want::Run, 2);
                leave.text(" ").code(value).text(";")
            }
            None => leave.text(";"),
        }
    }

    /// Leaves the innermost target; a loop outside it has no name.
    fn leave_innermost(&mut self) -> Code {
        let outer = std::mem::take(&mut self.targets);
        let returns = self.returns.take();
        self.targets.extend(outer.last().cloned());
        let code = self.leave();
        (self.targets, self.returns) = (outer, returns);
        code
    }

    /// A labelled block that is left early.
    fn labelled_statement(&mut self) -> Code {
        let label = self.name("'l");
        let target = super::Target { label: Some(label.clone()), is_loop: false, value: None };
        self.targets.push(target);
        let block = self.scoped(|g| {
            let n = g.random.within(1, 2);
            let mut statements = g.statements(n);
            statements.push(g.leave_sometimes());
            let n = g.random.within(1, 2);
            statements.extend(g.statements(n));
            Block { statements, ..Block::default() }
        });
        self.targets.pop();
        code(format!("{label}: ")).block(block)
    }

    /// The steps that make a number of all that names hold.
    pub(super) fn digest(&mut self) -> Vec<Code> {
        let mut live = self.live();
        while live.len() > 16 {
            live.swap_remove(self.random.below(live.len()));
        }
        let mut out = vec![code("let mut digest = 0u64;")];
        for (text, ty) in live {
            let bits = match ty {
                Scalar::Bool => format!("({text} as u64)"),
                _ if ty.is_int() => format!("({text} as u64)"),
                // Those of NaN are unspecified.
                _ => format!(
                    "{{ let f = {text}; if f.is_nan() {{ 1u64 }} else {{ f.to_bits() as u64 }} }}"
                ),
            };
            out.push(code(format!(
                "digest = (digest ^ {bits}).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);"
            )));
        }
        out
    }
}

/// The types of a type's parts.
fn collect(ty: &Type, types: &mut Vec<Type>) {
    types.push(ty.clone());
    match ty {
        Type::Scalar(_) => {}
        Type::Tuple(parts) => parts.iter().for_each(|part| collect(part, types)),
        Type::Array(element, _) => collect(element, types),
    }
}
