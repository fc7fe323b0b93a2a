//! Cases as a chain of `if`s: patterns of literals, ranges, constants and variants.

use crate::span::Spanned;
use proc_macro2::TokenStream;
use quote::quote_spanned;
use syn::{Expr, Ident};

use crate::cases::{Case, Tail};
use crate::join::{Spelling, put};
use crate::library;
use crate::literal::Wants;
use crate::pattern::{Binding, has_bound_alternatives};
use crate::scope::{Kind, Rewriter};

impl Rewriter {
    /// The cases from here on as `if`s on the value's name.
    pub(crate) fn chain(
        &mut self,
        scrutinee: &Expr,
        value: &TokenStream,
        cases: &[Case<'_>],
        tail: Tail<'_>,
    ) -> TokenStream {
        let Some((case, rest)) = cases.split_first() else {
            return self.error(
                scrutinee.span(),
                "the last arm of a match that is decided when the kernel runs has no guard: end in \
                 `_ => ..`",
            );
        };
        // That the cases are complete has been seen to.
        let last = rest.is_empty() && case.guard.is_none();
        let test = if last { None } else { self.test(value, case.pat) };
        let mut bindings = Vec::new();
        self.bindings(value, case.pat, &mut bindings);
        if let (Some(guard), true) = (case.guard, has_bound_alternatives(case.pat)) {
            // Rust asks the guard again for each alternative that matches.
            self.error(
                guard.span(),
                "alternatives that bind names have no guard in kernels: write an arm for each",
            );
        }
        if test.is_none() && case.guard.is_none() {
            return self.scoped(|this| {
                let binds = this.bind_parts(&bindings);
                let variables = this.bind_variables(&bindings);
                let body = this.case_body(case.body, tail);
                quote_spanned!(case.pat.span()=> { #binds #variables #body })
            });
        }
        // Outside the scope: later cases do not see this one's names. The last is put by itself; a
        // chain has the value of its own join.
        let merge = self.fresh("merge");
        let next = match (tail, rest) {
            (Tail::Value(wants), [last]) if last.guard.is_none() => {
                self.chain(scrutinee, value, rest, Tail::Body(&merge, wants))
            }
            (Tail::Value(wants), [next, ..]) => {
                let ends = rest.iter().all(|c| c.body.diverges());
                let value = self.chain(scrutinee, value, rest, tail);
                put(&merge, Spelling::Open, value, wants, ends, next.body.span())
            }
            _ => self.chain(scrutinee, value, rest, tail),
        };
        self.scoped(|this| this.link(case, test, &bindings, (&merge, next), tail))
    }

    /// One `if` of the chain.
    fn link(
        &mut self,
        case: &Case<'_>,
        test: Option<TokenStream>,
        bindings: &[Binding],
        (merge, next): (&Ident, TokenStream),
        tail: Tail<'_>,
    ) -> TokenStream {
        let span = case.pat.span();
        let m = library(span);
        let binds = self.bind_parts(bindings);
        let guard = case.guard.map(|g| self.expr(g, Wants::Operand));
        let condition = match (test, guard) {
            (test, None) => test.unwrap_or_default(),
            (None, Some(guard)) => quote_spanned!(span=> { #binds #guard }),
            (Some(test), Some(guard)) => {
                quote_spanned!(span=> #m::and(#test, || { #binds #guard }))
            }
        };
        let flow = self.fresh("if");
        let begin = quote_spanned!(span=> #m::Condition::begin(#condition));
        let variables = self.bind_variables(bindings);
        let body = self.joined_body(merge, case.body, tail);
        let Tail::Value(_) = tail else {
            return quote_spanned!(span=> {
                let #flow = #begin;
                if #flow.then() { #binds #variables #body }
                if #flow.otherwise() { #next }
                #flow.end();
            });
        };
        quote_spanned!(span=> {
            let #flow = #begin;
            let #merge = #flow.merge();
            if #flow.then() { #binds #variables #body }
            if #flow.otherwise() { #next }
            #flow.end();
            #merge.take()
        })
    }

    /// `let` for each name that a pattern binds.
    pub(crate) fn bind_parts(&mut self, bindings: &[Binding]) -> TokenStream {
        let mut out = TokenStream::new();
        for Binding { name, part, .. } in bindings {
            self.declare(name, Kind::Plain);
            // What the other cases look at stays where it is.
            out.extend(quote_spanned!(name.span()=>
                #[allow(unused_variables)]
                let #name = ::core::clone::Clone::clone(&#part);
            ));
        }
        out
    }

    /// Variables of the names marked `mut`.
    pub(crate) fn bind_variables(&mut self, bindings: &[Binding]) -> TokenStream {
        let mutable: Vec<_> =
            bindings.iter().filter(|b| b.mutable).map(|b| b.name.clone()).collect();
        self.variables(&mutable)
    }
}
