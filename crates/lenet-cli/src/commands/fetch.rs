//! `lenet fetch`: downloads a dataset.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    data::known_datasets::{IDX_FILE_NAMES, KnownDataset},
    download::Downloader,
    output::{create_folder, print},
};

/// The name of the file that [`lock`] locks.
const LOCK_FILE_NAME: &str = ".lock";

/// Download a dataset and verify its published checksums
///
/// The mirrors are tried in turn. An interrupted download is resumed, also by the next call. Files that are complete already
/// are not downloaded again.
#[derive(clap::Args)]
pub struct Args {
    /// The dataset
    dataset: KnownDataset,
    /// Folder for the files [default: lenet/DATASET in the user's cache folder, where `--data DATASET` looks for them]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Download from URL/FILE instead of the published mirrors; may be repeated
    #[arg(long, value_name = "URL")]
    mirror: Vec<String>,
    /// Number of retries after a transient failure, after 1, 2, 4, ... seconds
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(..=10))]
    retries: u32,
    /// Seconds without a response or without data after which a request fails
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
}

/// Downloads the missing files and prints how many there are.
pub fn run(args: Args) -> anyhow::Result<()> {
    let mirrors = if args.mirror.is_empty() {
        args.dataset.mirrors().iter().map(ToString::to_string).collect()
    } else {
        args.mirror
    };
    let folder = args.dir.map_or_else(|| args.dataset.folder(), Ok)?;
    create_folder(&folder)?;

    // Two processes must not write the same files, so the second waits for the first. On network drives without locks, they
    // don't wait.
    let _lock = lock(&folder);

    let downloader = Downloader::new(Duration::from_secs(args.timeout), args.retries, Duration::from_secs(1));
    let mut downloaded = 0;
    for (file, checksum) in IDX_FILE_NAMES.iter().zip(args.dataset.checksums()) {
        downloaded += usize::from(downloader.download_if_missing(&mirrors, &folder.join(file), checksum)?);
    }
    print(format_args!(
        "{}: {} files verified, {downloaded} downloaded\n",
        folder.display(),
        IDX_FILE_NAMES.len()
    ))
}

/// Locks a folder against other calls of `lenet fetch`, until the returned file is dropped.
///
/// The lock is on a file in it, because Windows can't lock folders, and network drives lock only files opened for writing. The
/// file stays: if it were removed, a process that waits for it and one that creates it again could both hold a lock.
fn lock(folder: &Path) -> io::Result<File> {
    let file = File::options().create(true).write(true).truncate(false).open(folder.join(LOCK_FILE_NAME))?;
    file.lock()?;
    Ok(file)
}
