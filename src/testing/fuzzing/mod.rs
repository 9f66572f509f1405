//! Entry points of the service for fuzz targets, without a socket.

mod admin_plane;
mod data_plane;
mod identity;
mod rows;

pub use self::{
    admin_plane::{AdminPlane, ENDPOINTS},
    data_plane::{DataPlane, GrpcAnswer},
    identity::Identities,
    rows::read_rows,
};

#[cfg(test)]
mod tests;
