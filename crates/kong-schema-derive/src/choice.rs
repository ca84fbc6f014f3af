//! `#[derive(Choice)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, Result};

use crate::attributes::serde_string;

pub(crate) fn choice(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Enum(data) = &input.data else {
        return Err(Error::new_spanned(input, "Choice is for enums"));
    };
    let rule = serde_string(&input.attrs, "rename_all").unwrap_or_default();
    let mut names = Vec::new();
    for variant in &data.variants {
        if !matches!(variant.fields, Fields::Unit) {
            return Err(Error::new_spanned(variant, "a choice carries no data"));
        }
        let name = match serde_string(&variant.attrs, "rename") {
            Some(name) => name,
            None => renamed(&variant.ident.to_string(), &rule)
                .ok_or_else(|| Error::new_spanned(variant, format!("unknown rename_all rule `{rule}`")))?,
        };
        names.push(name);
    }
    let ident = &input.ident;
    Ok(quote! {
        impl ::kong_schema::Choices for #ident {
            const CHOICES: &'static [&'static str] = &[#(#names),*];
        }
        impl ::kong_schema::FieldType for #ident {
            fn def() -> ::kong_schema::FieldDef {
                ::kong_schema::types::one_of(<Self as ::kong_schema::Choices>::CHOICES)
            }
        }
    })
}

/// serde's rules for the names of variants.
fn renamed(variant: &str, rule: &str) -> Option<String> {
    let separated = |separator: char| {
        let mut out = String::new();
        for (i, c) in variant.chars().enumerate() {
            if i > 0 && c.is_ascii_uppercase() {
                out.push(separator);
            }
            out.push(c.to_ascii_lowercase());
        }
        out
    };
    Some(match rule {
        "" | "PascalCase" => variant.to_owned(),
        "lowercase" => variant.to_ascii_lowercase(),
        "UPPERCASE" => variant.to_ascii_uppercase(),
        "snake_case" => separated('_'),
        "kebab-case" => separated('-'),
        "SCREAMING_SNAKE_CASE" => separated('_').to_ascii_uppercase(),
        "SCREAMING-KEBAB-CASE" => separated('-').to_ascii_uppercase(),
        "camelCase" => {
            let mut chars = variant.chars();
            chars
                .next()
                .map(|c| c.to_ascii_lowercase())
                .into_iter()
                .chain(chars)
                .collect()
        }
        _ => return None,
    })
}
