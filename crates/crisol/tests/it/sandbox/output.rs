//! Standard streams of functions, written to the log.

use crate::sandbox::support::{ALL, App, Log, call};

#[tokio::test]
async fn each_line_is_logged_with_its_function_and_its_call() {
    let (log, _guard) = Log::start();
    let more =
        format!("imports: {ALL}, pool: {{type: static, workers: 1, size: 2, warm_start: true}}");
    let runtime = App::new().guest("probe", "print", &more).load();
    runtime.warm().await.unwrap();
    call(&runtime, "print", ("one\n", "two\n")).await;
    call(&runtime, "print", ("three\n", "")).await;
    let text = log.text();
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("crisol::guest")).collect();
    let [one, two, three] = lines[..] else { panic!("{text}") };
    let call_of = |line: &str| {
        let (_, rest) = line.split_once(" call=").unwrap();
        rest.split(' ').next().unwrap().to_owned()
    };
    assert!(one.contains("one function=a:print") && one.contains("stdout"), "{one}");
    assert!(two.contains("two function=a:print") && two.contains("stderr"), "{two}");
    assert_eq!(call_of(one), call_of(two));
    assert_ne!(call_of(one), call_of(three));
}

/// Uses a paused clock, so that all output falls into the same second.
#[tokio::test(start_paused = true)]
async fn excess_output_does_not_fill_the_log() {
    let (log, _guard) = Log::start();
    let runtime = App::new().guest("probe", "print", &format!("imports: {ALL}")).load();
    call(&runtime, "print", ("x\n".repeat(30_000), "")).await;
    let text = log.text();
    let lines = text.lines().filter(|line| line.contains("stream=")).count();
    // A notice in the log stands for the omitted lines.
    assert_eq!(lines, 1000);
    assert!(text.contains("the guest exceeded the limit of log lines"), "the log says so");
}
