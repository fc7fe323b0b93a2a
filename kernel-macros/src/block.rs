//! Blocks and statements.

use crate::span::Spanned;
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{Attribute, Block, Expr, ExprBlock, Local, Pat, Stmt};

use crate::cases::{Body, Tail};
use crate::library;
use crate::literal::Wants;
use crate::macros::panics;
use crate::scope::{Kind, Rewriter};

impl Rewriter {
    /// A block whose end has a value (perhaps `()`), braces included.
    pub(crate) fn value_block(&mut self, block: &Block, wants: Wants) -> TokenStream {
        self.block_with(block, Tail::Value(wants))
    }

    /// A block run for what it does.
    pub(crate) fn unit_block(&mut self, block: &Block) -> TokenStream {
        self.block_with(block, Tail::Unit)
    }

    /// A block, of whose end becomes what `tail` says.
    pub(crate) fn block_with(&mut self, block: &Block, tail: Tail<'_>) -> TokenStream {
        self.scoped(|this| {
            let statements = this.statements(&block.stmts, tail);
            quote_spanned!(block.span()=> { #statements })
        })
    }

    /// The statements of a block; `tail` says what becomes of the last expression.
    pub(crate) fn statements(&mut self, stmts: &[Stmt], tail: Tail<'_>) -> TokenStream {
        let mut out = TokenStream::new();
        for (i, stmt) in stmts.iter().enumerate() {
            let last = i + 1 == stmts.len();
            match stmt {
                Stmt::Local(local) => match self.diverging(local) {
                    // What follows is a case of the pattern.
                    Some((pat, value, otherwise)) => {
                        let rest = &stmts[i + 1..];
                        let tail = match tail {
                            // Both ways leave: there is no value to find a type for.
                            Tail::Value(_) if Body::Rest(rest).diverges() => Tail::Unit,
                            tail => tail,
                        };
                        out.extend(self.let_else(&pat, value, otherwise, rest, tail));
                        return out;
                    }
                    None => out.extend(self.local(local)),
                },
                Stmt::Item(item) => out.extend(self.item(item)),
                Stmt::Macro(stmt) if last && stmt.semi_token.is_none() => {
                    let call = syn::ExprMacro { attrs: Vec::new(), mac: stmt.mac.clone() };
                    out.extend(self.tail(&Expr::Macro(call), tail));
                    return out;
                }
                Stmt::Macro(stmt) if panics(&stmt.mac) => out.extend(self.panic(&stmt.mac)),
                Stmt::Macro(stmt) => {
                    let call = self.macro_call(&stmt.mac);
                    out.extend(quote_spanned!(stmt.span()=> #call;));
                }
                Stmt::Expr(expr, None) if last => out.extend(self.tail(expr, tail)),
                Stmt::Expr(expr, _) => out.extend(self.statement(expr)),
            }
        }
        // A block that never reaches its end has no value to find a type for.
        let ends = match stmts.last() {
            Some(Stmt::Expr(_, None)) => true,
            Some(Stmt::Expr(e, Some(_))) => expr_diverges(e),
            Some(Stmt::Macro(stmt)) => panics(&stmt.mac),
            _ => false,
        };
        if let (Tail::Body(state, _), false) = (tail, ends) {
            out.extend(quote!(#state.put(());));
        }
        out
    }

    /// The last expression of a block.
    fn tail(&mut self, expr: &Expr, tail: Tail<'_>) -> TokenStream {
        if expr_diverges(expr) {
            return self.statement(expr);
        }
        match tail {
            Tail::Value(wants) if has_value(expr) => self.expr(expr, wants),
            Tail::Body(state, wants) if has_value(expr) => {
                self.branch(state, Body::Expr(expr), wants)
            }
            Tail::Body(state, _) => {
                let tokens = self.statement(expr);
                quote_spanned!(expr.span()=> #tokens #state.put(());)
            }
            _ => self.statement(expr),
        }
    }

    /// The pattern, value and other branch of a `let else`.
    fn diverging<'a>(&mut self, local: &'a Local) -> Option<(Pat, &'a Expr, &'a Expr)> {
        let init = local.init.as_ref()?;
        let (_, otherwise) = init.diverge.as_ref()?;
        if let Pat::Type(typed) = &local.pat {
            self.error(typed.ty.span(), "leave out the type of a `let else` in kernels");
        }
        // A macro may end the path in its own way; rustc sees to that.
        let ends = match &**otherwise {
            Expr::Block(e) => matches!(e.block.stmts.last(), Some(Stmt::Macro(_))),
            _ => false,
        };
        if !ends && !expr_diverges(otherwise) {
            self.error(
                otherwise.span(),
                "the `else` of a `let else` ends in `return`, `break` or `continue`",
            );
        }
        Some((local.pat.clone(), &init.expr, otherwise))
    }

    /// An item within a function. Functions are device functions, unless they say what they are.
    fn item(&mut self, item: &syn::Item) -> TokenStream {
        match item {
            syn::Item::Fn(f) if f.sig.constness.is_none() && f.attrs.is_empty() => {
                crate::device::expand(Default::default(), quote!(#f))
                    .unwrap_or_else(|error| self.note(error))
            }
            other => quote!(#other),
        }
    }

    /// An expression run for what it does.
    fn statement(&mut self, expr: &Expr) -> TokenStream {
        self.at(expr.span(), |this| this.statement_here(expr))
    }

    fn statement_here(&mut self, expr: &Expr) -> TokenStream {
        match expr {
            Expr::Macro(e) if panics(&e.mac) => self.panic(&e.mac),
            Expr::If(e) => self.if_unit(e),
            Expr::Match(e) => self.match_expr(e, Tail::Unit),
            Expr::While(e) => self.while_loop(e),
            Expr::ForLoop(e) => self.for_loop(e),
            Expr::Block(e) if e.label.is_none() => self.unit_block(&e.block),
            // A semicolon by itself.
            Expr::Verbatim(tokens) if tokens.is_empty() => quote!(),
            other => {
                let tokens = self.expr(other, Wants::Operand);
                quote_spanned!(expr.span()=> #tokens;)
            }
        }
    }

    fn local(&mut self, local: &Local) -> TokenStream {
        let span = local.span();
        let m = library(span);
        let comptime = is_comptime(&local.attrs);
        let Some(init) = &local.init else {
            return self
                .error(span, "variables of kernels are initialised where they are declared");
        };
        let (mut pat, ty) = match &local.pat {
            Pat::Type(typed) => ((*typed.pat).clone(), Some((*typed.ty).clone())),
            pat => (pat.clone(), None),
        };
        if comptime {
            return self.comptime_local(&mut pat, ty.as_ref(), &init.expr, span);
        }
        if let Expr::Closure(closure) = &*init.expr {
            return self.closure_local(&mut pat, closure, span);
        }
        let lints: Vec<_> = local.attrs.iter().filter(|a| a.path().is_ident("allow")).collect();
        let simple_mut = matches!(&pat, Pat::Ident(p) if p.mutability.is_some());
        let mut probe = pat.clone();
        let any_mut = !self.scoped(|this| this.bind(&mut probe)).is_empty();
        let wants = match (any_mut, &ty) {
            (true, _) => Wants::Variable,
            (false, Some(_)) => Wants::Value,
            (false, None) => Wants::Operand,
        };
        // The initialiser does not see the names it initialises.
        let value = self.expr(&init.expr, wants);
        let mutable = self.bind(&mut pat);
        let value = match &ty {
            Some(ty) if !simple_mut => self.types.conversion(ty, &value).unwrap_or(value),
            _ => value,
        };
        let ty = ty.map(|ty| self.types.staged(&ty));
        if let (true, Some(name)) = (simple_mut, mutable.first()) {
            self.declare(name, Kind::Variable);
            let text = name.to_string();
            return match ty {
                Some(ty) if is_default(&init.expr) => quote_spanned!(span=>
                    #(#lints)* let #name = #m::var::<#ty>(#text, #value);),
                Some(ty) => quote_spanned!(span=>
                    #(#lints)* let #name: #m::Place<#ty> = #m::var(#text, #value);),
                None => quote_spanned!(span=> #(#lints)* let #name = #m::var(#text, #value);),
            };
        }
        let ty = ty.map(|ty| quote!(: #ty));
        let variables = self.variables(&mutable);
        quote_spanned!(span=> #(#lints)* let #pat #ty = #value; #variables)
    }

    /// A named closure. It is of the host and shares the variables it names, so that its `mut` only
    /// says that it changes host variables.
    fn closure_local(
        &mut self,
        pat: &mut Pat,
        closure: &syn::ExprClosure,
        span: proc_macro2::Span,
    ) -> TokenStream {
        let value = self.closure(closure);
        let as_written = pat.clone();
        self.bind(pat);
        quote_spanned!(span=> #[allow(unused_mut)] let #as_written = #value;)
    }

    /// `#[comptime] let`: of the host, as written.
    fn comptime_local(
        &mut self,
        pat: &mut Pat,
        ty: Option<&syn::Type>,
        init: &Expr,
        span: proc_macro2::Span,
    ) -> TokenStream {
        let value = self.expr(init, Wants::Operand);
        let ty = ty.map(|ty| quote!(: #ty));
        let mutable = self.bind(pat);
        for name in &mutable {
            self.declare(name, Kind::Comptime);
        }
        let variables = mutable.iter().map(|name| {
            let m = library(name.span());
            quote_spanned!(name.span()=>
                #[allow(unused_mut)]
                let mut #name = #m::Comptime::new(#name);
            )
        });
        let variables: TokenStream = variables.collect();
        quote_spanned!(span=> let #pat #ty = #value; #variables)
    }

    /// A block as an expression, perhaps with a label that `break` names.
    pub(crate) fn block_expr(&mut self, e: &ExprBlock, wants: Wants) -> TokenStream {
        let Some(label) = &e.label else { return self.value_block(&e.block, wants) };
        let m = library(e.span());
        let state = self.enter(Some(label), true, true);
        let body = self.block_with(&e.block, Tail::Body(&state, Wants::Value));
        self.targets.pop();
        quote_spanned!(e.span()=> { let #state = #m::Body::begin(); #body #state.end() })
    }
}

/// `Default::default()`, whose type comes from use.
fn is_default(expr: &Expr) -> bool {
    let Expr::Call(call) = expr else { return false };
    let Expr::Path(path) = &*call.func else { return false };
    let mut names = path.path.segments.iter().map(|s| s.ident.to_string());
    names.len() == 2 && names.all(|name| name.eq_ignore_ascii_case("default"))
}

/// Whether `#[comptime]` is among the attributes.
pub(crate) fn is_comptime(attrs: &[Attribute]) -> bool {
    attrs.iter().any(|a| a.path().is_ident("comptime"))
}

/// Whether a block's last expression is a value, rather than something run for what it does.
fn has_value(expr: &Expr) -> bool {
    match expr {
        Expr::If(e) => e.else_branch.is_some(),
        Expr::While(_) | Expr::ForLoop(_) | Expr::Assign(_) => false,
        Expr::Break(_) | Expr::Continue(_) | Expr::Return(_) => false,
        _ => true,
    }
}

/// Whether the end of a block is never reached, by its spelling: it ends in `return`, `break`,
/// `continue`, or a branch of which every arm does.
pub(crate) fn diverges(block: &Block) -> bool {
    match block.stmts.last() {
        Some(Stmt::Expr(expr, _)) => expr_diverges(expr),
        Some(Stmt::Macro(stmt)) => panics(&stmt.mac),
        _ => false,
    }
}

pub(crate) fn expr_diverges(expr: &Expr) -> bool {
    match expr {
        Expr::Return(_) | Expr::Break(_) | Expr::Continue(_) => true,
        Expr::Macro(e) => panics(&e.mac),
        Expr::Block(e) => e.label.is_none() && diverges(&e.block),
        Expr::Unsafe(e) => diverges(&e.block),
        Expr::If(e) => {
            diverges(&e.then_branch)
                && e.else_branch.as_ref().is_some_and(|(_, e)| expr_diverges(e))
        }
        Expr::Match(e) => !e.arms.is_empty() && e.arms.iter().all(|a| expr_diverges(&a.body)),
        _ => false,
    }
}
