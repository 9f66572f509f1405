// Makes keys and rows with the code of npm packages, and writes them as fixtures into the folder of the first argument: all, or those of
// the names behind it. Called by `record`, in the folder of the packages, and by tests for what makes its keys in no time.
import crypto from "node:crypto";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(path.join(process.cwd(), "x.js"));
const [folder, ...wanted] = process.argv.slice(2);
const APP = "3f2b8c1e-9a7d-4d52-8a55-0123456789ab";
const SECRET = "a secret of the old system: 7f3a, longer than thirty-two characters";

const changed = (key) => key.slice(0, -5) + (key.at(-5) === "a" ? "b" : "a") + key.slice(-4);

function write(name, pack, how, args, rows, keys, { wrong, secret } = {}) {
  if (wanted.length && !wanted.includes(name)) return;
  const text = rows.map((row) => JSON.stringify(row) + "\n").join("");
  const fixture = { package: pack, how, arguments: args, format: "jsonl", rows: text, keys, wrong: wrong ?? [changed(keys[0])] };
  if (secret) fixture.secret = { text: secret, encoding: "text" };
  fs.writeFileSync(path.join(folder, `${name}.json`), JSON.stringify(fixture, null, 1) + "\n");
  console.log(name);
}

const of = (system, ...more) => ["--from", system, "--app", APP, ...more];
const unpacked = (file) => path.join(process.cwd(), "unpacked", file);

async function betterAuth() {
  const { betterAuth } = await import("better-auth");
  const { memoryAdapter } = await import("better-auth/adapters/memory");
  const { apiKey } = await import("@better-auth/api-key");
  const tables = { user: [], session: [], account: [], verification: [], apikey: [] };
  const auth = betterAuth({
    database: memoryAdapter(tables), secret: SECRET, baseURL: "http://localhost", emailAndPassword: { enabled: true }, plugins: [apiKey()],
  });
  const { user } = await auth.api.signUpEmail({ body: { email: "a@example.org", password: "0123456789", name: "a" } });
  const keys = [];
  for (const prefix of ["", "acme_"]) {
    const made = await auth.api.createApiKey({ body: { userId: user.id, name: "a", ...(prefix && { prefix }) } });
    keys.push(made.key);
  }
  write("better-auth", "@better-auth/api-key@1.7.5", "run", of("better-auth"), tables.apikey, keys);
}

async function prefixed() {
  const { generateAPIKey } = require("prefixed-api-key");
  const { shortToken, longTokenHash, token } = await generateAPIKey({ keyPrefix: "mycompany" });
  write("prefixed-api-key", "prefixed-api-key@1.1.1", "run", of("prefixed-api-key", "--prefix", "mycompany_"), [{ shortToken, longTokenHash }], [token]);
}

async function argon2() {
  const argon2 = require("argon2");
  const make = async (options) => {
    const text = `sk_live_${crypto.randomBytes(4).toString("hex")}_${crypto.randomBytes(24).toString("hex")}`;
    return [{ app_id: APP, public: text.split("_")[2], hash: await argon2.hash(text, options) }, text];
  };
  const args = ["--scheme", "argon2id", "--prefix", "sk_live_", "--separator", "_"];
  const plain = [await make({}), await make({ associatedData: Buffer.from("context") })];
  write("argon2-npm", "argon2@0.45.1 (npm)", "run", args, plain.map(([row]) => row), plain.map(([, key]) => key));
  const [row, key] = await make({ secret: Buffer.from(SECRET) });
  write("argon2-npm-secret", "argon2@0.45.1 (npm), with secret", "run", [...args, "--secret", "old"], [row], [key], { secret: SECRET });
}

async function bcryptjs() {
  const bcrypt = require("bcryptjs");
  const text = `sk_live_${crypto.randomBytes(4).toString("hex")}_${crypto.randomBytes(24).toString("hex")}`;
  const row = { app_id: APP, public: text.split("_")[2], hash: bcrypt.hashSync(text, 8) };
  write("bcryptjs", "bcryptjs@3.0.3", "run", ["--scheme", "bcrypt", "--prefix", "sk_live_", "--separator", "_"], [row], [text]);
}

