//! Numbers that look random and are the same in every run.

/// Where they come from: what it was begun with.
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    /// Bytes of a range.
    pub fn bytes(&mut self, size: usize, range: std::ops::RangeInclusive<u8>) -> Vec<u8> {
        let width = usize::from(range.end() - range.start()) + 1;
        (0..size).map(|_| range.start() + u8::try_from(self.below(width)).unwrap()).collect()
    }
}
