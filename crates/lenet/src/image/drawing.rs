//! Strokes of a pen, drawn as ink.

use serde::Deserialize;

use super::{GrayImage, ImageView, Rect};
use crate::{Error, error::ensure_setting};

/// Strokes drawn as a picture, dark on white, in the size and with the pen that reading likes best, whatever their units; in JSON
/// `{"strokes": [[[x, y], ...], ...]}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Strokes")]
pub struct Drawing {
    /// Light.
    map: GrayImage,
    /// Where the picture's corner is, in units of the strokes.
    corner: [f32; 2],
    /// Pixels of the picture in such a unit.
    scale: f32,
}

/// Points of all strokes together: many times what a page of digits needs.
const MAX_POINTS: usize = 10_000;
/// Greatest coordinate.
const MAX_PLACE: f32 = 65_536.0;
/// Side of the longest stroke in pixels, more than twice what the network sees: most digits have one that is as high as
/// they are.
const STROKE: f32 = 48.0;
/// Strokes are as wide as MNIST's, 2.5 pixels of 20.
const RADIUS: f32 = STROKE / 16.0;
/// Longest strokes that a picture is wide or high at most: what it takes of memory and time is bounded.
const MAX_STROKES: f32 = 16.0;
/// White around the strokes, in pixels.
const MARGIN: f32 = STROKE / 2.0;

impl Drawing {
    /// Draws strokes, each a line through points `(x, y)`: x to the right, y down, in units of any size.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] if there are too many points, or coordinates that are negative, too large or not finite.
    pub fn new(strokes: &[Vec<[f32; 2]>]) -> Result<Self, Error> {
        let points: usize = strokes.iter().map(Vec::len).sum();
        ensure_setting("points", points <= MAX_POINTS, format!("at most {MAX_POINTS}"), points)?;
        let mut coordinates = strokes.iter().flatten().flatten();
        if let Some(wrong) = coordinates.find(|value| !(0.0..=MAX_PLACE).contains(*value)) {
            ensure_setting("coordinates", false, format!("numbers from 0 to {MAX_PLACE}"), wrong)?;
        }
        let longest = strokes.iter().filter_map(extent).map(|(_, size)| side(size));
        let longest = longest.fold(0.0, f32::max);
        let (corner, size) = extent(strokes.iter().flatten()).unwrap_or_default();
        let unit = longest.max(side(size) / MAX_STROKES);
        let scale = if unit > 0.0 { STROKE / unit } else { 1.0 };
        let corner = corner.map(|place| place - MARGIN / scale);
        let [width, height] = size.map(|length| (length * scale + 2.0 * MARGIN).ceil() as usize);
        let place = |&[x, y]: &[f32; 2]| [(x - corner[0]) * scale, (y - corner[1]) * scale];
        let placed: Vec<_> = strokes.iter().map(|stroke| stroke.iter().map(place).collect()).collect();
        let mut map = self::strokes(width, height, &placed, RADIUS);
        map.values.iter_mut().for_each(|value| *value = 255 - *value);
        Ok(Self { map, corner, scale })
    }

    /// Its pixels.
    pub fn picture(&self) -> ImageView<'_> {
        self.map.picture()
    }

    /// Where `bounds` of the picture are, in units of the strokes.
    pub(crate) fn place(&self, bounds: Rect) -> Rect {
        let along = |start: usize, end: usize, axis: usize| {
            let place = |pixels: usize| (pixels as f32 / self.scale + self.corner[axis]).max(0.0);
            let (start, end) = (place(start).floor() as usize, place(end).ceil() as usize);
            (start, end - start)
        };
        let (x, width) = along(bounds.x, bounds.right(), 0);
        let (y, height) = along(bounds.y, bounds.bottom(), 1);
        Rect { x, y, width, height }
    }
}

/// A [`Drawing`] as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Strokes {
    strokes: Vec<Vec<[f32; 2]>>,
}

impl TryFrom<Strokes> for Drawing {
    type Error = Error;

    fn try_from(Strokes { strokes }: Strokes) -> Result<Self, Error> {
        Self::new(&strokes)
    }
}

/// The least coordinates of some points, and what the greatest are beyond them; `None` if there are no points.
fn extent<'a>(points: impl IntoIterator<Item = &'a [f32; 2]>) -> Option<([f32; 2], [f32; 2])> {
    let ends = points.into_iter().map(|&point| (point, point)).reduce(|(least, greatest), (point, _)| {
        let both = |of: fn(f32, f32) -> f32, a: [f32; 2]| [of(a[0], point[0]), of(a[1], point[1])];
        (both(f32::min, least), both(f32::max, greatest))
    });
    ends.map(|(least, greatest)| (least, [greatest[0] - least[0], greatest[1] - least[1]]))
}

fn side([width, height]: [f32; 2]) -> f32 {
    width.max(height)
}

