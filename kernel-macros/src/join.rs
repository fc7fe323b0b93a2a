//! Where paths join in one value: the branches of an `if`, the right side of `=`.
//!
//! If the paths join when the kernel runs, a host value on one of them becomes a run-time value.
//! What is written decides how: the type of a literal or a call may itself come from the join, so it
//! is put there as it is; a name or an operator has a type of its own, which converts.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::{BinOp, Expr, Ident, Lit, Stmt, UnOp};

use crate::cases::{Body, Tail};
use crate::literal::{Wants, is_constant};
use crate::scope::Rewriter;

/// How the value of a path is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// Its type may come from the join.
    Open,
    /// A constant, which is of the host.
    Constant,
    /// It has a type of its own.
    Typed,
}

/// How the value of an expression is written.
pub(crate) fn spelling(expr: &Expr) -> Spelling {
    match expr {
        Expr::Lit(lit) if has_type(&lit.lit) => Spelling::Constant,
        Expr::Path(path) if is_constant(path) => Spelling::Constant,
        Expr::Path(_) | Expr::Field(_) | Expr::Index(_) => Spelling::Typed,
        Expr::Binary(e) if literal(&e.left) && literal(&e.right) => Spelling::Open,
        Expr::Binary(e) if !matches!(e.op, BinOp::And(_) | BinOp::Or(_)) => Spelling::Typed,
        Expr::Unary(e) if matches!(e.op, UnOp::Deref(_)) || !literal(&e.expr) => Spelling::Typed,
        Expr::Paren(e) => spelling(&e.expr),
        Expr::Group(e) => spelling(&e.expr),
        Expr::Block(e) if e.label.is_none() => block_spelling(&e.block.stmts),
        Expr::Unsafe(e) => block_spelling(&e.block.stmts),
        _ => Spelling::Open,
    }
}

/// How the value of a block is written.
pub(crate) fn block_spelling(stmts: &[Stmt]) -> Spelling {
    // The value of what follows a `let else` comes out of a join.
    let splits = |s: &Stmt| matches!(s, Stmt::Local(l) if l.init.as_ref().is_some_and(|i| i.diverge.is_some()));
    match stmts.last() {
        _ if stmts.iter().any(splits) => Spelling::Open,
        Some(Stmt::Expr(expr, None)) => spelling(expr),
        _ => Spelling::Open,
    }
}

/// Whether a literal says its type.
fn has_type(lit: &Lit) -> bool {
    match lit {
        Lit::Int(i) => !i.suffix().is_empty(),
        Lit::Float(f) => !f.suffix().is_empty(),
        lit => matches!(lit, Lit::Bool(_)),
    }
}

fn literal(expr: &Expr) -> bool {
    matches!(expr, Expr::Lit(lit) if matches!(lit.lit, Lit::Int(_) | Lit::Float(_)))
}

impl Rewriter {
    /// A branch, put where it joins the others.
    pub(crate) fn branch(&mut self, merge: &Ident, body: Body<'_>, wants: Wants) -> TokenStream {
        let how = body.spelling();
        let value = self.case_body(body, Tail::Value(branch_wants(how, wants)));
        put(merge, how, value, wants, body.diverges(), body.span())
    }
}

/// What a branch wants, by how it is written: what has a type of its own is converted where it is put.
pub(crate) fn branch_wants(how: Spelling, wants: Wants) -> Wants {
    match (how, wants) {
        (Spelling::Constant | Spelling::Typed, Wants::Value) => Wants::Operand,
        _ => wants,
    }
}

/// What a value wants that is stored in a place of a known type: with a type of its own, it is
/// converted there.
pub(crate) fn stored_wants(how: Spelling) -> Wants {
    if how == Spelling::Typed { Wants::Operand } else { Wants::Value }
}

/// Puts a branch's value where the branches join, unless the branch never gets there.
pub(crate) fn put(
    merge: &Ident,
    how: Spelling,
    value: TokenStream,
    wants: Wants,
    diverges: bool,
    span: Span,
) -> TokenStream {
    // What cannot be put there is reported at the value.
    match how {
        _ if diverges => quote_spanned!(span=> #value;),
        Spelling::Open => quote_spanned!(span=> #merge.put(#value);),
        // Already made a run-time value.
        Spelling::Constant if wants == Wants::Variable => {
            quote_spanned!(span=> #merge.put(#value);)
        }
        Spelling::Constant => quote_spanned!(span=> #merge.put_constant(#value);),
        Spelling::Typed => quote_spanned!(span=> #merge.put_typed(#value);),
    }
}
