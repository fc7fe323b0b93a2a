//! `device_print!` and `device_assert!`: text with values that are known when the kernel runs.
//!
//! The format string is rustc's: it is compiled by `format_args!`, which checks number and types of
//! the arguments, and it is formatted while the kernel is staged. A run-time value among the
//! arguments formats as a hole that notes the value and how it is to be written; what std makes of
//! everything else - host values, structs that derive `Debug`, arrays - is the text between. The
//! device only stores the values' bits; the host puts the text together
//! ([`Message`](kernelsmith_ir::message)).

use std::cell::RefCell;
use std::fmt::{self, Write};

use kernelsmith_ir::attr::{AtomicOp, Attr, CheckKind, Const, Order, Scope};
use kernelsmith_ir::check::ErrorRecord;
use kernelsmith_ir::message::{Align, Form, Hole, Message, Piece, Spec};
use kernelsmith_ir::printing::{PrintBuffer, words};
use kernelsmith_ir::{Builder, Opcode, ParamKind, Scalar, Space, Type, Value};

use super::control::Condition;
use super::element::{Element, Int, Num};
use super::stage::{build, fail};
use super::val::Val;

/// What is being formatted.
#[derive(Default)]
struct Capture {
    message: Message,
    values: Vec<Value>,
    /// A hole that announced itself, and whose mark comes next.
    hole: Option<(Value, Hole)>,
}

thread_local! {
    static CAPTURE: RefCell<Option<Capture>> = const { RefCell::new(None) };
}

/// What a hole writes. Between it and the writer stands only what std adds (indentation).
const MARK: &str = "\u{FFFC}";

/// Takes text and holes to [`CAPTURE`].
struct Writer;

impl Write for Writer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        CAPTURE.with_borrow_mut(|capture| {
            let Some(capture) = capture else { return Err(fmt::Error) };
            let pieces = &mut capture.message.pieces;
            match capture.hole.take_if(|_| text == MARK) {
                Some((value, hole)) => {
                    capture.values.push(value);
                    pieces.push(Piece::Value(hole));
                }
                None => match pieces.last_mut() {
                    Some(Piece::Text(last)) => last.push_str(text),
                    _ => pieces.push(Piece::Text(text.to_owned())),
                },
            }
            Ok(())
        })
    }
}

/// The message and the values of its holes.
#[track_caller]
fn captured(args: fmt::Arguments<'_>) -> (Message, Vec<Value>) {
    let outer = CAPTURE.replace(Some(Capture::default()));
    let written = Writer.write_fmt(args);
    let capture = CAPTURE.replace(outer).unwrap_or_default();
    if written.is_err() {
        fail("an argument reports an error where it is formatted");
    }
    (capture.message, capture.values)
}

impl<T: Element> Val<T> {
    fn format(&self, f: &mut fmt::Formatter<'_>, form: Form) -> fmt::Result {
        let hole = Hole { ty: T::TYPE, spec: spec(f, form) };
        let captures = CAPTURE.with_borrow_mut(|capture| match capture {
            Some(capture) => {
                capture.hole = Some((self.id, hole));
                true
            }
            None => false,
        });
        match captures {
            true => f.write_str(MARK),
            // Formatted by the host's own code, which only sees what is being built.
            false => write!(f, "%{}: {}", self.id.0, T::TYPE),
        }
    }
}

fn spec(f: &fmt::Formatter<'_>, form: Form) -> Spec {
    let narrow = |n: Option<usize>| n.map(|n| u16::try_from(n).unwrap_or(u16::MAX));
    Spec {
        fill: f.fill(),
        align: f.align().map(|align| match align {
            fmt::Alignment::Left => Align::Left,
            fmt::Alignment::Center => Align::Center,
            fmt::Alignment::Right => Align::Right,
        }),
        plus: f.sign_plus(),
        alternate: f.alternate(),
        zero: f.sign_aware_zero_pad(),
        width: narrow(f.width()),
        precision: narrow(f.precision()),
        form,
    }
}

macro_rules! forms {
    ($($form:ident $bound:ident),*) => {$(
        impl<T: $bound> fmt::$form for Val<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.format(f, Form::$form)
            }
        }
    )*};
}

forms!(
    Display Element, Debug Element, LowerHex Int, UpperHex Int, Octal Int, Binary Int,
    LowerExp Num, UpperExp Num
);

/// The bits of a value as an unsigned integer of its size; of a `bool` as `u32`.
fn bits(b: &mut Builder, value: Value) -> (Value, Scalar) {
    let ty = b.kernel().ty(value).elem();
    let unsigned = match ty.size() {
        _ if ty == Scalar::Bool => return (b.cast(value, Scalar::U32), Scalar::U32),
        1 => Scalar::U8,
        2 => Scalar::U16,
        4 => Scalar::U32,
        _ => Scalar::U64,
    };
    (b.emit1(Opcode::Bitcast, Attr::None, &[value], unsigned.into()), unsigned)
}

/// `device_assert!`: of a host condition it is decided while staging.
#[track_caller]
pub fn check(condition: impl Condition, args: fmt::Arguments<'_>) {
    condition.assert_formatted(args);
}

