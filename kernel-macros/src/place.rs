//! Run-time variables, and the places within them.

use crate::span::Spanned;
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{BinOp, Expr, ExprMethodCall, Ident};

use crate::expr::is_library_method;
use crate::join::{Spelling, stored_wants};
use crate::library;
use crate::literal::Wants;
use crate::scope::{Kind, Rewriter};

/// Methods that borrow what they are called on, or only ask: called on a copy of the variable.
const READING_METHODS: [&str; 17] = [
    "iter",
    "len",
    "is_empty",
    "clone",
    "as_slice",
    "into_iter",
    "first",
    "last",
    "map",
    "windows",
    "chunks",
    "chunks_exact",
    "split_at",
    "split_first",
    "split_last",
    "is_some",
    "is_none",
];

/// Methods whose result borrows what it will change.
const EXCLUSIVE_BORROWS: [&str; 7] =
    ["iter_mut", "as_mut", "as_mut_slice", "first_mut", "last_mut", "chunks_mut", "split_at_mut"];

impl Rewriter {
    /// The place an expression names, if it is rooted in a run-time variable.
    pub(crate) fn place(&mut self, expr: &Expr) -> Option<TokenStream> {
        let span = expr.span();
        match expr {
            Expr::Path(path) => {
                let ident = path.path.get_ident()?;
                self.is_variable(&ident.to_string()).then(|| variable(ident))
            }
            Expr::Paren(paren) => self.place(&paren.expr),
            Expr::Group(group) => self.place(&group.expr),
            // A variable of a `&mut` parameter.
            Expr::Unary(unary) if matches!(unary.op, syn::UnOp::Deref(_)) => {
                self.place(&unary.expr)
            }
            Expr::Field(field) => {
                let (base, member) = (self.place(&field.base)?, &field.member);
                Some(quote_spanned!(span=> #base.fields().#member))
            }
            Expr::Index(index) if slice_range(&index.index).is_some() => None,
            Expr::Index(index) => {
                let base = self.place(&index.expr)?;
                let index = self.expr(&index.index, Wants::Operand);
                let m = library(span);
                Some(quote_spanned!(span=> #m::slot(&#base, #index)))
            }
            _ => None,
        }
    }

    /// `left = right`.
    pub(crate) fn assign(&mut self, left: &Expr, right: &Expr, span: Span) -> TokenStream {
        let m = library(span);
        if let Expr::Infer(_) = left {
            let right = self.expr(right, Wants::Operand);
            return quote_spanned!(span=> { let _ = #right; });
        }
        if let Expr::Tuple(tuple) = left {
            return self.assign_tuple(tuple, right, span);
        }
        if let Some(place) = self.comptime(left) {
            let right = self.expr(right, Wants::Operand);
            return quote_spanned!(span=> { let __ks_value = #right; #place = __ks_value; });
        }
        // A host value becomes one of the variable's type.
        let how = self.spelling(right);
        let at = right.span();
        let set = match how {
            Spelling::Typed | Spelling::Option => quote_spanned!(at=> set_typed),
            _ => quote_spanned!(at=> set),
        };
        let right = self.expr(right, stored_wants(how));
        let value = self.fresh("value");
        // Rust evaluates the right side first.
        if let Some(place) = self.place(left) {
            let set = quote_spanned!(at=> #place.#set(#value));
            return quote_spanned!(span=> { let #value = #right; #set; });
        }
        if let Expr::Index(index) = left {
            let base = self.base(&index.expr);
            let index = self.expr(&index.index, Wants::Operand);
            let slot = self.fresh("slot");
            let set = quote_spanned!(at=> #slot.#set(#value));
            return quote_spanned!(span=> {
                let #value = #right;
                let #slot = #m::slot(&#base, #index);
                #set;
            });
        }
        let left = self.untouched(left);
        quote_spanned!(span=> #left = #right)
    }

    /// `(a, b) = right`.
    fn assign_tuple(&mut self, left: &syn::ExprTuple, right: &Expr, span: Span) -> TokenStream {
        let right = self.expr(right, Wants::Value);
        let names: Vec<Ident> = left.elems.iter().map(|_| self.fresh("part")).collect();
        let mut sets = Vec::new();
        for (part, name) in left.elems.iter().zip(&names) {
            let value: Expr = syn::parse_quote!(#name);
            sets.push(self.assign(part, &value, part.span()));
        }
        quote_spanned!(span=> { let (#(#names,)*) = #right; #(#sets;)* })
    }

    /// `left op= right`.
    pub(crate) fn assign_op(
        &mut self,
        left: &Expr,
        op: &BinOp,
        right_source: &Expr,
        span: Span,
    ) -> TokenStream {
        let m = library(span);
        let right = self.expr(right_source, Wants::Operand);
        if let Some(place) = self.comptime(left) {
            return quote_spanned!(span=> { let __ks_value = #right; #place #op __ks_value; });
        }
        let plain = plain_operator(op);
        let place = match self.place(left) {
            Some(place) => place,
            None => match left {
                Expr::Index(index) => {
                    let base = self.base(&index.expr);
                    let index = self.expr(&index.index, Wants::Operand);
                    quote_spanned!(span=> #m::slot(&#base, #index))
                }
                other => {
                    let left = self.untouched(other);
                    return quote_spanned!(span=> #left #op #right);
                }
            },
        };
        if changes(right_source) {
            // Whether the right side or the place comes first is for the type to say.
            return quote_spanned!(span=> {
                let (__ks_place, __ks_value) = #m::in_order(|| #place, || #right);
                __ks_place.set(__ks_place.get() #plain __ks_value);
            });
        }
        // On numbers Rust evaluates the right side first, and the place once.
        quote_spanned!(span=> {
            let __ks_value = #right;
            let __ks_place = #place;
            __ks_place.set(__ks_place.get() #plain __ks_value);
        })
    }

    /// A method call, if its receiver is a variable or within one.
    pub(crate) fn method_on_place(&mut self, call: &ExprMethodCall) -> Option<TokenStream> {
        let place = self.place(&call.receiver)?;
        let span = call.span();
        let (method, turbofish) = (&call.method, &call.turbofish);
        let name = method.to_string();
        // `take` of an option has no argument, and changes it.
        let library_method = is_library_method(&name) && !(name == "take" && call.args.is_empty());
        let wants = if library_method { Wants::Operand } else { Wants::Value };
        if EXCLUSIVE_BORROWS.contains(&name.as_str()) {
            return Some(self.error(
                call.method.span(),
                format!(
                    "`{name}` of a run-time variable stands only in the head of a `for` \
                     (`for x in v.iter_mut()`, perhaps with `.enumerate()`); otherwise assign by index"
                ),
            ));
        }
        if library_method || READING_METHODS.contains(&name.as_str()) {
            return Some(self.with_arguments(
                &call.args,
                wants,
                span,
                // Behind a reference, so that a method of the user's with such a name that takes
                // `&mut self` does not change a copy that is then forgotten, but does not compile.
                |args| quote_spanned!(span=> (&#place.get()).#method #turbofish(#(#args),*)),
            ));
        }
        // The method may take `&mut self`: it gets a copy, of which what changed is written back.
        Some(self.with_arguments(&call.args, wants, span, |args| {
            quote_spanned!(span=> {
                let __ks_place = #place;
                let __ks_old = __ks_place.get();
                #[allow(unused_mut)]
                let mut __ks_new = ::core::clone::Clone::clone(&__ks_old);
                let __ks_result = __ks_new.#method #turbofish(#(#args),*);
                __ks_place.write_back(&__ks_old, &__ks_new);
                __ks_result
            })
        }))
    }

    /// The place an expression names, if it is rooted in a host variable.
    pub(crate) fn comptime(&mut self, expr: &Expr) -> Option<TokenStream> {
        let span = expr.span();
        match expr {
            Expr::Path(path) => {
                let ident = path.path.get_ident()?;
                (self.kind(&ident.to_string()) == Kind::Comptime)
                    .then(|| quote_spanned!(span=> (*#ident)))
            }
            Expr::Paren(e) => self.comptime(&e.expr),
            Expr::Field(e) => {
                let (base, member) = (self.comptime(&e.base)?, &e.member);
                Some(quote_spanned!(span=> #base.#member))
            }
            Expr::Index(e) => {
                let base = self.comptime(&e.expr)?;
                let index = self.expr(&e.index, Wants::Operand);
                Some(quote_spanned!(span=> #base[#index]))
            }
            _ => None,
        }
    }

    /// `x[a..b]`: a part of memory or of an array, borrowed.
    pub(crate) fn slice(&mut self, e: &syn::ExprIndex, range: &syn::ExprRange) -> TokenStream {
        let m = library(e.span());
        let base = match self.place(&e.expr) {
            Some(place) => place,
            None => self.base(&e.expr),
        };
        let range = self.slice_bounds(&e.index, range);
        quote_spanned!(e.span()=> #m::sliced(&#base, #range))
    }

    /// `a..b` in `x[a..b]`, of which ends may be missing.
    pub(crate) fn slice_bounds(&mut self, index: &Expr, range: &syn::ExprRange) -> TokenStream {
        let (start, end) = (&range.start, &range.end);
        if start.is_some() && end.is_some() {
            return self.expr(index, Wants::Operand);
        }
        let limits = &range.limits;
        let [start, end] =
            [start, end].map(|end| end.as_ref().map(|end| self.expr(end, Wants::Operand)));
        quote_spanned!(index.span()=> (#start #limits #end))
    }

    /// What is indexed, when it is no variable.
    pub(crate) fn base(&mut self, expr: &Expr) -> TokenStream {
        if let Some(place) = self.comptime(expr) {
            return place;
        }
        let tokens = self.expr(expr, Wants::Operand);
        quote_spanned!(expr.span()=> (#tokens))
    }

    /// The left side of an assignment that is no run-time place: rustc says what is wrong with it,
    /// or it is a host place.
    fn untouched(&mut self, left: &Expr) -> TokenStream {
        if let Expr::Path(path) = left
            && let Some(name) = path.path.get_ident()
            && self.is_immutable(&name.to_string())
        {
            let text = format!("`{name}` is immutable: declare it with `let mut {name}`");
            return self.error(left.span(), text);
        }
        quote!(#left)
    }
}

/// Whether an expression may change a variable, by its spelling: it has statements in it.
fn changes(expr: &Expr) -> bool {
    match expr {
        Expr::Block(_) | Expr::If(_) | Expr::Match(_) | Expr::Unsafe(_) => true,
        Expr::Paren(e) => changes(&e.expr),
        Expr::Group(e) => changes(&e.expr),
        Expr::Unary(e) => changes(&e.expr),
        Expr::Cast(e) => changes(&e.expr),
        Expr::Binary(e) => changes(&e.left) || changes(&e.right),
        _ => false,
    }
}

/// The name of a variable's place in the expansion.
pub(crate) fn variable(ident: &Ident) -> TokenStream {
    if ident == "self" {
        let name = Ident::new("__ks_self", ident.span());
        return quote!(#name);
    }
    quote!(#ident)
}

/// `+` of `+=`.
fn plain_operator(op: &BinOp) -> TokenStream {
    let span = op.span();
    match op {
        BinOp::AddAssign(_) => quote_spanned!(span=> +),
        BinOp::SubAssign(_) => quote_spanned!(span=> -),
        BinOp::MulAssign(_) => quote_spanned!(span=> *),
        BinOp::DivAssign(_) => quote_spanned!(span=> /),
        BinOp::RemAssign(_) => quote_spanned!(span=> %),
        BinOp::BitAndAssign(_) => quote_spanned!(span=> &),
        BinOp::BitOrAssign(_) => quote_spanned!(span=> |),
        BinOp::BitXorAssign(_) => quote_spanned!(span=> ^),
        BinOp::ShlAssign(_) => quote_spanned!(span=> <<),
        _ => quote_spanned!(span=> >>),
    }
}

/// The range in `x[a..b]`.
pub(crate) fn slice_range(index: &Expr) -> Option<&syn::ExprRange> {
    match index {
        Expr::Range(range) => Some(range),
        Expr::Paren(e) => slice_range(&e.expr),
        Expr::Group(e) => slice_range(&e.expr),
        _ => None,
    }
}
