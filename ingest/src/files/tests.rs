use std::io::Cursor;

use super::*;

/// Reads a CSV text to its end; gives its parts and what was refused, one error a line.
fn read(kind: FileKind, text: &str) -> Result<(Vec<FilePart>, String), String> {
    let name = format!("{kind}.csv");
    let parts = FileParts::csv(kind, &name, Cursor::new(text.as_bytes().to_vec()))
        .map_err(|error| error.to_string())?;
    Ok(drain(parts))
}

fn drain(mut parts: FileParts) -> (Vec<FilePart>, String) {
    let mut given = Vec::new();
    for part in parts.by_ref() {
        given.push(part.expect("readable to the end"));
    }
    let errors: Vec<String> = parts.errors().iter().map(ToString::to_string).collect();
    (given, errors.join("\n"))
}

/// Checks what a whole file is refused with.
#[track_caller]
fn check_file(kind: FileKind, text: &str, expected: &str) {
    assert_eq!(
        read(kind, text).map(|(_, errors)| errors),
        Err(expected.to_owned())
    );
}

/// Checks what one row under the kind's full header is refused with; empty: nothing.
#[track_caller]
fn check_row(kind: FileKind, row: &str, expected: &str) {
    let header: Vec<&str> = kind.column_names().collect();
    let (_, errors) = read(kind, &format!("{}\n{row}\n", header.join(","))).unwrap();
    assert_eq!(errors, expected);
}

/// Rows that were given, for tests of reads: meter, interval end, import.
fn reads_of(parts: &[FilePart]) -> Vec<(String, String, Option<i64>)> {
    let mut rows = Vec::new();
    for part in parts {
        let FilePart::Publish(publish) = part else {
            panic!("not a publish: {part:?}");
        };
        for span in publish.meters() {
            for read in span.reads {
                rows.push((
                    span.meter_id.to_owned(),
                    read.interval_end.to_string(),
                    read.import_wh,
                ));
            }
        }
    }
    rows
}

#[test]
fn a_file_is_known_by_its_stem_or_its_word() {
    for (stem, kind) in [
        ("reads", Some(FileKind::Reads)),
        ("reads-2026-04", Some(FileKind::Reads)),
        ("meters_east", Some(FileKind::Meters)),
        ("readsx", None),
        ("truth", None),
        ("", None),
    ] {
        assert_eq!(FileKind::by_file_stem(stem), kind, "{stem}");
    }
    for kind in FileKind::ALL {
        assert_eq!(kind.as_str().parse(), Ok(kind));
    }
    assert_eq!(
        "bills".parse::<FileKind>().unwrap_err().to_string(),
        "`bills` is no kind of file: nodes, meters, connections, planned_outages, supply_hours, billing, discom_accounts, feeder_managers, service_requests, claims, reads, registers and events are"
    );
}

#[test]
fn the_columns_are_those_of_the_contract_each_at_its_place() {
    for kind in FileKind::ALL {
        for (place, column) in column::columns_of(kind).iter().enumerate() {
            assert_eq!(column.at, place, "{kind} {}", column.name);
        }
    }
    let names = |kind: FileKind| kind.column_names().collect::<Vec<_>>().join(", ");
    assert_eq!(
        names(FileKind::Reads),
        "meter_id, interval_end, import_wh, export_wh, import_vah, voltage_v, current_a, captured_at, revision"
    );
    assert_eq!(
        names(FileKind::Meters),
        "meter_id, role, node_id, boundary_to, interval_minutes, multiplier, valid_from, valid_to"
    );
    assert_eq!(
        names(FileKind::Nodes),
        "node_id, kind, parent_id, name, area_class, lat, lon, capacity_kva, allowable_loss_pct, technical_loss_pct, \
         valid_from, valid_to"
    );
    assert_eq!(
        names(FileKind::Connections),
        "consumer_id, meter_id, node_id, category, supply, phases, sanctioned_load_kw, metering, prosumer, \
         assessed_kwh_month, valid_from, valid_to"
    );
    assert_eq!(
        names(FileKind::PlannedOutages),
        "node_id, start, end, class, reason, notice_at"
    );
    assert_eq!(
        names(FileKind::SupplyHours),
        "node_id, category, weekdays, from, to, valid_from, valid_to"
    );
    assert_eq!(names(FileKind::Registers), "meter_id, at, import_wh, export_wh");
    assert_eq!(names(FileKind::Events), "meter_id, at, code, sequence");
}

