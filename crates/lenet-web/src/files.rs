//! The page's files.

/// A file and where it is asked for.
#[derive(Debug, Clone, Copy)]
pub struct File {
    /// The path of its address, from `/`.
    pub path: &'static str,
    /// What it is, as the header `Content-Type` has it.
    pub media_type: &'static str,
    /// Its content.
    pub bytes: &'static [u8],
}

/// All files of the page, and the library as `compile` made it, if it did before this crate was built.
pub fn files() -> impl Iterator<Item = File> {
    PAGE.iter().chain(COMPILED).map(|&(path, media_type, bytes)| File { path, media_type, bytes })
}

type Row = (&'static str, &'static str, &'static [u8]);

const PAGE: &[Row] = &[
    ("/", "text/html; charset=utf-8", include_bytes!("../page/index.html")),
    ("/style.css", "text/css; charset=utf-8", include_bytes!("../page/style.css")),
    ("/page.js", "text/javascript; charset=utf-8", include_bytes!("../page/page.js")),
    ("/offline.js", "text/javascript; charset=utf-8", include_bytes!("../page/offline.js")),
    ("/manifest.webmanifest", "application/manifest+json", include_bytes!("../page/manifest.webmanifest")),
    ("/icon.svg", "image/svg+xml", include_bytes!("../page/icon.svg")),
];

#[cfg(compiled)]
const COMPILED: &[Row] = &[
    ("/lenet.js", "text/javascript; charset=utf-8", include_bytes!("../dist/lenet.js")),
    ("/lenet_bg.wasm", "application/wasm", include_bytes!("../dist/lenet_bg.wasm")),
];
#[cfg(not(compiled))]
const COMPILED: &[Row] = &[];
