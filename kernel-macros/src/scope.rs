//! What the rewriter knows while it walks a function: which names are run-time variables, where
//! `break`, `continue` and `return` go.

use std::collections::HashMap;

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::{Ident, Pat};

use crate::types::Types;

/// What a name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// An immutable binding, or anything the function did not declare.
    Plain,
    /// What a loop counts by: of the host or not, as the range is.
    Counter,
    /// A run-time variable: a `Place`.
    Variable,
    /// The variable that a `&mut` parameter became: like one, but a reference in the source.
    Reference,
    /// A variable of the host: a `Comptime`.
    Comptime,
}

/// A loop or labelled block around the code at hand.
pub(crate) struct Target {
    pub(crate) label: Option<String>,
    /// The variable that holds its state in the expansion.
    pub(crate) state: Ident,
    /// A labelled block: only `break` with its label leaves it.
    pub(crate) is_block: bool,
    /// Whether a `break` with a value was seen.
    pub(crate) has_value: bool,
    /// Whether `break` may have one: of a `loop` or labelled block.
    pub(crate) takes_value: bool,
}

/// Where `return` goes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Return {
    /// Ends the thread.
    Kernel,
    /// Leaves the inlined body, or closure, whose state this is.
    Device(Ident),
}

/// Rewrites one function.
pub(crate) struct Rewriter {
    pub(crate) types: Types,
    scopes: Vec<HashMap<String, Kind>>,
    pub(crate) targets: Vec<Target>,
    pub(crate) returns: Return,
    /// Whether what is rewritten gives an option, for all that is written.
    pub(crate) gives_option: bool,
    errors: Vec<syn::Error>,
    counter: usize,
    /// Where the code being rewritten stands: what the expansion names is told of there.
    here: Span,
}

impl Rewriter {
    pub(crate) fn new(types: Types, returns: Return) -> Rewriter {
        Rewriter {
            types,
            scopes: vec![HashMap::new()],
            targets: Vec::new(),
            returns,
            gives_option: false,
            errors: Vec::new(),
            counter: 0,
            here: Span::call_site(),
        }
    }

    /// All errors found, if any.
    pub(crate) fn finish(self) -> syn::Result<()> {
        let mut errors = self.errors.into_iter();
        let Some(mut first) = errors.next() else { return Ok(()) };
        errors.for_each(|e| first.combine(e));
        Err(first)
    }

    /// Notes an error and goes on, so that the user sees all of them at once.
    pub(crate) fn error(&mut self, span: Span, message: impl std::fmt::Display) -> TokenStream {
        self.note(syn::Error::new(span, message))
    }

    /// Notes an error of a part.
    pub(crate) fn note(&mut self, error: syn::Error) -> TokenStream {
        let tokens = error.to_compile_error();
        self.errors.push(error);
        tokens
    }

    pub(crate) fn declare(&mut self, name: &Ident, kind: Kind) {
        let scope = self.scopes.last_mut().expect("a scope is open");
        scope.insert(name.to_string(), kind);
    }

    pub(crate) fn kind(&self, name: &str) -> Kind {
        self.scopes.iter().rev().find_map(|s| s.get(name)).copied().unwrap_or(Kind::Plain)
    }

    /// Whether a name is an immutable binding of this function.
    pub(crate) fn is_immutable(&self, name: &str) -> bool {
        matches!(
            self.scopes.iter().rev().find_map(|s| s.get(name)),
            Some(Kind::Plain | Kind::Counter)
        )
    }

    /// Whether a path is a name that this function declares.
    pub(crate) fn is_local(&self, path: &syn::ExprPath) -> bool {
        let declared = |name: &Ident| self.scopes.iter().any(|s| s.contains_key(&name.to_string()));
        path.path.get_ident().is_some_and(declared)
    }

    /// Whether a name is a run-time variable.
    pub(crate) fn is_variable(&self, name: &str) -> bool {
        matches!(self.kind(name), Kind::Variable | Kind::Reference)
    }

