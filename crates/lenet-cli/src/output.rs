//! Writing files so that a reader never sees half of one, and writing to stdout.

use std::{
    ffi::OsString,
    fmt::Display,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use tempfile::NamedTempFile;

/// Writes `bytes` to a temporary file beside `path`, then renames it: `path` holds the old content or the new,
/// never a part. Of a link it is the target that is replaced; a device or a pipe is written into.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let write = || -> io::Result<()> {
        if is_special(path) {
            return File::options().write(true).open(path)?.write_all(bytes);
        }
        let target = target(path);
        let mut file = temporary_beside(&target)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(target)?;
        Ok(())
    };
    write().with_context(|| not_written(path))
}

/// Makes a folder, and those that it is in, where there is none.
pub fn make_folder(path: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(path).with_context(|| format!("{}: could not be made", path.display()))
}

/// Finds out before the work whether its result, of about `len` bytes, could be written to `path` after it.
pub fn check_writable(path: &Path, len: u64) -> anyhow::Result<()> {
    ensure!(!path.is_dir(), "{}: expected a file to write, found a folder", path.display());
    let write = || -> io::Result<()> {
        if !is_special(path) {
            io::copy(&mut io::repeat(0).take(len), &mut temporary_beside(&target(path))?)?;
        }
        Ok(())
    };
    write().with_context(|| not_written(path))
}

/// Removes what [`write_atomically`] left beside `path` when the program was killed in it.
pub fn remove_leftovers(path: &Path) -> anyhow::Result<()> {
    let remove = || -> io::Result<()> {
        let prefix = temporary_prefix(path);
        for entry in fs::read_dir(folder(path))? {
            let entry = entry?;
            if entry.file_name().as_encoded_bytes().starts_with(prefix.as_encoded_bytes()) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    };
    remove().with_context(|| format!("{}: what an earlier write left could not be removed", path.display()))
}

/// Writes `text` to stdout.
///
/// # Errors
/// Where `print!` would panic: stdout is a full disk, or a pipe that nobody reads any more.
pub fn print(text: impl Display) -> anyhow::Result<()> {
    write!(io::stdout(), "{text}").context("stdout could not be written")
}

/// Writes a line to stderr. Where that is closed, nobody can be told.
pub fn tell(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn not_written(path: &Path) -> String {
    format!("{}: could not be written", path.display())
}

/// Whether `path` is a device or a pipe, which a rename would replace by a file.
fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// Where the links end that start at `path`.
fn target(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// A new file in the folder of `path`, which goes when it is dropped.
fn temporary_beside(path: &Path) -> io::Result<NamedTempFile> {
    let prefix = temporary_prefix(path);
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix);
    // Readable as any new file is, less what the umask takes; by itself tempfile lets the owner only.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    // The error's text would name the temporary file.
    builder.tempfile_in(folder(path)).map_err(|error| error.kind().into())
}

/// How the names of temporary files beside `path` begin.
fn temporary_prefix(path: &Path) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(path.file_name().unwrap_or_default());
    prefix.push(".");
    prefix
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
