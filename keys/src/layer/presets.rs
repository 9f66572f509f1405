//! How the clients of other systems send their API keys: for keys that were imported from there and stay in their
//! owners' hands.

use std::borrow::Cow;

use super::form::Form;

const AUTHORIZATION: &str = "authorization";

/// What the clients of one system send: headers, in lower case, and the form of the key in each.
type Preset = [(&'static str, Form)];

const fn scheme(name: &'static str) -> (&'static str, Form) {
    (AUTHORIZATION, Form::Scheme(Cow::Borrowed(name)))
}

const fn value(header: &'static str) -> (&'static str, Form) {
    (header, Form::Value)
}

const BASIC: (&str, Form) = (AUTHORIZATION, Form::Basic);

static BULLA: &Preset = &[scheme("Bearer"), BASIC, value("x-api-key")];
static BEARER: &Preset = &[scheme("Bearer")];
static X_API_KEY: &Preset = &[value("x-api-key")];
static TOKEN: &Preset = &[scheme("Token")];
static API_KEY: &Preset = &[scheme("Api-Key")];
static JUPYTERHUB: &Preset = &[scheme("Token"), scheme("Bearer")];
static PAYLOAD: &Preset = &[scheme("users API-Key")];
// Medusa takes `Basic sk_…` as well as base64 of it.
static MEDUSA: &Preset = &[BASIC, scheme("Basic")];
static ELASTICSEARCH: &Preset = &[scheme("ApiKey")];
static GITEA: &Preset = &[scheme("Token"), scheme("Bearer"), BASIC];
static GITLAB: &Preset = &[value("private-token"), value("deploy-token"), value("job-token"), scheme("Bearer"), BASIC];
static GRAFANA: &Preset = &[scheme("Bearer"), BASIC];
static KONG: &Preset = &[value("apikey")];
static KEYSHIELD: &Preset = &[scheme("Bearer"), value("x-api-key")];
static LITELLM: &Preset = &[
    scheme("Bearer"),
    ("x-litellm-api-key", Form::Scheme(Cow::Borrowed("Bearer"))),
    value("x-litellm-api-key"),
    value("api-key"),
    value("x-api-key"),
    value("x-goog-api-key"),
];
static N8N: &Preset = &[value("x-n8n-api-key")];
static BARE: &Preset = &[value(AUTHORIZATION)];
static NETBOX: &Preset = &[scheme("Token"), scheme("Bearer")];

/// All presets. The names are those of packages and projects, as `bulla keys import --from` knows them.
pub(super) static PRESETS: &[(&str, &Preset)] = &[
    ("adonisjs", BEARER),
    ("better-auth", X_API_KEY),
    ("bulla", BULLA),
    ("directus", BEARER),
    ("django-oauth-toolkit", BEARER),
    ("django-rest-knox", TOKEN),
    ("django-rest-knox-3", TOKEN),
    ("django-rest-knox-4", TOKEN),
    ("djangorestframework", TOKEN),
    ("djangorestframework-api-key", API_KEY),
    ("drf-simple-apikey", API_KEY),
    ("elasticsearch", ELASTICSEARCH),
    ("fastapi-api-key", KEYSHIELD),
    ("flask-appbuilder", BEARER),
    ("flowise", BEARER),
    ("flowise-scrypt", BEARER),
    ("gitea", GITEA),
    ("gitlab", GITLAB),
    ("grafana", GRAFANA),
    ("grafana-api-key", GRAFANA),
    ("indico", BEARER),
    ("jupyterhub", JUPYTERHUB),
    ("keyshield", KEYSHIELD),
    ("keyshield-bcrypt", KEYSHIELD),
    ("kong", KONG),
    ("langflow", X_API_KEY),
    ("laravel-sanctum", BEARER),
    ("litellm", LITELLM),
    ("medusa", MEDUSA),
    ("n8n", N8N),
    ("netbox", NETBOX),
    ("open-webui", BEARER),
    ("payload", PAYLOAD),
    ("payload-sha1", PAYLOAD),
    ("posthog", BEARER),
    ("prefixed-api-key", BEARER),
    ("strapi", BEARER),
    ("unleash", BARE),
    ("unleash-v2", BARE),
    ("zenml", BEARER),
];

/// The preset of this name.
pub(super) fn find(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|(preset, _)| *preset == name).map(|(_, places)| *places)
}
