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
    let bound = stage.issue(&["--scope", "orders.read", "--cidr", "127.0.0.2/32"]);
    let key = format!("x-api-key: {bound}");
    assert_eq!(
        stage.get_from("127.0.0.2", "/orders/7", &[&key]),
        "200",
        "the client's address is told: {}",
        stage.log()
    );
    let forged = [key.as_str(), "x-forwarded-for: 127.0.0.2"];
    assert_eq!(stage.get_from("127.0.0.3", "/orders/7", &forged), "401", "and by nobody else");
    assert_eq!(stage.get_from("127.0.0.2", "/other", &[&key]), "403");
}