async function adonis() {
  const { AccessToken } = await import("@adonisjs/auth/access_tokens");
  const keys = [], rows = [];
  for (const number of [17, 18]) {
    const transient = AccessToken.createTransientToken(7, 40, undefined);
    const token = new AccessToken({
      identifier: number, tokenableId: 7, type: "auth_token", hash: transient.hash, createdAt: new Date(), updatedAt: new Date(),
      lastUsedAt: null, expiresAt: null, abilities: ["*"], prefix: "oat_", secret: transient.secret,
    });
    keys.push(token.value.release());
    rows.push({ id: number, tokenable_id: 7, type: "auth_token", name: "a", hash: transient.hash, abilities: '["*"]', created_at: "2026-01-02 03:04:05.678+00", updated_at: "2026-01-02 03:04:05.678+00", last_used_at: null, expires_at: null });
  }
  write("adonisjs", "@adonisjs/auth@10.1.0", "run", of("adonisjs"), rows, keys);
}

async function payload() {
  const { setAPIKeyIndex } = await import(unpacked("payload/dist/auth/baseFields/apiKey/setAPIKeyIndex.js"));
  // dist/index.js: this.secret
  const derived = crypto.createHash("sha256").update(SECRET).digest("hex").slice(0, 32);
  const index = fs.readFileSync(unpacked("payload/dist/index.js"), "utf8");
  if (!index.includes("createHash('sha256').update(this.config.secret).digest('hex').slice(0, 32)")) throw new Error("payload derives its secret otherwise");
  const apiKey = crypto.randomUUID();
  const apiKeyIndex = setAPIKeyIndex({ data: { apiKey, enableAPIKey: true }, siblingData: {}, req: { payload: { secret: derived } } });
  // As PostgreSQL has a user, with a password, too.
  const row = (api_key_index) => ({
    id: 1, updated_at: "2026-01-02 03:04:05.678+00", created_at: "2026-01-02 03:04:05.678+00", enable_a_p_i_key: true, api_key: "encrypted",
    api_key_index, email: "a@example.org", reset_password_token: null, reset_password_expiration: null,
    salt: crypto.randomBytes(32).toString("hex"), hash: crypto.randomBytes(512).toString("hex"), login_attempts: 0, lock_until: null,
  });
  write("payload", "payload@3.90.2", "run", of("payload"), [row(apiKeyIndex)], [apiKey], { secret: SECRET });
  const older = crypto.createHmac("sha1", derived).update(apiKey).digest("hex");
  write("payload-sha1", "payload before 3.46", "documented", of("payload-sha1"), [row(older)], [apiKey], { secret: SECRET });
}

async function medusa() {
  const source = fs.readFileSync(unpacked("@medusajs/api-key/dist/services/api-key-module-service.js"), "utf8");
  const redact = new Function("key", /const redactKey = \(key\) => \{([^}]*)\}/.exec(source)[1]);
  if (!source.includes("(await scrypt(token, salt, 64)).toString(\"hex\")")) throw new Error("medusa hashes otherwise");
  const rows = [], keys = [];
  for (let number = 0; number < 2; number += 1) {
    const token = "sk_" + crypto.randomBytes(32).toString("hex");
    const salt = crypto.randomBytes(16).toString("hex");
    rows.push({ id: `apk_${number}`, token: crypto.scryptSync(token, salt, 64).toString("hex"), salt, redacted: redact(token), title: "a", type: "secret", last_used_at: null, created_by: "user_1", created_at: "2026-01-02 03:04:05.678+00", revoked_by: null, revoked_at: null, updated_at: "2026-01-02 03:04:05.678+00", deleted_at: null });
    keys.push(token);
  }
  write("medusa", "@medusajs/api-key@2.21.2", "extracted", of("medusa"), rows, keys, { wrong: [changed(keys[0])] });
}

