//! The functions of PostgreSQL's catalogue that tools call. They read nothing but what the catalogues say.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListBuilder, StringArray, StringBuilder},
    compute::cast,
    datatypes::{DataType, Field, Schema},
};
use datafusion::{
    catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider},
    datasource::empty::EmptyTable,
    error::Result,
    logical_expr::{
        ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
    },
    prelude::SessionContext,
    scalar::ScalarValue,
};

use super::{
    contents::OWNER,
    facts::{self, DATABASE, FUNCTIONS, Facts, SERVER_VERSION, TABLES},
    types,
};

/// Arguments of one call as text; `None`: null, or not given.
type Arguments<'a> = &'a [Option<&'a str>];

/// What makes a value of a call.
type Made<T> = fn(&Facts, Arguments<'_>) -> Option<T>;

/// What a function gives.
#[derive(Debug, Clone, Copy)]
enum Body {
    Text(Made<String>),
    Truth(Made<bool>),
    Whole(Made<i64>),
    Texts(Made<Vec<String>>),
}

/// Registers all of them.
pub(super) fn register(context: &SessionContext, facts: &Arc<Facts>) {
    context.register_udtf("pg_get_keywords", Arc::new(Keywords));
    let texts = TEXTS.iter().map(|(name, body)| (name, Body::Text(*body)));
    let truths = TRUTHS.iter().map(|(name, body)| (name, Body::Truth(*body)));
    let wholes = WHOLES.iter().map(|(name, body)| (name, Body::Whole(*body)));
    let lists = LISTS.iter().map(|(name, body)| (name, Body::Texts(*body)));
    for (name, body) in texts.chain(truths).chain(wholes).chain(lists) {
        context.register_udf(ScalarUDF::from(Function {
            name,
            body,
            facts: Arc::clone(facts),
            signature: Signature::one_of(
                vec![TypeSignature::Nullary, TypeSignature::VariadicAny],
                Volatility::Immutable,
            ),
        }));
    }
}

fn argument<'a>(arguments: Arguments<'a>, at: usize) -> Option<&'a str> {
    arguments.get(at).copied().flatten()
}

fn number<T: std::str::FromStr>(arguments: Arguments<'_>, at: usize) -> Option<T> {
    argument(arguments, at)?.parse().ok()
}

fn nothing(_: &Facts, _: Arguments<'_>) -> Option<String> {
    None
}

fn user(facts: &Facts, _: Arguments<'_>) -> Option<String> {
    Some(facts.user.clone())
}

fn database(_: &Facts, _: Arguments<'_>) -> Option<String> {
    Some(DATABASE.to_owned())
}

fn schema(_: &Facts, _: Arguments<'_>) -> Option<String> {
    Some("public".to_owned())
}

fn arguments_of_function(_: &Facts, arguments: Arguments<'_>) -> Option<String> {
    let oid: u32 = number(arguments, 0)?;
    let function = FUNCTIONS.iter().find(|function| function.oid == oid)?;
    Some(function.arguments.to_owned())
}

