//! What a sidecar reports, under a lease.

use super::common::{self, Etcd};
use super::{STATUS, Sidecar, config, known, report};

#[tokio::test(flavor = "multi_thread")]
async fn reports_live_as_long_as_their_sidecar() {
    let Some(mut etcd) = Etcd::start().await else { return };
    let mut sidecar = Sidecar::start(config(&[etcd.endpoint()]));
    sidecar.until_connected().await;
    for revision in 1..=100 {
        sidecar.maps.report("default", report(revision));
    }
    let written = etcd.value(STATUS, |it| it["revision"] == 100).await;
    assert_eq!(written["open"]["alpha"], "0-5");
    etcd.revoke_leases();
    etcd.value(STATUS, |it| it["revision"] == 100).await;
    etcd.kill();
    sidecar.until_away().await;
    sidecar.maps.report("default", report(101));
    etcd.restart().await;
    etcd.value(STATUS, |it| it["revision"] == 101).await;
    sidecar.maps.set_known(known(&["other"]));
    common::until("the report of a bucket that is gone is deleted", async || {
        etcd.get(STATUS).is_none().then_some(())
    })
    .await;
    sidecar.maps.set_known(known(&["default"]));
    sidecar.maps.report("default", report(102));
    etcd.value(STATUS, |it| it["revision"] == 102).await;
    sidecar.maps.stop().await;
    assert_eq!(etcd.get(STATUS), None, "the lease is given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_of_a_sidecar_that_is_gone_expire() {
    let Some(etcd) = Etcd::start().await else { return };
    let endpoint = etcd.endpoint();
    // A runtime that ends without stopping anything stands for a process that was killed.
    let gone = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let sidecar = runtime.block_on(async {
            let mut config = config(&[endpoint]);
            config.pace.ttl_s = 2;
            let mut sidecar = Sidecar::start(config);
            sidecar.until_connected().await;
            sidecar.maps.report("default", report(7));
            sidecar
        });
        (runtime, sidecar)
    });
    let (runtime, sidecar) = gone.join().unwrap();
    etcd.value(STATUS, |it| it["revision"] == 7).await;
    runtime.shutdown_background();
    common::until("the report expires", async || etcd.get(STATUS).is_none().then_some(())).await;
    drop(sidecar);
}
