//! The YAML registry of Crisol: parsed, linked and checked, every problem at once and in its place
