//! squid, which runs the helper: as a forward proxy with Basic, and as a reverse proxy with an external ACL.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::stage::Stage;
use crate::support::{deployment::Deployment, programs};

fn start(file: &str) -> Stage {
    let mut stage = Stage::new(Deployment::new());
    let file = stage.place(file, &[]);
    // The helpers run as another user, who cannot read a test's folders, and need not.
    let port = stage.port;
    stage.start(&Stage::find("squid"), port, |command| {
        command.args(["-N", "-f"]).arg(file);
    });
    stage
}

#[test]
fn a_proxy_lets_holders_of_a_key_through() {
    let stage = start("squid-basic.conf");
    let (good, poor) = (stage.issue(&["--scope", "proxy"]), stage.issue(&[]));
    let through = |login: &str| {
        let mut curl = std::process::Command::new(programs::find("curl"));
        let (proxy, target) =
            (format!("http://{}", stage.http.address), format!("http://127.0.0.1:{}/", stage.application.port));
        curl.args([
            "--silent",
            "--noproxy",
            "",
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code}",
            "--proxy",
            &proxy,
        ]);
        if !login.is_empty() {
            curl.args(["--proxy-user", login]);
        }
        programs::run(curl.arg(target))
    };
    assert_eq!(through(&format!("me:{good}")), "200", "{}", stage.log());
    for login in ["", "me:wrong", &format!("me:{poor}")] {
        assert_eq!(through(login), "407", "{login}: {}", stage.log());
    }
    stage.revoke(&good);
    stage.server.until("the end of what squid remembers", |_| through(&format!("me:{good}")) == "407");
}

#[test]
fn a_reverse_proxy_reads_the_headers() {
    let stage = start("squid-acl.conf");
    let bearer = |key: &str| vec![("authorization", format!("Bearer {key}"))];
    stage.hold_orders(bearer, 403);
    stage.hold_orders(|key| vec![("x-api-key", key.to_owned())], 403);
    let basic = |key: &str| vec![("authorization", format!("Basic {}", STANDARD.encode(format!("me:{key}"))))];
    stage.hold_orders(basic, 403);
    let bound = stage.issue(&["--scope", "orders.read", "--cidr", "127.0.0.2/32"]);
    let key = format!("x-api-key: {bound}");
    assert_eq!(
        stage.get_from("127.0.0.2", "/orders/7", &[&key]),
        "200",
        "the client's address is told: {}",
        stage.log()
    );
    let forged = [key.as_str(), "x-forwarded-for: 127.0.0.2"];
    assert_eq!(stage.get_from("127.0.0.3", "/orders/7", &forged), "403", "and by nobody else");
}
