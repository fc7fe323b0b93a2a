//! Gradients against f64, and those against differences of the forward pass.

mod case;
mod edges;
mod norms;
mod reference;
mod values;
