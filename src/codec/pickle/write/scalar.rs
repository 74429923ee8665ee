//! Texts, bytes and numbers, as protocols 2 to 5 have them; where protocols 0 and 1 differ, [`super::classic`] writes.

use num_bigint::BigInt;

use super::{Class, Writer, too_big};
use crate::codec::pickle::opcode as op;
use crate::error::{Error, Kind, Result};
use crate::value::arena::NIL;
use crate::value::{Number, keys, wtf8};

impl Writer {
    /// A text; one that is shared, or that Python has only once, is written once.
    pub(super) fn text(&mut self, share: u32, bytes: &[u8]) -> Result<()> {
        let next = self.memo;
        let slot = match wtf8::first(bytes) {
            None => self.single.get_mut(256),
            Some((code, len)) if len == bytes.len() && code < 256 => self.single.get_mut(code as usize),
            _ if share == 0 => None,
            _ => {
                let place = share as usize;
                if self.shared.len() <= place {
                    self.shared.resize(place + 1, NIL);
                }
                self.shared.get_mut(place)
            }
        };
        if let Some(slot) = slot {
            if *slot != NIL {
                let number = *slot;
                self.memo_get(number);
                return Ok(());
            }
            *slot = next;
        }
        self.text_opcode(bytes)?;
        self.memoize();
        Ok(())
    }

    fn text_opcode(&mut self, bytes: &[u8]) -> Result<()> {
        self.check(bytes.len())?;
        match u8::try_from(bytes.len()) {
            Ok(len) if self.protocol >= 4 => self.out.write_string(&[op::SHORT_BINUNICODE, len], bytes),
            _ if self.protocol == 0 => return self.text_line(bytes),
            _ => self.string(op::BINUNICODE, op::BINUNICODE8, bytes)?,
        }
        Ok(())
    }

    /// A string behind a length of four bytes, or of eight where the protocol has that.
    fn string(&mut self, four: u8, eight: u8, bytes: &[u8]) -> Result<()> {
        match u32::try_from(bytes.len()) {
            Ok(len) => self.out.write_string(&[&[four], &len.to_le_bytes()[..]].concat(), bytes),
            Err(_) if self.protocol >= 4 => {
                let len = bytes.len() as u64;
                self.out.write_string(&[&[eight], &len.to_le_bytes()[..]].concat(), bytes);
            }
            Err(_) => return Err(Error::new(Kind::TooBig, "protocols below 4 hold strings up to 4 GiB")),
        }
        Ok(())
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        if self.protocol < 3 {
            return self.bytes_as_call(bytes);
        }
        self.check(bytes.len())?;
        match u8::try_from(bytes.len()) {
            Ok(len) => self.out.write_string(&[op::SHORT_BINBYTES, len], bytes),
            Err(_) => self.string(op::BINBYTES, op::BINBYTES8, bytes)?,
        }
        self.memoize();
        Ok(())
    }

    pub(super) fn number(&mut self, number: &Number) -> Result<()> {
        match number {
            Number::Float(value) => self.float(*value),
            Number::Int(value) => match i64::try_from(value) {
                Ok(value) => self.int(value)?,
                Err(_) => self.big(value)?,
            },
        }
        Ok(())
    }

    pub(super) fn bool(&mut self, value: bool) {
        match (self.protocol, value) {
            (2.., true) => self.out.write(&[op::NEWTRUE]),
            (2.., false) => self.out.write(&[op::NEWFALSE]),
            (_, value) => self.bool_line(value),
        }
    }

    pub(super) fn int(&mut self, value: i64) -> Result<()> {
        if self.protocol == 0
            && let Ok(int) = i32::try_from(value)
        {
            self.int_line(int);
        } else if let Ok(byte) = u8::try_from(value) {
            self.out.write(&[op::BININT1, byte]);
        } else if let Ok(short) = u16::try_from(value) {
            let [low, high] = short.to_le_bytes();
            self.out.write(&[op::BININT2, low, high]);
        } else if let Ok(int) = i32::try_from(value) {
            let [a, b, c, d] = int.to_le_bytes();
            self.out.write(&[op::BININT, a, b, c, d]);
        } else {
            return self.long(keys::shortest(&value.to_le_bytes()));
        }
        Ok(())
    }

    fn big(&mut self, value: &BigInt) -> Result<()> {
        self.long(&value.to_signed_bytes_le())
    }

    /// LONG1 or LONG4 with the shortest two's complement; before protocol 2, digits.
    pub(super) fn long(&mut self, bytes: &[u8]) -> Result<()> {
        if self.protocol < 2 {
            return self.long_line(bytes);
        }
        self.check(bytes.len())?;
        match (u8::try_from(bytes.len()), i32::try_from(bytes.len())) {
            (Ok(len), _) => self.out.write(&[op::LONG1, len]),
            (_, Ok(len)) => {
                let [a, b, c, d] = len.to_le_bytes();
                self.out.write(&[op::LONG4, a, b, c, d]);
            }
            _ => return Err(too_big(self.limit)),
        }
        self.out.write(bytes);
        Ok(())
    }

    pub(super) fn float(&mut self, value: f64) {
        if self.protocol == 0 {
            return self.float_line(value);
        }
        self.out.write(&[op::BINFLOAT]);
        self.out.write(&value.to_be_bytes());
    }

    /// An instance that was made without arguments and has no state.
    pub(super) fn instance(&mut self, class: Class) -> Result<()> {
        if self.protocol < 2 {
            return self.reconstructed(class);
        }
        self.class(class)?;
        self.out.write(&[op::EMPTY_TUPLE, op::NEWOBJ]);
        self.memoize();
        Ok(())
    }

    /// A class, by its name.
    pub(super) fn class(&mut self, class: Class) -> Result<()> {
        if self.protocol >= 4 {
            self.text(0, class.module.as_bytes())?;
            self.text(0, class.name.as_bytes())?;
            self.out.write(&[op::STACK_GLOBAL]);
        } else {
            for part in [&[op::GLOBAL], class.module.as_bytes(), b"\n", class.name.as_bytes(), b"\n"] {
                self.out.write(part);
            }
        }
        self.memoize();
        Ok(())
    }
}
