//! A part of an image.

use std::str::FromStr;

use lenet::image::Rect;
use serde::Deserialize;

/// A part of an image, written `x,y,width,height` in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Region(pub Rect);

impl FromStr for Region {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let numbers: Result<Vec<usize>, _> = text.split(',').map(|number| number.trim().parse()).collect();
        match numbers.as_deref() {
            Ok(&[x, y, width, height]) => Ok(Self(Rect { x, y, width, height })),
            _ => Err("expected x,y,width,height in pixels"),
        }
    }
}

impl TryFrom<String> for Region {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        text.parse()
    }
}
