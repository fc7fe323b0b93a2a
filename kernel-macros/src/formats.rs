//! `device_print!` and `device_assert!`: their arguments are expressions of the kernel.
//!
//! The format string stays rustc's to check. Names that stand in it (`"{x}"`) are read by
//! `format_args!` itself, so those that are variables get an argument of the name.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Expr, ExprAssign, Ident, Lit, Macro, Token};

use crate::library;
use crate::literal::Wants;
use crate::scope::{Kind, Rewriter};
use crate::span::Spanned;

/// The arguments of a macro, all of them expressions.
struct Arguments(Vec<Expr>);

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Arguments> {
        let args = Punctuated::<Expr, Token![,]>::parse_terminated(input)?;
        Ok(Arguments(args.into_iter().collect()))
    }
}

impl Rewriter {
    /// `device_print!(format, ..)`.
    pub(crate) fn device_print(&mut self, call: &Macro) -> TokenStream {
        let Some(args) = self.arguments(call) else { return TokenStream::new() };
        let m = library(call.path.span());
        let format = self.format(&args, call);
        quote_spanned!(call.path.span()=> #m::print(#format))
    }

    /// `device_assert!(condition)`, `device_assert!(condition, format, ..)`.
    pub(crate) fn device_assert(&mut self, call: &Macro) -> TokenStream {
        let Some(args) = self.arguments(call) else { return TokenStream::new() };
        let span = call.path.span();
        let m = library(span);
        let Some((condition, format)) = args.split_first() else {
            return self.error(span, "an assertion has a condition");
        };
        let format = match format {
            [] => {
                let text = quote!(#condition).to_string();
                quote_spanned!(span=> ::core::format_args!("{}", #text))
            }
            format => self.format(format, call),
        };
        let condition = self.expr(condition, Wants::Operand);
        quote_spanned!(span=> #m::check(#condition, #format))
    }

    fn arguments(&mut self, call: &Macro) -> Option<Vec<Expr>> {
        match call.parse_body() {
            Ok(Arguments(args)) => Some(args),
            Err(error) => {
                self.note(error);
                None
            }
        }
    }

    /// `format_args!` of these.
    pub(crate) fn format(&mut self, args: &[Expr], call: &Macro) -> TokenStream {
        let Some((format, args)) = args.split_first() else {
            return self.error(call.path.span(), "a format string is missing: `\"x = {x}\"`");
        };
        let Expr::Lit(syn::ExprLit { lit: Lit::Str(text), .. }) = format else {
            return self.error(format.span(), "the format is a string literal: `\"{}\", x`");
        };
        let mut named = Vec::new();
        let mut out: Vec<TokenStream> = Vec::new();
        for arg in args {
            out.push(match arg {
                Expr::Assign(ExprAssign { left, right, .. }) => {
                    named.push(quote!(#left).to_string());
                    let value = self.expr(right, Wants::Operand);
                    quote_spanned!(arg.span()=> #left = #value)
                }
                arg => self.expr(arg, Wants::Operand),
            });
        }
        for name in names(&text.value()) {
            if named.contains(&name) || self.kind(&name) == Kind::Plain {
                continue;
            }
            let ident = Ident::new(&name, text.span());
            let value = self.expr(&syn::parse_quote!(#ident), Wants::Operand);
            out.push(quote_spanned!(text.span()=> #ident = #value));
            named.push(name);
        }
        quote_spanned!(text.span()=> ::core::format_args!(#text #(, #out)*))
    }
}

/// The names in the holes of a format string: arguments, widths and precisions.
fn names(format: &str) -> Vec<String> {
    let plain = format.replace("{{", "").replace("}}", "");
    let mut names = Vec::new();
    for hole in plain.split('{').skip(1) {
        let hole = hole.split('}').next().unwrap_or_default();
        let (argument, spec) = hole.split_once(':').unwrap_or((hole, ""));
        let of_spec = spec.split('$').rev().skip(1).map(|part| {
            part.rsplit(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or_default()
        });
        names.extend(std::iter::once(argument.trim()).chain(of_spec).map(str::to_owned));
    }
    names.retain(|name| name.parse::<usize>().is_err() && syn::parse_str::<Ident>(name).is_ok());
    names
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn names_in_holes() {
        assert_eq!(
            names("{x} {} {0} {y:>8} {{z}} {a:w$.p$} {_b:?}"),
            ["x", "y", "a", "p", "w", "_b"]
        );
    }
}
