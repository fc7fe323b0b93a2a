//! Variables: when they are read, what changes them, what shadows them.

use kernelsmith::prelude::*;

#[device(host)]
fn read_before_change(a: u32, b: u32, _c: u32) -> u32 {
    let mut i = a;
    let p = i * {
        i += 5;
        i
    };
    let q =
        i + {
            i = b;
            1
        } + i;
    p + 1000 * q
}

#[allow(unused_assignments)]
#[device(host)]
fn right_side_first(a: u32, b: u32, _c: u32) -> u32 {
    let mut x = a;
    x += {
        x = b;
        1
    };
    let mut y = [1, 2, 3, 4];
    let mut i = 0usize;
    y[i] = {
        i = 2;
        a
    };
    y[{
        i += 1;
        i
    }] += {
        i = 0;
        b
    };
    x + 10 * y[0] + 100 * y[1] + 1000 * y[2] + 10000 * y[3]
}

#[device(host)]
fn shadowing(a: u32, b: u32, c: u32) -> u32 {
    let x = a;
    let x = x + 1;
    let mut x = x * 2;
    {
        let x = b;
        let mut y = x;
        y += 1;
        let _ = y;
    }
    x += 1;
    let f = |x: u32| x + c;
    let z = f(x);
    let x = z;
    for x in 0..3u32 {
        let _ = x;
    }
    x
}

#[device(host)]
fn nested_arrays(a: u32, b: u32, c: u32) -> u32 {
    let mut grid = [[0u32; 3]; 4];
    for k in 0..20 {
        let (row, column) = ((a + k) % 4, (b * k) % 3);
        grid[row as usize][column as usize] += k + c;
        grid[2][column as usize] += 1;
        grid[row as usize][1] ^= 5;
    }
    let row = grid[(c % 4) as usize];
    let mut copy = grid;
    copy[0][0] = 77;
    grid[1] = row;
    let mut sum = 0;
    for i in 0..4 {
        for j in 0..3 {
            sum = sum * 3 + grid[i][j] + copy[i][j];
        }
    }
    sum
}

#[device(host)]
fn tuples(a: u32, b: u32, c: u32) -> u32 {
    let mut pair = (a, (b, [c, 1]));
    pair.0 += 1;
    pair.1.0 *= 2;
    pair.1.1[1] = pair.0;
    (pair.0, pair.1.0) = (pair.1.0, pair.0);
    let (mut x, y) = pair;
    x += 1;
    let (first, [second, mut third]) = y;
    third += second;
    x + 10 * first + 100 * third + pair.0
}

#[device(host)]
fn swap_by_assignment(a: u32, b: u32, _c: u32) -> u32 {
    let mut x = a;
    let mut y = b;
    (x, y) = (y, x);
    let mut z = [x, y, 3];
    (z[0], z[2], _) = (z[2], z[0], z[1]);
    x + 100 * y + 10000 * z[0] + 1000000 * z[2]
}

#[device(host)]
fn closures_share_variables(a: u32, b: u32, _c: u32) -> u32 {
    let mut total = a;
    let mut add = |x: u32| {
        total += x;
        total
    };
    let p = add(b);
    let q = add(3);
    let r = total;
    p + 100 * q + 10000 * r
}

#[device(host)]
fn move_closures_keep_their_own(a: u32, b: u32, _c: u32) -> u32 {
    let mut x = a;
    let mut count = 0;
    let mut next = move || {
        count += 1;
        x + count
    };
    x = b;
    let p = next();
    let q = next();
    count += 50;
    p + 100 * q + 10000 * (x + count)
}

#[device(host)]
fn bool_variables(a: u32, b: u32, c: u32) -> u32 {
    let mut found = false;
    let mut all = true;
    for i in 0..a {
        found |= i == b;
        all &= i != c;
        if found && !all {
            found = false;
            break;
        }
    }
    if found == all { 1 } else { (found as u32) * 2 + (!all) as u32 * 4 }
}

#[device(host)]
fn compound_operators(a: u32, b: u32, c: u32) -> u32 {
    let mut x = a + 100;
    x -= b;
    x *= 3;
    x /= c + 1;
    x %= 50;
    x <<= b % 3;
    x >>= 1;
    x |= c;
    x ^= 0x55;
    x &= 0xfff;
    x
}

#[device(host)]
fn constants_in_scope(a: u32, b: u32, c: u32) -> u32 {
    const LIMIT: u32 = 12;
    const TABLE: [u32; 4] = [3, 1, 4, 1];
    let half = 7;
    let mut acc = LIMIT / 2;
    let scale = LIMIT * 2 - 1;
    if a > LIMIT {
        acc = half;
    }
    acc += TABLE[(b % 4) as usize] * scale + TABLE[1];
    let pick = if c > 3 { half } else { LIMIT };
    acc + pick
}

crate::agreement!(agree:
    read_before_change, right_side_first, shadowing, nested_arrays, tuples, swap_by_assignment,
    closures_share_variables, move_closures_keep_their_own, bool_variables, compound_operators,
    constants_in_scope,
);
