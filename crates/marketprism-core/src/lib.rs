//! The vocabulary: messages, subjects, stream topology, decimals, times.
