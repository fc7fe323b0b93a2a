//! Patterns: what they can match by their spelling, and what they test and bind of a value.

use crate::span::Spanned;
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{Ident, Lit, Pat, RangeLimits};

use crate::library;
use crate::literal::is_constant_name;
use crate::scope::Rewriter;

/// Whether the name of a pattern is a binding. By Rust's conventions upper-case names are constants
/// and variants.
pub(crate) fn is_binding(name: &Ident) -> bool {
    !name.to_string().starts_with(|c: char| c.is_uppercase())
}

/// Whether a pattern can be tested on a value known when the kernel runs, part by part.
pub(crate) fn is_testable(pat: &Pat) -> bool {
    match pat {
        Pat::Lit(lit) => matches!(lit.lit, Lit::Int(_) | Lit::Float(_) | Lit::Bool(_)),
        Pat::Range(_) | Pat::Wild(_) | Pat::Path(_) => true,
        Pat::Ident(p) => {
            p.by_ref.is_none() && p.subpat.as_ref().is_none_or(|(_, sub)| is_testable(sub))
        }
        Pat::Or(p) => p.cases.iter().all(is_testable),
        Pat::Tuple(p) => {
            let rest = p.elems.iter().position(|p| matches!(p, Pat::Rest(_)));
            rest.is_none_or(|i| i + 1 == p.elems.len())
                && p.elems.iter().all(|p| matches!(p, Pat::Rest(_)) || is_testable(p))
        }
        Pat::Slice(p) => p.elems.iter().all(is_testable),
        // With one segment it is a struct; variants of enums have two.
        Pat::Struct(p) => {
            p.path.segments.len() == 1 && p.fields.iter().all(|f| is_testable(&f.pat))
        }
        Pat::Paren(p) => is_testable(&p.pat),
        _ => false,
    }
}

/// Whether some part of a pattern is as `wanted`.
fn any(pat: &Pat, wanted: &impl Fn(&Pat) -> bool) -> bool {
    wanted(pat)
        || match pat {
            Pat::Ident(p) => p.subpat.as_ref().is_some_and(|(_, sub)| any(sub, wanted)),
            Pat::Or(p) => p.cases.iter().any(|p| any(p, wanted)),
            Pat::Tuple(p) => p.elems.iter().any(|p| any(p, wanted)),
            Pat::Slice(p) => p.elems.iter().any(|p| any(p, wanted)),
            Pat::Struct(p) => p.fields.iter().any(|f| any(&f.pat, wanted)),
            Pat::Paren(p) => any(&p.pat, wanted),
            _ => false,
        }
}

/// Whether a pattern decides by a literal, so that the value may be a run-time one.
pub(crate) fn has_literal(pat: &Pat) -> bool {
    any(pat, &|p| match p {
        Pat::Lit(lit) => matches!(lit.lit, Lit::Int(_) | Lit::Float(_) | Lit::Bool(_)),
        p => matches!(p, Pat::Range(_)),
    })
}

/// Whether a pattern decides by a variant or constant.
fn has_path(pat: &Pat) -> bool {
    any(pat, &|p| match p {
        Pat::Ident(p) => !is_binding(&p.ident),
        p => matches!(p, Pat::Path(_)),
    })
}

/// Whether a pattern matches only some values, by its spelling.
pub(crate) fn is_refutable(pat: &Pat) -> bool {
    has_literal(pat)
        || has_path(pat)
        || any(pat, &|p| match p {
            Pat::TupleStruct(_) => true,
            Pat::Struct(p) => p.path.segments.len() > 1,
            _ => false,
        })
}

/// Whether a pattern binds names.
pub(crate) fn has_binding(pat: &Pat) -> bool {
    any(pat, &|p| matches!(p, Pat::Ident(p) if is_binding(&p.ident)))
}

/// Whether a pattern has alternatives that bind names.
pub(crate) fn has_bound_alternatives(pat: &Pat) -> bool {
    any(pat, &|p| matches!(p, Pat::Or(p) if p.cases.iter().any(has_binding)))
}

/// Whether a pattern is unit variants and constants only: `Mode::Fast | Mode::Slow`.
pub(crate) fn is_variants(pat: &Pat) -> bool {
    match pat {
        Pat::Path(_) => true,
        Pat::Ident(p) => !is_binding(&p.ident) && p.subpat.is_none(),
        Pat::Or(p) => p.cases.iter().all(is_variants),
        Pat::Paren(p) => is_variants(&p.pat),
        _ => false,
    }
}

/// What is in `Some(..)`, if the pattern is that.
pub(crate) fn of_some(pat: &Pat) -> Option<&Pat> {
    match pat {
        Pat::TupleStruct(p) if p.path.is_ident("Some") => match p.elems.first() {
            Some(inner) if p.elems.len() == 1 => Some(inner),
            _ => None,
        },
        Pat::Paren(p) => of_some(&p.pat),
        _ => None,
    }
}

/// Whether a pattern is `None` or `_`.
pub(crate) fn is_none_or_wild(pat: &Pat) -> bool {
    match pat {
        Pat::Wild(_) => true,
        Pat::Ident(p) => p.ident == "None",
        Pat::Path(p) => p.path.is_ident("None"),
        _ => false,
    }
}

