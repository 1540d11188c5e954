//! The words of gridtally: ids, units, reads, network, wire format and table schemas. No I/O.
