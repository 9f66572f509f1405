//! Where the credentials for `aws-kms:` come from, and what is said where there are none: by the real command and
//! service, each with an environment of its own, against moto.

use std::{
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
};

use crate::support::{
    command::{bulla, finish},
    deployment::Deployment,
    process,
};
use crate::{
    parts::{
        moto::{Moto, REGION},
        world,
    },
    service::trusting,
};

fn uri(moto: &Moto) -> String {
    format!("aws-kms:{}?mode=derive&region={REGION}&endpoint={}", moto.hmac_key(), moto.url())
}

/// A command that has no credentials, and no metadata service that answers.
fn bare(deployment: &Deployment) -> Command {
    let mut command = bulla(deployment.path());
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED", "AWS_PROFILE", "AWS_REGION"]
    {
        command.env_remove(name);
    }
    command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", format!("http://127.0.0.1:{}/", process::free_port()));
    command
}

/// A file with profiles; `PROGRAM` in it becomes a program that prints credentials.
fn profiles(deployment: &Deployment, text: &str) -> std::path::PathBuf {
    let program = deployment.file("credentials.sh");
    let printed = r#"{"Version":1,"AccessKeyId":"from-a-program","SecretAccessKey":"a-secret"}"#;
    std::fs::write(&program, format!("#!/bin/sh\necho '{printed}'\n")).expect("writable");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("ours");
    let file = deployment.file("aws-config");
    std::fs::write(&file, text.replace("PROGRAM", &program.to_string_lossy())).expect("writable");
    file
}

#[test]
fn a_profile_may_name_a_program_that_prints_the_credentials() {
    world::folder();
    let uri = uri(Moto::get());
    let deployment = trusting(&[&uri]);
    let config = profiles(&deployment, "[profile program]\ncredential_process = PROGRAM\n");
    let stage = ["keyring", "stage", "--source", &uri];
    let with = |profile: &str| {
        let mut command = bare(&deployment);
        command.env("AWS_CONFIG_FILE", &config).env("AWS_PROFILE", profile).args(stage);
        finish(&mut command, "")
    };
    with("program").ok();
    let missing = with("nobody");
    assert!(missing.err.contains("AWS credentials"), "{}", missing.err);
    assert!(missing.err.contains("nobody"), "the reason: {}", missing.err);
}

#[test]
fn a_profile_that_wants_a_browser_says_so() {
    world::folder();
    let uri = uri(Moto::get());
    let deployment = trusting(&[&uri]);
    let text = "[profile person]\nsso_session = one\nsso_account_id = 111122223333\nsso_role_name = reader\n\
                [sso-session one]\nsso_region = eu-central-1\nsso_start_url = https://example.awsapps.com/start\n";
    let config = profiles(&deployment, text);
    let mut command = bare(&deployment);
    command.env("AWS_CONFIG_FILE", &config).env("AWS_PROFILE", "person").args(["keyring", "stage", "--source", &uri]);
    let ran = finish(&mut command, "");
    assert!(ran.err.contains("the AWS profile wants a login by SSO, which a service cannot make"), "{}", ran.err);
}

/// Whether `serve --wait-for-source` waits; else what it ended with.
fn waits(command: &mut Command) -> Result<String, String> {
    command.args(["serve", "--wait-for-source", "--data-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    let mut child = command.stderr(Stdio::piped()).spawn().expect("bulla starts");
    let mut said = String::new();
    for line in BufReader::new(child.stderr.take().expect("its log")).lines().map_while(Result::ok) {
        said.push_str(&line);
        if line.contains("waiting for a key source") {
            child.kill().expect("it waits");
            child.wait().expect("it was killed");
            return Ok(said);
        }
    }
    child.wait().expect("it has ended");
    Err(said)
}

#[test]
fn a_service_waits_for_a_metadata_service_and_not_for_a_setting() {
    world::folder();
    let moto = Moto::get();
    let uri = format!("aws-kms:{}?mode=derive&endpoint={}", moto.hmac_key(), moto.url());
    let deployment = trusting(&[&uri]);
    let mut stage = bulla(deployment.path());
    finish(stage.env("AWS_REGION", REGION).args(["keyring", "stage", "--source", &uri]), "");

    let said = waits(bare(&deployment).env("AWS_REGION", REGION)).expect("the metadata service may come up");
    assert!(said.contains("metadata service does not answer"), "{said}");
    let container = format!("http://127.0.0.1:{}/credentials", process::free_port());
    let said = waits(bare(&deployment).env("AWS_REGION", REGION).env("AWS_CONTAINER_CREDENTIALS_FULL_URI", container));
    let said = said.expect("the container's credentials may come up");
    assert!(said.contains("their provider failed or does not answer"), "{said}");
    let none = waits(bare(&deployment).env("AWS_REGION", REGION).env("AWS_EC2_METADATA_DISABLED", "true"));
    let none = none.expect_err("no credentials come by themselves");
    assert!(none.contains("there are no AWS credentials here"), "{none}");
    let empty = waits(bulla(deployment.path()).env("AWS_REGION", "")).expect_err("no region comes by itself");
    assert!(empty.contains("no region, or an empty one"), "{empty}");
}
