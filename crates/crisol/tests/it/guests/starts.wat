(component
  (import "acme:app/users@1.0.0" (instance $app
   (export "later" (func (param "n" u32) (result u32)))))
  (core func $later (canon lower (func $app "later")))
  (core module $guest
   (import "app" "later" (func $later (param i32) (result i32)))
   (func $start (drop (call $later (i32.const 1))))
   (start $start)
   (func (export "alone") (result i32) (i32.const 42)))
  (core instance $guest (instantiate $guest (with "app" (instance
   (export "later" (func $later))))))
  (func (export "alone") (result u32) (canon lift (core func $guest "alone"))))
