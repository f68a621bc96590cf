//! Numbers that look random and are the same in every run.

/// A generator of numbers that are wholly determined by its seed (`SplitMix64`, Steele, Lea and Flood,
/// *Fast splittable pseudorandom number generators*, OOPSLA 2014).
///
/// ```
/// use alluvium_conformance::Random;
///
/// assert_eq!(Random::new(7).bytes(16), Random::new(7).bytes(16));
/// assert!(Random::new(7).below(10) < 10);
/// ```
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The numbers of this seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The numbers of the `index`-th of many independent generators of one seed.
    pub const fn nth(seed: u64, index: u64) -> Self {
        let mut outer = Self(seed ^ index.wrapping_mul(0xA24B_AED4_963E_E407));
        Self(outer.number())
    }

    /// The next number.
    pub const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `limit` - 1; 0 if `limit` is 0.
    pub const fn below(&mut self, limit: u64) -> u64 {
        let number = self.number();
        if limit == 0 { 0 } else { number % limit }
    }

    /// An index into something of this length.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or(0)
    }

    /// True `percent` times in a hundred.
    pub const fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Bytes that no compression makes shorter.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend_from_slice(&self.number().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }
}
