(module
  (memory 17)
  (data (i32.const 64) "as built")
  (table 1000 2000 funcref)
  (elem (i32.const 0) $f)
  (global $g (mut i64) (i64.const 7))
  (func $f)
  (func $all (result i32)
    (drop (memory.grow (i32.const 17)))
    (drop (table.grow (ref.null func) (i32.const 1000)))
    (i32.mul (memory.size) (i32.const 65536)))
  (func (export "hide") (param i32) (result i32) (local $at i32) (local $end i32)
    (local.set $end (call $all))
    (loop $more
      (i32.store (local.get $at) (local.get 0))
      (br_if $more (i32.lt_u
        (local.tee $at (i32.add (local.get $at) (i32.const 4))) (local.get $end))))
    (table.fill (i32.const 0) (ref.func $f) (table.size))
    (global.set $g (i64.extend_i32_u (local.get 0)))
    (if (i32.eqz (local.get 0)) (then unreachable))
    (local.get $end))
  (func (export "seek") (result i32) (local $at i32) (local $end i32) (local $found i32)
    (local.set $end (call $all))
    (if (i64.ne (i64.load (i32.const 64)) (i64.const 0x746c697562207361))
      (then (local.set $found (i32.const 1))))
    (local.set $at (i32.const 72))
    (loop $more
      (local.set $found (i32.add (local.get $found)
        (i64.ne (i64.load (local.get $at)) (i64.const 0))))
      (br_if $more (i32.lt_u
        (local.tee $at (i32.add (local.get $at) (i32.const 8))) (local.get $end))))
    (local.set $at (i32.const 1))
    (loop $more
      (local.set $found (i32.add (local.get $found)
        (i32.eqz (ref.is_null (table.get (local.get $at))))))
      (br_if $more (i32.lt_u
        (local.tee $at (i32.add (local.get $at) (i32.const 1))) (table.size))))
    (i32.add (local.get $found) (i64.ne (global.get $g) (i64.const 7)))))
