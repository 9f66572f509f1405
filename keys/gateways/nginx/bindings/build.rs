//! Configures nginx's sources as the nginx that will load the module was configured, and makes the bindings from its
//! headers.
//!
//! `NGINX_SOURCE` is the folder of the sources; by default that of Debian's package `nginx-dev`. The options come from
//! its file `conf_flags`, which Debian keeps there for modules, or from `NGINX_OPTIONS`.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const DEBIAN: &str = "/usr/share/nginx/src";

/// What the module uses. Types that these need come along.
const FUNCTIONS: &str = "ngx_(palloc|pnalloc|pcalloc|list_push|array_push|pool_cleanup_add|conf_log_error|log_error_core|conf_full_name|\
                         conf_set_flag_slot|http_add_variable|rbtree_insert)";
const TYPES: &str = "ngx_(http_module_t|http_core_main_conf_t|http_core_loc_conf_t|http_conf_ctx_t|http_variable_t|http_phases|pool_cleanup_t|event_t|connection_t)|sockaddr_in6?";
const VALUES: &str = "ngx_(http_module|http_core_module|cached_time|process|current_msec|event_timer_rbtree)|nginx_version|BULLA_SIGNATURE|\
                      NGX_(OK|ERROR|DECLINED|LOG_(EMERG|ALERT|ERR|WARN|NOTICE|INFO)|HTTP_.*_CONF|HTTP_MODULE|HTTP_UNAUTHORIZED|HTTP_FORBIDDEN|HTTP_SERVICE_UNAVAILABLE|\
                      HTTP_INTERNAL_SERVER_ERROR|HTTP_VAR_.*|HTTP_SATISFY_.*|CONF_(NOARGS|TAKE1|FLAG|UNSET)|PROCESS_(SIGNALLER|SINGLE|WORKER))|[AP]F_INET6?";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=NGINX_SOURCE");
    println!("cargo::rerun-if-env-changed=NGINX_OPTIONS");
    println!("cargo::rerun-if-changed=wrapper.h");
    let source = PathBuf::from(env::var_os("NGINX_SOURCE").unwrap_or_else(|| DEBIAN.into()));
    println!("cargo::rerun-if-changed={}", source.join("src/core/nginx.h").display());
    if !source.join("src/core/nginx.h").is_file() {
        let source = source.display();
        return Err(format!(
            "no nginx in {source}: install Debian's package nginx-dev, or unpack the source of the nginx that will load the \
             module, and name its folder in NGINX_SOURCE"
        )
        .into());
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    let configured = out.join("nginx");
    configure(&source, &configured)?;
    bind(&configured, &out.join("bindings.rs"))
}

/// `configure` writes beside itself, so it runs in a copy.
fn configure(source: &Path, here: &Path) -> Result<(), Box<dyn Error>> {
    if here.exists() {
        fs::remove_dir_all(here)?;
    }
    run(Command::new("cp").arg("-rL").arg(source).arg(here))?;
    let options = match env::var("NGINX_OPTIONS") {
        Ok(options) => format!("NGX_CONF_FLAGS=( {options} )"),
        Err(_) if here.join("conf_flags").is_file() => ". ./conf_flags".to_owned(),
        Err(_) => {
            return Err(
                "say in NGINX_OPTIONS how nginx was configured: what `nginx -V` shows behind `configure arguments:`"
                    .into(),
            );
        }
    };
    let script = format!("{options}; ./configure \"${{NGX_CONF_FLAGS[@]}}\"");
    run(Command::new("bash").args(["-euc", &script]).current_dir(here))
}

fn bind(configured: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    let folders = [
        "src/core",
        "src/event",
        "src/event/modules",
        "src/event/quic",
        "src/os/unix",
        "objs",
        "src/http",
        "src/http/modules",
        "src/http/v2",
        "src/http/v3",
    ];
    let folders = folders.iter().map(|folder| configured.join(folder)).filter(|folder| folder.is_dir());
    bindgen::Builder::default()
        .header("wrapper.h")
        .clang_args(folders.map(|folder| format!("-I{}", folder.display())))
        .allowlist_function(FUNCTIONS)
        .allowlist_type(TYPES)
        .allowlist_var(VALUES)
        .generate_cstr(true)
        .layout_tests(false)
        .generate_comments(false)
        .rust_edition(bindgen::RustEdition::Edition2024)
        .generate()?
        .write_to_file(to)?;
    Ok(())
}

fn run(command: &mut Command) -> Result<(), Box<dyn Error>> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    // `configure` writes what is missing to its standard output.
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let last: Vec<_> = said.lines().rev().take(12).collect();
    Err(format!("{command:?} failed:\n{}", last.into_iter().rev().collect::<Vec<_>>().join("\n")).into())
}
