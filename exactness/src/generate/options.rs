//! Options: what checked arithmetic gives, and how it is taken apart.

use super::{Ex, Generator, Kind, Name, Stage, Want};
use crate::program::{Block, Code, code};
use crate::types::{Scalar, Type};

impl Generator {
    /// An `Option` of an integer.
    pub(super) fn checked(&mut self, ty: Scalar, depth: usize) -> Code {
        if self.random.chance(40)
            && let Some(name) = self.maybe(|of, _| of == ty)
        {
            return code(name.name);
        }
        let e = self.scalar(ty, Want::Run, depth).code;
        match self.random.below(9) {
            0 => e.text(".checked_neg()"),
            8 => {
                let by = self.scalar(Scalar::U32, Want::Run, depth.min(1)).code;
                match self.random.chance(50) {
                    true => e.text(format!(".checked_pow({})", self.random.below(9))),
                    false => e.text(".checked_pow(").code(by).text(" % 17)"),
                }
            }
            1 if ty.is_signed() => e.text(".checked_abs()"),
            2 => {
                let amount = self.scalar(Scalar::U32, Want::Run, depth.min(1)).code;
                let name = *self.random.pick(&["checked_shl", "checked_shr"]);
                e.text(format!(".{name}(")).code(amount).text(" % 80)")
            }
            _ => {
                let names =
                    ["checked_add", "checked_sub", "checked_mul", "checked_div", "checked_rem"];
                let name = *self.random.pick(&names);
                let other = self.scalar(ty, Want::Run, depth).code;
                e.text(format!(".{name}(")).code(other).text(")")
            }
        }
    }

    /// A name of an option.
    fn maybe(&mut self, fits: impl Fn(Scalar, bool) -> bool) -> Option<Name> {
        let mut found: Vec<Name> = Vec::new();
        for (i, name) in self.names.iter().enumerate() {
            let shadowed = self.names[i + 1..].iter().any(|later| later.name == name.name);
            if let (Kind::Maybe { mutable }, Type::Scalar(ty)) = (&name.kind, &name.ty)
                && !name.hidden
                && !shadowed
                && fits(*ty, *mutable)
            {
                found.push(name.clone());
            }
        }
        (!found.is_empty()).then(|| self.random.pick(&found).clone())
    }

    /// `let o = x.checked_add(y);`, or an assignment of one.
    fn named_option(&mut self) -> Code {
        if self.random.chance(50)
            && self.pure == 0
            && let Some(Name { name, ty: Type::Scalar(ty), .. }) = self.maybe(|_, mutable| mutable)
        {
            return match self.random.below(4) {
                0 => code(format!("{name} = None;")),
                1 => {
                    let e = self.scalar(ty, Want::Run, 2).code;
                    code(format!("{name} = Some(")).code(e).text(");")
                }
                _ => code(format!("{name} = ")).code(self.checked(ty, 2)).text(";"),
            };
        }
        let (ty, mutable) = (self.int(), self.random.chance(50));
        let option = self.checked(ty, 2);
        let name = self.name("o");
        self.declare(&name, ty, Kind::Maybe { mutable });
        let word = if mutable { "mut " } else { "" };
        code(format!("let {word}{name} = ")).code(option).text(";")
    }

    /// An integer out of an `Option`.
    pub(super) fn unwrapped(&mut self, ty: Scalar, depth: usize) -> Ex {
        let option = self.checked(ty, depth);
        let other = |g: &mut Generator| g.scalar(ty, Want::Run, depth.min(1)).code;
        Ex::run(match self.random.below(5) {
            0 => option.text(".unwrap_or_default()"),
            1 => {
                let (name, n) = (self.name("v"), self.random.within(1, 30));
                let other = other(self);
                let open = option.text(format!(".map(|{name}| {name} ^ {n}).unwrap_or("));
                open.code(other).text(")")
            }
            2 => {
                let (name, n) = (self.name("v"), self.random.within(1, 30));
                let other = other(self);
                let open = option.text(format!(".and_then(|{name}| {name}.checked_mul({n}))"));
                open.text(".unwrap_or(").code(other).text(")")
            }
            _ => {
                let other = other(self);
                option.text(".unwrap_or(").code(other).text(")")
            }
        })
    }

    /// Whether there is a value.
    pub(super) fn is_some(&mut self, depth: usize) -> Ex {
        let ty = self.int();
        let option = self.checked(ty, depth);
        Ex::run(option.text([".is_some()", ".is_none()"][self.random.below(2)]))
    }

    /// `matches!(..)`.
    pub(super) fn matches(&mut self, depth: usize) -> Ex {
        let ty = self.int();
        let e = self.scalar(ty, Want::Run, depth).code;
        let (a, b) = (self.random.below(10), self.random.within(11, 20));
        let pattern = self.random.pick(&["..", "..=", " | "]).to_owned();
        Ex::run(code("matches!(").code(e).text(format!(" % 25, {a}{pattern}{b})")))
    }

