//! `match` on values known when the kernel runs.

use kernelsmith::prelude::*;

#[device(host)]
fn literals_ranges_guards(a: u32, b: u32, c: u32) -> u32 {
    let x = match a {
        0 => 100,
        1 | 2 | 3 => 200 + b,
        4..8 => 300,
        8..=10 => {
            if b > 3 {
                return 5;
            }
            400
        }
        n if n % 2 == b % 2 => n + c,
        n @ 11..=15 => n * 2,
        n @ (16 | 17) => n * 3,
        20.. => 500,
        _ => 600,
    };
    x + 1
}

#[device(host)]
fn bools(a: u32, b: u32, _c: u32) -> u32 {
    match a > b {
        true => a,
        false => b + 100,
    }
}

#[device(host)]
fn tuples(a: u32, b: u32, c: u32) -> u32 {
    match (a % 3, b > 4) {
        (0, true) => 1,
        (0, false) => 2 + c,
        (1, _) if c > 5 => 3,
        (n, true) => 4 + n,
        (_, flag) => 5 + flag as u32,
    }
}

#[device(host)]
fn signed(a: u32, b: u32, _c: u32) -> u32 {
    match a as i32 - b as i32 {
        i32::MIN..=-1 => 1,
        0 => 2,
        1..=5 => 3,
        _ => 4,
    }
}

#[device(host)]
fn guards_have_effects(a: u32, b: u32, _c: u32) -> u32 {
    let mut asked = 0u32;
    let v: u32 = match a {
        0..10
            if {
                asked += 1;
                b > 5
            } =>
        {
            1
        }
        n if {
            asked += 10;
            n > b
        } =>
        {
            2
        }
        _ => 3,
    };
    v + 100 * asked
}

#[device(host)]
fn in_statements(a: u32, b: u32, c: u32) -> u32 {
    let mut x = b;
    for i in 0..c {
        match i % 4 {
            0 => x += 1,
            1 => continue,
            2 if x > a => break,
            _ => {}
        }
        x += 10;
    }
    x
}

#[device(host)]
fn of_the_host(a: u32, b: u32, _c: u32) -> u32 {
    let some = Some(a);
    let none: Option<u32> = None;
    let x = match some {
        Some(_) if false => 1,
        Some(v) => v,
        None => 2,
    };
    let y = if let Some(v) = none { v } else { b };
    x + 100 * y
}

crate::agreement!(agree:
    literals_ranges_guards, bools, tuples, signed, guards_have_effects, in_statements, of_the_host,
);
