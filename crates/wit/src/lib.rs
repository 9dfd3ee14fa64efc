//! Serde for WIT: lower any serde value into component values and lift results out again
