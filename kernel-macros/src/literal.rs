//! Literals and constants, whose type comes from use.
//!
//! As an operand of arithmetic or a comparison a literal stays what it is: `2.0 * x` finds the
//! operator for a host `f32` and a run-time one. Where a value is wanted (an argument, a branch's
//! value, the right side of `=`), it becomes a call that is generic over its result, so that it is
//! a host value or a run-time one by use.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, ExprPath, Ident, Lit, UnOp};

use crate::library;
use crate::types::is_scalar;

/// What an expression's context wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wants {
    /// An operand: host literals stay.
    Operand,
    /// A value whose type comes from use.
    Value,
    /// The first value of a run-time variable: literals are run-time values.
    Variable,
}

impl Wants {
    /// What the paths that join in a value want.
    pub(crate) fn joined(self) -> Wants {
        if self == Wants::Operand { Wants::Value } else { self }
    }
}

/// `MAX`, `N`, `BLOCK_SIZE`: constants and const parameters, by convention.
pub(crate) fn is_constant_name(name: &str) -> bool {
    name.chars().any(|c| c.is_ascii_uppercase()) && !name.chars().any(|c| c.is_ascii_lowercase())
}

/// Whether a path is a constant: `N`, `module::LIMIT`, `f32::NEG_INFINITY`.
pub(crate) fn is_constant(path: &ExprPath) -> bool {
    let segments = &path.path.segments;
    let Some(last) = segments.last() else { return false };
    is_constant_name(&last.ident.to_string())
        // Constants of generic scalars (`T::ONE`) and of scalar types, but not enum variants.
        && (segments.len() == 1
            || is_scalar(&segments[segments.len() - 2].ident.to_string())
            || segments[segments.len() - 2].ident.to_string().starts_with(char::is_lowercase))
}

/// Whether a path is a variant or associated constant: `Mode::Fast`, `T::LIMIT`.
fn is_associated(path: &ExprPath) -> bool {
    let upper = |s: &syn::PathSegment| s.ident.to_string().starts_with(|c: char| c.is_uppercase());
    let segments = &path.path.segments;
    segments.len() > 1 && segments.iter().rev().take(2).all(upper)
}

/// A literal or constant in its context; `None` if the expression is neither. `is_local` knows the
/// names that the function declares itself, which are no constants however they are written.
pub(crate) fn rewrite(
    expr: &Expr,
    wants: Wants,
    is_local: impl Fn(&ExprPath) -> bool,
) -> Option<TokenStream> {
    let span = expr.span();
    let m = library(span);
    let (int, float, host) = match wants {
        Wants::Operand => (None, None, None),
        Wants::Value => (Some("lit_int"), Some("lit_float"), Some("host")),
        Wants::Variable => (Some("val_int"), Some("val_float"), Some("val_host")),
    };
    let call = |name: Option<&str>, expr: &Expr| match name {
        Some(name) => {
            let name = Ident::new(name, span);
            quote_spanned!(span=> #m::#name(#expr))
        }
        None => quote!(#expr),
    };
    match expr {
        Expr::Lit(lit) => match &lit.lit {
            Lit::Int(i) if i.suffix().is_empty() => Some(call(int, expr)),
            Lit::Float(f) if f.suffix().is_empty() => Some(call(float, expr)),
            Lit::Int(_) | Lit::Float(_) | Lit::Bool(_) => Some(call(host, expr)),
            _ => Some(quote!(#expr)),
        },
        Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_)) => match &*unary.expr {
            // `-1` is one literal here, so that it may be a run-time value as a whole.
            Expr::Lit(lit) => match &lit.lit {
                Lit::Int(i) if i.suffix().is_empty() => Some(call(int, expr)),
                Lit::Float(f) if f.suffix().is_empty() => Some(call(float, expr)),
                _ => Some(call(host, expr)),
            },
            _ => None,
        },
        Expr::Path(path) if is_local(path) => None,
        Expr::Path(path) if is_constant(path) => Some(call(host, expr)),
        // Of the host too; a variant or an associated constant.
        Expr::Path(path) if is_associated(path) => Some(call(host, expr)),
        _ => None,
    }
}
