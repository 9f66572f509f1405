//! lighttpd with a FastCGI authorizer.

use super::stage::Stage;
use crate::support::deployment::Deployment;

#[test]
fn lighttpd_asks_an_authorizer() {
    let mut stage = Stage::new(Deployment::new());
    stage.start_helper();
    let file = stage.place("lighttpd.conf", &[]);
    let port = stage.port;
    stage.start(&Stage::find("lighttpd"), port, |command| {
        command.arg("-D").arg("-f").arg(file);
    });
    stage.hold_orders_where(false, |key| vec![("authorization", format!("Bearer {key}"))], 401);
    stage.hold_orders_where(false, |key| vec![("x-api-key", key.to_owned())], 401);
    let challenged = stage.get("/orders/7", &[]);
    assert_eq!(challenged, (401, Some("Basic realm=\"bulla\", Bearer".to_owned())), "the authorizer's answer");
    let bound = stage.issue(&["--scope", "orders.read", "--cidr", "127.0.0.0/8"]);
    assert_eq!(stage.get("/orders/7", &[("x-api-key", &bound)]).0, 200, "the client's address is told");
    let elsewhere = stage.issue(&["--scope", "orders.read", "--cidr", "10.0.0.0/8"]);
    let forged = [("x-api-key", elsewhere.as_str()), ("x-forwarded-for", "10.0.0.1")];
    assert_eq!(stage.get("/orders/7", &forged).0, 401, "and by nobody else");
    assert_eq!(stage.get("/other", &[("x-api-key", &bound)]).0, 403);
}
