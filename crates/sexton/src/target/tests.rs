use super::*;

fn parse(text: &str) -> Target {
    text.parse().unwrap()
}

#[test]
fn forms() {
    assert_eq!(parse("123"), Target::Pid(123));
    assert_eq!(parse("pid/123"), Target::Pid(123));
    assert_eq!(parse("container/3f2a"), Target::Container("3f2a".into()));
    assert_eq!(parse("pod/web"), Target::Pod("web".into()));
    assert_eq!(parse("pod/shop/web"), Target::Pod("shop/web".into()));
    assert_eq!(parse("shop/web"), Target::Pod("shop/web".into()));
    assert_eq!(parse("web"), Target::Any("web".into()));
    assert_eq!(parse("123456789012"), Target::Any("123456789012".into()));
    for bad in ["", "0", "pid/x", "pod/", "container/"] {
        assert!(bad.parse::<Target>().is_err(), "{bad}");
    }
}
