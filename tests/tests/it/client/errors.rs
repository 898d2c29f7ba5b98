//! What a user gets to read when something is wrong.

use std::time::Duration;

use pgmq_notify_client::{ErrorKind, PgmqNotifyClient, PgmqNotifyConfig, Polling};
use pgmq_notify_tests::TestDatabase;
use sqlx::postgres::PgPoolOptions;

use super::{LONG, client, client_of, told};

#[tokio::test]
async fn a_url_connects_and_its_clones_share_the_pool() {
    let database = TestDatabase::new().await;
    let client = PgmqNotifyClient::new(database.url(), PgmqNotifyConfig::new())
        .await
        .unwrap();
    client.create_queue("orders_queue").await.unwrap();
    let clone = client.clone();
    client.pool().close().await;
    let error = clone.send("orders_queue", &1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(error.is_transient());
}

#[tokio::test]
async fn a_wrong_url_or_configuration_is_told_without_the_password() {
    let config = PgmqNotifyConfig::new();
    let wrong_port = "postgres://user:secret-word@127.0.0.1:1/db";
    let error = PgmqNotifyClient::new(wrong_port, config.clone())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error:?}");
    assert!(!format!("{error:?} {}", told(&error)).contains("secret-word"));
    for url in ["", "no url", "postgres://user:secret-word@host:notaport/db"] {
        let error = PgmqNotifyClient::new(url, config.clone())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{url}: {error:?}");
        assert!(!format!("{error:?} {}", told(&error)).contains("secret-word"));
    }
    let pool = sqlx::PgPool::connect_lazy(wrong_port).unwrap();
    let error =
        PgmqNotifyClient::with_pool(pool, config.with_max_payload_size(100_000)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(told(&error).contains("100000"), "{}", told(&error));
}

#[tokio::test]
async fn a_name_that_pgmq_refuses_is_refused_before_any_sql() {
    let pool = sqlx::PgPool::connect_lazy("postgres://nobody@127.0.0.1:1/nothing").unwrap();
    let client = PgmqNotifyClient::with_pool(pool, PgmqNotifyConfig::new()).unwrap();
    for name in ["a;b", "a'b", "a$b", "a--b", "a\0b", &"q".repeat(48)] {
        for error in [
            client.create_queue(name).await.unwrap_err(),
            client.send(name, &1).await.unwrap_err(),
            client.read::<u8>(name, LONG).await.unwrap_err(),
            client
                .read_by_ids::<u8>(name, &[1], LONG)
                .await
                .unwrap_err(),
            client.delete(name, 1).await.unwrap_err(),
            client.set_vt(name, 1, LONG).await.unwrap_err(),
            client.metrics(name).await.unwrap_err(),
            client.bind_topic("a", name).await.unwrap_err(),
            client.enable_notify_insert(name, LONG).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{name:?}");
            assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
        }
    }
}

#[tokio::test]
async fn a_queue_that_is_not_there_is_told_by_every_operation_on_it() {
    let (_database, client) = client().await;
    for (error, operation) in [
        (client.send("no_queue", &1).await.unwrap_err(), "send"),
        (
            client.send_batch("no_queue", [1]).await.unwrap_err(),
            "send batch",
        ),
        (
            client.read::<u8>("no_queue", LONG).await.unwrap_err(),
            "read",
        ),
        (
            client
                .read_batch::<u8>("no_queue", LONG, 2)
                .await
                .unwrap_err(),
            "read batch",
        ),
        (
            client
                .read_with_poll::<u8>("no_queue", LONG, 2, Polling::up_to(LONG))
                .await
                .unwrap_err(),
            "read with poll",
        ),
        (
            client
                .read_grouped::<u8>("no_queue", LONG, 2)
                .await
                .unwrap_err(),
            "read grouped",
        ),
        (
            client
                .read_by_ids::<u8>("no_queue", &[1], LONG)
                .await
                .unwrap_err(),
            "read by ids",
        ),
        (client.pop::<u8>("no_queue").await.unwrap_err(), "pop"),
        (
            client.pop_batch::<u8>("no_queue", 2).await.unwrap_err(),
            "pop batch",
        ),
        (client.delete("no_queue", 1).await.unwrap_err(), "delete"),
        (
            client.delete_batch("no_queue", &[1]).await.unwrap_err(),
            "delete batch",
        ),
        (client.archive("no_queue", 1).await.unwrap_err(), "archive"),
        (
            client.archive_batch("no_queue", &[1]).await.unwrap_err(),
            "archive batch",
        ),
        (
            client.set_vt("no_queue", 1, LONG).await.unwrap_err(),
            "set visibility",
        ),
        (
            client
                .set_vt_batch("no_queue", &[1], LONG)
                .await
                .unwrap_err(),
            "set visibility of batch",
        ),
        (
            client.purge_queue("no_queue").await.unwrap_err(),
            "purge queue",
        ),
        (client.metrics("no_queue").await.unwrap_err(), "metrics"),
        (
            client.create_fifo_index("no_queue").await.unwrap_err(),
            "create FIFO index",
        ),
    ] {
        assert_eq!(
            error.kind(),
            ErrorKind::QueueNotFound,
            "{operation}: {error:?}"
        );
        assert_eq!(
            error.to_string(),
            format!("{operation}, queue \"no_queue\": there is no such queue")
        );
        assert!(!error.is_transient());
    }
}

#[tokio::test]
async fn a_database_without_pgmq_is_told_as_such() {
    let database = TestDatabase::empty().await;
    let client = client_of(&database);
    for error in [
        client.create_queue("orders_queue").await.unwrap_err(),
        client.send("orders_queue", &1).await.unwrap_err(),
        client.read::<u8>("orders_queue", LONG).await.unwrap_err(),
        client
            .read_by_id::<u8>("orders_queue", 1, LONG)
            .await
            .unwrap_err(),
        client.list_queues().await.unwrap_err(),
        client.metrics_all().await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::PgmqMissing, "{}", told(&error));
        assert!(
            error.to_string().contains("PGMQ is not installed"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_role_without_privileges_is_told_that_it_is_not_permitted() {
    let (database, client) = client().await;
    client.create_queue("orders_queue").await.unwrap();
    let role = format!("stranger_of_{}", database.name());
    database
        .run(format!(
            "create role {role}; grant usage on schema pgmq to {role}"
        ))
        .await
        .unwrap();
    let set_role = format!("set role {role}");
    let pool = PgPoolOptions::new()
        .after_connect(move |connection, _| {
            let set_role = set_role.clone();
            Box::pin(async move {
                sqlx::raw_sql(sqlx::AssertSqlSafe(set_role))
                    .execute(connection)
                    .await
                    .map(drop)
            })
        })
        .connect_with(database.options())
        .await
        .unwrap();
    let stranger = PgmqNotifyClient::with_pool(pool, PgmqNotifyConfig::new()).unwrap();
    for error in [
        stranger.send("orders_queue", &1).await.unwrap_err(),
        stranger
            .read_by_id::<u8>("orders_queue", 1, LONG)
            .await
            .unwrap_err(),
        stranger.create_queue("their_queue").await.unwrap_err(),
        stranger.drop_queue("orders_queue").await.unwrap_err(),
    ] {
        assert_eq!(
            error.kind(),
            ErrorKind::PermissionDenied,
            "{}",
            told(&error)
        );
    }
    stranger.pool().close().await;
    database
        .run(format!("drop owned by {role}; drop role {role}"))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_statement_timeout_a_lock_timeout_and_a_lost_connection_are_transient() {
    let (database, client) = client().await;
    client.create_queue("orders_queue").await.unwrap();
    let mut connection = client.pool().acquire().await.unwrap();
    sqlx::query("set statement_timeout = 200")
        .execute(&mut *connection)
        .await
        .unwrap();
    let error = client
        .read_with_poll::<u8>("orders_queue", LONG, 1, Polling::up_to(LONG))
        .on(&mut connection)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.is_transient()),
        (ErrorKind::Cancelled, true)
    );

    sqlx::query("set statement_timeout = 0; ")
        .execute(&mut *connection)
        .await
        .unwrap();
    sqlx::query("set lock_timeout = 100")
        .execute(&mut *connection)
        .await
        .unwrap();
    let mut transaction = client.pool().begin().await.unwrap();
    client
        .send("orders_queue", &1)
        .on(&mut transaction)
        .await
        .unwrap();
    let error = client
        .purge_queue("orders_queue")
        .on(&mut connection)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.is_transient()),
        (ErrorKind::Conflict, true)
    );

    let pid: i32 = sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(&mut *transaction)
        .await
        .unwrap();
    sqlx::query("select pg_terminate_backend($1)")
        .bind(pid)
        .execute(database.pool())
        .await
        .unwrap();
    let error = client
        .send("orders_queue", &1)
        .on(&mut transaction)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.is_transient()),
        (ErrorKind::Connection, true),
        "{error:?}"
    );
    drop(transaction);
    tokio::time::timeout(
        Duration::from_secs(20),
        client.send("orders_queue", &1).into_future(),
    )
    .await
    .unwrap()
    .unwrap();
}
