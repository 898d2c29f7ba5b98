use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

#[test]
fn the_same_input_gives_the_same_bytes() {
    let [one, two] = [(); 2].map(|()| {
        let directory = TempDir::new().unwrap();
        succeed(directory.path(), &["generate-migration"]);
        contents(&directory.path().join("migrations"))
    });
    assert_eq!(one, two);
    assert_eq!(one[0].0, "20261123120000_pgmq_notify.down.sql");
    assert_eq!(one.len(), 2);
}

#[test]
fn what_is_printed_is_what_is_written() {
    let directory = TempDir::new().unwrap();
    let root = directory.path();
    succeed(root, &["generate-migration"]);
    let [(_, down), (_, up)] = &contents(&root.join("migrations"))[..] else {
        panic!("two files");
    };
    assert_eq!(succeed(root, &["generate-migration", "--stdout"]), *up);
    let arguments = ["generate-migration", "--stdout", "--down"];
    assert_eq!(succeed(root, &arguments), *down);
}

#[test]
fn an_option_overrides_the_file_both_ways() {
    let directory = TempDir::new().unwrap();
    let root = directory.path();
    let sql = |file: &str, options: &[&str]| {
        fs::write(root.join("pgmq-notify.toml"), file).unwrap();
        succeed(
            root,
            &[&["generate-migration", "--stdout"], options].concat(),
        )
    };
    let cases: [(&str, &[&str], &str); 13] = [
        (
            "queue_naming_pattern = '^(?P<namespace>a)'",
            &["--queue-pattern", "^(?P<namespace>b)"],
            "queue_naming_pattern = '^(?P<namespace>b)'",
        ),
        (
            "channels_prefix = 'a'",
            &["--channel-prefix", "b"],
            "channels_prefix = 'b'",
        ),
        (
            "max_payload_size = 2000",
            &["--max-payload-size", "3000"],
            "max_payload_size = 3000",
        ),
        (
            "global_channel = false",
            &["--global-channel"],
            "global_channel = true",
        ),
        (
            "global_channel = true",
            &["--no-global-channel"],
            "global_channel = false",
        ),
        ("payload = false", &["--payload"], "payload = true"),
        ("payload = true", &["--no-payload"], "payload = false"),
        (
            "triggers_enabled = false",
            &["--triggers"],
            "triggers_enabled = true",
        ),
        (
            "triggers_enabled = true",
            &["--payload", "--triggers", "--no-triggers"],
            "triggers_enabled = false",
        ),
        (
            "delivery = 'wake_up'",
            &["--delivery", "every"],
            "delivery = 'every'",
        ),
        (
            "delivery = 'every'",
            &["--delivery", "wake-up"],
            "delivery = 'wake_up'",
        ),
        (
            "delivery = 'every'",
            &["--delivery", "wake_up"],
            "delivery = 'wake_up'",
        ),
        (
            "namespaces.a.delivery = 'every'",
            &["--delivery", "wake-up"],
            "delivery = 'wake_up'\nnamespaces.a.delivery = 'every'",
        ),
    ];
    for (file, options, same_as) in cases {
        let overridden = sql(file, options);
        assert_eq!(overridden, sql(same_as, &[]), "{options:?}");
        assert_ne!(overridden, sql(file, &[]), "{options:?}");
    }
}

#[test]
fn a_directory_that_cannot_be_written_stays_as_it_is() {
    for format in [
        "sqlx",
        "sqlx-simple",
        "diesel",
        "refinery",
        "flyway",
        "dbmate",
        "plain",
    ] {
        let directory = TempDir::new().unwrap();
        let root = directory.path();
        fs::write(root.join("file"), "a file").unwrap();
        let arguments = [
            "generate-migration",
            "--format",
            format,
            "--output-dir",
            "file/below",
        ];
        let output = run(root, &arguments);
        assert_eq!(output.status.code(), Some(2), "{format}");
        let words = String::from_utf8(output.stderr).unwrap();
        assert!(words.contains("\nhint: "), "{words}");
        assert_eq!(contents(root), [("file".into(), "a file".into())]);
    }
}

