//! From a publish or a file to a durable log record: the MQTT endpoint, the subscriber, file import and the log.
