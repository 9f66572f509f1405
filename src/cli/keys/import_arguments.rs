//! The options of `bulla keys import` that say how keys look and how rows are read.

use std::io;

use clap::{
    Args, ValueEnum,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};
use uuid::Uuid;

use crate::{
    cli::{Failure, parsers},
    imported::{
        Apps, Before, Columns, Cost, Format, Hashed, KeyLayout, KeyLayoutError, PublicPart, RowErrorKind, SaltEncoding,
        Scheme, ScopesForm, System, Times, UnknownColumn, Written, Zone,
    },
};

/// What explains a column.
const OF_COLUMNS: &str = "--column FIELD=COLUMN names the column of a field, --ignore COLUMN skips one";

/// `--scheme`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SchemeArgument {
    /// Rows hold the keys themselves.
    Plain,
    Of(Scheme),
}

/// How the keys look, and how they were hashed.
#[derive(Args)]
#[command(next_help_heading = "How keys look")]
pub(super) struct LayoutArguments {
    /// How the keys were hashed
    #[arg(long, value_parser = scheme(), required_unless_present = "from")]
    pub(super) scheme: Option<SchemeArgument>,
    /// The text that every key begins with, and that `public` lacks
    #[arg(long)]
    prefix: Option<String>,
    /// `public` is this number of characters of the key, after the prefix
    #[arg(long, value_name = "CHARACTERS", conflicts_with = "separator")]
    public_part: Option<usize>,
    /// `public` is this number of characters at the end of the key; with --public-part, both, one behind the other
    #[arg(long, value_name = "CHARACTERS", conflicts_with = "separator")]
    public_end: Option<usize>,
    /// `public` is the part of the key between the prefix and the last of these separators
    #[arg(long, value_name = "TEXT")]
    separator: Option<String>,
    /// `public` ends before the first separator
    #[arg(long, requires = "separator")]
    first_separator: bool,
    /// `public` and the secret are these members of a JSON object in base64: PUBLIC,SECRET
    #[arg(long, value_name = "NAMES", conflicts_with_all = ["separator", "public_part", "public_end"])]
    json_key: Option<String>,
    /// Several keys may have the same `public`
    #[arg(long)]
    shared_public: bool,
    /// The part after the prefix is a text in base64
    #[arg(long)]
    base64_key: bool,
    /// The part of a key that was hashed
    #[arg(long, value_enum)]
    hashed: Option<HashedArgument>,
    /// What the old system does with a key before it hashes it
    #[arg(long, value_name = "STEP", value_parser = before())]
    before: Option<Before>,
    /// The costs of scrypt or PBKDF2 where `hash` does not say them: N=16384,r=8,p=1 or i=10000,h=sha256
    #[arg(long)]
    cost: Option<Cost>,
    /// The salt of all rows, where they have the same one and it is not secret
    #[arg(long, value_name = "TEXT", conflicts_with = "secret")]
    salt: Option<String>,
    /// Bytes of `hash`, where --cost and a salt of all rows are given; 32 otherwise
    #[arg(long, value_name = "BYTES")]
    hash_bytes: Option<usize>,
    /// The name of the old system's secret in `secrets` of [imported]: of an HMAC, a pepper, a salt of all rows
    #[arg(long, value_name = "NAME", alias = "hmac-key")]
    secret: Option<String>,
}

/// How the rows are read.
#[derive(Args)]
#[command(next_help_heading = "How rows are read")]
pub(super) struct RowArguments {
    /// The format of the rows; the default depends on the name of the file
    #[arg(long, value_enum)]
    pub(super) format: Option<FormatArgument>,
    /// The encoding of `salt`; required if rows have one
    #[arg(long, value_enum)]
    salt_encoding: Option<SaltArgument>,
    /// A field whose column has another name: FIELD=COLUMN
    #[arg(long = "column", value_name = "FIELD=COLUMN", value_parser = pair)]
    columns: Vec<(String, String)>,
    /// A column that is not read
    #[arg(long = "ignore", value_name = "COLUMN")]
    ignored: Vec<String>,
    /// The app of rows that name none
    #[arg(long, value_name = "UUID", value_parser = parsers::app_id)]
    app: Option<Uuid>,
    /// Make app ids of the values of this column, and keep these in `meta`
    #[arg(long, value_name = "COLUMN", conflicts_with = "app")]
    app_from: Option<String>,
    /// The zone of times that name none: UTC, +02:00, Europe/Berlin
    #[arg(long)]
    zone: Option<Zone>,
    /// How `scopes` are written, where that is not clear
    #[arg(long, value_enum)]
    scopes: Option<ScopesArgument>,
}

