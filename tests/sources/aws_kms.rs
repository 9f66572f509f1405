//! `aws-kms:` against moto, in both modes.

use std::cell::RefCell;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use bulla::{
    keyring::{KeyVersion, KeyringId, SourceRecord},
    source::{EncryptionContext, SourceErrorKind, SourceUri},
};

use crate::{
    contract::{Contract, opener, record, refused, refused_uri, software},
    parts::{
        answering::Answering,
        cable::Cable,
        moto::{Moto, REGION},
        world,
    },
};

fn moto() -> &'static Moto {
    world::folder();
    Moto::get()
}

fn uri(key: &str, mode: &str, port: u16) -> String {
    format!("aws-kms:{key}?mode={mode}&region={REGION}&endpoint=http://127.0.0.1:{port}")
}

fn wrapped(uri: &str, blob: &str) -> SourceRecord {
    SourceRecord { wrapped: Some(blob.to_owned()), ..record(uri) }
}

/// What ties a wrapped key to its place, as `aws` wants it.
fn context(keyring: KeyringId, version: u32) -> String {
    format!("app=bulla,version={version},keyring={keyring}")
}

fn binding(keyring: KeyringId) -> EncryptionContext<'static> {
    EncryptionContext { keyring, version: Some(KeyVersion::FIRST), wrapped: None }
}

#[test]
fn derive_serves_as_the_aws_command_line_does() {
    let moto = moto();
    let (key, other) = (moto.hmac_key(), uri(&moto.hmac_key(), "derive", moto.port));
    let device = uri(&key, "derive", moto.port);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/examples/exec/aws-kms-mac.sh");
    let direct = format!("exec:{script} {key} --region {REGION} --endpoint-url {}", moto.url());
    let contract = Contract {
        opener: opener(),
        device: &|_| record(&device),
        same: &|_| record(&direct),
        other: &|_| record(&other),
    };
    contract.same_bytes();
}

#[test]
fn unwrap_serves_as_software_does() {
    let moto = moto();
    let key = moto.wrapping_key();
    let device = uri(&key, "unwrap", moto.port);
    let of = |file: &'static str| {
        let (key, device) = (key.clone(), device.clone());
        move |id| wrapped(&device, &moto.wrap(&key, file, &context(id, 1)))
    };
    Contract { opener: opener(), device: &of("master.raw"), same: &software, other: &of("other.raw") }.same_bytes();
}

#[test]
fn a_kms_goes_away_and_comes_back() {
    let moto = moto();
    let cable = RefCell::new(Cable::to(moto.port));
    let device = uri(&moto.hmac_key(), "derive", cable.borrow().port);
    let other = |_| record("file:other.key");
    let contract =
        Contract { opener: opener(), device: &|_| record(&device), same: &|_| record(&device), other: &other };
    contract.outage(|| cable.borrow_mut().cut(), "AWS KMS cannot be reached", || cable.borrow_mut().repair());
}

#[test]
fn a_new_key_is_made_wrapped_and_wrapped_again_under_a_second_one() {
    let moto = moto();
    let opener = opener();
    let id = KeyringId::random().expect("random");
    let parse = |uri: String| uri.parse::<SourceUri>().expect("a URI");
    let first = parse(uri(&moto.wrapping_key(), "unwrap", moto.port));
    let second = parse(uri(&moto.wrapping_key(), "unwrap", moto.port));
    let derive = parse(uri(&moto.hmac_key(), "derive", moto.port));
    let file = parse("file:master.key".to_owned());

    let made = opener.wrap_new_key(&first, binding(id)).expect("KMS makes one").expect("it is wrapped");
    let bound = EncryptionContext { wrapped: Some(&made), ..binding(id) };
    let again = opener.wrap_same_key(&first, bound, &second).expect("both serve").expect("it is wrapped");
    let sources =
        vec![wrapped(&first.to_string(), &BASE64.encode(&made)), wrapped(&second.to_string(), &BASE64.encode(&again))];
    crate::contract::document(id, sources, &opener).expect("both hold the same key");

    let from_file = opener.wrap_same_key(&file, binding(id), &first).expect("it serves").expect("it is wrapped");
    let sources = vec![wrapped(&first.to_string(), &BASE64.encode(&from_file)), record("file:master.key")];
    crate::contract::document(id, sources, &opener).expect("both hold the same key");

    assert_eq!(opener.wrap_new_key(&derive, binding(id)), Ok(None), "it keeps its key itself");
    assert_eq!(opener.wrap_new_key(&file, binding(id)), Ok(None), "it keeps its key itself");
    let error = opener.wrap_same_key(&derive, binding(id), &first).expect_err("it does not hand its key out");
    assert_eq!(error.kind(), SourceErrorKind::Unsupported);
}

