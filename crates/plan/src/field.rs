//! Typed access to verbatim JSON of config.json; every error names the JSON path.

use crate::PlanError;
use crate::error::{abridged, excerpt};
use serde_json::Value;

/// A value and its path. A missing value and `null` are the same, as for Go's decoder.
#[derive(Debug, Clone)]
pub struct Field<'a> {
    path: String,
    value: &'a Value,
}

impl<'a> Field<'a> {
    /// The root of the access; `path` is where `value` stands in config.json.
    pub fn new(path: impl Into<String>, value: &'a Value) -> Self {
        Self { path: path.into(), value }
    }

    /// Path in config.json, e.g. `linux.resources.memory.limit`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// An error about this field.
    pub fn error(&self, why: impl Into<String>) -> PlanError {
        PlanError::config(&self.path, why)
    }

    fn wrong(&self, wanted: &str) -> PlanError {
        let mut shown = self.value.to_string();
        if let Some((end, _)) = shown.char_indices().nth(40) {
            shown.truncate(end);
            shown.push('…');
        }
        // JSON leaves some control characters as they are.
        self.error(format!("want {wanted}, not {}", abridged(&shown)))
    }

    /// A member of an object; `None` when absent.
    pub fn get(&self, name: &str) -> Result<Option<Self>, PlanError> {
        match self.value {
            Value::Null => Ok(None),
            Value::Object(members) => Ok(members
                .get(name)
                .filter(|value| !value.is_null())
                .map(|value| Self::new(format!("{}.{name}", self.path), value))),
            _ => Err(self.wrong("an object")),
        }
    }

    /// Members of an object in order; none when absent.
    pub fn members(&self, name: &str) -> Result<Vec<(&'a str, Self)>, PlanError> {
        let Some(field) = self.get(name)? else { return Ok(Vec::new()) };
        let Value::Object(members) = field.value else { return Err(field.wrong("an object")) };
        let member = |(key, value): (&'a String, &'a Value)| {
            (key.as_str(), Self::new(format!("{}.{}", field.path, excerpt(key)), value))
        };
        Ok(members.iter().map(member).collect())
    }

    /// Elements of an array; none when absent.
    pub fn items(&self, name: &str) -> Result<Vec<Self>, PlanError> {
        let Some(field) = self.get(name)? else { return Ok(Vec::new()) };
        let Value::Array(items) = field.value else { return Err(field.wrong("an array")) };
        let item = |(at, value)| Self::new(format!("{}[{at}]", field.path), value);
        Ok(items.iter().enumerate().map(item).collect())
    }

    /// This value as a string.
    pub fn as_text(&self) -> Result<&'a str, PlanError> {
        self.value.as_str().ok_or_else(|| self.wrong("a string"))
    }

    /// A string; `None` when absent.
    pub fn text(&self, name: &str) -> Result<Option<&'a str>, PlanError> {
        self.get(name)?.map(|field| field.as_text()).transpose()
    }

    /// Strings of an array; none when absent.
    pub fn texts(&self, name: &str) -> Result<Vec<&'a str>, PlanError> {
        let Some(field) = self.get(name)? else { return Ok(Vec::new()) };
        let Value::Array(items) = field.value else { return Err(field.wrong("an array")) };
        let text = |(at, value): (usize, &'a Value)| {
            value.as_str().ok_or_else(|| Self::new(format!("{}[{at}]", field.path), value).wrong("a string"))
        };
        items.iter().enumerate().map(text).collect()
    }

    /// A boolean; false when absent.
    pub fn flag(&self, name: &str) -> Result<bool, PlanError> {
        let Some(field) = self.get(name)? else { return Ok(false) };
        field.value.as_bool().ok_or_else(|| field.wrong("true or false"))
    }

    /// A whole number of a range; `None` when absent.
    pub fn number<T: TryFrom<i128>>(&self, name: &str) -> Result<Option<T>, PlanError> {
        self.get(name)?.map(|field| field.as_number()).transpose()
    }

    /// This value as a whole number of a range.
    pub fn as_number<T: TryFrom<i128>>(&self) -> Result<T, PlanError> {
        let whole = match self.value.as_i64() {
            Some(number) => Some(i128::from(number)),
            None => self.value.as_u64().map(i128::from),
        };
        let number = whole.ok_or_else(|| self.wrong("a whole number"))?;
        T::try_from(number).map_err(|_| self.error(format!("{number} is out of range")))
    }

    /// A member that must be there.
    pub fn required(&self, name: &str) -> Result<Self, PlanError> {
        self.get(name)?.ok_or_else(|| PlanError::config(format!("{}.{name}", self.path), "is missing"))
    }
}
