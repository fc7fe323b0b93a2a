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
                (false, ty) => types.parameter(ty),
            };
            quote_spanned!(typed.span()=> #pat: #ty)
        }
    });
    let inputs: Vec<_> = inputs.collect();
    let output = types.output(&sig.output);
    let (generics, where_clause) = types.generics(&sig.generics);
    let generics = if generics.is_empty() { quote!() } else { quote!(<#(#generics),*>) };
    let Signature { unsafety, ident, .. } = sig;
    quote_spanned!(sig.span()=> #unsafety fn #ident #generics (#(#inputs),*) #output #where_clause)
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
    if let Some((None, path, _)) = trait_
        && path.segments.last().is_some_and(|last| last.ident == "PartialEq")
    {
        return equality(&block, path, &types);
    }
    let operator = trait_.as_ref().is_some_and(|(_, path, _)| is_of_values(path));
    let literal = trait_.as_ref().and_then(|(_, path, _)| of_literals(path, &types, &block));
    let self_ty = match (operator, &**self_ty) {
        (true, ty) if types.scalar(ty) => types.staged(ty),
        (_, ty) => quote!(#ty),
    };
    let trait_ = trait_.as_ref().map(|(not, path, for_)| {
        let path = if operator { types.of_values(path) } else { quote!(#path) };
        quote!(#not #path #for_)
    });
    let mut out = Vec::new();
    for item in items {
        out.push(match item {
            ImplItem::Fn(f) => {
                let (attrs, vis) = (&f.attrs, &f.vis);
                let staged = staged_function(&types, &f.sig, &f.block)?;
                let allow = allowed();
                quote!(#(#attrs)* #allow #vis #staged)
            }
            ImplItem::Type(item) if operator => {
                let mut item = item.clone();
                item.ty = Type::Verbatim(types.staged(&item.ty));
                quote!(#item)
            }
            other => quote!(#other),
        });
    }
    Ok(quote_spanned! {block.impl_token.span=>
        #(#attrs)* #unsafety impl #params #trait_ #self_ty #where_clause { #(#out)* }
        #literal
    })
}

/// `impl PartialEq for S`: what `==` and `!=` mean, which in kernels give a `Val<bool>`.
fn equality(block: &ItemImpl, path: &syn::Path, types: &Types) -> syn::Result<TokenStream> {
    let ItemImpl { attrs, generics, self_ty, items, .. } = block;
    let m = library(block.impl_token.span);
    let right = match &path.segments.last().expect("asked before").arguments {
        syn::PathArguments::AngleBracketed(arguments) => {
            let arguments = &arguments.args;
            quote!(#arguments)
        }
        _ => quote!(#self_ty),
    };
    let eq = items.iter().find_map(|item| match item {
        ImplItem::Fn(f) if f.sig.ident == "eq" => Some(f),
        _ => None,
    });
    let Some(eq) = eq else {
        return Err(syn::Error::new_spanned(self_ty, "`PartialEq` has a function `eq`"));
    };
    let (staged, allow) = (staged_function(types, &eq.sig, &eq.block)?, allowed());
    let (params, where_clause) = types.generics(generics);
    let params = if params.is_empty() { quote!() } else { quote!(<#(#params),*>) };
    Ok(quote_spanned! {block.impl_token.span=>
        const _: () = {
            trait Equality<R> {
                fn eq(&self, other: &R) -> #m::Val<bool>;
            }

            #(#attrs)*
            impl #params Equality<#right> for #self_ty #where_clause { #allow #staged }

            impl #params #m::Compare<#right> for #self_ty #where_clause {
                type Out = #m::Val<bool>;
                #[track_caller]
                fn compare(self, op: #m::Opcode, right: #right) -> #m::Val<bool> {
                    #m::equality(op, Equality::eq(&self, &right))
                }
            }
        };
    })
}

/// Operators of Rust that take two values.
const OPERATORS: [(&str, &str); 10] = [
    ("Add", "add"),
    ("Sub", "sub"),
    ("Mul", "mul"),
    ("Div", "div"),
    ("Rem", "rem"),
    ("BitAnd", "bitand"),
    ("BitOr", "bitor"),
    ("BitXor", "bitxor"),
    ("Shl", "shl"),
    ("Shr", "shr"),
];

/// Whether a trait is one of Rust's, about values: its types are those of kernels.
fn is_of_values(path: &syn::Path) -> bool {
    path.segments.last().is_some_and(|last| {
        let name = last.ident.to_string();
        let operator = name.strip_suffix("Assign").unwrap_or(&name);
        OPERATORS.iter().any(|(known, _)| *known == operator)
            || ["From", "Into", "Neg", "Not"].contains(&name.as_str())
    })
}

/// `impl Mul<f32> for Complex` is for literals too: `z * 2.0`.
fn of_literals(path: &syn::Path, types: &Types, block: &ItemImpl) -> Option<TokenStream> {
    let last = path.segments.last()?;
    let (_, method) = OPERATORS.iter().find(|(name, _)| last.ident == name)?;
    let syn::PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    let Some(syn::GenericArgument::Type(right)) = arguments.args.first() else { return None };
    // A generic number may be any type, for all that rustc knows.
    let concrete = matches!(right, Type::Path(p) if p.path.get_ident().is_some_and(|i| crate::types::is_scalar(&i.to_string())));
    if !concrete || types.scalar(&block.self_ty) {
        return None;
    }
    let m = library(block.impl_token.span);
    let staged = types.of_values(path);
    let (method, self_ty) = (Ident::new(method, last.ident.span()), &block.self_ty);
    let (params, where_clause) = types.generics(&block.generics);
    let params = if params.is_empty() { quote!() } else { quote!(<#(#params),*>) };
    Some(quote_spanned! {block.impl_token.span=>
        impl #params #path for #self_ty #where_clause {
            type Output = <#self_ty as #staged>::Output;
            #[track_caller]
            fn #method(self, right: #right) -> Self::Output {
                <#self_ty as #staged>::#method(self, #m::Val::from(right))
            }
        }
    })
}

/// Traits whose methods the expansion of a body calls.
pub(crate) fn traits() -> TokenStream {
    let m = library(Span::call_site());
    quote!(
        #[allow(unused_imports)]
        use #m::{
            HostSubject as _, IteratorReceiver as _, OtherReceiver as _, RunSubject as _, UserOperators as _,
        };
    )
}

/// Lints that are about the code as it was written; the user's own are checked on what they wrote.
fn allowed() -> TokenStream {
    quote!(
        #[allow(
            clippy::all,
            clippy::pedantic,
            unused_parens,
            unused_braces,
            redundant_semicolons
        )]
    )
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
    fn visit_expr_try(&mut self, _: &'a syn::ExprTry) {
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
    if let syn::ReturnType::Type(_, ty) = &sig.output
        && matches!(&**ty, Type::Reference(r) if r.mutability.is_some() && !is_memory(&r.elem))
    {
        return Err(syn::Error::new(
            ty.span(),
            "device functions do not return `&mut`: what it refers to is written back where the \
             function ends; return a value",
        ));
    }
    let mut types = outer.clone();
    types.add(&sig.generics);
    let early = block_returns(block);
    let state = Ident::new("__ks_body", Span::mixed_site());
    let mut rewriter = Rewriter::new(types.clone(), Return::Device(state.clone()));
    rewriter.gives_option = crate::types::gives_option(&sig.output);
    let mut inputs = Vec::new();
    let mut entry = Vec::new();
    let mut exit = Vec::new();
    for input in &sig.inputs {
        inputs.push(parameter(&mut rewriter, input, &mut entry, &mut exit));
    }
    let output = types.output(&sig.output);
    let tail = if early { Tail::Body(&state, Wants::Value) } else { Tail::Value(Wants::Value) };
    let body = rewriter.block_with(block, tail);
    if let Err(error) = rewriter.finish() {
        return Ok(mistaken(&types, sig, &error));
    }
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
    let body = match &sig.output {
        syn::ReturnType::Type(_, ty) => types.conversion(ty, &body).unwrap_or(body),
        syn::ReturnType::Default => body,
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
    let traits = traits();
    Ok(quote_spanned! {sig.span()=>
        #unsafety fn #ident #generics (#(#inputs),*) #output #where_clause { #traits #frame #body }
    })
}

/// A function with mistakes: its signature, so that callers are not told that it is missing.
fn mistaken(types: &Types, sig: &Signature, error: &syn::Error) -> TokenStream {
    let (signature, errors) = (declaration(types, sig), error.to_compile_error());
    let lints = quote!(#[allow(unused_variables, unused_mut, unreachable_code)]);
    match &sig.output {
        syn::ReturnType::Type(_, ty) if matches!(**ty, Type::ImplTrait(_)) => errors,
        _ => quote!(#lints #signature { #errors ::core::unreachable!() }),
    }
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
            // As it is written: in a `macro_rules!` another `self` is not meant.
            let this = &receiver.self_token;
            if receiver.mutability.is_some() {
                let kind = if by_reference { Kind::Reference } else { Kind::Variable };
                rewriter.declare(&Ident::new("self", receiver.span()), kind);
                let variable = Ident::new("__ks_self", receiver.span());
                let value = if by_reference { quote!(&*#this) } else { quote!(&#this) };
                entry.push(quote! {
                    let #variable = #m::var("self", ::core::clone::Clone::clone(#value));
                });
                if by_reference {
                    exit.push(quote!(*#this = #variable.get();));
                }
            }
            if by_reference { quote!(#receiver) } else { quote!(#this) }
        }
        FnArg::Typed(typed) => {
            let mut pat = (*typed.pat).clone();
            let mutable = rewriter.bind(&mut pat);
            let ty = if is_comptime(&typed.attrs) {
                let ty = &typed.ty;
                quote!(#ty)
            } else {
                if let Pat::Ident(p) = &pat {
                    received(rewriter, &p.ident, &typed.ty, entry, exit);
                }
                rewriter.types.parameter(&typed.ty)
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

/// What was passed for a parameter becomes what the body knows.
fn received(
    rewriter: &mut Rewriter,
    name: &Ident,
    ty: &Type,
    entry: &mut Vec<TokenStream>,
    exit: &mut Vec<TokenStream>,
) {
    let m = library(name.span());
    let value = rewriter.types.conversion(ty, &quote!(#name));
    entry.extend(value.map(|value| quote!(let #name = #value;)));
    match crate::types::slice_of(ty) {
        Some((_, false)) => entry.push(quote!(let #name = #m::IntoSlice::into_slice(#name);)),
        Some((_, true)) => {
            let (passed, slice) = (rewriter.fresh("passed"), rewriter.fresh("slice"));
            entry.push(quote! {
                let #passed = #name;
                let #name = #m::IntoSliceMut::slice(&#passed);
                let #slice = #name;
            });
            exit.push(quote!(#m::IntoSliceMut::take_back(#passed, #slice);));
        }
        None => {}
    }
}

/// What a `&mut` to is a handle of memory.
fn is_memory(ty: &Type) -> bool {
    matches!(ty, Type::Slice(_)) || is_view(ty)
}

fn is_view(ty: &Type) -> bool {
    matches!(ty, Type::Path(p) if p.path.segments.last().is_some_and(|s| s.ident == "View" || s.ident == "Part"))
}
