//! Types of the kernel's source as types of the staged function.

use std::collections::HashSet;

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{GenericParam, Generics, PathArguments, Type, TypeParamBound, WherePredicate};

use crate::library;

/// Rust's scalar types that mean a run-time value in a kernel.
const SCALARS: [&str; 19] = [
    "bool", "i8", "i16", "i32", "i64", "isize", "u8", "u16", "u32", "u64", "usize", "e4m3", "e5m2",
    "f16", "bf16", "f32", "f64", "i128", "u128",
];

/// Bounds that make a type parameter a scalar.
const SCALAR_BOUNDS: [&str; 7] = ["Element", "Stored", "Num", "Int", "Float", "Signed", "Bits"];

/// Whether an identifier is a scalar type of Rust.
pub(crate) fn is_scalar(name: &str) -> bool {
    SCALARS.contains(&name)
}

/// What is known of type parameters.
#[derive(Clone, Default)]
pub(crate) struct Types {
    params: HashSet<String>,
    scalars: HashSet<String>,
}

fn is_scalar_bound(bound: &TypeParamBound) -> bool {
    let TypeParamBound::Trait(bound) = bound else { return false };
    let last = bound.path.segments.last();
    last.is_some_and(|s| SCALAR_BOUNDS.contains(&s.ident.to_string().as_str()))
}

impl Types {
    /// Learns from a function's or impl's generics.
    pub(crate) fn add(&mut self, generics: &Generics) {
        for param in &generics.params {
            let GenericParam::Type(param) = param else { continue };
            self.params.insert(param.ident.to_string());
            if param.bounds.iter().any(is_scalar_bound) {
                self.scalars.insert(param.ident.to_string());
            }
        }
        for predicate in generics.where_clause.iter().flat_map(|w| &w.predicates) {
            if let WherePredicate::Type(predicate) = predicate
                && let Type::Path(path) = &predicate.bounded_ty
                && let Some(ident) = path.path.get_ident()
                && predicate.bounds.iter().any(is_scalar_bound)
            {
                self.scalars.insert(ident.to_string());
            }
        }
    }

    /// Whether a type is a scalar by its spelling.
    pub(crate) fn scalar(&self, ty: &Type) -> bool {
        let Type::Path(path) = ty else { return false };
        path.qself.is_none()
            && path.path.get_ident().is_some_and(|ident| {
                let name = ident.to_string();
                is_scalar(&name) || self.scalars.contains(&name)
            })
    }

    /// The type that the staged function has for a type of the source.
    pub(crate) fn staged(&self, ty: &Type) -> TokenStream {
        let span = ty.span();
        let m = library(span);
        match ty {
            _ if self.scalar(ty) => quote_spanned!(span=> #m::Val<#ty>),
            Type::Reference(reference) => match &*reference.elem {
                Type::Slice(slice) => {
                    let elem = &slice.elem;
                    match reference.mutability {
                        None => quote_spanned!(span=> #m::Slice<#elem>),
                        Some(_) => quote_spanned!(span=> #m::SliceMut<#elem>),
                    }
                }
                Type::Path(path)
                    if path.path.segments.last().is_some_and(|s| s.ident == "Part")
                        && reference.mutability.is_some() =>
                {
                    let arguments = &path.path.segments.last().expect("just seen").arguments;
                    quote_spanned!(span=> #m::Part #arguments)
                }
                Type::Path(path)
                    if path.path.segments.last().is_some_and(|s| s.ident == "View") =>
                {
                    let arguments = &path.path.segments.last().expect("just seen").arguments;
                    match reference.mutability {
                        None => quote_spanned!(span=> #m::ViewRef #arguments),
                        Some(_) => quote_spanned!(span=> #m::ViewMut #arguments),
                    }
                }
                elem => {
                    let (lifetime, mutability) = (&reference.lifetime, &reference.mutability);
                    let elem = self.staged(elem);
                    quote_spanned!(span=> & #lifetime #mutability #elem)
                }
            },
            Type::Array(array) => {
                let (elem, len) = (self.staged(&array.elem), &array.len);
                quote_spanned!(span=> [#elem; #len])
            }
            Type::Tuple(tuple) => {
                let elems = tuple.elems.iter().map(|t| self.staged(t));
                quote_spanned!(span=> (#(#elems,)*))
            }
            Type::Paren(paren) => self.staged(&paren.elem),
            Type::Group(group) => self.staged(&group.elem),
            Type::ImplTrait(imp) => {
                let bounds = imp.bounds.iter().map(|b| self.bound(b));
                quote_spanned!(span=> impl #(#bounds)+*)
            }
            Type::Path(path) => self.path(path),
            other => quote!(#other),
        }
    }

    /// Whether a type is an associated type of a parameter: `A::Output`.
    fn is_associated(&self, path: &syn::TypePath) -> bool {
        let first = path.path.segments.first().map(|s| s.ident.to_string());
        path.qself.is_some()
            || path.path.segments.len() == 2
                && first.is_some_and(|name| name == "Self" || self.params.contains(&name))
    }

    /// `Option<&[T]>` holds what `&[T]` becomes; other types keep their arguments.
    fn path(&self, path: &syn::TypePath) -> TokenStream {
        let last = path.path.segments.last();
        if let Some(last) = last
            && last.ident == "Option"
            && let PathArguments::AngleBracketed(arguments) = &last.arguments
            && let [syn::GenericArgument::Type(inner)] =
                arguments.args.iter().collect::<Vec<_>>()[..]
        {
            let inner = self.staged(inner);
            return quote_spanned!(path.span()=> ::core::option::Option<#inner>);
        }
        if self.is_associated(path) {
            let m = library(path.span());
            return quote_spanned!(path.span()=> <#path as #m::InKernel>::Type);
        }
        quote!(#path)
    }

    /// A bound, with the arguments of `Fn(f32) -> f32` rewritten.
    pub(crate) fn bound(&self, bound: &TypeParamBound) -> TokenStream {
        let TypeParamBound::Trait(tr) = bound else { return quote!(#bound) };
        let Some(last) = tr.path.segments.last() else { return quote!(#bound) };
        let PathArguments::Parenthesized(arguments) = &last.arguments else {
            return quote!(#bound);
        };
        let ident = &last.ident;
        let inputs = arguments.inputs.iter().map(|t| self.staged(t));
        let output = match &arguments.output {
            syn::ReturnType::Default => quote!(),
            syn::ReturnType::Type(arrow, ty) => {
                let ty = self.staged(ty);
                quote!(#arrow #ty)
            }
        };
        quote_spanned!(tr.span()=> #ident(#(#inputs),*) #output)
    }

    /// Generic parameters and where clause, with bounds rewritten.
    pub(crate) fn generics(&self, generics: &Generics) -> (Vec<TokenStream>, TokenStream) {
        let params = generics
            .params
            .iter()
            .map(|param| match param {
                GenericParam::Type(param) => {
                    let ident = &param.ident;
                    let bounds = param.bounds.iter().map(|b| self.bound(b));
                    quote!(#ident: #(#bounds)+*)
                }
                other => quote!(#other),
            })
            .collect();
        let predicates =
            generics.where_clause.iter().flat_map(|w| &w.predicates).map(|p| match p {
                WherePredicate::Type(p) => {
                    let ty = &p.bounded_ty;
                    let bounds = p.bounds.iter().map(|b| self.bound(b));
                    quote!(#ty: #(#bounds)+*)
                }
                other => quote!(#other),
            });
        let predicates: Vec<_> = predicates.collect();
        let where_clause =
            if predicates.is_empty() { quote!() } else { quote!(where #(#predicates),*) };
        (params, where_clause)
    }
}
