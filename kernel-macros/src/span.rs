//! Where source stands, found at its first token.
//!
//! On stable Rust spans cannot be joined, so `syn`'s own `span` is that of the first token too; but
//! it writes out the whole expression to find it, which for an expression within an expression within
//! an expression is the square of the source.

use proc_macro2::Span;
use syn::{Block, Expr, Pat, Stmt};

/// Where something stands.
pub(crate) trait Spanned {
    /// The span of its first token.
    fn span(&self) -> Span;
}

impl Spanned for Expr {
    fn span(&self) -> Span {
        match self {
            Expr::Assign(e) => e.left.span(),
            Expr::Binary(e) => e.left.span(),
            Expr::Block(e) => e.span(),
            Expr::Break(e) => e.span(),
            Expr::Call(e) => e.func.span(),
            Expr::Cast(e) => e.expr.span(),
            Expr::Field(e) => e.base.span(),
            Expr::ForLoop(e) => e.span(),
            Expr::If(e) => e.span(),
            Expr::Index(e) => e.expr.span(),
            Expr::Loop(e) => e.span(),
            Expr::Match(e) => e.span(),
            Expr::MethodCall(e) => e.receiver.span(),
            Expr::Paren(e) => e.paren_token.span.open(),
            Expr::Reference(e) => e.span(),
            Expr::Return(e) => e.span(),
            Expr::Struct(e) => e.span(),
            Expr::Try(e) => e.expr.span(),
            Expr::Unary(e) => e.span(),
            Expr::Unsafe(e) => e.unsafe_token.span,
            Expr::While(e) => e.span(),
            // Of these little is nested.
            other => syn::spanned::Spanned::span(other),
        }
    }
}

impl Spanned for Block {
    fn span(&self) -> Span {
        self.brace_token.span.open()
    }
}

impl Spanned for Stmt {
    fn span(&self) -> Span {
        match self {
            Stmt::Expr(e, _) => e.span(),
            other => syn::spanned::Spanned::span(other),
        }
    }
}

/// By the label, if there is one, or the keyword.
macro_rules! keyword {
    ($($ty:ident $keyword:ident),*) => {$(
        impl Spanned for syn::$ty {
            fn span(&self) -> Span {
                self.label.as_ref().map_or(self.$keyword.span, |label| label.name.apostrophe)
            }
        }
    )*};
}

keyword!(ExprForLoop for_token, ExprLoop loop_token, ExprWhile while_token);

impl Spanned for syn::ExprBlock {
    fn span(&self) -> Span {
        self.label.as_ref().map_or_else(|| self.block.span(), |label| label.name.apostrophe)
    }
}

macro_rules! first {
    ($($ty:ident: $($first:ident).+;)*) => {$(
        impl Spanned for syn::$ty {
            fn span(&self) -> Span {
                self.$($first).+.span()
            }
        }
    )*};
}

first! {
    ExprBinary: left;
    ExprCall: func;
    ExprIndex: expr;
    ExprMethodCall: receiver;
}

impl Spanned for syn::ExprIf {
    fn span(&self) -> Span {
        self.if_token.span
    }
}

impl Spanned for syn::ExprMatch {
    fn span(&self) -> Span {
        self.match_token.span
    }
}

impl Spanned for Pat {
    fn span(&self) -> Span {
        syn::spanned::Spanned::span(self)
    }
}

macro_rules! token {
    ($($ty:ident: $token:ident;)*) => {$(
        impl Spanned for syn::$ty {
            fn span(&self) -> Span {
                syn::spanned::Spanned::span(&self.$token)
            }
        }
    )*};
}

token! {
    ExprBreak: break_token;
    ExprContinue: continue_token;
    ExprLet: let_token;
    ExprReference: and_token;
    ExprReturn: return_token;
    ExprStruct: path;
    ExprUnary: op;
    FieldValue: member;
    Local: let_token;
    Macro: path;
}

impl<T: Spanned + ?Sized> Spanned for Box<T> {
    fn span(&self) -> Span {
        (**self).span()
    }
}

/// Of these little is nested.
macro_rules! small {
    ($($ty:ident),*) => {$(
        impl Spanned for syn::$ty {
            fn span(&self) -> Span {
                syn::spanned::Spanned::span(self)
            }
        }
    )*};
}

small!(
    AngleBracketedGenericArguments,
    BinOp,
    ExprClosure,
    ExprRange,
    PatIdent,
    Path,
    StmtMacro,
    Type
);