#[track_caller]
pub(crate) fn check_formatted(condition: Val<bool>, args: fmt::Arguments<'_>) {
    let (message, values) = captured(args);
    if values.len() > ErrorRecord::VALUE_COUNT {
        fail(format!(
            "device_assert! shows {} values that are known when the kernel runs; it can show {}",
            values.len(),
            ErrorRecord::VALUE_COUNT
        ));
    }
    build(|b| {
        let values: Vec<Value> = values
            .into_iter()
            .map(|value| {
                let (bits, _) = bits(b, value);
                b.cast(bits, Scalar::U64)
            })
            .collect();
        b.assert(condition.id, &message, &values);
    });
}

/// A check with a message of plain text.
#[track_caller]
pub(crate) fn check_text(condition: Val<bool>, message: &str) {
    build(|b| b.check(condition.id, CheckKind::Assert, Some(message)));
}

/// `device_print!`.
#[track_caller]
pub fn print(args: fmt::Arguments<'_>) {
    let (message, values) = captured(args);
    build(|b| {
        let number = b.kernel().prints.len() as u32;
        b.kernel_mut().prints.push(message.to_string());
        let record = record(b, number, &values);
        write_record(b, &record);
    });
}

/// The words of a record: the print's number, one higher, and the values' bits.
fn record(b: &mut Builder, number: u32, values: &[Value]) -> Vec<Value> {
    let base = b.hidden_param(ParamKind::PrintBase);
    let number = b.constant(Const::int(Scalar::U32, i128::from(number) + 1));
    let mut record = vec![b.same(Opcode::Add, &[base, number])];
    for &value in values {
        let (bits, unsigned) = bits(b, value);
        record.push(b.cast(bits, Scalar::U32));
        if words(unsigned) == 2 {
            let half = b.constant(Const::int(Scalar::U32, 32));
            let upper = b.same(Opcode::Shr, &[bits, half]);
            record.push(b.cast(upper, Scalar::U32));
        }
    }
    record
}

/// Claims room for a record and writes it there, or counts it as dropped.
fn write_record(b: &mut Builder, record: &[Value]) {
    let buffer = b.hidden_param(ParamKind::PrintBuffer);
    let wide = Type::Ptr(Space::Global, Scalar::U64);
    let header = b.emit1(Opcode::PtrCast, Attr::None, &[buffer], wide);
    let field = |b: &mut Builder, offset: u32| {
        let index = b.constant(Const::int(Scalar::U64, (offset / 8).into()));
        b.ptr_add(header, index)
    };
    let add = |b: &mut Builder, offset: u32, n: usize| {
        let (at, n) = (field(b, offset), b.constant(Const::int(Scalar::U64, n as i128)));
        let (op, order, scope) = (AtomicOp::Add, Order::Relaxed, Scope::Device);
        let attr = Attr::Atomic { op, order, scope };
        (b.emit1(Opcode::AtomicRmw, attr, &[at, n], Type::U64), n)
    };
    let (start, len) = add(b, PrintBuffer::CLAIMED, record.len());
    let at = field(b, PrintBuffer::CAPACITY);
    let (end, capacity) = (b.same(Opcode::Add, &[start, len]), b.load(at, Type::U64));
    let fits = b.compare(Opcode::Le, end, capacity);
    b.begin_if(fits);
    let first = b.constant(Const::int(Scalar::U64, PrintBuffer::HEADER_WORDS.into()));
    let first = b.same(Opcode::Add, &[start, first]);
    let at = b.ptr_add(buffer, first);
    for (i, &word) in record.iter().enumerate() {
        let i = b.constant(Const::int(Scalar::U64, i as i128));
        let at = b.ptr_add(at, i);
        b.store(at, word);
    }
    b.begin_else(&[]);
    add(b, PrintBuffer::DROPPED, 1);
    b.end_if(&[], &[]);
}

/// Prints a line from every thread that gets here: `device_print!("x = {x:.3} at {}", i)`.
///
/// The format string is that of `println!`, checked by rustc: `{}`, `{:?}`, `{:x}`, width, precision
/// and the rest, of values known when the kernel runs and of host values alike; structs that derive
/// `Debug` print with `{:?}`. Lines come out when the stream is next waited for (`synchronize`, a
/// copy to the host), to standard output or where
/// [`Stream::print_to`](crate::Stream::print_to) says. Each is whole; those of one thread are in
/// order, those of several in any. A stream keeps 1 MiB of values until then; lines that find no
/// room are counted, and the count is the last line.
#[macro_export]
macro_rules! device_print {
    ($($arg:tt)+) => { $crate::__macro::print(::core::format_args!($($arg)+)) };
}

/// Ends the thread with an error unless a condition holds: `device_assert!(i < n, "i is {i}")`.
///
/// The error comes back when the stream is next waited for, with the kernel, the line, the message
/// and the thread; the message is a format string as in [`device_print!`], with up to four values
/// that are known when the kernel runs. Without a message the condition itself is shown. What a
/// kernel wrote in which an assertion failed is incomplete.
#[macro_export]
macro_rules! device_assert {
    ($condition:expr $(,)?) => {
        $crate::__macro::check($condition, ::core::format_args!("{}", stringify!($condition)))
    };
    ($condition:expr, $($arg:tt)+) => {
        $crate::__macro::check($condition, ::core::format_args!($($arg)+))
    };
}