/// Functions that give text.
const TEXTS: &[(&str, Made<String>)] = &[
    ("version", |_, _| {
        Some(format!(
            "PostgreSQL {SERVER_VERSION} (gridtally {}: read-only, over its published tables)",
            env!("CARGO_PKG_VERSION")
        ))
    }),
    ("current_database", database),
    ("current_catalog", database),
    ("current_schema", schema),
    ("current_user", user),
    ("session_user", user),
    ("current_role", user),
    ("user", user),
    ("pg_get_userbyid", |_, arguments| {
        argument(arguments, 0).map(|_| OWNER.to_owned())
    }),
    ("format_type", |_, arguments| {
        Some(types::spelled(number(arguments, 0)?, number(arguments, 1)))
    }),
    ("obj_description", |_, arguments| {
        let oid: u32 = number(arguments, 0)?;
        let table = TABLES.iter().find(|table| table.oid == oid);
        let function = FUNCTIONS.iter().find(|function| function.oid == oid);
        let wanted = |class: &str| argument(arguments, 1).is_none_or(|given| given == class);
        table
            .filter(|_| wanted("pg_class"))
            .map(|table| table.comment.clone())
            .or_else(|| {
                function
                    .filter(|_| wanted("pg_proc"))
                    .map(|function| function.comment.clone())
            })
    }),
    ("col_description", |_, arguments| {
        let oid: u32 = number(arguments, 0)?;
        let at: usize = number(arguments, 1)?;
        let table = TABLES.iter().find(|table| table.oid == oid)?;
        Some(table.columns.get(at.checked_sub(1)?)?.comment.clone())
    }),
    ("shobj_description", nothing),
    ("pg_get_expr", nothing),
    ("pg_get_constraintdef", nothing),
    ("pg_get_indexdef", nothing),
    ("pg_get_viewdef", nothing),
    ("pg_get_triggerdef", nothing),
    ("pg_get_ruledef", nothing),
    ("pg_get_partkeydef", nothing),
    ("pg_get_functiondef", nothing),
    ("pg_get_serial_sequence", nothing),
    ("pg_get_statisticsobjdef_columns", nothing),
    ("pg_tablespace_location", nothing),
    ("pg_get_function_result", |_, arguments| {
        let oid: u32 = number(arguments, 0)?;
        let function = FUNCTIONS.iter().find(|function| function.oid == oid)?;
        Some(function.result.clone())
    }),
    ("pg_get_function_arguments", arguments_of_function),
    ("pg_get_function_identity_arguments", arguments_of_function),
    ("pg_encoding_to_char", |_, arguments| {
        Some(
            if argument(arguments, 0)? == "6" {
                "UTF8"
            } else {
                ""
            }
            .to_owned(),
        )
    }),
    ("pg_client_encoding", |_, _| Some("UTF8".to_owned())),
    ("quote_ident", |_, arguments| {
        argument(arguments, 0).map(quote_identifier)
    }),
    ("quote_literal", |_, arguments| {
        argument(arguments, 0).map(|text| format!("'{}'", text.replace('\'', "''")))
    }),
    ("current_setting", |facts, arguments| {
        facts.setting(argument(arguments, 0)?).map(str::to_owned)
    }),
    ("pg_size_pretty", |_, arguments| {
        argument(arguments, 0).map(|bytes| format!("{bytes} bytes"))
    }),
    ("inet_server_addr", nothing),
    ("inet_client_addr", nothing),
    ("regclass_name", |_, arguments| {
        let given = argument(arguments, 0)?;
        Some(given.parse().map_or_else(
            |_| given.to_owned(),
            |oid| facts::relation_name(oid).unwrap_or_else(|| given.to_owned()),
        ))
    }),
    ("regtype_name", |_, arguments| {
        let given = argument(arguments, 0)?;
        Some(
            given
                .parse()
                .map_or_else(|_| given.to_owned(), |oid| types::spelled(oid, None)),
        )
    }),
    ("regnamespace_name", |_, arguments| {
        Some(
            match argument(arguments, 0)? {
                "11" => "pg_catalog",
                "2200" => "public",
                "13000" => "information_schema",
                other => other,
            }
            .to_owned(),
        )
    }),
];

fn visible(_: &Facts, arguments: Arguments<'_>) -> Option<bool> {
    argument(arguments, 0).map(|_| true)
}

fn no(_: &Facts, _: Arguments<'_>) -> Option<bool> {
    Some(false)
}

/// Reading is what everybody may, and all that anybody may.
fn privilege(_: &Facts, arguments: Arguments<'_>) -> Option<bool> {
    let wanted = arguments.last().copied().flatten()?;
    Some(wanted.split(',').all(|wanted| {
        ["SELECT", "USAGE", "CONNECT", "EXECUTE"]
            .iter()
            .any(|allowed| wanted.trim().eq_ignore_ascii_case(allowed))
    }))
}

