//! `#[kernel]`: the staged function, the launch function, and the function that gives the IR.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Expr, FnArg, GenericParam, Ident, Item, ItemFn, Pat, Type};

use crate::block::is_comptime;
use crate::contract;
use crate::library;
use crate::scope::{Kind, Return, Rewriter};
use crate::types::Types;

/// The arguments of `#[kernel(..)]`.
#[derive(Default)]
pub(crate) struct Options {
    /// `block = [x, y, z]`: the block size of every launch.
    block: Option<Expr>,
    /// `cluster = [x, y, z]`: the blocks of a cluster of every launch.
    cluster: Option<Expr>,
    /// `requires = (x.len() >= n, ..)`: the launch contract.
    requires: Vec<TokenStream>,
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> syn::Result<Options> {
        let mut options = Options::default();
        while !input.is_empty() {
            let name: Ident = input.parse()?;
            input.parse::<syn::Token![=]>()?;
            match name.to_string().as_str() {
                "block" => options.block = Some(input.parse()?),
                "cluster" => options.cluster = Some(input.parse()?),
                "requires" => options.requires.extend(contract::requirements(input.parse()?)?),
                _ => {
                    return Err(syn::Error::new(
                        name.span(),
                        "expected `block = x`, `block = [x, y]`, `block = [x, y, z]`, \
                         `cluster = x` (or `[x, y]`, `[x, y, z]`) or `requires = (x.len() >= n, ..)`",
                    ));
                }
            }
            if !input.is_empty() {
                input.parse::<syn::Token![,]>()?;
            }
        }
        Ok(options)
    }
}

/// What a parameter is to the launch.
enum Role {
    /// A number, by value.
    Scalar,
    /// `&[T]`.
    Slice(Type),
    /// `&mut [T]`.
    SliceMut(Type),
    /// `&View<T, R>`, with its arguments.
    View(TokenStream),
    /// `&mut View<T, R>`.
    ViewMut(TokenStream),
    /// `&mut Part<T, R>`.
    Part(TokenStream),
    /// `&TensorMap<T, R>`.
    TensorMap(TokenStream),
    /// `&mut TensorMap<T, R>`.
    TensorMapMut(TokenStream),
    /// `Option` of one of these: its presence is known while staging.
    Optional(Box<Role>),
    /// A value of the host.
    Comptime,
    /// A function of the host: an epilogue, say.
    Function,
}

struct Parameter {
    name: Ident,
    mutable: bool,
    ty: Type,
    role: Role,
}

