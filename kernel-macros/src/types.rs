//! Types of the kernel's source as types of the staged function.

use std::collections::HashSet;

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{GenericParam, Generics, PathArguments, Token, Type, TypeParamBound, WherePredicate};

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

/// What is in an `Option<..>`.
pub(crate) fn of_option(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == "Option")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.first() {
        Some(syn::GenericArgument::Type(inner)) if arguments.args.len() == 1 => Some(inner),
        _ => None,
    }
}

/// What a slice is of, and whether it is a mutable one.
pub(crate) fn slice_of(ty: &Type) -> Option<(&Type, bool)> {
    match ty {
        Type::Reference(r) => match &*r.elem {
            Type::Slice(slice) => Some((&slice.elem, r.mutability.is_some())),
            _ => None,
        },
        Type::Paren(ty) => slice_of(&ty.elem),
        Type::Group(ty) => slice_of(&ty.elem),
        _ => None,
    }
}

/// Whether a function gives an option, by its spelling.
pub(crate) fn gives_option(output: &syn::ReturnType) -> bool {
    matches!(output, syn::ReturnType::Type(_, ty) if of_option(ty).is_some())
}

/// What is known of type parameters.
#[derive(Clone, Default)]
pub(crate) struct Types {
    params: HashSet<String>,
    scalars: HashSet<String>,
    /// Parameters of any kind that variables can hold: with the bound `Staged`.
    staged: HashSet<String>,
}

fn is_bound(bound: &TypeParamBound, is: impl Fn(&str) -> bool) -> bool {
    let TypeParamBound::Trait(bound) = bound else { return false };
    bound.path.segments.last().is_some_and(|s| is(&s.ident.to_string()))
}

impl Types {
    /// Learns from a function's or impl's generics.
    pub(crate) fn add(&mut self, generics: &Generics) {
        for param in &generics.params {
            let GenericParam::Type(param) = param else { continue };
            self.params.insert(param.ident.to_string());
            self.learn(&param.ident, &param.bounds);
        }
        for predicate in generics.where_clause.iter().flat_map(|w| &w.predicates) {
            if let WherePredicate::Type(predicate) = predicate
                && let Type::Path(path) = &predicate.bounded_ty
                && let Some(ident) = path.path.get_ident()
            {
                self.learn(ident, &predicate.bounds);
            }
        }
    }

