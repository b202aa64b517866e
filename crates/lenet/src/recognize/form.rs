//! Forms: fields at known places, whose content is constrained.

use std::collections::HashSet;

use serde::Deserialize;

use super::{Charset, Checksum, Constraint, Length, Pattern, Reading, Recognizer};
use crate::{
    Error,
    image::{self, GrayImage, ImageView, Quad},
};

/// Where the fields of a form are, and what is known of each.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormTemplate {
    /// The area in which the fields are.
    #[serde(default)]
    pub area: FormArea,
    /// The fields.
    #[serde(rename = "field")]
    pub fields: Vec<FormField>,
}

/// The area in which the fields of a form are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FormArea {
    /// The largest frame of rules in the picture, whatever its slope and size.
    #[default]
    Frame,
    /// The whole picture.
    Page,
}

/// A field of a form.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormField {
    /// The name, which no other field has.
    pub name: String,
    /// `[left, top, width, height]` in fractions of the area.
    #[serde(rename = "box")]
    pub region: [f64; 4],
    /// Whether all ink in it is one digit.
    #[serde(default)]
    pub single: bool,
    /// The number of digits of each line.
    pub length: Option<Length>,
    /// The pattern of each line.
    pub pattern: Option<Pattern>,
    /// The checksum of each line.
    pub checksum: Option<Checksum>,
    /// The only digits and marks that occur.
    pub charset: Option<Charset>,
}

impl FormField {
    fn constraint(&self) -> Constraint {
        let Self { length, pattern, checksum, charset, .. } = self.clone();
        Constraint { length, pattern, checksum, charset }
    }
}

impl FormTemplate {
    /// Checks the template.
    ///
    /// # Errors
    /// [`Error::Template`] if there are no fields, two fields have the same name, or a field doesn't lie in the area, and
    /// [`Error::Constraint`] if the constraint of a field contradicts itself.
    pub fn check(&self) -> Result<(), Error> {
        let invalid = |field: &str, expected| Err(Error::Template { field: field.to_owned(), expected });
        if self.fields.is_empty() {
            return invalid("", "at least one field");
        }
        let mut names = HashSet::new();
        for field in &self.fields {
            let FormField { name, region: [left, top, width, height], .. } = field;
            if name.is_empty() || !names.insert(name) {
                return invalid(name, "a name that no other field has");
            }
            // Sums of decimal fractions are rounded.
            let fits = |start: f64, length: f64| start >= 0.0 && length > 0.0 && start + length <= 1.0 + 1e-9;
            if !fits(*left, *width) || !fits(*top, *height) {
                return invalid(name, "box = [left, top, width, height] in fractions from 0 to 1");
            }
            let checked = field.constraint().check();
            checked.map_err(|source| Error::Constraint { field: name.clone(), source })?;
        }
        Ok(())
    }
}

impl Recognizer {
    /// Recognizes what is written in each field of a form. Bounding boxes are in pixels of the picture.
    ///
    /// # Errors
    /// [`Error::NoFrame`] if the fields are in a frame, and the picture has none, and the errors of [`FormTemplate::check`].
    pub fn read_form(&self, picture: &ImageView, template: &FormTemplate) -> Result<Vec<Reading>, Error> {
        template.check()?;
        let gray = picture.to_gray();
        let area = match template.area {
            FormArea::Page => Quad::of_image(&gray),
            FormArea::Frame => self.find_frame(&gray).ok_or(Error::NoFrame)?,
        };
        let read_field = |field: &FormField| {
            let quad = area.part(field.region);
            let view = quad.straighten(&gray);
            let size = view.size();
            let view = GrayImage { scale: 1, ..view };
            let in_picture = |bounds| {
                quad.undo_straighten(bounds, size, &gray)
                    .scale(gray.size(), [picture.width(), picture.height()])
            };
            let recognizer = Self { constraint: field.constraint().into_option(), ..self.clone() };
            recognizer.run_stages(view, size, field.single, in_picture).reading
        };
        Ok(template.fields.iter().map(read_field).collect())
    }

    /// Returns the largest frame in a picture: among the binarized ink, or among the rules that the ink network finds, which may be
    /// paler.
    fn find_frame(&self, gray: &GrayImage) -> Option<Quad> {
        let params = &self.params;
        let among = |ink: &GrayImage| {
            let components = image::components(ink, &params.locate.components);
            image::find_frame(&components, ink.size(), &params.frame)
        };
        let binarized = image::binarize(gray, &params.locate.binarize, self.stages)
            .and_then(|map| among(&map.ink).map(|quad| quad.scale(map.ink.scale as f64 / gray.scale as f64)));
        binarized.or_else(|| {
            let mean_side = ((gray.width * gray.height) as f64).sqrt();
            let max_mean_side = params.segmentation.max_mean_sides_px.iter().copied().fold(1.0, f64::max);
            let reduced = gray.downscale((mean_side / max_mean_side).ceil().max(1.0) as usize);
            let rules = self.ink_network().segment(&reduced).rules;
            among(&rules).map(|quad| quad.scale(rules.scale as f64 / gray.scale as f64))
        })
    }
}
