//! Recipes as TOML: whatever is read is written and read again to the same recipe.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/lenet-cli/src/recipe/parse.rs"]
mod parse;

fuzz_target!(|text: &str| {
    if let Ok(recipe) = parse::parse(text) {
        let written = toml::to_string(&recipe).expect("a recipe can be written");
        assert_eq!(parse::parse(&written).expect("a written recipe can be read"), recipe);
        recipe.learning_rate(0, recipe.epochs);
    }
});
