//! Who sleeps is not written down for ever.

use pgmq_notify_tests::{Pgmq, Server, Settings, Stop};

use super::*;

#[tokio::test]
async fn after_a_crash_nobody_sleeps_and_senders_do_not_notice() {
    for (crash, asleep) in [(Some(Stop::Immediate), 0), (None, 0), (Some(Stop::Fast), 1)] {
        let server = Server::start(Settings::new()).await.unwrap();
        let orders = Orders::on(TestDatabase::on(&server, Pgmq::V1_13).await, By::Triggers).await;
        orders.parks(7).await;
        let attending = orders.attends().await;
        match crash {
            Some(how) => server.stop(how).await.unwrap(),
            None => server.kill().await.unwrap(),
        }
        drop(attending);
        server.start_again().await.unwrap();
        let mut session = orders.session().await;
        let left: i64 = sqlx::query_scalar("select count(*) from pgmq_notify.parked")
            .fetch_one(&mut session.connection)
            .await
            .unwrap();
        assert_eq!(left, asleep, "{crash:?}");

        let mut heard = Heard::messages(&orders.database, &orders.by.config()).await;
        session.run("delete from pgmq_notify.parked").await;
        session.run("select pgmq.send('orders_queue', '1')").await;
        session
            .run("insert into pgmq_notify.parked values ('q_orders_queue', 8, clock_timestamp() + interval '15 s')")
            .await;
        session.run("select pgmq.send('orders_queue', '2')").await;
        let event = heard.event().await;
        assert!(
            matches!(&event, PgmqNotifyEvent::MessageWithPayload(e) if e.message.as_str() == "2" && e.wakes == [8]),
            "{crash:?}: {event:?}"
        );
    }
}
