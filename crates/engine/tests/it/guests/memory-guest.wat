(component
  (core module $m
    (memory 1)
    (table $t 1 funcref)
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export "fill") (param i32) (result i32) (table.grow $t (ref.null func) (local.get 0)))
    (func (export "grow-and-trap") (param i32) (result i32) (drop (memory.grow (local.get 0))) unreachable)
    (func (export "grow-and-spin") (param i32) (result i32) (drop (memory.grow (local.get 0))) (loop (br 0)) (i32.const 0)))
  (core instance $i (instantiate $m))
  (func (export "grow") (param "pages" s32) (result s32) (canon lift (core func $i "grow")))
  (func (export "fill") (param "n" s32) (result s32) (canon lift (core func $i "fill")))
  (func (export "grow-and-trap") (param "pages" s32) (result s32) (canon lift (core func $i "grow-and-trap")))
  (func (export "grow-and-spin") (param "pages" s32) (result s32) (canon lift (core func $i "grow-and-spin"))))
