//! `[cluster]`.

use clustermap::Network;

use super::*;

/// The good file with a cluster, and without producers and what they replicate.
fn with_cluster(cluster: &str) -> String {
    format!(
        "[node]\nname = \"beta\"\naddress = \"127.0.0.1:11310\"\nusername = \"u\"\n\
         password = \"p\"\n[[bucket]]\nname = \"default\"\n[cluster]\n{cluster}\n"
    )
}

const LOGIN: &str = "username = \"dcp-proxy\"\npassword = \"p\"";

#[test]
fn a_cluster_is_the_source_and_its_nodes_are_the_producers() {
    let text = with_cluster(&format!("address = \"couchbase://127.0.0.1,[::1]:5\"\n{LOGIN}"));
    let config = good(&text);
    assert!(config.producers.is_empty() && config.warnings.is_empty(), "{:?}", config.warnings);
    let MapSource::Cluster(cluster) = config.source else { panic!("{:?}", config.source) };
    assert_eq!((cluster.network, cluster.tls.is_some()), (None, false));
    let endpoint = cluster.producer("[::1]:5").unwrap();
    assert_eq!((endpoint.name.as_str(), endpoint.address.as_str()), ("[::1]:5", "[::1]:5"));
    assert_eq!((endpoint.username.as_str(), endpoint.password.expose()), ("dcp-proxy", "p".into()));
    assert!(cluster.producer("alpha").is_none(), "a name that is no address");
    let summary = good(&text).to_string();
    let line = "\nmaps      from the cluster at 127.0.0.1:11210, [::1]:5 as ";
    assert!(summary.contains(line), "{summary}");
    assert!(cluster.resolver.is_none());
    let text = format!("address = \"couchbase://localhost.example\"\nresolver = \"::1\"\n{LOGIN}");
    let MapSource::Cluster(cluster) = good(&with_cluster(&text)).source else { panic!("{text}") };
    assert_eq!(cluster.resolver, Some("[::1]:53".parse().unwrap()));
}

#[test]
fn the_certificate_of_each_node_is_for_its_host_unless_a_name_is_given() {
    let (folder, _authority) = super::tls::certificates();
    let path = folder.path().join("proxy.toml");
    for (name, wanted) in
        [("", "other.example"), (", server_name = \"all.example\"", "all.example")]
    {
        let text = format!(
            "address = \"couchbases://cb.example\"\nnetwork = \"external\"\n{LOGIN}\n\
             tls = {{ ca = \"ca.pem\"{name} }}"
        );
        let config = parse_at(&path, &with_cluster(&text)).unwrap();
        let MapSource::Cluster(cluster) = config.source else { panic!("{:?}", config.source) };
        assert_eq!(cluster.network, Some(Network::External));
        assert_eq!(cluster.address.hosts[0].to_string(), "cb.example:11207");
        let endpoint = cluster.producer("other.example:11207").unwrap();
        assert_eq!(endpoint.tls.unwrap().server_name(), wanted);
    }
}

#[test]
fn each_wrong_part_of_a_cluster_is_named() {
    for (cluster, says) in [
        (format!("address = \"http://a\"\n{LOGIN}"), "cluster: address"),
        (format!("address = \"couchbases://a\"\n{LOGIN}"), "cluster: tls"),
        (
            format!("address = \"couchbase://a\"\n{LOGIN}\ntls = {{ ca = \"ca.pem\" }}"),
            "is not used with couchbase://",
        ),
        (format!("address = \"couchbase://a\"\n{LOGIN}\nnetwork = \"x\""), "cluster: network"),
        (
            format!("address = \"couchbase://a\"\n{LOGIN}\nresolver = \"dns.example\""),
            "cluster: resolver: \"dns.example\" is not the address of a name server",
        ),
        (
            format!("address = \"couchbase://a:11210\"\n{LOGIN}\nresolver = \"10.0.0.53\""),
            "cluster: resolver: is not used",
        ),
        ("address = \"couchbase://a\"".to_owned(), "username"),
        (LOGIN.to_owned(), "address"),
    ] {
        let problems = parse_at(Path::new("etc/proxy.toml"), &with_cluster(&cluster)).unwrap_err();
        assert!(problems.to_string().contains(says), "{cluster}: {problems}");
    }
    let text = format!("{GOOD}[cluster]\naddress = \"couchbase://a\"\n{LOGIN}\n");
    let problems = parse_at(Path::new("etc/proxy.toml"), &text).unwrap_err().to_string();
    for says in [
        "producer \"alpha\": name: must not be set: the nodes come from [cluster] address",
        "replicate: must not be set: the desired maps come from [cluster] address",
    ] {
        assert!(problems.contains(says), "{problems}");
    }
}
