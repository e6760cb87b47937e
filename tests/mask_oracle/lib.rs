// Carries the functions of llguidance.h into the archive.
pub use llguidance::ffi;
