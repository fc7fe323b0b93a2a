//! `#[derive(KernelValue)]`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Fields, Index};

use crate::library;

pub(crate) fn expand(item: DeriveInput) -> syn::Result<TokenStream> {
    let m = library(item.ident.span());
    let Data::Struct(data) = &item.data else {
        return Err(syn::Error::new(
            item.ident.span(),
            "KernelValue is derived for structs: the fields of an enum or union are not known to \
             be there",
        ));
    };
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