async function strapi() {
  const file = unpacked("@strapi/admin/dist/server/server/src/services/api-token.js");
  const source = fs.readFileSync(file, "utf8");
  const found = /createHmac\('sha512', [^)]*\)\.update\(accessKey\)\.digest\('hex'\)/.exec(source);
  if (!found) throw new Error("strapi hashes otherwise");
  const accessKey = crypto.randomBytes(128).toString("hex");
  const hash = crypto.createHmac("sha512", SECRET).update(accessKey).digest("hex");
  // As PostgreSQL has it.
  const row = {
    id: 1, document_id: "a", name: "a", description: "", kind: "content-api", type: "read-only", access_key: hash, encrypted_key: null, last_used_at: null,
    expires_at: "2100-01-01 00:00:00", lifespan: null, created_at: "2026-01-02 03:04:05.678", updated_at: "2026-01-02 03:04:05.678",
    published_at: "2026-01-02 03:04:05.678", created_by_id: null, updated_by_id: null, locale: null,
  };
  write("strapi", "@strapi/admin@5.54.0", "extracted", of("strapi", "--zone", "UTC"), [row], [accessKey], { secret: SECRET });
}

async function flowise() {
  const { generateAPIKey, generateSecretHash } = require(unpacked("flowise/dist/utils/apiKey.js"));
  const apiKey = generateAPIKey();
  write("flowise", "flowise@3.1.4", "run", of("flowise"), [{ id: crypto.randomUUID(), apiKey, apiSecret: generateSecretHash(apiKey), keyName: "a", permissions: "[]", updatedDate: "2026-01-02 03:04:05", workspaceId: "w" }], [apiKey]);
  const keys = [generateAPIKey(), generateAPIKey()];
  const rows = keys.map((key) => ({ public: key.slice(0, 8), apiSecret: generateSecretHash(key), keyName: "a", permissions: "[]", workspaceId: "w" }));
  write("flowise-scrypt", "flowise@3.1.4", "run", of("flowise-scrypt"), rows, keys);
}

async function n8n() {
  const source = fs.readFileSync(unpacked("n8n/dist/services/public-api-key.service.js"), "utf8");
  const signed = "sign({ sub: user.id, iss: exports.API_KEY_ISSUER, aud: exports.API_KEY_AUDIENCE, jti: (0, crypto_1.randomUUID)() }, { ...(expiresAt && { expiresIn: expiresAt - nowInSeconds }) })";
  if (!source.includes(signed)) throw new Error("n8n signs otherwise");
  const [issuer, audience] = ["ISSUER", "AUDIENCE"].map((name) => new RegExp(`API_KEY_${name} = '([^']*)'`).exec(source)[1]);
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const keys = [{}, { exp: 4102444800 }].map((more) => {
    const claims = { sub: crypto.randomUUID(), iss: issuer, aud: audience, jti: crypto.randomUUID(), iat: 1770000000, ...more };
    const text = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
    return `${text}.${crypto.createHmac("sha256", SECRET).update(text).digest("base64url")}`;
  });
  const rows = keys.map((apiKey, number) => ({
    id: String(number), userId: crypto.randomUUID(), label: "a", apiKey, createdAt: "2026-01-02 03:04:05.678+00", updatedAt: "2026-01-02 03:04:05.678+00",
    scopes: ["workflow:read"], audience, lastUsedAt: null,
  }));
  write("n8n", "n8n@2.41.3", "extracted", of("n8n"), rows, keys);
}

async function unleash() {
  const source = fs.readFileSync(unpacked("unleash-server/dist/lib/services/api-token-service.js"), "utf8");
  const made = new Function("crypto", "{ projects, environment }", /generateSecretKey\(\{ projects, environment \}\) \{([^]*?)\n {4}\}/.exec(source)[1]);
  const keys = [["*"], ["a", "b"]].map((projects) => made(crypto, { projects, environment: "development" }));
  const rows = keys.map((secret) => ({
    secret, username: "a", type: "client", created_at: "2026-01-02 03:04:05.678901+00", expires_at: null, seen_at: null, environment: "development",
    alias: null, token_name: "a", created_by_user_id: 1,
  }));
  write("unleash", "unleash-server@7.5.1", "extracted", of("unleash"), rows, keys);
}

const makers = { "better-auth": betterAuth, "prefixed-api-key": prefixed, "argon2-npm": argon2, bcryptjs, adonisjs: adonis, payload, medusa, strapi, flowise, n8n, unleash };
for (const [name, make] of Object.entries(makers)) {
  if (!wanted.length || wanted.some((one) => one.startsWith(name))) await make();
}
