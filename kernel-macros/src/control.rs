//! Branches, loops and jumps.

use crate::span::Spanned;
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{BinOp, Block, Expr, ExprIf, Ident, Label};

use crate::block::diverges;
use crate::cases::{Body, Tail};
use crate::join::{Spelling, left_wants};
use crate::library;
use crate::literal::Wants;
use crate::pattern::{is_refutable, is_testable, of_some};
use crate::scope::{Kind, Return, Rewriter, Target};

/// The name of what a loop counts by: `for i in a..b`, `for (i, x) in x.iter().enumerate()`.
fn counter<'p>(over: &Expr, pat: &'p syn::Pat) -> Option<&'p Ident> {
    match (over, pat) {
        (Expr::Paren(e), _) => counter(&e.expr, pat),
        (Expr::Range(_), syn::Pat::Ident(name)) => Some(&name.ident),
        (Expr::MethodCall(e), syn::Pat::Tuple(pat)) if e.method == "enumerate" => {
            match pat.elems.first() {
                Some(syn::Pat::Ident(name)) => Some(&name.ident),
                _ => None,
            }
        }
        (Expr::MethodCall(e), syn::Pat::Ident(_))
            if ["rev", "step_by", "skip", "take"].iter().any(|name| e.method == name) =>
        {
            counter(&e.receiver, pat)
        }
        (Expr::Call(e), syn::Pat::Ident(_)) => {
            let unrolls = matches!(&*e.func, Expr::Path(f) if f.path.is_ident("unroll"));
            e.args.first().filter(|_| unrolls).and_then(|range| counter(range, pat))
        }
        _ => None,
    }
}

/// Whether a condition has `let` among what `&&` joins.
fn has_let(condition: &Expr) -> bool {
    match condition {
        Expr::Let(_) => true,
        Expr::Binary(e) => matches!(e.op, BinOp::And(_)) && (has_let(&e.left) || has_let(&e.right)),
        _ => false,
    }
}

/// What `&&` joins.
fn joined<'a>(condition: &'a Expr, out: &mut Vec<&'a Expr>) {
    match condition {
        Expr::Binary(e) if matches!(e.op, BinOp::And(_)) && has_let(condition) => {
            joined(&e.left, out);
            joined(&e.right, out);
        }
        other => out.push(other),
    }
}

