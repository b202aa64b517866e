//! The processor and the operating system of this machine, as far as they can be found out.

use std::{env, fs};

/// Returns the model name of the processor, or its architecture if the system doesn't provide a name.
pub fn processor() -> String {
    value_in_file("/proc/cpuinfo", "model name", ':')
        .or_else(|| env::var("PROCESSOR_IDENTIFIER").ok())
        .unwrap_or_else(|| env::consts::ARCH.to_owned())
}

/// Returns the name of the operating system.
pub fn operating_system() -> String {
    value_in_file("/etc/os-release", "PRETTY_NAME", '=').unwrap_or_else(|| env::consts::OS.to_owned())
}

/// Returns the value of the first line `KEY separator VALUE` of a file, without quotes, or `None` if it is missing or empty.
fn value_in_file(file: &str, key: &str, separator: char) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let value = text.lines().find_map(|line| {
        let (name, value) = line.split_once(separator)?;
        (name.trim() == key).then(|| value.trim().trim_matches('"').to_owned())
    });
    value.filter(|value| !value.is_empty())
}