pub(crate) fn expand(options: Options, item: Item) -> syn::Result<TokenStream> {
    let Item::Fn(mut function) = item else {
        let first = quote!(#item).into_iter().next();
        return Err(syn::Error::new_spanned(first, "#[kernel] goes on a function"));
    };
    check_signature(&function)?;
    name_impl_traits(&mut function);
    let mut types = Types::default();
    types.add(&function.sig.generics);
    let parameters = parameters(&function, &types)?;
    keep_functions_simple(&mut function, &parameters);
    let staged = staged(&function, &types, &parameters, &options.requires)?;
    let host = host(&options, &function, &types, &parameters);
    Ok(quote!(#staged #host))
}

fn check_signature(function: &ItemFn) -> syn::Result<()> {
    let sig = &function.sig;
    if let syn::ReturnType::Type(_, ty) = &sig.output {
        return Err(syn::Error::new(
            ty.span(),
            "a kernel returns nothing: write results to a `&mut` parameter",
        ));
    }
    if let Some(token) = &sig.asyncness {
        return Err(syn::Error::new(token.span, "kernels are not async: launches already are"));
    }
    if let Some(token) = &sig.constness {
        return Err(syn::Error::new(token.span, "kernels cannot be const"));
    }
    if let Some(token) = &sig.unsafety {
        return Err(syn::Error::new(
            token.span,
            "a kernel is not unsafe: put `unsafe` around what is, with the reason why it is sound",
        ));
    }
    if let Some(abi) = &sig.abi {
        return Err(syn::Error::new(abi.span(), "a kernel has no ABI of the host: leave it out"));
    }
    for param in &sig.generics.params {
        if let GenericParam::Lifetime(lifetime) = param {
            return Err(syn::Error::new(
                lifetime.span(),
                "kernels have no lifetime parameters: leave them out",
            ));
        }
    }
    Ok(())
}

/// `f: impl Fn(f32) -> f32` becomes a named parameter, so that the function can be named.
fn name_impl_traits(function: &mut ItemFn) {
    let mut count = 0;
    for input in &mut function.sig.inputs {
        if let FnArg::Typed(typed) = input
            && let Type::ImplTrait(imp) = &*typed.ty
        {
            let name = format_ident!("__KsFn{count}");
            count += 1;
            let bounds = &imp.bounds;
            let param: GenericParam = syn::parse_quote!(#name: #bounds);
            function.sig.generics.params.push(param);
            *typed.ty = syn::parse_quote!(#name);
        }
    }
}

/// Functions that kernels take are known while staging, for as long as compiled kernels are kept.
fn keep_functions_simple(function: &mut ItemFn, parameters: &[Parameter]) {
    let is_function = |ident: &Ident| {
        parameters.iter().any(|p| {
            matches!(p.role, Role::Function)
                && matches!(&p.ty, Type::Path(ty) if ty.path.is_ident(ident))
        })
    };
    for param in function.sig.generics.type_params_mut() {
        if is_function(&param.ident) {
            param.bounds.push(syn::parse_quote!(::core::marker::Copy));
            param.bounds.push(syn::parse_quote!('static));
        }
    }
}

fn parameters(function: &ItemFn, types: &Types) -> syn::Result<Vec<Parameter>> {
    let mut out = Vec::new();
    for input in &function.sig.inputs {
        let FnArg::Typed(typed) = input else {
            return Err(syn::Error::new(input.span(), "a kernel is a function, not a method"));
        };
        let Pat::Ident(pat) = &*typed.pat else {
            return Err(syn::Error::new(
                typed.pat.span(),
                "parameters of kernels are plain names: take them apart inside",
            ));
        };
        let role = if is_comptime(&typed.attrs) {
            Role::Comptime
        } else {
            role(&typed.ty, types, function)?
        };
        out.push(Parameter {
            name: pat.ident.clone(),
            mutable: pat.mutability.is_some(),
            ty: (*typed.ty).clone(),
            role,
        });
    }
    Ok(out)
}

fn role(ty: &Type, types: &Types, function: &ItemFn) -> syn::Result<Role> {
    let unsupported = || {
        syn::Error::new(
            ty.span(),
            "parameters of kernels are numbers, `&[T]`, `&mut [T]`, `&View<T, R>`, \
             `&mut View<T, R>`, `&mut Part<T, R>`, `&TensorMap<T, R>`, `&mut TensorMap<T, R>`, \
             options of these, functions, and host values marked `#[comptime]`",
        )
    };
    if types.scalar(ty) {
        if matches!(ty, Type::Path(p) if p.path.is_ident("bool")) {
            return Err(syn::Error::new(
                ty.span(),
                "a `bool` parameter is a number (`u32`) or `#[comptime]`",
            ));
        }
        return Ok(Role::Scalar);
    }
    match ty {
        Type::Reference(r) => match (&*r.elem, r.mutability.is_some()) {
            (Type::Slice(slice), false) => Ok(Role::Slice((*slice.elem).clone())),
            (Type::Slice(slice), true) => Ok(Role::SliceMut((*slice.elem).clone())),
            (Type::Path(p), mutable) => match p.path.segments.last() {
                Some(s) if s.ident == "Part" && !mutable => Err(syn::Error::new(
                    ty.span(),
                    "a thread's part of an output is its own to write: `&mut Part<T, R>`",
                )),
                Some(s) if ["View", "Part", "TensorMap"].iter().any(|name| s.ident == name) => {
                    let syn::PathArguments::AngleBracketed(arguments) = &s.arguments else {
                        return Err(unsupported());
                    };
                    let arguments = &arguments.args;
                    let arguments = quote!(#arguments);
                    Ok(match (s.ident.to_string().as_str(), mutable) {
                        ("Part", _) => Role::Part(arguments),
                        ("TensorMap", true) => Role::TensorMapMut(arguments),
                        ("TensorMap", false) => Role::TensorMap(arguments),
                        (_, true) => Role::ViewMut(arguments),
                        (_, false) => Role::View(arguments),
                    })
                }
                _ => Err(unsupported()),
            },
            _ => Err(unsupported()),
        },
        Type::Path(p) => {
            let last = p.path.segments.last().ok_or_else(unsupported)?;
            if last.ident == "Option"
                && let syn::PathArguments::AngleBracketed(a) = &last.arguments
                && let Some(syn::GenericArgument::Type(inner)) = a.args.first()
            {
                return Ok(Role::Optional(Box::new(role(inner, types, function)?)));
            }
            let is_function = p.path.get_ident().is_some_and(|ident| {
                let params = function.sig.generics.type_params();
                params.into_iter().any(|t| t.ident == *ident)
            });
            if is_function { Ok(Role::Function) } else { Err(unsupported()) }
        }
        _ => Err(unsupported()),
    }
}

fn staged_name(function: &ItemFn) -> Ident {
    format_ident!("__ks_stage_{}", function.sig.ident)
}

/// Whether a name is among tokens.
fn mentions(tokens: TokenStream, name: &Ident) -> bool {
    tokens.into_iter().any(|token| match token {
        proc_macro2::TokenTree::Ident(ident) => ident == *name,
        proc_macro2::TokenTree::Group(group) => mentions(group.stream(), name),
        _ => false,
    })
}

/// The function that performs the kernel on the builder.
fn staged(
    function: &ItemFn,
    types: &Types,
    parameters: &[Parameter],
    requires: &[TokenStream],
) -> syn::Result<TokenStream> {
    let m = library(Span::call_site());
    let mut rewriter = Rewriter::new(types.clone(), Return::Kernel);
    let mut inputs = Vec::new();
    let mut entry = Vec::new();
    for Parameter { name, mutable, ty, role } in parameters {
        let staged = match role {
            Role::Comptime => quote!(#ty),
            Role::Optional(_) => types.host_option(ty),
            _ => types.staged(ty),
        };
        inputs.push(quote_spanned!(ty.span()=> #name: #staged));
        rewriter.declare(name, Kind::Plain);
        if *mutable {
            rewriter.declare(name, Kind::Variable);
            let text = name.to_string();
            entry.push(quote!(let #name = #m::var(#text, #name);));
        }
    }
    // A parameter that only the contract names is used.
    let mentioned = |name: &&Ident| requires.iter().any(|r| mentions(r.clone(), name));
    let used = parameters.iter().map(|p| &p.name).filter(mentioned);
    entry.extend(used.map(|name| quote!(let _ = &#name;)));
    let mut body = rewriter.unit_block(&function.block);
    if let Err(error) = rewriter.finish() {
        // With its signature there, callers are not told that the kernel is missing.
        let errors = error.to_compile_error();
        body = quote!({ #errors });
    }
    let name = staged_name(function);
    let traits = crate::device::traits();
    let (generics, where_clause) = types.generics(&function.sig.generics);
    Ok(quote_spanned! {function.sig.span()=>
        #[doc(hidden)]
        #[allow(clippy::all, clippy::pedantic, unused_parens, unused_braces, non_snake_case)]
        fn #name<#(#generics),*>(#(#inputs),*) #where_clause { #traits #(#entry)* #body }
    })
}

/// The launch function, under the kernel's name, and `NAME_ir`.
fn host(
    options: &Options,
    function: &ItemFn,
    types: &Types,
    parameters: &[Parameter],
) -> TokenStream {
    let m = library(Span::call_site());
    let ItemFn { attrs, vis, sig, .. } = function;
    let (name, text, stage) = (&sig.ident, sig.ident.to_string(), staged_name(function));
    let (generics, where_clause) = types.generics(&sig.generics);
    let arguments: Vec<_> = sig
        .generics
        .params
        .iter()
        .map(|p| match p {
            GenericParam::Type(t) => t.ident.clone(),
            GenericParam::Const(c) => c.ident.clone(),
            GenericParam::Lifetime(l) => l.lifetime.ident.clone(),
        })
        .collect();
    let turbofish = quote!(::<#(#arguments),*>);
    let inputs = parameters.iter().map(host_input);
    let pushes = parameters.iter().map(|p| push(&p.name, &p.ty, &p.role));
    let names: Vec<_> = parameters.iter().map(|p| &p.name).collect();
    let declares: Vec<_> =
        parameters.iter().map(|p| declare(p, types, Present::Captured)).collect();
    let keeps = parameters.iter().filter_map(keep);
    let block = options.block.as_ref().map(|b| quote_spanned!(b.span()=> #m::fix_block(#b);));
    let cluster = options.cluster.as_ref().map(|c| quote_spanned!(c.span()=> #m::fix_cluster(#c);));
    let shape = quote!(#block #cluster);
    let requires = &options.requires;
    let ir_name = format_ident!("{name}_ir");
    let ir_doc = format!(
        "The IR of the kernel [`{name}`] for a target, before any pass. Of optional parameters it \
         wants to know whether they are there."
    );
    let ir_inputs = parameters.iter().filter_map(|p| {
        let (name, ty) = (&p.name, &p.ty);
        match p.role {
            Role::Comptime | Role::Function => Some(quote!(#name: #ty)),
            Role::Optional(_) => Some(quote!(#name: bool)),
            _ => None,
        }
    });
    let ir_declares: Vec<_> = parameters.iter().map(|p| declare(p, types, Present::Flag)).collect();
    let launch = launch(sig.span());
    quote_spanned! {sig.span()=>
        #(#attrs)*
        #[allow(clippy::too_many_arguments)]
        #vis fn #name<'ks, #(#generics),*>(#(#inputs),*) -> #m::Launch<'ks> #where_clause {
            #[allow(unused_mut)]
            let mut #launch = #m::Launch::new(
                #text,
                #m::StageId::of(&(#stage #turbofish)),
            );
            #(#pushes)*
            #(#keeps)*
            #launch.staging(move || {
                #shape
                #(#declares)*
                #(#requires)*
                #stage #turbofish(#(#names),*);
            })
        }

        #[doc = #ir_doc]
        #[allow(clippy::too_many_arguments, dead_code, missing_docs)]
        #vis fn #ir_name<#(#generics),*>(
            target: &#m::Target,
            #(#ir_inputs),*
        ) -> ::core::result::Result<#m::Kernel, #m::StagingError> #where_clause {
            #m::stage(#text, target, move || {
                #shape
                #(#ir_declares)*
                #(#requires)*
                #stage #turbofish(#(#names),*);
            })
        }
    }
}

/// A parameter of the launch function.
fn host_input(parameter: &Parameter) -> TokenStream {
    let (name, ty) = (&parameter.name, &parameter.ty);
    let host = host_type(ty, &parameter.role);
    quote_spanned!(ty.span()=> #name: #host)
}

fn host_type(ty: &Type, role: &Role) -> TokenStream {
    let span = ty.span();
    let m = library(span);
    match role {
        Role::Scalar | Role::Comptime | Role::Function => quote!(#ty),
        Role::Slice(elem) => {
            quote_spanned!(span=> impl #m::SliceArgument<'ks, #elem>)
        }
        Role::SliceMut(elem) => {
            quote_spanned!(span=> impl #m::SliceMutArgument<'ks, #elem>)
        }
        Role::View(arguments) | Role::TensorMap(arguments) => {
            quote_spanned!(span=> #m::ViewArg<'ks, #arguments>)
        }
        Role::ViewMut(arguments) | Role::TensorMapMut(arguments) => {
            quote_spanned!(span=> #m::ViewMutArg<'ks, #arguments>)
        }
        Role::Part(arguments) => quote_spanned!(span=> #m::PartArg<'ks, #arguments>),
        Role::Optional(inner) => {
            let inner = match &**inner {
                Role::Slice(elem) => quote_spanned!(span=> &'ks #m::Buffer<#elem>),
                Role::SliceMut(elem) => quote_spanned!(span=> &'ks mut #m::Buffer<#elem>),
                other => host_type(&option_inner(ty), other),
            };
            quote_spanned!(span=> ::core::option::Option<#inner>)
        }
    }
}

/// `T` of `Option<T>`.
fn option_inner(ty: &Type) -> Type {
    if let Type::Path(p) = ty
        && let Some(last) = p.path.segments.last()
        && let syn::PathArguments::AngleBracketed(a) = &last.arguments
        && let Some(syn::GenericArgument::Type(inner)) = a.args.first()
    {
        return inner.clone();
    }
    ty.clone()
}

/// The launch in the expansion: one name wherever it is told of, also where a kernel comes from a
/// macro and its parameters from that one's arguments.
fn launch(at: proc_macro2::Span) -> Ident {
    Ident::new("__ks_launch", proc_macro2::Span::mixed_site().located_at(at))
}

/// Hands an argument to the launch. What an argument cannot be is reported at the parameter.
fn push(name: &Ident, ty: &Type, role: &Role) -> TokenStream {
    let (text, span) = (name.to_string(), ty.span());
    let (m, launch) = (library(span), launch(span));
    match role {
        Role::Scalar => quote_spanned!(span=> #launch.scalar(#name);),
        Role::Slice(_) => {
            quote_spanned!(span=> #launch.slice(#text, #m::SliceArgument::argument(#name));)
        }
        Role::SliceMut(_) => quote_spanned!(span=>
            #launch.slice_mut(#text, #m::SliceMutArgument::argument(#name));),
        Role::View(_) => quote_spanned!(span=> #launch.view(#text, #name);),
        Role::ViewMut(_) => quote_spanned!(span=> #launch.view_mut(#text, #name);),
        Role::Part(_) => quote_spanned!(span=> #launch.part(#text, #name);),
        Role::TensorMap(_) => quote_spanned!(span=> #launch.tensor_map(#text, #name);),
        Role::TensorMapMut(_) => quote_spanned!(span=> #launch.tensor_map_mut(#text, #name);),
        Role::Comptime => quote_spanned!(span=> #launch.comptime(&#name);),
        Role::Function => quote_spanned!(span=> #launch.function(#text, &#name);),
        Role::Optional(inner) => {
            let present = present(name);
            let inner = push(name, ty, inner);
            quote_spanned! {span=>
                let #present = #name.is_some();
                #launch.comptime(&#present);
                if let ::core::option::Option::Some(#name) = #name { #inner }
            }
        }
    }
}

fn present(name: &Ident) -> Ident {
    Ident::new(&format!("__ks_has_{name}"), Span::mixed_site())
}

/// Comptime values are used both for the key and for staging.
fn keep(parameter: &Parameter) -> Option<TokenStream> {
    let name = &parameter.name;
    matches!(parameter.role, Role::Comptime).then(
        || quote_spanned!(parameter.ty.span()=> let #name = ::core::clone::Clone::clone(&#name);),
    )
}

/// How an optional parameter's presence is known.
#[derive(Clone, Copy)]
enum Present {
    /// From the launch's arguments.
    Captured,
    /// It is a parameter itself.
    Flag,
}

/// Declares a parameter of the kernel in the IR.
fn declare(parameter: &Parameter, types: &Types, presence: Present) -> TokenStream {
    let Parameter { name, ty, role, .. } = parameter;
    let m = library(ty.span());
    let text = name.to_string();
    match role {
        Role::Comptime | Role::Function => quote!(),
        Role::Optional(_) => {
            let inner = types.staged(&option_inner(ty));
            let flag = match presence {
                Present::Captured => present(name),
                Present::Flag => name.clone(),
            };
            quote! {
                let #name = if #flag {
                    ::core::option::Option::Some(<#inner as #m::Param>::declare(#text))
                } else {
                    ::core::option::Option::None
                };
            }
        }
        _ => {
            let staged = types.staged(ty);
            quote_spanned!(ty.span()=> let #name = <#staged as #m::Param>::declare(#text);)
        }
    }
}
