//! Writing files so that a reader never sees half of one.

use std::{io::Write, path::Path};

use anyhow::Context;

/// Writes `bytes` to a temporary file beside `path`, then renames it: `path` holds the old content or the new,
/// never a part.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || -> std::io::Result<()> {
        let mut builder = tempfile::Builder::new();
        // Readable as any new file is, less what the umask takes; by itself tempfile lets the owner only.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| format!("{}: could not be written", path.display()))
}
