//! Whom an event names, and that it still fits.

use std::collections::BTreeSet;

use super::*;

#[tokio::test]
async fn every_form_names_who_sleeps_and_a_message_that_is_not_visible_yet_names_nobody() {
    for by in By::BOTH {
        let mut orders = Orders::new(by).await;
        // The numbers are drawn from all that there are.
        for consumer in [i64::MIN, -1, 0, 7, i64::MAX] {
            orders.nobody_parks().await;
            parks(&orders.database, "q_orders_queue", 8, "-1 s").await;
            parks(&orders.database, "q_other_queue", 9, "15 s").await;
            orders.parks(consumer).await;
            for way in by.ways() {
                orders.run(way.sql).await;
                let wakes = orders.published(way.form).await;
                let expected: &[i64] = if way.visible { &[consumer] } else { &[] };
                assert_eq!(wakes, expected, "{by:?} {way:?}");
            }
            orders.nothing_was_published().await;
        }
    }
}

#[tokio::test]
async fn of_five_that_sleep_two_are_named_and_each_of_them_in_time() {
    for by in By::BOTH {
        let mut orders = Orders::new(by).await;
        let asleep: BTreeSet<i64> = (1..=5).collect();
        for consumer in &asleep {
            orders.parks(*consumer).await;
        }
        parks(&orders.database, "q_orders_queue", 6, "-1 s").await;
        let mut named = BTreeSet::new();
        // That one of five is never drawn has a probability of 3E-13.
        for _ in 0..60 {
            orders.run("select pgmq.send('orders_queue', '1')").await;
            let wakes: BTreeSet<i64> = orders.published(Form::Body).await.into_iter().collect();
            assert_eq!(wakes.len(), 2, "{wakes:?}");
            named.extend(wakes);
        }
        assert_eq!(named, asleep, "{by:?}");
    }
}

#[tokio::test]
async fn a_release_of_many_names_somebody_for_each() {
    for by in By::BOTH {
        let mut orders = Orders::new(by).await;
        orders
            .run(
                "set local pgmq_notify.mute = 'on'; \
                 select pgmq.send_batch('orders_queue', array_fill('1'::jsonb, array[20]), null::jsonb[], \
                 clock_timestamp() + interval '1 hour')",
            )
            .await;
        orders.parks(7).await;
        orders
            .run("select pgmq.set_vt('orders_queue', (select array_agg(msg_id) from pgmq.q_orders_queue), 0)")
            .await;
        for _ in 0..21 {
            assert_eq!(orders.published(Form::Ready).await, [7], "{by:?}");
        }
        orders.nothing_was_published().await;
    }
}

#[tokio::test]
async fn with_names_a_body_that_fits_exactly_goes_out_and_one_byte_more_does_not() {
    for by in By::BOTH {
        for limit in [1024, PgmqNotifyConfig::MAX_PAYLOAD_SIZE] {
            let database = TestDatabase::new().await;
            let config = by.config().with_max_payload_size(limit);
            let mut orders = Orders::on(database, by).await;
            orders.database.migrate(&config).await;
            // The longest there are.
            for consumer in [i64::MIN, i64::MIN + 1] {
                orders.parks(consumer).await;
            }
            orders.run("select pgmq.send('orders_queue', '\"\"')").await;
            let overhead = orders.heard.notification().await.payload().len();
            for (size, form) in [
                (limit - 1, Form::Body),
                (limit, Form::Body),
                (limit + 1, Form::Ready),
            ] {
                orders
                    .run(&format!(
                        "select pgmq.send('orders_queue', to_jsonb(repeat('x', {})))",
                        size - overhead
                    ))
                    .await;
                let notification = orders.heard.notification().await;
                let payload = notification.payload();
                assert!(payload.len() <= limit, "{by:?} {}", payload.len());
                let event = PgmqNotifyEvent::from_json(payload).unwrap();
                let (found, wakes) = parts(&event);
                assert_eq!((found, wakes.len()), (form, 2), "{by:?} {size}: {payload}");
                if form == Form::Body {
                    assert_eq!(payload.len(), size);
                }
            }
        }
    }
}

#[tokio::test]
async fn every_part_of_a_large_batch_fits_and_names_the_same_two() {
    for by in By::BOTH {
        let database = TestDatabase::new().await;
        let config = by.config().with_max_payload_size(1024);
        let mut orders = Orders::on(database, by).await;
        orders.database.migrate(&config).await;
        for consumer in i64::MIN..i64::MIN + 5 {
            orders.parks(consumer).await;
        }
        orders
            .run("select pgmq.send_batch('orders_queue', array_fill('1'::jsonb, array[5000]))")
            .await;
        let (mut told, mut named) = (BTreeSet::new(), BTreeSet::new());
        while told.len() < 5000 {
            let notification = orders.heard.notification().await;
            assert!(notification.payload().len() <= 1024);
            match PgmqNotifyEvent::from_json(notification.payload()).unwrap() {
                PgmqNotifyEvent::BatchReady(event) => {
                    named.extend(event.wakes);
                    for id in event.msg_ids {
                        assert!(told.insert(id), "{id} twice");
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(named.len(), 2, "{by:?}");
    }
}

#[tokio::test]
async fn both_channels_name_the_same() {
    let config = By::Triggers.config();
    let orders = Orders::new(By::Triggers).await;
    for consumer in 1..=5 {
        orders.parks(consumer).await;
    }
    let channels = config.channels().unwrap();
    let own = channels.message_ready(&pgmq_notify_core::Namespace::new("orders").unwrap());
    let global = channels.message_ready_global();
    let mut heard = Heard::on(&orders.database, [own.as_str(), global.as_str()]).await;
    for _ in 0..10 {
        orders.run("select pgmq.send('orders_queue', '1')").await;
        let [first, second] = [heard.notification().await, heard.notification().await];
        assert_ne!(first.channel(), second.channel());
        assert_eq!(first.payload(), second.payload());
    }
}