#[derive(Clone, Copy, ValueEnum)]
enum HashedArgument {
    /// The whole key, with the prefix
    Whole,
    /// The part after the prefix, the public part and the separator
    Secret,
    /// The bytes that this part encodes in base64 or base64url
    DecodedSecret,
    /// The bytes that this part encodes in hexadecimal
    HexSecret,
    /// The bytes that all after the prefix encodes in hexadecimal
    Hex,
}

/// `--format`.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum FormatArgument {
    /// One JSON object per line
    Jsonl,
    /// Commas, quotes as in RFC 4180, and a header that names the fields
    Csv,
}

/// `--salt-encoding`.
#[derive(Clone, Copy, ValueEnum)]
enum SaltArgument {
    /// The bytes of the text itself
    Text,
    /// Hexadecimal
    Hex,
    /// base64 or base64url, with padding or without
    Base64,
}

/// `--scopes`.
#[derive(Clone, Copy, ValueEnum)]
enum ScopesArgument {
    /// Spaces between them; other marks are part of a scope
    Words,
    /// Commas between them
    Commas,
    /// Semicolons between them
    Semicolons,
    /// Bars between them: a|b
    Bars,
    /// An array of PostgreSQL: {a,b}
    Postgres,
}

impl LayoutArguments {
    /// The layout that the options name, where some may be the system's.
    pub(super) fn layout(&self, system: Option<&System>) -> Result<KeyLayout, String> {
        let of_system = system.map(|system| (system.layout)());
        let scheme = match self.scheme {
            Some(SchemeArgument::Of(scheme)) => Some(scheme),
            Some(SchemeArgument::Plain) => Some(Scheme::Sha256),
            None => None,
        };
        let mut layout = of_system.unwrap_or_else(|| KeyLayout::new(scheme.unwrap_or(Scheme::Sha256)));
        layout.scheme = scheme.unwrap_or(layout.scheme);
        let binary = layout.scheme == Scheme::Sha256IdKeySalt;
        if let Some(public) = self.public()? {
            layout.public = public;
        } else if binary {
            layout.public = PublicPart::Id;
        }
        layout.hashed = match self.hashed {
            _ if binary => Hashed::Bytes,
            None => layout.hashed,
            Some(HashedArgument::Whole) => Hashed::Whole,
            Some(HashedArgument::Secret) => Hashed::Secret,
            Some(HashedArgument::DecodedSecret) => Hashed::DecodedSecret,
            Some(HashedArgument::HexSecret) => Hashed::HexSecret,
            Some(HashedArgument::Hex) => Hashed::Hex,
        };
        if let Some(prefix) = &self.prefix {
            layout.prefix.clone_from(prefix);
        }
        if self.base64_key || self.json_key.is_some() {
            layout.written = Written::Base64;
        }
        if self.json_key.is_some() && self.hashed.is_none() {
            layout.hashed = Hashed::Secret;
        }
        layout.shared |= self.shared_public;
        layout.before = self.before.or(layout.before);
        layout.salt = self.salt.clone().or(layout.salt);
        layout.secret = self.secret.clone().or(layout.secret);
        // Costs belong to the layout only where a salt of all rows lets hashes be found: else each row gets them.
        layout.cost = self.cost.or(layout.cost);
        layout.bytes = self.hash_bytes.or(layout.bytes);
        if layout.cost.is_some_and(|cost| cost.scheme() != layout.scheme) {
            return Err(with_arguments(KeyLayoutError::Cost(layout.scheme)));
        }
        if !layout.has_one_salt() {
            (layout.cost, layout.bytes) = (None, None);
        }
        if let Some(what) = system.and_then(|system| system.secret).filter(|_| layout.secret.is_none()) {
            return Err(format!(
                "name {what}: --secret NAME, with NAME = \"file:PATH?encoding=text\" in `secrets` of [imported]"
            ));
        }
        if let Some(what) = system.and_then(|system| system.prefix).filter(|_| self.prefix.is_none()) {
            return Err(format!("name the prefix of the keys, {what}: --prefix mycompany_, for one"));
        }
        layout.check().map_err(with_arguments)?;
        Ok(layout)
    }

