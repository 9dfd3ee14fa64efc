//! Pure mapping between outside messages and a function's arguments and results
