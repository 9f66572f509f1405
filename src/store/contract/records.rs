//! Secret halves, escrow, audit, answers and the memory of keyrings.

use super::*;

pub(super) fn a_hash_is_replaced_only_as_it_was_read(tested: &TestStore) {
    let store = &*tested.store;
    let new = |phc: &str, retires_at| NewSecretRow {
        id: id(ONE),
        phc: phc.to_owned(),
        binding: "b".to_owned(),
        mac: "m".to_owned(),
        created_at: at(0),
        retires_at,
    };
    let write = |work: &mut dyn FnMut(&mut dyn Transaction) -> Result<bool, StoreError>| {
        transact(store, |transaction| work(transaction)).expect("written")
    };
    let read = || store.secret_hashes(&id(ONE), at(0)).expect("read").remove(0);
    write(&mut |transaction| transaction.insert_secret(&new("old", None)).map(|()| true));
    let old = read();
    // Meanwhile the secret half is rerolled: what is made anew of the row that was read must not live on.
    write(&mut |transaction| transaction.retire_secret(old.seq, Some(at(1))));
    assert!(!write(&mut |transaction| transaction.replace_secret(&old, &new("anew", old.retires_at))));
    assert_eq!((read().phc.as_str(), read().retires_at), ("old", Some(at(1))));
    let old = read();
    assert!(!write(
        &mut |transaction| transaction.replace_secret(&old, &NewSecretRow { id: id(TWO), ..new("anew", None) })
    ));
    assert!(write(&mut |transaction| transaction.replace_secret(&old, &new("anew", old.retires_at))));
    assert_eq!((read().phc.as_str(), read().retires_at), ("anew", Some(at(1))));
    assert!(!write(&mut |transaction| transaction.replace_secret(&old, &new("twice", old.retires_at))));
    assert_eq!(store.secret_hashes(&id(ONE), at(1)).expect("read"), [], "it ended");
}

pub(super) fn the_audit_has_no_gap_and_is_never_changed(tested: &TestStore) {
    let store = &*tested.store;
    let note = |fail: bool| {
        let record = crate::action::Actor::service().record(at(0), "test", None, json!({}));
        transact(store, |transaction| {
            transaction.append_audit(&record)?;
            if fail { Err(StoreError::Duplicate) } else { Ok(()) }
        })
    };
    note(false).expect("noted");
    assert!(note(true).is_err());
    note(false).expect("noted");
    let numbers: Vec<u64> = store.audit_after(0, 10).expect("the audit").iter().map(|entry| entry.seq).collect();
    assert_eq!(numbers, [1, 2]);
    for change in [
        "UPDATE audit SET actor = 'x'",
        "DELETE FROM audit",
        "INSERT INTO audit SELECT 7, at, actor, address, action, target, detail FROM audit WHERE seq = 1",
    ] {
        let refused = tested.try_sql(change).expect_err("refused");
        assert!(refused.contains("append-only"), "{refused}");
    }
    transact::<_, StoreError>(store, |transaction| {
        let record = |action: &str| crate::action::Actor::service().record(at(1), action, None, json!({"a": [1]}));
        ["one", "two", "three"].into_iter().try_for_each(|action| transaction.append_audit(&record(action)))
    })
    .expect("noted");
    let entries = store.audit_after(2, 2).expect("the audit");
    let read: Vec<_> = entries.iter().map(|entry| (entry.seq, entry.record.action.as_str())).collect();
    assert_eq!(read, [(3, "one"), (4, "two")]);
    assert_eq!(entries[0].record.detail, json!({"a": [1]}));
}

pub(super) fn an_answer_is_remembered_for_its_caller(tested: &TestStore) {
    let store = &*tested.store;
    let answered = IdempotentAnswer { request: "r".to_owned(), api_key_ids: vec![id(ONE), id(TWO)], at: at(0) };
    let remember = |caller: &str| {
        transact(store, |transaction| transaction.remember_answer(caller, "k", &answered)).map_err(|_| "twice")
    };
    let answers = |caller: &str| {
        transact::<_, StoreError>(store, |transaction| transaction.idempotent_answer(caller, "k")).expect("looked")
    };
    remember("me").expect("remembered");
    assert_eq!((answers("me"), answers("you")), (Some(answered.clone()), None));
    assert!(remember("me").is_err());
    sweep(store, [0, 0, 0], &[]).expect("swept");
    assert!(answers("me").is_some());
    sweep(store, [0, 1, 0], &[]).expect("swept");
    assert_eq!(answers("me"), None);
}

pub(super) fn a_damaged_answer_is_named_and_not_taken_for_one_without_keys(tested: &TestStore) {
    let store = &*tested.store;
    for (changed, key) in
        [("api_key_ids = '[1'", "a"), ("api_key_ids = '[\"x\"]'", "b"), ("at = 9223372036854775807", "c")]
    {
        let answer = IdempotentAnswer { request: "r".to_owned(), api_key_ids: vec![id(ONE)], at: at(0) };
        transact::<_, StoreError>(store, |transaction| transaction.remember_answer("me", key, &answer))
            .expect("remembered");
        tested.sql(&format!("UPDATE idempotency SET {changed} WHERE key = '{key}'"));
        let found = transact::<_, StoreError>(store, |transaction| transaction.idempotent_answer("me", key));
        let error = found.expect_err(changed).to_string();
        assert_eq!(
            error,
            format!("row (me, {key}) of the remembered answers is damaged: restore the store from a backup")
        );
    }
}

