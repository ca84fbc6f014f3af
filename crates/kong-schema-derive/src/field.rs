//! One field: its Rust type gives the definition, its attributes complete it.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{Error, LitStr, Result};

use crate::attributes::{Args, Kong, description, items, json, kong, nested, serde_string, tuple};

/// Statements that push the field to `fields`.
pub(crate) fn field(field: &syn::Field) -> Result<TokenStream> {
    let attributes = kong(&field.attrs)?;
    if attributes.iter().any(|a| a.name == "skip") {
        return Ok(TokenStream::new());
    }
    let ty = &field.ty;
    if attributes.iter().any(|a| a.name == "flatten") {
        return Ok(quote! {
            fields.extend(<#ty as ::kong_schema::AsRecord>::record().fields);
        });
    }
    let Some(ident) = &field.ident else {
        return Err(Error::new_spanned(field, "fields need names"));
    };
    let name = serde_string(&field.attrs, "rename").unwrap_or_else(|| ident.unraw().to_string());
    let base = attributes.iter().find(|a| a.name == "kind").map(kind).transpose()?;
    // A field whose kind is written out need not have a type that knows one.
    let own_kind = attributes
        .iter()
        .find(|a| a.name == "foreign" || a.name == "json" || a.name == "any");
    let base = match (base, own_kind) {
        (Some(base), _) => base,
        (None, Some(_)) => quote!(<::kong_schema::FieldDef as ::std::default::Default>::default()),
        (None, None) => quote!(<#ty as ::kong_schema::FieldType>::def()),
    };
    let description =
        description(&field.attrs).map(|text| quote!(def.description = ::std::option::Option::Some(#text.into());));
    let modifiers = modifiers(&attributes)?;
    Ok(quote! {
        fields.push({
            let mut def: ::kong_schema::FieldDef = #base;
            {
                let def = &mut def;
                #description
                #modifiers
            }
            ::kong_schema::Field { name: #name.into(), def }
        });
    })
}

fn kind(attribute: &Kong) -> Result<TokenStream> {
    let value = attribute.value()?;
    Ok(match syn::parse2::<LitStr>(value.clone()) {
        Ok(name) => {
            let function: syn::Path = name.parse()?;
            quote!(::kong_schema::types::#function())
        }
        Err(_) => value.clone(),
    })
}

/// Statements on `def: &mut FieldDef`.
fn modifiers(attributes: &[Kong]) -> Result<TokenStream> {
    attributes.iter().map(modifier).collect()
}

fn modifier(attribute: &Kong) -> Result<TokenStream> {
    let some = quote!(::std::option::Option::Some);
    let validator = |variant: TokenStream| quote!(def.validators.push(::kong_schema::Validator::#variant););
    let flag = |name: &str| {
        let ident = quote::format_ident!("{name}");
        match &attribute.args {
            Args::Flag => Ok(quote!(def.#ident = true;)),
            _ => Err(Error::new(attribute.name.span(), "a flag takes no value")),
        }
    };
    let name = attribute.name.to_string();
    Ok(match name.as_str() {
        // Read where the definition starts.
        "kind" => TokenStream::new(),
        "required" => quote!(def.required = true; def.explicitly_optional = false;),
        "optional" => quote!(def.required = false; def.explicitly_optional = true;),
        "default" => {
            let value = json(attribute.value()?);
            quote!(def.default = #some(#value);)
        }
        "set" => quote!(::kong_schema::derive::make_set(def);),
        "foreign" => {
            let reference = attribute.string()?;
            quote!(def.kind = ::kong_schema::Kind::Foreign(::kong_schema::Foreign::to(#reference));)
        }
        "on_delete" => {
            let action = match attribute.string()?.value().as_str() {
                "cascade" => quote!(Cascade),
                "null" => quote!(Null),
                "restrict" => quote!(Restrict),
                _ => return Err(Error::new(attribute.name.span(), "cascade, null or restrict")),
            };
            quote!(::kong_schema::derive::set_on_delete(def, ::kong_schema::OnDelete::#action);)
        }
        "json" => quote!(def.kind = ::kong_schema::Kind::Json(::std::option::Option::None);),
        "any" => quote!(def.kind = ::kong_schema::Kind::Abstract;),
        "auto" | "uuid" | "timestamp" | "referenceable" | "encrypted" | "transient" | "immutable" | "not_null" => {
            flag(&name)?
        }
        "unique" => match &attribute.args {
            Args::Flag => quote!(def.unique = ::kong_schema::Unique::Workspace;),
            _ if attribute.string()?.value() == "global" => quote!(def.unique = ::kong_schema::Unique::Global;),
            _ => return Err(Error::new(attribute.name.span(), "`unique` or `unique = \"global\"`")),
        },
        "err" => {
            let text = attribute.string()?;
            quote!(def.err = #some(#text.into());)
        }
        "eq" | "ne" | "contains" => {
            let value = json(attribute.value()?);
            let variant = quote::format_ident!(
                "{}",
                match name.as_str() {
                    "eq" => "Eq",
                    "ne" => "Ne",
                    _ => "Contains",
                }
            );
            validator(quote!(#variant(#value)))
        }
        "one_of" | "not_one_of" => {
            let values: Vec<TokenStream> = items(attribute.list()?).iter().map(json).collect();
            let variant = quote::format_ident!("{}", if name == "one_of" { "OneOf" } else { "NotOneOf" });
            validator(quote!(#variant(vec![#(#values),*])))
        }
        "gt" => {
            let value = attribute.value()?;
            validator(quote!(Gt((#value) as f64)))
        }
        "between" => match items(attribute.list()?).as_slice() {
            [low, high] => validator(quote!(Between((#low) as f64, (#high) as f64))),
            _ => return Err(Error::new(attribute.name.span(), "write `between(low, high)`")),
        },
        "len_eq" | "len_min" | "len_max" => {
            let value = attribute.value()?;
            let variant = quote::format_ident!(
                "{}",
                match name.as_str() {
                    "len_eq" => "LenEq",
                    "len_min" => "LenMin",
                    _ => "LenMax",
                }
            );
            validator(quote!(#variant(#value)))
        }
        "starts_with" => {
            let text = attribute.string()?;
            validator(quote!(StartsWith(#text.into())))
        }
        "is_regex" => validator(quote!(IsRegex)),
        "matches" => {
            let text = attribute.string()?;
            validator(quote!(Match(#text.into())))
        }
        "not_matches" => {
            let text = attribute.string()?;
            validator(quote!(NotMatch(#text.into())))
        }
        "match_all" | "match_none" => {
            let mut patterns = Vec::new();
            for item in items(attribute.list()?) {
                let err = |tokens: Option<&TokenStream>| match tokens {
                    Some(text) => quote!(#some(#text.into())),
                    None => quote!(::std::option::Option::None),
                };
                let parts = tuple(&item).unwrap_or_else(|_| vec![item]);
                let (pattern, err) = (&parts[0], err(parts.get(1)));
                patterns.push(quote!(::kong_schema::Pattern { pattern: #pattern.into(), err: #err }));
            }
            let variant = quote::format_ident!("{}", if name == "match_all" { "MatchAll" } else { "MatchNone" });
            validator(quote!(#variant(vec![#(#patterns),*])))
        }
        "match_any" => {
            let patterns = items(attribute.list()?);
            validator(quote!(MatchAny {
                patterns: vec![#(#patterns.into()),*],
                err: ::std::option::Option::None,
            }))
        }
        "match_any_err" => {
            let text = attribute.string()?;
            quote!(::kong_schema::derive::set_match_any_err(def, #text);)
        }
        "subsets" => {
            let mut subsets = Vec::new();
            for subset in items(attribute.list()?) {
                let members = tuple(&subset)?;
                subsets.push(quote!(vec![#(::std::string::String::from(#members)),*]));
            }
            validator(quote!(MutuallyExclusiveSubsets(vec![#(#subsets),*])))
        }
        "custom" => {
            let function = attribute.value()?;
            let name = function.to_string();
            validator(quote!(Custom(::kong_schema::Custom::new(#name, #function))))
        }
        "elements" | "keys" | "values" => {
            let inner = modifiers(&nested(attribute.list()?.clone())?)?;
            let base = nested(attribute.list()?.clone())?
                .iter()
                .find(|a| a.name == "kind")
                .map(kind)
                .transpose()?;
            let base = base.map(|base| quote!(*def = #base;));
            let part = quote::format_ident!("{name}");
            quote!({
                let def = ::kong_schema::derive::#part(def);
                #base
                #inner
            })
        }
        "annotate" => match items(attribute.list()?).as_slice() {
            [key, value] => {
                let value = json(value);
                quote!(def.annotations.insert(#key.into(), #value);)
            }
            _ => return Err(Error::new(attribute.name.span(), "write `annotate(\"name\", value)`")),
        },
        _ => return Err(attribute.unknown()),
    })
}