    /// `if let Some(x) = .. { .. } else { .. }`, as a statement.
    fn if_let(&mut self) -> Code {
        let ty = self.int();
        let option = self.checked(ty, 2);
        let (name, mutable) = (self.name("s"), self.random.chance(25));
        let (word, kind) = match mutable {
            true => ("mut ", Kind::Variable),
            false => ("", Kind::Let(Stage::Run)),
        };
        let then = self.scoped(|g| {
            g.declare(&name, ty, kind);
            g.statement_block(2)
        });
        let out = code(format!("if let Some({word}{name}) = ")).code(option).text(" ").block(then);
        if self.random.chance(50) {
            return out;
        }
        let otherwise = self.statement_block(2);
        out.text(" else ").block(otherwise)
    }

    /// `match .. { Some(x) if .. => .., Some(x) => .., None => .. }`, with a value.
    pub(super) fn match_option(&mut self, ty: &Type, depth: usize) -> Code {
        let of = self.int();
        let option = self.checked(of, depth.min(2));
        let (guarded, plain) = (self.name("s"), self.name("s"));
        let mut out = code("match ").code(option).text(" {\n");
        if self.random.chance(60) {
            out = self.scoped(|g| {
                g.declare(&guarded, of, Kind::Let(Stage::Run));
                let guard = g.scalar(Scalar::Bool, Want::Run, 2).code;
                let value = g.value_block(ty, Want::Run, depth);
                let arm = out.text(format!("Some({guarded}) if ")).code(guard).text(" => ");
                arm.block(value).text(",\n")
            });
        }
        out = self.scoped(|g| {
            g.declare(&plain, of, Kind::Let(Stage::Run));
            let value = g.any(ty, Want::Run, depth);
            out.text(format!("Some({plain}) => ")).code(value).text(",\n")
        });
        let value = self.any(ty, Want::Run, depth);
        out.text("None => ").code(value).text(",\n}")
    }

    /// `let Some(x) = .. else { .. };`
    fn let_else(&mut self) -> Code {
        if self.targets.is_empty() && self.returns.is_none() || self.pure > 0 {
            return self.let_statement();
        }
        let ty = self.int();
        let ranged = self.random.chance(30);
        let option = match ranged {
            true => self.scalar(ty, Want::Run, 2).code,
            false => self.checked(ty, 2),
        };
        let otherwise = self.scoped(|g| {
            let n = g.random.below(2);
            let mut statements = g.statements(n);
            statements.push(g.leave());
            Block { statements, ..Block::default() }
        });
        let (name, mutable) = (self.name("s"), self.random.chance(30));
        let word = if mutable { "mut " } else { "" };
        let kind = if mutable { Kind::Variable } else { Kind::Let(Stage::Run) };
        self.declare(&name, ty, kind);
        let pattern = match ranged {
            true => {
                format!("{word}{name} @ {}..={}", self.random.below(3), self.random.within(9, 99))
            }
            false => format!("Some({word}{name})"),
        };
        let open = code(format!("let {pattern} = ")).code(option).text(" else ");
        open.block(otherwise).text(";")
    }

    /// `let (x, lost) = a.overflowing_add(b);`
    fn overflowing(&mut self) -> Code {
        let ty = self.int();
        let (a, b) = (self.scalar(ty, Want::Run, 2).code, self.scalar(ty, Want::Run, 2).code);
        let names = ["overflowing_add", "overflowing_sub", "overflowing_mul"];
        let name = *self.random.pick(&names);
        let (value, lost) = (self.name("x"), self.name("x"));
        self.declare(&value, ty, Kind::Let(Stage::Run));
        self.declare(&lost, Scalar::Bool, Kind::Let(Stage::Run));
        code(format!("let ({value}, {lost}) = "))
            .code(a)
            .text(format!(".{name}("))
            .code(b)
            .text(");")
    }

    /// A statement that takes an option apart.
    pub(super) fn option_statement(&mut self) -> Code {
        match self.random.below(6) {
            0 if self.depth < 4 => self.if_let(),
            1 => self.overflowing(),
            4 | 5 => self.named_option(),
            2 => self.constant(),
            _ => self.let_else(),
        }
    }

    /// `const K: u32 = 7;`
    fn constant(&mut self) -> Code {
        let ty = loop {
            let ty = self.number();
            if !ty.is_half() {
                break ty;
            }
        };
        let (name, value) = (self.name("K"), self.literal(ty));
        self.declare(&name, ty, Kind::Let(Stage::Host));
        code(format!("const {name}: {ty} = {value};"))
    }
}