#[test]
fn a_wrapped_key_opens_only_where_it_belongs() {
    let moto = moto();
    let id = KeyringId::random().expect("random");
    let (key, other_key) = (moto.wrapping_key(), moto.wrapping_key());
    let device = uri(&key, "unwrap", moto.port);
    let says = "wrapped for another keyring or version";
    let blob = moto.wrap(&key, "master.raw", &context(id, 2));
    refused(&opener(), wrapped(&device, &blob), SourceErrorKind::Malformed, says);
    let blob = moto.wrap(&key, "master.raw", &context(KeyringId::from_bytes([9; 16]), 1));
    refused(&opener(), wrapped(&device, &blob), SourceErrorKind::Malformed, says);

    let of = |key: &str| moto.wrap(key, "master.raw", "app=bulla");
    let mut bytes = BASE64.decode(of(&key)).expect("base64");
    *bytes.last_mut().expect("not empty") ^= 1;
    refused(
        &opener(),
        wrapped(&device, &BASE64.encode(bytes)),
        SourceErrorKind::Malformed,
        "does not open: it is damaged",
    );
    refused(
        &opener(),
        wrapped(&uri("no-such-key", "unwrap", moto.port), &of(&other_key)),
        SourceErrorKind::Missing,
        "no such key",
    );
    refused(&opener(), record(&device), SourceErrorKind::Missing, "no wrapped key");
}

#[test]
fn every_mistake_is_named() {
    let moto = moto();
    let key = moto.hmac_key();
    let good = uri(&key, "derive", moto.port);
    refused_uri(
        &uri("no-such-key", "derive", moto.port),
        SourceErrorKind::Missing,
        "no such key in this account and region",
    );
    refused_uri(&good.replace(REGION, "us-east-1"), SourceErrorKind::Missing, "no such key in this account and region");
    refused_uri(&uri(&moto.wrapping_key(), "derive", moto.port), SourceErrorKind::Malformed, "of the wrong kind");
    refused_uri(&uri(&key, "sideways", moto.port), SourceErrorKind::Uri, "mode=derive for");
    refused_uri(&good.replace("mode=derive&", ""), SourceErrorKind::Uri, "`mode` is missing");
    refused_uri(&good.replace(&format!("region={REGION}&"), ""), SourceErrorKind::Uri, "no region");
    refused_uri(&good.replace("127.0.0.1", "kms.example"), SourceErrorKind::Uri, "use https");
    refused_uri(&format!("{good}&colour=red"), SourceErrorKind::Uri, "no parameter `colour`");
}

#[test]
fn what_may_pass_is_told_from_what_is_final() {
    world::folder();
    let refused = |status: u16, code: &str, problem, says: &str| {
        let body = format!("{{\"__type\":\"{code}\",\"message\":\"said\"}}");
        let kms = Answering::always(status, "application/x-amz-json-1.1", &body);
        refused_uri(&uri("a-key", "derive", kms.port), problem, says);
    };
    for (status, code) in [
        (400, "ThrottlingException"),
        (400, "LimitExceededException"),
        (429, "TooManyRequestsException"),
        (429, "NobodyKnowsThisOne"),
    ] {
        refused(status, code, SourceErrorKind::Busy, "limits the rate");
    }
    for (status, code) in [(500, "InternalFailure"), (503, "ServiceUnavailable"), (503, "NobodyKnowsThisOne")] {
        refused(status, code, SourceErrorKind::Unreachable, "failing: try again");
    }
    for code in ["IncompleteSignatureException", "MissingAuthenticationTokenException", "RequestExpired"] {
        refused(400, code, SourceErrorKind::Denied, "does not take these credentials");
    }
    refused(400, "AccessDeniedException", SourceErrorKind::Denied, "allow kms:GenerateMac");
    refused(400, "NobodyKnowsThisOne", SourceErrorKind::Malformed, "refuses the request");
    let proxy = Answering::always(502, "text/html", "<html>Bad Gateway</html>");
    refused_uri(&uri("a-key", "derive", proxy.port), SourceErrorKind::Unreachable, "AWS KMS");
}

