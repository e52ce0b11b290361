//! Logins with each mechanism, and with nodes that cheat.

use mcbp::{Opcode, Status};
use relay::testing::{BUCKET, FakeConn, FakePeer, Manner, Manners};
use relay::{Client, Deadlines, Endpoint, Fault, LinkError, Login, Reconnect, Secret};

async fn connect(endpoint: &Endpoint) -> Result<Client, LinkError> {
    let deadlines = Deadlines::default();
    let login = Login { bucket: Some(BUCKET), agent: "test", features: &[], deadlines };
    Client::connect(endpoint, login).await
}

async fn logs_in(manners: &Manners) -> Result<Client, LinkError> {
    let peer = FakePeer::bind().await;
    let endpoint = peer.endpoint("alpha");
    tokio::join!(connect(&endpoint), peer.accept(manners)).0
}

fn offering(mechanisms: Option<&'static str>) -> Manners {
    Manners { mechanisms, ..Manners::for_client() }
}

#[tokio::test]
async fn every_mechanism_logs_in_on_this_machine() {
    let lists = ["SCRAM-SHA512", "SCRAM-SHA256 PLAIN", "SCRAM-SHA1", "PLAIN", ""];
    for mechanisms in lists.map(Some).into_iter().chain([None]) {
        logs_in(&offering(mechanisms)).await.unwrap();
    }
}

#[tokio::test]
async fn a_wrong_password_is_refused_with_every_mechanism() {
    let peer = FakePeer::bind().await;
    let mut endpoint = peer.endpoint("alpha");
    endpoint.password = Secret::new("not the word");
    for mechanisms in ["SCRAM-SHA512", "SCRAM-SHA256", "SCRAM-SHA1", "PLAIN"] {
        let manners = offering(Some(mechanisms));
        let (error, _conn) = tokio::join!(connect(&endpoint), peer.accept(&manners));
        let error = error.unwrap_err();
        assert!(error.to_string().ends_with("(AuthError), check username and password"), "{error}");
        assert_eq!(error.retry(), Reconnect::Slowly);
    }
}

#[tokio::test]
async fn a_renewed_password_is_salted_anew() {
    let peer = FakePeer::bind().await;
    let endpoint = peer.endpoint("alpha");
    let old = Manners::for_client();
    tokio::join!(connect(&endpoint), peer.accept(&old)).0.unwrap();
    endpoint.password.adopt(&Secret::new("battery staple"));
    let new = Manners { password: "battery staple", ..Manners::for_client() };
    tokio::join!(connect(&endpoint), peer.accept(&new)).0.unwrap();
}

#[tokio::test]
async fn a_node_without_a_known_mechanism_is_reported_with_what_it_offers() {
    let offering = offering(Some("OAUTHBEARER PLAINER"));
    let manners = Manners { last: Opcode::SASL_LIST_MECHS, ..offering };
    let error = logs_in(&manners).await.unwrap_err();
    let text = "offers SASL OAUTHBEARER PLAINER, none of which is implemented here; enable \
                SCRAM-SHA512 at this node (sasl_mechanisms, with TLS ssl_sasl_mechanisms)";
    assert_eq!(error.to_string(), format!("{}: {text}", error.peer));
    assert_eq!((error.status(), error.retry()), (None, Reconnect::Slowly));
}

#[tokio::test]
async fn a_refusal_says_what_was_refused() {
    for mechanisms in [Some("SCRAM-SHA512 PLAIN"), Some("PLAIN"), None] {
        for (status, is_login) in [(Status::AUTH_ERROR, true), (Status::EINTERNAL, false)] {
            let bad_at = Some((Opcode::SASL_AUTH, Manner::Refuse(status)));
            let error = logs_in(&Manners { bad_at, ..offering(mechanisms) }).await.unwrap_err();
            assert_eq!(matches!(error.fault, Fault::Login { .. }), is_login, "{error}");
            assert_eq!(error.status(), Some(status));
        }
    }
}

/// A node that accepts every proof, and answers it with `last`.
async fn cheated(last: &[u8]) -> LinkError {
    let peer = FakePeer::bind().await;
    let endpoint = peer.endpoint("alpha");
    let cheat = async {
        let manners = Manners { last: Opcode::SASL_AUTH, ..Manners::for_client() };
        let mut conn: FakeConn = peer.accept(&manners).await;
        let step = conn.expect(Opcode::SASL_STEP).await;
        conn.answer_with(&step, Status::SUCCESS, &[], last).await;
        conn.expect_close().await;
    };
    tokio::join!(connect(&endpoint), cheat).0.unwrap_err()
}

#[tokio::test]
async fn a_node_that_does_not_know_the_password_is_not_trusted() {
    let not_the_node = "failed in the login with SCRAM-SHA512: the node could not show that it \
                        knows the password: it may not be the node";
    for last in ["v=AAAA", "v=", &format!("v={}==", "A".repeat(86))] {
        let error = cheated(last.as_bytes()).await;
        assert!(error.to_string().ends_with(not_the_node), "{error}");
        assert_eq!(error.retry(), Reconnect::Slowly);
    }
    for last in ["", "welcome", "e=other-error", "v=***"] {
        let error = cheated(last.as_bytes()).await;
        assert!(matches!(error.fault, Fault::Scram { .. }), "{error}");
    }
    // One that asks for no proof has given none either.
    let peer = FakePeer::bind().await;
    let endpoint = peer.endpoint("alpha");
    let cheat = async {
        let manners = Manners { last: Opcode::SASL_LIST_MECHS, ..Manners::for_client() };
        let mut conn = peer.accept(&manners).await;
        let auth = conn.expect(Opcode::SASL_AUTH).await;
        conn.answer(&auth, Status::SUCCESS).await;
        conn.expect_close().await;
    };
    let error = tokio::join!(connect(&endpoint), cheat).0.unwrap_err();
    assert!(error.to_string().ends_with(not_the_node), "{error}");
}

#[tokio::test]
async fn a_number_of_iterations_out_of_bounds_is_refused_before_it_costs_anything() {
    for iterations in [0, 1, 999, 500_001, u32::MAX] {
        let manners = Manners { iterations, last: Opcode::SASL_AUTH, ..Manners::for_client() };
        let error = logs_in(&manners).await.unwrap_err();
        let text = format!("asks for {iterations} iterations; between 1000 and 500000 are taken");
        assert!(error.to_string().ends_with(&text), "{error}");
    }
}
