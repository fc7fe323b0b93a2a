//! Expressions.

use crate::span::Spanned;
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{BinOp, Expr};

use crate::cases::Tail;
use crate::join::is_number;
use crate::library;
use crate::literal::{self, Wants};
use crate::place::{slice_range, variable};
use crate::scope::{Kind, Rewriter};

/// Methods of the language's own numbers. They take run-time and host values alike, so that
/// literals among their arguments stay.
const LIBRARY_METHODS: &[&str] = &[
    "min",
    "max",
    "clamp",
    "mul_add",
    "powf",
    "powi",
    "copysign",
    "pow",
    "wrapping_pow",
    "checked_pow",
    "overflowing_pow",
    "saturating_pow",
    "wrapping_add",
    "wrapping_sub",
    "wrapping_mul",
    "wrapping_shl",
    "wrapping_shr",
    "checked_add",
    "checked_sub",
    "checked_mul",
    "checked_div",
    "checked_rem",
    "checked_shl",
    "checked_shr",
    "overflowing_add",
    "overflowing_sub",
    "overflowing_mul",
    "is_multiple_of",
    "skip",
    "take",
    "saturating_add",
    "saturating_sub",
    "saturating_mul",
    "div_ceil",
    "next_multiple_of",
    "div_euclid",
    "rem_euclid",
    "abs_diff",
    "rotate_left",
    "rotate_right",
    "step_by",
    "rev",
    "abs",
    "sqrt",
    "exp",
    "ln",
    "atomic_add",
    "atomic_min",
    "atomic_max",
    "atomic_exchange",
    "atomic_cas",
    "fetch_add",
    "fetch_sub",
    "fetch_min",
    "fetch_max",
    "fetch_and",
    "fetch_or",
    "fetch_xor",
    "compare_exchange",
    "atomic",
    "slice",
    "slot_at",
    "load_vector",
    "store_matrix",
    "get_unchecked",
    "owns",
    "global",
    "cast",
    "stage",
    "k_major",
    "mn_major",
    "arrive_at",
    "store_sums",
];

/// Functions of the language that take run-time and host values alike, or host values only.
const LIBRARY_FUNCTIONS: [&str; 24] = [
    "unroll",
    "range",
    "array",
    "shared",
    "shared_tile",
    "barrier_sync",
    "barrier_arrive",
    "warp_scan_exclusive",
    "block_scan_exclusive",
    "shuffle",
    "shuffle_xor",
    "shuffle_up",
    "shuffle_down",
    "min",
    "max",
    "load_matrix",
    "ldmatrix",
    "ldmatrix_unchecked",
    "cp_async",
    "cp_async_unchecked",
    "tiles",
    "wgmma",
    "tensor_mma",
    "tensor_mma_scaled",
];

/// Whether a method is the language's own, by name.
pub(crate) fn is_library_method(name: &str) -> bool {
    LIBRARY_METHODS.contains(&name)
}

impl Rewriter {
    /// An expression as the staged function has it.
    pub(crate) fn expr(&mut self, expr: &Expr, wants: Wants) -> TokenStream {
        match literal::rewrite(expr, wants, |path| self.is_local(path)) {
            Some(tokens) => tokens,
            None => self.at(expr.span(), |this| this.expr_here(expr, wants)),
        }
    }