#[test]
fn a_header_that_does_not_fit_refuses_the_file() {
    check_file(
        FileKind::Reads,
        "",
        "reads.csv is empty: a header line is required",
    );
    check_file(
        FileKind::Reads,
        "\r\n\n",
        "reads.csv is empty: a header line is required",
    );
    check_file(
        FileKind::Registers,
        "meter_id,at,import_kwh,when\n",
        "registers.csv has columns that registers do not have: import_kwh, when (they have: meter_id, at, import_wh, \
         export_wh)",
    );
    check_file(
        FileKind::Reads,
        "meter_id,import_wh,import_wh,interval_end\n",
        "reads.csv has columns more than once: import_wh",
    );
    check_file(
        FileKind::Reads,
        "meter_id,export_wh\n",
        "reads.csv lacks columns that reads need: interval_end, import_wh",
    );
    check_file(
        FileKind::Reads,
        "\"meter_id,import_wh\n",
        "reads.csv has no readable header: a quote is not closed within 16 lines",
    );
}

#[test]
fn columns_come_in_any_order_after_a_byte_order_mark_and_with_crlf() {
    let text = "\u{feff}import_wh,meter_id,interval_end\r\n312,M1,2026-04-01T00:30:00+05:30\r\n\r\n,M1,2026-04-01T01:00:00+05:30";
    let (parts, errors) = read(FileKind::Reads, text).unwrap();
    assert_eq!(errors, "");
    assert_eq!(
        reads_of(&parts),
        [
            ("M1".to_owned(), "2026-03-31T19:00:00+00:00".to_owned(), Some(312)),
            ("M1".to_owned(), "2026-03-31T19:30:00+00:00".to_owned(), None),
        ]
    );
}

#[test]
fn a_bad_row_costs_only_itself_and_names_its_physical_line() {
    let text = "meter_id,interval_end,import_wh\n\
                M1,2026-04-01T00:30:00Z,1\n\
                \n\
                M1,2026-04-01T01:00:00Z,one\n\
                M1,2026-04-01T01:30:00Z\n\
                M1,2026-04-01T02:00:00Z,2,3\n\
                M1,\"2026-04-01T02:30:00Z\",3\n\
                M1,\"2026-04-01T03:00:00Z,4\n\
                M1,2026-04-01T03:30:00Z,5\n\
                M1,\"2026\"-04,6\n\
                M1,2026-04-01T04:00:00Z,7\n";
    let (parts, errors) = read(FileKind::Reads, text).unwrap();
    assert_eq!(
        errors,
        "reads.csv:4: import_wh `one`: a whole number expected\n\
         reads.csv:5: `M1,2026-04-01T01:30:00Z`: the row has 2 cells, the header 3\n\
         reads.csv:6: `M1,2026-04-01T02:00:00Z,2,3`: the row has 4 cells, the header 3\n\
         reads.csv:8: `M1,\"2026-04-01T03:00:00Z,4`: text follows a closing quote\n\
         reads.csv:10: `M1,\"2026\"-04,6`: text follows a closing quote"
    );
    let imports: Vec<_> = reads_of(&parts).into_iter().filter_map(|row| row.2).collect();
    assert_eq!(imports, [1, 3, 5, 7]);
}

#[test]
fn a_stray_quote_does_not_swallow_the_rows_behind_it() {
    let mut text = "meter_id,interval_end,import_wh\nM0,\"2026-04-01T00:00:00Z,0\n".to_owned();
    for number in 1..100 {
        text.push_str(&format!("M{number},2026-04-01T00:30:00Z,{number}\n"));
    }
    let (parts, errors) = read(FileKind::Reads, &text).unwrap();
    assert_eq!(
        errors,
        "reads.csv:2: `M0,\"2026-04-01T00:00:00Z,0`: a quote is not closed within 16 lines"
    );
    assert_eq!(reads_of(&parts).len(), 99);
}

