//! The files that a web server sends for the pages.

/// A file of the pages.
#[derive(Debug, Clone, Copy)]
pub struct Asset {
    /// Path of the URL, from `/`.
    pub path: &'static str,
    /// Media type, for the header `Content-Type`.
    pub media_type: &'static str,
    /// Content.
    pub bytes: &'static [u8],
}

/// Returns all files of the pages.
pub fn assets() -> impl Iterator<Item = Asset> {
    PAGES.iter().chain(PAGE_FILES).chain(WASM_FILES).map(|&(path, bytes)| Asset {
        path,
        media_type: media_type(path),
        bytes,
    })
}

/// Returns the media type of a path by its extension; a path without one is a page.
fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.') {
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "svg")) => "image/svg+xml",
        Some((_, "wasm")) => "application/wasm",
        Some((_, "webmanifest")) => "application/manifest+json",
        _ => "text/html; charset=utf-8",
    }
}

/// Path and content of a file.
type Row = (&'static str, &'static [u8]);

const PAGES: &[Row] =
    &[("/", include_bytes!("../page/index.html")), ("/learn", include_bytes!("../page/learn.html"))];

macro_rules! files {
    ($folder:literal: $($name:literal)*) => {
        &[$((concat!("/", $name), include_bytes!(concat!("../", $folder, "/", $name)))),*]
    };
}

const PAGE_FILES: &[Row] = files!("page":
    "learn.html" "style.css" "learn.css" "manifest.webmanifest" "icon.svg"
    "page.js" "learn.js" "element.js" "gray-levels.js" "hand.js" "image-file.js" "layers-view.js" "library-html.js" "offline.js"
    "offline-cache.js"
    "rayon-worker.js" "rayon-workers.js" "reading.js" "recognizer-worker.js" "recognizers.js" "sheet.js" "store.js" "training-module.js"
    "training-worker.js" "worker-client.js" "worker-methods.js"
);

const WASM_FILES: &[Row] = files!("dist":
    "lenet.js" "lenet_bg.wasm" "training.js" "training_bg.wasm"
    "training_threads.js" "training_threads_bg.wasm"
);
