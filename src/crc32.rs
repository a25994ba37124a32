//! The CRC-32 of texts put together, from theirs: a few hundred instructions where the library's way takes thousands.
//!
//! A CRC is a remainder of polynomials over GF(2), bits reflected. What stands behind a text of n bytes is multiplied by
//! x to the 8n (zlib's `crc32_combine_op`).

/// CRC-32's polynomial, as RFC 1952 has it.
const POLYNOMIAL: u32 = 0xedb8_8320;
/// The polynomial 1.
const ONE: u32 = 1 << 31;
/// The polynomial x to the 8: one byte.
const BYTE: u32 = ONE >> 8;

/// By the place and the value of a hexadecimal digit: x to the eight times what the digit stands for.
static SHIFTS: [[u32; 16]; 8] = shifts();

/// What a CRC is multiplied by where a text of some length follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shift(u32);

impl Shift {
    /// Over a text of so many bytes.
    #[must_use]
    pub fn over(length: u32) -> Self {
        let digits =
            (0..8_usize).map(|place| (place, (length >> (4 * place)) & 15)).filter(|(_, digit)| *digit != 0);
        Self(digits.fold(ONE, |shift, (place, digit)| multiply(shift, SHIFTS[place][digit as usize])))
    }

    /// The CRC of two texts together; the second is the one that this shifts over.
    #[must_use]
    pub fn combine(self, first: u32, second: u32) -> u32 {
        multiply(self.0, first) ^ second
    }
}

/// The remainder of a product.
const fn multiply(left: u32, right: u32) -> u32 {
    let (mut product, mut left, mut right) = (0, left, right);
    while left != 0 {
        // All ones where the highest bit is set, without a branch that could not be foretold.
        product ^= right & (left >> 31).wrapping_neg();
        right = (right >> 1) ^ (POLYNOMIAL & (right & 1).wrapping_neg());
        left <<= 1;
    }
    product
}

const fn shifts() -> [[u32; 16]; 8] {
    let mut shifts = [[ONE; 16]; 8];
    let (mut place, mut unit) = (0, BYTE);
    while place < 8 {
        let mut digit = 1;
        while digit < 16 {
            shifts[place][digit] = multiply(shifts[place][digit - 1], unit);
            digit += 1;
        }
        unit = multiply(shifts[place][15], unit);
        place += 1;
    }
    shifts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_crc_of_texts_together_is_worked_out_from_theirs(first: Vec<u8>, second: Vec<u8>, times in 0_usize..2000) {
            let second = second.repeat(times);
            let shift = Shift::over(u32::try_from(second.len()).unwrap());
            let combined = shift.combine(crc32fast::hash(&first), crc32fast::hash(&second));
            prop_assert_eq!(combined, crc32fast::hash(&[first, second].concat()));
        }

        #[test]
        fn it_is_what_the_library_works_out_for_any_length(first: u32, second: u32, length: u32) {
            let mut hasher = crc32fast::Hasher::new_with_initial_len(first, 1);
            hasher.combine(&crc32fast::Hasher::new_with_initial_len(second, u64::from(length)));
            prop_assert_eq!(Shift::over(length).combine(first, second), hasher.finalize());
        }
    }
}
