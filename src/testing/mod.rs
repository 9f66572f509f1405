//! What benchmarks and fuzz targets need of the service. No command uses it.

pub mod benchmark;
pub mod fuzzing;
pub mod issuing;
