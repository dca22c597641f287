//! Typed reading of a TOML table: each key is taken once; what is left in the end is unknown.

use toml::Value;
use urunc_plan::PlanError;

/// A table, its dotted name, and what was noticed while reading it.
#[derive(Debug, Default)]
pub(super) struct Table {
    name: String,
    values: toml::Table,
    warnings: Vec<String>,
}

impl Table {
    pub(super) fn new(values: toml::Table) -> Self {
        Self { values, ..Self::default() }
    }

    /// `table.key`.
    pub(super) fn dotted(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    pub(super) fn bad(&self, key: &str, why: impl Into<String>) -> PlanError {
        PlanError::Setting { key: self.dotted(key), why: why.into() }
    }

    pub(super) fn warn(&mut self, text: String) {
        self.warnings.push(text);
    }

    /// A key of Go urunc that asks for nothing that matters here.
    pub(super) fn unused(&mut self, key: &str, why: &str) {
        let text = format!("configuration: {}: accepted, but without effect: {why}", self.dotted(key));
        self.warn(text);
    }

    pub(super) fn keys(&self) -> Vec<String> {
        self.values.keys().cloned().collect()
    }

    pub(super) fn string(&mut self, key: &str) -> Result<Option<String>, PlanError> {
        match self.values.remove(key) {
            None => Ok(None),
            Some(Value::String(text)) if text.contains('\0') => Err(self.bad(key, "contains a NUL byte")),
            Some(Value::String(text)) => Ok(Some(text).filter(|t| !t.is_empty())),
            Some(other) => Err(self.bad(key, format!("must be a string, not {}", other.type_str()))),
        }
    }

    pub(super) fn boolean(&mut self, key: &str) -> Result<Option<bool>, PlanError> {
        match self.values.remove(key) {
            None => Ok(None),
            Some(Value::Boolean(value)) => Ok(Some(value)),
            Some(other) => Err(self.bad(key, format!("must be true or false, not {}", other.type_str()))),
        }
    }

    /// A list of strings; empty if there is none.
    pub(super) fn strings(&mut self, key: &str) -> Result<Vec<String>, PlanError> {
        let wrong = |table: &Self| Err(table.bad(key, "must be a list of strings"));
        match self.values.remove(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => {
                let text = |item: Value| if let Value::String(text) = item { Some(text) } else { None };
                items.into_iter().map(text).collect::<Option<_>>().map_or_else(|| wrong(self), Ok)
            }
            Some(_) => wrong(self),
        }
    }

    /// A number from 1 to `max`.
    pub(super) fn positive(&mut self, key: &str, max: u32) -> Result<Option<u32>, PlanError> {
        match self.values.remove(key) {
            None => Ok(None),
            Some(Value::Integer(number)) => match u32::try_from(number) {
                Ok(number) if (1..=max).contains(&number) => Ok(Some(number)),
                _ => Err(self.bad(key, format!("{number} is not within 1 and {max}"))),
            },
            Some(other) => Err(self.bad(key, format!("must be a number, not {}", other.type_str()))),
        }
    }

    /// The table of this name; empty if there is none.
    pub(super) fn table(&mut self, key: &str) -> Result<Self, PlanError> {
        match self.values.remove(key) {
            None => Ok(Self { name: self.dotted(key), ..Self::default() }),
            Some(Value::Table(values)) => Ok(Self { name: self.dotted(key), values, warnings: Vec::new() }),
            Some(other) => Err(self.bad(key, format!("must be a table, not {}", other.type_str()))),
        }
    }

    /// The end of a table: its unknown keys become warnings, all warnings go to the outer table.
    pub(super) fn close(mut self, outer: &mut Self) {
        self.warn_of_unknown();
        outer.warnings.append(&mut self.warnings);
    }

    /// The end of the outermost table.
    pub(super) fn finish(mut self) -> Vec<String> {
        self.warn_of_unknown();
        self.warnings
    }

    fn warn_of_unknown(&mut self) {
        for key in self.keys() {
            let text = format!("configuration: unknown key {}", self.dotted(&key).escape_debug());
            self.warn(text);
        }
    }
}