/// `if let Some(x) = a && x > b { .. } else { .. }`: `if`s within one another, and the other branch
/// behind them, which the first leaves out by `break`.
fn let_chain(e: &ExprIf) -> Option<Block> {
    if !has_let(&e.cond) {
        return None;
    }
    let mut conditions = Vec::new();
    joined(&e.cond, &mut conditions);
    let (span, then) = (e.span(), &e.then_branch);
    let label = syn::Lifetime::new("'__ks_chain", Span::mixed_site().located_at(span));
    let inner: Block = match &e.else_branch {
        None => then.clone(),
        Some(_) if diverges(then) => then.clone(),
        Some(_) => syn::parse_quote_spanned!(span=> { break #label #then; }),
    };
    let nested = conditions.into_iter().rev().fold(
        inner,
        |inner, condition| syn::parse_quote_spanned!(condition.span()=> { if #condition #inner }),
    );
    let nested = nested.stmts;
    Some(match &e.else_branch {
        None => syn::parse_quote_spanned!(span=> { #(#nested)* }),
        Some((_, otherwise)) => {
            syn::parse_quote_spanned!(span=> { #label: { #(#nested)* #otherwise } })
        }
    })
}

impl Rewriter {
    /// `value?` where the function gives an option: what is in it, or the end with `None`.
    pub(crate) fn question_mark(&mut self, e: &syn::ExprTry) -> TokenStream {
        let span = e.question_token.span;
        if self.returns == Return::Kernel {
            return self.error(
                span,
                "`?` leaves a function that gives an option, and a kernel gives nothing: write \
                 `let Some(x) = .. else { return };`",
            );
        }
        if !self.gives_option {
            return self.error(
                span,
                "`?` leaves a function that gives an option: make it one (`-> Option<..>`), or write \
                 `let Some(x) = .. else { .. };`",
            );
        }
        let name = self.fresh("there");
        let value = &e.expr;
        let turned: Expr = syn::parse_quote_spanned!(span=>
            match #value { Some(#name) => #name, None => return None }
        );
        self.expr(&turned, Wants::Operand)
    }

    /// `if` run for what it does.
    pub(crate) fn if_unit(&mut self, e: &ExprIf) -> TokenStream {
        let span = e.span();
        let m = library(e.cond.span());
        if let Expr::Let(condition) = &*e.cond {
            return self.if_let(e, condition, Tail::Unit);
        }
        if let Some(chain) = let_chain(e) {
            return self.block_with(&chain, Tail::Unit);
        }
        let condition = self.expr(&e.cond, Wants::Operand);
        let flow = self.fresh("if");
        let then = self.unit_block(&e.then_branch);
        let otherwise = match &e.else_branch {
            None => quote!(),
            Some((_, e)) => match &**e {
                Expr::If(e) => self.if_unit(e),
                Expr::Block(e) => self.unit_block(&e.block),
                other => self.expr(other, Wants::Operand),
            },
        };
        // A condition that is none is reported at the condition.
        let begin = quote_spanned!(e.cond.span()=> #m::Condition::begin(#condition));
        quote_spanned!(span=> {
            let #flow = #begin;
            if #flow.then() #then
            if #flow.otherwise() { #otherwise }
            #flow.end();
        })
    }

    /// `if` with a value.
    pub(crate) fn if_value(&mut self, e: &ExprIf, wants: Wants) -> TokenStream {
        let m = library(e.cond.span());
        let wants = wants.joined();
        let Some((_, otherwise)) = &e.else_branch else { return self.if_unit(e) };
        if let Expr::Let(condition) = &*e.cond {
            return self.if_let(e, condition, Tail::Value(wants));
        }
        if let Some(chain) = let_chain(e) {
            return self.block_with(&chain, Tail::Value(wants));
        }
        let condition = self.expr(&e.cond, Wants::Operand);
        let (flow, merge) = (self.fresh("if"), self.fresh("merge"));
        let then = self.branch(&merge, Body::Block(&e.then_branch), wants);
        let otherwise = self.branch(&merge, Body::Expr(otherwise), wants);
        let begin = quote_spanned!(e.cond.span()=> #m::Condition::begin(#condition));
        quote_spanned!(e.span()=> {
            let #flow = #begin;
            let #merge = #flow.merge();
            if #flow.then() { #then }
            if #flow.otherwise() { #otherwise }
            #flow.end();
            #merge.take()
        })
    }

    /// Opens a loop or labelled block; gives the name of its state.
    pub(crate) fn enter(
        &mut self,
        label: Option<&Label>,
        is_block: bool,
        takes_value: bool,
    ) -> Ident {
        let state = self.fresh("loop");
        self.targets.push(Target {
            label: label.map(|l| l.name.ident.to_string()),
            state: state.clone(),
            is_block,
            has_value: false,
            takes_value,
        });
        state
    }

    pub(crate) fn while_loop(&mut self, e: &syn::ExprWhile) -> TokenStream {
        if has_let(&e.cond) && !matches!(&*e.cond, Expr::Let(_)) {
            let (label, condition, body) = (&e.label, &e.cond, &e.body);
            let turned: syn::ExprLoop = syn::parse_quote_spanned!(e.span()=>
                #label loop { if #condition #body else { break; } }
            );
            return self.loop_loop(&turned);
        }
        let m = library(e.span());
        let state = self.enter(e.label.as_ref(), false, false);
        let round = match &*e.cond {
            Expr::Let(condition) => self.while_let(&state, condition, &e.body),
            condition => {
                let condition = self.expr(condition, Wants::Operand);
                let test = quote_spanned!(e.cond.span()=> #state.test(#condition));
                let body = self.unit_block(&e.body);
                quote_spanned!(e.span()=> if !#test { break; } #body)
            }
        };
        self.targets.pop();
        quote_spanned!(e.span()=> {
            let mut #state = #m::While::begin();
            loop {
                #round
                if !#state.again() { break; }
            }
            #state.end();
        })
    }

    /// One round of `while let`.
    fn while_let(&mut self, state: &Ident, condition: &syn::ExprLet, body: &Block) -> TokenStream {
        let span = condition.span();
        let m = library(condition.expr.span());
        let value = self.expr(&condition.expr, Wants::Operand);
        let pat = &*condition.pat;
        if let Some(inner) = of_some(pat).filter(|p| !is_refutable(p)) {
            let mut inner = inner.clone();
            return self.scoped(|this| {
                let mutable = this.bind_case(&mut inner);
                let variables = this.variables(&mutable);
                let body = this.unit_block(body);
                let next = quote_spanned!(condition.expr.span()=>
                    #m::OptionLike::test(#value, &mut #state));
                quote_spanned!(span=>
                    let ::core::option::Option::Some(#inner) = #next else { break };
                    #variables
                    #body
                )
            });
        }
        let name = self.fresh("match");
        let named = quote_spanned!(span=> #name);
        if is_testable(pat)
            && let Some(test) = self.test(&named, pat)
        {
            let mut bindings = Vec::new();
            self.bindings(&named, pat, &mut bindings);
            return self.scoped(|this| {
                let binds = this.bind_parts(&bindings);
                let variables = this.bind_variables(&bindings);
                let body = this.unit_block(body);
                quote_spanned!(span=>
                    let #name = #value;
                    if !#state.test(#test) { break; }
                    #binds
                    #variables
                    #body
                )
            });
        }
        let mut pat = pat.clone();
        self.scoped(|this| {
            let mutable = this.bind_case(&mut pat);
            let variables = this.variables(&mutable);
            let body = this.unit_block(body);
            quote_spanned!(span=>
                if let #pat = #value {
                    #state.test(true);
                    #variables
                    #body
                } else {
                    #state.test(false);
                    break;
                }
            )
        })
    }

    pub(crate) fn loop_loop(&mut self, e: &syn::ExprLoop) -> TokenStream {
        let m = library(e.span());
        let state = self.enter(e.label.as_ref(), false, true);
        let body = self.unit_block(&e.body);
        let target = self.targets.pop().expect("enter pushed it");
        let ty = if target.has_value { quote!() } else { quote!(::<()>) };
        quote_spanned!(e.span()=> {
            let #state = #m::Loop #ty::begin();
            #body
            #state.end()
        })
    }

    pub(crate) fn for_loop(&mut self, e: &syn::ExprForLoop) -> TokenStream {
        let m = library(e.expr.span());
        let (over, elements) = match self.elements(&e.expr, &e.pat) {
            Some((over, elements)) => (over, elements),
            None => (self.expr(&e.expr, Wants::Operand), Vec::new()),
        };
        let state = self.enter(e.label.as_ref(), false, false);
        let item = self.fresh("item");
        let mut pat = (*e.pat).clone();
        let body = self.scoped(|this| {
            let mutable = this.bind(&mut pat);
            if let Some(counter) = counter(&e.expr, &pat) {
                this.declare(counter, Kind::Counter);
            }
            elements.iter().for_each(|element| this.declare(element, Kind::Reference));
            let variables = this.variables(&mutable);
            let body = this.unit_block(&e.body);
            quote!(#variables #body)
        });
        self.targets.pop();
        let begin = quote_spanned!(e.expr.span()=> #m::for_loop(#over));
        // A `match`, since what the loop goes over may borrow from temporaries.
        quote_spanned!(e.span()=> match #begin {
            #[allow(unused_mut)]
            mut #state => {
                while let ::core::option::Option::Some(#item) = #state.next_item() {
                    let #pat = #item;
                    #body
                }
                #state.end();
            }
        })
    }

    /// What `for x in v.iter_mut()`, also with adaptors behind it, and `for x in &mut v` go over: the
    /// places of the elements of a run-time variable or of memory, and the names they have.
    fn elements(&mut self, over: &Expr, pat: &syn::Pat) -> Option<(TokenStream, Vec<Ident>)> {
        let span = over.span();
        let places = match over {
            Expr::Reference(e) if e.mutability.is_some() => {
                let place = self.place(&e.expr)?;
                quote_spanned!(span=> #place.elements())
            }
            Expr::MethodCall(e) if e.method == "iter_mut" => self.places(&e.receiver, span)?,
            Expr::MethodCall(e) => return self.adapted(e, pat),
            Expr::Paren(e) => return self.elements(&e.expr, pat),
            _ => return None,
        };
        let syn::Pat::Ident(element) = pat else { return None };
        Some((places, vec![element.ident.clone()]))
    }

    /// `v.iter_mut()` of a variable or of memory; a variable of the host has Rust's own.
    fn places(&mut self, of: &Expr, span: proc_macro2::Span) -> Option<TokenStream> {
        if let Some(place) = self.place(of) {
            return Some(quote_spanned!(span=> #place.elements()));
        }
        if self.comptime(of).is_some() {
            return None;
        }
        let memory = self.expr(of, Wants::Operand);
        Some(quote_spanned!(span=> #memory.iter_mut()))
    }

    /// Adaptors between `iter_mut` and the head of the `for`.
    fn adapted(
        &mut self,
        e: &syn::ExprMethodCall,
        pat: &syn::Pat,
    ) -> Option<(TokenStream, Vec<Ident>)> {
        let (span, method) = (e.span(), &e.method);
        let parts = || match pat {
            syn::Pat::Tuple(pat) if pat.elems.len() == 2 => Some((&pat.elems[0], &pat.elems[1])),
            _ => None,
        };
        match (method.to_string().as_str(), e.args.first()) {
            ("enumerate", None) => {
                let (over, elements) = self.elements(&e.receiver, parts()?.1)?;
                Some((quote_spanned!(span=> #over.enumerate()), elements))
            }
            ("rev", None) | ("skip" | "take" | "step_by", Some(_)) => {
                let (over, elements) = self.elements(&e.receiver, pat)?;
                let argument = e.args.first().map(|arg| self.expr(arg, Wants::Operand));
                Some((quote_spanned!(span=> #over.#method(#argument)), elements))
            }
            ("zip", Some(other)) => {
                let (left, right) = parts()?;
                let sides = [(&*e.receiver, left), (other, right)]
                    .map(|(side, pat)| (side, self.elements(side, pat)));
                if sides.iter().all(|(_, elements)| elements.is_none()) {
                    return None;
                }
                let mut all = Vec::new();
                let [over, other] = sides.map(|(side, elements)| match elements {
                    Some((over, elements)) => {
                        all.extend(elements);
                        over
                    }
                    None => self.expr(side, Wants::Operand),
                });
                Some((quote_spanned!(span=> #over.zip(#other)), all))
            }
            _ => None,
        }
    }

    /// The innermost loop, or what the label names.
    fn target(&mut self, label: Option<&syn::Lifetime>) -> Option<&mut Target> {
        let name = label.map(|l| l.ident.to_string());
        self.targets.iter_mut().rev().find(|t| match &name {
            Some(_) => t.label == name,
            None => !t.is_block,
        })
    }

    pub(crate) fn break_expr(&mut self, e: &syn::ExprBreak) -> TokenStream {
        let span = e.span();
        let m = library(span);
        let how = e.expr.as_ref().map(|v| self.spelling(v));
        let value = e.expr.as_ref().map(|v| {
            let wants = left_wants(self.spelling(v));
            self.expr(v, wants)
        });
        let Some(target) = self.target(e.label.as_ref()) else {
            return self.no_target("break", e.label.as_ref(), span);
        };
        if value.is_some() && !target.takes_value {
            return self.error(
                span,
                "`for` and `while` have no value to `break` with: assign to a `let mut` before it, \
                 or use `loop`",
            );
        }
        let (state, is_block) = (target.state.clone(), target.is_block);
        match value {
            Some(value) => {
                target.has_value = true;
                match how {
                    Some(Spelling::Typed) => quote_spanned!(span=> #state.brk_typed(#value)),
                    Some(Spelling::Option) => quote_spanned!(span=> #state.brk_option(#value)),
                    Some(Spelling::Int) => quote_spanned!(span=> #state.brk_int(#value)),
                    Some(Spelling::Float) => quote_spanned!(span=> #state.brk_float(#value)),
                    _ => quote_spanned!(span=> #state.brk_with(#value)),
                }
            }
            None if is_block => quote_spanned!(span=> #state.brk_with(())),
            None => quote_spanned!(span=> #m::Jump::brk(&#state)),
        }
    }

    /// `break` or `continue` that leads nowhere.
    fn no_target(
        &mut self,
        jump: &str,
        label: Option<&syn::Lifetime>,
        span: proc_macro2::Span,
    ) -> TokenStream {
        match label {
            Some(label) => {
                let text =
                    format!("nothing around this in the kernel or closure is named `{label}`");
                self.error(label.span(), text)
            }
            None => self.error(span, format!("`{jump}` is in no loop of this kernel or closure")),
        }
    }

    pub(crate) fn continue_expr(&mut self, e: &syn::ExprContinue) -> TokenStream {
        let m = library(e.span());
        match self.target(e.label.as_ref()) {
            Some(target) => {
                let state = target.state.clone();
                quote_spanned!(e.span()=> #m::Jump::cont(&#state))
            }
            None => self.no_target("continue", e.label.as_ref(), e.span()),
        }
    }

    pub(crate) fn return_expr(&mut self, e: &syn::ExprReturn) -> TokenStream {
        let span = e.span();
        let m = library(span);
        let how = e.expr.as_ref().map(|v| self.spelling(v));
        let value = e.expr.as_ref().map(|v| {
            let wants = left_wants(self.spelling(v));
            self.expr(v, wants)
        });
        match (&self.returns, value) {
            (Return::Kernel, None) => quote_spanned!(span=> #m::ret()),
            (Return::Kernel, Some(_)) => {
                self.error(span, "a kernel returns nothing: write results to a `&mut` parameter")
            }
            (Return::Device(body), Some(value)) if how == Some(Spelling::Int) => {
                quote_spanned!(span=> #body.brk_int(#value))
            }
            (Return::Device(body), Some(value)) if how == Some(Spelling::Float) => {
                quote_spanned!(span=> #body.brk_float(#value))
            }
            (Return::Device(body), Some(value)) if how == Some(Spelling::Option) => {
                quote_spanned!(span=> #body.brk_option(#value))
            }
            (Return::Device(body), Some(value)) if how == Some(Spelling::Typed) => {
                quote_spanned!(span=> #body.brk_typed(#value))
            }
            (Return::Device(body), value) => {
                let body = body.clone();
                let value = value.unwrap_or_else(|| quote!(()));
                quote_spanned!(span=> #body.brk_with(#value))
            }
        }
    }
}
