use super::*;

#[test]
fn the_topics_of_the_contract_are_read_and_written() {
    for topic in [
        "ami/v1/meters/MH01000123/reads",
        "ami/v1/meters/MH01000123/events",
        "ami/v1/gateways/hes-1/reads",
        "ami/v1/gateways/hes-1/events",
    ] {
        assert_eq!(Topic::parse(topic).unwrap().to_string(), topic);
    }
}

#[test]
fn every_other_topic_is_refused() {
    for topic in [
        "",
        "/",
        "ami/v1/meters",
        "ami/v2/meters/M1/reads",
        "ami/v1/meters//reads",
        "ami/v1/meters/M1/reads/",
        "ami/v1/meters/M 1/reads",
        "ami/v1/meters/M1/commands",
        "ami/v1/feeders/F1/reads",
        "/ami/v1/meters/M1/reads",
        "ami/v1/meters/+/reads",
    ] {
        assert!(Topic::parse(topic).is_err(), "{topic}");
    }
}
