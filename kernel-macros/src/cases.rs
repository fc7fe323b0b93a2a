//! `match`, `if let`, `let else`: cases of a value.
//!
//! One list of cases has four forms by the spelling of its patterns: literals, ranges and variants
//! are a chain of `if`s, for values of the host and run-time values alike (`matching`); `Some(x)` and
//! `None` ask the option, of the host or not; all other patterns match host values, which stays
//! Rust's own `match`.

use std::collections::BTreeSet;

use crate::span::Spanned;
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Block, Expr, ExprIf, ExprLet, ExprMatch, Ident, Pat, Stmt};

use crate::block::{diverges, expr_diverges};
use crate::join::{Spelling, put, splits};
use crate::library;
use crate::literal::Wants;
use crate::pattern::{
    always, has_binding, has_literal, has_none, has_path, has_some, has_struct, is_none_or_wild,
    is_refutable, is_testable, is_variants, of_some, tuple_structs,
};
use crate::scope::Rewriter;

/// What becomes of the value at the end of a block.
#[derive(Clone, Copy)]
pub(crate) enum Tail<'a> {
    /// There is none.
    Unit,
    /// It is the block's.
    Value(Wants),
    /// It is put there: into the state of a function body or labelled block, or where branches join.
    Body(&'a Ident, Wants),
}

/// What is done where a pattern matches.
#[derive(Clone, Copy)]
pub(crate) enum Body<'a> {
    Expr(&'a Expr),
    Block(&'a Block),
    /// The statements after a `let else`.
    Rest(&'a [Stmt]),
    /// The missing `else` of an `if let`.
    Nothing,
}

impl Body<'_> {
    pub(crate) fn diverges(self) -> bool {
        match self {
            Body::Expr(e) => expr_diverges(e),
            Body::Block(b) => diverges(b),
            Body::Rest(stmts) => {
                matches!(stmts.last(), Some(Stmt::Expr(e, _)) if expr_diverges(e))
            }
            Body::Nothing => false,
        }
    }

    /// Whether a part of it stands within a case.
    pub(crate) fn splits(self) -> bool {
        match self {
            Body::Expr(Expr::Block(e)) => e.block.stmts.iter().any(splits),
            Body::Block(block) => block.stmts.iter().any(splits),
            Body::Rest(stmts) => stmts.iter().any(splits),
            _ => false,
        }
    }

    /// Whether it is statements in braces.
    pub(crate) fn is_block(self) -> bool {
        match self {
            Body::Expr(e) => matches!(e, Expr::Block(e) if e.label.is_none()),
            Body::Block(_) | Body::Rest(_) => true,
            Body::Nothing => false,
        }
    }

    /// Where its value stands: an error about that is told there.
    pub(crate) fn span(self) -> Span {
        let of_block = |stmts: &[Stmt]| stmts.last().map(|s| s.span());
        match self {
            Body::Expr(Expr::Block(e)) if e.label.is_none() => Body::Block(&e.block).span(),
            Body::Expr(e) => e.span(),
            Body::Block(b) => of_block(&b.stmts).unwrap_or_else(|| b.span()),
            Body::Rest(stmts) => of_block(stmts).unwrap_or_else(Span::call_site),
            Body::Nothing => Span::call_site(),
        }
    }

    pub(crate) fn spelling(self, rewriter: &Rewriter) -> Spelling {
        match self {
            Body::Expr(e) => rewriter.spelling(e),
            Body::Block(b) => rewriter.block_spelling(&b.stmts),
            Body::Rest(stmts) => rewriter.block_spelling(stmts),
            Body::Nothing => Spelling::Open,
        }
    }
}

/// A pattern and what is done where it matches.
pub(crate) struct Case<'a> {
    pub(crate) pat: &'a Pat,
    pub(crate) guard: Option<&'a Expr>,
    pub(crate) body: Body<'a>,
}

impl Rewriter {
    pub(crate) fn match_expr(&mut self, e: &ExprMatch, tail: Tail<'_>) -> TokenStream {
        let cases: Vec<_> = e
            .arms
            .iter()
            .map(|arm| Case {
                pat: &arm.pat,
                guard: arm.guard.as_ref().map(|(_, g)| &**g),
                body: Body::Expr(&arm.body),
            })
            .collect();
        self.cases(&e.expr, &cases, tail, e.span())
    }

    /// `if let`.
    pub(crate) fn if_let(
        &mut self,
        e: &ExprIf,
        condition: &ExprLet,
        tail: Tail<'_>,
    ) -> TokenStream {
        let wild: Pat = syn::parse_quote_spanned!(condition.pat.span()=> _);
        let otherwise = match &e.else_branch {
            None => Body::Nothing,
            Some((_, other)) => Body::Expr(other),
        };
        let cases = [
            Case { pat: &condition.pat, guard: None, body: Body::Block(&e.then_branch) },
            Case { pat: &wild, guard: None, body: otherwise },
        ];
        self.cases(&condition.expr, &cases, tail, e.span())
    }

