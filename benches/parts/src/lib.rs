//! The benchmark is `benches/parts.rs`.