/// Draws strokes, each a line through points `(x, y)` in pixels, with a round pen of `radius` pixels: ink 255 on 0, soft over
/// a pixel at the edges.
pub fn strokes(width: usize, height: usize, strokes: &[Vec<[f32; 2]>], radius: f32) -> GrayImage {
    let mut values = vec![0; width * height];
    // A dot is a line from a point to itself.
    let segments = strokes.iter().flat_map(|points| {
        let ends = points.iter().skip(1).chain(points.last().filter(|_| points.len() == 1));
        points.iter().zip(ends)
    });
    for (&[x0, y0], &[x1, y1]) in segments {
        let reach = |a: f32, b: f32, len: usize| {
            let first = (a.min(b) - radius - 1.0).max(0.0) as usize;
            first..((a.max(b) + radius + 2.0).max(0.0) as usize).min(len)
        };
        let (dx, dy) = (x1 - x0, y1 - y0);
        let square = (dx * dx + dy * dy).max(f32::EPSILON);
        for y in reach(y0, y1, height) {
            for x in reach(x0, x1, width) {
                let (px, py) = (x as f32 - x0, y as f32 - y0);
                let along = ((px * dx + py * dy) / square).clamp(0.0, 1.0);
                let distance = (px - along * dx).hypot(py - along * dy);
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
    fn a_pen_leaves_lines_of_its_width_and_dots() {
        let map = strokes(20, 20, &[vec![[3.0, 5.0], [15.0, 5.0]], vec![[10.0, 15.0]], vec![]], 1.5);
        let column: Vec<_> = (2..9).map(|y| map.row(y)[9]).collect();
        assert_eq!(column, [0, 0, 255, 255, 255, 0, 0]);
        assert_eq!((map.row(5)[3], map.row(5)[1], map.row(5)[0]), (255, 0, 0));
        assert_eq!((map.row(15)[10], map.row(15)[12], map.row(10)[10]), (255, 0, 0));
    }

    #[test]
    fn what_is_outside_is_not_drawn() {
        let map = strokes(5, 5, &[vec![[-9.0, -9.0], [-8.0, 40.0]], vec![[2.0, 2.0], [1e9, 2.0]]], 1.0);
        assert_eq!(map.row(2), [0, 127, 255, 255, 255]);
        assert_eq!(map.row(4), [0; 5]);
    }

    #[test]
    fn a_drawing_is_the_same_in_all_units_and_knows_its_places() {
        let drawing = |unit: f32| {
            let line = |points: [[f32; 2]; 2]| points.map(|point| point.map(|place| place * unit)).to_vec();
            Drawing::new(&[line([[3.0, 4.0], [3.0, 12.0]]), line([[6.0, 5.0], [7.0, 5.0]])]).unwrap()
        };
        let [small, large] = [0.5, 64.0].map(drawing);
        assert_eq!(small.map, large.map);
        // Half a longest stroke of margin around four eighths of one by one.
        assert_eq!((small.map.width, small.map.height), (72, 96));
        let light = |x: usize, y: usize| small.map.row(y)[x];
        assert_eq!((light(24, 24), light(24, 72), light(24, 13), light(48, 30)), (0, 0, 255, 0));
        let whole = Rect { x: 24, y: 24, width: 24, height: 48 };
        assert_eq!(large.place(whole), Rect { x: 192, y: 256, width: 256, height: 512 });
        let beyond = large.place(Rect { x: 0, y: 0, width: 24, height: 24 });
        assert_eq!(beyond, Rect { x: 0, y: 0, width: 192, height: 256 });
    }

    #[test]
    fn no_drawing_takes_much_and_wrong_ones_are_refused() {
        for strokes in [
            vec![],
            vec![vec![]],
            vec![vec![[5.0, 5.0]]],
            vec![vec![[0.0, 0.0]], vec![[MAX_PLACE, MAX_PLACE]]],
            vec![vec![[0.0, 0.0], [1e-30, 0.0]], vec![[MAX_PLACE, 0.0]]],
        ] {
            let GrayImage { width, height, .. } = Drawing::new(&strokes).unwrap().map;
            let most = (STROKE * (MAX_STROKES + 1.0)) as usize;
            assert!((1..=most).contains(&width) && (1..=most).contains(&height), "{strokes:?}");
        }
        for wrong in [-1.0, f32::NAN, f32::INFINITY, 2.0 * MAX_PLACE] {
            let error = Drawing::new(&[vec![[1.0, wrong]]]).unwrap_err().to_string();
            assert!(error.starts_with("coordinates: expected numbers from 0 to 65536, found "), "{error}");
        }
        let error = Drawing::new(&[vec![[1.0, 1.0]; MAX_POINTS + 1]]).unwrap_err().to_string();
        assert_eq!(error, "points: expected at most 10000, found 10001");
    }
}
