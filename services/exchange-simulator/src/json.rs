//! JSON written by hand, piece by piece: events are the hot path, and their names and numbers need no escaping.

use crate::units::push_integer;

/// `key` (with its colon and whatever stands before it), then a string that needs no escaping.
pub(crate) fn text(out: &mut String, key: &str, value: &str) {
    out.push_str(key);
    out.push('"');
    out.push_str(value);
    out.push('"');
}

/// `key`, then a whole number.
pub(crate) fn integer(out: &mut String, key: &str, value: impl itoa::Integer) {
    out.push_str(key);
    push_integer(out, value);
}

/// `key`, then true or false.
pub(crate) fn flag(out: &mut String, key: &str, value: bool) {
    out.push_str(key);
    out.push_str(if value { "true" } else { "false" });
}
