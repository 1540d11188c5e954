//! The API as callers meet it: a real engine over a folder, a small network, balances worked by hand, HTTP by bare sockets.

mod client;
mod figures;
mod guards;
mod instance;
mod intake;
mod live;
