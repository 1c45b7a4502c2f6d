//! Each exchange as a pure state machine: frames in, effects out.
