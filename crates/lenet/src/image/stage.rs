//! The optional stages of recognition.

use std::{fmt, str::FromStr};

/// A stage of recognition that can be skipped, to measure what it contributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Reads the paper alone where a picture has dark surroundings.
    Paper,
    /// Decides whether the writing is light on dark and inverts it if so. When skipped, all writing is taken for dark on
    /// light.
    Polarity,
    /// Divides by the local brightness of the paper. When skipped, the brightest pixel stands for all of the paper.
    Light,
    /// Smooths noisy pictures.
    Noise,
    /// Shrinks large writing before it is segmented.
    Shrink,
    /// Removes components with soft edges.
    Shadows,
    /// Removes components that are small compared to the writing.
    Specks,
    /// Removes components that enclose most others.
    Frames,
    /// Removes long straight lines.
    Rules,
    /// Removes low components at the border of the picture.
    Edges,
    /// Tells points, commas, slashes and other marks from digits.
    Marks,
    /// Reads pictures upright that are turned by 90, 180 or 270 degrees.
    Rotate,
    /// Rotates pictures whose writing or rules slope, so that they are level.
    Straighten,
    /// Segments pictures into ink and rules by a network, and reads the ink as well.
    Segment,
    /// Joins neighboring components into one candidate.
    Join,
    /// Cuts components that may be several touching digits.
    Split,
    /// Thickens thin strokes.
    Thicken,
    /// Classifies uncertain candidates a second time, blurred.
    BlurRescore,
}

impl Stage {
    /// Every stage, in the order of the pipeline.
    pub const ALL: [Self; 18] = [
        Self::Paper,
        Self::Polarity,
        Self::Light,
        Self::Noise,
        Self::Shrink,
        Self::Shadows,
        Self::Specks,
        Self::Frames,
        Self::Rules,
        Self::Edges,
        Self::Marks,
        Self::Rotate,
        Self::Straighten,
        Self::Segment,
        Self::Join,
        Self::Split,
        Self::Thicken,
        Self::BlurRescore,
    ];

    /// Returns the name of the stage, as [`FromStr`] accepts it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Paper => "paper",
            Self::Polarity => "polarity",
            Self::Light => "light",
            Self::Noise => "noise",
            Self::Shrink => "shrink",
            Self::Shadows => "shadows",
            Self::Specks => "specks",
            Self::Frames => "frames",
            Self::Rules => "rules",
            Self::Edges => "edges",
            Self::Marks => "marks",
            Self::Rotate => "rotate",
            Self::Straighten => "straighten",
            Self::Segment => "segment",
            Self::Join => "join",
            Self::Split => "split",
            Self::Thicken => "thicken",
            Self::BlurRescore => "blur-rescore",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The error of parsing a [`Stage`] from an unknown name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown stage `{name}`, expected one of {}", Stage::ALL.map(Stage::name).join(", "))]
pub struct UnknownStage {
    /// The name that was parsed.
    pub name: String,
}

impl FromStr for Stage {
    type Err = UnknownStage;

    /// Parses [`Stage::name`]. The older name `soften` of `blur-rescore` is accepted as well.
    fn from_str(name: &str) -> Result<Self, UnknownStage> {
        let stage = Self::ALL.into_iter().find(|stage| stage.name() == name);
        let renamed = (name == "soften").then_some(Self::BlurRescore);
        stage.or(renamed).ok_or_else(|| UnknownStage { name: name.to_owned() })
    }
}

/// The set of [`Stage`]s that recognition runs. The default is all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stages {
    /// Bit `stage as u32` is set if the stage runs.
    bits: u32,
}

impl Stages {
    /// Every stage.
    pub const ALL: Self = Self { bits: (1 << Stage::ALL.len()) - 1 };
    /// No optional stage.
    pub const NONE: Self = Self { bits: 0 };

    /// Returns the set without `stage`.
    #[must_use]
    pub const fn without(self, stage: Stage) -> Self {
        Self { bits: self.bits & !(1 << stage as u32) }
    }

    /// Returns whether `stage` is in the set.
    pub const fn contains(self, stage: Stage) -> bool {
        self.bits & 1 << stage as u32 != 0
    }
}

impl Default for Stages {
    fn default() -> Self {
        Self::ALL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_to_their_stages() {
        for stage in Stage::ALL {
            assert_eq!(stage.to_string().parse(), Ok(stage));
        }
        assert_eq!("soften".parse(), Ok(Stage::BlurRescore));
        let error = "magic".parse::<Stage>().unwrap_err().to_string();
        assert!(
            error.starts_with("unknown stage `magic`, expected one of paper, polarity, light, "),
            "{error}"
        );
    }

    #[test]
    fn without_removes_exactly_one_stage() {
        for skipped in Stage::ALL {
            let stages = Stages::ALL.without(skipped);
            assert!(Stage::ALL.iter().all(|&stage| stages.contains(stage) == (stage != skipped)));
        }
        assert_eq!(Stage::ALL.into_iter().fold(Stages::ALL, Stages::without), Stages::NONE);
    }
}
