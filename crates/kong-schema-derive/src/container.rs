//! `#[derive(Entity)]` and `#[derive(Record)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, Result};

use crate::attributes::{Args, Kong, items, kong};
use crate::field::field;

fn fields(input: &DeriveInput) -> Result<Vec<TokenStream>> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(input, "a schema is derived from a struct"));
    };
    match &data.fields {
        Fields::Named(named) => named.named.iter().map(field).collect(),
        Fields::Unit => Ok(Vec::new()),
        Fields::Unnamed(_) => Err(Error::new_spanned(&data.fields, "fields need names")),
    }
}

fn names(attribute: &Kong) -> Result<TokenStream> {
    let names = items(attribute.list()?);
    Ok(quote!(vec![#(::std::string::String::from(#names)),*]))
}

pub(crate) fn entity(input: &DeriveInput) -> Result<TokenStream> {
    let mut name = None;
    let mut set = Vec::new();
    let mut storage = quote!(workspaceable: true,);
    let mut primary_key = quote!(vec![::std::string::String::from("id")]);
    for attribute in kong(&input.attrs)? {
        let flag = matches!(attribute.args, Args::Flag);
        match attribute.name.to_string().as_str() {
            "name" => name = Some(attribute.string()?),
            "table" => {
                let table = attribute.string()?;
                set.push(quote!(schema.storage.table = ::std::option::Option::Some(#table.into());));
            }
            "primary_key" => primary_key = names(&attribute)?,
            "cache_key" => {
                let names = names(&attribute)?;
                set.push(quote!(schema.storage.cache_key = #names;));
            }
            "endpoint_key" => {
                let key = attribute.string()?;
                set.push(quote!(schema.storage.endpoint_key = ::std::option::Option::Some(#key.into());));
            }
            "collection" => {
                let segment = attribute.string()?;
                set.push(quote!(schema.admin.collection = ::std::option::Option::Some(#segment.into());));
            }
            "nested" => {
                let segment = attribute.string()?;
                set.push(quote!(schema.admin.nested = ::std::option::Option::Some(#segment.into());));
            }
            "cache_key_form" => {
                let form = quote::format_ident!("{}", attribute.string()?.value());
                set.push(quote!(schema.storage.cache_key_form = ::kong_schema::CacheKeyForm::#form;));
            }
            "global" if flag => storage = quote!(workspaceable: false,),
            "ttl" if flag => set.push(quote!(schema.storage.ttl = true;)),
            "core_cache" if flag => set.push(quote!(schema.storage.core_cache = true;)),
            "hidden" if flag => set.push(quote!(schema.admin.hidden = true;)),
            "checks" => {
                let checks = attribute.value()?;
                set.push(quote!(schema.entity_checks.extend(#checks);));
            }
            "shorthands" => {
                let shorthands = attribute.value()?;
                set.push(quote!(schema.shorthands.extend(#shorthands);));
            }
            "transformations" => {
                let transformations = attribute.value()?;
                set.push(quote!(schema.transformations.extend(#transformations);));
            }
            "on_read" => {
                let hook = attribute.value()?;
                set.push(quote!(schema.on_read = ::std::option::Option::Some(#hook);));
            }
            _ => return Err(attribute.unknown()),
        }
    }
    let name = name.ok_or_else(|| Error::new_spanned(input, "an entity needs #[kong(name = \"…\")]"))?;
    let fields = fields(input)?;
    let ident = &input.ident;
    Ok(quote! {
        impl ::kong_schema::Entity for #ident {
            fn schema() -> ::std::sync::Arc<::kong_schema::Schema> {
                static SCHEMA: ::std::sync::OnceLock<::std::sync::Arc<::kong_schema::Schema>> =
                    ::std::sync::OnceLock::new();
                SCHEMA
                    .get_or_init(|| {
                        let mut fields: ::std::vec::Vec<::kong_schema::Field> = ::std::vec::Vec::new();
                        #(#fields)*
                        let mut schema = ::kong_schema::Schema {
                            name: #name.into(),
                            fields,
                            storage: ::kong_schema::Storage {
                                primary_key: #primary_key,
                                #storage
                                ..::std::default::Default::default()
                            },
                            ..::std::default::Default::default()
                        };
                        #(#set)*
                        ::std::sync::Arc::new(schema)
                    })
                    .clone()
            }
        }
    })
}

pub(crate) fn record(input: &DeriveInput) -> Result<TokenStream> {
    let mut set = Vec::new();
    for attribute in kong(&input.attrs)? {
        match attribute.name.to_string().as_str() {
            "checks" => {
                let checks = attribute.value()?;
                set.push(quote!(record.entity_checks.extend(#checks);));
            }
            "shorthands" => {
                let shorthands = attribute.value()?;
                set.push(quote!(record.shorthands.extend(#shorthands);));
            }
            "check" => {
                let function = attribute.value()?;
                let name = function.to_string();
                set.push(quote!(record.checks.push(::kong_schema::Custom::new(#name, #function));));
            }
            _ => return Err(attribute.unknown()),
        }
    }
    let fields = fields(input)?;
    let ident = &input.ident;
    Ok(quote! {
        impl ::kong_schema::AsRecord for #ident {
            fn record() -> ::kong_schema::Record {
                let mut fields: ::std::vec::Vec<::kong_schema::Field> = ::std::vec::Vec::new();
                #(#fields)*
                let mut record = ::kong_schema::Record { fields, ..::std::default::Default::default() };
                #(#set)*
                record
            }
        }
        impl ::kong_schema::FieldType for #ident {
            fn def() -> ::kong_schema::FieldDef {
                ::kong_schema::record_def::<Self>()
            }
        }
    })
}
