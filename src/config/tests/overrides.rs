//! Environment variables that override the file.

use super::*;

/// Parses a file with variables, named without their prefix.
fn with(base: &str, variables: &[(&str, &str)]) -> Result<Config, Problems> {
    let prefixed =
        |(name, value): &(&str, &str)| (format!("{VARIABLES}{name}"), (*value).to_owned());
    let variables: Vec<_> = variables.iter().map(prefixed).collect();
    parse_with(Path::new("proxy.toml"), base.trim_start(), &environment, &variables)
}

#[test]
fn a_variable_can_set_every_kind_of_key() {
    let config = with(
        GOOD,
        &[
            ("ADMIN__LISTEN", "127.0.0.1:1"),
            ("ADMIN__TOKEN", "{ \"quoted\""),
            ("LIMITS__STALL_MS", "30_000"),
            ("LOG__LEVEL", "debug"),
            ("STATE__DIRECTORY", "elsewhere"),
            ("NODE__PASSWORD__ENV", "ALPHA_PASSWORD"),
            ("PRODUCER__GAMMA__ADDRESS", "gamma.example:1"),
            ("PRODUCER__0__USERNAME", "by-number"),
            ("PRODUCER__0__ALLOW_PLAIN", "true"),
            ("PRODUCER__2__NAME", "Delta-1"),
            ("PRODUCER__2__ADDRESS", "delta:1"),
            ("PRODUCER__2__USERNAME", "u"),
            ("PRODUCER__2__PASSWORD", "p"),
            ("BUCKET__DEFAULT__CONNECTIONS", "2"),
            ("BUCKET__DEFAULT__REPLICATE__DELTA_1", "1000-1023"),
            ("BUCKET__DEFAULT__REPLICATE__ALPHA", "0-7"),
        ],
    );
    let config = config.unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.admin.listen.port(), 1);
    let allowed = |node: &Node| node.remote().is_some_and(|endpoint| endpoint.allow_plain);
    let allowed: Vec<_> = config.producers.iter().map(allowed).collect();
    assert_eq!(allowed.split_first(), Some((&true, &[false, false][..])));
    assert_eq!(config.admin.token.as_ref().unwrap().expose(), "{ \"quoted\"");
    assert_eq!(config.limits.stall.as_secs(), 30);
    assert_eq!(config.log.level, Some(LevelFilter::Debug));
    assert_eq!(config.state, PathBuf::from("elsewhere"));
    let remote: Vec<_> = std::iter::once(&config.node)
        .chain(&config.producers)
        .map(|node| match node {
            Node::Remote(node) => {
                (node.name.as_str(), node.address.as_str(), node.username.as_str())
            }
            Node::Embedded(name) => panic!("{name}"),
        })
        .collect();
    let want = [
        ("beta", "127.0.0.1:11310", "dcp-proxy"),
        ("alpha", "alpha.example:11210", "by-number"),
        ("gamma", "gamma.example:1", "dcp-proxy"),
        ("Delta-1", "delta:1", "u"),
    ];
    assert_eq!(remote, want);
    let maps = config.buckets[0].desired.producers();
    let maps: Vec<_> = maps.iter().map(|(name, set)| format!("{name} {set}")).collect();
    assert_eq!(maps, ["Delta-1 1000-1023", "alpha 0-7", "gamma 512-599"]);
}

#[test]
fn a_list_is_separated_by_commas() {
    let text = GOOD.replace("replicate = { alpha = \"0-511,600\", gamma = \"512-599\" }", "");
    let config = with(&text, &[("DESIRED__ETCD__ENDPOINTS", "a:2379, b:2379")]).unwrap();
    let MapSource::Etcd(etcd) = config.source else { panic!("{:?}", config.source) };
    assert_eq!(etcd.endpoints, ["a:2379", "b:2379"]);
    assert_eq!(etcd.prefix, "/dcp-proxy");
}

