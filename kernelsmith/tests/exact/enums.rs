//! Enums without payload, known only when the kernel runs.

use kernelsmith::prelude::*;

#[derive(KernelValue, Clone, Copy, PartialEq, Debug)]
enum Mode {
    Fast,
    Slow = 7,
    Off = -3,
}

mod device_form {
    use super::*;

    #[device]
    pub(super) fn mode_of(a: u32) -> Val<Mode> {
        match a % 3 {
            0 => Mode::Fast,
            1 => Mode::Slow,
            _ => Mode::Off,
        }
    }

    #[device]
    pub(super) fn cost(mode: Val<Mode>, n: u32) -> u32 {
        match mode {
            Mode::Fast => n,
            Mode::Slow if n > 10 => n * 2,
            Mode::Slow | Mode::Off => n + 100,
        }
    }

    #[device]
    pub(super) fn modes(a: u32, b: u32, c: u32) -> u32 {
        let first = if a > b { Mode::Fast } else { mode_of(c) };
        let mut mode = Mode::Off;
        for i in 0..c {
            mode = match mode {
                Mode::Off => Mode::Slow,
                Mode::Slow => mode_of(i),
                Mode::Fast => first,
            };
            if mode == Mode::Fast && i > 5 {
                break;
            }
        }
        let both: u32 = match (first, mode) {
            (Mode::Fast, Mode::Fast) => 1,
            (Mode::Slow, _) | (_, Mode::Slow) => 2,
            _ => 3,
        };
        let known = Mode::Slow;
        let here: u32 = match known {
            Mode::Slow => 10,
            Mode::Fast | Mode::Off => 20,
        };
        let number = mode as i32 as u32 ^ Mode::Off as u32;
        let is = matches!(mode, Mode::Off | Mode::Fast) as u32;
        cost(mode, a)
            + 1000 * cost(first, b)
            + both
            + here
            + (number & 255) * 3
            + is
            + cost(Mode::Slow, c)
    }
}

mod modes {
    use super::Mode;

    fn mode_of(a: u32) -> Mode {
        match a % 3 {
            0 => Mode::Fast,
            1 => Mode::Slow,
            _ => Mode::Off,
        }
    }

    fn cost(mode: Mode, n: u32) -> u32 {
        match mode {
            Mode::Fast => n,
            Mode::Slow if n > 10 => n * 2,
            Mode::Slow | Mode::Off => n + 100,
        }
    }

    pub(super) fn host(a: u32, b: u32, c: u32) -> u32 {
        let first = if a > b { Mode::Fast } else { mode_of(c) };
        let mut mode = Mode::Off;
        for i in 0..c {
            mode = match mode {
                Mode::Off => Mode::Slow,
                Mode::Slow => mode_of(i),
                Mode::Fast => first,
            };
            if mode == Mode::Fast && i > 5 {
                break;
            }
        }
        let both: u32 = match (first, mode) {
            (Mode::Fast, Mode::Fast) => 1,
            (Mode::Slow, _) | (_, Mode::Slow) => 2,
            _ => 3,
        };
        let known = Mode::Slow;
        let here: u32 = match known {
            Mode::Slow => 10,
            Mode::Fast | Mode::Off => 20,
        };
        let number = mode as i32 as u32 ^ Mode::Off as u32;
        let is = matches!(mode, Mode::Off | Mode::Fast) as u32;
        cost(mode, a)
            + 1000 * cost(first, b)
            + both
            + here
            + (number & 255) * 3
            + is
            + cost(Mode::Slow, c)
    }
}
use device_form::modes;

crate::agreement!(agree: modes);
