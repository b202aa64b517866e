//! `--template`: the fields of forms, as CSV or JSON.

use lenet::recognize::FormTemplate;
use serde_json::{Map, json};

use super::{Page, json_error_line};
use crate::format::CsvCell;

/// Returns the names of the columns.
pub fn csv_header(template: &FormTemplate) -> String {
    let names: String = template.fields.iter().map(|field| format!("{},", CsvCell(&field.name))).collect();
    format!("path,page,{names}error\n")
}

/// Returns the texts of the fields of a page. Lines of a field are separated by spaces.
pub fn csv_line(path: &str, template: &FormTemplate, page: &Page) -> String {
    let number = page.number.map_or(String::new(), |number| number.to_string());
    let (fields, error) = match &page.result {
        Ok(readings) => {
            let cell = |text: &str| format!("{},", CsvCell(&text.replace('\n', " ")));
            (readings.iter().map(|reading| cell(&reading.text)).collect(), String::new())
        }
        Err(error) => (",".repeat(template.fields.len()), format!("{error:#}")),
    };
    format!("{},{number},{fields}{}\n", CsvCell(path), CsvCell(&error))
}

/// Returns the readings of the fields of a page by their names.
pub fn json_line(path: &str, template: &FormTemplate, page: &Page) -> String {
    let readings = match &page.result {
        Ok(readings) => readings,
        Err(error) => return json_error_line(path, page.number, error),
    };
    let fields: Map<_, _> = template
        .fields
        .iter()
        .zip(readings)
        .map(|(field, reading)| (field.name.clone(), json!(reading)))
        .collect();
    let mut record = json!({ "path": path, "fields": fields });
    if let Some(number) = page.number {
        record["page"] = number.into();
    }
    format!("{record}\n")
}
