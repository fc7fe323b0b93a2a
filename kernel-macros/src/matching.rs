//! `match`.
//!
//! Patterns of literals match numbers, bools and tuples of them, of the host or not, as a chain of
//! `if`s; all other patterns match host values (options, enums, tuples of them), which stays Rust's own `match`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Arm, Expr, ExprMatch, Ident, Lit, Pat, RangeLimits};

use crate::block::expr_diverges;
use crate::join::{Spelling, put, spelling};
use crate::library;
use crate::literal::{Wants, is_constant_name};
use crate::scope::{Kind, Rewriter};

/// Whether a pattern can match numbers and bools known only when the kernel runs.
fn is_scalar_pattern(pat: &Pat) -> bool {
    match pat {
        Pat::Lit(_) | Pat::Range(_) | Pat::Wild(_) => true,
        Pat::Ident(p) => p.subpat.as_ref().is_none_or(|(_, sub)| is_scalar_pattern(sub)),
        Pat::Or(p) => p.cases.iter().all(is_scalar_pattern),
        Pat::Tuple(p) => p.elems.iter().all(is_scalar_pattern),
        Pat::Paren(p) => is_scalar_pattern(&p.pat),
        _ => false,
    }
}

/// Whether a pattern decides anything by a literal, so that the match may be a run-time one.
fn has_literal(pat: &Pat) -> bool {
    match pat {
        Pat::Lit(lit) => matches!(lit.lit, Lit::Int(_) | Lit::Float(_) | Lit::Bool(_)),
        Pat::Range(_) => true,
        Pat::Ident(p) => p.subpat.as_ref().is_some_and(|(_, sub)| has_literal(sub)),
        Pat::Or(p) => p.cases.iter().any(has_literal),
        Pat::Tuple(p) => p.elems.iter().any(has_literal),
        Pat::Paren(p) => has_literal(&p.pat),
        _ => false,
    }
}

/// Whether an arm is taken only sometimes.
fn has_condition(arm: &Arm) -> bool {
    arm.guard.is_some() || has_literal(&arm.pat)
}

impl Rewriter {
    pub(crate) fn match_expr(&mut self, e: &ExprMatch, wants: Wants) -> TokenStream {
        self.match_any(e, Some(wants.joined()))
    }

    pub(crate) fn match_unit(&mut self, e: &ExprMatch) -> TokenStream {
        self.match_any(e, None)
    }