pub(super) fn a_damaged_row_is_named_by_its_key(tested: &TestStore) {
    let store = &*tested.store;
    let escrow = escrow(ONE, None);
    record(store, &[row(ONE)], None).expect("recorded");
    transact::<_, StoreError>(store, |transaction| transaction.insert_escrow(&escrow)).expect("stored");
    tested.sql("UPDATE escrow SET created_at = 9223372036854775807");
    let found = transact::<_, StoreError>(store, |transaction| transaction.escrow(&id(ONE), at(0)));
    let error = found.expect_err("damaged").to_string();
    assert_eq!(error, format!("row {ONE} of the escrow is damaged: restore the store from a backup"));
}

pub(super) fn what_is_in_escrow_goes_with_its_key(tested: &TestStore) {
    let store = &*tested.store;
    record(store, &[row(ONE), row(TWO)], None).expect("recorded");
    let put = |row: EscrowRow| transact(store, |transaction| transaction.insert_escrow(&row)).expect("stored");
    let found = |text: &str, now| {
        transact::<_, StoreError>(store, |transaction| transaction.escrow(&id(text), at(now))).expect("looked")
    };
    put(escrow(ONE, Some(at(9))));
    put(escrow(TWO, None));
    assert_eq!([found(ONE, 8), found(ONE, 9)], [Some(escrow(ONE, Some(at(9)))), None]);
    append(store, Change::Revoke { id: id(TWO), expires_at: None }, 5);
    append(store, Change::Revoke { id: id(ONE), expires_at: None }, 20);
    assert_eq!(
        [found(TWO, 4).and_then(|row| row.ends_at), found(TWO, 5).and_then(|row| row.ends_at)],
        [Some(at(5)), None]
    );
    assert_eq!(found(ONE, 0), Some(escrow(ONE, Some(at(9)))), "a revocation that lies further ahead ends it no later");
    let count = || tested.number("SELECT count(*) FROM escrow");
    sweep(store, [0, 0, 5], &[]).expect("swept");
    assert_eq!(count(), 1);
    transact(store, |transaction| transaction.renew_escrow(&id(ONE), "an ending")).expect("renewed");
    assert_eq!(found(ONE, 0).and_then(|row| row.ending).as_deref(), Some("an ending"));
    let elsewhere = "acme_test".parse().ok();
    append(store, Change::RevokeApp { app_id: Uuid::from_u128(7), realm: elsewhere, issued_before: u32::MAX }, 0);
    append(store, Change::RevokeRealm { realm: id(ONE).realm(), issued_before: 1_795_000_000 }, 0);
    assert_eq!(count(), 1, "another realm, and not issued before");
    append(store, Change::RevokeRealm { realm: id(ONE).realm(), issued_before: 1_795_000_001 }, 0);
    assert_eq!(count(), 0);
}

pub(super) fn what_is_remembered_of_a_keyring_only_grows(tested: &TestStore) {
    let store = &*tested.store;
    let id = KeyringId::from_bytes([1; 16]);
    assert!(store.keyring_memories().expect("nothing yet").is_empty());
    let version = |number| KeyVersion::new(number).expect("a number");
    store.remember_keyring(id, &KeyringMemory { serial: 5, closed: vec![version(2)] }).expect("remembered");
    store.remember_keyring(id, &KeyringMemory { serial: 3, closed: vec![version(1)] }).expect("remembered");
    let memory = KeyringMemory { serial: 5, closed: vec![version(1), version(2)] };
    let memories = || store.keyring_memories().expect("a memory");
    assert_eq!(memories(), KeyringMemories { known: HashMap::from([(id, memory.clone())]), damaged: 0 });
    tested.sql(&format!(
        "INSERT INTO keyring_memory VALUES ('x', 1), ('{}', -1); INSERT INTO keyring_burned VALUES ('x', 1)",
        KeyringId::from_bytes([2; 16])
    ));
    tested.sql(&format!("INSERT INTO keyring_burned VALUES ('{id}', 0), ('{id}', -1), ('{id}', 4294967296)"));
    assert_eq!(memories(), KeyringMemories { known: HashMap::from([(id, memory)]), damaged: 6 }, "none is forgotten");
}

pub(super) fn changed_hashes_are_told_by_their_numbers(tested: &TestStore) {
    let store = &*tested.store;
    let new = |text: &str| NewSecretRow {
        id: id(text),
        phc: "p".to_owned(),
        binding: "b".to_owned(),
        mac: "m".to_owned(),
        created_at: at(0),
        retires_at: None,
    };
    assert_eq!(store.secret_changes(0).expect("changes"), SecretChanges::default());
    transact(store, |transaction| [ONE, TWO, ONE].iter().try_for_each(|text| transaction.insert_secret(&new(text))))
        .expect("stored");
    transact(store, |transaction| transaction.retire_secret(3, None)).expect("retired");
    let changes = store.secret_changes(1).expect("changes");
    assert_eq!((changes.changed, changes.end), (vec![(2, id(TWO))], 3), "no number is used twice");
    let sample = |seq, limit| -> Vec<u64> {
        store.secret_sample(seq, limit).expect("a sample").rows.iter().map(|(_, row)| row.seq).collect()
    };
    assert_eq!((sample(0, 1), sample(1, 9)), (vec![1], vec![2]));
    sweep(store, [0, 0, 5], &[]).expect("swept");
    assert_eq!(sample(0, 9), [1, 2], "what does not retire stays");
    tested.sql("UPDATE secret_hashes SET api_key_id = 'x' WHERE seq = 1");
    let sample = |seq, limit| {
        let sample = store.secret_sample(seq, limit).expect("a sample");
        (sample.rows.iter().map(|(_, row)| row.seq).collect::<Vec<_>>(), sample.damaged, sample.next)
    };
    assert_eq!(sample(0, 1), (vec![], vec![1], Some(1)), "a damaged row is counted, and what follows is read");
    assert_eq!(sample(0, 9), (vec![2], vec![1], None));
}
