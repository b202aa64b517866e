//! Recipes as TOML: a valid recipe survives writing and parsing.

#![no_main]

use lenet_cli::recipe;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(recipe) = recipe::parse(text) {
        let written = toml::to_string(&recipe).expect("a parsed recipe can be written");
        assert_eq!(recipe::parse(&written).expect("a written recipe can be parsed"), recipe);
        recipe.learning_rate(0, recipe.epochs);
    }
});
