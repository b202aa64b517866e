//! Templates of forms as TOML.

use std::path::Path;

use lenet::recognize::FormTemplate;

use crate::{bounded_read::parse_file, recipe::syntax_error};

/// Parses and checks a template.
///
/// # Errors
/// If the text is no TOML, a key is unknown or missing, or a field is invalid. The message names the line or the field.
pub fn parse(text: &str) -> anyhow::Result<FormTemplate> {
    let template: FormTemplate = toml::from_str(text).map_err(|error| syntax_error(text, &error))?;
    template.check()?;
    Ok(template)
}

/// Reads a template from a file.
pub fn read(path: &Path) -> anyhow::Result<FormTemplate> {
    parse_file(path, parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "[[field]]\nname = 'date'\nbox = [0.1, 0.1, 0.5, 0.2]\npattern = 'dd/dd/dddd'\n";

    #[test]
    fn parses_fields_with_constraints() {
        let text = format!(
            "area = 'page'\n{DATE}[[field]]\nname = 'n'\nbox = [0, 0.5, 1, 0.5]\nlength = 5\nchecksum = 'luhn'\n"
        );
        let template = parse(&text).unwrap();
        assert_eq!(template.fields.len(), 2);
        assert_eq!(template.fields[0].region, [0.1, 0.1, 0.5, 0.2]);
        assert_eq!(template.fields[1].length.unwrap().to_string(), "5");
        assert_eq!(
            parse(&text.replace("length = 5", "length = '4-6'")).unwrap().fields[1]
                .length
                .unwrap()
                .to_string(),
            "4-6"
        );
    }

    #[test]
    fn errors_name_the_line_or_the_field() {
        for (from, to, expected) in [
            ("box", "bx", "line 3, bx = "),
            ("0.2]", "]", "line 3, box = "),
            ("0.5, 0.2]", "0.95, 0.2]", "field `date`: expected box"),
            ("0.5, 0.2]", "nan, 0.2]", "field `date`: expected box"),
            ("dd/dd/dddd", "dx", "line 4, pattern = "),
            ("pattern = 'dd/dd/dddd'", "length = 0", "line 4, length = 0"),
            ("dddd'", "dddd'\nlength = 5", "field `date`: length 5"),
            ("'date'", "''", "field ``: expected a name"),
            ("[[field]]", "aera = 'page'\n[[field]]", "line 1, aera = "),
            ("[[field]]", "area = 'paper'\n[[field]]", "line 1, area = "),
        ] {
            let text = DATE.replace(from, to);
            let error = format!("{:#}", parse(&text).unwrap_err());
            assert!(error.starts_with(expected), "{text}\n{error}");
        }
        assert!(format!("{:#}", parse("").unwrap_err()).contains("missing field `field`"));
        assert!(format!("{:#}", parse("field = []").unwrap_err()).contains("at least one field"));
        let twice = format!("{:#}", parse(&DATE.repeat(2)).unwrap_err());
        assert!(twice.contains("a name that no other field has"), "{twice}");
    }
}
