use std::io::{self, Read};
use std::process::{Command, Stdio};

use tempfile::TempDir;

#[test]
fn a_closed_pipe_ends_quietly_with_the_same_answer() {
    let directory = TempDir::new().unwrap();
    let cases: [(&[&str], i32); 6] = [
        (&["--help"], 0),
        (&["completions", "bash"], 0),
        (&["generate-migration", "--stdout"], 0),
        (&["generate-migration", "--json"], 0),
        (&["check"], 0),
        (&["check", "--channel-prefix", "other", "--json"], 1),
    ];
    for (arguments, code) in cases {
        // The reading end is closed before the program starts, so that its first write fails.
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let output = Command::new(env!("CARGO_BIN_EXE_pgmq-notify"))
            .args(arguments)
            .current_dir(directory.path())
            .stdout(writer)
            .output()
            .unwrap();
        let words = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {words}");
        assert!(!words.contains("panicked"), "{words}");
        assert!(!words.contains("error:"), "{words}");
    }
    assert!(directory.path().join("migrations").is_dir());
}

#[test]
fn nothing_panics_when_nobody_reads_the_words() {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let status = Command::new(env!("CARGO_BIN_EXE_pgmq-notify"))
        .args(["validate-config", "missing.toml"])
        .stderr(writer)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(2));
}

#[test]
fn there_is_no_colour_but_on_a_terminal() {
    let (mut reader, writer) = io::pipe().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_pgmq-notify"))
        .args(["validate-config", "missing.toml"])
        .env_remove("NO_COLOR")
        .env("TERM", "xterm-256color")
        .env("CLICOLOR_FORCE", "1")
        .stdin(Stdio::null())
        .stderr(writer)
        .spawn()
        .unwrap();
    child.wait().unwrap();
    let mut words = String::new();
    reader.read_to_string(&mut words).unwrap();
    assert!(
        words.starts_with("error: cannot read missing.toml"),
        "{words}"
    );
    assert!(!words.contains('\u{1b}'), "{words}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_and_no_closed_pipe() {
    let output = Command::new(env!("CARGO_BIN_EXE_pgmq-notify"))
        .args(["completions", "bash"])
        .stdout(
            std::fs::File::options()
                .write(true)
                .open("/dev/full")
                .unwrap(),
        )
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("cannot write to standard output"), "{words}");
}
