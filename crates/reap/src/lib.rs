//! The hands: nudge and reap.