#[test]
fn a_variable_that_sets_nothing_and_a_wrong_value_name_the_variable() {
    let table: &[&[(&str, &str)]] = &[
        &[("LIMITS__STAL_MS", "1")],
        &[("LIMITS_STALL_MS", "1")],
        &[("LIMITS", "1")],
        &[("", "1")],
        &[("ADMIN__LISTEN__HOST", "1")],
        &[("PRODUCER__ALHPA__ADDRESS", "x:1")],
        &[("PRODUCER__ALPHA__ADRESS", "x:1")],
        &[("PRODUCER__7__ADDRESS", "x:1")],
        &[("PRODUCER__ALPHA", "x:1")],
        &[("NODE__TLS__CERT", "x")],
        &[("LIMITS__STALL_MS", "5")],
        &[("LIMITS__STALL_MS", "soon")],
        &[("LIMITS__STALL_MS", "")],
        &[("LOG__LEVEL", "inof")],
        &[("NODE__PASSWORD", "")],
        &[("NODE__PASSWORD__FILE", "no/such")],
        &[("ADMIN__LISTEN", "0.0.0.0:1")],
        &[("BUCKET__DEFAULT__REPLICATE__ALPHA", "0-2000")],
        &[("BUCKET__DEFAULT__REPLICATE__DELTA", "700")],
        &[("LIMITS__STALL_MS", "1"), ("NODE__ADDRESS", "x"), ("ADMIN__LISTEN", "y")],
        &[("NODE__PASSWORD", "\u{fffd}")],
    ];
    let mut said = String::new();
    for variables in table {
        let problems = with(GOOD, variables).unwrap_err();
        said += &format!("{problems}\n\n");
        assert!(problems.rendered().contains("error: environment variable DCP_PROXY__"));
    }
    insta::assert_snapshot!(said);
}

#[test]
fn variables_can_add_more_than_ten_sections() {
    let mut variables = Vec::new();
    for number in 2..14 {
        for (key, value) in [("ADDRESS", "n:1"), ("USERNAME", "u"), ("PASSWORD", "p")] {
            variables.push((format!("PRODUCER__{number}__{key}"), value.to_owned()));
        }
        variables.push((format!("PRODUCER__{number}__NAME"), format!("n{number}")));
    }
    let variables: Vec<_> = variables.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let config = with(GOOD, &variables).unwrap_or_else(|problems| panic!("{problems}"));
    let names: Vec<_> =
        config.producers.iter().filter_map(Node::remote).map(|it| &it.name).collect();
    assert_eq!(names.len(), 14);
    assert_eq!((names[2].as_str(), names[13].as_str()), ("n2", "n13"));
}

#[test]
fn a_variable_names_a_section_as_the_file_does_even_where_another_renames_it() {
    let variables = [
        ("PRODUCER__ALPHA__NAME", "gamma"),
        ("PRODUCER__ALPHA__USERNAME", "first"),
        ("PRODUCER__GAMMA__NAME", "alpha"),
        ("PRODUCER__GAMMA__USERNAME", "second"),
    ];
    let config = with(GOOD, &variables).unwrap_or_else(|problems| panic!("{problems}"));
    let remote = config.producers.iter().filter_map(Node::remote);
    let remote: Vec<_> = remote.map(|it| (it.name.as_str(), it.username.as_str())).collect();
    assert_eq!(remote, [("gamma", "first"), ("alpha", "second")]);
}

#[test]
fn a_key_that_names_more_than_one_producer_is_refused() {
    let text = GOOD.replace("name = \"gamma\"", "name = \"al_pha\"");
    let text = text.replace("name = \"alpha\"", "name = \"al-pha\"");
    let text = text.replace("alpha = \"0-511,600\", gamma = \"512-599\"", "al-pha = \"0\"");
    let text = text.replace("name = \"default\"", "name = \"de.fault\"");
    let said = with(&text, &[("BUCKET__DE_FAULT__REPLICATE__AL_PHA", "0-1")]).unwrap_err();
    let want = "environment variable DCP_PROXY__BUCKET__DE_FAULT__REPLICATE__AL_PHA: names more \
                than one producer, al-pha, al_pha: set it in the file instead";
    assert_eq!(said.to_string(), want);
    // The name of a bucket is none of a producer.
    let said = with(&text, &[("BUCKET__DE_FAULT__REPLICATE__DE_FAULT", "1")]).unwrap_err();
    assert!(said.to_string().contains("replicate.de_fault: unknown producer"), "{said}");
}