/// A name that a pattern binds, with the part of the value it stands for.
pub(crate) struct Binding {
    pub(crate) name: Ident,
    pub(crate) mutable: bool,
    pub(crate) part: TokenStream,
}

impl Rewriter {
    /// The names a pattern binds.
    pub(crate) fn bindings(&mut self, value: &TokenStream, pat: &Pat, out: &mut Vec<Binding>) {
        match pat {
            Pat::Ident(p) if is_binding(&p.ident) => {
                out.push(Binding {
                    name: p.ident.clone(),
                    mutable: p.mutability.is_some(),
                    part: value.clone(),
                });
                if let Some((_, sub)) = &p.subpat {
                    self.bindings(value, sub, out);
                }
            }
            Pat::Or(p) => self.alternatives(value, p, out),
            pat => {
                for (part, pat) in parts(value, pat) {
                    self.bindings(&part, pat, out);
                }
            }
        }
    }

    /// The names that each of several alternatives binds: those of the first that matches.
    fn alternatives(&mut self, value: &TokenStream, pat: &syn::PatOr, out: &mut Vec<Binding>) {
        let mut merged: Option<Vec<Binding>> = None;
        for case in pat.cases.iter().rev() {
            let mut here = Vec::new();
            self.bindings(value, case, &mut here);
            merged = Some(match merged {
                None => here,
                Some(rest) => self.pick(value, case, here, rest),
            });
        }
        out.extend(merged.into_iter().flatten());
    }

    /// The bindings of one alternative if it matches, else those of the ones after it.
    fn pick(
        &mut self,
        value: &TokenStream,
        case: &Pat,
        here: Vec<Binding>,
        rest: Vec<Binding>,
    ) -> Vec<Binding> {
        for (one, others) in [(&here, &rest), (&rest, &here)] {
            for missing in one.iter().filter(|b| !others.iter().any(|o| o.name == b.name)) {
                let text = format!("`{}` is not bound in all alternatives", missing.name);
                self.error(missing.name.span(), text);
            }
        }
        let mut out = Vec::new();
        for binding in here {
            let Some(other) = rest.iter().find(|o| o.name == binding.name) else { continue };
            let Some(test) = self.test(value, case) else { continue };
            let (span, yes, no) = (binding.name.span(), &binding.part, &other.part);
            let (m, flow, merge) = (library(span), self.fresh("if"), self.fresh("merge"));
            let part = quote_spanned!(span=> {
                let #flow = #m::Condition::begin(#test);
                let #merge = #flow.merge();
                if #flow.then() { #merge.put(#yes); }
                if #flow.otherwise() { #merge.put(#no); }
                #flow.end();
                #merge.take()
            });
            out.push(Binding { part, ..binding });
        }
        out
    }

    /// The condition under which a pattern matches; `None` if it always does.
    pub(crate) fn test(&mut self, value: &TokenStream, pat: &Pat) -> Option<TokenStream> {
        let span = pat.span();
        let m = library(span);
        match pat {
            Pat::Lit(lit) => Some(quote_spanned!(span=> #m::eq(#value, #lit))),
            Pat::Ident(p)
                if is_constant_name(&p.ident.to_string()) && p.ident.to_string().len() > 1 =>
            {
                Some(quote_spanned!(span=> #m::eq(#value, #p)))
            }
            Pat::Ident(p) if !is_binding(&p.ident) => Some(is_variant(value, pat)),
            Pat::Path(_) => Some(is_variant(value, pat)),
            Pat::Ident(p) => p.subpat.as_ref().and_then(|(_, sub)| self.test(value, sub)),
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
            pat => parts(value, pat)
                .into_iter()
                .filter_map(|(part, pat)| self.test(&part, pat))
                .reduce(|all, test| quote_spanned!(span=> #m::and(#all, || #test))),
        }
    }
}

/// Whether a value is a unit variant or constant: of the host by its pattern, else by comparison.
fn is_variant(value: &TokenStream, pat: &Pat) -> TokenStream {
    let span = pat.span();
    let m = library(span);
    quote_spanned!(span=> {
        #[allow(unused_imports)]
        use #m::HostSubject as _;
        #m::Subject(&#value).is(|__ks_value| ::core::matches!(*__ks_value, #pat), || #pat)
    })
}

/// The parts of a tuple, array or struct with their patterns.
fn parts<'a>(value: &TokenStream, pat: &'a Pat) -> Vec<(TokenStream, &'a Pat)> {
    match pat {
        Pat::Paren(p) => vec![(value.clone(), &*p.pat)],
        Pat::Tuple(p) => {
            let indexed = p.elems.iter().enumerate().map(|(i, pat)| {
                let index = syn::Index { index: i as u32, span: pat.span() };
                (quote_spanned!(pat.span()=> #value.#index), pat)
            });
            indexed.collect()
        }
        Pat::Slice(p) => {
            let indexed = p.elems.iter().enumerate().map(|(i, pat)| {
                let m = library(pat.span());
                (quote_spanned!(pat.span()=> #m::index(&#value, #i)), pat)
            });
            indexed.collect()
        }
        Pat::Struct(p) => {
            let fields = p.fields.iter().map(|field| {
                let member = &field.member;
                (quote!(#value.#member), &*field.pat)
            });
            fields.collect()
        }
        _ => Vec::new(),
    }
}
