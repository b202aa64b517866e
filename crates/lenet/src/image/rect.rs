//! Rectangles of pixels.

use serde::{Deserialize, Serialize};

use super::GrayImage;

/// A rectangle of pixels. In JSON it is `[x, y, width, height]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[usize; 4]", into = "[usize; 4]")]
pub struct Rect {
    /// The leftmost column.
    pub x: usize,
    /// The topmost row.
    pub y: usize,
    /// Number of columns.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
}

impl From<[usize; 4]> for Rect {
    fn from([x, y, width, height]: [usize; 4]) -> Self {
        Self { x, y, width, height }
    }
}

impl From<Rect> for [usize; 4] {
    fn from(rect: Rect) -> Self {
        [rect.x, rect.y, rect.width, rect.height]
    }
}

impl Rect {
    /// Returns the column after the rightmost.
    pub fn right(&self) -> usize {
        self.x + self.width
    }

    /// Returns the row after the bottommost.
    pub fn bottom(&self) -> usize {
        self.y + self.height
    }

    /// Returns twice the horizontal coordinate of the center, which is an integer.
    pub(crate) fn doubled_center_x(&self) -> usize {
        2 * self.x + self.width
    }

    /// Returns the larger of width and height.
    pub fn longer_side(&self) -> usize {
        self.width.max(self.height)
    }

    /// Returns width divided by height.
    pub fn aspect_ratio(&self) -> f32 {
        self.width as f32 / self.height as f32
    }

    /// Returns the smallest rectangle that contains both rectangles.
    pub fn union(&self, other: &Self) -> Self {
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        let (right, bottom) = (self.right().max(other.right()), self.bottom().max(other.bottom()));
        Self { x, y, width: right - x, height: bottom - y }
    }

    /// Returns whether `other` lies within this rectangle.
    pub fn contains(&self, other: &Self) -> bool {
        self.union(other) == *self
    }

    /// Returns whether the rectangle touches the border of `image`.
    pub fn touches_border_of(&self, image: &GrayImage) -> bool {
        self.x == 0 || self.y == 0 || self.right() == image.width || self.bottom() == image.height
    }

    /// Converts coordinates of an image of width and height `from` to those of a copy of width and height `to`: at least a pixel.
    #[must_use]
    pub fn scale(&self, from: [usize; 2], to: [usize; 2]) -> Self {
        let [x, right] = [self.x, self.right()].map(|x| x * to[0] / from[0].max(1));
        let [y, bottom] = [self.y, self.bottom()].map(|y| y * to[1] / from[1].max(1));
        Self { x, y, width: (right - x).max(1), height: (bottom - y).max(1) }
    }

    /// Converts coordinates of an image that was rotated by 90 degrees clockwise and is now `width` wide to those before the
    /// rotation.
    #[must_use]
    pub fn undo_rotate90(&self, width: usize) -> Self {
        Self { x: self.y, y: width - self.right(), width: self.height, height: self.width }
    }

    /// Converts coordinates of an image that was [rotated](GrayImage::rotate) by an angle in degrees and now has `new_size` to those
    /// before the rotation, when it had `old_size`: the rectangle keeps its size where it lies within the image. Of one that lies
    /// outside, at least the nearest pixel is left.
    #[must_use]
    pub fn undo_rotate(&self, degrees: f64, new_size: [usize; 2], old_size: [usize; 2]) -> Self {
        let (sin, cos) = degrees.to_radians().sin_cos();
        let sides = [self.width, self.height].map(|side| side as f64);
        let dx = self.x as f64 + 0.5 * (sides[0] - new_size[0] as f64);
        let dy = self.y as f64 + 0.5 * (sides[1] - new_size[1] as f64);
        let range = |axis: usize, offset: f64| {
            let size = old_size[axis];
            let start = 0.5 * (size as f64 - sides[axis]) + offset;
            let first = start.round().clamp(0.0, (size - 1) as f64) as usize;
            let end = (start + sides[axis]).round().clamp(0.0, size as f64) as usize;
            first..end.max(first + 1)
        };
        let (columns, rows) = (range(0, cos * dx + sin * dy), range(1, cos * dy - sin * dx));
        Self { x: columns.start, y: rows.start, width: columns.len(), height: rows.len() }
    }

    /// Converts coordinates of `map`, which was made of a copy of `picture` that was enlarged `magnification` times and
    /// reduced by the map's scale, to pixels of `picture`, whose width and height are `size`.
    pub fn to_picture_coordinates(&self, map: &GrayImage, magnification: usize, size: [usize; 2]) -> Self {
        let (x, y) = (self.x * map.scale / magnification, self.y * map.scale / magnification);
        let right = (self.right() * map.scale).div_ceil(magnification).min(size[0]);
        let bottom = (self.bottom() * map.scale).div_ceil(magnification).min(size[1]);
        Self { x, y, width: right - x, height: bottom - y }
    }
}
