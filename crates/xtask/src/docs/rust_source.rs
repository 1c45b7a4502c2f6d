//! What the sources say of their structs: fields, types, doc comments. Parsed, not compiled.

use std::collections::BTreeMap;

use syn::{Attribute, Expr, Fields, GenericArgument, Item, ItemStruct, Lit, Meta, PathArguments, Type};

use crate::{Failure, workspace};

/// The structs of one crate.
pub(super) struct Crate {
    /// `crates/marketprism-bus`
    pub(super) folder: String,
    pub(super) structs: BTreeMap<String, Struct>,
    /// The type that implements `Configuration`, if one does.
    pub(super) configuration: Option<String>,
}

pub(super) struct Struct {
    pub(super) attributes: Vec<Attribute>,
    pub(super) fields: Vec<Field>,
}

pub(super) struct Field {
    pub(super) name: String,
    pub(super) attributes: Vec<Attribute>,
    pub(super) doc: String,
    /// The last segment of the innermost type: `Option<BTreeMap<String, Exchange>>` is `Exchange`.
    pub(super) type_name: String,
    /// Whether the keys below it are the user's own.
    pub(super) is_table: bool,
}

/// Every crate of ours, tests and examples left out.
pub(super) fn read() -> Result<Vec<Crate>, Failure> {
    let root = workspace::root()?;
    let mut crates: BTreeMap<String, Crate> = BTreeMap::new();
    for path in workspace::files()? {
        let mut parts = path.iter().filter_map(|part| part.to_str());
        let (Some(group @ ("crates" | "services")), Some(name), Some("src")) =
            (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let file = syn::parse_file(&std::fs::read_to_string(root.join(&path))?)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let folder = format!("{group}/{name}");
        let entry = crates.entry(folder.clone());
        let of_crate =
            entry.or_insert_with(|| Crate { folder, structs: BTreeMap::new(), configuration: None });
        file.items.into_iter().for_each(|item| add(of_crate, item));
    }
    Ok(crates.into_values().collect())
}

fn add(of_crate: &mut Crate, item: Item) {
    match item {
        Item::Struct(item) => {
            of_crate.structs.insert(item.ident.to_string(), read_struct(item));
        }
        Item::Impl(item) => {
            let is_configuration = item.trait_.as_ref().is_some_and(|(path, _)| {
                path.segments.last().is_some_and(|segment| segment.ident == "Configuration")
            });
            if is_configuration {
                of_crate.configuration = Some(innermost(&item.self_ty).0);
            }
        }
        _ => {}
    }
}

fn read_struct(item: ItemStruct) -> Struct {
    let fields = match item.fields {
        Fields::Named(fields) => fields.named.into_iter().collect(),
        Fields::Unnamed(_) | Fields::Unit => Vec::new(),
    };
    let fields = fields.into_iter().map(|field| {
        let (type_name, is_table) = innermost(&field.ty);
        Field {
            name: field.ident.map(|name| name.to_string()).unwrap_or_default(),
            doc: doc(&field.attrs),
            attributes: field.attrs,
            type_name,
            is_table,
        }
    });
    Struct { fields: fields.collect(), attributes: item.attrs }
}

/// The doc comment as one paragraph.
fn doc(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => text(&pair.value),
        _ => None,
    });
    lines.map(|line| line.trim().to_owned()).collect::<Vec<_>>().join(" ").trim().to_owned()
}

/// The text of a string literal.
pub(super) fn text(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}

fn innermost(of: &Type) -> (String, bool) {
    let Type::Path(path) = of else { return (String::new(), false) };
    let Some(segment) = path.path.segments.last() else { return (String::new(), false) };
    let is_map = ["BTreeMap", "HashMap", "IndexMap"].iter().any(|map| segment.ident == map);
    if let PathArguments::AngleBracketed(arguments) = &segment.arguments
        && let Some(GenericArgument::Type(inner)) = arguments.args.last()
    {
        let (name, is_table) = innermost(inner);
        return (name, is_map || is_table);
    }
    (segment.ident.to_string(), is_map)
}