    fn match_any(&mut self, e: &ExprMatch, tail: Option<Wants>) -> TokenStream {
        let scrutinee = self.expr(&e.expr, Wants::Operand);
        let scalar = e.arms.iter().all(|a| is_scalar_pattern(&a.pat))
            && e.arms.iter().any(|a| has_literal(&a.pat));
        if !scalar {
            return self.host_match(e, scrutinee, tail);
        }
        let value = self.fresh("match");
        let chain = self.chain(e, &value, &e.arms, tail);
        quote_spanned!(e.span()=> { let #value = #scrutinee; #chain })
    }

    fn host_match(
        &mut self,
        e: &ExprMatch,
        scrutinee: TokenStream,
        tail: Option<Wants>,
    ) -> TokenStream {
        let arms: Vec<_> = e
            .arms
            .iter()
            .map(|arm| {
                let mut pat = arm.pat.clone();
                self.scoped(|this| {
                    this.host_pattern(&mut pat);
                    let guard = arm.guard.as_ref().map(|(_, g)| {
                        let guard = this.expr(g, Wants::Operand);
                        quote!(if #guard)
                    });
                    let body = this.arm_body(&arm.body, tail);
                    quote_spanned!(arm.span()=> #pat #guard => { #body })
                })
            })
            .collect();
        quote_spanned!(e.span()=> match #scrutinee { #(#arms)* })
    }

    fn arm_body(&mut self, body: &Expr, tail: Option<Wants>) -> TokenStream {
        match tail {
            Some(wants) => self.expr(body, wants),
            None => {
                let stmts = [syn::Stmt::Expr(body.clone(), None)];
                self.statements(&stmts, None)
            }
        }
    }

    /// The arms from here on as `if`s on the value's name.
    fn chain(
        &mut self,
        e: &ExprMatch,
        value: &Ident,
        arms: &[Arm],
        tail: Option<Wants>,
    ) -> TokenStream {
        let m = library(e.expr.span());
        let Some((arm, rest)) = arms.split_first() else {
            return self
                .error(e.match_token.span(), "a match on a number ends in an arm `_ => ..`");
        };
        // After `true` only `false` is left, and the other way round.
        let last_bool =
            rest.is_empty() && matches!(&arm.pat, Pat::Lit(l) if matches!(l.lit, Lit::Bool(_)));
        let value_tokens = quote!(#value);
        let test = if last_bool { None } else { self.test(&value_tokens, &arm.pat) };
        let mut bindings = Vec::new();
        self.names(&value_tokens, &arm.pat, &mut bindings);
        // Outside the scope: later arms do not see this arm's names.
        let conditional = test.is_some() || arm.guard.is_some();
        let next = if conditional { self.chain(e, value, rest, tail) } else { quote!() };
        self.scoped(|this| {
            let binds = bindings.iter().map(|(name, part)| {
                this.declare(name, Kind::Plain);
                quote_spanned!(name.span()=> #[allow(unused_variables)] let #name = #part;)
            });
            let binds: TokenStream = binds.collect();
            let guard = arm.guard.as_ref().map(|(_, g)| this.expr(g, Wants::Operand));
            let condition = match (test, guard) {
                (None, None) => {
                    let body = this.arm_body(&arm.body, tail);
                    return quote_spanned!(arm.span()=> { #binds #body });
                }
                (Some(test), None) => test,
                (None, Some(guard)) => quote!({ #binds #guard }),
                (Some(test), Some(guard)) => quote!(#m::and(#test, || { #binds #guard })),
            };
            let flow = this.fresh("if");
            let begin = quote_spanned!(arm.pat.span()=> #m::Condition::begin(#condition));
            match tail {
                None => {
                    let body = this.arm_body(&arm.body, tail);
                    quote_spanned!(arm.span()=> {
                        let #flow = #begin;
                        if #flow.then() { #binds #body }
                        if #flow.otherwise() { #next }
                        #flow.end();
                    })
                }
                Some(wants) => {
                    let merge = this.fresh("merge");
                    let body = this.branch(&merge, &arm.body, wants);
                    let ends = rest.iter().all(|a| expr_diverges(&a.body));
                    // The last arm is put as it is written; a chain has the value of its own join.
                    let how = match rest {
                        // A constant is converted already, as the value of a block.
                        [last] if !has_condition(last) => match spelling(&last.body) {
                            Spelling::Constant => Spelling::Open,
                            how => how,
                        },
                        _ => Spelling::Open,
                    };
                    let next = put(&merge, how, next, wants, ends);
                    quote_spanned!(arm.span()=> {
                        let #flow = #begin;
                        let #merge = #flow.merge();
                        if #flow.then() { #binds #body }
                        if #flow.otherwise() { #next }
                        #flow.end();
                        #merge.take()
                    })
                }
            }
        })
    }

    /// The names a pattern binds, each with the part of the value it stands for.
    fn names(&mut self, value: &TokenStream, pat: &Pat, out: &mut Vec<(Ident, TokenStream)>) {
        match pat {
            Pat::Ident(p) if !is_constant_name(&p.ident.to_string()) => {
                if p.mutability.is_some() || p.by_ref.is_some() {
                    self.error(
                        p.span(),
                        "bindings of patterns are immutable values in kernels: bind a `let mut` \
                         inside the arm",
                    );
                }
                out.push((p.ident.clone(), value.clone()));
                if let Some((_, sub)) = &p.subpat {
                    self.names(value, sub, out);
                }
            }
            Pat::Paren(p) => self.names(value, &p.pat, out),
            Pat::Tuple(p) => parts(value, p).for_each(|(part, pat)| self.names(&part, pat, out)),
            Pat::Or(p) => {
                let mut inner = Vec::new();
                p.cases.iter().for_each(|case| self.names(value, case, &mut inner));
                if let Some((name, _)) = inner.first() {
                    self.error(name.span(), "alternatives `a | b` bind no names in kernels");
                }
            }
            _ => {}
        }
    }

    /// The condition under which a pattern matches; `None` if it always does.
    fn test(&mut self, value: &TokenStream, pat: &Pat) -> Option<TokenStream> {
        let span = pat.span();
        let m = library(span);
        match pat {
            Pat::Lit(lit) => Some(quote_spanned!(span=> #m::eq(#value, #lit))),
            Pat::Ident(p) if is_constant_name(&p.ident.to_string()) => {
                Some(quote_spanned!(span=> #m::eq(#value, #p)))
            }
            Pat::Ident(p) => p.subpat.as_ref().and_then(|(_, sub)| self.test(value, sub)),
            Pat::Paren(p) => self.test(value, &p.pat),
            Pat::Tuple(p) => {
                let tests: Vec<_> = parts(value, p).collect();
                tests
                    .into_iter()
                    .filter_map(|(part, pat)| self.test(&part, pat))
                    .reduce(|all, test| quote_spanned!(span=> #m::and(#all, || #test)))
            }
            Pat::Or(p) => {
                let mut tests = p.cases.iter().map(|c| self.test(value, c));
                let first = tests.next()??;
                tests.try_fold(first, |all, test| {
                    let test = test?;
                    Some(quote_spanned!(span=> #m::or(#all, || #test)))
                })
            }
            Pat::Range(p) => {
                let low = p.start.as_ref().map(|s| quote_spanned!(span=> #m::ge(#value, #s)));
                let high = p.end.as_ref().map(|end| match p.limits {
                    RangeLimits::HalfOpen(_) => quote_spanned!(span=> #m::lt(#value, #end)),
                    RangeLimits::Closed(_) => quote_spanned!(span=> #m::le(#value, #end)),
                });
                match (low, high) {
                    (Some(low), Some(high)) => Some(quote_spanned!(span=> #m::and(#low, || #high))),
                    (low, high) => low.or(high),
                }
            }
            _ => None,
        }
    }
}

/// The parts of a tuple with their patterns.
fn parts<'a>(
    value: &TokenStream,
    pat: &'a syn::PatTuple,
) -> impl Iterator<Item = (TokenStream, &'a Pat)> {
    let value = value.clone();
    pat.elems.iter().enumerate().map(move |(i, pat)| {
        let index = syn::Index::from(i);
        (quote!(#value.#index), pat)
    })
}
