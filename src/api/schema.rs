//! Schemas of texts and numbers in requests and answers, for OpenAPI: of those whose types are the library's, or are
//! parsed by the service itself for a better error.

use std::borrow::Cow;

use bulla::keyring::VersionState;
use serde_json::json;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Ref, RefOr, Schema,
        schema::{AnyOfBuilder, KnownFormat, Object, ObjectBuilder, OneOfBuilder, SchemaFormat, Type},
    },
};

use super::issue::NEVER;
use crate::clock::LAST_SECOND;

/// Schemas with a name, which many requests and answers share.
macro_rules! kinds {
    ($($name:ident = $schema:expr;)+) => {
        $(
            pub(crate) struct $name;

            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    $schema.into()
                }
            }

            impl ToSchema for $name {
                fn name() -> Cow<'static, str> {
                    stringify!($name).into()
                }
            }
        )+

        /// All of them by name.
        pub(crate) fn all() -> Vec<(String, RefOr<Schema>)> {
            vec![$((stringify!($name).to_owned(), $name::schema())),+]
        }
    };
}

kinds! {
    ApiKey = text("An API key. Anyone who has it can use it.", 512)
        .examples([json!("acme_live_00000YHqiQd7Eu4eUpRFdL2o5fO0uDZE41dnzlCyuUwj94mSgZIZlOIHIgXJG4piaMGGSIJzHB3e09TuxrYTr9LZGtchLxy3hlYgs")]);
    // The two groups of eleven characters are numbers below 2^64, which begins with L.
    ApiKeyId = text("An API key's id: its realm, `_` and 22 characters; a literal prefix of the key, and public.", 47)
        .pattern(Some(r"^[a-z][a-z0-9]*(_[a-z0-9]+)*_([0-9A-L][0-9A-Za-z]{10}){2}$"))
        .min_length(Some(25))
        .examples([json!("acme_live_00000YHqiQd7Eu4eUpRFdL")]);
    Realm = text("A realm: words of a-z and 0-9 joined by single underscores, beginning with a letter.", 24)
        .pattern(Some(r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$"))
        .min_length(Some(2))
        .examples([json!("acme_live")]);
    SnapshotName = text("The name of a snapshot's body: 64 hexadecimal digits.", 64).pattern(Some("^[0-9a-f]{64}$"));
    KeyVersion = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .description(Some("The number of a key version."))
        .minimum(Some(1))
        .maximum(Some(u32::MAX));
    KeyVersionState = ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("Where a key version is in its life."))
        .enum_values(Some(VersionState::ALL.map(VersionState::name)));
    ApiKeyState = ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("What an API key on record is good for. Whether its key version still opens is the keyring's to say."))
        .enum_values(Some(["active", "suspended", "revoked", "expired"]));
    Suite = ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("What a key version seals with."))
        .enum_values(Some([bulla::keyring::Suite::Aes256Gcm, bulla::keyring::Suite::Xaes256Gcm].map(|suite| json!(suite))));
    // With so few digits every sum ends before 2106. Longer ones are accepted up to then.
    Span = text("A length of time, such as `90d`, `12h`, `15m` or `1d12h`. It has to end before 2106-02-07T06:28:15Z.", 40)
        .pattern(Some(
            r"^([0-9]{1,3}w)?([0-9]{1,4}d)?([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,8}s)?([0-9]{1,9}ms)?$",
        ))
        .min_length(Some(2))
        .examples([json!("7d")]);
    Lifetime = AnyOfBuilder::new()
        .description(Some("How long a key lives, or `never`: it does not expire."))
        .item(Ref::from_schema_name(Span::name()))
        .item(ObjectBuilder::new().schema_type(Type::String).enum_values(Some([NEVER])));
    Counted = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["active"]));
    PageSize = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(1_000));
    Seq = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .description(Some("A place in a sequence."))
        .minimum(Some(0))
        .maximum(Some(u64::MAX as usize));
    KeyTime = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .description(Some("A time in Unix seconds, in the range of times in API keys."))
        .minimum(Some(0))
        .maximum(Some(u32::MAX));
    UseCount = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(u32::MAX));
    LogId = text("The id of a revocation log, in hexadecimal.", 32)
        .pattern(Some(r"^[0-9a-f]{32}$"))
        .min_length(Some(32))
        .examples([json!("e0e1e2e3e4e5e6e7e8e9eaebecedeeef")]);
    FollowerName = text("The name of a node or follower.", 128)
        .pattern(Some(r"^[A-Za-z0-9._:@-]+$"))
        .min_length(Some(1))
        .examples([json!("edge-1")]);
    MemberRole = ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("A service on the store, or what kind of follower it is."))
        .enum_values(Some(crate::store::Role::ALL.map(crate::store::Role::name)));
    FeedFormat = text("A format of the revocation feed.", 32)
        .pattern(Some(r"^[a-z0-9./_-]+$"))
        .min_length(Some(1))
        .examples([json!("feed/1")]);
    FeedNumber = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .description(Some("A number that every JSON reader has exactly."))
        .minimum(Some(0))
        .maximum(Some(9_007_199_254_740_991_usize));
    FeedTime = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .description(Some("A time in Unix seconds, up to the end of the year 9999."))
        .minimum(Some(0))
        .maximum(Some(LAST_SECOND as usize));
    Required = text(
        "What a gateway's route requires: parts such as `realm:live`, `scope:orders.read`, `aud:shop` and `from:x-api-key`, \
         joined by commas, in any order, their values percent-encoded where they have to be; or `-` for the defaults. The \
         realms have to be configured.",
        4_000,
    )
    .pattern(Some(r"^(-|(realm|scope|aud|from):[^,/]+(,(realm|scope|aud|from):[^,/]+)*)$"))
    .examples([json!("-")]);
    AppId = ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)));
    RealmOrNothing = or_nothing::<Realm>();
    AppIdOrNothing = or_nothing::<AppId>();
    PageSizeOrNothing = or_nothing::<PageSize>();
    Address = OneOfBuilder::new()
        .description(Some("An IPv4 or IPv6 address."))
        .item(ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::Ipv4))))
        .item(ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::Ipv6))));
    IdempotencyKey = text("Drawn anew for each thing to be done, which then is done once.", 255)
        .pattern(Some(r"^[\t -~]+$"))
        .min_length(Some(1))
        .examples([json!("order-7")]);
    Note = text("A note for the record: up to 200 characters in one line, and no API key among them.", 200)
        .pattern(Some(
            r"^[^\u0000-\u001F\u007F-\u009F\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069]*$",
        ))
        .examples([json!("leaked")]);
    ProcessName = text("What tells a process from others of its name.", 32)
        .min_length(Some(1)).pattern(Some("^[a-z0-9]+$")).examples([json!("9f86d081884c7d65")]);
    SignedMessage = text("A message of the feed, as it came: its lines, and the signature in the last one.", 2_048)
        .examples([json!("{\"bulla\":\"feed/1\",…}\n{\"signature\":\"…\"}\n")]);
    ReportText = text("Up to 300 characters in one line, and no API key among them.", 300)
        .pattern(Some(
            r"^[^\u0000-\u001F\u007F-\u009F\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069]*$",
        ))
        .examples([json!("0.1.0")]);
}

fn text(description: &str, longest: usize) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).description(Some(description)).max_length(Some(longest))
}

/// For a parameter of a query that may be empty: forms send every field.
fn or_nothing<T: ToSchema>() -> AnyOfBuilder {
    AnyOfBuilder::new().item(Ref::from_schema_name(T::name())).item(text("Nothing.", 0))
}

/// `true`.
pub(crate) fn yes() -> Object {
    ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([true])).build()
}

/// `false`.
pub(crate) fn no() -> Object {
    ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([false])).build()
}

/// The type of every token.
pub(crate) fn bearer() -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["Bearer"])).build()
}

/// Why a key is not active, where a caller may know.
pub(crate) fn inactive_error() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(
            "`insufficient_scope`: all is well but a wanted scope. `could_not_tell`, within a batch: ask again.",
        ))
        .enum_values(Some(["insufficient_scope", "could_not_tell"]))
        .build()
}
