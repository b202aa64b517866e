//! Strokes of a pen and their rasterization.

use serde::Deserialize;

use super::{GrayImage, ImageView, Rect};
use crate::{Error, error::ensure_setting};

/// Handwriting as strokes, rasterized dark on white. The size and the pen are fitted to recognition, whatever the units of the
/// strokes. In JSON it is `{"strokes": [[[x, y], ...], ...]}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "DrawingJson")]
pub struct Drawing {
    /// The raster: gray levels.
    raster: GrayImage,
    /// The raster's top left corner, in units of the strokes.
    origin: [f32; 2],
    /// Pixels for one unit of the strokes.
    scale: f32,
}

/// The largest number of points of all strokes together: many times what a page of digits needs.
const MAX_POINTS: usize = 10_000;
/// The largest coordinate, in units of the strokes.
const MAX_COORDINATE: f32 = 65_536.0;
/// Longer side of the longest stroke in pixels. Most digits have a stroke as high as the digit, so they get more than twice
/// the 20 pixels that the network sees.
const TARGET_LONGEST_STROKE_PX: f32 = 48.0;
/// Radius of the pen: strokes are as wide as MNIST's on average, 2.5 of 20 pixels.
const PEN_RADIUS_PX: f32 = TARGET_LONGEST_STROKE_PX / 16.0;
/// Longer side of all strokes together, in longest strokes, at most, so that memory and time are bounded.
const MAX_EXTENT_STROKE_RATIO: f32 = 16.0;
/// White border around the strokes.
const BORDER_PX: f32 = TARGET_LONGEST_STROKE_PX / 2.0;

impl Drawing {
    /// Rasterizes strokes. Each is a polyline through points `[x, y]`, with x to the right and y down.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] if there are more than 10,000 points, or a coordinate is not a number from 0 to 65,536.
    pub fn new(strokes: &[Vec<[f32; 2]>]) -> Result<Self, Error> {
        let points: usize = strokes.iter().map(Vec::len).sum();
        ensure_setting("points", points <= MAX_POINTS, format!("at most {MAX_POINTS}"), points)?;
        let mut coordinates = strokes.iter().flatten().flatten();
        if let Some(invalid) = coordinates.find(|value| !(0.0..=MAX_COORDINATE).contains(*value)) {
            ensure_setting("coordinates", false, format!("numbers from 0 to {MAX_COORDINATE}"), invalid)?;
        }
        let longest_stroke =
            strokes.iter().filter_map(bounding_box).map(|(_, size)| longer_side(size)).fold(0.0, f32::max);
        let (corner, size) = bounding_box(strokes.iter().flatten()).unwrap_or_default();
        let stroke_length = longest_stroke.max(longer_side(size) / MAX_EXTENT_STROKE_RATIO);
        let scale = if stroke_length > 0.0 { TARGET_LONGEST_STROKE_PX / stroke_length } else { 1.0 };
        let origin = corner.map(|coordinate| coordinate - BORDER_PX / scale);
        let [width, height] = size.map(|length| (length * scale + 2.0 * BORDER_PX).ceil() as usize);
        let to_pixels = |&[x, y]: &[f32; 2]| [(x - origin[0]) * scale, (y - origin[1]) * scale];
        let scaled: Vec<_> = strokes.iter().map(|stroke| stroke.iter().map(to_pixels).collect()).collect();
        let mut raster = draw_strokes(width, height, &scaled, PEN_RADIUS_PX);
        raster.values.iter_mut().for_each(|value| *value = 255 - *value);
        Ok(Self { raster, origin, scale })
    }

    /// Returns the raster.
    pub fn view(&self) -> ImageView<'_> {
        self.raster.view()
    }

    /// Converts a rectangle of the raster to units of the strokes, rounded outwards.
    pub fn to_stroke_coordinates(&self, rect: Rect) -> Rect {
        let convert = |start: usize, end: usize, axis: usize| {
            let coordinate = |pixels: usize| (pixels as f32 / self.scale + self.origin[axis]).max(0.0);
            let (start, end) = (coordinate(start).floor() as usize, coordinate(end).ceil() as usize);
            (start, end - start)
        };
        let (x, width) = convert(rect.x, rect.right(), 0);
        let (y, height) = convert(rect.y, rect.bottom(), 1);
        Rect { x, y, width, height }
    }
}

/// The JSON form of a [`Drawing`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DrawingJson {
    strokes: Vec<Vec<[f32; 2]>>,
}

impl TryFrom<DrawingJson> for Drawing {
    type Error = Error;

    fn try_from(DrawingJson { strokes }: DrawingJson) -> Result<Self, Error> {
        Self::new(&strokes)
    }
}

/// Returns the top left corner and the size of the bounding box of points, or `None` if there are no points.
fn bounding_box<'a>(points: impl IntoIterator<Item = &'a [f32; 2]>) -> Option<([f32; 2], [f32; 2])> {
    let corners = points.into_iter().map(|&point| (point, point)).reduce(|(min, max), (point, _)| {
        let combine = |of: fn(f32, f32) -> f32, a: [f32; 2]| [of(a[0], point[0]), of(a[1], point[1])];
        (combine(f32::min, min), combine(f32::max, max))
    });
    corners.map(|(min, max)| (min, [max[0] - min[0], max[1] - min[1]]))
}