#[test]
fn each_refusal_names_the_permission_that_is_missing() {
    world::folder();
    let kms = Answering::always(400, "application/x-amz-json-1.1", "{\"__type\":\"AccessDeniedException\"}");
    let parse = |uri: String| uri.parse::<SourceUri>().expect("a URI");
    let device = parse(uri("a-key", "unwrap", kms.port));
    let id = KeyringId::random().expect("random");
    let says = |error: bulla::source::SourceError, says: &str| assert!(error.to_string().contains(says), "{error}");
    let made = opener().wrap_new_key(&device, binding(id)).expect_err("it is denied");
    says(made, "allow kms:GenerateDataKeyWithoutPlaintext");
    let again = opener().wrap_same_key(&parse("file:master.key".to_owned()), binding(id), &device);
    says(again.expect_err("it is denied"), "allow kms:Encrypt");
    refused(&opener(), wrapped(&device.to_string(), "AAAA"), SourceErrorKind::Denied, "allow kms:Decrypt");
}

#[test]
fn a_key_is_named_by_its_alias_or_an_arn_and_an_arn_needs_no_region() {
    let moto = moto();
    let key = moto.hmac_key();
    let by_id = uri(&key, "derive", moto.port);
    moto.aws(&["kms", "create-alias", "--alias-name", "alias/named", "--target-key-id", &key]);
    let arn = moto.aws(&["kms", "describe-key", "--key-id", &key, "--query", "KeyMetadata.Arn"]);
    let of_alias = arn.replace(&format!("key/{key}"), "alias/named");
    let without_region = |name: &str| format!("aws-kms:{name}?mode=derive&endpoint={}", moto.url());
    let sources = [by_id, uri("alias/named", "derive", moto.port), without_region(&arn), without_region(&of_alias)];
    let id = KeyringId::random().expect("random");
    crate::contract::document(id, sources.iter().map(|uri| record(uri)).collect(), &opener()).expect("all are one key");
}

#[test]
fn a_key_of_two_regions_is_the_same_in_both() {
    let moto = moto();
    let of = ["--key-spec", "HMAC_256", "--key-usage", "GENERATE_VERIFY_MAC", "--query", "KeyMetadata.KeyId"];
    let key = moto.aws(&[&["kms", "create-key", "--multi-region"], &of[..]].concat());
    moto.aws(&["kms", "replicate-key", "--key-id", &key, "--replica-region", "us-east-1"]);
    let here = uri(&key, "derive", moto.port);
    let there = here.replace(REGION, "us-east-1");
    let other = uri(&moto.hmac_key(), "derive", moto.port);
    let contract = Contract {
        opener: opener(),
        device: &|_| record(&here),
        same: &|_| record(&there),
        other: &|_| record(&other),
    };
    contract.same_bytes();
}

#[test]
fn credentials_that_may_not_use_the_key_are_refused() {
    world::folder();
    let moto = Moto::strict();
    let key = moto.hmac_key();
    refused_uri(&uri(&key, "derive", moto.port), SourceErrorKind::Denied, "AWS");
}

#[tokio::test]
async fn it_works_inside_a_runtime() {
    let moto = moto();
    let device = uri(&moto.hmac_key(), "derive", moto.port);
    let id = KeyringId::random().expect("random");
    crate::contract::document(id, vec![record(&device)], &opener()).expect("it serves and is dropped here");
}
