//! Downloads that are resumed, retried, and verified by a checksum.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::Path,
    thread,
    time::Duration,
};

use anyhow::{Context, bail};
use indicatif::ProgressBar;
use sha2::Digest;

use crate::terminal::bar_style;

/// Bytes of a file, at most, so that a server that never stops sending can't fill the disk. The datasets have less than 30 MB.
pub const MAX_BYTES: u64 = 64 << 20;

/// Downloads files from mirrors.
pub struct Downloader {
    agent: ureq::Agent,
    retries: u32,
    retry_delay: Duration,
}

/// Why a mirror did not provide the file.
enum Failure {
    /// The same request would fail again.
    Permanent(String),
    /// A retry may succeed.
    Transient(String),
    /// The file can't be written, so that no other mirror can help.
    Local(anyhow::Error),
}

impl Downloader {
    /// Creates a downloader.
    ///
    /// `timeout` limits each phase: name resolution, connecting, waiting for the response, and each read of the body. A
    /// transient failure is retried up to `retries` times, first after `retry_delay`, which doubles with each retry.
    #[must_use]
    pub fn new(timeout: Duration, retries: u32, retry_delay: Duration) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_resolve(Some(timeout))
            .timeout_connect(Some(timeout))
            .timeout_recv_response(Some(timeout))
            .timeout_per_read(Some(timeout))
            .build();
        Self { agent: config.into(), retries, retry_delay }
    }

    /// Downloads a file unless it is there already, and returns whether it did.
    ///
    /// The mirrors are tried in turn. `checksum` is MD5 or SHA-256 in hexadecimal. An incomplete download is kept beside `path`
    /// with the suffix `.part` and resumed by the next call.
    ///
    /// # Errors
    /// If no mirror provides a file with the checksum, or the file can't be written.
    pub fn download_if_missing(
        &self,
        mirrors: &[String],
        path: &Path,
        checksum: &str,
    ) -> anyhow::Result<bool> {
        if path.exists() && digest(path, checksum)? == checksum {
            return Ok(false);
        }
        let name = path.file_name().unwrap_or_default().display();
        let part = path.with_file_name(format!("{name}.part"));
        let bar = progress_bar(name.to_string());
        let mut failures = Vec::new();
        for mirror in mirrors {
            let url = format!("{}/{name}", mirror.trim_end_matches('/'));
            match self.download_with_retries(&url, &part, checksum, &bar) {
                Ok(()) => {
                    fs::rename(&part, path)
                        .with_context(|| format!("{}: could not be written", path.display()))?;
                    return Ok(true);
                }
                Err(Failure::Permanent(reason) | Failure::Transient(reason)) => {
                    failures.push(format!("{url}: {reason}"));
                }
                Err(Failure::Local(error)) => return Err(error),
            }
        }
        bail!("{}: expected a mirror that has it, found {}", path.display(), failures.join("; "))
    }

    /// Downloads `part` from one mirror, with retries, until it has the checksum.
    fn download_with_retries(
        &self,
        url: &str,
        part: &Path,
        checksum: &str,
        bar: &ProgressBar,
    ) -> Result<(), Failure> {
        let mut retry = 0;
        loop {
            match self.request_missing_bytes(url, part, bar) {
                Ok(resumed) => {
                    let found = digest(part, checksum).map_err(Failure::Local)?;
                    if found == checksum {
                        return Ok(());
                    }
                    fs::remove_file(part).map_err(|error| write_failure(part, error))?;
                    // The resumed part may have come from another mirror with another file, so the download starts over.
                    if !resumed {
                        return Err(Failure::Permanent(format!(
                            "expected checksum {checksum}, found {found}"
                        )));
                    }
                }
                Err(Failure::Transient(reason)) if retry < self.retries => {
                    bar.println(format!("{url}: {reason}; trying again"));
                    thread::sleep(self.retry_delay * 2_u32.pow(retry));
                    retry += 1;
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Sends one request for the missing bytes of `part`. A server without range requests sends the whole file, which replaces
    /// `part`. Returns whether `part` begins with bytes of an earlier request.
    fn request_missing_bytes(&self, url: &str, part: &Path, bar: &ProgressBar) -> Result<bool, Failure> {
        let start = fs::metadata(part).map_or(0, |part| part.len());
        let mut request = self.agent.get(url);
        if start > 0 {
            request = request.header("Range", format!("bytes={start}-"));
        }
        let mut response = request.call().map_err(|error| Failure::Transient(error.to_string()))?;
        let range = response.headers().get("Content-Range").map_or(&b""[..], |range| range.as_bytes());
        let resumed = match response.status().as_u16() {
            200 => false,
            206 if start > 0 && range.starts_with(format!("bytes {start}-").as_bytes()) => true,
            // Another range, or none: the part is complete or useless, which the checksum decides.
            206 | 416 if start > 0 => return Ok(true),
            status => {
                let reason = format!("expected status 200, found {status}");
                return Err(match status {
                    408 | 429 | 500.. => Failure::Transient(reason),
                    _ => Failure::Permanent(reason),
                });
            }
        };

        let mut file = File::options()
            .create(true)
            .write(true)
            .append(resumed)
            .truncate(!resumed)
            .open(part)
            .map_err(|error| write_failure(part, error))?;
        let mut len = if resumed { start } else { 0 };
        if let Some(rest) = response.body().content_length() {
            bar.set_length(len.saturating_add(rest));
        }
        let mut body = response.body_mut().as_reader();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = body
                .read(&mut buffer)
                .map_err(|error| Failure::Transient(format!("{error} after {len} bytes")))?;
            if read == 0 {
                break;
            }
            len += read as u64;
            if len > MAX_BYTES {
                fs::remove_file(part).map_err(|error| write_failure(part, error))?;
                return Err(Failure::Permanent(format!("expected at most {MAX_BYTES} bytes, found more")));
            }
            file.write_all(&buffer[..read]).map_err(|error| write_failure(part, error))?;
            bar.set_position(len);
        }
        file.sync_all().map_err(|error| write_failure(part, error))?;
        Ok(resumed)
    }
}

fn write_failure(path: &Path, error: io::Error) -> Failure {
    Failure::Local(anyhow::Error::new(error).context(format!("{}: could not be written", path.display())))
}

/// Returns a progress bar on stderr, which is hidden where stderr is no terminal and cleared when it is dropped.
fn progress_bar(file: String) -> ProgressBar {
    let template = "{prefix} [{wide_bar}] {bytes}/{total_bytes} {bytes_per_sec}";
    let bar = ProgressBar::no_length().with_style(bar_style(template)).with_prefix(file);
    bar.tick();
    bar
}

/// Hashes a file with the algorithm of the checksum `like`: MD5 has 32 hexadecimal digits, SHA-256 has 64.
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
    let algorithm = if like.len() == 64 { digest::<sha2::Sha256> } else { digest::<md5::Md5> };
    File::open(path).and_then(algorithm).with_context(|| format!("{}: could not be read", path.display()))
}
