//! The macros of Kernelsmith: `#[kernel]`, `#[device]` and `#[derive(KernelValue)]`.
//!
//! A kernel is *staged*: the macro turns its function into Rust that writes IR when it is called,
//! and rustc checks that. The macro rewrites types in signatures and annotations (`types`),
//! variables and assignment (`place`), literals (`literal`), control flow (`control`),
//! comparisons and indexing (`expr`); all else stays as the user wrote it. It decides by spelling
//! alone, so each decision is backed by a trait in `kernelsmith::__macro`: where the spelling
//! misleads, rustc says so at the user's own tokens. The macro knows of no target.
//!
//! Every sub-expression is emitted once: the expansion is linear in the source.
#![deny(missing_docs)]

mod block;
mod cases;
mod closure;
mod contract;
mod control;
mod derive;
mod device;
mod expr;
mod formats;
#[cfg(test)]
mod growth;
mod join;
mod kernel;
mod literal;
mod macros;
mod matching;
mod pattern;
mod place;
mod scope;
mod span;
mod types;

use proc_macro::TokenStream;
use quote::quote_spanned;
use syn::parse_macro_input;

/// Makes a function a kernel. See the guide for the language.
///
/// `#[kernel(block = [x, y, z])]` fixes the block size; `#[kernel(requires = (x.len() >= n, c.len() >=
/// m * n))]` is a contract that every launch is held to, and that removes checks.
#[proc_macro_attribute]
pub fn kernel(attributes: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as syn::Item);
    let options = parse_macro_input!(attributes as kernel::Options);
    finish(kernel::expand(options, item))
}

/// Makes a function, or the methods of an `impl` block, callable from kernels.
#[proc_macro_attribute]
pub fn device(attributes: TokenStream, item: TokenStream) -> TokenStream {
    let options = parse_macro_input!(attributes as device::Options);
    finish(device::expand(options, item.into()))
}

/// Lets a struct of run-time values be a variable, and the value of branches and functions.
#[proc_macro_derive(KernelValue)]
pub fn kernel_value(item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as syn::DeriveInput);
    finish(derive::expand(item))
}

fn finish(result: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    result.unwrap_or_else(|error| error.to_compile_error()).into()
}

/// The path of what expansions use, at the user's tokens: rustc puts an error about a call where its
/// path stands.
fn library(span: proc_macro2::Span) -> proc_macro2::TokenStream {
    quote_spanned!(span=> ::kernelsmith::__macro)
}
