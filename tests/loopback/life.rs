//! Deadlines, limits, life and death.
