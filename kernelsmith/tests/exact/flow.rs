//! Branches, loops and jumps.

use kernelsmith::prelude::*;

#[device(host)]
fn labelled_continue(a: u32, b: u32, c: u32) -> u32 {
    let mut total = 0;
    'outer: for i in 0..a {
        let mut j = 0;
        while j < b {
            j += 1;
            if (i + j) % 5 == c % 5 {
                continue 'outer;
            }
            if i * j > 60 {
                break 'outer;
            }
            total += i + j;
        }
        total += 100;
    }
    total
}

#[device(host)]
fn break_with_value(a: u32, b: u32, c: u32) -> u32 {
    let mut n = a;
    let found = 'search: loop {
        n += 1;
        let inner = loop {
            if n % 7 == b % 7 {
                break 'search n * 2;
            }
            if n % 3 == c % 3 {
                break n + 1;
            }
            n += 1;
        };
        if inner > 40 {
            break inner;
        }
    };
    found + n
}

#[device(host)]
fn labelled_block(a: u32, b: u32, c: u32) -> u32 {
    let v = 'found: {
        if a == b {
            break 'found 1;
        }
        for i in 0..c {
            if i == a {
                break 'found 2 + i;
            }
        }
        3
    };
    'skip: {
        if v == 1 {
            break 'skip;
        }
        return v * 10;
    }
    v + 1000
}

#[device(host)]
fn early_return(a: u32, b: u32, c: u32) -> u32 {
    if a > 20 {
        return 1;
    }
    for i in 0..a {
        for j in 0..b {
            if i * j == c {
                return i + 100 * j;
            }
        }
        if i > 15 {
            return 7;
        }
    }
    let v = if b > c { b } else { return 9 };
    v + 5
}

#[device(host)]
fn else_if_chain(a: u32, b: u32, c: u32) -> u32 {
    let kind: u32 = if a < 5 {
        0
    } else if a < 10 && b < 5 {
        1
    } else if a < 15 || c == 3 {
        let d = a + b;
        if d % 2 == 0 { 2 } else { 3 }
    } else {
        4
    };
    let mut out = kind;
    if kind == 0 {
        out += 10;
    } else if kind == 1 {
        out += 20;
    } else if kind >= 3 {
        out *= 3;
    }
    out
}

#[device(host)]
fn short_circuit(a: u32, b: u32, c: u32) -> u32 {
    let mut calls = 0;
    let x = a > 10
        && {
            calls += 1;
            b > 10
        }
        && {
            calls += 10;
            c > 10
        };
    let y = a > 5 || {
        calls += 100;
        b > 5
    };
    // The divisor is only looked at where it is not zero.
    let z = c != 0 && 100 / c > 9;
    calls * 8 + x as u32 * 4 + y as u32 * 2 + (z ^ (x & y)) as u32
}

#[device(host)]
fn condition_blocks(a: u32, b: u32, _c: u32) -> u32 {
    let mut n = a;
    let mut steps = 0u32;
    while {
        n = n * 2 + 1;
        n < 300
    } {
        if n % 5 == b % 5 {
            n += 3;
            continue;
        }
        steps += 1;
        if steps > 6 {
            break;
        }
    }
    n + 1000 * steps
}

#[device(host)]
fn unrolled_jumps(a: u32, b: u32, c: u32) -> u32 {
    let mut total = 0;
    for i in 0..6u32 {
        if i == a % 8 {
            continue;
        }
        if i == b % 8 {
            break;
        }
        for j in 0..3u32 {
            if i + j == c {
                return total + 1000;
            }
            total += i * j + 1;
        }
    }
    total
}

#[device(host)]
fn loop_of_loops(a: u32, b: u32, c: u32) -> u32 {
    let mut x = a;
    let mut y = 0;
    loop {
        let mut k = 0;
        loop {
            if k >= b {
                break;
            }
            k += 1;
            if k == c {
                continue;
            }
            y += k;
        }
        x += 7;
        if x > 40 {
            break;
        }
    }
    x * 1000 + y
}

#[device(host)]
fn every_path_returns(a: u32, b: u32, c: u32) -> u32 {
    if a < b {
        if b < c {
            return 1;
        } else {
            return 2;
        }
    } else {
        match c {
            0 => return 3,
            1..5 => return 4,
            _ => return a - b,
        }
    }
}

#[device(host)]
fn unit_values(a: u32, b: u32, _c: u32) -> u32 {
    let mut x = a;
    let () = if b > 3 {
        x += 1;
    } else {
        x += 2;
    };
    let done = {
        x *= 2;
    };
    let () = done;
    x
}

crate::agreement!(agree:
    labelled_continue, break_with_value, labelled_block, early_return, else_if_chain,
    short_circuit, condition_blocks, unrolled_jumps, loop_of_loops, every_path_returns,
    unit_values,
);
