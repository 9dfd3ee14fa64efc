(component
  (import "wasi:clocks/monotonic-clock@0.3.0" (instance $clock
    (type $duration' u64)
    (export "duration" (type $duration (eq $duration')))
    (export "wait-for" (func async (param "how-long" $duration)))))
  (core func $wait (canon lower (func $clock "wait-for") async))
  (core func $return (canon task.return (result s32)))
  (core module $m
    (import "" "wait" (func $wait (param i64) (result i32)))
    (import "" "return" (func $return (param i32)))
    (func (export "f") (param i32) (result i32)
      (loop
        (drop (call $wait (i64.const 3600000000000)))
        (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
      (call $return (i32.const 7)) (i32.const 0))
    (func (export "cb") (param i32 i32 i32) (result i32) unreachable))
  (core instance $i (instantiate $m (with "" (instance
    (export "wait" (func $wait)) (export "return" (func $return))))))
  (func (export "f") async (param "many" s32) (result s32)
    (canon lift (core func $i "f") async (callback (func $i "cb")))))
