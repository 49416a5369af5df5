//! The traffic's documents, padded to a size where one is asked for.

use experiments::traffic::Table;

const BEGIN: &[u8] = br#","padding":""#;
const END: &[u8] = br#""}"#;

/// Replaces `document` by the JSON of the `index`th document at `revision`. Where it is shorter than `bytes`, a field
/// `padding` makes it as long as that, or as short as the field allows.
pub(crate) fn write(table: Table, index: u64, revision: u32, bytes: usize, document: &mut Vec<u8>) {
    table.write_document(index, revision, document);
    if document.len() < bytes {
        document.pop();
        document.extend_from_slice(BEGIN);
        let padding = bytes.saturating_sub(document.len() + END.len());
        document.resize(document.len() + padding, b'x');
        document.extend_from_slice(END);
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn padding_makes_a_document_as_long_as_asked_and_keeps_its_fields() {
        let mut plain = Vec::new();
        write(Table::Users, 3, 0, 0, &mut plain);
        let mut padded = Vec::new();
        for bytes in [plain.len(), plain.len() + 1, 200, 5_000] {
            write(Table::Users, 3, 0, bytes, &mut padded);
            assert!(padded.len() >= bytes && padded.len() < bytes.max(plain.len()) + 20);
            let json: serde_json::Value = serde_json::from_slice(&padded).unwrap();
            assert_eq!(json["name"], "User 1003");
        }
        assert_eq!(padded.len(), 5_000);
    }
}