    fn public(&self) -> Result<Option<PublicPart>, String> {
        Ok(match (self.public_part, self.public_end, &self.separator, &self.json_key) {
            (Some(first), Some(last), ..) => Some(PublicPart::Ends(first, last)),
            (Some(first), ..) => Some(PublicPart::First(first)),
            (_, Some(last), ..) => Some(PublicPart::Last(last)),
            (.., Some(separator), _) if self.first_separator => Some(PublicPart::BeforeFirst(separator.clone())),
            (.., Some(separator), _) => Some(PublicPart::Before(separator.clone())),
            (.., Some(names)) => {
                let (public, secret) = names.split_once(',').ok_or("--json-key takes two names: PUBLIC,SECRET")?;
                Some(PublicPart::Member(public.to_owned(), secret.to_owned()))
            }
            _ => None,
        })
    }

    /// The costs of hashes whose salts stand in another column.
    pub(super) fn cost(&self, system: Option<&System>) -> Option<Cost> {
        self.cost.or(system.and_then(|system| system.cost))
    }

    /// Returns whether rows hold the keys themselves.
    pub(super) fn is_plain(&self, system: Option<&System>) -> bool {
        match self.scheme {
            Some(scheme) => scheme == SchemeArgument::Plain,
            None => system.is_some_and(|system| system.plain),
        }
    }
}

impl RowArguments {
    /// The encoding of salts, which has no default.
    pub(super) fn salts(&self, needed: bool, system: Option<&System>) -> Result<SaltEncoding, &'static str> {
        match (self.salt_encoding, system) {
            (Some(SaltArgument::Text), _) => Ok(SaltEncoding::Text),
            (Some(SaltArgument::Hex), _) => Ok(SaltEncoding::Hex),
            (Some(SaltArgument::Base64), _) => Ok(SaltEncoding::Base64),
            (None, Some(system)) => Ok(system.salts),
            (None, None) if needed => Err("name the encoding of the salts: --salt-encoding text, hex or base64"),
            (None, None) => Ok(SaltEncoding::Text),
        }
    }

    /// Which column is which field.
    pub(super) fn columns(&self, system: Option<&'static System>) -> Result<Columns, String> {
        let (named, ignored, app) = (self.columns.clone(), self.ignored.clone(), self.app_from.clone());
        let columns = Columns { named, ignored, app, system, ..Columns::default() };
        if columns.twice().is_some() {
            return Err(
                "one column is named twice by --column, --ignore and --app-from: it can be one thing alone".to_owned()
            );
        }
        match columns.unknown() {
            Some(_) => {
                Err("--column FIELD=COLUMN names a field that rows do not have; `hash=token_hash`, for one".to_owned())
            }
            None => Ok(columns),
        }
    }

    /// Whose keys rows are that name no app.
    pub(super) fn apps(&self) -> Apps {
        self.app.map_or(Apps::InRows, Apps::One)
    }

    /// How scopes are written.
    pub(super) fn scopes(&self) -> ScopesForm {
        match self.scopes {
            None => ScopesForm::Ask,
            Some(ScopesArgument::Words) => ScopesForm::Words,
            Some(ScopesArgument::Commas) => ScopesForm::Separated(','),
            Some(ScopesArgument::Semicolons) => ScopesForm::Separated(';'),
            Some(ScopesArgument::Bars) => ScopesForm::Separated('|'),
            Some(ScopesArgument::Postgres) => ScopesForm::Postgres,
        }
    }

    /// The zone of times that name none: the option's, or the system's.
    pub(super) fn zone(&self, system: Option<&System>) -> Option<Zone> {
        let of_system = system.filter(|system| system.times == Times::Utc).map(|_| Zone::utc());
        self.zone.clone().or(of_system)
    }
}

