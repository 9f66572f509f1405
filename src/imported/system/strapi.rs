//! Strapi: HMAC-SHA512 of the key, under the salt of its settings.

use super::{PLAIN, System, Times};
use crate::imported::{KeyLayout, Scheme};

pub(super) const SYSTEM: System = System {
    name: "strapi",
    about: "Strapi 5: API tokens, transfer tokens",
    header: "Authorization: Bearer KEY",
    export: "\\copy (SELECT access_key, name, created_at, expires_at FROM strapi_api_tokens) TO keys.csv CSV HEADER",
    secret: Some("admin.apiToken.salt (API_TOKEN_SALT), as ?encoding=text"),
    columns: &[
        ("id", ""),
        ("documentId", ""),
        ("document_id", ""),
        ("description", ""),
        ("kind", ""),
        ("type", ""),
        ("accessKey", "hash"),
        ("access_key", "hash"),
        ("encryptedKey", ""),
        ("encrypted_key", ""),
        ("createdAt", "issued_at"),
        ("created_at", "issued_at"),
        ("updatedAt", ""),
        ("updated_at", ""),
        ("publishedAt", ""),
        ("published_at", ""),
        ("lastUsedAt", ""),
        ("last_used_at", ""),
        ("expiresAt", "expires_at"),
        ("expires_at", "expires_at"),
        ("lifespan", ""),
        ("permissions", ""),
        ("adminPermissions", ""),
        ("admin_permissions", ""),
    ],
    // PostgreSQL and MySQL; SQLite has milliseconds.
    times: Times::Local("of Strapi's process"),
    layout: || KeyLayout::new(Scheme::HmacSha512),
    ..PLAIN
};
