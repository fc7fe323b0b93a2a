//! `#[device]`: functions and methods that kernels call. They are inlined where they are called.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::visit::Visit;
use syn::{FnArg, Ident, ImplItem, ItemFn, ItemImpl, ItemTrait, Pat, Signature, TraitItem, Type};

use crate::block::is_comptime;
use crate::cases::Tail;
use crate::library;
use crate::literal::Wants;
use crate::scope::{Kind, Return, Rewriter};
use crate::types::Types;

/// The arguments of `#[device(..)]`.
#[derive(Default)]
pub(crate) struct Options {
    /// `host`: also keep the function as it is written, as `name::host`. The device functions that
    /// it calls are named, `host(f, g)`, so that it calls their host versions.
    host: Option<Vec<Ident>>,
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> syn::Result<Options> {
        let mut options = Options::default();
        while !input.is_empty() {
            let name: Ident = input.parse()?;
            match name.to_string().as_str() {
                "host" if input.peek(syn::token::Paren) => {
                    let names;
                    syn::parenthesized!(names in input);
                    let names = names.parse_terminated(Ident::parse, syn::Token![,])?;
                    options.host = Some(names.into_iter().collect());
                }
                "host" => options.host = Some(Vec::new()),
                _ => return Err(syn::Error::new(name.span(), "expected `host`")),
            }
            if !input.is_empty() {
                input.parse::<syn::Token![,]>()?;
            }
        }
        Ok(options)
    }
}

pub(crate) fn expand(options: Options, item: TokenStream) -> syn::Result<TokenStream> {
    if let Ok(function) = syn::parse2::<ItemFn>(item.clone()) {
        return function_item(&options, &function);
    }
    let other = syn::parse2::<syn::Item>(item.clone())?;
    if options.host.is_some() {
        return Err(syn::Error::new_spanned(
            first(&item),
            "`host` goes on functions, not on `impl` blocks and traits",
        ));
    }
    match other {
        syn::Item::Impl(block) => impl_block(block),
        syn::Item::Trait(definition) => trait_definition(definition),
        _ => Err(syn::Error::new_spanned(
            first(&item),
            "#[device] goes on a function, an `impl` block or a trait",
        )),
    }
}

/// The first token, at which an error about the whole item is told.
fn first(item: &TokenStream) -> Option<proc_macro2::TokenTree> {
    item.clone().into_iter().next()
}

