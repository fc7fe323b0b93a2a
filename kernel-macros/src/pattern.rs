//! Patterns: what they can match by their spelling, and what they test and bind of a value.

use crate::span::Spanned;
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use syn::punctuated::Punctuated;
use syn::{Ident, Lit, Pat, RangeLimits, Token};

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
        Pat::Tuple(p) => are_testable(&p.elems),
        Pat::Slice(p) => {
            p.elems.iter().filter(|p| is_rest(p)).count() <= 1
                && p.elems.iter().all(|p| is_rest(p) || is_testable(p))
        }
        Pat::Reference(p) => is_testable(&p.pat),
        // With one segment it is a struct, unless it is a variant of the host's results.
        Pat::TupleStruct(p) => {
            let result = p.path.is_ident("Ok") || p.path.is_ident("Err");
            p.path.get_ident().is_some() && !result && are_testable(&p.elems)
        }
        // With one segment it is a struct; variants of enums have two.
        Pat::Struct(p) => {
            p.path.segments.len() == 1 && p.fields.iter().all(|f| is_testable(&f.pat))
        }
        Pat::Paren(p) => is_testable(&p.pat),
        _ => false,
    }
}

/// Whether the fields of a tuple or tuple struct can be tested. Behind `..` they have no numbers.
fn are_testable(elems: &Punctuated<Pat, Token![,]>) -> bool {
    let rest = elems.iter().position(|p| matches!(p, Pat::Rest(_)));
    rest.is_none_or(|i| i + 1 == elems.len())
        && elems.iter().all(|p| matches!(p, Pat::Rest(_)) || is_testable(p))
}

/// Whether a pattern stands for any number of elements: `..`, `rest @ ..`.
fn is_rest(pat: &Pat) -> bool {
    match pat {
        Pat::Rest(_) => true,
        Pat::Ident(p) => p.subpat.as_ref().is_some_and(|(_, sub)| matches!(**sub, Pat::Rest(_))),
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
            Pat::TupleStruct(p) => p.elems.iter().any(|p| any(p, wanted)),
            Pat::Reference(p) => any(&p.pat, wanted),
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

/// Whether a pattern asks for `None`.
pub(crate) fn has_none(pat: &Pat) -> bool {
    any(pat, &|p| !matches!(p, Pat::Wild(_)) && is_none_or_wild(p))
}

/// Whether a pattern decides by a variant or constant.
pub(crate) fn has_path(pat: &Pat) -> bool {
    any(pat, &|p| match p {
        Pat::Ident(p) => !is_binding(&p.ident),
        p => matches!(p, Pat::Path(_)),
    })
}

/// Whether a pattern asks for `Some(..)`.
pub(crate) fn has_some(pat: &Pat) -> bool {
    any(pat, &|p| of_some(p).is_some())
}

/// The tuple structs that a pattern takes apart: of several names, they are variants.
pub(crate) fn tuple_structs(pat: &Pat, out: &mut BTreeSet<Ident>) {
    let names = RefCell::new(out);
    any(pat, &|p| {
        if let (Pat::TupleStruct(p), None) = (p, of_some(p)) {
            names.borrow_mut().extend(p.path.get_ident().cloned());
        }
        false
    });
}

/// Whether a pattern takes a struct apart, or a variant with fields.
pub(crate) fn has_struct(pat: &Pat) -> bool {
    any(pat, &|p| matches!(p, Pat::Struct(_) | Pat::TupleStruct(_)) && of_some(p).is_none())
}

/// Whether a pattern of a run-time value always matches. There tuple structs are no variants.
pub(crate) fn always(pat: &Pat) -> bool {
    !(has_literal(pat) || has_path(pat) || has_some(pat))
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
            pat if let Some(inner) = of_some(pat) => {
                let is_some = quote_spanned!(span=> #m::OptionParts::is_some(&#value));
                Some(match self.test(&inside(value, pat), inner) {
                    Some(test) => quote_spanned!(span=> #m::and(#is_some, || #test)),
                    None => is_some,
                })
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
    quote_spanned!(span=>
        (&#m::Subject(&#value)).is(|__ks_value| ::core::matches!(*__ks_value, #pat), || #pat))
}

/// What is in an option, where there is something.
fn inside(value: &TokenStream, pat: &Pat) -> TokenStream {
    let m = library(pat.span());
    quote_spanned!(pat.span()=> #m::OptionParts::inside(&#value))
}

/// The parts of a tuple, array, struct or option with their patterns.
fn parts<'a>(value: &TokenStream, pat: &'a Pat) -> Vec<(TokenStream, &'a Pat)> {
    match pat {
        pat if let Some(inner) = of_some(pat) => vec![(inside(value, pat), inner)],
        Pat::TupleStruct(p) => numbered(value, &p.elems),
        Pat::Reference(p) => vec![(quote_spanned!(pat.span()=> (*#value)), &*p.pat)],
        Pat::Paren(p) => vec![(value.clone(), &*p.pat)],
        Pat::Tuple(p) => numbered(value, &p.elems),
        Pat::Slice(p) => {
            let rest = p.elems.iter().position(is_rest).unwrap_or(p.elems.len());
            let indexed = p.elems.iter().enumerate().map(|(i, pat)| {
                let (m, behind) = (library(pat.span()), p.elems.len().wrapping_sub(i));
                let part = match i.cmp(&rest) {
                    Ordering::Less => quote_spanned!(pat.span()=> #m::index(&#value, #i)),
                    Ordering::Equal => {
                        quote_spanned!(pat.span()=> #m::ArrayParts::between(&#value, #i, #behind - 1))
                    }
                    Ordering::Greater => {
                        quote_spanned!(pat.span()=> #m::ArrayParts::at_end(&#value, #behind))
                    }
                };
                (part, pat)
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

/// The fields of a tuple or tuple struct with their patterns.
fn numbered<'a>(
    value: &TokenStream,
    elems: &'a Punctuated<Pat, Token![,]>,
) -> Vec<(TokenStream, &'a Pat)> {
    let indexed = elems.iter().enumerate().map(|(i, pat)| {
        let index = syn::Index { index: i as u32, span: pat.span() };
        (quote_spanned!(pat.span()=> #value.#index), pat)
    });
    indexed.collect()
}
