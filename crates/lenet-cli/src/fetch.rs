//! `lenet fetch`: downloads a dataset, and takes a file for good by its checksum only.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::{Context, bail};
use clap::ValueEnum;
use indicatif::ProgressBar;
use sha2::Digest;

use crate::{output::print, terminal::bar_style};

#[cfg(test)]
mod tests;

/// The names that the files of every dataset have.
const FILES: [&str; 4] = [
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
];

/// No file is longer; a server that goes on for ever is cut off here.
const LONGEST: u64 = 64 << 20;

/// A published dataset in MNIST's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Published {
    /// Handwritten digits; also inside the program
    Mnist,
    /// Clothes (Zalando Research, MIT licence)
    FashionMnist,
    /// Cursive hiragana (ROIS-DS Center for Open Data in the Humanities, CC BY-SA 4.0)
    Kmnist,
}

impl Published {
    /// The name that the command line uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mnist => "mnist",
            Self::FashionMnist => "fashion-mnist",
            Self::Kmnist => "kmnist",
        }
    }

    /// Where `lenet fetch` puts the files, and `--data` looks for them.
    pub fn folder(self) -> anyhow::Result<PathBuf> {
        let cache = dirs::cache_dir().context("cache folder: expected one for this user, found none")?;
        Ok(cache.join("lenet").join(self.name()))
    }

    /// That folder, if all files are in it.
    pub fn fetched(self) -> anyhow::Result<Option<PathBuf>> {
        let folder = self.folder()?;
        Ok(FILES.iter().all(|file| folder.join(file).exists()).then_some(folder))
    }

    /// Mirrors, and the published checksums of [`FILES`].
    fn source(self) -> (&'static [&'static str], [&'static str; 4]) {
        match self {
            Self::Mnist => (
                &[
                    "https://ossci-datasets.s3.amazonaws.com/mnist/",
                    "https://storage.googleapis.com/cvdf-datasets/mnist/",
                ],
                [
                    "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                    "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                    "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                    "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                ],
            ),
            Self::FashionMnist => (
                &[
                    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
                    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
                ],
                [
                    "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
                    "25c81989df183df01b3e8a0aad5dffbe",
                    "bef4ecab320f06d8554ea6380940ec79",
                    "bb300cfdad3c16e7a12a480ee83cd310",
                ],
            ),
            Self::Kmnist => (
                &["http://codh.rois.ac.jp/kmnist/dataset/kmnist/"],
                [
                    "bdb82020997e1d708af4cf47b453dcf7",
                    "e144d726b3acfaa3e44228e80efcd344",
                    "5c965bf0a639b31b8f53240b1b52f4d7",
                    "7320c461ea6c1c855c0b718fb2a4b134",
                ],
            ),
        }
    }
}

/// Download a dataset's four files, checked against their published checksums
///
/// Mirrors are tried in turn. A broken download goes on where it stopped, if need be in the next call; files that
/// are there and good are left alone.
#[derive(clap::Args)]
pub struct Args {
    /// The dataset
    dataset: Published,
    /// Folder for the files [default: lenet/DATASET in your cache folder, where `--data DATASET` finds it]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Download from URL/FILE instead of the published mirrors; repeat to name more
    #[arg(long, value_name = "URL")]
    mirror: Vec<String>,
    /// How often to ask a failing mirror again, waiting 1, 2, 4 ... seconds
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(..=10))]
    retries: u32,
    /// Give a silent mirror up after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
}

/// Runs `lenet fetch`.
pub fn run(args: Args) -> anyhow::Result<()> {
    let (published, checksums) = args.dataset.source();
    let mirrors = if args.mirror.is_empty() {
        published.iter().map(ToString::to_string).collect()
    } else {
        args.mirror
    };
    let folder = args.dir.map_or_else(|| args.dataset.folder(), Ok)?;
    fs::create_dir_all(&folder).with_context(|| format!("{}: could not be created", folder.display()))?;

    // Two downloads into one folder would spoil each other's files, so the second waits for the first. Where a
    // folder can't be locked (Windows, some network drives) they go ahead.
    let lock = File::open(&folder);
    let _ = lock.as_ref().map(File::lock);

    let downloader = Downloader::new(Duration::from_secs(args.timeout), args.retries, Duration::from_secs(1));
    let mut downloaded = 0;
    for (file, checksum) in FILES.iter().zip(checksums) {
        downloaded += usize::from(downloader.fetch(&mirrors, &folder.join(file), checksum)?);
    }
    print(format_args!("{}: {} good files, {downloaded} downloaded\n", folder.display(), FILES.len()))
}

struct Downloader {
    agent: ureq::Agent,
    retries: u32,
    /// Pause before the first retry; it doubles each time.
    pause: Duration,
}

/// Why a mirror did not give the file.
enum Failure {
    /// Asking again is no use.
    Refused(String),
    /// Another try may go better.
    Broken(String),
    /// The fault is on this side: no mirror can help.
    Local(anyhow::Error),
}

