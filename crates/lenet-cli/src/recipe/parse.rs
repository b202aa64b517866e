//! Recipes as TOML.

use anyhow::anyhow;
use lenet::{Error, train::Recipe};
use toml::de::{DeTable, DeValue};

/// A recipe that training can follow; an error names line and key.
pub fn parse(text: &str) -> anyhow::Result<Recipe> {
    let line = |offset: usize| text.bytes().take(offset).filter(|&byte| byte == b'\n').count();
    let recipe: Recipe = toml::from_str(text).map_err(|error| {
        let message = error.message().replace('\n', ", ");
        // What is missing from the whole has no place.
        match error.span().filter(|span| span.end > 0).map(|span| line(span.start)) {
            Some(line) => {
                let source = text.lines().nth(line).unwrap_or_default().trim();
                let source: String = source.chars().filter(|c| !c.is_control()).take(60).collect();
                anyhow!("line {}, {source}: {message}", line + 1)
            }
            None => anyhow!(message),
        }
    })?;
    recipe.validate().map_err(|error| match (&error, DeTable::parse(text)) {
        (Error::Setting { name, .. }, Ok(table)) => match offset(table.get_ref(), name) {
            Some(offset) => anyhow!("line {}: {error}", line(offset) + 1),
            None => error.into(),
        },
        _ => error.into(),
    })?;
    Ok(recipe)
}

/// Where a key stands, in the table or in one below it.
fn offset(table: &DeTable, key: &str) -> Option<usize> {
    table.iter().find_map(|(name, value)| match value.get_ref() {
        _ if name.get_ref() == key => Some(name.span().start),
        DeValue::Table(table) => offset(table, key),
        _ => None,
    })
}
