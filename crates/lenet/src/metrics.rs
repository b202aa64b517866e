//! What a network gets right and wrong.
