//! `lenet completions`: a script for each shell.

use std::process::Command;

use crate::lenet;

/// Returns the script of a shell.
fn script(shell: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let assert = lenet(folder.path()).args(["completions", shell]).assert().success().stderr_eq("");
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

#[test]
fn script_of_each_shell_has_commands_and_options() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = script(shell);
        for name in ["recognize", "completions", "max-megapixels", "holdout"] {
            assert!(script.contains(name), "{shell}: {name}");
        }
    }
}

#[test]
fn bash_completes_commands_options_and_values() {
    for (words, expected) in [
        ("lenet rec", "recognize"),
        ("lenet train --holdo", "--holdout"),
        ("lenet fetch fash", "fashion-mnist"),
    ] {
        let program = format!(
            "{}\nCOMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n\
             _lenet lenet \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"\necho \"${{COMPREPLY[@]}}\"",
            script("bash")
        );
        // Where there is no Bash, as on most Windows machines, nothing is tested.
        let Ok(output) = Command::new("bash").args(["--norc", "-c", &program]).output() else { return };
        assert_eq!(String::from_utf8(output.stdout).unwrap().trim_end(), expected, "{words}");
    }
}

#[test]
fn unknown_shell_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    let output = lenet(folder.path()).args(["completions", "tcsh"]).assert().code(2).stdout_eq("");
    let error = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(error.contains("bash, elvish, fish, powershell, zsh"), "{error}");
}
