use super::*;
use serde_json::json;

fn raw(name: &str, generation: i64, spec: Value) -> RawPolicy {
    of(name, &format!("uid-{name}"), generation, spec)
}

fn of(name: &str, uid: &str, generation: i64, spec: Value) -> RawPolicy {
    serde_json::from_value(json!({
        "metadata": {"name": name, "uid": uid, "generation": generation},
        "spec": spec,
    }))
    .unwrap()
}

fn listed(book: &mut Book, all: Vec<RawPolicy>) -> Policies {
    assert_eq!(book.take(Event::Init), None);
    for raw in all {
        assert_eq!(
            book.take(Event::InitApply(raw)),
            None,
            "not before it is whole"
        );
    }
    book.take(Event::InitDone).unwrap()
}

fn apply(book: &mut Book, raw: RawPolicy) -> Policies {
    book.take(Event::Apply(raw)).unwrap()
}

fn names(policies: &Policies) -> Vec<&str> {
    policies.in_force.iter().map(Policy::name).collect()
}

fn state<'a>(policies: &'a Policies, name: &str) -> &'a PolicyState {
    policies
        .states
        .iter()
        .find(|state| state.name == name)
        .unwrap()
}

#[test]
fn good_ones_are_in_force_until_they_are_deleted() {
    let mut book = Book::default();
    assert!(!Policies::default().synced);
    let ci = json!({"selector": {"namespaces": ["ci"]}, "mode": "enforce", "maxRung": "restart"});
    let all = listed(&mut book, vec![raw("ci", 3, ci), raw("all", 1, json!({}))]);
    assert!(all.synced);
    assert_eq!(names(&all), ["all", "ci"]);
    assert_eq!(all.in_force[1].spec.max_rung, Rung::Restart);
    let ci = state(&all, "ci");
    assert_eq!(
        (ci.observed_generation, ci.followed_generation),
        (Some(3), None)
    );
    assert_eq!(
        (ci.mode, ci.state, &ci.message),
        (Mode::Enforce, Adherence::Following, &None)
    );

    let left = book.take(Event::Delete(raw("ci", 3, json!({})))).unwrap();
    assert_eq!(names(&left), ["all"]);
    assert_eq!(left.states.len(), 1);
    // One that went while nobody was listening.
    assert!(listed(&mut book, vec![]).in_force.is_empty());
}

#[test]
fn a_wrong_generation_is_refused_and_the_one_before_stays() {
    let mut book = Book::default();
    listed(&mut book, vec![raw("ci", 3, json!({"settle": "30s"}))]);
    let wrong = [
        (json!({"settle": "30"}), "spec"),
        (json!({"settel": "30s"}), "settel"),
        (json!({"settle": "8d"}), "spec"),
        (
            json!({"mode": "enforce", "threshold": {"minZombies": 0}}),
            "spec.threshold.minZombies",
        ),
        (json!(7), "spec"),
    ];
    for (generation, (spec, word)) in (4..).zip(wrong) {
        let now = apply(&mut book, raw("ci", generation, spec));
        assert_eq!(now.in_force[0].spec.settle.to_string(), "30s");
        let ci = state(&now, "ci");
        assert_eq!(ci.observed_generation, Some(generation));
        assert_eq!(ci.followed_generation, Some(3));
        assert_eq!(ci.state, Adherence::Refused);
        let message = ci.message.as_ref().unwrap();
        assert!(message.contains(word), "{message}");
        assert!(
            message.ends_with("; generation 3 stays in force"),
            "{message}"
        );
    }
    assert_eq!(state(&book.policies(), "ci").mode, Mode::DryRun);
    let right = apply(&mut book, raw("ci", 9, json!({"settle": "10s"})));
    assert_eq!(right.in_force[0].spec.settle.to_string(), "10s");
    assert_eq!(state(&right, "ci").state, Adherence::Following);
}

