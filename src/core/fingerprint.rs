//! Hashes that are the same in every build, so that they may be stored, handed over and used in names (FNV-1a).

/// A short hash, for bytes without deliberate collisions.
pub fn short(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// A hash in place of an id: 16 bytes instead of 30 and an allocation. The chance that two of a million are equal is
/// 1 in 10^27.
pub fn long(bytes: &[u8]) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(BASIS, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    #[test]
    fn hashes_equal_the_reference_values() {
        assert_eq!(super::short(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(super::short(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(super::long(b"a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
    }
}
