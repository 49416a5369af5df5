//! Pages as a file holds them: checksums, ids, meta, space and overflow pages.

use wal::Lsn;

use super::*;

fn sealed(id: u32) -> Page<256> {
    let mut page = leaf::<256>(b"", None, &[(b"k", b"v")]);
    page.set_id(PageId(id));
    page.set_lsn(Lsn::new(0x0102_0304_0506_0708));
    page.seal();
    page
}

#[test]
fn sealed_page_is_accepted_at_its_place_only() {
    let page = sealed(17);
    assert_eq!(page.verify(PageId(17)), Ok(()));
    assert_eq!(page.lsn(), Lsn::new(0x0102_0304_0506_0708));
    let error = page.verify(PageId(18)).unwrap_err();
    assert_eq!(error.to_string(), "page 18: the content is that of page 17");
}

#[test]
fn every_flipped_bit_is_found() {
    let page = sealed(17);
    for bit in 0..256 * 8 {
        let mut damaged = page.clone();
        damaged.bytes_mut()[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(damaged.verify(PageId(17)), Err(PageError::Checksum { .. })), "bit {bit}");
    }
}

#[test]
fn page_of_zeros_is_blank() {
    assert_eq!(Page::<256>::zeroed().verify(PageId(3)), Err(PageError::Blank { page: PageId(3) }));
    assert_eq!(Page::<256>::zeroed().kind(), Kind::Free);
}

#[test]
fn unknown_kind_is_named() {
    let mut page = sealed(17);
    page.bytes_mut()[16] = 6;
    page.seal();
    assert_eq!(page.verify(PageId(17)), Err(PageError::UnknownKind { page: PageId(17), found: 6 }));
}

#[test]
fn image_keeps_id_and_lsn_and_skips_the_hole() {
    let mut page = sealed(17);
    let other = leaf::<256>(b"x", Some(b"y"), &[(b"x1", b"1"), (b"x2", b"22")]);
    let bytes = image_of(&other);
    assert_eq!(bytes.len(), 24 + 2 * 8 + (2 + 2 + 1) + (2 + 2 + 2) + 2);
    Op::Image { bytes: &bytes }.apply(&mut page).unwrap();
    assert_eq!((page.id(), page.lsn()), (PageId(17), Lsn::new(0x0102_0304_0506_0708)));
    assert_eq!(cells_of(&page), cells_of(&other));
    Op::Free.apply(&mut page).unwrap();
    assert_eq!((page.kind(), page.id()), (Kind::Free, PageId(17)));
    assert_eq!(image_of(&page).len(), 24);
    assert_valid(&page);
}

#[test]
fn meta_page_tells_whose_file_it_is() {
    let mut page: Page<512> = Meta { partition: 7 }.page();
    page.seal();
    assert_eq!(Meta::parse(&page), Ok(Meta { partition: 7 }));
    assert_valid(&page);
    let mut twin = Twin::new(&page);
    assert_eq!(
        Meta::parse(&{
            twin.page.seal();
            twin.page.clone()
        }),
        Ok(Meta { partition: 7 })
    );

    let text = |page: &Page<512>| Meta::parse(page).unwrap_err().to_string();
    let mut damaged = page.clone();
    damaged.bytes_mut()[HEADER + 16] ^= 1;
    assert!(text(&damaged).starts_with("page 0: the checksum is"));
    let mut newer = page.clone();
    newer.bytes_mut()[HEADER + 8] = 2;
    assert_eq!(text(&newer), "the file has format version 2; this program reads version 1");
    let mut smaller = Page::<256>::zeroed();
    smaller.bytes_mut().copy_from_slice(&page.bytes()[..256]);
    let error = Meta::parse(&smaller).unwrap_err().to_string();
    assert_eq!(error, "the file has pages of 512 bytes; this program was built for 256");
    let mut foreign = page.clone();
    foreign.bytes_mut()[..16].copy_from_slice(b"SQLite format 3\0");
    foreign.bytes_mut()[HEADER..HEADER + 8].fill(0);
    assert_eq!(text(&foreign), "this is not a HedgehogDB file");
    assert_eq!(text(&Page::zeroed()), "page 0 is blank: it was never written");
}

