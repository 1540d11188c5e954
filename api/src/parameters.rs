//! Query parameters, parsed once at the edge. Each refusal names its parameter.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Query};
use gridtally_schemas::{Day, UtcMicros, Zone};

use crate::problem::{self, Problem};

/// The query parameters of a request, taken one by one.
#[derive(Debug)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut axum::http::request::Parts, state: &S) -> Result<Self, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|error| Problem::new(problem::BAD_PARAMETER, format!("query string: {error}")))?;
        Ok(Self(pairs))
    }
}

impl Parameters {
    #[cfg(test)]
    pub(crate) fn of(pairs: &[(&str, &str)]) -> Self {
        Self(
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }

    /// Takes a parameter; an empty value counts as none, a repeated one is refused.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        let mut found = None;
        while let Some(at) = self.0.iter().position(|(key, _)| key == name) {
            let (_, value) = self.0.swap_remove(at);
            if found.replace(value).is_some() {
                return Err(Problem::parameter(name, "given twice"));
            }
        }
        Ok(found.filter(|value| !value.is_empty()))
    }

    /// Takes a parameter and parses it.
    pub(crate) fn parsed<T>(&mut self, name: &'static str) -> Result<Option<T>, Problem>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        let parse = |text: String| {
            text.parse()
                .map_err(|why| Problem::parameter(name, format!("`{}`: {why}", short(&text))))
        };
        self.text(name)?.map(parse).transpose()
    }

    /// Takes a number between 1 and `max`; `default` when it is not given.
    pub(crate) fn count(&mut self, name: &'static str, default: usize, max: usize) -> Result<usize, Problem> {
        match self.parsed::<usize>(name)? {
            None => Ok(default),
            Some(count) if (1..=max).contains(&count) => Ok(count),
            Some(count) => Err(Problem::parameter(
                name,
                format!("{count} is not between 1 and {max}"),
            )),
        }
    }

    /// Takes a civil day, YYYY-MM-DD.
    pub(crate) fn day(&mut self, name: &'static str) -> Result<Option<Day>, Problem> {
        let parse = |text: String| {
            civil_day(&text).ok_or_else(|| {
                Problem::parameter(
                    name,
                    format!("`{}` is not a day such as 2026-04-01", short(&text)),
                )
            })
        };
        self.text(name)?.map(parse).transpose()
    }

    /// Takes an instant: RFC 3339 with offset, or a civil day of `zone`, which stands for its beginning.
    pub(crate) fn instant(&mut self, name: &'static str, zone: &Zone) -> Result<Option<UtcMicros>, Problem> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        if let Some(day) = civil_day(&text) {
            return Ok(Some(zone.start_of(day)));
        }
        // An unescaped `+` of an offset arrives as a space.
        let text = text.replace(' ', "+");
        match UtcMicros::parse(&text) {
            Ok(instant) => Ok(Some(instant)),
            Err(why) => Err(Problem::parameter(
                name,
                format!("{why}, or a day such as 2026-04-01"),
            )),
        }
    }

    /// Refuses whatever was not taken.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(Problem::new(
                problem::BAD_PARAMETER,
                format!("parameter `{}` is not known here", short(name)),
            )),
        }
    }
}

/// A civil day and nothing more; [`Day::parse`] also takes a time behind it.
fn civil_day(text: &str) -> Option<Day> {
    Day::parse(text).filter(|_| text.len() == "2026-04-01".len())
}

/// Text from outside, cut to what fits into an error.
pub(crate) fn short(text: &str) -> String {
    let mut cut: String = text.chars().take(80).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests;