#[test]
fn one_that_was_never_right_keeps_wider_ones_away_from_what_it_covers() {
    let mut book = Book::default();
    let careful = json!({"selector": {"namespaces": ["payments"]}, "maxRung": "obsrve"});
    let all = json!({"mode": "enforce"});
    let now = listed(
        &mut book,
        vec![raw("all", 1, all), raw("careful", 1, careful)],
    );
    assert_eq!(names(&now), ["all", "careful"]);
    assert_eq!(now.in_force[1].spec.max_rung, Rung::Observe);
    assert_eq!(now.in_force[1].spec.selector.namespaces[0].0, "payments");
    let careful = state(&now, "careful");
    assert_eq!(
        (careful.state, careful.followed_generation),
        (Adherence::Refused, None)
    );
    assert!(careful.message.as_ref().unwrap().contains("only observed"));
    assert_eq!(state(&now, "all").state, Adherence::Following);

    // Whom it covers is not known: nobody may be touched.
    let unreadable = json!({"selector": {"namespace": ["payments"]}});
    let now = apply(&mut book, raw("careful", 2, unreadable));
    assert!(now.in_force.is_empty());
    let all = state(&now, "all");
    assert_eq!(all.state, Adherence::Refused);
    assert!(all.message.as_ref().unwrap().contains("policy careful"));
    assert!(
        state(&now, "careful")
            .message
            .as_ref()
            .unwrap()
            .contains("nothing is done")
    );

    let now = book
        .take(Event::Delete(raw("careful", 2, json!({}))))
        .unwrap();
    assert_eq!(names(&now), ["all"]);
    assert_eq!(state(&now, "all").state, Adherence::Following);
}

#[test]
fn another_policy_of_the_same_name_does_not_inherit() {
    let mut book = Book::default();
    listed(
        &mut book,
        vec![of("ci", "first", 5, json!({"mode": "enforce"}))],
    );
    let now = apply(&mut book, of("ci", "second", 1, json!({"mode": "yes"})));
    assert_eq!(now.in_force[0].spec.max_rung, Rung::Observe);
    assert_eq!(state(&now, "ci").followed_generation, None);
}

#[test]
fn two_that_say_the_same_are_both_told() {
    let mut book = Book::default();
    let ci = |mode: &str| json!({"selector": {"namespaces": ["ci"]}, "mode": mode});
    let all = vec![
        raw("a", 1, ci("enforce")),
        raw("b", 1, ci("dryRun")),
        raw("c", 1, json!({})),
    ];
    let now = listed(&mut book, all);
    // Both are there, so that the ladder finds a tie and does nothing.
    assert_eq!(names(&now), ["a", "b", "c"]);
    for (this, other) in [("a", "policy b"), ("b", "policy a")] {
        let state = state(&now, this);
        assert_eq!(state.state, Adherence::Refused);
        assert!(state.message.as_ref().unwrap().contains(other), "{state:?}");
    }
    assert_eq!(state(&now, "c").state, Adherence::Following);
}

#[test]
fn what_is_in_force_is_said_with_the_trouble() {
    let mut book = Book::default();
    let gone = |code: u16| Error::Refused {
        code,
        message: "no".to_owned(),
    };
    assert!(book.trouble(&gone(404)).contains("sexton crds"));
    assert!(book.trouble(&gone(403)).contains("nothing is done"));
    listed(&mut book, vec![]);
    assert!(book.trouble(&gone(403)).contains("stay in force"));
}

#[test]
fn a_watch_that_breaks_and_begins_anew_leaves_what_is_known() {
    let told = Told::new(Arc::default(), || {});
    let gone = || {
        let status = kube::core::Status {
            code: 410,
            message: "too old resource version".to_owned(),
            ..kube::core::Status::default()
        };
        Err(watcher::Error::WatchError(Box::new(status)))
    };
    let seen = std::cell::RefCell::new(vec![]);
    let look = |event| {
        let board = told.board();
        let names = names(&board.policies).join(" ");
        seen.borrow_mut().push((names, board.notes.len()));
        event
    };
    let events = vec![
        Ok(Event::Init),
        Ok(Event::InitApply(raw("a", 1, json!({})))),
        Ok(Event::InitDone),
        gone(),
        Ok(Event::Init),
        Ok(Event::InitApply(raw(
            "b",
            1,
            json!({"selector": {"namespaces": ["b"]}}),
        ))),
        gone(),
        Ok(Event::Init),
        Ok(Event::InitApply(raw(
            "b",
            1,
            json!({"selector": {"namespaces": ["b"]}}),
        ))),
        Ok(Event::InitDone),
        Ok(Event::Delete(raw("b", 1, json!({})))),
        Ok(Event::Init),
    ];
    let events = futures::stream::iter(events).map(look);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(follow(events, &told));
    // Each as it was before the event.
    let expected = [
        ("", 0),
        ("", 0),
        ("", 0),
        ("a", 0),
        ("a", 1),
        ("a", 0),
        ("a", 0),
        ("a", 1),
        ("a", 0),
        ("a", 0),
        ("b", 0),
        ("", 0),
    ];
    let expected = expected.map(|(names, notes)| (names.to_owned(), notes));
    assert_eq!(*seen.borrow(), expected);
}
