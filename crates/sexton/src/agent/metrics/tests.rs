use std::process::{Command, Stdio};
use std::time::Duration;

use sexton_core::{Container, Pod, Report, Runtime};

use super::*;

/// A report with so many leaks, each in a container of its own with a hostile name.
fn snapshot(leaks: usize) -> Snapshot {
    let scanned = sexton_scan::Scanner::new(sexton_scan::Roots::default())
        .and_then(|mut scanner| {
            let holder = scanner.holder(std::process::id())?;
            let report = scanner.scan(&sexton_scan::Options::default())?;
            Ok((holder, report))
        })
        .unwrap();
    let (Some(holder), mut report): (_, Report) = scanned else {
        panic!("this process is there")
    };
    report.leaks = (0..leaks)
        .map(|i| Leak {
            holder: holder.clone(),
            container: Some(Container {
                id: format!("{i:064}"),
                runtime: Runtime::Containerd,
                name: Some(format!("app\"\\\n{i}")),
                pod: Some(Pod {
                    uid: None,
                    name: Some(format!("web-{i}")),
                    namespace: Some("shop".to_owned()),
                }),
                owner: None,
                cgroup: "/x".to_owned(),
            }),
            protected: None,
            zombies: i as u64 + 1,
            inspected: 1,
            commands: vec![],
            ages: sexton_core::report::Ages::default(),
            sample: vec![],
            causes: vec![],
            origins: vec![],
            forecast: None,
            notes: Vec::new(),
        })
        .collect();
    let mut numbers = Numbers::default();
    numbers.looked(&report, Duration::from_millis(3));
    numbers.failed("scan");
    Snapshot {
        report: Some(report.into()),
        numbers,
        ..Snapshot::default()
    }
}

#[test]
fn the_number_of_series_is_bounded_and_nothing_is_lost() {
    let few = render(&snapshot(100), Form::Prometheus).lines().count();
    let text = render(&snapshot(10_000), Form::Prometheus);
    assert_eq!(text.lines().count(), few);
    let total: f64 = text
        .lines()
        .filter(|line| line.starts_with("sexton_zombies{"))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum();
    assert_eq!(total, (1..=10_000).sum::<u64>() as f64);
    assert!(!text.contains("pid="));
}

#[test]
fn labels_are_escaped_and_each_line_is_one_sample() {
    let text = render(&snapshot(2), Form::Prometheus);
    assert!(text.contains(r#"container="app\"\\\n1"}"#), "{text}");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("sexton_"), "{line}");
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
}

#[test]
fn promtool_has_nothing_to_say() {
    let text = render(&snapshot(3), Form::Prometheus);
    let Ok(mut promtool) = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
    else {
        println!("SKIP: promtool_has_nothing_to_say: no promtool here (package prometheus)");
        return;
    };
    std::io::Write::write_all(&mut promtool.stdin.take().unwrap(), text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.trim().is_empty(),
        "{said}\n{text}"
    );
}

#[test]
fn open_metrics_names_families_and_ends() {
    let text = render(&snapshot(1), Form::OpenMetrics);
    assert!(text.ends_with("# EOF\n"));
    assert!(
        text.contains("# TYPE sexton_errors counter\nsexton_errors_total{"),
        "{text}"
    );
    assert_eq!(
        Form::asked_for(Some("application/openmetrics-text;version=1.0.0,*/*;q=0.1")),
        Form::OpenMetrics
    );
    assert_eq!(Form::asked_for(Some("*/*")), Form::Prometheus);
    assert_eq!(Form::asked_for(None), Form::Prometheus);
}

/// Alerts and dashboard are made from one file; what it names must be what the agent serves.
#[test]
fn monitoring_asks_for_what_there_is() {
    let source = include_str!("../../../../../deploy/monitoring/monitoring.toml");
    let text = render(&snapshot(1), Form::Prometheus);
    let served: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let asked: std::collections::BTreeSet<&str> = source
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("sexton_"))
        .collect();
    assert!(asked.len() > 10, "{asked:?}");
    for name in asked {
        let family = name.strip_suffix("_bucket").unwrap_or(name);
        assert!(served.contains(&family), "{name} is not among {served:?}");
    }
}
