//! The files that a web server sends for the page.

/// A file of the page.
#[derive(Debug, Clone, Copy)]
pub struct Asset {
    /// Path of the URL, from `/`.
    pub path: &'static str,
    /// Media type, for the header `Content-Type`.
    pub media_type: &'static str,
    /// Content.
    pub bytes: &'static [u8],
}

/// Returns all files of the page. They include the WebAssembly module if `compile` made it before this crate was built.
pub fn assets() -> impl Iterator<Item = Asset> {
    STATIC_FILES.iter().chain(WASM_FILES).map(|&(path, media_type, bytes)| Asset { path, media_type, bytes })
}

/// Path, media type and content of a file.
type Row = (&'static str, &'static str, &'static [u8]);

const STATIC_FILES: &[Row] = &[
    ("/", "text/html; charset=utf-8", include_bytes!("../page/index.html")),
    ("/style.css", "text/css; charset=utf-8", include_bytes!("../page/style.css")),
    ("/page.js", "text/javascript; charset=utf-8", include_bytes!("../page/page.js")),
    ("/offline.js", "text/javascript; charset=utf-8", include_bytes!("../page/offline.js")),
    ("/manifest.webmanifest", "application/manifest+json", include_bytes!("../page/manifest.webmanifest")),
    ("/icon.svg", "image/svg+xml", include_bytes!("../page/icon.svg")),
];

#[cfg(wasm_compiled)]
const WASM_FILES: &[Row] = &[
    ("/lenet.js", "text/javascript; charset=utf-8", include_bytes!("../dist/lenet.js")),
    ("/lenet_bg.wasm", "application/wasm", include_bytes!("../dist/lenet_bg.wasm")),
];
#[cfg(not(wasm_compiled))]
const WASM_FILES: &[Row] = &[];
