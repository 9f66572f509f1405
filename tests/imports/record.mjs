// Makes keys and rows with the code of npm packages, and writes them as fixtures into the folder of the first argument: all, or those of
// the names behind it. Called by `record`, in the folder of the packages, and by tests for what makes its keys in no time.
import crypto from "node:crypto";
import fs from "node:fs";
import { builtinModules, createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(path.join(process.cwd(), "x.js"));
const [folder, ...wanted] = process.argv.slice(2);
const APP = "3f2b8c1e-9a7d-4d52-8a55-0123456789ab";
const SECRET = "a secret of the old system: 7f3a, longer than thirty-two characters";

const lines = (rows) => rows.map((row) => JSON.stringify(row) + "\n").join("");
const changed = (key) => key.slice(0, -5) + (key.at(-5) === "a" ? "b" : "a") + key.slice(-4);

function write(name, pack, how, args, rows, keys, { wrong, secret, ...more } = {}) {
  if (wanted.length && !wanted.includes(name)) return;
  const fixture = { package: pack, how, arguments: args, format: "jsonl", rows: lines(rows), keys, wrong: wrong ?? [changed(keys[0])], ...more };
  if (secret) fixture.secret = { text: secret, encoding: "text" };
  fs.writeFileSync(path.join(folder, `${name}.json`), JSON.stringify(fixture, null, 1) + "\n");
  console.log(name);
}

const of = (system, ...more) => ["--from", system, "--app", APP, ...more];
const unpacked = (file) => path.join(process.cwd(), "unpacked", file);

// Takes any call, and answers with itself. It is no promise.
const anything = new Proxy(function () {}, {
  get: (target, name) => (name in target || name === "then" ? target[name] : anything), apply: () => anything, construct: () => anything,
});

// Runs a CommonJS file of a service without what it requires, except for what is `given` and what Node.js has.
function loaded(file, given = {}) {
  const required = (name) => given[name] ?? (builtinModules.includes(name.replace(/^node:/, "")) ? require(name) : anything);
  const module = { exports: {} };
  // TypeScript's helpers are taken from `this` where it has them: decorators change nothing here.
  const helpers = { __decorate: (_, target) => target, __metadata: () => undefined };
  new Function("require", "exports", "module", fs.readFileSync(unpacked(file), "utf8")).call(helpers, required, module.exports, module);
  return module.exports;
}

const RUN = Symbol("a file to run as well");

// The same for an ES module. What it imports is given by the end of its name.
function loadedModule(file, given = {}) {
  const required = (name) => {
    const full = name.startsWith(".") ? path.join(path.dirname(file), name) : name;
    const end = Object.keys(given).find((end) => full.endsWith(end));
    if (end) return given[end] === RUN ? loadedModule(full, given) : given[end];
    return builtinModules.includes(name.replace(/^node:/, "")) ? require(name) : anything;
  };
  const source = fs.readFileSync(unpacked(file), "utf8")
    .replaceAll(/^import "(.*)";$/gm, "")
    .replaceAll(/^import (\w+), (\{.*\}) from (".*");$/gm, "import $1 from $3;\nimport $2 from $3;")
    .replaceAll(/^import (\w+) from (".*");$/gm, "const $1 = required($2).default ?? required($2);")
    .replaceAll(/^import (\{.*\}) from (".*");$/gm, (_, names, from) => `const ${names.replaceAll(" as ", ": ")} = required(${from});`)
    .replace(/^export \{(.*)\};?$/m, (_, names) => `return {${names.replaceAll(/([\w$]+) as ([\w$]+)/g, "$2: $1")}};`)
    .replaceAll("import.meta.url", JSON.stringify(pathToFileURL(unpacked(file))));
  return new Function("required", source)(required);
}

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
  const { apiKeyFields } = await import(unpacked("payload-3.45.0/dist/auth/baseFields/apiKey.js"));
  // The line that sets `this.secret`.
  const derived = (version) => {
    const [, expression] = /this\.secret = (crypto\..*);/.exec(fs.readFileSync(unpacked(`${version}/dist/index.js`), "utf8"));
    return new Function("crypto", `return ${expression}`).call({ config: { secret: SECRET } }, crypto);
  };
  const asked = (version, apiKey) => ({
    data: { apiKey, enableAPIKey: true }, siblingData: {}, req: { payload: { secret: derived(version) } },
  });
  // As PostgreSQL has a user, with a password, too.
  const row = (api_key_index) => ({
    id: 1, updated_at: "2026-01-02 03:04:05.678+00", created_at: "2026-01-02 03:04:05.678+00", enable_a_p_i_key: true, api_key: "encrypted",
    api_key_index, email: "a@example.org", reset_password_token: null, reset_password_expiration: null,
    salt: crypto.randomBytes(32).toString("hex"), hash: crypto.randomBytes(512).toString("hex"), login_attempts: 0, lock_until: null,
  });
  const apiKey = crypto.randomUUID();
  write("payload", "payload@3.90.2", "run", of("payload"), [row(setAPIKeyIndex(asked("payload", apiKey)))], [apiKey], { secret: SECRET });
  const [older] = apiKeyFields.find(({ name }) => name === "apiKeyIndex").hooks.beforeValidate;
  write("payload-sha1", "payload@3.45.0", "run", of("payload-sha1"), [row(older(asked("payload-3.45.0", apiKey)))], [apiKey], { secret: SECRET });
}