    /// Runs `inside` with a scope of its own.
    pub(crate) fn scoped<R>(&mut self, inside: impl FnOnce(&mut Self) -> R) -> R {
        self.scopes.push(HashMap::new());
        let result = inside(self);
        self.scopes.pop();
        result
    }

    /// Rewrites something that stands at `span`.
    pub(crate) fn at<R>(&mut self, span: Span, rewrite: impl FnOnce(&mut Self) -> R) -> R {
        let outer = std::mem::replace(&mut self.here, span);
        let result = rewrite(self);
        self.here = outer;
        result
    }

    /// A name for the expansion's own use. Call-site hygiene would let users see it; mixed-site
    /// hides it from them.
    pub(crate) fn fresh(&mut self, what: &str) -> Ident {
        self.counter += 1;
        let span = Span::mixed_site().located_at(self.here);
        Ident::new(&format!("__ks_{what}_{}", self.counter), span)
    }

    /// Declares the names of a pattern that always matches as immutable, and gives those marked
    /// `mut`, which the caller turns into variables after the pattern has bound them.
    pub(crate) fn bind(&mut self, pat: &mut Pat) -> Vec<Ident> {
        // Nothing there is a constant, however it is written.
        self.bind_if(pat, |_| true)
    }

    /// As `bind`, of a pattern that may not match, where upper-case names are constants and variants.
    pub(crate) fn bind_case(&mut self, pat: &mut Pat) -> Vec<Ident> {
        self.bind_if(pat, crate::pattern::is_binding)
    }

    fn bind_if(&mut self, pat: &mut Pat, binds: fn(&Ident) -> bool) -> Vec<Ident> {
        let mut mutable = Vec::new();
        self.bind_into(pat, binds, &mut mutable);
        mutable
    }

    /// Declares names that a pattern has bound as run-time variables, and makes them such.
    pub(crate) fn variables(&mut self, names: &[Ident]) -> TokenStream {
        let mut out = TokenStream::new();
        for name in names {
            self.declare(name, Kind::Variable);
            let (m, text) = (crate::library(name.span()), name.to_string());
            out.extend(quote_spanned!(name.span()=> let #name = #m::var(#text, #name);));
        }
        out
    }

    fn bind_into(&mut self, pat: &mut Pat, binds: fn(&Ident) -> bool, mutable: &mut Vec<Ident>) {
        match pat {
            Pat::Ident(pat) => {
                if !binds(&pat.ident) {
                    return;
                }
                // Alternatives `a | b` bind the same names.
                if pat.mutability.take().is_some() && !mutable.contains(&pat.ident) {
                    mutable.push(pat.ident.clone());
                }
                self.declare(&pat.ident, Kind::Plain);
                if let Some((_, sub)) = &mut pat.subpat {
                    self.bind_into(sub, binds, mutable);
                }
            }
            Pat::Tuple(p) => p.elems.iter_mut().for_each(|p| self.bind_into(p, binds, mutable)),
            Pat::TupleStruct(p) => {
                p.elems.iter_mut().for_each(|p| self.bind_into(p, binds, mutable))
            }
            Pat::Slice(p) => p.elems.iter_mut().for_each(|p| self.bind_into(p, binds, mutable)),
            Pat::Struct(p) => p.fields.iter_mut().for_each(|f| {
                // `Point { x, .. }` must stay a binding of that name.
                self.bind_into(&mut f.pat, binds, mutable);
            }),
            Pat::Or(p) => p.cases.iter_mut().for_each(|p| self.bind_into(p, binds, mutable)),
            Pat::Paren(p) => self.bind_into(&mut p.pat, binds, mutable),
            Pat::Reference(p) => self.bind_into(&mut p.pat, binds, mutable),
            Pat::Type(p) => self.bind_into(&mut p.pat, binds, mutable),
            _ => {}
        }
    }
}
