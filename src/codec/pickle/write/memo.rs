//! The memo: what stands in a pickle once, and is referred to by its number from then on.

use super::Writer;
use crate::codec::pickle::opcode as op;

impl Writer {
    /// Gives what was just written the next number.
    #[inline]
    pub(super) fn memoize(&mut self) {
        match self.protocol {
            4.. => self.out.write(&[op::MEMOIZE]),
            0 => self.memo_line(op::PUT, self.memo),
            _ => self.memo_number(op::BINPUT, op::LONG_BINPUT, self.memo),
        }
        self.memo += 1;
    }

    /// Refers to what has this number.
    pub(super) fn memo_get(&mut self, number: u32) {
        if self.protocol == 0 {
            self.memo_line(op::GET, number);
        } else {
            self.memo_number(op::BINGET, op::LONG_BINGET, number);
        }
    }

    fn memo_number(&mut self, short: u8, long: u8, number: u32) {
        let [a, b, c, d] = number.to_le_bytes();
        if number < 256 {
            self.out.write(&[short, a]);
        } else {
            self.out.write(&[long, a, b, c, d]);
        }
    }

    fn memo_line(&mut self, opcode: u8, number: u32) {
        self.out.write(&[opcode]);
        self.out.write(number.to_string().as_bytes());
        self.out.write(b"\n");
    }
}
