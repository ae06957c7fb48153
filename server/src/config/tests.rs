use super::{Config, ConfigError, Flags, TEMPLATE};

fn environment(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn with_file(text: &str) -> (tempfile::TempDir, Flags) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hub.toml");
    std::fs::write(&path, text).unwrap();
    (directory, Flags { config: Some(path), ..Flags::default() })
}

#[test]
fn the_template_explains_every_setting_and_states_its_default() {
    assert_eq!(toml::from_str::<Config>(TEMPLATE).unwrap(), Config::default());
    let named: toml::Table = toml::from_str(TEMPLATE).unwrap();
    assert_eq!(named, toml::Table::try_from(Config::default()).unwrap());
}

#[test]
fn nothing_configured_is_a_working_configuration() {
    assert_eq!(Config::load(&Flags::default(), []).unwrap(), Config::default());
}

#[test]
fn a_flag_beats_a_variable_and_a_variable_beats_the_file() {
    let (_directory, flags) = with_file(
        "listen = \"127.0.0.1:1\"\noffline = false\n[http]\nmax_connections = 1\nmax_body_bytes = 1\n",
    );
    let flags = Flags { listen: Some(([127, 0, 0, 1], 3).into()), offline: true, ..flags };
    let environment = environment(&[
        ("PHASIC_HUB_LISTEN", "127.0.0.1:2"),
        ("PHASIC_HUB_HTTP_MAX_CONNECTIONS", "2"),
        ("PHASIC_HUB_LOG_FORMAT", "json"),
        ("PHASIC_HUB_TOKEN", "the client's"),
        ("HOME", "/"),
    ]);
    let config = Config::load(&flags, environment).unwrap();
    assert_eq!(config.listen.port(), 3);
    assert!(config.offline);
    assert_eq!((config.http.max_connections.get(), config.http.max_body_bytes.get()), (2, 1));
    assert_eq!(config.log.format, super::LogFormat::Json);
    assert_eq!(config.mirror, Config::default().mirror);
}

#[test]
fn a_mistake_in_the_file_is_shown_where_it_is() {
    let (_directory, flags) = with_file("[http]\nmax_conections = 5\n");
    let error = Config::load(&flags, []).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, ConfigError::Toml { .. }));
    assert!(text.contains("max_conections") && text.contains("line 2"), "{text}");
}

#[test]
fn a_missing_file_is_named() {
    let flags = Flags { config: Some("/nowhere/hub.toml".into()), ..Flags::default() };
    let text = Config::load(&flags, []).unwrap_err().to_string();
    assert!(text.contains("/nowhere/hub.toml"), "{text}");
}

#[test]
fn a_variable_that_sets_nothing_or_has_the_wrong_type_is_an_error() {
    let load = |name: &str, value: &str| Config::load(&Flags::default(), environment(&[(name, value)]));
    assert!(matches!(load("PHASIC_HUB_LISTN", "x"), Err(ConfigError::UnknownVariable { .. })));
    let text = load("PHASIC_HUB_HTTP_MAX_CONNECTIONS", "many").unwrap_err().to_string();
    assert!(text.contains("PHASIC_HUB_HTTP_MAX_CONNECTIONS") && text.contains("whole number"), "{text}");
    for (name, value) in [
        ("PHASIC_HUB_LISTEN", "localhost"),
        ("PHASIC_HUB_HTTP_HEADER_TIMEOUT_MS", "0"),
        ("PHASIC_HUB_HTTP_MAX_BODY_BYTES", "-1"),
        ("PHASIC_HUB_LOG_FORMAT", "xml"),
        ("PHASIC_HUB_ACCESS_ANONYMOUS", "write"),
        ("PHASIC_HUB_HTTP_TRUSTED_PROXIES", "proxy.example"),
        ("PHASIC_HUB_PUBLIC_URL", "hub.example"),
        ("PHASIC_HUB_PUBLIC_URL", "ftp://hub.example"),
        ("PHASIC_HUB_PUBLIC_URL", "https://user@hub.example"),
        ("PHASIC_HUB_PUBLIC_URL", "https://hub.example/?q=1"),
    ] {
        assert!(matches!(load(name, value), Err(ConfigError::Value(_))), "{name}={value}");
    }
}

#[test]
fn a_number_out_of_range_is_refused_with_its_key_and_its_range() {
    for (section, key, value, range) in [
        ("http", "max_connections", "0", "from 1 to 1000000"),
        ("http", "max_connections", "9223372036854775807", "from 1 to 1000000"),
        ("http", "max_connections_per_address", "0", "from 1 to 1000000"),
        ("http", "max_header_bytes", "8191", "from 8192 to 1048576"),
        ("http", "max_body_bytes", "-1", "from 0 to 1073741824"),
        ("http", "write_timeout_ms", "0", "from 1 to 86400000"),
        ("rate", "per_second", "-1", "from 0 to 1000000"),
        ("rate", "burst", "0", "from 1 to 1000000"),
        ("compute", "threads", "1025", "from 0 to 1024"),
        ("compute", "max_memory_bytes", "0", "from 1048576 to 1099511627776"),
        ("mirror", "max_registry_bytes", "0", "from 1 to 1073741824"),
        ("mirror", "max_artifact_bytes", "9223372036854775807", "from 1 to 1099511627776"),
    ] {
        let (_directory, flags) = with_file(&format!("[{section}]\n{key} = {value}\n"));
        let name = format!("PHASIC_HUB_{section}_{key}").to_uppercase();
        let in_file = Config::load(&flags, []).unwrap_err().to_string();
        let in_variable =
            Config::load(&Flags::default(), environment(&[(&name, value)])).unwrap_err().to_string();
        for text in [in_file, in_variable] {
            assert!(text.contains(key) && text.contains(value) && text.contains(range), "{text}");
        }
    }
}

#[test]
fn the_public_base_is_the_configured_one_or_that_of_the_bound_address() {
    let base = |url: &str, bound: &str| {
        super::PublicUrl::try_from(url.to_owned()).unwrap().base(bound.parse().unwrap())
    };
    assert_eq!(base("", "127.0.0.1:8787"), "http://127.0.0.1:8787");
    assert_eq!(base("", "0.0.0.0:80"), "http://127.0.0.1:80");
    assert_eq!(base("", "[::]:80"), "http://[::1]:80");
    assert_eq!(base("https://hub.example/", "127.0.0.1:1"), "https://hub.example");
    assert_eq!(base("https://hub.example/phasic/", "127.0.0.1:1"), "https://hub.example/phasic");
}