#[test]
fn a_quoted_cell_may_hold_commas_quotes_and_line_ends() {
    let text = "node_id,kind,name,valid_from\n\
                D,discom,\"North, \"\"old\"\"\r\ndiscom\",2025-01-01T00:00:00Z\n\
                Z,zone,,2025-01-01T00:00:00Z\n";
    let (parts, errors) = read(FileKind::Nodes, text).unwrap();
    assert_eq!(
        errors,
        "nodes.csv:4: parent_id ``: a zone needs the node above it"
    );
    let [FilePart::Master(gridtally_schemas::network::MasterRows::Nodes(rows))] = &parts[..] else {
        panic!("{parts:?}");
    };
    assert_eq!(rows[0].name, "North, \"old\"\ndiscom");
}

#[test]
fn a_line_is_bounded_and_must_be_utf8() {
    let mut text = b"meter_id,interval_end,import_wh\nM1,2026-04-01T00:30:00Z,".to_vec();
    text.extend(std::iter::repeat_n(b'1', 3 * csv::LINE_BYTES_MAX));
    text.extend(b"\nM\xff,2026-04-01T00:30:00Z,1\nM1,2026-04-01T00:30:00Z,1\n");
    let (parts, errors) = drain(FileParts::csv(FileKind::Reads, "reads.csv", Cursor::new(text)).unwrap());
    assert_eq!(
        errors,
        format!(
            "reads.csv:2: `M1,2026-04-01T00:30:00Z,{}`: the line is longer than 65536 bytes\n\
             reads.csv:3: meter_id `M\u{fffd}`: not UTF-8",
            "1".repeat(40)
        )
    );
    assert_eq!(reads_of(&parts).len(), 1);
}

#[test]
fn reads_are_read_strictly() {
    let check = |row: &str, expected: &str| check_row(FileKind::Reads, row, expected);
    let time = "a time between 2000 and 2100 expected: RFC 3339 with offset, at most six decimals, such as \
                2026-04-01T00:30:00+05:30";
    check(
        "M1,2026-04-01T00:30:00+05:30,312,0,341,231.4,1.42,2026-04-01T00:31:00+05:30,2",
        "",
    );
    check("M1,2026-04-01T00:30:00+05:30,,,,,,,", "");
    check("M1,2026-04-01T00:30:00+05:30,-5,,,,,,", "");
    check(
        ",2026-04-01T00:30:00Z,1,,,,,,",
        "reads.csv:2: meter_id ``: a value is required",
    );
    check(
        "M/1,2026-04-01T00:30:00Z,1,,,,,,",
        "reads.csv:2: meter_id `M/1`: id has a character that cannot stand in it at byte 1: printable ASCII without \
         space and / + # , \" only",
    );
    check("M1,,1,,,,,,", "reads.csv:2: interval_end ``: a value is required");
    for bad in [
        "2026-04-01",
        "2026-04-01T00:30:00",
        "1774983600",
        "2026-02-30T00:00:00Z",
        "1999-12-31T00:00:00Z",
    ] {
        check(
            &format!("M1,{bad},1,,,,,,"),
            &format!("reads.csv:2: interval_end `{bad}`: {time}"),
        );
    }
    for bad in [
        "1.5",
        "657.0",
        "+5",
        " 5",
        "5 ",
        "1e3",
        "0x10",
        "nan",
        "99999999999999999999",
        "1'000",
    ] {
        check(
            &format!("M1,2026-04-01T00:30:00Z,{bad},,,,,,"),
            &format!("reads.csv:2: import_wh `{bad}`: a whole number expected"),
        );
    }
    for bad in ["inf", "NaN", "+1", "1.", ".5", "1,5", "1_0", "1e999", "-"] {
        check(
            &format!("M1,2026-04-01T00:30:00Z,1,,,\"{bad}\",,,"),
            &format!("reads.csv:2: voltage_v `{bad}`: a number expected"),
        );
    }
    check("M1,2026-04-01T00:30:00Z,1,,,,2e-05,,", "");
    check(
        "M1,2026-04-01T00:30:00Z,1,,,,,yesterday,",
        &format!("reads.csv:2: captured_at `yesterday`: {time}"),
    );
    check(
        "M1,2026-04-01T00:30:00Z,1,,,,,,2147483648",
        "reads.csv:2: revision `2147483648`: a whole number from -2147483648 to 2147483647 expected",
    );
}

