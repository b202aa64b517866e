//! Recipes as TOML.

use anyhow::anyhow;
use lenet::{Error, train::Recipe};
use toml::de::{DeTable, DeValue};

/// Characters of a line that an error message quotes, at most.
const MAX_QUOTED_CHARS: usize = 60;

/// Parses and validates a recipe.
///
/// # Errors
/// If the text is no TOML, a key is unknown or missing, or a setting is out of range. The message names the line and the key.
pub fn parse(text: &str) -> anyhow::Result<Recipe> {
    let recipe: Recipe = toml::from_str(text).map_err(|error| syntax_error(text, &error))?;
    match recipe.validate() {
        Ok(()) => Ok(recipe),
        Err(error) => Err(setting_error(text, error)),
    }
}

/// Adds the number and the text of the line to an error of the TOML parser.
pub fn syntax_error(text: &str, error: &toml::de::Error) -> anyhow::Error {
    let message = error.message().replace('\n', ", ");
    // A key that is missing at the top level has an empty span.
    let Some(span) = error.span().filter(|span| span.end > 0) else { return anyhow!(message) };
    let line = line_index(text, span.start);
    let source = text.lines().nth(line).unwrap_or_default().trim();
    let source: String = source.chars().filter(|c| !c.is_control()).take(MAX_QUOTED_CHARS).collect();
    anyhow!("line {}, {source}: {message}", line + 1)
}

/// Adds the number of the line to an error about a setting, if its key is in the text.
fn setting_error(text: &str, error: Error) -> anyhow::Error {
    let Some(name) = error.setting_name() else { return error.into() };
    let offset = DeTable::parse(text).ok().and_then(|table| {
        // `normalize` may have its old name.
        let names = if name == "normalize" { vec![name, "scaling"] } else { vec![name] };
        names.into_iter().find_map(|name| key_offset(table.get_ref(), name))
    });
    match offset {
        Some(offset) => anyhow!("line {}: {error}", line_index(text, offset) + 1),
        None => error.into(),
    }
}

/// Returns the index of the line that has the byte at `offset`.
fn line_index(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|&byte| byte == b'\n').count()
}

/// Returns the byte offset of a key in a table or in the tables inside it.
fn key_offset(table: &DeTable, key: &str) -> Option<usize> {
    table.iter().find_map(|(name, value)| match value.get_ref() {
        _ if name.get_ref() == key => Some(name.span().start),
        DeValue::Table(table) => key_offset(table, key),
        _ => None,
    })
}