async function medusa() {
  const { ApiKeyModuleService } = loaded("@medusajs/api-key/dist/services/api-key-module-service.js");
  const service = { apiKeyService_: { create: async (rows) => rows } };
  const wanted = [1, 2].map(() => ({ title: "a", type: "secret", created_by: "user_1" }));
  const [made, tokens] = await ApiKeyModuleService.prototype.createApiKeys_.call(service, wanted);
  const rows = made.map(({ token, salt, redacted, title, type, created_by }, number) => ({
    id: `apk_${number}`, token, salt, redacted, title, type, last_used_at: null, created_by, created_at: "2026-01-02 03:04:05.678+00",
    revoked_by: null, revoked_at: null, updated_at: "2026-01-02 03:04:05.678+00", deleted_at: null,
  }));
  write("medusa", "@medusajs/api-key@2.21.2", "extracted", of("medusa"), rows, tokens.map(({ rawToken }) => rawToken));
}

async function strapi() {
  const tables = { create: async ({ data }) => data };
  globalThis.strapi = { config: { get: () => ({ salt: SECRET }) }, db: { query: () => tables } };
  const server = "@strapi/admin/dist/server/server/src/services";
  const { create, hash } = loaded(`${server}/api-token.js`, {
    "lodash/fp": require("lodash/fp"), "./constants.js": loaded(`${server}/constants.js`),
    // Keys that can be shown again are encrypted beside their hash.
    "../utils/index.js": { getService: () => ({ encrypt: () => null }) },
  });
  const { accessKey, type, kind, lifespan } = await create({ name: "a", description: "", kind: "content-api", type: "read-only", lifespan: null });
  // As PostgreSQL has it.
  const row = {
    id: 1, document_id: "a", name: "a", description: "", kind, type, access_key: hash(accessKey), encrypted_key: null, last_used_at: null,
    expires_at: "2100-01-01 00:00:00", lifespan, created_at: "2026-01-02 03:04:05.678", updated_at: "2026-01-02 03:04:05.678",
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
  const { JwtService } = loaded("n8n/dist/services/jwt.service.js", { jsonwebtoken: require("jsonwebtoken") });
  const { PublicApiKeyService } = loaded("n8n/dist/services/public-api-key.service.js");
  const table = [];
  const repository = {
    create: (row) => row, insert: async (row) => table.push(row), findOneByOrFail: async ({ apiKey }) => table.find((row) => row.apiKey === apiKey),
  };
  const service = new PublicApiKeyService(repository, new JwtService({ encryptionKey: SECRET }, { userManagement: { jwtSecret: SECRET } }));
  for (const expiresAt of [null, 4102444800]) {
    await service.createPublicApiKeyForUser({ id: crypto.randomUUID() }, { label: "a", expiresAt, scopes: ["workflow:read"] });
  }
  const rows = table.map(({ userId, label, apiKey, scopes, audience }, number) => ({
    id: String(number), userId, label, apiKey, createdAt: "2026-01-02 03:04:05.678+00", updatedAt: "2026-01-02 03:04:05.678+00", scopes, audience,
    lastUsedAt: null,
  }));
  write("n8n", "n8n@2.41.3", "extracted", of("n8n"), rows, table.map(({ apiKey }) => apiKey));
}

async function unleash() {
  const source = fs.readFileSync(unpacked("unleash-server/dist/lib/services/api-token-service.js"), "utf8");
  const made = new Function("crypto", "{ projects, environment }", /generateSecretKey\(\{ projects, environment \}\) \{([^]*?)\n {4}\}/.exec(source)[1]);
  const keys = [["*"], ["a", "b"]].map((projects) => made(crypto, { projects, environment: "development" }));
  const rows = keys.map((secret) => ({
    secret, username: "a", type: "client", created_at: "2026-01-02 03:04:05.678901+00", expires_at: null, seen_at: null, environment: "development",
    alias: null, token_name: "a", created_by_user_id: 1,
  }));
  write("unleash", "unleash-server@8.2.0", "extracted", of("unleash"), rows, keys);
  const { createTokenV2Credential } = await import(unpacked("unleash-server/dist/lib/authentication/authorization-token.js"));
  const second = ["*:development", "[]:production"].map((tokenPrefix) => createTokenV2Credential({ kind: "api-token", tokenPrefix }));
  const secondRows = second.map(({ selector, verifier }) => ({
    selector, verifier, token_name: "a", type: "client", environment: "development", expires_at: "2100-01-01 00:00:00+00",
    created_at: "2026-01-02 03:04:05.678901+00", seen_at: null, user_created: true,
  }));
  write("unleash-v2", "unleash-server@8.2.0", "run", of("unleash-v2"), secondRows, second.map(({ secret }) => secret));
}

// A database of Directus's own tables, in memory, under the query builder that it uses.
async function directusTables() {
  const { DatabaseSync } = require("node:sqlite");
  class InMemory extends DatabaseSync {
    constructor() {
      super(":memory:");
    }
    prepare(sql) {
      const statement = super.prepare(sql);
      return { reader: statement.columns().length > 0, all: (values) => statement.all(...values), run: (values) => statement.run(...values) };
    }
  }
  class Client extends require("knex/lib/dialects/better-sqlite3") {
    _driver() {
      return InMemory;
    }
  }
  return require("knex")({ client: Client, connection: { filename: ":memory:" }, useNullAsDefault: true, pool: { min: 1, max: 1 } });
}

async function directus() {
  const api = "@directus/api/dist";
  const knex = await directusTables();
  const given = {
    "database/index.js": { default: () => knex, getDatabaseClient: () => "sqlite" }, "utils/with-cache.js": { withCache: (_, read) => read },
    "@directus/errors": { InvalidCredentialsError: class extends Error {} }, "@directus/utils": loadedModule("@directus/utils/dist/shared/index.js"),
    "@directus/utils/node": loadedModule("@directus/utils/dist/node/index.js"), "fs-extra": fs.promises, "js-yaml": require("js-yaml"),
    jsonwebtoken: require("jsonwebtoken"), "lodash-es": require("lodash"), zod: require("zod"),
  };
  for (const file of [
    "database/helpers/types", "schema/types", "services/payload", "packages/types/dist/index", "utils/async-handler",
    "utils/get-default-index-name", "utils/is-directus-jwt", "utils/jwt", "utils/transaction",
    "lib/fetch-roles-tree", "fetch-global-access/fetch-global-access", "utils/create-default-accountability", "schema/get-collection-from-schema",
  ]) given[`${file}.js`] = RUN;
  const { SchemaHelperSQLite } = loadedModule(`${api}/database/helpers/schema/dialects/sqlite.js`, given);
  given["database/helpers/index.js"] = { getFunctions: anything, getHelpers: (database) => ({ schema: new SchemaHelperSQLite(database) }) };

  await loadedModule(`${api}/database/seeds/run.js`, given).default(knex);
  const migrations = `${api}/database/migrations`;
  for (const file of fs.readdirSync(unpacked(migrations)).sort()) {
    const changes = /(alterTable|changeToType)\("directus_users"|createTable\("directus_access"/;
    if (changes.test(fs.readFileSync(unpacked(`${migrations}/${file}`), "utf8"))) await loadedModule(`${migrations}/${file}`, given).up(knex);
  }

  // What the Data Studio asks for a token.
  const handlers = {}, take = (at, handle) => (handlers[at] = handle);
  loadedModule(`${api}/controllers/utils.js`, { ...given, express: { Router: () => ({ get: take, post: take }) } });
  const random = () => new Promise((resolve) => handlers["/random/string"]({ query: {} }, { json: ({ data }) => resolve(data) }, resolve));

  const { systemFieldRows } = await import(unpacked("@directus/system-data/dist/index.js"));
  const ofUsers = systemFieldRows.filter(({ collection }) => collection === "directus_users");
  const fields = Object.fromEntries(ofUsers.map(({ field, special }) => [field, { field, special, type: "string", alias: special?.includes("alias") }]));
  const options = { knex, schema: { collections: { directus_users: { primary: "id", fields } }, relations: [] } };
  const { ItemsService } = loadedModule(`${api}/services/items.js`, given);
  const users = new ItemsService("directus_users", options);
  const create = (user) => users.createOne(user, { emitEvents: false, bypassLimits: true, onRequireUserIntegrityCheck() {} });
  const statuses = ofUsers.find(({ field }) => field === "status").options.choices.map(({ value }) => value);
  const tokens = {};
  for (const [number, status] of ["active", ...statuses].entries()) {
    const user = { first_name: "a", email: `a${number}@example.org`, status, token: await random() };
    tokens[user.token] = { id: await create(user), status };
  }
  await create({ email: "none@example.org" });

  // Directus accepts those of active users.
  const { default: extractToken } = loadedModule(`${api}/middleware/extract-token.js`, given);
  const { getAccountabilityForToken } = loadedModule(`${api}/utils/get-accountability-for-token.js`, given);
  const userOf = async (key) => {
    const request = { headers: { authorization: `Bearer ${key}` } };
    extractToken(request, {}, () => {});
    return (await getAccountabilityForToken(request.token)).user;
  };
  const keys = [], ended = [];
  for (const [token, { id, status }] of Object.entries(tokens)) {
    const user = await userOf(token).catch(() => null);
    if (user !== (status === "active" ? id : null)) throw new Error(`Directus says ${user} of a user who is ${status}`);
    (user ? keys : ended).push(token);
  }
  if (await userOf(changed(keys[0])).catch(() => null)) throw new Error("Directus accepts a wrong token");

  const rows = await knex.select().from("directus_users").whereNotNull("token");
  const { PayloadService } = loadedModule(`${api}/services/payload.js`, given);
  const shown = await new PayloadService("directus_users", options).processValues("read", rows.map((row) => ({ ...row })));
  write("directus", "@directus/api@39.2.1, of directus@12.4.1", "extracted", of("directus"), rows, keys, { ended, masked: lines(shown) });
  await knex.destroy();
}

const makers = { "better-auth": betterAuth, "prefixed-api-key": prefixed, "argon2-npm": argon2, bcryptjs, adonisjs: adonis, payload, medusa, strapi, flowise, n8n, unleash, directus };
for (const [name, make] of Object.entries(makers)) {
  if (!wanted.length || wanted.some((one) => one.startsWith(name))) await make();
}