    /// Learns what the bounds of a parameter say.
    fn learn(&mut self, param: &syn::Ident, bounds: &Punctuated<TypeParamBound, Token![+]>) {
        if bounds.iter().any(|b| is_bound(b, |name| SCALAR_BOUNDS.contains(&name))) {
            self.scalars.insert(param.to_string());
        }
        if bounds.iter().any(|b| is_bound(b, |name| name == "Staged")) {
            self.staged.insert(param.to_string());
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
                Type::Path(path)
                    if path.path.segments.last().is_some_and(|s| s.ident == "TensorMap") =>
                {
                    let arguments = &path.path.segments.last().expect("just seen").arguments;
                    match reference.mutability {
                        None => quote_spanned!(span=> #m::TensorMap #arguments),
                        Some(_) => quote_spanned!(span=> #m::TensorMapMut #arguments),
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
            Type::TraitObject(object) => {
                let (dyn_, bounds) =
                    (&object.dyn_token, object.bounds.iter().map(|b| self.bound(b)));
                quote_spanned!(span=> #dyn_ #(#bounds)+*)
            }
            Type::BareFn(function) => {
                let inputs = function.inputs.iter().map(|input| self.staged(&input.ty));
                let output = self.output(&function.output);
                quote_spanned!(span=> fn(#(#inputs),*) #output)
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

    /// What is in an `Option` that only the running kernel knows: one of numbers, or of structs
    /// and tuples of them. One of references or functions is of the host.
    fn in_option<'t>(&self, ty: &'t Type) -> Option<&'t Type> {
        let inner = of_option(ty)?;
        self.holds_values(inner).then_some(inner)
    }

    /// Whether what a type holds may be values of the running kernel, by its spelling.
    fn holds_values(&self, ty: &Type) -> bool {
        match ty {
            Type::Path(path) if path.qself.is_none() => match path.path.get_ident() {
                Some(ident) => {
                    let name = ident.to_string();
                    !self.params.contains(&name)
                        || self.scalars.contains(&name)
                        || self.staged.contains(&name)
                }
                None => true,
            },
            Type::Path(_) => true,
            Type::Tuple(tuple) => tuple.elems.iter().all(|t| self.holds_values(t)),
            Type::Array(array) => self.holds_values(&array.elem),
            Type::Paren(paren) => self.holds_values(&paren.elem),
            Type::Group(group) => self.holds_values(&group.elem),
            _ => false,
        }
    }

    /// The type of a parameter, which takes more than one type where Rust's callers give it more:
    /// an option of the host too.
    pub(crate) fn parameter(&self, ty: &Type) -> TokenStream {
        let (m, span) = (library(ty.span()), ty.span());
        if let Some(inner) = self.in_option(ty) {
            let inner = self.staged(inner);
            return quote_spanned!(span=> impl #m::IntoOption<#inner>);
        }
        match slice_of(ty) {
            Some((elem, false)) => quote_spanned!(span=> impl #m::IntoSlice<#elem>),
            Some((elem, true)) => quote_spanned!(span=> impl #m::IntoSliceMut<#elem>),
            None => self.staged(ty),
        }
    }

    /// How a value becomes one of the type where that is an option; `None` if it is that.
    pub(crate) fn conversion(&self, ty: &Type, value: &TokenStream) -> Option<TokenStream> {
        self.in_option(ty)?;
        let m = library(ty.span());
        Some(quote_spanned!(ty.span()=> #m::IntoOption::into_option(#value)))
    }

    /// `-> f32` in kernels.
    pub(crate) fn output(&self, output: &syn::ReturnType) -> TokenStream {
        match output {
            syn::ReturnType::Default => quote!(),
            syn::ReturnType::Type(arrow, ty) => {
                let ty = self.staged(ty);
                quote!(#arrow #ty)
            }
        }
    }

    /// An option that is known while staging: a parameter of a kernel that may be left out.
    pub(crate) fn host_option(&self, ty: &Type) -> TokenStream {
        match of_option(ty) {
            Some(inner) => {
                let inner = self.staged(inner);
                quote_spanned!(ty.span()=> ::core::option::Option<#inner>)
            }
            None => self.staged(ty),
        }
    }

    /// Options hold what their types become; other types keep their arguments.
    fn path(&self, path: &syn::TypePath) -> TokenStream {
        let ty = Type::Path(path.clone());
        if let Some(inner) = self.in_option(&ty) {
            let (m, inner) = (library(path.span()), self.staged(inner));
            return quote_spanned!(path.span()=> #m::RunOption<#inner>);
        }
        if of_option(&ty).is_some() {
            return self.host_option(&ty);
        }
        if self.is_associated(path) {
            let m = library(path.span());
            return quote_spanned!(path.span()=> <#path as #m::InKernel>::Type);
        }
        // `Box<dyn Fn(f32) -> f32>`.
        let mut path = path.clone();
        for segment in &mut path.path.segments {
            let PathArguments::AngleBracketed(arguments) = &mut segment.arguments else { continue };
            for argument in &mut arguments.args {
                if let syn::GenericArgument::Type(ty @ Type::TraitObject(_)) = argument {
                    *ty = Type::Verbatim(self.staged(ty));
                }
            }
        }
        quote!(#path)
    }

    /// A trait about values, with what its arguments are in kernels: `Mul<f32>`.
    pub(crate) fn of_values(&self, path: &syn::Path) -> TokenStream {
        let mut path = path.clone();
        if let Some(last) = path.segments.last_mut()
            && let PathArguments::AngleBracketed(arguments) = &mut last.arguments
        {
            for argument in &mut arguments.args {
                if let syn::GenericArgument::Type(ty) = argument {
                    *ty = Type::Verbatim(self.staged(ty));
                }
            }
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
        let output = self.output(&arguments.output);
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
