//! Each fault is felt by a client, and over when the strike is.

use std::time::Duration;

use pgmq_notify_tests::{Chaos, Fault, Proxy, Server, Settings, TestDatabase, eventually};
use sqlx::{Connection as _, PgConnection};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(30);
const NAME: &str = "struck by chaos";

/// How long a black hole and a delay last, and a server is down.
const LASTS: Duration = Duration::from_millis(800);

async fn connect(proxy: &Proxy, database: &TestDatabase) -> PgConnection {
    PgConnection::connect_with(&proxy.options(database).application_name(NAME))
        .await
        .expect("connect")
}

#[tokio::test]
async fn every_fault_is_felt_and_over_when_the_strike_returns() {
    let server = Server::start(Settings::new()).await.unwrap();
    let database = TestDatabase::create(&server, None).await.unwrap();
    let proxy = Proxy::before(&server);
    let mut chaos = Chaos::with_seed(1, &server, &proxy, NAME);
    for fault in Fault::ALL {
        eventually(SOON, || async { proxy.connections() == 0 }).await;
        let mut client = connect(&proxy, &database).await;
        let ask = async {
            // Well within the fault, which begins at once.
            tokio::time::sleep(LASTS / 4).await;
            timeout(LASTS / 2, sqlx::query("select 1").execute(&mut client)).await
        };
        let (struck, asked) = tokio::join!(chaos.strike_with(fault, LASTS), ask);
        assert_eq!((struck.fault, struck.connections), (fault, 1));
        if let Fault::BlackHole(_) | Fault::Delay = fault {
            assert!(asked.is_err(), "{fault:?}: {asked:?}");
            assert!(struck.healed - struck.began >= LASTS, "{struck:?}");
        } else {
            // A session that outlives the strike by more than a moment was not struck.
            timeout(SOON, async { while client.ping().await.is_ok() {} })
                .await
                .unwrap();
        }
        drop(client);
        timeout(SOON, connect(&proxy, &database))
            .await
            .unwrap()
            .ping()
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_terminated_backend_is_of_the_name_and_of_no_other() {
    let server = Server::start(Settings::new()).await.unwrap();
    let database = TestDatabase::create(&server, None).await.unwrap();
    let proxy = Proxy::before(&server);
    let mut client = connect(&proxy, &database).await;
    let mut other = PgConnection::connect_with(&proxy.options(&database))
        .await
        .unwrap();
    let mut chaos = Chaos::with_seed(1, &server, &proxy, NAME);
    let struck = chaos
        .strike_with(Fault::TerminatedBackend, Duration::ZERO)
        .await;
    assert_eq!(struck.connections, 1);
    assert!(client.ping().await.is_err());
    other.ping().await.unwrap();
}

#[tokio::test]
async fn what_is_drawn_depends_on_the_seed_alone_and_leaves_a_whole_server() {
    let server = Server::start(Settings::new()).await.unwrap();
    let database = TestDatabase::create(&server, None).await.unwrap();
    let proxy = Proxy::before(&server);
    let mut runs = Vec::new();
    for _ in 0..2 {
        let mut chaos = Chaos::with_seed(20, &server, &proxy, NAME);
        let mut run = Vec::new();
        for _ in 0..3 {
            run.push(chaos.strike().await.fault);
        }
        runs.push(run);
        timeout(SOON, connect(&proxy, &database))
            .await
            .unwrap()
            .ping()
            .await
            .unwrap();
    }
    assert_eq!(runs[0], runs[1]);
}
