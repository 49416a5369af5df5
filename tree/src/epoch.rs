//! When a freed page id may be used again.
//!
//! A thread that let go of every latch but still remembers a page id (it waits for that page to be read, or
//! walks a chain of overflow pages) pins the epoch. A page id freed after that is handed out again only when
//! all such pins are gone (Fraser, "Practical lock-freedom", 2004; crossbeam-epoch).

pub(crate) use crate::sync::epoch::Guard as Pin;

/// Until the pin is dropped, no page id that is in use now is given to another page.
pub(crate) fn pin() -> Pin {
    crate::sync::epoch::pin()
}

/// Runs `action` when every pin of now is gone.
pub(crate) fn defer(action: impl FnOnce() + Send + 'static) {
    let pin = pin();
    pin.defer(action);
    // Pins are rare here, so that collection would be too: push it on.
    pin.flush();
}
