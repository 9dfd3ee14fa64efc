;; A guest that greets by way of the host: what `wit-bindgen` makes of
;;
;;   package acme:app@1.0.0;
;;   interface greeter { greet: func(name: string) -> string; }
;;   world guest { import greeter; export hello: func(name: string) -> string; }
(component
  (import "acme:app/greeter@1.0.0" (instance $greeter
    (export "greet" (func (param "name" string) (result string)))))
  (core module $memory
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $at) (local.get 3)))
      (local.get $at)))
  (core instance $memory (instantiate $memory))
  (core func $greet (canon lower (func $greeter "greet")
    (memory $memory "memory") (realloc (func $memory "realloc"))))
  (core module $guest
    (import "greeter" "greet" (func $greet (param i32 i32 i32)))
    (func (export "hello") (param i32 i32) (result i32)
      (call $greet (local.get 0) (local.get 1) (i32.const 8))
      (i32.const 8)))
  (core instance $guest (instantiate $guest
    (with "greeter" (instance (export "greet" (func $greet))))))
  (func (export "hello") (param "name" string) (result string)
    (canon lift (core func $guest "hello")
      (memory $memory "memory") (realloc (func $memory "realloc")))))