fn longer_side([width, height]: [f32; 2]) -> f32 {
    width.max(height)
}

/// Draws polylines through points `[x, y]`, in pixels, with a round pen of `radius` pixels. Returns an ink map: 255 on 0, with
/// edges that are antialiased over a pixel. A line of one point is a dot.
pub fn draw_strokes(width: usize, height: usize, strokes: &[Vec<[f32; 2]>], radius: f32) -> GrayImage {
    let mut values = vec![0; width * height];
    let segments = strokes.iter().flat_map(|points| {
        // A dot is a segment from a point to itself.
        let ends = points.iter().skip(1).chain(points.last().filter(|_| points.len() == 1));
        points.iter().zip(ends)
    });
    for (&[x0, y0], &[x1, y1]) in segments {
        let covered = |a: f32, b: f32, len: usize| {
            let first = (a.min(b) - radius - 1.0).max(0.0) as usize;
            first..((a.max(b) + radius + 2.0).max(0.0) as usize).min(len)
        };
        let (dx, dy) = (x1 - x0, y1 - y0);
        let squared_length = (dx * dx + dy * dy).max(f32::EPSILON);
        for y in covered(y0, y1, height) {
            for x in covered(x0, x1, width) {
                let (px, py) = (x as f32 - x0, y as f32 - y0);
                let t = ((px * dx + py * dy) / squared_length).clamp(0.0, 1.0);
                let distance = (px - t * dx).hypot(py - t * dy);
                let ink = (255.0 * (radius + 0.5 - distance)).clamp(0.0, 255.0) as u8;
                let value: &mut u8 = &mut values[y * width + x];
                *value = ink.max(*value);
            }
        }
    }
    GrayImage { width, height, values, scale: 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_lines_of_the_pens_width_and_dots() {
        let map = draw_strokes(20, 20, &[vec![[3.0, 5.0], [15.0, 5.0]], vec![[10.0, 15.0]], vec![]], 1.5);
        let column: Vec<_> = (2..9).map(|y| map.row(y)[9]).collect();
        assert_eq!(column, [0, 0, 255, 255, 255, 0, 0]);
        assert_eq!((map.row(5)[3], map.row(5)[1], map.row(5)[0]), (255, 0, 0));
        assert_eq!((map.row(15)[10], map.row(15)[12], map.row(10)[10]), (255, 0, 0));
    }

    #[test]
    fn clips_strokes_to_the_image() {
        let map = draw_strokes(5, 5, &[vec![[-9.0, -9.0], [-8.0, 40.0]], vec![[2.0, 2.0], [1e9, 2.0]]], 1.0);
        assert_eq!(map.row(2), [0, 127, 255, 255, 255]);
        assert_eq!(map.row(4), [0; 5]);
    }

    #[test]
    fn raster_does_not_depend_on_units() {
        let drawing = |unit: f32| {
            let line = |points: [[f32; 2]; 2]| points.map(|point| point.map(|value| value * unit)).to_vec();
            Drawing::new(&[line([[3.0, 4.0], [3.0, 12.0]]), line([[6.0, 5.0], [7.0, 5.0]])]).unwrap()
        };
        let [small, large] = [0.5, 64.0].map(drawing);
        assert_eq!(small.raster, large.raster);
        // A border of half a longest stroke around four eighths of one by one.
        assert_eq!((small.raster.width, small.raster.height), (72, 96));
        let light = |x: usize, y: usize| small.raster.row(y)[x];
        assert_eq!((light(24, 24), light(24, 72), light(24, 13), light(48, 30)), (0, 0, 255, 0));
        let whole = Rect { x: 24, y: 24, width: 24, height: 48 };
        assert_eq!(large.to_stroke_coordinates(whole), Rect { x: 192, y: 256, width: 256, height: 512 });
        let beyond = large.to_stroke_coordinates(Rect { x: 0, y: 0, width: 24, height: 24 });
        assert_eq!(beyond, Rect { x: 0, y: 0, width: 192, height: 256 });
    }

    #[test]
    fn bounds_the_raster_and_rejects_invalid_strokes() {
        for strokes in [
            vec![],
            vec![vec![]],
            vec![vec![[5.0, 5.0]]],
            vec![vec![[0.0, 0.0]], vec![[MAX_COORDINATE, MAX_COORDINATE]]],
            vec![vec![[0.0, 0.0], [1e-30, 0.0]], vec![[MAX_COORDINATE, 0.0]]],
        ] {
            let GrayImage { width, height, .. } = Drawing::new(&strokes).unwrap().raster;
            let max = (TARGET_LONGEST_STROKE_PX * (MAX_EXTENT_STROKE_RATIO + 1.0)) as usize;
            assert!((1..=max).contains(&width) && (1..=max).contains(&height), "{strokes:?}");
        }
        for invalid in [-1.0, f32::NAN, f32::INFINITY, 2.0 * MAX_COORDINATE] {
            let error = Drawing::new(&[vec![[1.0, invalid]]]).unwrap_err().to_string();
            assert!(error.starts_with("coordinates: expected numbers from 0 to 65536, found "), "{error}");
        }
        let error = Drawing::new(&[vec![[1.0, 1.0]; MAX_POINTS + 1]]).unwrap_err().to_string();
        assert_eq!(error, "points: expected at most 10000, found 10001");
    }
}
