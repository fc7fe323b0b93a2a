//! Closures and borrows: what of a run-time variable they reach.
//!
//! A place is a handle, so a closure that names a variable shares it with the code around, as
//! Rust's closures do by borrowing. A `move` closure has copies of its own. `&mut` of a variable is
//! lent to a function as a copy, of which what changed is written back.

use std::collections::BTreeSet;

use crate::span::Spanned;
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Expr, Token};

use crate::cases::{Body, Tail};
use crate::device;
use crate::library;
use crate::literal::Wants;
use crate::place::{slice_range, variable};
use crate::scope::{Kind, Return, Rewriter};
use crate::types::gives_option as gives_option_type;

impl Rewriter {
    pub(crate) fn closure(&mut self, e: &syn::ExprClosure) -> TokenStream {
        let moved = self.moved(e);
        let targets = std::mem::take(&mut self.targets);
        let state = device::has_return(&e.body).then(|| self.fresh("body"));
        let (returns, gives_option) = (self.returns.clone(), self.gives_option);
        // Without a type it may give one.
        let unsaid = matches!(e.output, syn::ReturnType::Default);
        self.gives_option = unsaid || gives_option_type(&e.output);
        if let Some(state) = &state {
            self.returns = Return::Device(state.clone());
        }
        let tokens = self.scoped(|this| {
            let (mut params, mut mutable) = (Vec::new(), Vec::new());
            for input in &e.inputs {
                let mut input = input.clone();
                mutable.extend(this.bind(&mut input));
                params.push(match &input {
                    syn::Pat::Type(typed) => {
                        let (pat, ty) = (&typed.pat, this.types.staged(&typed.ty));
                        quote!(#pat: #ty)
                    }
                    pat => quote!(#pat),
                });
            }
            let output = this.types.output(&e.output);
            let variables = this.variables(&mutable);
            let body = match &state {
                None => this.expr(&e.body, Wants::Value),
                Some(state) => {
                    let m = library(e.body.span());
                    let body = this.case_body(Body::Expr(&e.body), Tail::Body(state, Wants::Value));
                    quote!({ let #state = #m::Body::begin(); #body #state.end() })
                }
            };
            let body = match &e.output {
                syn::ReturnType::Type(_, ty) => match this.types.conversion(ty, &body) {
                    Some(body) => quote!({ #body }),
                    None => body,
                },
                syn::ReturnType::Default => body,
            };
            let plain = matches!(*e.body, Expr::Block(_)) || output.is_empty();
            let body = match state.is_none() && mutable.is_empty() && plain {
                true => body,
                false => quote!({ #variables #body }),
            };
            let capture = &e.capture;
            quote_spanned!(e.span()=> #capture |#(#params),*| #output #body)
        });
        self.targets = targets;
        self.returns = returns;
        self.gives_option = gives_option;
        if moved.is_empty() { tokens } else { quote_spanned!(e.span()=> { #moved #tokens }) }
    }

    /// Copies of the variables that a `move` closure names. (`&mut` parameters move as the
    /// references they are.) A name that the closure declares itself may be among them, which
    /// does no harm.
    fn moved(&self, e: &syn::ExprClosure) -> TokenStream {
        let m = library(e.span());
        if e.capture.is_none() {
            return quote!();
        }
        let mut names = Names::default();
        names.visit_expr(&e.body);
        let moved = names.0.iter().filter(|name| self.kind(&name.to_string()) == Kind::Variable);
        let copies = moved.map(|name| {
            let (place, text) = (variable(name), name.to_string());
            quote_spanned!(name.span()=> let #place = #m::var(#text, #place.get());)
        });
        copies.collect()
    }

    /// `&x`, `&mut x` outside of arguments.
    pub(crate) fn reference(&mut self, e: &syn::ExprReference) -> TokenStream {
        if let Expr::Index(index) = &*e.expr
            && let Some(range) = slice_range(&index.index)
        {
            let (part, m) = (self.slice(index, range), library(e.span()));
            return match e.mutability {
                Some(_) => part,
                None => quote_spanned!(e.span()=> #m::shared_part(#part)),
            };
        }
        if e.mutability.is_some() && self.place(&e.expr).is_some() {
            return self.error(
                e.span(),
                "`&mut` of a run-time variable is an argument of a call, and nothing else, in \
                 kernels: name the variable itself instead",
            );
        }
        if e.mutability.is_some()
            && let Some(place) = self.comptime(&e.expr)
        {
            return quote_spanned!(e.span()=> &mut #place);
        }
        let (mutability, inner) = (&e.mutability, self.expr(&e.expr, Wants::Operand));
        quote_spanned!(e.span()=> &#mutability #inner)
    }

    /// An argument or field. What a loop counts by is, like a literal, of the host or not by use.
    pub(crate) fn argument(&mut self, e: &Expr, wants: Wants) -> TokenStream {
        let counts = |path: &syn::ExprPath| {
            let name = path.path.get_ident();
            name.is_some_and(|name| self.kind(&name.to_string()) == Kind::Counter)
        };
        match e {
            Expr::Path(path) if wants == Wants::Value && counts(path) => {
                let m = library(e.span());
                quote_spanned!(e.span()=> #m::host(#path))
            }
            e => self.expr(e, wants),
        }
    }

    /// The place that an argument lends: `&mut x`, or a `&mut` parameter passed on.
    fn lent(&mut self, argument: &Expr) -> Option<TokenStream> {
        let m = library(argument.span());
        match argument {
            Expr::Reference(e) if e.mutability.is_some() => match &*e.expr {
                inner if let Some(place) = self.place(inner) => Some(place),
                Expr::Index(index)
                    if let Some(range) = slice_range(&index.index)
                        && let Some(place) = self.place(&index.expr) =>
                {
                    let range = self.slice_bounds(&index.index, range);
                    Some(quote_spanned!(argument.span()=> #m::place_range(&#place, #range)))
                }
                Expr::Index(index) if slice_range(&index.index).is_none() => {
                    let base = self.base(&index.expr);
                    let index = self.expr(&index.index, Wants::Operand);
                    Some(quote_spanned!(argument.span()=> #m::slot(&#base, #index)))
                }
                _ => None,
            },
            Expr::Path(path) => {
                let ident = path.path.get_ident()?;
                (self.kind(&ident.to_string()) == Kind::Reference).then(|| variable(ident))
            }
            Expr::Paren(e) => self.lent(&e.expr),
            _ => None,
        }
    }

    /// A call, given its arguments. Those that lend a variable are copies, written back after it.
    pub(crate) fn with_arguments(
        &mut self,
        arguments: &Punctuated<Expr, Token![,]>,
        wants: Wants,
        span: Span,
        call: impl FnOnce(Vec<TokenStream>) -> TokenStream,
    ) -> TokenStream {
        let lent: Vec<_> = arguments.iter().map(|a| self.lent(a)).collect();
        if lent.iter().all(Option::is_none) {
            let arguments = arguments.iter().map(|a| self.argument(a, wants)).collect();
            return call(arguments);
        }
        let (mut before, mut names, mut after) = (Vec::new(), Vec::new(), Vec::new());
        for (argument, lent) in arguments.iter().zip(lent) {
            let name = self.fresh("argument");
            match lent {
                // The parameters' types come from the function's. Nothing happens until it is called.
                None if matches!(argument, Expr::Closure(c) if c.capture.is_none()) => {
                    names.push(self.expr(argument, wants));
                }
                None => {
                    let value = self.argument(argument, wants);
                    before.push(quote_spanned!(argument.span()=> let #name = #value;));
                    names.push(quote!(#name));
                }
                Some(place) => {
                    let (slot, old) = (self.fresh("place"), self.fresh("old"));
                    before.push(quote_spanned!(argument.span()=>
                        let #slot = #place;
                        let #old = #slot.get();
                        let mut #name = ::core::clone::Clone::clone(&#old);
                    ));
                    names.push(quote_spanned!(argument.span()=> &mut #name));
                    after.push(quote_spanned!(span=> #slot.write_back(&#old, &#name);));
                }
            }
        }
        let call = call(names);
        quote_spanned!(span=> {
            #(#before)*
            let __ks_result = #call;
            #(#after)*
            __ks_result
        })
    }
}

/// The single names an expression mentions.
#[derive(Default)]
struct Names(BTreeSet<syn::Ident>);

impl<'a> Visit<'a> for Names {
    fn visit_expr_path(&mut self, path: &'a syn::ExprPath) {
        self.0.extend(path.path.get_ident().cloned());
        visit::visit_expr_path(self, path);
    }
}