#[test]
fn a_missing_file_of_the_newest_migration_is_completed() {
    let directory = TempDir::new().unwrap();
    let root = directory.path();
    succeed(root, &["generate-migration"]);
    let before = contents(&root.join("migrations"));
    fs::remove_file(root.join("migrations").join(&before[0].0)).unwrap();
    let written = succeed(root, &["generate-migration"]);
    assert_eq!(written.trim_end(), format!("migrations/{}", before[0].0));
    assert_eq!(contents(&root.join("migrations")), before);
}

#[cfg(unix)]
#[test]
fn what_is_written_has_the_permissions_of_any_new_file() {
    use std::os::unix::fs::PermissionsExt;

    let directory = TempDir::new().unwrap();
    let root = directory.path();
    fs::write(root.join("other"), "").unwrap();
    succeed(root, &["generate-migration", "--format", "plain"]);
    let mode = |path: &str| fs::metadata(root.join(path)).unwrap().permissions().mode();
    assert_eq!(mode("migrations/pgmq_notify.up.sql"), mode("other"));
}

#[test]
fn a_pattern_that_flyway_would_take_for_a_placeholder_is_refused() {
    let directory = TempDir::new().unwrap();
    let root = directory.path();
    let pattern = ["--queue-pattern", "(?P<namespace>a)[${x}]"];
    let flyway = ["generate-migration", "--format", "flyway"];
    let output = run(root, &[&flyway, &pattern[..]].concat());
    assert_eq!(output.status.code(), Some(2));
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(
        words.contains("Flyway replaces as a placeholder"),
        "{words}"
    );
    assert_eq!(contents(root), []);
    succeed(root, &[&["generate-migration"], &pattern[..]].concat());
}

#[test]
fn a_pattern_cannot_split_the_file_of_dbmate() {
    let directory = TempDir::new().unwrap();
    let root = directory.path();
    let pattern = "(?P<namespace>a)\n-- migrate:down";
    let dbmate = ["generate-migration", "--format", "dbmate"];
    succeed(root, &[&dbmate, &["--queue-pattern", pattern][..]].concat());
    let [(_, content)] = &contents(root)[..] else {
        panic!("one file");
    };
    let directives: Vec<_> = content
        .lines()
        // As dbmate finds them. The configuration in the comment begins with `--@`.
        .filter(|line| {
            let rest = line.strip_prefix("--").map(str::trim_start);
            rest.is_some_and(|rest| rest.starts_with("migrate:"))
        })
        .collect();
    assert_eq!(directives, ["-- migrate:up", "-- migrate:down"]);
}

#[test]
fn a_check_says_when_only_the_ends_of_lines_differ() {
    let directory = TempDir::new().unwrap();
    let root = directory.path();
    succeed(root, &["generate-migration"]);
    for (path, content) in contents(root) {
        fs::write(root.join(path), content.replace('\n', "\r\n")).unwrap();
    }
    let output = run(root, &["check"]);
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(
        words.contains("hint: only the ends of lines differ"),
        "{words}"
    );
}

#[test]
fn the_version_is_the_time_that_builds_reproduce_with() {
    let directory = TempDir::new().unwrap();
    let generate = |time: &str| {
        Command::new(env!("CARGO_BIN_EXE_pgmq-notify"))
            .args(["generate-migration", "--json"])
            .current_dir(directory.path())
            .env("SOURCE_DATE_EPOCH", time)
            .output()
            .unwrap()
    };
    let refused = generate("yesterday");
    assert_eq!(refused.status.code(), Some(2));
    let words = String::from_utf8(refused.stderr).unwrap();
    assert!(words.starts_with("error: SOURCE_DATE_EPOCH=yesterday is no number of seconds"));
    let data = String::from_utf8(generate("951782400").stdout).unwrap();
    assert!(data.contains(r#""version":"20000229000000""#), "{data}");
}

/// Every file below `root` with its path and content, in order.
fn contents(root: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                found.push((name, fs::read_to_string(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[track_caller]
fn succeed(directory: &Path, arguments: &[&str]) -> String {
    let output = run(directory, arguments);
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {words}");
    String::from_utf8(output.stdout).unwrap()
}

fn run(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pgmq-notify"))
        .args(arguments)
        .current_dir(directory)
        .env("SOURCE_DATE_EPOCH", "1795435200")
        .output()
        .unwrap()
}
