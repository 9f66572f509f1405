-- One spelling of a kind: in the log's table it is that of the feed.
UPDATE revocations SET kind = 'revoke_app' WHERE kind = 'revoke-app';
UPDATE revocations SET kind = 'revoke_realm' WHERE kind = 'revoke-realm';
DROP INDEX revocations_by_realm;
CREATE INDEX revocations_of_realm ON revocations (realm) WHERE kind = 'revoke_realm';