    fn expr_here(&mut self, expr: &Expr, wants: Wants) -> TokenStream {
        let span = expr.span();
        match expr {
            Expr::Path(path) => self.path(path),
            Expr::Paren(e) => {
                let inner = self.expr(&e.expr, wants);
                quote_spanned!(span=> (#inner))
            }
            Expr::Group(e) => self.expr(&e.expr, wants),
            Expr::Binary(e) => self.binary(e),
            Expr::Unary(e) => self.unary(e),
            Expr::Assign(e) => self.assign(&e.left, &e.right, span),
            Expr::Index(_) | Expr::Field(_) => self.projection(expr),
            Expr::MethodCall(e) => self.method(e),
            Expr::Call(e) => self.call(e),
            Expr::Cast(e) => {
                let m = library(span);
                let (value, ty) = (self.expr(&e.expr, Wants::Operand), self.types.staged(&e.ty));
                quote_spanned!(span=> #m::cast::<#ty, _>(#value))
            }
            Expr::Range(e) => self.range(e),
            Expr::Tuple(e) => {
                let elems = e.elems.iter().map(|x| self.expr(x, nested(wants)));
                let elems: Vec<_> = elems.collect();
                quote_spanned!(span=> (#(#elems,)*))
            }
            // Of nothing but literals it is of the host, as a literal by itself is.
            Expr::Array(e)
                if wants == Wants::Operand && e.elems.iter().all(|x| matches!(x, Expr::Lit(_))) =>
            {
                quote!(#expr)
            }
            Expr::Array(e) => {
                let elems: Vec<_> = e.elems.iter().map(|x| self.expr(x, nested(wants))).collect();
                quote_spanned!(span=> [#(#elems),*])
            }
            Expr::Repeat(e) => {
                let (elem, len) = (self.expr(&e.expr, nested(wants)), &e.len);
                quote_spanned!(span=> [#elem; #len])
            }
            Expr::Struct(e) => self.structure(e),
            Expr::Reference(e) => self.reference(e),
            Expr::Closure(e) => self.closure(e),
            Expr::Unsafe(e) => {
                let block = self.value_block(&e.block, wants);
                quote_spanned!(span=> unsafe #block)
            }
            Expr::Block(e) => self.block_expr(e, wants),
            Expr::If(e) => self.if_value(e, wants),
            Expr::Match(e) => self.match_expr(e, Tail::Value(wants.joined())),
            Expr::While(e) => self.while_loop(e),
            Expr::Loop(e) => self.loop_loop(e),
            Expr::ForLoop(e) => self.for_loop(e),
            Expr::Break(e) => self.break_expr(e),
            Expr::Continue(e) => self.continue_expr(e),
            Expr::Return(e) => self.return_expr(e),
            Expr::Macro(e) => self.macro_call(&e.mac),
            Expr::Lit(_) | Expr::Const(_) => quote!(#expr),
            Expr::Try(e) => self.question_mark(e),
            Expr::Await(_) | Expr::Async(_) | Expr::Yield(_) => {
                self.error(span, "asynchronous code is not supported in kernels")
            }
            Expr::Let(_) => self.error(
                span,
                "`let` in a condition is joined with others by `&&`, and by nothing else",
            ),
            other => self.error(other.span(), "this expression is not supported in kernels"),
        }
    }

    fn path(&mut self, path: &syn::ExprPath) -> TokenStream {
        let Some(ident) = path.path.get_ident() else {
            // `f32::max` as a function.
            return match self.of_scalar(path) {
                Some((ty, function)) => {
                    let m = library(ty.span());
                    quote_spanned!(function.span()=> #m::Val::<#ty>::#function)
                }
                None => quote!(#path),
            };
        };
        let name = variable(ident);
        match self.kind(&ident.to_string()) {
            Kind::Plain | Kind::Counter => quote!(#path),
            Kind::Variable | Kind::Reference => quote_spanned!(ident.span()=> #name.get()),
            Kind::Comptime => {
                quote_spanned!(ident.span()=> ::core::clone::Clone::clone(&*#name))
            }
        }
    }

    fn binary(&mut self, e: &syn::ExprBinary) -> TokenStream {
        let span = e.span();
        let m = library(e.op.span());
        if is_compound(&e.op) {
            return self.assign_op(&e.left, &e.op, &e.right, span);
        }
        let left = self.expr(&e.left, Wants::Operand);
        let right = self.expr(&e.right, Wants::Operand);
        let op = &e.op;
        if is_number(&e.left)
            && self.is_run_time(&e.right)
            && let Some(tokens) = after_literal(&m, &left, op, &right, span)
        {
            return tokens;
        }
        // A comparison that cannot be is reported at its operator.
        let function = match op {
            BinOp::Eq(_) => quote_spanned!(op.span()=> eq),
            BinOp::Ne(_) => quote_spanned!(op.span()=> ne),
            BinOp::Lt(_) => quote_spanned!(op.span()=> lt),
            BinOp::Le(_) => quote_spanned!(op.span()=> le),
            BinOp::Gt(_) => quote_spanned!(op.span()=> gt),
            BinOp::Ge(_) => quote_spanned!(op.span()=> ge),
            BinOp::And(_) => return quote_spanned!(span=> #m::and(#left, || #right)),
            BinOp::Or(_) => return quote_spanned!(span=> #m::or(#left, || #right)),
            _ => return quote_spanned!(span=> (#left #op #right)),
        };
        quote_spanned!(span=> #m::#function(#left, #right))
    }

    /// Whether a value is one of the running kernel, by its spelling: of a variable.
    fn is_run_time(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Path(path) => {
                path.path.get_ident().is_some_and(|name| self.is_variable(&name.to_string()))
            }
            Expr::Paren(e) => self.is_run_time(&e.expr),
            Expr::Group(e) => self.is_run_time(&e.expr),
            Expr::Unary(e) => self.is_run_time(&e.expr),
            Expr::Field(e) => self.is_run_time(&e.base),
            Expr::Index(e) => self.is_run_time(&e.expr),
            Expr::Binary(e) => {
                !is_compound(&e.op) && (self.is_run_time(&e.left) || self.is_run_time(&e.right))
            }
            _ => false,
        }
    }

    fn unary(&mut self, e: &syn::ExprUnary) -> TokenStream {
        if matches!(e.op, syn::UnOp::Deref(_))
            && let Some(place) = self.place(&e.expr)
        {
            return quote_spanned!(e.span()=> #place.get());
        }
        let (op, inner) = (&e.op, self.expr(&e.expr, Wants::Operand));
        quote_spanned!(e.span()=> (#op #inner))
    }

    /// `x.f`, `x.0`, `x[i]`, within a variable or not.
    fn projection(&mut self, expr: &Expr) -> TokenStream {
        let span = expr.span();
        let m = library(span);
        if let Some(place) = self.place(expr) {
            return quote_spanned!(span=> #place.get());
        }
        if let (Expr::Field(_), Some(place)) = (expr, self.comptime(expr)) {
            return quote_spanned!(span=> ::core::clone::Clone::clone(&#place));
        }
        match expr {
            Expr::Field(e) => {
                let (base, member) = (self.expr(&e.base, Wants::Operand), &e.member);
                quote_spanned!(span=> #base.#member)
            }
            Expr::Index(e) if let Some(range) = slice_range(&e.index) => self.slice(e, range),
            Expr::Index(e) => {
                let base = self.base(&e.expr);
                let index = self.expr(&e.index, Wants::Operand);
                quote_spanned!(span=> #m::index(&#base, #index))
            }
            other => quote!(#other),
        }
    }

    fn method(&mut self, e: &syn::ExprMethodCall) -> TokenStream {
        if let Some(tokens) = self.method_on_place(e).or_else(|| self.contains(e)) {
            return tokens;
        }
        let method = &e.method;
        let turbofish = e.turbofish.as_ref().map(|t| self.turbofish(method, t));
        let wants =
            if is_library_method(&method.to_string()) { Wants::Operand } else { Wants::Value };
        // Rust finds out whether the method of a host variable changes it.
        let receiver = match self.comptime(&e.receiver) {
            Some(place) => place,
            None if asks_items(e) => self.receiver(&e.receiver),
            None => self.expr(&e.receiver, Wants::Operand),
        };
        let call = |args: Vec<TokenStream>| quote_spanned!(e.span()=> #receiver.#method #turbofish(#(#args),*));
        // What a loop adds up is a variable.
        if let (true, Some(first), Some(step)) = (method == "fold", e.args.first(), e.args.get(1))
            && is_number(first)
        {
            let first = self.expr(first, Wants::Variable);
            let step = self.expr(step, wants);
            return call(vec![first, step]);
        }
        self.with_arguments(&e.args, wants, e.span(), call)
    }

    /// What a method of iterators is called on that asks conditions of the items.
    fn receiver(&mut self, receiver: &Expr) -> TokenStream {
        let (m, span) = (library(receiver.span()), receiver.span());
        let value = self.expr(receiver, Wants::Operand);
        quote_spanned!(span=> (&#m::Receiver::new(#value)).receiver())
    }

    fn call(&mut self, e: &syn::ExprCall) -> TokenStream {
        let plain = match &*e.func {
            Expr::Path(path) => path
                .path
                .segments
                .last()
                .is_some_and(|s| LIBRARY_FUNCTIONS.contains(&s.ident.to_string().as_str())),
            _ => false,
        };
        let wants = if plain { Wants::Operand } else { Wants::Value };
        let function = match &*e.func {
            Expr::Path(path) if path.path.get_ident().is_none() => match self.of_scalar(path) {
                Some((ty, function)) => return self.scalar_call(e, &ty, &function),
                None => quote!(#path),
            },
            other => self.expr(other, Wants::Operand),
        };
        self.with_arguments(
            &e.args,
            wants,
            e.span(),
            |args| quote_spanned!(e.span()=> #function(#(#args),*)),
        )
    }

    /// `f32::sqrt`: a function of a scalar type, named by its path.
    fn of_scalar(&self, path: &syn::ExprPath) -> Option<(syn::Ident, syn::Ident)> {
        let mut segments = path.path.segments.iter();
        let (Some(ty), Some(function), None) = (segments.next(), segments.next(), segments.next())
        else {
            return None;
        };
        crate::types::is_scalar(&ty.ident.to_string())
            .then(|| (ty.ident.clone(), function.ident.clone()))
    }

    /// `f32::max(x, 1.5)`: the first argument is `self`, or what a conversion converts.
    fn scalar_call(
        &mut self,
        e: &syn::ExprCall,
        ty: &syn::Ident,
        function: &syn::Ident,
    ) -> TokenStream {
        let m = library(e.span());
        let library_method = is_library_method(&function.to_string());
        let args = e.args.iter().enumerate().map(|(i, arg)| {
            let wants = if i > 0 && library_method { Wants::Operand } else { Wants::Value };
            self.expr(arg, wants)
        });
        let args: Vec<_> = args.collect();
        quote_spanned!(e.span()=> #m::Val::<#ty>::#function(#(#args),*))
    }

    fn range(&mut self, e: &syn::ExprRange) -> TokenStream {
        let m = library(e.span());
        let (Some(start), Some(end)) = (&e.start, &e.end) else {
            return self.error(e.span(), "ranges in kernels have both ends: `a..b`");
        };
        let limits = &e.limits;
        let is_literal = |e: &Expr| matches!(e, Expr::Lit(_));
        if is_literal(start) && is_literal(end) {
            // Certainly of the host; rustc finds the type from the loop's body.
            return quote_spanned!(e.span()=> (#start #limits #end));
        }
        let function = match limits {
            syn::RangeLimits::HalfOpen(_) => quote_spanned!(e.span()=> range_to),
            syn::RangeLimits::Closed(_) => quote_spanned!(e.span()=> range_through),
        };
        let start = self.expr(start, Wants::Operand);
        let end = self.expr(end, Wants::Operand);
        quote_spanned!(e.span()=> #m::#function(#start, #end))
    }

    /// `::<f32>` of a method: of `sum` and `product` a type of kernels.
    fn turbofish(
        &self,
        method: &syn::Ident,
        turbofish: &syn::AngleBracketedGenericArguments,
    ) -> TokenStream {
        match turbofish.args.first() {
            Some(syn::GenericArgument::Type(ty)) if method == "sum" || method == "product" => {
                let ty = self.types.staged(ty);
                quote_spanned!(turbofish.span()=> ::<#ty>)
            }
            _ => quote!(#turbofish),
        }
    }

    /// `(a..b).contains(&x)`: two comparisons.
    fn contains(&mut self, e: &syn::ExprMethodCall) -> Option<TokenStream> {
        let Expr::Range(range) = unwrapped(&e.receiver) else { return None };
        let (Some(start), Some(end)) = (&range.start, &range.end) else { return None };
        let (true, Some(Expr::Reference(x))) = (e.method == "contains", e.args.first()) else {
            return None;
        };
        let m = library(e.span());
        let [start, end, x] = [&**start, &**end, &*x.expr].map(|e| self.expr(e, Wants::Operand));
        let below = match range.limits {
            syn::RangeLimits::HalfOpen(_) => quote_spanned!(e.span()=> lt),
            syn::RangeLimits::Closed(_) => quote_spanned!(e.span()=> le),
        };
        Some(quote_spanned!(e.span()=> {
            let (__ks_start, __ks_end) = (#start, #end);
            let __ks_value = #x;
            #m::ge(__ks_value, __ks_start) & #m::#below(__ks_value, __ks_end)
        }))
    }

    fn structure(&mut self, e: &syn::ExprStruct) -> TokenStream {
        let path = &e.path;
        let fields: Vec<_> = e
            .fields
            .iter()
            .map(|f| {
                let (member, value) = (&f.member, self.argument(&f.expr, Wants::Value));
                quote_spanned!(f.span()=> #member: #value)
            })
            .collect();
        let rest = e.rest.as_ref().map(|rest| {
            let rest = self.expr(rest, Wants::Operand);
            quote!(..#rest)
        });
        quote_spanned!(e.span()=> #path { #(#fields,)* #rest })
    }
}

/// A literal and an operator before a run-time value, from which the literal has its type: `2 * n`.
fn after_literal(
    m: &TokenStream,
    left: &TokenStream,
    op: &BinOp,
    right: &TokenStream,
    span: proc_macro2::Span,
) -> Option<TokenStream> {
    let at = op.span();
    // Rust's operators are found by their left side, which says too little here.
    let method = match op {
        BinOp::Add(_) => quote_spanned!(at=> plus),
        BinOp::Sub(_) => quote_spanned!(at=> minus),
        BinOp::Mul(_) => quote_spanned!(at=> times),
        BinOp::Div(_) => quote_spanned!(at=> over),
        BinOp::Rem(_) => quote_spanned!(at=> modulo),
        BinOp::Eq(_) => return Some(quote_spanned!(span=> #m::eq(#right, #left))),
        BinOp::Ne(_) => return Some(quote_spanned!(span=> #m::ne(#right, #left))),
        BinOp::Lt(_) => return Some(quote_spanned!(span=> #m::gt(#right, #left))),
        BinOp::Le(_) => return Some(quote_spanned!(span=> #m::ge(#right, #left))),
        BinOp::Gt(_) => return Some(quote_spanned!(span=> #m::lt(#right, #left))),
        BinOp::Ge(_) => return Some(quote_spanned!(span=> #m::le(#right, #left))),
        _ => return None,
    };
    Some(quote_spanned!(span=> #m::AfterLiteral(#right).#method(#left)))
}

/// Whether a method is one of iterators that asks conditions of the items, by its name.
fn asks_items(call: &syn::ExprMethodCall) -> bool {
    match call.method.to_string().as_str() {
        "min" | "max" => call.args.is_empty(),
        "any" | "all" | "position" | "find" | "filter" | "filter_map" | "take_while"
        | "skip_while" => matches!(call.args.first(), Some(Expr::Closure(_) | Expr::Path(_))),
        _ => false,
    }
}

/// An expression without the parentheses around it.
fn unwrapped(expr: &Expr) -> &Expr {
    match expr {
        Expr::Paren(e) => unwrapped(&e.expr),
        Expr::Group(e) => unwrapped(&e.expr),
        other => other,
    }
}

/// What the parts of a tuple or array want.
fn nested(wants: Wants) -> Wants {
    match wants {
        Wants::Operand => Wants::Value,
        other => other,
    }
}

fn is_compound(op: &BinOp) -> bool {
    matches!(
        op,
        BinOp::AddAssign(_)
            | BinOp::SubAssign(_)
            | BinOp::MulAssign(_)
            | BinOp::DivAssign(_)
            | BinOp::RemAssign(_)
            | BinOp::BitXorAssign(_)
            | BinOp::BitAndAssign(_)
            | BinOp::BitOrAssign(_)
            | BinOp::ShlAssign(_)
            | BinOp::ShrAssign(_)
    )
}