#[test]
fn every_page_of_a_group_has_one_position() {
    const CAPACITY: usize = space_capacity(256);
    assert_eq!(CAPACITY, 216 * 8);
    assert_eq!(Location::of::<256>(PageId(0)), None);
    assert_eq!(Location::of::<256>(PageId(1)), None);
    for id in 2..5000 {
        let location = Location::of::<256>(PageId(id)).unwrap();
        assert!(usize::from(location.position) < CAPACITY);
        assert_eq!(location.page::<256>(), Some(PageId(id)));
    }
    assert_eq!(Location::space_page::<256>(1), Some(PageId(CAPACITY as u32 + 2)));
    assert_eq!(Location::space_page::<256>(u32::MAX), None);
    let last = Location::of::<256>(PageId(u32::MAX)).unwrap();
    assert_eq!(last.page::<256>(), Some(PageId(u32::MAX)));
    assert_eq!(space_capacity(32768), 65536);
    assert_eq!(Location::of::<32768>(PageId(65537)), Some(Location { group: 0, position: 65535 }));
}

fn set_positions<const PAGE: usize>(page: &Page<PAGE>) -> Vec<u32> {
    (0..space_capacity(PAGE) as u32).filter(|&position| page.is_set(position as u16)).collect()
}

#[test]
fn space_page_counts_to_its_last_bit() {
    let mut twin = Twin::new(&Page::<256>::new_space());
    assert_eq!(set_positions(&twin.page), [0]);
    let positions = [1u16, 7, 8, 1727].map(u16::to_le_bytes).concat();
    assert_eq!(twin.apply(Op::SetBits { pages: &positions }), Ok(()));
    assert_eq!(set_positions(&twin.page), [0, 1, 7, 8, 1727]);
    assert_eq!(set_positions(&Twin::new(&twin.page).page), [0, 1, 7, 8, 1727]);
    let cleared = [7u16, 9].map(u16::to_le_bytes).concat();
    assert_eq!(twin.apply(Op::ClearBits { pages: &cleared }), Ok(()));
    assert_eq!(set_positions(&twin.page), [0, 1, 8, 1727]);
    for pages in [&1728u16.to_le_bytes()[..], &[0], &[2, 0, 255, 255]] {
        assert_eq!(twin.apply(Op::SetBits { pages }), Err(ApplyError::Position));
        assert_eq!(twin.apply(Op::ClearBits { pages }), Err(ApplyError::Position));
    }
}

#[test]
fn bitmap_that_calls_itself_free_is_refused() {
    let mut twin = Twin::new(&Page::<256>::new_space());
    assert_eq!(twin.apply(Op::ClearBits { pages: &[7, 0, 0, 0] }), Err(ApplyError::Position));
    assert_eq!(set_positions(&twin.page), [0]);
    let mut page = twin.page.clone();
    page.bytes_mut()[HEADER] = 0;
    page.seal();
    let (page_id, flaw) = (page.id(), Flaw::OwnBit);
    assert_eq!(page.verify(page_id), Err(PageError::Structure { page: page_id, flaw }));
}

#[test]
fn largest_space_page_reaches_position_65535() {
    let mut page = Page::<32768>::new_space();
    Op::SetBits { pages: &[0xfe, 0xff, 0xff, 0xff] }.apply(&mut page).unwrap();
    assert_eq!(set_positions(&page), [0, 65534, 65535]);
}

#[test]
fn overflow_page_holds_its_piece() {
    let data = [7; overflow_capacity(256)];
    for (next, data) in [(None, &data[..]), (Some(PageId(99)), &data[..1]), (None, &[])] {
        let twin = Twin::new(&Page::<256>::new_overflow(next, data).unwrap());
        assert_eq!((twin.page.overflow_next(), twin.page.overflow_data()), (next, data));
    }
    assert!(Page::<256>::new_overflow(None, &[0; overflow_capacity(256) + 1]).is_none());
    let mut page = Page::<256>::new_overflow(None, &data).unwrap();
    page.bytes_mut()[HEADER + 4] = 211;
    page.seal();
    let flaw = Flaw::OverflowLength(211);
    assert_eq!(page.verify(PageId(0)), Err(PageError::Structure { page: PageId(0), flaw }));
}
