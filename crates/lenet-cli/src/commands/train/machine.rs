//! The machine of a training and the time, for its report.

use std::{env, fs, thread, time::SystemTime};

use lenet_report::Machine;

/// Returns what can be found out of this machine.
pub fn this_machine() -> Machine {
    Machine {
        processor: processor(),
        cores: thread::available_parallelism().map_or(0, usize::from),
        threads: rayon::current_num_threads(),
        system: format!("{}, {}", operating_system(), env::consts::ARCH),
    }
}

/// Returns the current time: `2026-11-28 17:45`.
pub fn utc_time() -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    format!("{} {}", &now[..10], &now[11..16])
}

/// Returns the model name of the processor, or its architecture if the system doesn't provide a name.
fn processor() -> String {
    value_in_file("/proc/cpuinfo", "model name", ':')
        .or_else(|| env::var("PROCESSOR_IDENTIFIER").ok())
        .unwrap_or_else(|| env::consts::ARCH.to_owned())
}

/// Returns the name of the operating system.
fn operating_system() -> String {
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
