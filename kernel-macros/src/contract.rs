//! `requires = (x.len() >= n, c.len() >= m * n)`: the launch contract.
//!
//! A requirement compares sums and products of parameters, lengths and numbers. It is written as
//! calls of `kernelsmith::__macro`, over the declared parameters, before the kernel's body.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{BinOp, Expr, Lit};

use crate::library;

/// The requirements of one `requires = ..`.
pub(crate) fn requirements(contract: Expr) -> syn::Result<Vec<TokenStream>> {
    match contract {
        Expr::Tuple(tuple) => {
            let each = tuple.elems.into_iter().map(requirements);
            Ok(each.collect::<syn::Result<Vec<_>>>()?.concat())
        }
        Expr::Paren(paren) => requirements(*paren.expr),
        Expr::Binary(binary) if matches!(binary.op, BinOp::And(_)) => {
            Ok([requirements(*binary.left)?, requirements(*binary.right)?].concat())
        }
        other => Ok(vec![requirement(&other)?]),
    }
}

fn requirement(expr: &Expr) -> syn::Result<TokenStream> {
    let wrong = || {
        syn::Error::new(
            expr.span(),
            "a requirement compares two sides with `>=`, `<=`, `==`, `>` or `<`",
        )
    };
    let Expr::Binary(binary) = expr else { return Err(wrong()) };
    let (left, right) = (side(&binary.left)?, side(&binary.right)?);
    let (greater, compare, less) = match binary.op {
        BinOp::Ge(_) => (left, quote!(AtLeast), right),
        BinOp::Le(_) => (right, quote!(AtLeast), left),
        BinOp::Gt(_) => (left, quote!(More), right),
        BinOp::Lt(_) => (right, quote!(More), left),
        BinOp::Eq(_) => (left, quote!(Equal), right),
        _ => return Err(wrong()),
    };
    let text = source(expr);
    let m = library(expr.span());
    Ok(quote_spanned!(expr.span()=>
        #m::require(#text, #greater, #m::Comparison::#compare, #less);
    ))
}

/// One side: sums, differences and products of names, lengths and numbers.
fn side(expr: &Expr) -> syn::Result<TokenStream> {
    let m = library(expr.span());
    let wrong = || {
        syn::Error::new(
            expr.span(),
            "contracts are made of parameters, consts, numbers, `x.len()`, `view.shape(axis)`, \
             `view.stride(axis)` and `part.tile(axis)` by `+`, `-` and `*`",
        )
    };
    match expr {
        Expr::Paren(paren) => side(&paren.expr),
        Expr::Group(group) => side(&group.expr),
        Expr::Binary(binary) => {
            let (left, right) = (side(&binary.left)?, side(&binary.right)?);
            let op = &binary.op;
            match op {
                BinOp::Add(_) | BinOp::Sub(_) | BinOp::Mul(_) => Ok(quote!((#left #op #right))),
                _ => Err(wrong()),
            }
        }
        Expr::Lit(lit) if matches!(lit.lit, Lit::Int(_)) => {
            Ok(quote_spanned!(expr.span()=> #m::extent(#lit)))
        }
        Expr::Path(path) => Ok(quote_spanned!(expr.span()=> #m::extent(#path))),
        // Of a `#[comptime]` parameter.
        Expr::Field(field) if matches!(&*field.base, Expr::Path(_)) => {
            Ok(quote_spanned!(expr.span()=> #m::extent(#field)))
        }
        Expr::MethodCall(call)
            if matches!(&*call.receiver, Expr::Path(_))
                && ["len", "shape", "stride", "tile"].iter().any(|name| call.method == name) =>
        {
            Ok(quote_spanned!(expr.span()=> #m::extent(#call)))
        }
        _ => Err(wrong()),
    }
}

/// The source of an expression, without the spaces that tokens are printed with.
fn source(expr: &Expr) -> String {
    let text = expr.to_token_stream().to_string();
    [(" . ", "."), (" (", "("), ("( ", "("), (" )", ")")]
        .iter()
        .fold(text, |text, (from, to)| text.replace(from, to))
}
