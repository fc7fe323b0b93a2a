//! Statements.

use super::{Generator, Kind, Stage, Want};
use crate::program::{Code, code};
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
            94 if nested && !self.memory.is_empty() => self.slice_statement(),
            94..96 if nested => code("").block(self.statement_block(2)),
            96 if nested => self.nested_function(),
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
                    && !name.name.contains(char::is_uppercase)
                    && name.name != "self"
                    && !name.name.starts_with("fixed")
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
            (Type::Enum(of), mutable, false) => {
                let ex = self.enumerated(of, Want::Any, depth);
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
        let ty = match self.own_type() {
            Some(Type::Struct(of)) if of.opaque.is_none() && self.random.chance(50) => {
                Type::Struct(of)
            }
            _ => self.tuple_type(),
        };
        let value = self.any(&ty, Want::Run, 3);
        let named = matches!(&ty, Type::Struct(of) if !of.is_tuple());
        let mut pattern = String::new();
        for (field, part) in ty.fields() {
            if self.random.chance(15) {
                pattern += if named { "" } else { "_, " };
                continue;
            }
            let (name, mutable) = (self.name("x"), self.random.chance(50));
            pattern += &if named { format!("{field}: ") } else { String::new() };
            pattern += if mutable { "mut " } else { "" };
            pattern += &format!("{name}, ");
            let kind = if mutable { Kind::Variable } else { Kind::Let(Stage::Run) };
            self.declare(name, part, kind);
        }
        let pattern = match &ty {
            Type::Struct(of) if named => format!("{} {{ {pattern}.. }}", of.bare()),
            Type::Struct(of) => format!("{}({pattern})", of.bare()),
            _ => format!("({pattern})"),
        };
        code(format!("let {pattern} = ")).code(value).text(";")
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
        // Where there is nothing but enums, none is found.
        let scalar = (0..8).find_map(|_| match self.assignable_type() {
            Some(Type::Scalar(ty)) => Some(ty),
            _ => None,
        });
        let Some(ty) = scalar else { return self.let_statement() };
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
}

/// The types of a type's parts.
fn collect(ty: &Type, types: &mut Vec<Type>) {
    if let Type::Slice(element) = ty {
        return types.push((*element).into());
    }
    types.push(ty.clone());
    match ty {
        Type::Array(element, _) => collect(element, types),
        _ => ty.fields().iter().for_each(|(_, part)| collect(part, types)),
    }
}
