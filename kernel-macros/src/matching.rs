//! Cases as a chain of `if`s: patterns of literals, ranges, constants and variants.

use crate::span::Spanned;
use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::{Expr, Lit, Pat};

use crate::cases::{Case, Tail};
use crate::join::{Spelling, branch_wants, put};
use crate::library;
use crate::literal::Wants;
use crate::pattern::{Binding, has_bound_alternatives, is_refutable, is_variants};
use crate::scope::{Kind, Rewriter};

/// Whether a case needs no test if no other follows: after `true` only `false` is left, and the
/// other way round; rustc knows all variants.
fn is_last(case: &Case<'_>) -> bool {
    let is_bool = matches!(case.pat, Pat::Lit(l) if matches!(l.lit, Lit::Bool(_)));
    case.guard.is_none() && (is_bool || is_variants(case.pat) || !is_refutable(case.pat))
}

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
            return self.error(scrutinee.span(), "a match on a number ends in an arm `_ => ..`");
        };
        let last = rest.is_empty() && is_last(case);
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
        // The last case is put as it is written; a chain has the value of its own join.
        let how = match rest {
            [last] if is_last(last) => last.body.spelling(),
            _ => Spelling::Open,
        };
        let next_tail = match tail {
            Tail::Value(wants) => Tail::Value(branch_wants(how, wants)),
            other => other,
        };
        // Outside the scope: later cases do not see this one's names.
        let next = self.chain(scrutinee, value, rest, next_tail);
        let ends = rest.iter().all(|c| c.body.diverges());
        let next_span = rest.first().map_or_else(|| case.pat.span(), |c| c.body.span());
        self.scoped(|this| this.link(case, test, &bindings, (next, how, ends, next_span), tail))
    }

    /// One `if` of the chain.
    fn link(
        &mut self,
        case: &Case<'_>,
        test: Option<TokenStream>,
        bindings: &[Binding],
        (next, how, ends, next_span): (TokenStream, Spelling, bool, Span),
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
        let merge = self.fresh("merge");
        let body = self.joined_body(&merge, case.body, tail);
        let Tail::Value(wants) = tail else {
            return quote_spanned!(span=> {
                let #flow = #begin;
                if #flow.then() { #binds #variables #body }
                if #flow.otherwise() { #next }
                #flow.end();
            });
        };
        let next = put(&merge, how, next, wants, ends, next_span);
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
            out.extend(quote_spanned!(name.span()=> #[allow(unused_variables)] let #name = #part;));
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