    /// `let pat = value else { otherwise }; rest`: what follows is the case that matches.
    pub(crate) fn let_else(
        &mut self,
        pat: &Pat,
        value: &Expr,
        otherwise: &Expr,
        rest: &[Stmt],
        tail: Tail<'_>,
    ) -> TokenStream {
        let wild: Pat = syn::parse_quote_spanned!(pat.span()=> _);
        let cases = [
            Case { pat, guard: None, body: Body::Rest(rest) },
            Case { pat: &wild, guard: None, body: Body::Expr(otherwise) },
        ];
        self.cases(value, &cases, tail, pat.span())
    }

    fn cases(
        &mut self,
        scrutinee: &Expr,
        cases: &[Case<'_>],
        tail: Tail<'_>,
        span: Span,
    ) -> TokenStream {
        if let Some((some, none)) = option_cases(cases) {
            return self.option(scrutinee, &some, none, tail, span);
        }
        let value = self.expr(scrutinee, Wants::Operand);
        if !self.is_chain(cases) {
            return self.host_match(value, cases, tail, span);
        }
        // Where nothing is bound, a host value need not be moved.
        let name = self.fresh("match");
        let (named, value) = match cases.iter().any(|c| has_binding(c.pat)) {
            true => (quote_spanned!(scrutinee.span()=> #name), value),
            false => (quote_spanned!(scrutinee.span()=> (*#name)), quote!(&#value)),
        };
        let complete = cases.last().is_some_and(|c| c.guard.is_none() && always(c.pat));
        let check = match complete {
            true => quote!(),
            false if cases.iter().any(|c| has_struct(c.pat)) => {
                let text = "this match ends in an arm that matches all values: `_ => ..`";
                self.error(scrutinee.span(), text)
            }
            false => exhaustive(&quote_spanned!(scrutinee.span()=> &#named), cases, scrutinee),
        };
        let chain = self.chain(scrutinee, &named, cases, tail);
        quote_spanned!(span=> { let #name = #value; #check #chain })
    }

    /// Whether cases are a chain of `if`s: what may decide them when the kernel runs is literals,
    /// variants, guards, and options other than those that `option_cases` knows.
    fn is_chain(&self, cases: &[Case<'_>]) -> bool {
        let variants = |c: &Case<'_>| is_variants(c.pat) || matches!(c.pat, Pat::Wild(_));
        let mut structs = BTreeSet::new();
        cases.iter().for_each(|c| tuple_structs(c.pat, &mut structs));
        if structs.len() > 1 || !cases.iter().all(|c| is_testable(c.pat)) {
            return false;
        }
        let any = |is: fn(&Pat) -> bool| cases.iter().any(|c| is(c.pat));
        let guarded = cases.iter().any(|c| c.guard.is_some());
        let bound = any(has_binding);
        let last_always = cases.last().is_some_and(|c| c.guard.is_none() && !is_refutable(c.pat));
        any(has_literal)
            || cases.iter().all(variants) && any(is_variants)
            || last_always && cases.len() > 1 && !bound
            || !any(has_struct) && (any(has_some) || any(has_none) || any(has_path) || guarded)
    }

    /// Rust's own `match`.
    fn host_match(
        &mut self,
        value: TokenStream,
        cases: &[Case<'_>],
        tail: Tail<'_>,
        span: Span,
    ) -> TokenStream {
        // An arm that leaves has no value; the others put theirs where the match ends.
        let merge = match tail {
            Tail::Value(_) if cases.iter().any(|c| c.body.diverges()) => Some(self.fresh("merge")),
            _ => None,
        };
        let arms: Vec<_> = cases
            .iter()
            .map(|case| {
                let mut pat = case.pat.clone();
                self.scoped(|this| {
                    let mutable = this.bind_case(&mut pat);
                    let guard = case.guard.map(|g| {
                        let (m, guard) = (library(g.span()), this.expr(g, Wants::Operand));
                        quote_spanned!(g.span()=> if #m::HostGuard::holds(#guard))
                    });
                    let variables = this.variables(&mutable);
                    let body = match &merge {
                        Some(merge) => this.joined_body(merge, case.body, tail),
                        None => this.case_body(case.body, tail),
                    };
                    quote_spanned!(case.pat.span()=> #pat #guard => { #variables #body })
                })
            })
            .collect();
        let Some(merge) = merge else {
            return quote_spanned!(span=> match #value { #(#arms)* });
        };
        let m = library(span);
        quote_spanned!(span=> {
            let #merge = #m::HostMerge::default();
            match #value { #(#arms)* }
            #merge.take()
        })
    }

    /// The cases of what is in an option, and the one that it is empty.
    fn option(
        &mut self,
        scrutinee: &Expr,
        some: &[Case<'_>],
        none: Body<'_>,
        tail: Tail<'_>,
        span: Span,
    ) -> TokenStream {
        let m = library(scrutinee.span());
        let value = self.expr(scrutinee, Wants::Operand);
        let begin = quote_spanned!(scrutinee.span()=> #m::OptionLike::begin(#value));
        let (flow, merge) = (self.fresh("option"), self.fresh("merge"));
        let (pat, some) = match some {
            [case] if case.guard.is_none() && !is_refutable(case.pat) => self.scoped(|this| {
                let mut pat = case.pat.clone();
                let mutable = this.bind_case(&mut pat);
                let variables = this.variables(&mutable);
                let some = this.joined_body(&merge, case.body, tail);
                (quote!(#pat), quote!(#variables #some))
            }),
            cases => {
                let inner = self.fresh("inner");
                let chain = self.chain(scrutinee, &quote!(#inner), cases, tail);
                let ends = cases.iter().all(|c| c.body.diverges());
                let chain = match tail {
                    Tail::Value(wants) => put(&merge, Spelling::Open, chain, wants, ends, span),
                    _ => chain,
                };
                (quote!(#inner), chain)
            }
        };
        let none = self.joined_body(&merge, none, tail);
        let (open, take) = match tail {
            Tail::Value(_) => (
                quote_spanned!(span=> let #merge = #flow.merge();),
                quote_spanned!(span=> #merge.take()),
            ),
            _ => (quote!(), quote!()),
        };
        quote_spanned!(span=> {
            let #flow = #begin;
            #open
            if let ::core::option::Option::Some(#pat) = #flow.some() { #some }
            if #flow.otherwise() { #none }
            #flow.end();
            #take
        })
    }

    /// A body whose value, if it has one, is put where the cases join.
    pub(crate) fn joined_body(
        &mut self,
        merge: &Ident,
        body: Body<'_>,
        tail: Tail<'_>,
    ) -> TokenStream {
        let Tail::Value(wants) = tail else { return self.case_body(body, tail) };
        self.branch(merge, body, wants)
    }

    /// A body as statements, or as an expression if it has a value.
    pub(crate) fn case_body(&mut self, body: Body<'_>, tail: Tail<'_>) -> TokenStream {
        match (body, tail) {
            (Body::Expr(Expr::Block(e)), tail) if e.label.is_none() => {
                self.block_with(&e.block, tail)
            }
            (Body::Expr(e), Tail::Value(wants)) if !expr_diverges(e) => self.expr(e, wants),
            (Body::Expr(e), tail) => self.statements(&[Stmt::Expr(e.clone(), None)], tail),
            (Body::Block(b), tail) => self.block_with(b, tail),
            (Body::Rest(stmts), tail) => self.scoped(|this| {
                let statements = this.statements(stmts, tail);
                quote!({ #statements })
            }),
            (Body::Nothing, Tail::Body(state, _)) => quote!(#state.put(());),
            (Body::Nothing, _) => quote!(),
        }
    }
}

/// rustc sees to it that no value is forgotten, of the host or when the kernel runs.
fn exhaustive(value: &TokenStream, cases: &[Case<'_>], scrutinee: &Expr) -> TokenStream {
    let m = library(scrutinee.span());
    let forms = cases.iter().map(|c| {
        let (pat, guard) = (c.pat, c.guard.map(|_| quote!(if false)));
        // Where rustc suggests another arm.
        let body = quote_spanned!(c.body.span()=> ());
        quote_spanned!(pat.span()=> #pat #guard => #body)
    });
    quote_spanned!(scrutinee.span()=>
        #[allow(unused_parens, unused_variables, unused_mut)]
        (&#m::Subject(#value)).all(|__ks_value| match *__ks_value { #(#forms,)* });
    )
}

/// Cases `Some(pat)` and one `None` or `_`, in any order: those of what is in the option, of which
/// the last always matches, and the body of the other.
fn option_cases<'a>(cases: &[Case<'a>]) -> Option<(Vec<Case<'a>>, Body<'a>)> {
    let (mut some, mut none) = (Vec::new(), None);
    for (i, case) in cases.iter().enumerate() {
        match of_some(case.pat) {
            Some(pat) => some.push(Case { pat, ..*case }),
            None if case.guard.is_some() || none.is_some() => return None,
            None if !is_none_or_wild(case.pat) => return None,
            None if matches!(case.pat, Pat::Wild(_)) && i + 1 < cases.len() => return None,
            None => none = Some(case.body),
        }
    }
    let last = some.last()?;
    let complete = last.guard.is_none() && !is_refutable(last.pat);
    let alone = some.len() == 1 || some.iter().all(|c| is_testable(c.pat));
    (complete && alone).then_some((some, none?))
}
