//! Derives of `kong-schema`: from a struct to its schema. The attributes are documented there.

mod attributes;
mod choice;
mod container;
mod field;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Implements `kong_schema::Entity`: the struct is an entity.
#[proc_macro_derive(Entity, attributes(kong))]
pub fn derive_entity(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    container::entity(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Implements `kong_schema::AsRecord` and `kong_schema::FieldType`: the struct is a plugin's `config` or an object
/// inside another struct.
#[proc_macro_derive(Record, attributes(kong))]
pub fn derive_record(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    container::record(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Implements `kong_schema::FieldType` for an enum without data: a string that is one of the variants, in order.
#[proc_macro_derive(Choice, attributes(kong))]
pub fn derive_choice(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    choice::choice(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
