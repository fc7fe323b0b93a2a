//! Where paths join in one value: the branches of an `if`, the right side of `=`.
//!
//! If the paths join when the kernel runs, a host value on one of them becomes a run-time value.
//! What is written decides how: the type of a literal or a call may itself come from the join, so it
//! is put there as it is; a name or an operator has a type of its own, which converts.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{BinOp, Block, Expr, Ident, Lit, Stmt, UnOp};

use crate::block::{diverges, expr_diverges};
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
        Expr::Path(path) if is_constant(path) => Spelling::Constant,
        Expr::Path(_) | Expr::Field(_) | Expr::Index(_) => Spelling::Typed,
        Expr::Binary(e) if literal(&e.left) && literal(&e.right) => Spelling::Open,
        Expr::Binary(e) if !matches!(e.op, BinOp::And(_) | BinOp::Or(_)) => Spelling::Typed,
        Expr::Unary(e) if matches!(e.op, UnOp::Deref(_)) || !literal(&e.expr) => Spelling::Typed,
        Expr::Paren(e) => spelling(&e.expr),
        Expr::Group(e) => spelling(&e.expr),
        Expr::Block(e) if e.label.is_none() => of_block(&e.block),
        Expr::Unsafe(e) => of_block(&e.block),
        _ => Spelling::Open,
    }
}

fn of_block(block: &Block) -> Spelling {
    match block.stmts.last() {
        Some(Stmt::Expr(expr, None)) => spelling(expr),
        _ => Spelling::Open,
    }
}

fn literal(expr: &Expr) -> bool {
    matches!(expr, Expr::Lit(lit) if matches!(lit.lit, Lit::Int(_) | Lit::Float(_)))
}

impl Rewriter {
    /// A branch, put where it joins the others.
    pub(crate) fn branch(&mut self, merge: &Ident, expr: &Expr, wants: Wants) -> TokenStream {
        let how = spelling(expr);
        let value = self.expr(expr, branch_wants(how, wants));
        put(merge, how, value, wants, expr_diverges(expr))
    }

    /// A branch that is a block.
    pub(crate) fn branch_block(
        &mut self,
        merge: &Ident,
        block: &Block,
        wants: Wants,
    ) -> TokenStream {
        let how = of_block(block);
        let value = self.value_block(block, branch_wants(how, wants));
        put(merge, how, value, wants, diverges(block))
    }
}

fn branch_wants(how: Spelling, wants: Wants) -> Wants {
    match (how, wants) {
        (Spelling::Constant, Wants::Value) => Wants::Operand,
        _ => wants,
    }
}

/// Puts a branch's value where the branches join, unless the branch never gets there.
pub(crate) fn put(
    merge: &Ident,
    how: Spelling,
    value: TokenStream,
    wants: Wants,
    diverges: bool,
) -> TokenStream {
    match how {
        _ if diverges => quote!(#value;),
        Spelling::Open => quote!(#merge.put(#value);),
        // Already made a run-time value.
        Spelling::Constant if wants == Wants::Variable => quote!(#merge.put(#value);),
        Spelling::Constant => quote!(#merge.put_constant(#value);),
        Spelling::Typed => quote!(#merge.put_typed(#value);),
    }
}
