//! The hashes by which the Python clients choose servers.

use flate2::Crc;
use md5::{Digest, Md5};

use crate::config::Hash;

/// One of libmemcached's. Where it takes bytes for numbers they have a sign, as `char` has on this kind of machine.
pub(super) fn of(hash: Hash, key: &[u8]) -> u32 {
    match hash {
        Hash::OneAtATime => one_at_a_time(key),
        Hash::Md5 => {
            let [a, b, c, d, ..] = md5(key);
            u32::from_le_bytes([a, b, c, d])
        }
        Hash::Crc => {
            let mut crc = Crc::new();
            crc.update(key);
            crc.sum() >> 16 & 0x7fff
        }
        Hash::Fnv1Of32 => fnv1(key, FNV_32, FNV_PRIME_32),
        Hash::Fnv1aOf32 => fnv1a(key, FNV_32, FNV_PRIME_32),
        Hash::Fnv1Of64 => fnv1(key, FNV_64, FNV_PRIME_64),
        Hash::Fnv1aOf64 => fnv1a(key, FNV_64, FNV_PRIME_64),
    }
}

/// The MD5 of a text.
pub(super) fn md5(text: &[u8]) -> [u8; 16] {
    Md5::digest(text).into()
}

/// A byte with its sign, as libmemcached adds it to 32 bits.
fn signed(byte: u8) -> u32 {
    i32::from(byte.cast_signed()).cast_unsigned()
}

/// Jenkins's.
fn one_at_a_time(key: &[u8]) -> u32 {
    let mut sum = key.iter().fold(0_u32, |sum, byte| {
        let sum = sum.wrapping_add(signed(*byte));
        let sum = sum.wrapping_add(sum << 10);
        sum ^ sum >> 6
    });
    sum = sum.wrapping_add(sum << 3);
    sum ^= sum >> 11;
    sum.wrapping_add(sum << 15)
}

// Of the hashes of 64 bits only the lower half counts, to which the upper one adds nothing.
const FNV_32: u32 = 0x811c_9dc5;
const FNV_PRIME_32: u32 = 0x0100_0193;
const FNV_64: u32 = 0x8422_2325;
const FNV_PRIME_64: u32 = 0x1b3;

fn fnv1(key: &[u8], start: u32, prime: u32) -> u32 {
    key.iter().fold(start, |sum, byte| sum.wrapping_mul(prime) ^ signed(*byte))
}

fn fnv1a(key: &[u8], start: u32, prime: u32) -> u32 {
    key.iter().fold(start, |sum, byte| (sum ^ signed(*byte)).wrapping_mul(prime))
}

/// MurmurHash3 of 32 bits with seed 0, over bytes that come one after the other.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Murmur {
    state: u32,
    /// Bytes that do not fill four yet, from the lowest.
    rest: u32,
    length: u32,
}

impl Murmur {
    /// Takes further bytes.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let place = self.length % 4;
            self.rest |= u32::from(*byte) << (8 * place);
            self.length = self.length.wrapping_add(1);
            if place == 3 {
                self.state ^= scrambled(self.rest);
                self.state = self.state.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
                self.rest = 0;
            }
        }
    }

    /// The hash of what came.
    pub(super) fn sum(self) -> u32 {
        let mut sum = self.state ^ scrambled(self.rest) ^ self.length; // without a rest the middle is 0
        sum = (sum ^ sum >> 16).wrapping_mul(0x85eb_ca6b);
        sum = (sum ^ sum >> 13).wrapping_mul(0xc2b2_ae35);
        sum ^ sum >> 16
    }
}

fn scrambled(block: u32) -> u32 {
    block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn murmur(text: &str) -> u32 {
        let mut hash = Murmur::default();
        // pymemcache takes the lowest eight bits of each character
        text.chars().for_each(|character| hash.add(&u32::from(character).to_le_bytes()[..1]));
        hash.sum()
    }

    // The contract's, M-4.
    #[test]
    fn murmur_is_pymemcache_s() {
        for (text, expected) in [
            ("", 0),
            ("a", 1_009_084_850),
            ("ab", 2_613_040_991),
            ("abc", 3_017_643_002),
            ("abcd", 1_139_631_978),
            ("é", 1_153_881_266),
            ("日本", 1_159_594_253),
            ("127.0.0.1:11211-:1:k", 5_355_562),
        ] {
            assert_eq!(murmur(text), expected, "{text}");
        }
    }

    /// What `memcached_generate_hash_value` of libmemcached 1.0.16 answers.
    #[test]
    fn hashes_are_libmemcached_s() {
        let keys = ["", "a", ":1:abc", "é"];
        for (hash, expected) in [
            (Hash::OneAtATime, [0, 3_392_050_242, 1_807_564_397, 26_298_542]),
            (Hash::Md5, [3_649_838_548, 3_111_502_092, 679_976_321, 2_546_851_174]),
            (Hash::Crc, [0, 26_807, 23_953, 3_588]),
            (Hash::Fnv1Of64, [2_216_829_733, 2_248_259_518, 2_809_108_880, 3_035_330_621]),
            (Hash::Fnv1aOf64, [2_216_829_733, 2_248_273_036, 2_784_630_878, 3_033_280_513]),
            (Hash::Fnv1Of32, [2_166_136_261, 84_696_446, 706_316_528, 376_872_957]),
            (Hash::Fnv1aOf32, [2_166_136_261, 3_826_002_220, 671_411_038, 1_023_043_777]),
        ] {
            assert_eq!(keys.map(|key| of(hash, key.as_bytes())), expected, "{hash:?}");
        }
    }
}
