//! The whole of compensation: oracle, presets, and the property behind CMP-1.

mod every_shape;
mod oracle;
mod other_standards;
mod presets;
mod property;
