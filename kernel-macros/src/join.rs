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
use crate::span::Spanned;

/// How the value of a path is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// Its type may come from the join.
    Open,
    /// A constant, which is of the host.
    Constant,
    /// It has a type of its own.
    Typed,
    /// A literal without a type of its own.
    Int,
    Float,
    /// `Some(x)` or `None`: an option of the host, which becomes a run-time one where paths join.
    Option,
}

/// Whether an expression is `Some(x)` or `None`.
pub(crate) fn is_option(expr: &Expr) -> bool {
    match expr {
        Expr::Call(call) => {
            call.args.len() == 1
                && matches!(&*call.func, Expr::Path(path) if path.path.is_ident("Some"))
        }
        Expr::Path(path) => path.path.is_ident("None"),
        _ => false,
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

/// A number without a type of its own, perhaps negative.
fn number(expr: &Expr) -> Option<Spelling> {
    match expr {
        Expr::Lit(lit) if has_type(&lit.lit) => None,
        Expr::Lit(lit) => match &lit.lit {
            Lit::Int(_) => Some(Spelling::Int),
            Lit::Float(_) => Some(Spelling::Float),
            _ => None,
        },
        Expr::Unary(e) if matches!(e.op, UnOp::Neg(_)) => number(&e.expr),
        _ => None,
    }
}

/// Whether an expression is a number without a type of its own.
pub(crate) fn is_number(expr: &Expr) -> bool {
    number(expr).is_some()
}

fn literal(expr: &Expr) -> bool {
    matches!(expr, Expr::Lit(lit) if matches!(lit.lit, Lit::Int(_) | Lit::Float(_)))
}

impl Rewriter {
    /// How the value of an expression is written.
    pub(crate) fn spelling(&self, expr: &Expr) -> Spelling {
        match expr {
            Expr::Lit(lit) if has_type(&lit.lit) => Spelling::Constant,
            _ if let Some(number) = number(expr) => number,
            _ if is_option(expr) => Spelling::Option,
            Expr::Path(path) if !self.is_local(path) && is_constant(path) => Spelling::Constant,
            Expr::Path(_) | Expr::Field(_) | Expr::Index(_) => Spelling::Typed,
            Expr::Binary(e) if literal(&e.left) && literal(&e.right) => Spelling::Open,
            Expr::Binary(e) if !matches!(e.op, BinOp::And(_) | BinOp::Or(_)) => Spelling::Typed,
            Expr::Unary(e) if matches!(e.op, UnOp::Deref(_)) || !literal(&e.expr) => {
                Spelling::Typed
            }
            Expr::Paren(e) => self.spelling(&e.expr),
            Expr::Group(e) => self.spelling(&e.expr),
            Expr::Block(e) if e.label.is_none() => self.block_spelling(&e.block.stmts),
            Expr::Unsafe(e) => self.block_spelling(&e.block.stmts),
            _ => Spelling::Open,
        }
    }

    /// How the value of a block is written.
    pub(crate) fn block_spelling(&self, stmts: &[Stmt]) -> Spelling {
        // The value of what follows a `let else` comes out of a join.
        match stmts.last() {
            _ if stmts.iter().any(splits) => Spelling::Open,
            Some(Stmt::Expr(expr, None)) => self.spelling(expr),
            _ => Spelling::Open,
        }
    }

    /// A branch, put where it joins the others.
    pub(crate) fn branch(&mut self, merge: &Ident, body: Body<'_>, wants: Wants) -> TokenStream {
        // What follows a `let else` stands within its case, where a branch that is decided while
        // staging cannot leave a value.
        if body.is_block() && !body.diverges() && !body.splits() {
            return self.case_body(body, Tail::Body(merge, wants));
        }
        if let Body::Expr(expr) = body
            && has_open_parts(expr, wants)
        {
            return self.branch_of_parts(merge, expr, wants);
        }
        let how = body.spelling(self);
        let value = self.case_body(body, Tail::Value(branch_wants(how, wants)));
        put(merge, how, value, wants, body.diverges(), body.span())
    }
}

impl Rewriter {
    /// A tuple or array, each part put where it joins the same part of the other branches.
    fn branch_of_parts(&mut self, merge: &Ident, expr: &Expr, wants: Wants) -> TokenStream {
        let span = expr.span();
        let part = |expr: &Expr, this: &mut Self| {
            let name = this.fresh("part");
            let put = this.branch(&name, Body::Expr(expr), wants);
            (name, put)
        };
        match expr {
            Expr::Paren(e) => self.branch_of_parts(merge, &e.expr, wants),
            Expr::Group(e) => self.branch_of_parts(merge, &e.expr, wants),
            Expr::Tuple(e) => {
                let (names, puts): (Vec<_>, Vec<_>) = e.elems.iter().map(|e| part(e, self)).unzip();
                let parts = Ident::new(&format!("parts{}", names.len()), span);
                quote_spanned!(span=> {
                    let (#(#names,)*) = #merge.#parts();
                    #(#puts)*
                    #merge.put((#(#names.take(),)*));
                })
            }
            Expr::Array(e) => {
                let (names, puts): (Vec<_>, Vec<_>) = e.elems.iter().map(|e| part(e, self)).unzip();
                quote_spanned!(span=> {
                    #(let #names = #merge.element(); #puts)*
                    #merge.put([#(#names.take(),)*]);
                })
            }
            Expr::Repeat(e) => {
                let (name, put) = part(&e.expr, self);
                let len = &e.len;
                quote_spanned!(span=> {
                    let #name = #merge.element();
                    #put
                    #merge.put([#name.take(); #len]);
                })
            }
            other => self.branch(merge, Body::Expr(other), wants),
        }
    }
}

/// Whether an expression is a tuple or array with parts whose types may come from the join.
fn has_open_parts(expr: &Expr, wants: Wants) -> bool {
    let open = |e: &Expr| {
        number(e).is_some() && wants == Wants::Value || is_option(e) || has_open_parts(e, wants)
    };
    match expr {
        Expr::Tuple(e) => e.elems.len() <= 8 && e.elems.iter().any(open),
        Expr::Array(e) => e.elems.iter().any(open),
        Expr::Repeat(e) => open(&e.expr),
        Expr::Paren(e) => has_open_parts(&e.expr, wants),
        Expr::Group(e) => has_open_parts(&e.expr, wants),
        _ => false,
    }
}

/// What a branch wants, by how it is written: what has a type of its own is converted where it is put.
pub(crate) fn branch_wants(how: Spelling, wants: Wants) -> Wants {
    match (how, wants) {
        (Spelling::Open | Spelling::Option, _) => wants,
        (_, Wants::Value) => Wants::Operand,
        _ => wants,
    }
}

/// What a value wants that is stored in a place of a known type: with a type of its own, it is
/// converted there.
pub(crate) fn stored_wants(how: Spelling) -> Wants {
    match how {
        Spelling::Typed => Wants::Operand,
        _ => Wants::Value,
    }
}

/// What a value wants that `break` or `return` gives.
pub(crate) fn left_wants(how: Spelling) -> Wants {
    match how {
        Spelling::Typed | Spelling::Int | Spelling::Float => Wants::Operand,
        _ => Wants::Value,
    }
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
        Spelling::Open => quote_spanned!(span=> (&#merge).put({ #value });),
        // Already made a run-time value.
        Spelling::Constant | Spelling::Int | Spelling::Float if wants == Wants::Variable => {
            quote_spanned!(span=> (&#merge).put(#value);)
        }
        Spelling::Int => quote_spanned!(span=> (&#merge).put_int(#value);),
        Spelling::Float => quote_spanned!(span=> (&#merge).put_float(#value);),
        Spelling::Constant => quote_spanned!(span=> (&#merge).put_constant(#value);),
        Spelling::Typed => quote_spanned!(span=> (&#merge).put_typed(#value);),
        Spelling::Option => quote_spanned!(span=> (&#merge).put_option(#value);),
    }
}

/// Whether what follows a statement stands within a case: it is a `let else`.
pub(crate) fn splits(statement: &Stmt) -> bool {
    let Stmt::Local(local) = statement else { return false };
    local.init.as_ref().is_some_and(|init| init.diverge.is_some())
}
