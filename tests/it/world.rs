//! A simulated machine, with a daemon and Discord clients: what `sim`, `publish`, `properties` and the fuzz targets share.

pub(crate) mod discords;
mod files;
pub(crate) mod machine;
pub(crate) mod script;
mod writers;