/// Functions that give true or false.
const TRUTHS: &[(&str, Made<bool>)] = &[
    ("pg_table_is_visible", |_, arguments| {
        let oid: u32 = number(arguments, 0)?;
        Some(facts::relation_name(oid).is_some_and(|name| !name.contains('.')))
    }),
    ("pg_type_is_visible", visible),
    ("pg_function_is_visible", visible),
    ("pg_operator_is_visible", visible),
    ("pg_opclass_is_visible", visible),
    ("pg_collation_is_visible", visible),
    ("pg_conversion_is_visible", visible),
    ("pg_statistics_obj_is_visible", visible),
    ("has_table_privilege", privilege),
    ("has_any_column_privilege", privilege),
    ("has_column_privilege", privilege),
    ("has_schema_privilege", privilege),
    ("has_database_privilege", privilege),
    ("has_function_privilege", privilege),
    ("has_sequence_privilege", no),
    ("has_tablespace_privilege", no),
    ("pg_has_role", |_, arguments| argument(arguments, 0).map(|_| true)),
    ("pg_is_in_recovery", |_, _| Some(true)),
    ("pg_relation_is_publishable", no),
    ("pg_is_other_temp_schema", no),
    ("row_security_active", no),
];

fn no_number(_: &Facts, _: Arguments<'_>) -> Option<i64> {
    None
}

/// Functions that give a whole number.
const WHOLES: &[(&str, Made<i64>)] = &[
    ("pg_backend_pid", |facts, _| Some(i64::from(facts.backend))),
    ("pg_my_temp_schema", |_, _| Some(0)),
    ("pg_table_size", no_number),
    ("pg_relation_size", no_number),
    ("pg_total_relation_size", no_number),
    ("pg_indexes_size", no_number),
    ("pg_database_size", no_number),
    ("pg_stat_get_numscans", no_number),
    ("inet_server_port", no_number),
    ("to_regclass", relation_number),
    ("regclass_oid", relation_number),
    ("to_regtype", type_number),
    ("regtype_oid", type_number),
    ("regnamespace_oid", |_, arguments| {
        let given = argument(arguments, 0)?;
        match given {
            "pg_catalog" => Some(11),
            "public" => Some(2_200),
            "information_schema" => Some(13_000),
            _ => given.parse().ok(),
        }
    }),
];

fn relation_number(_: &Facts, arguments: Arguments<'_>) -> Option<i64> {
    let given = argument(arguments, 0)?;
    given
        .parse()
        .ok()
        .or_else(|| facts::relation_oid(given).map(i64::from))
}

fn type_number(_: &Facts, arguments: Arguments<'_>) -> Option<i64> {
    let given = argument(arguments, 0)?;
    given
        .parse()
        .ok()
        .or_else(|| types::by_name(given).map(|kind| i64::from(kind.oid)))
}

/// Functions that give an array of text.
const LISTS: &[(&str, Made<Vec<String>>)] =
    &[("parse_ident", |_, arguments| identifiers(argument(arguments, 0)?))];

/// The parts of a qualified name, each as SQL understands it: as it stands in quotes, else in small letters.
fn identifiers(name: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut letters = name.trim().chars().peekable();
    loop {
        let mut part = String::new();
        if letters.next_if_eq(&'"').is_some() {
            loop {
                match letters.next()? {
                    '"' if letters.next_if_eq(&'"').is_none() => break,
                    letter => part.push(letter),
                }
            }
        } else {
            let is_part = |letter: &char| letter.is_alphanumeric() || ['_', '$'].contains(letter);
            while let Some(letter) = letters.next_if(is_part) {
                part.extend(letter.to_lowercase());
            }
        }
        if part.is_empty() {
            return None;
        }
        parts.push(part);
        match letters.next() {
            None => return Some(parts),
            Some('.') => {}
            Some(_) => return None,
        }
    }
}

/// `pg_get_keywords()`: tools ask which words they must quote beside those of the standard; there are none to tell of.
#[derive(Debug)]
struct Keywords;

