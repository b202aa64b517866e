//! Strokes of a pen, drawn as ink.

use super::Grey;

/// Draws strokes, each a line through points `(x, y)` in pixels, with a round pen of `radius` pixels: ink 255 on 0, soft over
/// a pixel at the edges.
pub fn strokes(width: usize, height: usize, strokes: &[Vec<[f32; 2]>], radius: f32) -> Grey {
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
    Grey { width, height, values, shrunk: 1 }
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
}
