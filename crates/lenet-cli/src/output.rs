//! Writing files so that a reader never sees half of one.

use std::{io::Write, path::Path};

use anyhow::{Context, ensure};
use tempfile::NamedTempFile;

/// Writes `bytes` to a temporary file beside `path`, then renames it: `path` holds the old content or the new,
/// never a part.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let write = || -> std::io::Result<()> {
        let mut file = temporary_beside(path)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| format!("{}: could not be written", path.display()))
}

/// Finds out before the work whether its result could be written to `path` after it.
pub fn check_writable(path: &Path) -> anyhow::Result<()> {
    ensure!(!path.is_dir(), "{}: expected a file to write, found a folder", path.display());
    temporary_beside(path).with_context(|| format!("{}: can't be written", path.display()))?;
    Ok(())
}

/// A new file in the folder of `path`, which goes when it is dropped.
fn temporary_beside(path: &Path) -> std::io::Result<NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    // Readable as any new file is, less what the umask takes; by itself tempfile lets the owner only.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}
