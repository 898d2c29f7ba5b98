//! Nothing is lost, whatever strikes.

mod producers;
mod report;
mod told;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pgmq_notify_core::PgmqNotifyConfig;
use pgmq_notify_listener::{ListenerStats, PgmqNotifyListener};
use pgmq_notify_tests::{Chaos, Pgmq, Proxy, Server, Settings, Struck, TestDatabase, eventually};
use sqlx::postgres::PgPoolOptions;
use tokio::sync::oneshot;

use self::producers::Producers;
use self::told::Told;
use super::create;
use crate::variable::variable;

const NAMESPACES: [&str; 3] = ["orders", "billing", "shipping"];
const QUEUES: [&str; 4] = ["orders_a", "orders_b", "billing_a", "shipping_a"];

/// From the beginning of one fault to that of the next, if the first is over by then.
const STRIKES_EVERY: Duration = Duration::from_millis(750);

/// After a fault that took longer.
const PAUSE: Duration = Duration::from_millis(250);

/// For what was missed until the last fault, on a machine that does other things too.
const CAUGHT_UP_WITHIN: Duration = Duration::from_mins(1);

/// `PGMQ_NOTIFY_TEST_CHAOS_SECONDS` makes it long, `PGMQ_NOTIFY_TEST_SEED` repeats one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_has_been_told_since_it_was_visible_whatever_strikes() {
    let lasts = Duration::from_secs(variable("PGMQ_NOTIFY_TEST_CHAOS_SECONDS").unwrap_or(8));
    let seed = variable("PGMQ_NOTIFY_TEST_SEED").unwrap_or_else(|| fastrand::u64(..));
    let server = Server::start(Settings::new()).await.unwrap();
    let database = TestDatabase::on(&server, Pgmq::V1_13).await;
    let config =
        PgmqNotifyConfig::new().with_queue_naming_pattern(r"(?P<namespace>[a-z]+)_[a-z0-9]+");
    database.migrate(&config).await;
    for queue in QUEUES {
        create(&database, queue).await;
    }
    let proxy = Proxy::before(&server);
    let listener = listening(&proxy, &database, config).await;

    let told = Arc::new(Mutex::new(Told::knowing(QUEUES)));
    let (stop, stopped) = oneshot::channel();
    let application = tokio::spawn(application(listener, Arc::clone(&told), stopped));
    let start = Instant::now();
    let producers = Producers::start(&database, start + lasts);
    let mut chaos = Chaos::with_seed(seed, &server, &proxy, "pgmq-notify-listener chaos");
    let strikes = strike(&mut chaos, start + lasts).await;
    let sent = producers.join().await;
    let sending = start.elapsed();

    // Something to hear after the last fault, on every channel.
    for queue in QUEUES {
        super::send(&database, queue).await;
    }
    let waiting = eventually(CAUGHT_UP_WITHIN, || async {
        let waiting = told::waiting(&database).await;
        let waiting = waiting.map_err(|error| error.to_string())?;
        locked(&told).has_all(&waiting).map(|()| waiting)
    })
    .await;
    for one in &sent {
        assert!(waiting.has(one), "{one:?} was sent, and is gone");
    }
    drop(stop);
    let stats = application.await.unwrap();
    assert_eq!(stats.unreadable(), 0);
    report::print(
        &strikes,
        &locked(&told),
        &stats,
        waiting.messages(),
        sending,
    );
}

fn locked(told: &Mutex<Told>) -> std::sync::MutexGuard<'_, Told> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Everything of it goes through the proxy.
async fn listening(
    proxy: &Proxy,
    database: &TestDatabase,
    config: PgmqNotifyConfig,
) -> PgmqNotifyListener {
    let options = proxy.options(database).application_name("chaos");
    let pool = PgPoolOptions::new().connect_lazy_with(options);
    let second = Duration::from_secs(1);
    let mut listener = PgmqNotifyListener::new(pool, config, 10_000)
        .await
        .expect("a valid configuration")
        .with_heartbeat(second, second)
        .with_delivery_at_visibility();
    for namespace in NAMESPACES {
        let listening = listener.listen_message_ready_for_namespace(namespace);
        listening.await.expect("subscribe");
    }
    listener.listen_queue_created().await.expect("subscribe");
    listener.listen_queue_dropped().await.expect("subscribe");
    listener.connect().await.expect("connect");
    listener
}

async fn application(
    mut listener: PgmqNotifyListener,
    told: Arc<Mutex<Told>>,
    mut stopped: oneshot::Receiver<()>,
) -> ListenerStats {
    loop {
        let event = tokio::select! {
            event = listener.next_event() => event,
            _ = &mut stopped => break,
        };
        let event = event
            .expect("the listener goes on")
            .expect("and is connected");
        locked(&told).note(&event);
    }
    let stats = listener.stats();
    listener.disconnect().await;
    stats
}

async fn strike(chaos: &mut Chaos<'_>, until: Instant) -> Vec<Struck> {
    let mut strikes = Vec::new();
    tokio::time::sleep(STRIKES_EVERY).await;
    while Instant::now() < until {
        let struck = chaos.strike().await;
        let next = (struck.began + STRIKES_EVERY).max(struck.healed + PAUSE);
        strikes.push(struck);
        tokio::time::sleep_until(next.into()).await;
    }
    strikes
}