impl TableFunctionImpl for Keywords {
    fn call_with_args(&self, _: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let text = |name| Field::new(name, DataType::Utf8, true);
        let schema = Schema::new(vec![
            text("word"),
            text("catcode"),
            Field::new("barelabel", DataType::Boolean, true),
            text("catdesc"),
            text("baredesc"),
        ]);
        Ok(Arc::new(EmptyTable::new(Arc::new(schema))))
    }
}

/// An identifier as SQL needs it written: quoted unless it is plain and small.
fn quote_identifier(text: &str) -> String {
    let begins = text.starts_with(|first: char| first.is_ascii_lowercase() || first == '_');
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if begins && plain {
        text.to_owned()
    } else {
        format!("\"{}\"", text.replace('"', "\"\""))
    }
}

/// A function for the planner.
#[derive(Debug)]
struct Function {
    name: &'static str,
    body: Body,
    facts: Arc<Facts>,
    signature: Signature,
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.facts == other.facts
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.body {
            Body::Text(_) => DataType::Utf8,
            Body::Truth(_) => DataType::Boolean,
            Body::Whole(_) => DataType::Int64,
            Body::Texts(_) => DataType::new_list(DataType::Utf8, true),
        })
    }

    fn invoke_with_args(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if given.args.is_empty() {
            return Ok(ColumnarValue::Scalar(match self.body {
                Body::Text(body) => ScalarValue::Utf8(body(&self.facts, &[])),
                Body::Truth(body) => ScalarValue::Boolean(body(&self.facts, &[])),
                Body::Whole(body) => ScalarValue::Int64(body(&self.facts, &[])),
                Body::Texts(_) => ScalarValue::try_from(&DataType::new_list(DataType::Utf8, true))?,
            }));
        }
        let columns: Vec<ArrayRef> = ColumnarValue::values_to_arrays(&given.args)?
            .iter()
            .map(|values| Ok(cast(values, &DataType::Utf8)?))
            .collect::<Result<_>>()?;
        let texts: Vec<&StringArray> = columns.iter().map(|values| values.as_string::<i32>()).collect();
        let rows = texts.first().map_or(0, |values| values.len());
        let calls = (0..rows).map(|row| -> Vec<Option<&str>> {
            texts
                .iter()
                .map(|values| (!values.is_null(row)).then(|| values.value(row)))
                .collect()
        });
        let facts = &self.facts;
        Ok(ColumnarValue::Array(match self.body {
            Body::Text(body) => Arc::new(calls.map(|call| body(facts, &call)).collect::<StringArray>()),
            Body::Truth(body) => Arc::new(calls.map(|call| body(facts, &call)).collect::<BooleanArray>()),
            Body::Whole(body) => Arc::new(calls.map(|call| body(facts, &call)).collect::<Int64Array>()),
            Body::Texts(body) => {
                let mut lists = ListBuilder::new(StringBuilder::new());
                for call in calls {
                    lists.append_option(body(facts, &call).map(|texts| texts.into_iter().map(Some)));
                }
                Arc::new(lists.finish())
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::{identifiers, quote_identifier};

    #[test]
    fn identifiers_are_quoted_where_they_must_be() {
        for (text, expected) in [
            ("nodes", "nodes"),
            ("Nodes", "\"Nodes\""),
            ("a\"b", "\"a\"\"b\""),
            ("", "\"\""),
        ] {
            assert_eq!(quote_identifier(text), expected);
        }
    }

    #[test]
    fn qualified_names_are_taken_apart() {
        for (name, expected) in [
            ("Nodes", Some(vec!["nodes"])),
            ("public.Nodes", Some(vec!["public", "nodes"])),
            ("\"a.\"\"B\".c", Some(vec!["a.\"B", "c"])),
            ("a b", None),
            ("a.", None),
            ("\"a", None),
            ("", None),
        ] {
            let parts = identifiers(name);
            let parts = parts
                .as_ref()
                .map(|parts| parts.iter().map(String::as_str).collect());
            assert_eq!(parts, expected, "{name}");
        }
    }
}
