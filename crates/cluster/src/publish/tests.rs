//! What does not need an API server; `tests/api/publish.rs` has the rest.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;

fn condition(status: &str, second: i64) -> Condition {
    Condition {
        type_: "ZombieLeak".to_owned(),
        status: status.to_owned(),
        reason: "ManyZombies".to_owned(),
        message: String::new(),
        last_transition_time: Time(Timestamp::from_second(second).unwrap()),
        observed_generation: None,
    }
}

fn status(condition: Condition) -> Status {
    Status {
        conditions: vec![condition],
        ..Status::default()
    }
}

#[test]
fn an_agent_that_starts_anew_goes_on_from_what_stands() {
    let before = status(condition("True", 100));
    let same = settled_on(&status(condition("True", 900)), Some(&before), Some(1));
    assert_eq!(
        same.conditions[0].last_transition_time,
        before.conditions[0].last_transition_time
    );
    assert_eq!(same.conditions[0].observed_generation, Some(1));
    let other = settled_on(&status(condition("False", 900)), Some(&before), Some(1));
    assert_eq!(other.conditions[0].last_transition_time.0.as_second(), 900);
    assert!(turned(&before, &other));
    assert!(!turned(&before, &same));
}
