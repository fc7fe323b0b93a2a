//! Macros of `std` within kernels: those that mean the same on a device, and those that cannot.

use crate::span::Spanned;
use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Expr, Macro, Pat, Token};

use crate::library;
use crate::literal::Wants;
use crate::pattern::{always, is_testable};
use crate::scope::Rewriter;

/// The arguments of `matches!`.
struct Matches {
    value: Expr,
    pat: Pat,
    guard: Option<Expr>,
}

impl Parse for Matches {
    fn parse(input: ParseStream<'_>) -> syn::Result<Matches> {
        let value = input.parse()?;
        input.parse::<Token![,]>()?;
        let pat = Pat::parse_multi_with_leading_vert(input)?;
        let guard = match input.parse::<Option<Token![if]>>()? {
            Some(_) => Some(input.parse()?),
            None => None,
        };
        input.parse::<Option<Token![,]>>()?;
        Ok(Matches { value, pat, guard })
    }
}

/// Whether a macro ends the path that gets to it.
pub(crate) fn is_panic(name: &str) -> bool {
    matches!(name, "panic" | "unreachable" | "todo" | "unimplemented")
}

/// Whether a macro call ends the path that gets to it.
pub(crate) fn panics(mac: &Macro) -> bool {
    mac.path.segments.last().is_some_and(|s| is_panic(&s.ident.to_string()))
}

impl Rewriter {
    /// A macro call. What the kernel does not know stays as it is written.
    pub(crate) fn macro_call(&mut self, mac: &Macro) -> TokenStream {
        let name = mac.path.segments.last().map(|s| s.ident.to_string()).unwrap_or_default();
        match name.as_str() {
            "assert" | "debug_assert" => self.assertion(mac, None),
            "assert_eq" | "debug_assert_eq" => self.assertion(mac, Some(quote!(==))),
            "assert_ne" | "debug_assert_ne" => self.assertion(mac, Some(quote!(!=))),
            "device_print" => self.device_print(mac),
            "device_assert" => self.device_assert(mac),
            "matches" => self.matches(mac),
            name if is_panic(name) => {
                let (m, panic) = (library(mac.path.span()), self.panic(mac));
                quote_spanned!(mac.path.span()=> { #panic #m::unreached() })
            }
            "vec" => self.vector(mac),
            "print" | "println" | "eprint" | "eprintln" | "dbg" => self.error(
                mac.path.span(),
                format!(
                    "`{name}!` would print once, while the kernel is staged, and not what the \
                     threads compute: use `device_print!`"
                ),
            ),
            _ => quote!(#mac),
        }
    }

    /// `assert!(condition)`, `assert_eq!(a, b)`: a check of every thread that gets here.
    fn assertion(&mut self, mac: &Macro, compare: Option<TokenStream>) -> TokenStream {
        let parser = Punctuated::<Expr, Token![,]>::parse_terminated;
        let args = match mac.parse_body_with(parser) {
            Ok(args) => args,
            Err(error) => return self.note(error),
        };
        let mut args = args.into_iter();
        let (Some(first), second) = (args.next(), compare.as_ref().and_then(|_| args.next()))
        else {
            return self.error(mac.path.span(), "an assertion has a condition");
        };
        let format: Vec<Expr> = args.collect();
        let (span, condition) = match (compare, second) {
            (Some(op), Some(second)) => {
                let op: syn::BinOp = syn::parse2(op).expect("an operator");
                let span = first.span();
                let e: Expr = syn::parse_quote_spanned!(span=> (#first) #op (#second));
                (span, e)
            }
            (Some(_), None) => {
                return self.error(mac.path.span(), "an assertion of equality has two values");
            }
            (None, _) => (first.span(), first),
        };
        let m = library(span);
        if !format.is_empty() {
            let format = self.format(&format, mac);
            let condition = self.expr(&condition, Wants::Operand);
            return quote_spanned!(span=> #m::check(#condition, #format));
        }
        let text = format!("assertion failed: {}", condition.to_token_stream());
        let condition = self.expr(&condition, Wants::Operand);
        quote_spanned!(span=> #m::Condition::assert(#condition, #text))
    }

    /// `panic!("..")` and its kin as a statement: the end of the thread, with a message.
    pub(crate) fn panic(&mut self, mac: &Macro) -> TokenStream {
        let name = mac.path.segments.last().map(|s| s.ident.to_string()).unwrap_or_default();
        let span = mac.path.span();
        let m = library(span);
        let parser = Punctuated::<Expr, Token![,]>::parse_terminated;
        let args: Vec<Expr> = match mac.parse_body_with(parser) {
            Ok(args) => args.into_iter().collect(),
            Err(error) => return self.note(error),
        };
        if args.is_empty() {
            let text = match name.as_str() {
                "unreachable" => "internal error: entered unreachable code",
                "todo" | "unimplemented" => "not implemented",
                _ => "explicit panic",
            };
            return quote_spanned!(span=> #m::panic(::core::format_args!(#text)););
        }
        let format = self.format(&args, mac);
        quote_spanned!(span=> #m::panic(#format);)
    }

    /// `vec![..]`: of the host, of whatever the elements are.
    fn vector(&mut self, mac: &Macro) -> TokenStream {
        let tokens = &mac.tokens;
        let span = mac.span();
        match syn::parse2::<Expr>(quote!([#tokens])) {
            Ok(Expr::Array(array)) => {
                // Of nothing but literals it is of the host, as arrays are.
                let literals = array.elems.iter().all(|e| matches!(e, Expr::Lit(_)));
                let wants = if literals { Wants::Operand } else { Wants::Value };
                let elems: Vec<_> = array.elems.iter().map(|e| self.expr(e, wants)).collect();
                quote_spanned!(span=> ::std::vec![#(#elems),*])
            }
            Ok(Expr::Repeat(repeat)) => {
                let elem = self.expr(&repeat.expr, Wants::Operand);
                let len = self.expr(&repeat.len, Wants::Operand);
                quote_spanned!(span=> ::std::vec![#elem; #len])
            }
            _ => quote!(#mac),
        }
    }

    /// `matches!(value, pattern)`.
    fn matches(&mut self, mac: &Macro) -> TokenStream {
        let Matches { value, pat, guard } = match mac.parse_body() {
            Ok(matches) => matches,
            Err(error) => return self.note(error),
        };
        let span = pat.span();
        let m = library(span);
        let scrutinee = self.expr(&value, Wants::Operand);
        let name = self.fresh("match");
        let named = quote_spanned!(span=> (*#name));
        if is_testable(&pat) && (guard.is_some() || !always(&pat)) {
            let test = self.test(&named, &pat);
            let mut bindings = Vec::new();
            self.bindings(&named, &pat, &mut bindings);
            let test = self.scoped(|this| {
                let binds = this.bind_parts(&bindings);
                let guard = guard.as_ref().map(|g| this.expr(g, Wants::Operand));
                match (test, guard) {
                    (Some(test), Some(guard)) => {
                        quote_spanned!(span=> #m::and(#test, || { #binds #guard }))
                    }
                    (test, guard) => {
                        test.or(guard.map(|g| quote!({ #binds #g }))).unwrap_or_default()
                    }
                }
            });
            return quote_spanned!(span=> { let #name = &#scrutinee; #test });
        }
        let mut pat = pat;
        self.scoped(|this| {
            this.bind_case(&mut pat);
            let guard = guard.as_ref().map(|g| this.expr(g, Wants::Operand));
            let guard = guard.map(|g| quote_spanned!(span=> if #g));
            quote_spanned!(span=> ::core::matches!(#scrutinee, #pat #guard))
        })
    }
}
