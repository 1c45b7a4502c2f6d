//! The allocator of every service. The C library's keeps what was freed: after an outage of the broker a collector held the
//! pages of its emptied queue for good, and took them for pressure. This one gives them back.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
