//! Writing files atomically, and writing to stdout and stderr without panics.

use std::{
    ffi::OsString,
    fmt::Display,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use tempfile::NamedTempFile;

/// Writes `bytes` to a temporary file beside `path` and renames it, so that `path` always holds either the old content or
/// all of the new content.
///
/// If `path` is a symbolic link, its target is replaced. If it is a device or a pipe, the bytes are written into it.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let write = || -> io::Result<()> {
        if is_device_or_pipe(path) {
            return File::options().write(true).open(path)?.write_all(bytes);
        }
        let target = resolve_links(path);
        let mut file = create_temp_file_beside(&target)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(target)?;
        Ok(())
    };
    write().with_context(|| failed_write_message(path))
}

/// Creates a folder and its missing parents.
pub fn create_folder(path: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(path).with_context(|| format!("{}: could not be created", path.display()))
}

/// Checks, before a long computation, that a result of about `len` bytes can be written to `path`.
pub fn check_writable(path: &Path, len: u64) -> anyhow::Result<()> {
    ensure!(!path.is_dir(), "{}: expected a file to write, found a folder", path.display());
    let write = || -> io::Result<()> {
        if !is_device_or_pipe(path) {
            io::copy(&mut io::repeat(0).take(len), &mut create_temp_file_beside(&resolve_links(path))?)?;
        }
        Ok(())
    };
    write().with_context(|| failed_write_message(path))
}

/// Removes the temporary files that [`write_atomically`] left beside `path` because the program was killed.
pub fn remove_temporary_files(path: &Path) -> anyhow::Result<()> {
    let remove = || -> io::Result<()> {
        let prefix = temporary_prefix(path);
        for entry in fs::read_dir(folder_of(path))? {
            let entry = entry?;
            if entry.file_name().as_encoded_bytes().starts_with(prefix.as_encoded_bytes()) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    };
    remove().with_context(|| format!("{}: temporary files beside it could not be removed", path.display()))
}

/// Writes `text` to stdout.
///
/// # Errors
/// Where `print!` would panic: stdout is on a full disk, or a pipe whose reader has gone.
pub fn print(text: impl Display) -> anyhow::Result<()> {
    write!(io::stdout(), "{text}").context("stdout could not be written")
}

/// Writes a line to stderr. An error is ignored because there is no other place to report it.
pub fn warn(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn failed_write_message(path: &Path) -> String {
    format!("{}: could not be written", path.display())
}

/// Returns whether `path` is a device or a pipe, which a rename would replace by a regular file.
fn is_device_or_pipe(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// Returns the target of a symbolic link, or `path` itself if it is none or doesn't exist.
fn resolve_links(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Creates a temporary file in the folder of `path`. Dropping it removes the file.
fn create_temp_file_beside(path: &Path) -> io::Result<NamedTempFile> {
    let prefix = temporary_prefix(path);
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix);
    // The permissions of any new file, less the umask. The default of `tempfile` would be 0600.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    // The text of the error is dropped because it names the temporary file.
    builder.tempfile_in(folder_of(path)).map_err(|error| error.kind().into())
}

/// Returns the common prefix of the names of temporary files beside `path`.
fn temporary_prefix(path: &Path) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(path.file_name().unwrap_or_default());
    prefix.push(".");
    prefix
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
