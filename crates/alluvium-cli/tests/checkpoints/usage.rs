//! Wrong usage, stores that cannot be, and credentials, which are shown by nothing.

use crate::common::{alluvium, command, failed};
use crate::shelf::{Shelf, said};

#[test]
fn wrong_usage_is_exit_code_2() {
    let store = ["--store", "file:///nonexistent"];
    for wrong in [
        &["checkpoints"][..],
        &["checkpoints", "list"],
        &["checkpoints", "ls"],
        &["checkpoints", "ls", "--store", ""],
        &["checkpoints", "ls", "--store", "s3:bucket"],
        &[&["checkpoints", "ls"], &store[..], &["--store-option", "hunter2"]].concat(),
        &[&["checkpoints", "show"], &store[..]].concat(),
        &[&["checkpoints", "show"], &store[..], &["newest"]].concat(),
        &[&["checkpoints", "verify"], &store[..], &["--all", "latest"]].concat(),
        &[&["checkpoints", "rm"], &store[..]].concat(),
        &[&["checkpoints", "rm"], &store[..], &["latest"]].concat(),
        &[&["checkpoints", "prune"], &store[..], &["--keep", "0"]].concat(),
        &[&["checkpoints", "prune"], &store[..], &["--grace", "soon"]].concat(),
    ] {
        let output = alluvium(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{wrong:?}: {output:?}");
        assert!(!said(&output).contains("hunter2"), "{output:?}");
    }
}

#[test]
fn help_says_what_each_command_does() {
    for subcommand in ["ls", "show", "verify", "rm", "prune"] {
        let output = command()
            .args(["checkpoints", subcommand, "--help"])
            .env("AWS_SECRET_ACCESS_KEY", "hunter2")
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains("Example"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
    let completions = alluvium(["completions", "bash"]);
    let script = String::from_utf8(completions.stdout).unwrap();
    for word in ["checkpoints", "dry-run", "store-option", "prune"] {
        assert!(script.contains(word), "{word}");
    }
}

#[test]
fn a_store_that_is_not_there_is_named_and_not_made() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("none");
    let url = format!("file://{}", path.display());
    for command in ["ls", "verify", "prune"] {
        let error = failed(&["checkpoints", command, "--store", &url], 1);
        assert!(
            error.starts_with(&format!("error: there is no directory {}", path.display())),
            "{error}"
        );
        assert!(!path.exists());
    }
    let error = failed(&["checkpoints", "ls", "--store", "fjall:./state"], 1);
    assert!(
        error.contains("fjall:./state keeps no checkpoints: they are in `file:///DIR`"),
        "{error}"
    );
}

#[test]
fn no_credential_is_shown() {
    let error = failed(&["checkpoints", "ls", "--store", "s3://me:hunter2@bucket"], 2);
    assert!(
        error.starts_with("error: --store: ") && !error.contains("hunter2"),
        "{error}"
    );
    let shelf = Shelf::empty();
    let output = shelf.run("ls", &["-vvv", "--store-option", "secret_access_key=hunter2"]);
    let error = said(&output);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(
        error.contains("secret_access_key") && !error.contains("hunter2"),
        "{error}"
    );
}

#[test]
fn what_was_not_compiled_in_says_which_feature_to_turn_on() {
    for (url, feature, on) in [
        ("s3://bucket/job", "s3", cfg!(feature = "s3")),
        ("az://container/job", "azure", cfg!(feature = "azure")),
        ("gs://bucket/job", "gcs", cfg!(feature = "gcs")),
    ] {
        let output = alluvium([
            "checkpoints",
            "ls",
            "--store",
            url,
            "--store-option",
            "nonsense=1",
        ]);
        let error = said(&output);
        assert_eq!(output.status.code(), Some(1), "{error}");
        // Either the option is told to be none, or the feature to be off: nobody was asked.
        assert_eq!(
            error.contains(&format!("needs the feature `{feature}`")),
            !on,
            "{error}"
        );
        assert_eq!(error.contains("nonsense"), on, "{error}");
    }
}
