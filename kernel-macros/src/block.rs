//! Blocks and statements.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Block, Expr, ExprBlock, Local, Pat, Stmt};

use crate::library;
use crate::literal::Wants;
use crate::scope::{Kind, Rewriter};

impl Rewriter {
    /// A block whose end has a value (perhaps `()`), braces included.
    pub(crate) fn value_block(&mut self, block: &Block, wants: Wants) -> TokenStream {
        self.scoped(|this| {
            let statements = this.statements(&block.stmts, Some(wants));
            quote_spanned!(block.span()=> { #statements })
        })
    }

    /// A block run for what it does.
    pub(crate) fn unit_block(&mut self, block: &Block) -> TokenStream {
        self.scoped(|this| {
            let statements = this.statements(&block.stmts, None);
            quote_spanned!(block.span()=> { #statements })
        })
    }

    /// The statements of a block; the last expression is its value if `tail` says so.
    pub(crate) fn statements(&mut self, stmts: &[Stmt], tail: Option<Wants>) -> TokenStream {
        let mut out = TokenStream::new();
        for (i, stmt) in stmts.iter().enumerate() {
            let last = i + 1 == stmts.len();
            out.extend(match stmt {
                Stmt::Local(local) => self.local(local),
                Stmt::Item(_) | Stmt::Macro(_) => quote!(#stmt),
                Stmt::Expr(expr, None) if last => match tail {
                    // A block that never reaches its end has no value to find a type for.
                    Some(wants) if has_value(expr) && !expr_diverges(expr) => {
                        self.expr(expr, wants)
                    }
                    _ => self.statement(expr),
                },
                Stmt::Expr(expr, _) => self.statement(expr),
            });
        }
        out
    }

    /// An expression run for what it does.
    fn statement(&mut self, expr: &Expr) -> TokenStream {
        match expr {
            Expr::If(e) => self.if_unit(e),
            Expr::Match(e) => self.match_unit(e),
            Expr::While(e) => self.while_loop(e),
            Expr::ForLoop(e) => self.for_loop(e),
            Expr::Block(e) if e.label.is_none() => self.unit_block(&e.block),
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
        if init.diverge.is_some() {
            return self.error(span, "`let else` is not supported in kernels: use `match`");
        }
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
        let ty = ty.map(|ty| self.types.staged(&ty));
        for name in &mutable {
            self.declare(name, Kind::Variable);
        }
        if let (true, Some(name)) = (simple_mut, mutable.first()) {
            let text = name.to_string();
            return match ty {
                Some(ty) => quote_spanned!(span=>
                    let #name: #m::Place<#ty> = #m::var(#text, #value);),
                None => quote_spanned!(span=> let #name = #m::var(#text, #value);),
            };
        }
        let ty = ty.map(|ty| quote!(: #ty));
        let variables = mutable.iter().map(|name| {
            let text = name.to_string();
            quote_spanned!(name.span()=> let #name = #m::var(#text, #name);)
        });
        let variables: Vec<_> = variables.collect();
        quote_spanned!(span=> let #pat #ty = #value; #(#variables)*)
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
        let m = library(span);
        let value = self.expr(init, Wants::Operand);
        let ty = ty.map(|ty| quote!(: #ty));
        let mutable = self.bind(pat);
        for name in &mutable {
            self.declare(name, Kind::Comptime);
        }
        quote_spanned!(span=>
            let #pat #ty = #value;
            #(#[allow(unused_mut)] let mut #mutable = #m::Comptime::new(#mutable);)*
        )
    }

    /// A block as an expression, perhaps with a label that `break` names.
    pub(crate) fn block_expr(&mut self, e: &ExprBlock, wants: Wants) -> TokenStream {
        let Some(label) = &e.label else { return self.value_block(&e.block, wants) };
        let m = library(e.span());
        let wants = wants.joined();
        let state = self.enter(Some(label), true);
        let body = self.value_block(&e.block, wants);
        self.targets.pop();
        let end = if diverges(&e.block) {
            quote!({ #body; #state.end() })
        } else {
            quote!({ let __ks_value = #body; #state.end_with(__ks_value) })
        };
        quote_spanned!(e.span()=> { let #state = #m::Body::begin(); #end })
    }
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
        _ => false,
    }
}

pub(crate) fn expr_diverges(expr: &Expr) -> bool {
    match expr {
        Expr::Return(_) | Expr::Break(_) | Expr::Continue(_) => true,
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