#[test]
fn registers_and_events_are_read_strictly() {
    check_row(FileKind::Registers, "M1,2026-04-01T00:00:00Z,128734512,", "");
    check_row(
        FileKind::Registers,
        "M1,2026-04-01T00:00:00Z,,",
        "registers.csv:2: import_wh ``: neither import_wh nor export_wh has a value",
    );
    check_row(FileKind::Events, "M1,2026-04-01T00:00:00Z,101,8812", "");
    check_row(FileKind::Events, "M1,2026-04-01T00:00:00Z,101,", "");
    check_row(
        FileKind::Events,
        "M1,2026-04-01T00:00:00Z,,1",
        "events.csv:2: code ``: a value is required",
    );
    check_row(
        FileKind::Events,
        "M1,2026-04-01T00:00:00Z,power_failure,1",
        "events.csv:2: code `power_failure`: a whole number expected",
    );
}

#[test]
fn nodes_are_checked_row_by_row() {
    let check = |row: &str, expected: &str| check_row(FileKind::Nodes, row, expected);
    let valid = "2025-01-01T00:00:00+05:30,";
    check(&format!("D,discom,,North,urban,28.6,77.2,,15,4.5,{valid}"), "");
    check(&format!("T,dt,F,T,,,,100.0,,,{valid}"), "");
    check(
        &format!("T,transformer,F,,,,,,,,{valid}"),
        "nodes.csv:2: kind `transformer`: `transformer` is none of: discom, zone, circle, division, subdivision, section, \
         substation, feeder, dt",
    );
    check(
        &format!("T,dt,,,,,,,,,{valid}"),
        "nodes.csv:2: parent_id ``: a dt needs the node above it",
    );
    check(
        &format!("D,discom,X,,,,,,,,{valid}"),
        "nodes.csv:2: parent_id `X`: a discom has no parent",
    );
    check(
        &format!("Z,zone,Z,,,,,,,,{valid}"),
        "nodes.csv:2: parent_id `Z`: a node cannot be its own parent",
    );
    check(
        &format!("D,discom,,,city,,,,,,{valid}"),
        "nodes.csv:2: area_class `city`: `city` is none of: metro, urban, rural, class1",
    );
    check(
        &format!("D,discom,,,,91,,,,,{valid}"),
        "nodes.csv:2: lat `91`: a number from -90 to 90 expected",
    );
    check(
        &format!("D,discom,,,,,,,120,,{valid}"),
        "nodes.csv:2: allowable_loss_pct `120`: a number from 0 to 100 expected",
    );
    check(
        &format!("D,discom,,,,,,-1,,,{valid}"),
        "nodes.csv:2: capacity_kva `-1`: a number from 0 to 10000000 expected",
    );
    check(
        "D,discom,,,,,,,,,2025-01-01T00:00:00Z,2025-01-01T00:00:00Z",
        "nodes.csv:2: valid_to `2025-01-01T00:00:00Z`: valid_to must be after valid_from",
    );
}