impl Downloader {
    /// `timeout` holds for each step: finding the server, connecting, its answer, each piece of the body.
    fn new(timeout: Duration, retries: u32, pause: Duration) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_resolve(Some(timeout))
            .timeout_connect(Some(timeout))
            .timeout_recv_response(Some(timeout))
            .timeout_per_read(Some(timeout))
            .build();
        Self { agent: config.into(), retries, pause }
    }

    /// Makes `path` a file with `checksum`, from the first of `mirrors` that has it; false if it is one already.
    fn fetch(&self, mirrors: &[String], path: &Path, checksum: &str) -> anyhow::Result<bool> {
        if path.exists() && digest(path, checksum)? == checksum {
            return Ok(false);
        }
        let name = path.file_name().unwrap_or_default().display();
        let part = path.with_file_name(format!("{name}.part"));
        let bar = progress_bar(name.to_string());
        let mut failures = Vec::new();
        for mirror in mirrors {
            let url = format!("{}/{name}", mirror.trim_end_matches('/'));
            match self.fetch_from(&url, &part, checksum, &bar) {
                Ok(()) => {
                    fs::rename(&part, path)
                        .with_context(|| format!("{}: could not be written", path.display()))?;
                    return Ok(true);
                }
                Err(Failure::Refused(why) | Failure::Broken(why)) => failures.push(format!("{url}: {why}")),
                Err(Failure::Local(error)) => return Err(error),
            }
        }
        bail!("{}: expected a mirror that has it, found {}", path.display(), failures.join("; "))
    }

    /// Makes `part` a file with `checksum`.
    fn fetch_from(&self, url: &str, part: &Path, checksum: &str, bar: &ProgressBar) -> Result<(), Failure> {
        let mut retry = 0;
        loop {
            match self.download(url, part, bar) {
                Ok(resumed) => {
                    let found = digest(part, checksum).map_err(Failure::Local)?;
                    if found == checksum {
                        return Ok(());
                    }
                    fs::remove_file(part).map_err(|error| unwritable(part, error))?;
                    // What was resumed may have begun as another mirror's file: once more, from the start.
                    if !resumed {
                        return Err(Failure::Refused(format!("expected checksum {checksum}, found {found}")));
                    }
                }
                Err(Failure::Broken(why)) if retry < self.retries => {
                    bar.println(format!("{url}: {why}; trying again"));
                    thread::sleep(self.pause * 2_u32.pow(retry));
                    retry += 1;
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Downloads what `part` lacks, or all of it where the server can't begin in the middle. True if the file's
    /// beginning was there before.
    fn download(&self, url: &str, part: &Path, bar: &ProgressBar) -> Result<bool, Failure> {
        let start = fs::metadata(part).map_or(0, |part| part.len());
        let mut request = self.agent.get(url);
        if start > 0 {
            request = request.header("Range", format!("bytes={start}-"));
        }
        let mut response = request.call().map_err(|error| Failure::Broken(error.to_string()))?;
        let range = response.headers().get("Content-Range").map_or(&b""[..], |range| range.as_bytes());
        let resumed = match response.status().as_u16() {
            200 => false,
            206 if start > 0 && range.starts_with(format!("bytes {start}-").as_bytes()) => true,
            // The rest is not to be had: the part is whole, or of no use.
            206 | 416 if start > 0 => return Ok(true),
            status => {
                let why = format!("expected status 200, found {status}");
                return Err(match status {
                    408 | 429 | 500.. => Failure::Broken(why),
                    _ => Failure::Refused(why),
                });
            }
        };

        let mut file = File::options()
            .create(true)
            .write(true)
            .append(resumed)
            .truncate(!resumed)
            .open(part)
            .map_err(|error| unwritable(part, error))?;
        let mut len = if resumed { start } else { 0 };
        if let Some(rest) = response.body().content_length() {
            bar.set_length(len.saturating_add(rest));
        }
        let mut body = response.body_mut().as_reader();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = body
                .read(&mut buffer)
                .map_err(|error| Failure::Broken(format!("{error} after {len} bytes")))?;
            if read == 0 {
                break;
            }
            len += read as u64;
            if len > LONGEST {
                fs::remove_file(part).map_err(|error| unwritable(part, error))?;
                return Err(Failure::Refused(format!("expected at most {LONGEST} bytes, found more")));
            }
            file.write_all(&buffer[..read]).map_err(|error| unwritable(part, error))?;
            bar.set_position(len);
        }
        file.sync_all().map_err(|error| unwritable(part, error))?;
        Ok(resumed)
    }
}

fn unwritable(path: &Path, error: io::Error) -> Failure {
    Failure::Local(anyhow::Error::new(error).context(format!("{}: could not be written", path.display())))
}

/// A bar on stderr, where that is a terminal; it goes when it is dropped.
fn progress_bar(file: String) -> ProgressBar {
    let template = "{prefix} [{wide_bar}] {bytes}/{total_bytes} {bytes_per_sec}";
    let bar = ProgressBar::no_length().with_style(bar_style(template)).with_prefix(file);
    bar.tick();
    bar
}

/// The checksum of the file at `path`, of the kind of `like`: MD5 has 32 hexadecimal digits, SHA-256 has 64.
fn digest(path: &Path, like: &str) -> anyhow::Result<String> {
    fn digest<D: Digest>(mut file: File) -> io::Result<String> {
        let mut digest = D::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
                read => digest.update(&buffer[..read]),
            }
        }
    }
    let kind = if like.len() == 64 { digest::<sha2::Sha256> } else { digest::<md5::Md5> };
    File::open(path).and_then(kind).with_context(|| format!("{}: could not be read", path.display()))
}
