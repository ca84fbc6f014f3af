//! Parser of `#[kong(flag, name = value, name(list))]`.

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};
use quote::quote;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Error, LitStr, Result, Token};

/// One attribute.
pub(crate) struct Kong {
    pub(crate) name: Ident,
    pub(crate) args: Args,
}

/// What follows the name.
pub(crate) enum Args {
    Flag,
    Value(TokenStream),
    List(TokenStream),
}

struct List(Vec<Kong>);

impl Parse for List {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut list = Vec::new();
        while !input.is_empty() {
            let name = input.call(Ident::parse_any)?;
            let args = if input.peek(Token![=]) {
                input.parse::<Token![=]>()?;
                Args::Value(until_comma(input)?)
            } else if input.peek(syn::token::Paren) {
                let content;
                syn::parenthesized!(content in input);
                Args::List(content.parse()?)
            } else {
                Args::Flag
            };
            list.push(Kong { name, args });
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(Self(list))
    }
}

fn until_comma(input: ParseStream<'_>) -> Result<TokenStream> {
    let mut tokens = TokenStream::new();
    while !input.is_empty() && !input.peek(Token![,]) {
        tokens.extend([input.parse::<TokenTree>()?]);
    }
    Ok(tokens)
}

/// All `#[kong(…)]` of an item, in order.
pub(crate) fn kong(attributes: &[Attribute]) -> Result<Vec<Kong>> {
    let mut all = Vec::new();
    for attribute in attributes.iter().filter(|a| a.path().is_ident("kong")) {
        all.extend(attribute.parse_args::<List>()?.0);
    }
    Ok(all)
}

/// The inside of `elements(…)`.
pub(crate) fn nested(tokens: TokenStream) -> Result<Vec<Kong>> {
    Ok(syn::parse2::<List>(tokens)?.0)
}

impl Kong {
    pub(crate) fn value(&self) -> Result<&TokenStream> {
        match &self.args {
            Args::Value(tokens) => Ok(tokens),
            _ => Err(Error::new(self.name.span(), format!("write `{} = …`", self.name))),
        }
    }

    pub(crate) fn list(&self) -> Result<&TokenStream> {
        match &self.args {
            Args::List(tokens) => Ok(tokens),
            _ => Err(Error::new(self.name.span(), format!("write `{}(…)`", self.name))),
        }
    }

    pub(crate) fn string(&self) -> Result<LitStr> {
        syn::parse2(self.value()?.clone())
    }

    pub(crate) fn unknown(&self) -> Error {
        Error::new(self.name.span(), format!("unknown attribute `{}`", self.name))
    }
}

/// Splits at commas.
pub(crate) fn items(tokens: &TokenStream) -> Vec<TokenStream> {
    let mut items = Vec::new();
    let mut item = TokenStream::new();
    for token in tokens.clone() {
        if matches!(&token, TokenTree::Punct(p) if p.as_char() == ',') {
            items.push(std::mem::take(&mut item));
        } else {
            item.extend([token]);
        }
    }
    if !item.is_empty() {
        items.push(item);
    }
    items
}

/// The inside of a parenthesised item: `("a", "b")`.
pub(crate) fn tuple(tokens: &TokenStream) -> Result<Vec<TokenStream>> {
    match tokens.clone().into_iter().next() {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis => Ok(items(&group.stream())),
        _ => Err(Error::new_spanned(tokens, "write `(…)`")),
    }
}

/// A `serde_json::Value`: JSON as written, or a parenthesised expression.
pub(crate) fn json(tokens: &TokenStream) -> TokenStream {
    quote!(::kong_schema::json!(#tokens))
}

/// The doc comment as one line of text per paragraph.
pub(crate) fn description(attributes: &[Attribute]) -> Option<String> {
    let mut text = String::new();
    for attribute in attributes.iter().filter(|a| a.path().is_ident("doc")) {
        if let syn::Meta::NameValue(meta) = &attribute.meta
            && let syn::Expr::Lit(syn::ExprLit {
                lit: syn::Lit::Str(line),
                ..
            }) = &meta.value
        {
            let line = line.value();
            let line = line.trim();
            if line.is_empty() {
                // Later paragraphs are for readers of the code.
                break;
            }
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(line);
        }
    }
    (!text.is_empty()).then_some(text)
}

/// Value of a string in `#[serde(key = "…")]`.
pub(crate) fn serde_string(attributes: &[Attribute], key: &str) -> Option<String> {
    let mut found = None;
    for attribute in attributes.iter().filter(|a| a.path().is_ident("serde")) {
        // Other forms of serde's attributes are not ours to judge.
        let _ = attribute.parse_nested_meta(|meta| {
            if meta.input.peek(Token![=]) {
                let value: syn::Expr = meta.value()?.parse()?;
                if meta.path.is_ident(key)
                    && let syn::Expr::Lit(syn::ExprLit {
                        lit: syn::Lit::Str(text),
                        ..
                    }) = value
                {
                    found = Some(text.value());
                }
            } else if meta.input.peek(syn::token::Paren) {
                let content;
                syn::parenthesized!(content in meta.input);
                content.parse::<TokenStream>()?;
            }
            Ok(())
        });
    }
    found
}
