//! The synthetic utility: a seeded discom with truth on file, publishing over real MQTT.
