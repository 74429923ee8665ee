//! What protocols 0, 1 and 2 have of their own: lines of text for numbers and texts, calls in place of bytes and of
//! instances, tuples that begin with a MARK.

use super::{Class, Writer, too_big};
use crate::codec::pickle::opcode as op;
use crate::error::Result;
use crate::float;
use crate::value::{self, wtf8};

const BYTES: Class = Class { module: "__builtin__", name: "bytes" };
const ENCODE: Class = Class { module: "_codecs", name: "encode" };
const OBJECT: Class = Class { module: "__builtin__", name: "object" };
const RECONSTRUCTOR: Class = Class { module: "copy_reg", name: "_reconstructor" };

impl Writer {
    /// These protocols have no bytes: `_codecs.encode(text, 'latin1')`, or `bytes()` for none (pitfall 5).
    pub(super) fn bytes_as_call(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            self.class(BYTES)?;
            let no_arguments: &[u8] = if self.protocol == 0 { &[op::MARK, op::TUPLE] } else { &[op::EMPTY_TUPLE] };
            self.out.write(no_arguments);
        } else {
            // Each byte takes one character, of up to two bytes.
            self.check(bytes.len())?;
            self.class(ENCODE)?;
            self.open_tuple();
            self.text(0, &wtf8::from_latin1(bytes))?;
            self.text(0, b"latin1")?;
            self.close_tuple(op::TUPLE2);
        }
        self.out.write(&[op::REDUCE]);
        self.memoize();
        Ok(())
    }

    /// `copyreg._reconstructor(class, object, None)`, which makes an instance without state in protocols 0 and 1.
    pub(super) fn reconstructed(&mut self, class: Class) -> Result<()> {
        self.class(RECONSTRUCTOR)?;
        self.open_tuple();
        self.class(class)?;
        self.class(OBJECT)?;
        self.out.write(&[op::NONE]);
        self.close_tuple(op::TUPLE3);
        self.out.write(&[op::REDUCE]);
        self.memoize();
        Ok(())
    }

    /// The beginning of a tuple of one to three items.
    pub(super) fn open_tuple(&mut self) {
        if self.protocol < 2 {
            self.out.write(&[op::MARK]);
        }
    }

    /// Its end: the opcode of its length, which protocols 0 and 1 do not have.
    pub(super) fn close_tuple(&mut self, opcode: u8) {
        self.out.write(&[if self.protocol < 2 { op::TUPLE } else { opcode }]);
        self.memoize();
    }

    // Lines of text.

    fn line(&mut self, opcode: u8, text: &[u8]) {
        self.out.write(&[opcode]);
        self.out.write(text);
        self.out.write(b"\n");
    }

    pub(super) fn bool_line(&mut self, value: bool) {
        self.line(op::INT, if value { b"01" } else { b"00" });
    }

    pub(super) fn int_line(&mut self, value: i32) {
        self.line(op::INT, value.to_string().as_bytes());
    }

    /// An int of any size: two's complement, little endian.
    pub(super) fn long_line(&mut self, bytes: &[u8]) -> Result<()> {
        let mut digits = value::decimal(bytes)?;
        self.check(digits.len())?;
        digits.push('L');
        self.line(op::LONG, digits.as_bytes());
        Ok(())
    }

    pub(super) fn float_line(&mut self, value: f64) {
        self.line(op::FLOAT, float::repr(value).as_bytes());
    }

    /// A text in Latin-1, with `\uXXXX` and `\UXXXXXXXX` for everything else and for what would end the line.
    pub(super) fn text_line(&mut self, mut text: &[u8]) -> Result<()> {
        let mut line = Vec::with_capacity(text.len());
        while let Some((code, len)) = wtf8::first(text) {
            text = text.get(len..).unwrap_or_default();
            match (u8::try_from(code), code) {
                (Ok(0 | b'\n' | b'\r' | 0x1A | b'\\') | Err(_), ..0x1_0000) => {
                    line.extend_from_slice(format!("\\u{code:04x}").as_bytes());
                }
                (Ok(byte), _) => line.push(byte),
                (Err(_), _) => line.extend_from_slice(format!("\\U{code:08x}").as_bytes()),
            }
            if line.len() > self.limit {
                return Err(too_big(self.limit));
            }
        }
        self.check(line.len())?;
        self.line(op::UNICODE, &line);
        Ok(())
    }
}
