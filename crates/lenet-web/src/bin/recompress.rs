//! `recompress FILE.tgz`: compresses a gzip file again with Zopfli, which makes it about 3% smaller.

use std::{fs, io::Read, path::PathBuf};

use anyhow::Context;
use flate2::read::GzDecoder;
use zopfli::{Format, Options};

fn main() -> anyhow::Result<()> {
    let path = PathBuf::from(std::env::args_os().nth(1).context("usage: recompress FILE.tgz")?);
    let compressed = fs::read(&path).with_context(|| path.display().to_string())?;
    let mut content = Vec::new();
    GzDecoder::new(&*compressed).read_to_end(&mut content).with_context(|| path.display().to_string())?;
    let mut recompressed = Vec::new();
    zopfli::compress(Options::default(), Format::Gzip, &*content, &mut recompressed)?;
    let temporary = path.with_extension("tmp");
    fs::write(&temporary, recompressed)?;
    fs::rename(temporary, path)?;
    Ok(())
}
