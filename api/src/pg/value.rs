//! Values of parameters from what a client sends, as text or binary (PostgreSQL 15: its types' `…_recv` functions), to text.

use jiff::{SignedDuration, Timestamp};

use super::{message::Reader, problem::Problem};
use crate::sql::postgres::types;

const EPOCH_MICROS: i64 = 946_684_800_000_000;
const MICROS_PER_DAY: i64 = 86_400_000_000;

/// A value as text.
pub(super) fn text(bytes: &[u8], binary: bool, oid: u32) -> Result<String, Problem> {
    if binary {
        return from_binary(bytes, oid);
    }
    String::from_utf8(bytes.to_vec())
        .map_err(|_| Problem::new("22021", "invalid byte sequence for encoding \"UTF8\""))
}

fn wrong() -> Problem {
    Problem::new("22P03", "incorrect binary data format in bind parameter")
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Problem> {
    bytes.try_into().map_err(|_| wrong())
}

fn from_binary(bytes: &[u8], oid: u32) -> Result<String, Problem> {
    let Some(kind) = types::by_oid(oid) else {
        return Err(Problem::new(
            "0A000",
            format!("a binary parameter of the type with object id {oid} cannot be read"),
        ));
    };
    if kind.element != 0 {
        return array(bytes);
    }
    Ok(match kind.name {
        "bool" => if fixed::<1>(bytes)? == [0] { "f" } else { "t" }.to_owned(),
        "int2" => i16::from_be_bytes(fixed(bytes)?).to_string(),
        "int4" => i32::from_be_bytes(fixed(bytes)?).to_string(),
        "int8" => i64::from_be_bytes(fixed(bytes)?).to_string(),
        "oid" => u32::from_be_bytes(fixed(bytes)?).to_string(),
        "float4" => f32::from_be_bytes(fixed(bytes)?).to_string(),
        "float8" => f64::from_be_bytes(fixed(bytes)?).to_string(),
        "text" | "varchar" | "bpchar" | "name" | "char" | "unknown" | "json" | "cstring" => {
            text(bytes, false, oid)?
        }
        "numeric" => numeric(bytes)?,
        "date" => {
            let days = i64::from(i32::from_be_bytes(fixed(bytes)?));
            let micros = days.checked_mul(MICROS_PER_DAY).ok_or_else(wrong)?;
            let shown = instant(micros)?.to_string();
            shown.split('T').next().unwrap_or_default().to_owned()
        }
        "timestamp" => {
            let shown = instant(i64::from_be_bytes(fixed(bytes)?))?.to_string();
            shown.trim_end_matches('Z').to_owned()
        }
        "timestamptz" => instant(i64::from_be_bytes(fixed(bytes)?))?.to_string(),
        "uuid" => {
            let digits: String = fixed::<16>(bytes)?
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            let mut shown = digits;
            for at in [20, 16, 12, 8] {
                shown.insert(at, '-');
            }
            shown
        }
        other => {
            return Err(Problem::new(
                "0A000",
                format!("a binary parameter of type {other} cannot be read"),
            ));
        }
    })
}

/// Microseconds since 2000.
fn instant(micros: i64) -> Result<Timestamp, Problem> {
    let since = micros.checked_add(EPOCH_MICROS).ok_or_else(wrong)?;
    Timestamp::UNIX_EPOCH
        .checked_add(SignedDuration::from_micros(since))
        .map_err(|_| wrong())
}

/// Groups of four decimal digits.
fn numeric(bytes: &[u8]) -> Result<String, Problem> {
    let mut reader = Reader { rest: bytes };
    let mut next = || reader.i16().map_err(|_| wrong());
    let (count, weight, sign, scale) = (next()?, next()?, next()?, next()?);
    if !(sign == 0 || sign == 0x4000) || !(0..=1_000).contains(&scale) || !(-250..=250).contains(&weight) {
        return Err(Problem::new(
            "22003",
            "a numeric parameter that is not finite, or too long, cannot be read",
        ));
    }
    let groups = (0..count).map(|_| next()).collect::<Result<Vec<i16>, _>>()?;
    if groups.iter().any(|group| !(0..10_000).contains(group)) {
        return Err(wrong());
    }
    let group = |place: i16| -> i16 {
        usize::try_from(i32::from(weight) - i32::from(place))
            .ok()
            .and_then(|at| groups.get(at).copied())
            .unwrap_or(0)
    };
    let mut whole = String::new();
    for place in (0..=weight.max(0)).rev() {
        whole.push_str(&format!("{:04}", group(place)));
    }
    let mut fraction = String::new();
    for place in 1..=(scale + 3) / 4 {
        fraction.push_str(&format!("{:04}", group(-place)));
    }
    fraction.truncate(usize::try_from(scale).unwrap_or(0));
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let sign = if sign == 0 { "" } else { "-" };
    Ok(if fraction.is_empty() {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{fraction}")
    })
}

/// An array of one dimension.
fn array(bytes: &[u8]) -> Result<String, Problem> {
    let mut reader = Reader { rest: bytes };
    let (dimensions, _nulls, element) = (reader.i32()?, reader.i32()?, reader.u32()?);
    if dimensions == 0 {
        return Ok("{}".to_owned());
    }
    if dimensions != 1 {
        return Err(Problem::new(
            "0A000",
            "an array parameter of one dimension is needed",
        ));
    }
    let (count, _lower) = (reader.i32()?, reader.i32()?);
    let mut parts = Vec::new();
    for _ in 0..count {
        let length = reader.i32()?;
        if length < 0 {
            parts.push("NULL".to_owned());
            continue;
        }
        let value = reader.bytes(usize::try_from(length).map_err(|_| wrong())?)?;
        let value = from_binary(value, element)?;
        parts.push(format!(
            "\"{}\"",
            value.replace('\\', "\\\\").replace('"', "\\\"")
        ));
    }
    Ok(format!("{{{}}}", parts.join(",")))
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::{super::encode::put_numeric, text};

    #[test]
    fn numbers_go_to_binary_and_back() {
        for shown in [
            "0",
            "0.00",
            "1",
            "-1.50",
            "12345678.90",
            "0.0001",
            "10000",
            "99999999999999.99",
            "-0.07",
        ] {
            let mut bytes = BytesMut::new();
            put_numeric(&mut bytes, shown);
            assert_eq!(text(&bytes, true, 1_700).unwrap(), shown);
        }
    }

    #[test]
    fn binary_values_are_read_as_their_types_say() {
        let check = |bytes: &[u8], oid, expected: &str| assert_eq!(text(bytes, true, oid).unwrap(), expected);
        check(&[1], 16, "t");
        check(&(-7_i32).to_be_bytes(), 23, "-7");
        check(&1.5_f64.to_be_bytes(), 701, "1.5");
        check(&9_587_i32.to_be_bytes(), 1_082, "2026-04-01");
        check(
            &828_315_000_000_000_i64.to_be_bytes(),
            1_184,
            "2026-03-31T23:30:00Z",
        );
        let two = [
            &1_i32.to_be_bytes()[..],
            &0_i32.to_be_bytes(),
            &25_i32.to_be_bytes(),
            &2_i32.to_be_bytes(),
            &1_i32.to_be_bytes(),
            &1_i32.to_be_bytes(),
            b"a",
            &(-1_i32).to_be_bytes(),
        ]
        .concat();
        check(&two, 1_009, "{\"a\",NULL}");
        assert!(text(&[1, 2], true, 23).is_err());
        assert!(text(&two[..9], true, 1_009).is_err());
    }
}
