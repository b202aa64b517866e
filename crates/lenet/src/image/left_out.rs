//! Components that are left out of recognition, each with the reason.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Component;

/// Why a component was left out. Its JSON form is [`code`](Self::code); [`Display`](fmt::Display) gives words for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LeftOutReason {
    /// A ruled or printed straight line.
    Rule,
    /// It encloses other components.
    Frame,
    /// The picture's border cuts it off, or it surrounds the paper.
    Edge,
    /// It is tiny compared to the writing.
    Speck,
    /// Its edges are soft.
    Shadow,
    /// It is smaller than a digit of its line, or illegibly small.
    TooSmall,
    /// The slash or the dot of a zero, or a mark without digits beside it.
    Mark,
    /// It is one of more components than writing has.
    Texture,
    /// It is much shorter than the lines that meet the constraint.
    Stray,
}

impl LeftOutReason {
    /// Every reason.
    pub const ALL: [Self; 9] = [
        Self::Rule,
        Self::Frame,
        Self::Edge,
        Self::Speck,
        Self::Shadow,
        Self::TooSmall,
        Self::Mark,
        Self::Texture,
        Self::Stray,
    ];

    /// Returns whether it is a rule or a frame.
    pub fn is_ruling(self) -> bool {
        matches!(self, Self::Rule | Self::Frame)
    }

    /// Returns the stable code of the reason, as it is in JSON.
    pub fn code(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Frame => "frame",
            Self::Edge => "edge",
            Self::Speck => "speck",
            Self::Shadow => "shadow",
            Self::TooSmall => "too_small",
            Self::Mark => "mark",
            Self::Texture => "texture",
            Self::Stray => "stray",
        }
    }
}

impl fmt::Display for LeftOutReason {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(if *self == Self::TooSmall { "too small" } else { self.code() })
    }
}

/// A component that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOutComponent {
    /// The component.
    pub component: Component,
    /// Why it was left out.
    pub reason: LeftOutReason,
}

/// Moves the components for which `is_left_out` to `left_out`. Returns whether there are any.
pub(crate) fn leave_out(
    components: &mut Vec<Component>,
    left_out: &mut Vec<LeftOutComponent>,
    reason: LeftOutReason,
    mut is_left_out: impl FnMut(&Component) -> bool,
) -> bool {
    let before = components.len();
    let removed = components.extract_if(.., |component| is_left_out(component));
    left_out.extend(removed.map(|component| LeftOutComponent { component, reason }));
    components.len() < before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_of_reasons_is_their_code() {
        for reason in LeftOutReason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.code());
        }
    }
}
