//! Payload: an HMAC of the key, under the first 32 characters of SHA-256(PAYLOAD_SECRET) in hexadecimal.

use super::{PLAIN, System};
use crate::imported::{Derived, KeyLayout, Scheme};

pub(super) const SYSTEM: System = System {
    name: "payload",
    about: "Payload 3.46 and later",
    header: "Authorization: users API-Key KEY",
    export: "\\copy (SELECT api_key_index, enable_a_p_i_key, id FROM users WHERE api_key_index IS NOT NULL) TO keys.csv CSV HEADER",
    secret: Some("PAYLOAD_SECRET itself, as ?encoding=text"),
    columns: &[
        ("id", ""),
        ("apiKeyIndex", "hash"),
        ("api_key_index", "hash"),
        ("apiKey", ""),
        ("api_key", ""),
        ("enableAPIKey", "enabled"),
        ("enable_a_p_i_key", "enabled"),
        // Of the user, who has a password, too.
        ("hash", ""),
        ("salt", ""),
        ("email", ""),
        ("username", ""),
        ("resetPasswordToken", ""),
        ("reset_password_token", ""),
        ("resetPasswordExpiration", ""),
        ("reset_password_expiration", ""),
        ("resetPasswordRequestedAt", ""),
        ("reset_password_requested_at", ""),
        ("loginAttempts", ""),
        ("login_attempts", ""),
        // Until when passwords are not accepted: keys are.
        ("lockUntil", ""),
        ("lock_until", ""),
        ("_verificationToken", ""),
        ("_verificationtoken", ""),
        ("_verification_token", ""),
        // Users that are not verified, or deleted, have no access.
        ("_verified", "enabled"),
        ("deletedAt", "disabled"),
        ("deleted_at", "disabled"),
        ("_status", ""),
        ("sessions", ""),
        ("createdAt", ""),
        ("created_at", ""),
        ("updatedAt", ""),
        ("updated_at", ""),
    ],
    layout: || KeyLayout { derived: Some(Derived::Sha256Hex32), ..KeyLayout::new(Scheme::HmacSha256) },
    ..PLAIN
};
