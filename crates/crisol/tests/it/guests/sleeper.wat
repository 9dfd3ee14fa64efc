(component
  (import "wasi:io/poll@0.2.3" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.3" (instance $clock
    (alias outer 1 $pollable (type $outer))
    (export "pollable" (type $p (eq $outer)))
    (type $duration' u64)
    (export "duration" (type $duration (eq $duration')))
    (export "subscribe-duration" (func (param "when" $duration) (result (own $p))))))
  (core func $subscribe (canon lower (func $clock "subscribe-duration")))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core module $m
    (import "" "subscribe" (func $subscribe (param i64) (result i32)))
    (import "" "block" (func $block (param i32)))
    (func $s (export "f") (call $block (call $subscribe (i64.const 60000000000))))
    (start $s))
  (core instance $i (instantiate $m (with "" (instance
    (export "subscribe" (func $subscribe)) (export "block" (func $block))))))
  (func (export "f") (canon lift (core func $i "f"))))
