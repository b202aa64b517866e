//! What a caller knows of the numbers: the options of `lenet recognize`, and the query parameters of the server.

use std::str::FromStr;

use lenet::recognize::{
    Charset, Checksum, Constraint, ConstraintError, Length, Pattern, Recognizer, RecognizerParams,
};
use serde::Deserialize;

/// A constraint on each line, and the probabilities below which digits and lines are rejected.
#[derive(Debug, Clone, Default, PartialEq, clap::Args)]
pub struct ConstraintArgs {
    /// Each line has N digits, or N to M
    #[arg(long, value_name = "N|N-M")]
    pub length: Option<Length>,
    /// Each line has this pattern, such as dd/dd/dddd
    ///
    /// d is a digit, digits and the marks . , - / : ( ) + = are themselves, [0-5] and [.,] are one of several, {2} and {1,3}
    /// repeat what is before them, and ? makes it optional.
    #[arg(long, allow_hyphen_values = true)]
    pub pattern: Option<Pattern>,
    /// The digits of each line have this checksum: luhn, mod11, isbn or ean
    #[arg(long)]
    pub checksum: Option<Checksum>,
    /// Each line has only these digits and marks
    #[arg(long, value_name = "CHARACTERS", allow_hyphen_values = true)]
    pub charset: Option<Charset>,
    /// Reject digits whose confidence is below P, 0 to 1
    #[arg(long, value_name = "P")]
    pub min_confidence: Option<Probability>,
    /// Reject lines whose text is right with a probability below P, 0 to 1 [default: 0, with a constraint 0.1]
    #[arg(long, value_name = "P")]
    pub min_probability: Option<Probability>,
}

impl ConstraintArgs {
    /// Returns a recognizer with the constraint and the other parameters `params`.
    ///
    /// # Errors
    /// If nothing can meet the constraint.
    pub fn apply(
        &self,
        recognizer: Recognizer,
        mut params: RecognizerParams,
    ) -> Result<Recognizer, ConstraintError> {
        let [confidence, probability] =
            [self.min_confidence, self.min_probability].map(|given| given.map(|Probability(value)| value));
        params.reject = params.reject.with_thresholds(confidence, probability);
        let Self { length, pattern, checksum, charset, .. } = self.clone();
        recognizer.with_params(params).with_constraint(Constraint { length, pattern, checksum, charset })
    }
}

/// A number from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct Probability(f32);

impl TryFrom<String> for Probability {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        text.parse()
    }
}

impl FromStr for Probability {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let probability = text.parse().ok().filter(|probability| (0.0..=1.0).contains(probability));
        probability.map(Self).ok_or("expected a number from 0 to 1")
    }
}
