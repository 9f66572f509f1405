//! Two processes under one name.

use super::*;

#[test]
fn two_processes_under_one_name_are_noticed_and_neither_looks_current() {
    let deployment = Deployment::new();
    let [one, two] = [(); 2].map(|()| Server::start_with(&deployment, &[("BULLA_FLEET__NAME", "twin")]));
    let programs = [(); 2].map(|()| Program::start(&deployment, &one, "shop"));
    let _alone = Program::start(&deployment, &one, "alone");
    one.until("both names are noticed", |server| {
        ["twin", "shop"].iter().all(|name| member(server, name).is_some_and(|one| one["state"] == "duplicate"))
    });
    for (name, setting) in [("twin", "fleet.name"), ("shop", "follow.name")] {
        let trouble = member(&two, name).expect("its row")["trouble"].to_string();
        assert!(trouble.contains("two processes report") && trouble.contains(setting), "{trouble}");
    }
    assert_eq!(member(&one, "alone").expect("its row")["state"], "current");
    two.until("everybody has it but those of which nobody knows", |two| {
        let path = "/v1/api-keys/live_00000XzbyFf5rOyRXQyt8V?wait=1s";
        let answer = two.admin.request("DELETE", path, &[], "");
        let missing = answer.json()["propagation"]["missing"].as_array().expect("a list").clone();
        let names: Vec<&Value> = missing.iter().map(|one| &one["name"]).collect();
        assert!(
            answer.status == 202 && names.contains(&&json!("shop")) && names.contains(&&json!("twin")),
            "{names:?}"
        );
        names.len() == 2
    });
    for server in [&one, &two] {
        server.until("it says so", |server| {
            let degraded = server.data.get("/readyz").json()["degraded"].to_string();
            degraded.contains("fleet names") && degraded.contains("shop, twin")
        });
        server.until("and in its log", |server| server.log().contains("two processes report under one name"));
    }
    let doctor = deployment.run(&["doctor"]);
    let warns = |name: &str| doctor.out.lines().any(|line| line.starts_with("warning") && line.contains(name));
    assert!(warns("twin (node): two processes") && warns("shop (library): two processes"), "{}", doctor.out);
    let duplicates = |one: &Server| one.metric("bulla_followers{role=\"node\",state=\"duplicate\"}");
    one.until("the metric", |one| duplicates(one) == 1);
    drop(programs);
    two.stop();
    assert!(member(&one, "twin").is_some(), "one that stops does not take the other one out");
}

#[test]
fn a_process_that_takes_a_name_over_is_no_second_one() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let edge = server.data.bearer(&feed_key(&deployment, APP));
    let end = server.admin.get("/v1/followers").json();
    let report_of = |instance: &str| {
        let mut report = report("edge-1");
        (report["instance"], report["log_id"]) = (json!(instance), end["log_id"].clone());
        report
    };
    for instance in ["a0", "b1", "c2"] {
        assert_eq!(send(&edge, &report_of(instance)).status, 200);
        server.until("it is there", |server| member(server, "edge-1").is_some_and(|one| one["state"] == "current"));
    }
    for wrong in ["", "A0", "a b", &"a".repeat(33)] {
        assert_eq!(send(&edge, &report_of(wrong)).problem(), "bad-request", "{wrong}");
    }
}

#[test]
fn a_process_takes_its_former_name_out_and_no_other_one() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let [mine, theirs] = [APP, OTHER_APP].map(|app| server.data.bearer(&feed_key(&deployment, app)));
    let report_of = |name: &str, instance: &str, former: Option<&str>| {
        let mut report = report(name);
        (report["instance"], report["former_name"]) = (json!(instance), json!(former));
        report
    };
    let names = |server: &Server| -> Vec<String> {
        let names = members(server).into_iter().filter(|one| one["role"] != "node");
        names.map(|one| one["name"].as_str().expect("a name").to_owned()).collect()
    };
    send(&mine, &report_of("shop:1", "a0", None));
    send(&mine, &report_of("shop:2", "b1", None));
    server.until("both are there", |server| names(server) == ["shop:1", "shop:2"]);
    assert_eq!(send(&mine, &report_of("shop:1", "b1", Some("shop:2"))).status, 200);
    server.until("it has one name", |server| names(server) == ["shop:1"]);
    // Neither another app's process, nor the same app's that is another one.
    assert_eq!(send(&theirs, &report_of("other", "b1", Some("shop:1"))).status, 200);
    assert_eq!(send(&mine, &report_of("shop:3", "c2", Some("shop:1"))).status, 200);
    // What is noted later is written later.
    server.until("these are written", |server| names(server).len() == 3);
    send(&mine, &report_of("shop:4", "d3", None));
    server.until("all of that is done", |server| names(server).len() == 4);
    assert_eq!(names(&server), ["other", "shop:1", "shop:3", "shop:4"]);
}