/// A trait whose methods are device functions.
fn trait_definition(definition: ItemTrait) -> syn::Result<TokenStream> {
    let ItemTrait { attrs, vis, ident, generics, supertraits, items, unsafety, .. } = &definition;
    let mut types = Types::default();
    types.add(generics);
    let (params, where_clause) = types.generics(generics);
    let params = if params.is_empty() { quote!() } else { quote!(<#(#params),*>) };
    let colon = (!supertraits.is_empty()).then(|| quote!(:));
    let mut out = Vec::new();
    for item in items {
        out.push(match item {
            TraitItem::Fn(f) => {
                let attrs = &f.attrs;
                match &f.default {
                    Some(block) => {
                        let (staged, allow) = (staged_function(&types, &f.sig, block)?, allowed());
                        quote!(#(#attrs)* #allow #staged)
                    }
                    None => {
                        let signature = declaration(&types, &f.sig);
                        quote!(#(#attrs)* #signature;)
                    }
                }
            }
            other => quote!(#other),
        });
    }
    Ok(quote_spanned! {ident.span()=>
        #(#attrs)* #vis #unsafety trait #ident #params #colon #supertraits #where_clause { #(#out)* }
    })
}

/// The signature of a function without a body.
fn declaration(outer: &Types, sig: &Signature) -> TokenStream {
    let mut types = outer.clone();
    types.add(&sig.generics);
    let inputs = sig.inputs.iter().map(|input| match input {
        FnArg::Receiver(receiver) => quote!(#receiver),
        FnArg::Typed(typed) => {
            let pat = &typed.pat;
            let ty = match (is_comptime(&typed.attrs), &typed.ty) {
                (true, ty) => quote!(#ty),
                (false, ty) => types.staged(ty),
            };
            quote_spanned!(typed.span()=> #pat: #ty)
        }
    });
    let inputs: Vec<_> = inputs.collect();
    let output = output(&types, sig);
    let (generics, where_clause) = types.generics(&sig.generics);
    let generics = if generics.is_empty() { quote!() } else { quote!(<#(#generics),*>) };
    let Signature { unsafety, ident, .. } = sig;
    quote_spanned!(sig.span()=> #unsafety fn #ident #generics (#(#inputs),*) #output #where_clause)
}

fn output(types: &Types, sig: &Signature) -> TokenStream {
    match &sig.output {
        syn::ReturnType::Default => quote!(),
        syn::ReturnType::Type(arrow, ty) => {
            let ty = types.staged(ty);
            quote!(#arrow #ty)
        }
    }
}

fn function_item(options: &Options, function: &ItemFn) -> syn::Result<TokenStream> {
    let ItemFn { attrs, vis, sig, block } = function;
    let staged = staged_function(&Types::default(), sig, block)?;
    let host = options.host.as_ref().map(|called| {
        let name = &sig.ident;
        // What lints the function may break it may break here too.
        let lints =
            attrs.iter().filter(|a| a.path().is_ident("allow") || a.path().is_ident("expect"));
        let mut host = sig.clone();
        host.ident = Ident::new("host", name.span());
        quote! {
            #vis mod #name {
                use super::*;
                #(use super::#called::host as #called;)*
                /// The function as plain Rust, for the host.
                #(#lints)*
                pub #host #block
            }
        }
    });
    let allow = allowed();
    Ok(quote! { #(#attrs)* #allow #vis #staged #host })
}

fn impl_block(block: ItemImpl) -> syn::Result<TokenStream> {
    let ItemImpl { attrs, generics, self_ty, items, trait_, unsafety, .. } = &block;
    let mut types = Types::default();
    types.add(generics);
    let (params, where_clause) = types.generics(generics);
    let params = if params.is_empty() { quote!() } else { quote!(<#(#params),*>) };
    let trait_ = trait_.as_ref().map(|(not, path, for_)| quote!(#not #path #for_));
    let mut out = Vec::new();
    for item in items {
        out.push(match item {
            ImplItem::Fn(f) => {
                let (attrs, vis) = (&f.attrs, &f.vis);
                let staged = staged_function(&types, &f.sig, &f.block)?;
                let allow = allowed();
                quote!(#(#attrs)* #allow #vis #staged)
            }
            other => quote!(#other),
        });
    }
    Ok(quote_spanned! {block.impl_token.span=>
        #(#attrs)* #unsafety impl #params #trait_ #self_ty #where_clause { #(#out)* }
    })
}

/// Lints that are about the code as it was written; the user's own are checked on what they wrote.
fn allowed() -> TokenStream {
    quote!(#[allow(clippy::all, clippy::pedantic, unused_parens, unused_braces)])
}

/// Whether a body has a `return` of its own.
pub(crate) fn has_return(body: &syn::Expr) -> bool {
    let mut finder = Returns(false);
    finder.visit_expr(body);
    finder.0
}

/// Whether a block has a `return` of its own.
fn block_returns(block: &syn::Block) -> bool {
    let mut finder = Returns(false);
    finder.visit_block(block);
    finder.0
}

/// Looks for `return`.
struct Returns(bool);

/// Whether `return` is among tokens. What they mean is the macro's, so none is looked for closely.
fn mentions_return(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        proc_macro2::TokenTree::Ident(ident) => ident == "return",
        proc_macro2::TokenTree::Group(group) => mentions_return(group.stream()),
        _ => false,
    })
}

impl<'a> Visit<'a> for Returns {
    /// The arguments of `matches!` and `assert!` are expressions.
    fn visit_macro(&mut self, mac: &'a syn::Macro) {
        self.0 |= mentions_return(mac.tokens.clone());
    }
    fn visit_expr_return(&mut self, _: &'a syn::ExprReturn) {
        self.0 = true;
    }
    fn visit_expr_closure(&mut self, _: &'a syn::ExprClosure) {}
    fn visit_item(&mut self, _: &'a syn::Item) {}
}
/// The signature and body of the staged function.
fn staged_function(outer: &Types, sig: &Signature, block: &syn::Block) -> syn::Result<TokenStream> {
    let m = library(Span::call_site());
    if let Some(asyncness) = &sig.asyncness {
        return Err(syn::Error::new(asyncness.span, "device functions are not async"));
    }
    let mut types = outer.clone();
    types.add(&sig.generics);
    let early = block_returns(block);
    let state = Ident::new("__ks_body", Span::mixed_site());
    let mut rewriter = Rewriter::new(types.clone(), Return::Device(state.clone()));
    let mut inputs = Vec::new();
    let mut entry = Vec::new();
    let mut exit = Vec::new();
    for input in &sig.inputs {
        inputs.push(parameter(&mut rewriter, input, &mut entry, &mut exit));
    }
    let output = output(&types, sig);
    let tail = if early { Tail::Body(&state) } else { Tail::Value(Wants::Value) };
    let body = rewriter.block_with(block, tail);
    rewriter.finish()?;
    // A wrong `return` is reported by the function's type, not by the first one.
    let of = match &sig.output {
        syn::ReturnType::Type(_, ty) if !matches!(**ty, Type::ImplTrait(_)) => {
            let ty = types.staged(ty);
            quote!(: #m::Body<#ty>)
        }
        _ => quote!(),
    };
    let body = match early {
        false => body,
        true => quote!({
            let #state #of = #m::Body::begin();
            #body
            #state.end()
        }),
    };
    // At the name: where a recursion without end is reported.
    let (frame, text) = (library(sig.ident.span()), sig.ident.to_string());
    let frame = quote_spanned!(sig.ident.span()=> let __ks_frame = #frame::Frame::enter(#text););
    let body = if exit.is_empty() {
        quote!(#(#entry)* #body)
    } else {
        quote!(#(#entry)* let __ks_result = #body; #(#exit)* __ks_result)
    };
    let (generics, where_clause) = types.generics(&sig.generics);
    let generics = if generics.is_empty() { quote!() } else { quote!(<#(#generics),*>) };
    let Signature { unsafety, ident, .. } = sig;
    Ok(quote_spanned! {sig.span()=>
        #unsafety fn #ident #generics (#(#inputs),*) #output #where_clause { #frame #body }
    })
}

/// A parameter of the staged function. Those the body may change become variables at entry;
/// `&mut` ones are written back at exit.
fn parameter(
    rewriter: &mut Rewriter,
    input: &FnArg,
    entry: &mut Vec<TokenStream>,
    exit: &mut Vec<TokenStream>,
) -> TokenStream {
    let m = library(Span::call_site());
    match input {
        FnArg::Receiver(receiver) => {
            let by_reference = receiver.reference.is_some();
            if receiver.mutability.is_some() {
                let kind = if by_reference { Kind::Reference } else { Kind::Variable };
                rewriter.declare(&Ident::new("self", receiver.span()), kind);
                let variable = Ident::new("__ks_self", receiver.span());
                let value = if by_reference { quote!(&*self) } else { quote!(&self) };
                entry.push(quote! {
                    let #variable = #m::var("self", ::core::clone::Clone::clone(#value));
                });
                if by_reference {
                    exit.push(quote!(*self = #variable.get();));
                }
            }
            if by_reference { quote!(#receiver) } else { quote!(self) }
        }
        FnArg::Typed(typed) => {
            let mut pat = (*typed.pat).clone();
            let mutable = rewriter.bind(&mut pat);
            let ty = if is_comptime(&typed.attrs) {
                let ty = &typed.ty;
                quote!(#ty)
            } else {
                rewriter.types.staged(&typed.ty)
            };
            for name in mutable {
                rewriter.declare(&name, Kind::Variable);
                let text = name.to_string();
                entry.push(quote!(let #name = #m::var(#text, #name);));
            }
            if let (Type::Reference(reference), Pat::Ident(p)) = (&*typed.ty, &pat)
                && reference.mutability.is_some()
                && !matches!(&*reference.elem, Type::Slice(_))
                && !is_view(&reference.elem)
                && !is_comptime(&typed.attrs)
            {
                let name = &p.ident;
                let (text, out) = (name.to_string(), rewriter.fresh("out"));
                rewriter.declare(name, Kind::Reference);
                entry.push(quote! {
                    let #out = #name;
                    let #name = #m::var(#text, ::core::clone::Clone::clone(&*#out));
                });
                exit.push(quote!(*#out = #name.get();));
            }
            quote!(#pat: #ty)
        }
    }
}

fn is_view(ty: &Type) -> bool {
    matches!(ty, Type::Path(p) if p.path.segments.last().is_some_and(|s| s.ident == "View" || s.ident == "Part"))
}
