//! Operations and records as bytes.

use proptest::prelude::*;

use super::*;

#[test]
fn small_insert_costs_five_bytes_besides_key_and_value() {
    let mut out = Vec::new();
    Op::Insert { slot: 3, suffix: b"key", value: Value::Inline(b"value") }.encode(&mut out);
    assert_eq!(out, b"\x01\x03\x00\x03key\x0avalue");
}

#[test]
fn record_keeps_the_order_of_its_operations() {
    let mut buffer = b"before".to_vec();
    let bits = [5, 0];
    let ops = [
        (PageId(9), Op::Truncate { slots: 4, high: b"m" }),
        (PageId(u32::MAX), Op::Image { bytes: &[1; 300] }),
        (PageId(2), Op::SetBits { pages: &bits }),
        (PageId(7), Op::InsertChild { slot: 1, suffix: b"", child: PageId(10) }),
        (PageId(8), Op::Update { slot: 65535, value: Value::Overflow { len: u32::MAX, first: PageId(1) } }),
        (PageId(3), Op::Free),
    ];
    let mut writer = RecordWriter::new(&mut buffer, u32::MAX, i32::MIN);
    for (page, op) in &ops {
        writer.op(*page, op);
    }
    let payload = &buffer[6..];
    let record = Record::parse(payload).unwrap();
    assert_eq!((record.partition, record.delta), (u32::MAX, i32::MIN));
    assert!(record.ops().map(Result::unwrap).eq(ops));
    // Cut anywhere, it gives the whole operations before the cut and one error, or ends just behind one.
    for cut in 0..payload.len() {
        let Ok(record) = Record::parse(&payload[..cut]) else { continue };
        let read = record.ops().collect::<Vec<_>>();
        let whole = read.iter().take_while(|op| op.is_ok()).count();
        assert!(read.len() - whole <= 1 && read[..whole].iter().flatten().eq(&ops[..whole]));
    }
}

#[test]
fn unknown_and_endless_operations_are_errors() {
    for tag in [0, 10, 255] {
        assert_eq!(Op::decode(&mut &[tag, 0, 0, 0, 0][..]), Err(DecodeError::UnknownOp(tag)));
    }
    assert_eq!(Op::decode(&mut &[6, 0xff, 0xff, 0xff, 0xff, 0xff, 1][..]), Err(DecodeError::Length));
    assert_eq!(Op::decode(&mut &[6, 0xff, 0xff, 0xff, 0xff, 0x0f][..]), Err(DecodeError::Truncated));
    assert_eq!(Op::decode(&mut &[2, 0, 0, 0xfe, 0xff, 0xff, 0xff, 0x3f][..]), Err(DecodeError::Length));
    assert_eq!(Op::decode(&mut &[][..]), Err(DecodeError::Truncated));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn decoding_any_bytes_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), tag in 0u8..10) {
        if let Ok(record) = Record::parse(&bytes) {
            prop_assert!(record.ops().count() <= bytes.len());
        }
        let mut tagged = bytes.clone();
        if let Some(first) = tagged.first_mut() {
            *first = tag;
        }
        let mut input = &tagged[..];
        if let Ok(op) = Op::decode(&mut input) {
            // What decodes encodes again to something that decodes to the same.
            let mut again = Vec::new();
            op.encode(&mut again);
            prop_assert_eq!(Op::decode(&mut &again[..]), Ok(op));
            let mut pages = [leaf::<256>(b"", None, &[(b"k", b"v")]), Page::new_space(), Page::zeroed()];
            for page in &mut pages {
                let _ = op.apply(page);
                assert_valid(page);
            }
        }
    }
}
