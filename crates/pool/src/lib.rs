//! Admission, queue and ready workers for any kind of job; knows nothing of WebAssembly
