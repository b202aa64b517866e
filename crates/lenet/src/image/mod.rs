//! From any picture to images such as those of MNIST, in the order in which a picture goes through.
//!
//! `grey` (light values of a bounded size), `ink` (what is written, on paper that is everywhere the same), `parts`
//! (connected pieces of ink, without specks and frames), `lines` (pieces that stand side by side), `split` (pieces that may
//! be several digits), `tile` (MNIST's own normalisation). [`recognize`](crate::recognize) puts them together and reads.

mod view;
mod binarize;
mod components;
mod lines;
mod oversegment;
mod normalize;
mod drawing;

pub(crate) use {
    binarize::{Binarized, EDGE, binarize},
    components::{Component, TextComponents, area, find_text},
    drawing::strokes,
    lines::lines,
    normalize::{NormalizedDigit, bitmap, normalize_digit, soften},
    oversegment::oversegment,
};
pub use {
    drawing::Drawing,
    view::{GrayImage, ImageView},
};

use serde::Serialize;

/// The steps that can be left out, to measure what each is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stages {
    /// Light writing on dark paper is inverted; else all writing is taken for dark.
    pub polarity: bool,
    /// Uneven light is divided out.
    pub light: bool,
    /// Noisy pictures are smoothed.
    pub noise: bool,
    /// Large writing is made smaller before its parts are looked for.
    pub shrink: bool,
    /// What has soft edges is left out.
    pub shadows: bool,
    /// Specks are left out.
    pub specks: bool,
    /// What goes round the writing is left out.
    pub frames: bool,
    /// Long lines are left out.
    pub rules: bool,
    /// Low parts at the edges of the picture are left out.
    pub edges: bool,
    /// Pieces of a broken digit are joined.
    pub join: bool,
    /// Digits that touch are cut apart.
    pub split: bool,
    /// Thin strokes are thickened.
    pub thicken: bool,
    /// What is not surely a digit is looked at again with softer edges.
    pub soften: bool,
}

/// All of them.
impl Default for Stages {
    fn default() -> Self {
        Self::all(true)
    }
}

impl Stages {
    /// No step that can be left out.
    pub(crate) const NONE: Self = Self::all(false);

    const fn all(done: bool) -> Self {
        Self {
            polarity: done,
            light: done,
            noise: done,
            shrink: done,
            shadows: done,
            specks: done,
            frames: done,
            rules: done,
            edges: done,
            join: done,
            split: done,
            thicken: done,
            soften: done,
        }
    }

    /// All steps but the one of this name, if there is one.
    pub fn without(mut self, step: &str) -> Option<Self> {
        *match step {
            "polarity" => &mut self.polarity,
            "light" => &mut self.light,
            "noise" => &mut self.noise,
            "shrink" => &mut self.shrink,
            "shadows" => &mut self.shadows,
            "specks" => &mut self.specks,
            "frames" => &mut self.frames,
            "rules" => &mut self.rules,
            "edges" => &mut self.edges,
            "join" => &mut self.join,
            "split" => &mut self.split,
            "thicken" => &mut self.thicken,
            "soften" => &mut self.soften,
            _ => return None,
        } = false;
        Some(self)
    }
}

/// A rectangle of pixels, from its top left corner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(into = "[usize; 4]")]
pub struct Rect {
    /// First column.
    pub x: usize,
    /// First row.
    pub y: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl From<Rect> for [usize; 4] {
    fn from(bounds: Rect) -> Self {
        [bounds.x, bounds.y, bounds.width, bounds.height]
    }
}

impl Rect {
    /// The column after the last.
    pub fn right(&self) -> usize {
        self.x + self.width
    }

    /// The row after the last.
    pub fn bottom(&self) -> usize {
        self.y + self.height
    }

    /// The larger of width and height.
    pub(crate) fn side(&self) -> usize {
        self.width.max(self.height)
    }

    /// The smallest that has all of both.
    pub(crate) fn union(&self, other: &Self) -> Self {
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        let (right, bottom) = (self.right().max(other.right()), self.bottom().max(other.bottom()));
        Self { x, y, width: right - x, height: bottom - y }
    }

    /// The same in `picture`, of which `map` may be a smaller copy.
    pub(crate) fn within(&self, map: &GrayImage, picture: &ImageView) -> Self {
        let (x, y) = (self.x * map.scale, self.y * map.scale);
        let right = (self.right() * map.scale).min(picture.width());
        let bottom = (self.bottom() * map.scale).min(picture.height());
        Self { x, y, width: right - x, height: bottom - y }
    }

    /// Whether all of `other` is in it.
    pub(crate) fn contains(&self, other: &Self) -> bool {
        self.union(other) == *self
    }
}