#[test]
fn meters_are_checked_row_by_row() {
    let check = |row: &str, expected: &str| check_row(FileKind::Meters, row, expected);
    let valid = "2025-01-01T00:00:00+05:30,";
    check(&format!("M1,consumer,,,30,,{valid}"), "");
    check(&format!("M1,feeder,F1,,15,12000,{valid}"), "");
    check(&format!("M1,boundary,F1,F2,15,0.5,{valid}"), "");
    check(
        &format!("M1,meter,,,30,1,{valid}"),
        "meters.csv:2: role `meter`: `meter` is none of: consumer, dt, feeder, boundary, generation",
    );
    check(
        &format!("M1,dt,,,30,1,{valid}"),
        "meters.csv:2: node_id ``: a dt meter needs its node",
    );
    check(
        &format!("M1,feeder,F1,,30,,{valid}"),
        "meters.csv:2: multiplier ``: a feeder meter needs its multiplier (CT ratio x PT ratio)",
    );
    check(
        &format!("M1,boundary,F1,,30,1,{valid}"),
        "meters.csv:2: boundary_to ``: a boundary meter needs the feeder on its other side",
    );
    check(
        &format!("M1,boundary,F1,F1,30,1,{valid}"),
        "meters.csv:2: boundary_to `F1`: the other side must be another feeder",
    );
    check(
        &format!("M1,dt,T1,F2,30,1,{valid}"),
        "meters.csv:2: boundary_to `F2`: only a boundary meter has another side",
    );
    for bad in ["60", "0", "-15", "15.0", "half"] {
        check(
            &format!("M1,consumer,,,{bad},1,{valid}"),
            &format!("meters.csv:2: interval_minutes `{bad}`: 15 or 30 expected"),
        );
    }
    for bad in ["0", "-1", "100001", "1.0005", "ten"] {
        check(
            &format!("M1,consumer,,,30,{bad},{valid}"),
            &format!(
                "meters.csv:2: multiplier `{bad}`: a number from 0.001 to 100000 with at most three decimals expected"
            ),
        );
    }
}

#[test]
fn connections_are_checked_row_by_row() {
    let check = |row: &str, expected: &str| check_row(FileKind::Connections, row, expected);
    let valid = "2025-01-01T00:00:00+05:30,";
    check(
        &format!("C1,M1,T1,LT-domestic,LT,1,3.0,postpaid,none,,{valid}"),
        "",
    );
    check(&format!("C1,M1,F1,HT-industry,HT,3,,prepaid,,,{valid}"), "");
    check(
        &format!("C1,,T1,LT-agriculture,LT,3,5,unmetered,none,412.125,{valid}"),
        "",
    );
    check(
        &format!("C1,M1,T1,LT-agriculture,LT,3,5,unmetered,none,412,{valid}"),
        "connections.csv:2: meter_id `M1`: an unmetered connection has no meter",
    );
    check(
        &format!("C1,,T1,LT-domestic,LT,1,3,postpaid,none,,{valid}"),
        "connections.csv:2: meter_id ``: a postpaid connection needs its meter (or metering `unmetered`)",
    );
    check(
        &format!("C1,M1,T1,,LT,1,3,postpaid,none,,{valid}"),
        "connections.csv:2: category ``: a value is required",
    );
    check(
        &format!("C1,M1,T1,LT-domestic,lt,1,3,postpaid,none,,{valid}"),
        "connections.csv:2: supply `lt`: `lt` is none of: LT, HT",
    );
    for bad in ["2", "0", "300", "three"] {
        check(
            &format!("C1,M1,T1,LT-domestic,LT,{bad},3,postpaid,none,,{valid}"),
            &format!("connections.csv:2: phases `{bad}`: 1 or 3 expected"),
        );
    }
    check(
        &format!("C1,M1,T1,LT-domestic,LT,1,3,postpaid,solar,,{valid}"),
        "connections.csv:2: prosumer `solar`: `solar` is none of: none, net_metering, net_billing, gross_metering",
    );
    check(
        &format!("C1,,T1,LT-agriculture,LT,3,5,unmetered,none,412.1234,{valid}"),
        "connections.csv:2: assessed_kwh_month `412.1234`: a number with at most three decimals expected",
    );
    check(
        &format!("C1,,T1,LT-agriculture,LT,3,5,unmetered,none,-1,{valid}"),
        "connections.csv:2: assessed_kwh_month `-1`: a number from 0 to 7440000 expected",
    );
}

