//! CRC-32C (Castagnoli), the checksum of a body in `$document.value_crc32c`.

/// The polynomial, its lowest bit first.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// What each byte does to the checksum.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut rest: &mut [u32] = &mut table;
    let mut byte = 0;
    while let Some((entry, after)) = rest.split_first_mut() {
        let mut sum = byte;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 { (sum >> 1) ^ POLYNOMIAL } else { sum >> 1 };
            bit += 1;
        }
        *entry = sum;
        rest = after;
        byte += 1;
    }
    table
};

/// Returns the checksum.
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    let step = |sum: u32, byte: &u8| {
        let [low, ..] = (sum ^ u32::from(*byte)).to_le_bytes();
        let entry = TABLE.get(usize::from(low)).copied().unwrap_or_default();
        (sum >> 8) ^ entry
    };
    !bytes.iter().fold(u32::MAX, step)
}

#[cfg(test)]
mod tests {
    use super::crc32c;

    #[test]
    fn known_sums() {
        assert_eq!(crc32c(b""), 0);
        // The check value of the catalogue of CRC algorithms, then a recorded one.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(b"{\"a\":1}"), 0xcff7_d56a);
    }
}
