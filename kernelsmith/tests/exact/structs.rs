//! User types: the same source with `Val<f32>` as a kernel's number, and with it as an `f32`.

/// Items twice: for kernels, and as plain Rust.
macro_rules! both_worlds {
    ($(value $value:item)* $(device $device:item)*) => {
        mod staged {
            #[allow(unused_imports)]
            use kernelsmith::prelude::*;
            use std::ops::*;
            $(#[derive(KernelValue, Clone, Copy)] $value)*
            $(#[device] $device)*
        }

        mod host {
            use std::ops::*;
            #[allow(dead_code)]
            type Val<T> = T;
            $(#[derive(Clone, Copy)] $value)*
            $($device)*
        }
    };
}

both_worlds! {
    value pub(crate) struct Complex {
        re: Val<f32>,
        im: Val<f32>,
    }
    value pub(crate) struct Pair(Val<u32>, Val<u32>);
    value pub(crate) struct Tile<const N: usize> {
        data: [[Val<u32>; N]; N],
    }
    value pub(crate) struct SumOfSquares;
    value pub(crate) struct Largest;

    device impl Complex {
        fn new(re: f32, im: f32) -> Self {
            Self { re, im }
        }
        fn norm_sqr(&self) -> f32 {
            self.re * self.re + self.im * self.im
        }
        fn conj(self) -> Self {
            Complex { im: -self.im, ..self }
        }
        fn checked_div(self, other: Complex) -> Option<Complex> {
            let n = other.norm_sqr();
            if n == 0.0 {
                return None;
            }
            Some(self * other.conj() * (1.0 / n))
        }
    }
    device impl Add for Complex {
        type Output = Complex;
        fn add(self, rhs: Complex) -> Complex {
            Complex::new(self.re + rhs.re, self.im + rhs.im)
        }
    }
    device impl Mul for Complex {
        type Output = Self;
        fn mul(self, rhs: Self) -> Self {
            Self {
                re: self.re * rhs.re - self.im * rhs.im,
                im: self.re * rhs.im + self.im * rhs.re,
            }
        }
    }
    device impl Mul<f32> for Complex {
        type Output = Self;
        fn mul(self, rhs: f32) -> Self {
            Self { re: self.re * rhs, im: self.im * rhs }
        }
    }
    device impl Mul<Complex> for f32 {
        type Output = Complex;
        fn mul(self, rhs: Complex) -> Complex {
            rhs * self
        }
    }
    device impl AddAssign for Complex {
        fn add_assign(&mut self, rhs: Complex) {
            self.re += rhs.re;
            self.im += rhs.im;
        }
    }
    device impl Neg for Complex {
        type Output = Complex;
        fn neg(self) -> Complex {
            Complex { re: -self.re, im: -self.im }
        }
    }
    device impl Default for Complex {
        fn default() -> Self {
            Complex { re: 0.0, im: 0.0 }
        }
    }
    device impl PartialEq for Complex {
        fn eq(&self, other: &Complex) -> bool {
            self.re == other.re && self.im == other.im
        }
    }
    device impl From<f32> for Complex {
        fn from(re: f32) -> Complex {
            Complex { re, im: 0.0 }
        }
    }

    device pub(crate) fn mandelbrot(a: u32, b: u32, c: u32) -> u32 {
        let c = Complex::new(a as f32 / 12.0 - 1.5, b as f32 / 12.0 - c as f32 / 24.0);
        let mut z = Complex::default();
        let mut n = 0;
        while z.norm_sqr() <= 4.0 && n < 50 {
            z = z * z + c;
            n += 1;
        }
        z += c * 0.5 + Complex::from(b as f32);
        if let Some(q) = z.checked_div(c) {
            if q.re > 1.0 {
                n += 100;
            }
        }
        if z == c || -z != z * -1.0 {
            n += 1000;
        }
        n
    }

    device impl Pair {
        fn reduced(self) -> u32 {
            match self {
                Pair(0, y) => y,
                Pair(x, y) if x > y => x - y,
                Pair(x, 3 | 4) => x,
                Pair(_, y) => y + 1,
            }
        }
    }
    device pub(crate) fn tuple_structs(a: u32, b: u32, c: u32) -> u32 {
        let p = Pair(a, b);
        let Pair(x, y) = p;
        let mut q = p;
        q.0 += c;
        if let Pair(5, z) = q {
            return z;
        }
        p.reduced() + 100 * q.reduced() + x * y
    }

    device impl<const N: usize> Tile<N> {
        const CELLS: usize = N * N;
        fn from_fn<F: Fn(usize, usize) -> u32>(f: F) -> Self {
            let mut data = [[0; N]; N];
            for i in 0..N {
                for j in 0..N {
                    data[i][j] = f(i, j);
                }
            }
            Tile { data }
        }
        fn at(&self, i: usize, j: usize) -> u32 {
            self.data[i][j]
        }
        fn set(&mut self, i: usize, j: usize, x: u32) {
            self.data[i][j] = x;
        }
        fn product(&self, other: &Tile<N>) -> Tile<N> {
            Tile::from_fn(|i, j| {
                let mut sum = 0;
                for k in 0..N {
                    sum += self.data[i][k] * other.data[k][j];
                }
                sum
            })
        }
        fn transposed(self) -> Self {
            let mut out = self;
            for (i, row) in self.data.iter().enumerate() {
                for (j, x) in row.iter().enumerate() {
                    out.set(j, i, *x);
                }
            }
            out
        }
    }
    device pub(crate) fn tiles(a: u32, b: u32, c: u32) -> u32 {
        let mut t = Tile::<3>::from_fn(|i, j| a * i as u32 + b * j as u32);
        t.set(1, 2, c);
        let p = t.product(&t.transposed());
        p.at((c % 3) as usize, 1) + Tile::<3>::CELLS as u32
    }

    device trait Reduction {
        const START: u32;
        const SCALE: u32 = 2;
        fn step(so_far: u32, x: u32) -> u32;
        fn finish(so_far: u32) -> u32 {
            so_far * Self::SCALE
        }
    }
    device impl Reduction for SumOfSquares {
        const START: u32 = 0;
        fn step(so_far: u32, x: u32) -> u32 {
            so_far + x * x
        }
    }
    device impl Reduction for Largest {
        const START: u32 = 0;
        const SCALE: u32 = 1;
        fn step(so_far: u32, x: u32) -> u32 {
            so_far.max(x)
        }
        fn finish(so_far: u32) -> u32 {
            so_far + 1
        }
    }
    device fn reduce<R>(values: [u32; 3]) -> u32
    where
        R: Reduction,
    {
        let mut so_far = R::START;
        for v in values {
            so_far = R::step(so_far, v);
        }
        R::finish(so_far)
    }
    device pub(crate) fn traits(a: u32, b: u32, c: u32) -> u32 {
        reduce::<SumOfSquares>([a, b, c]) + 10000 * reduce::<Largest>([c, b, a])
    }
}

macro_rules! agreements {
    ($($name:ident),*) => {$(
        #[test]
        fn $name() {
            crate::agree(staged::$name, host::$name);
        }
    )*};
}

agreements!(mandelbrot, tuple_structs, tiles, traits);