#[test]
fn rows_of_one_id_may_not_overlap_in_a_file() {
    let text = "meter_id,role,interval_minutes,valid_from,valid_to\n\
                M1,consumer,30,2025-02-01T00:00:00Z,2025-03-01T00:00:00Z\n\
                M1,consumer,15,2025-03-01T00:00:00Z,\n\
                M1,consumer,15,2025-01-01T00:00:00Z,2025-02-01T00:00:00Z\n\
                M1,consumer,15,2025-02-15T00:00:00Z,2025-02-16T00:00:00Z\n\
                M1,consumer,15,2024-12-01T00:00:00Z,2025-01-01T00:00:01Z\n\
                M1,consumer,15,2030-01-01T00:00:00Z,2031-01-01T00:00:00Z\n\
                M1,consumer,15,2020-01-01T00:00:00Z,\n\
                M2,consumer,15,2030-01-01T00:00:00Z,\n\
                M2,consumer,15,2030-01-01T00:00:00Z,\n";
    let (parts, errors) = read(FileKind::Meters, text).unwrap();
    assert_eq!(
        errors,
        "meters.csv:5: valid_from `2025-02-15T00:00:00Z`: the period overlaps that of line 2 for the same meter_id\n\
         meters.csv:6: valid_from `2024-12-01T00:00:00Z`: the period overlaps that of line 4 for the same meter_id\n\
         meters.csv:7: valid_from `2030-01-01T00:00:00Z`: the period overlaps that of line 3 for the same meter_id\n\
         meters.csv:8: valid_from `2020-01-01T00:00:00Z`: the period overlaps that of line 3 for the same meter_id\n\
         meters.csv:10: valid_from `2030-01-01T00:00:00Z`: the period overlaps that of line 9 for the same meter_id"
    );
    let [FilePart::Master(rows)] = &parts[..] else {
        panic!("{parts:?}");
    };
    assert_eq!(rows.len(), 4);
}

#[test]
fn a_consumer_may_have_two_meters_at_a_time_and_not_one_twice() {
    let text = "consumer_id,meter_id,node_id,category,supply,phases,metering,valid_from\n\
                C1,M1,T1,LT-domestic,LT,1,postpaid,2025-01-01T00:00:00Z\n\
                C1,M2,T1,generator,LT,1,postpaid,2025-01-01T00:00:00Z\n\
                C1,M1,T1,LT-domestic,LT,1,postpaid,2026-01-01T00:00:00Z\n";
    let (_, errors) = read(FileKind::Connections, text).unwrap();
    assert_eq!(
        errors,
        "connections.csv:4: valid_from `2026-01-01T00:00:00Z`: the period overlaps that of line 2 for the same \
         consumer_id and meter_id"
    );
}

#[test]
fn a_part_is_bounded_and_rows_of_one_meter_are_one_span() {
    let mut text = "meter_id,interval_end,import_wh\n".to_owned();
    for number in 0..12_000 {
        text.push_str(&format!("M{},2026-04-01T00:30:00Z,{number}\n", number / 100));
    }
    let (parts, errors) = read(FileKind::Reads, &text).unwrap();
    assert_eq!(errors, "");
    let sizes: Vec<_> = parts
        .iter()
        .map(|part| match part {
            FilePart::Publish(publish) => (publish.read_count(), publish.meters().count()),
            FilePart::Master(_)
            | FilePart::Plan(_)
            | FilePart::Billing(_)
            | FilePart::Requests(_)
            | FilePart::Claims(_)
            | FilePart::Accounts(_)
            | FilePart::Managers(_) => {
                panic!("{part:?}")
            }
        })
        .collect();
    assert_eq!(sizes, [(5_000, 50), (5_000, 50), (2_000, 20)]);
    let imports: Vec<_> = reads_of(&parts).into_iter().filter_map(|row| row.2).collect();
    assert!(imports.into_iter().eq(0..12_000));
}

