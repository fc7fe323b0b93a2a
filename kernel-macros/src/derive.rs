//! `#[derive(KernelValue)]`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DataEnum, DeriveInput, Fields, Index};

use crate::library;

pub(crate) fn expand(item: DeriveInput) -> syn::Result<TokenStream> {
    let m = library(item.ident.span());
    let data = match &item.data {
        Data::Struct(data) => data,
        Data::Enum(data) => return of_enum(&item, data),
        Data::Union(_) => {
            return Err(syn::Error::new(
                item.ident.span(),
                "KernelValue is derived for structs and enums: which field of a union is there is \
                 not known",
            ));
        }
    };
    for field in &data.fields {
        if let syn::Type::Path(path) = &field.ty
            && let Some(ident) = path.path.get_ident()
            && crate::types::is_scalar(&ident.to_string())
        {
            let text = format!("fields of kernel values are run-time values: write `Val<{ident}>`");
            return Err(syn::Error::new(ident.span(), text));
        }
    }
    let (name, vis) = (&item.ident, &item.vis);
    let (impl_generics, ty_generics, where_clause) = item.generics.split_for_impl();
    let types: Vec<_> = data.fields.iter().map(|f| &f.ty).collect();
    let visibilities: Vec<_> = data.fields.iter().map(|f| &f.vis).collect();
    let members: Vec<_> = data
        .fields
        .iter()
        .enumerate()
        .map(|(i, f)| match &f.ident {
            Some(ident) => quote!(#ident),
            None => {
                let index = Index { index: i as u32, span: f.span() };
                quote!(#index)
            }
        })
        .collect();
    let leaves = types.iter().map(|ty| quote_spanned!(ty.span()=> <#ty as #m::Staged>::LEAVES));
    let places = format_ident!("{name}Places");
    let offsets = (0..types.len()).map(|i| {
        let before = &types[..i];
        quote!(0 #(+ <#before as #m::Staged>::LEAVES)*)
    });
    let doc = format!("The places of the fields of a [`{name}`] held in a run-time variable.");
    let place_fields = quote!(#(#visibilities #members: #m::Place<#types>,)*);
    let places_type = match &data.fields {
        Fields::Named(_) => {
            quote!(#[doc = #doc] #[allow(missing_docs)] #vis struct #places #impl_generics #where_clause { #place_fields })
        }
        Fields::Unnamed(_) => quote! {
            #[doc = #doc] #vis struct #places #impl_generics (#(#visibilities #m::Place<#types>,)*) #where_clause;
        },
        Fields::Unit => quote!(#[doc = #doc] #vis struct #places;),
    };
    Ok(quote! {
        #places_type

        impl #impl_generics #m::InKernel for #name #ty_generics #where_clause {
            type Type = Self;
        }

        impl #impl_generics #m::Staged for #name #ty_generics #where_clause {
            const LEAVES: usize = 0 #(+ #leaves)*;
            type Fields = #places #ty_generics;

            fn types(_out: &mut ::std::vec::Vec<#m::Type>) {
                #(<#types as #m::Staged>::types(_out);)*
            }

            fn flatten(&self, _out: &mut ::std::vec::Vec<#m::Value>) {
                #(#m::Staged::flatten(&self.#members, _out);)*
            }

            fn unflatten(_leaves: &mut impl ::core::iter::Iterator<Item = #m::Value>) -> Self {
                #name { #(#members: #m::Staged::unflatten(_leaves),)* }
            }

            fn fields(_place: #m::Place<Self>) -> Self::Fields {
                #places { #(#members: _place.part(#offsets),)* }
            }
        }
    })
}

/// An enum without payload: a scalar of kernels, known by its discriminant.
fn of_enum(item: &DeriveInput, data: &DataEnum) -> syn::Result<TokenStream> {
    for variant in &data.variants {
        if !matches!(variant.fields, Fields::Unit) {
            return Err(syn::Error::new(
                variant.fields.span(),
                "KernelValue is derived for enums without payload: which variant's fields are there \
                 is known only when the kernel runs; keep them in a struct beside the enum",
            ));
        }
    }
    if let Some(param) = item.generics.params.first() {
        return Err(syn::Error::new(param.span(), "enums of kernels have no parameters"));
    }
    if data.variants.is_empty() {
        return Err(syn::Error::new(item.ident.span(), "enums of kernels have variants"));
    }
    let (name, m) = (&item.ident, library(item.ident.span()));
    let variants: Vec<_> = data.variants.iter().map(|v| &v.ident).collect();
    Ok(quote! {
        const _: () = {
            // Discriminants are i32 in kernels.
            #(::core::assert!(
                #name::#variants as i128 >= i32::MIN as i128
                    && #name::#variants as i128 <= i32::MAX as i128
            );)*
        };

        impl #m::Element for #name {
            const TYPE: #m::Scalar = #m::Scalar::I32;
            fn constant(self) -> #m::Const {
                #m::Const::int(#m::Scalar::I32, self as i128)
            }
        }

        impl #m::InKernel for #name {
            type Type = #m::Val<#name>;
        }

        impl #m::IntoStaged for #name {
            type Staged = #m::Val<#name>;
            #[track_caller]
            fn into_staged(self) -> #m::Val<#name> {
                self.into()
            }
        }

        impl #m::StoredAs<#m::Val<#name>> for #name {
            #[track_caller]
            fn stored(self) -> #m::Val<#name> {
                self.into()
            }
        }

        impl<T: #m::Num> #m::CastTo<#m::Val<T>> for #name {
            #[track_caller]
            fn cast_to(self) -> #m::Val<T> {
                #m::cast(#m::Val::<#name>::from(self))
            }
        }

        impl #m::Compare<#name> for #name {
            type Out = bool;
            fn compare(self, op: #m::Opcode, rhs: #name) -> bool {
                #m::compare_host(op, &(self as i128), &(rhs as i128))
            }
        }

        impl #m::Compare<#m::Val<#name>> for #name {
            type Out = #m::Val<bool>;
            #[track_caller]
            fn compare(self, op: #m::Opcode, rhs: #m::Val<#name>) -> #m::Val<bool> {
                #m::Compare::compare(#m::Val::<#name>::from(self), op, rhs)
            }
        }

        impl #m::Comparable for #name {}
    })
}
