//! Tests of the expansion's size: linear in the source, and nested no deeper than a few levels for
//! each of the source's.

use proc_macro2::{TokenStream, TokenTree};
use quote::{format_ident, quote};

use crate::{device, kernel};

/// Number of tokens, and how deep their groups are nested.
fn measure(tokens: TokenStream) -> (usize, usize) {
    let (mut count, mut depth) = (0, 0);
    for token in tokens {
        count += 1;
        if let TokenTree::Group(group) = token {
            let (inside, below) = measure(group.stream());
            count += inside;
            depth = depth.max(below + 1);
        }
    }
    (count, depth)
}

fn expand(body: TokenStream) -> (usize, usize) {
    let item = quote!(fn generated(n: u32, x: &[f32], y: &mut [f32]) { #body });
    measure(kernel::expand(Default::default(), syn::parse2(item).unwrap()).unwrap())
}

/// Expansions of a source at a size and twice that: the second is about twice the first.
#[track_caller]
fn linear(size: usize, source: impl Fn(usize) -> TokenStream) {
    let (once, _) = expand(source(size));
    let (twice, _) = expand(source(2 * size));
    let growth = twice as f64 / once as f64;
    assert!(growth < 2.2, "{once} tokens at {size}, {twice} at twice that");
    let written = measure(source(size)).0;
    assert!(once < 25 * written, "{written} tokens became {once}");
}

/// The nesting of the expansion is at most `levels` for each level of the source.
#[track_caller]
fn nested(size: usize, levels: usize, source: impl Fn(usize) -> TokenStream) {
    let (_, depth) = expand(source(size));
    assert!(depth < levels * size + 20, "{depth} levels of {size}");
}

/// `if n == 0 { y[0] = .. } else if n == 1 { .. } ..`
fn else_if(arms: usize) -> TokenStream {
    (0..arms).rev().fold(
        quote!({
            y[0] = 0.0;
        }),
        |rest, i| {
            let (i, value) = (i as u32, i as f32);
            quote!(if n == #i { y[0] = #value; } else #rest)
        },
    )
}

fn else_if_value(arms: usize) -> TokenStream {
    let chain = (0..arms).rev().fold(quote!({ 0.0 }), |rest, i| {
        let (i, value) = (i as u32, i as f32);
        quote!(if n == #i || n > 7 { #value } else #rest)
    });
    quote!(y[0] = #chain;)
}

fn match_arms(arms: usize) -> TokenStream {
    let arms = (0..arms).map(|i| {
        let (i, value) = (i as u32, i as f32);
        quote!(#i if x[0] > 1.0 => x[1] + #value,)
    });
    quote!(y[0] = match n { #(#arms)* _ => 0.0 };)
}

fn let_elses(count: usize) -> TokenStream {
    let lines = (0..count).map(|i| {
        let name = format_ident!("v{i}");
        quote!(let Some(#name) = n.checked_sub(3) else { return };)
    });
    quote!(#(#lines)* y[0] = 0.0;)
}

/// Lines of a kernel, of several kinds.
fn lines(count: usize) -> TokenStream {
    let lines = (0..count).map(|i| {
        let (name, other) = (format_ident!("v{i}"), format_ident!("w{i}"));
        match i % 5 {
            0 => quote!(let mut #name = x[0] * 2.0 + y[1];),
            1 => quote!(let #other = (n + 1) as f32 / 3.0;),
            2 => quote!(y[2] += x[1].mul_add(0.5, y[3]);),
            3 => quote!(for i in 0..n {
                y[i] = if x[i] > 0.0 { x[i] } else { -x[i] };
            }),
            _ => quote!(if x[2] < 1.0 && y[0] > 2.0 {
                y[4] -= 1.0;
            }),
        }
    });
    quote!(#(#lines)*)
}

fn operators(count: usize) -> TokenStream {
    let sum = (0..count).fold(quote!(x[0]), |sum, _| quote!(#sum + x[1] * 2.0));
    quote!(y[0] = #sum;)
}

fn blocks(levels: usize) -> TokenStream {
    (0..levels).fold(quote!(y[0] = x[0];), |inner, i| match i % 4 {
        0 => quote!(if n > 1 { #inner }),
        1 => quote!(for i in 0..n { #inner }),
        2 => quote!(while n > 3 { #inner break; }),
        _ => quote!(match n { 0 => {} _ => { #inner } }),
    })
}

/// Recursion over the source takes stack; rustc gives its macros more than tests have.
fn with_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(256 << 20);
    thread.spawn(test).unwrap().join().unwrap();
}

#[test]
fn expansions_grow_as_the_source_does() {
    with_stack(|| {
        linear(400, else_if);
        linear(400, else_if_value);
        linear(400, match_arms);
        linear(100, let_elses);
        linear(1000, lines);
        linear(500, operators);
        linear(60, blocks);
    });
}

#[test]
fn a_kernel_of_two_thousand_lines_expands() {
    with_stack(|| {
        let (tokens, depth) = expand(lines(2000));
        assert!(tokens < 2000 * 200, "{tokens}");
        assert!(depth < 30, "{depth}");
    });
}

#[test]
fn nesting_follows_the_source() {
    with_stack(|| {
        nested(400, 4, else_if);
        nested(400, 5, else_if_value);
        nested(400, 6, match_arms);
        nested(100, 3, let_elses);
        nested(60, 4, blocks);
    });
}

#[test]
fn device_functions_and_closures_are_linear_too() {
    let source = |n: usize| {
        let lines = (0..n).map(|i| {
            let name = format_ident!("f{i}");
            quote! {
                let #name = |x: u32| { if x > 3 { return 1; } x + 1 };
                total += #name(total);
            }
        });
        let item = quote! {
            fn generated(a: u32) -> u32 { let mut total = a; #(#lines)* total }
        };
        measure(device::expand(Default::default(), item).unwrap()).0
    };
    let growth = source(200) as f64 / source(100) as f64;
    assert!(growth < 2.2, "{growth}");
}