#[test]
fn long_names_end_a_part_early() {
    let mut text = "node_id,kind,name,valid_from\n".to_owned();
    for number in 0..64 {
        text.push_str(&format!(
            "D{number},discom,{},2025-01-01T00:00:00Z\n",
            "n".repeat(10_000)
        ));
    }
    let (parts, _) = read(FileKind::Nodes, &text).unwrap();
    assert_eq!(parts.len(), 3);
}

#[test]
fn errors_are_kept_up_to_a_bound_and_counted_beyond() {
    let text = format!(
        "meter_id,interval_end,import_wh\n{}M1,2026-04-01T00:30:00Z,1\n",
        "x\n".repeat(5_000)
    );
    let mut parts = FileParts::csv(FileKind::Reads, "reads.csv", Cursor::new(text)).unwrap();
    assert_eq!(parts.by_ref().count(), 1);
    assert_eq!(parts.errors().len(), ERRORS_KEPT_MAX);
    let totals = Totals {
        rows_accepted: 1,
        rows_refused: 5_000,
    };
    assert_eq!(parts.totals(), totals);
}

/// Gives some bytes and then fails.
struct Breaks(Cursor<Vec<u8>>);

impl io::Read for Breaks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::other("disk gone")),
            read => Ok(read),
        }
    }
}

#[test]
fn the_rows_before_a_read_error_stand() {
    let text =
        b"meter_id,interval_end,import_wh\nM1,2026-04-01T00:30:00Z,1\nM1,2026-04-01T01:00:00Z,2\n".to_vec();
    let mut parts = FileParts::csv(FileKind::Reads, "reads.csv", Breaks(Cursor::new(text))).unwrap();
    assert_eq!(reads_of(&[parts.next().unwrap().unwrap()]).len(), 2);
    assert_eq!(
        parts.next().unwrap().unwrap_err().to_string(),
        "cannot read reads.csv"
    );
    assert!(parts.next().is_none());
}

#[test]
fn what_is_planned_is_read_whole_or_refused_by_row() {
    let at = |hour: u32| format!("2026-04-01T{hour:02}:00:00+05:30");
    let planned = |row: &str, expected: &str| check_row(FileKind::PlannedOutages, row, expected);
    planned(&format!("F1,{},{},PLANNED,maintenance,", at(10), at(12)), "");
    planned(
        &format!("F1,{},{},PLANNED,,", at(12), at(12)),
        "planned_outages.csv:2: end `2026-04-01T12:00:00+05:30`: end must be after start",
    );
    planned(
        &format!("F1,{},{},BREAKDOWN,,", at(10), at(12)),
        "planned_outages.csv:2: class `BREAKDOWN`: `BREAKDOWN` is none of: PLANNED, SCHEDULED_ROSTERING, EMERGENCY_ROSTERING",
    );
    let hours = |row: &str, expected: &str| check_row(FileKind::SupplyHours, row, expected);
    hours(",AG,mon-sat,06:00,14:30,,", "");
    hours("F1,,all,22:00,06:00,,", "");
    hours(
        ",,all,06:00,14:00,,",
        "supply_hours.csv:2: node_id ``: a node or a category is required",
    );
    hours(
        ",AG,daily,06:00,14:00,,",
        "supply_hours.csv:2: weekdays `daily`: `daily` names no weekdays: names or ranges of mon tue wed thu fri sat sun, \
         with `;` between, or `all`",
    );
    hours(
        ",AG,all,6:00,14:00,,",
        "supply_hours.csv:2: from `6:00`: `6:00` is no time of day: HH:MM from 00:00 to 24:00 expected",
    );
    let text = format!(
        "node_id,start,end,class\nF1,{},{},PLANNED\nF1,{},{},PLANNED\nF2,{},{},PLANNED\n",
        at(10),
        at(12),
        at(11),
        at(13),
        at(11),
        at(13)
    );
    let (_, errors) = read(FileKind::PlannedOutages, &text).unwrap();
    assert_eq!(
        errors,
        "planned_outages.csv:3: start `2026-04-01T11:00:00+05:30`: the period overlaps that of line 2 for the same node_id"
    );
}

mod filed;