impl From<FormatArgument> for Format {
    fn from(argument: FormatArgument) -> Self {
        match argument {
            FormatArgument::Jsonl => Format::Jsonl,
            FormatArgument::Csv => Format::Csv,
        }
    }
}

fn scheme() -> impl TypedValueParser<Value = SchemeArgument> {
    let plain = PossibleValue::new("plain").help("None: rows hold the keys, and their SHA-256 is stored");
    let schemes = Scheme::ALL.map(|scheme| PossibleValue::new(scheme.name()).help(scheme.about()));
    PossibleValuesParser::new(schemes.into_iter().chain([plain])).try_map(|name| match name.as_str() {
        "plain" => Ok(SchemeArgument::Plain),
        _ => Scheme::try_from(name).map(SchemeArgument::Of),
    })
}

fn before() -> impl TypedValueParser<Value = Before> {
    let steps = Before::ALL.map(|before| PossibleValue::new(before.name()).help(before.about()));
    PossibleValuesParser::new(steps).try_map(Before::try_from)
}

fn pair(text: &str) -> Result<(String, String), &'static str> {
    let (field, column) = text.split_once('=').ok_or("write FIELD=COLUMN, such as hash=token_hash")?;
    Ok((field.to_owned(), column.to_owned()))
}

/// The error, and the options that fix it.
fn with_arguments(error: KeyLayoutError) -> String {
    let arguments = match error {
        KeyLayoutError::PublicPartNeeded(_) => "add --public-part, --public-end or --separator",
        KeyLayoutError::PublicPartGiven => "leave --public-part, --separator and --prefix out",
        KeyLayoutError::PublicPartEmpty => "change --public-part, --public-end or --separator",
        KeyLayoutError::HexWithSeparator => "change --public-part, or `--hashed hex`",
        KeyLayoutError::NothingBefore => "add --prefix, --public-part or --separator, or leave `--hashed secret` out",
        KeyLayoutError::SecretNeeded(_) => "add --secret (or --hmac-key)",
        KeyLayoutError::SecretGiven(_) => "leave --secret (or --hmac-key) out, or add --before",
        KeyLayoutError::Cost(_) => "leave --cost out, or change --scheme",
        KeyLayoutError::TooCostly => "such keys cannot be imported",
        KeyLayoutError::Salt(_) => "add --cost, or leave --salt out",
        KeyLayoutError::Shared => "leave --shared-public out",
    };
    format!("{error}: {arguments}")
}

/// The error of a table's beginning, and the options that explain a column to it.
pub(super) fn header_error(error: io::Error) -> Failure {
    if error.get_ref().is_some_and(|inner| inner.is::<UnknownColumn>()) {
        return Failure::Undone(format!("{error}: {OF_COLUMNS}"));
    }
    error.into()
}

/// The error of a row, and the options that fix it.
pub(super) fn row_error_with_arguments(error: &RowErrorKind) -> String {
    let arguments = match error {
        RowErrorKind::Field => OF_COLUMNS,
        RowErrorKind::OtherKind => "--ignore COLUMN imports it all the same",
        RowErrorKind::Restricted => "--ignore COLUMN imports it without the restriction",
        RowErrorKind::AppId => "--app-from COLUMN makes one of another id, --app gives one to all rows",
        RowErrorKind::App => "name another column with --app-from",
        RowErrorKind::Zone(_) => "name it with --zone",
        RowErrorKind::ScopesForm => "--scopes words, commas, semicolons, bars or postgres",
        RowErrorKind::Plaintext => "--scheme plain",
        RowErrorKind::OtherHash => "--replace or --shared-public",
        RowErrorKind::Differs(_) => "--replace corrects it",
        _ => return error.to_string(),
    };
    format!("{error}: {arguments}")
}
