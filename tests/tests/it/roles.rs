//! The four roles, each with the grants that `docs/operations.md` has for it and no others.

use std::time::Duration;

use pgmq_notify_client::{
    Acknowledgement, Claim, Consumer, ErrorKind, HandlerError, InstallationStatus, Message,
    PgmqNotifyClient, PgmqNotifyConfig, RetryPolicy, Source, TableState,
};
use pgmq_notify_core::{Delivery, PgmqNotifyEvent};
use pgmq_notify_listener::PgmqNotifyListener;
use pgmq_notify_sql::Migration;
use pgmq_notify_tests::{Pgmq, Server, Settings, TestDatabase};
use sqlx::postgres::{PgListener, PgPoolOptions};
use sqlx::{AssertSqlSafe, Executor as _, PgPool};

const QUEUE: &str = "orders_queue";
/// Long enough for a consumer that may do its work, and every refusal is waited for.
const SOON: Duration = Duration::from_secs(3);

/// The SQL of the page that has this word beside its language.
fn block(word: &str) -> &'static str {
    let page = include_str!("../../../docs/operations.md");
    let (_, block) = page.split_once(&format!("```sql {word}\n")).unwrap();
    block.split_once("```").unwrap().0
}

/// The statements of a role, one by one.
pub(crate) fn documented(role: &str) -> Vec<String> {
    let lines = block(role).lines();
    let statements: String = lines.map(|line| line.split("--").next().unwrap()).collect();
    let statements = statements.split(';').map(str::trim);
    statements
        .filter(|it| !it.is_empty())
        .map(str::to_owned)
        .collect()
}

fn config() -> PgmqNotifyConfig {
    PgmqNotifyConfig::new().with_delivery(Delivery::WakeUp)
}

/// A database whose PGMQ belongs to the role `owner`, which has installed the SQL and created the queues.
pub(crate) struct Shop {
    pub(crate) database: TestDatabase,
    // Roles belong to the whole server.
    _server: Server,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        let server = Server::start(Settings::new()).await.unwrap();
        let database = TestDatabase::on(&server, Pgmq::V1_13).await;
        let shop = Self {
            database,
            _server: server,
        };
        for role in ["owner", "producer", "listener", "consumer", "stranger"] {
            shop.database
                .run(format!("create role {role} login"))
                .await
                .unwrap();
        }
        shop.database
            .run(
                "do $$
                declare relation regclass;
                begin
                  execute format('grant create on database %I to owner', current_database());
                  alter schema pgmq owner to owner;
                  for relation in
                    select c.oid from pg_class c where c.relnamespace = 'pgmq'::regnamespace and c.relkind in ('r', 'p')
                  loop
                    execute format('alter table %s owner to owner', relation);
                  end loop;
                end $$",
            )
            .await
            .unwrap();
        let owner = shop.pool("owner");
        let migration = Migration::new(&config()).unwrap();
        let up = AssertSqlSafe(format!("begin; {}; commit", migration.up()));
        owner.execute(sqlx::raw_sql(up)).await.unwrap();
        let owner = client(owner);
        owner.create_queue(QUEUE).await.unwrap();
        owner.create_queue("orders_queue_dlq").await.unwrap();
        shop
    }

    pub(crate) fn pool(&self, role: &str) -> PgPool {
        PgPoolOptions::new()
            .max_connections(3)
            .connect_lazy_with(self.database.options().username(role))
    }

    /// As the owner of everything.
    pub(crate) async fn run(&self, statement: &str) {
        let statement = AssertSqlSafe(statement.to_owned());
        let statement = sqlx::raw_sql(statement);
        self.pool("owner").execute(statement).await.unwrap();
    }

    /// Grants what is documented, but for one statement.
    pub(crate) async fn grant(&self, role: &str, left_out: Option<usize>) {
        self.database
            .run(format!("drop owned by {role}"))
            .await
            .unwrap();
        for (place, statement) in documented(role).iter().enumerate() {
            if Some(place) != left_out {
                self.run(statement).await;
            }
        }
    }

    pub(crate) async fn works(&self, role: &str) -> Result<(), String> {
        match role {
            "producer" => self.produces().await,
            "listener" => self.listens().await,
            _ => self.consumes().await,
        }
    }

    async fn produces(&self) -> Result<(), String> {
        let pool = self.pool("producer");
        let inserted = pool
            .execute(
                "insert into pgmq.q_orders_queue (vt, message) values (now(), '1'), (now(), '2')",
            )
            .await;
        inserted.map_err(|error| error.to_string())?;
        let sent = client(pool).send(QUEUE, &3).await;
        sent.map(drop).map_err(|error| format!("{error:?}"))
    }

    /// Hears of a message that is sent, and finds one by catching up.
    async fn listens(&self) -> Result<(), String> {
        let config = config();
        let mut listener = PgmqNotifyListener::new(self.pool("listener"), config, 100)
            .await
            .unwrap();
        listener
            .connect()
            .await
            .map_err(|error| error.to_string())?;
        let listening = listener.listen_message_ready_for_namespace("orders").await;
        listening.map_err(|error| error.to_string())?;
        self.run("delete from pgmq.q_orders_queue").await;
        // Somebody sleeps.
        self.run(
            "insert into pgmq_notify.parked values ('q_orders_queue', 7, now() + interval '1 minute')",
        )
        .await;
        self.run("select pgmq.send('orders_queue', '1')").await;
        heard(&mut listener, |it| {
            matches!(it, PgmqNotifyEvent::MessageWithPayload(_))
        })
        .await?;
        self.run("delete from pgmq_notify.parked").await;
        self.database
            .run(
                "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'listener'",
            )
            .await
            .unwrap();
        heard(&mut listener, |it| {
            matches!(it, PgmqNotifyEvent::MessageReady(_))
        })
        .await
    }

    /// Archives a message and buries another one.
    async fn consumes(&self) -> Result<(), String> {
        let retry = RetryPolicy::new().with_max_attempts(1);
        let source = Source::queue(QUEUE)
            .with_acknowledgement(Acknowledgement::Archive)
            .with_retry(retry);
        let handle = |message: Message<u32>, _: Claim| async move {
            match message.body {
                1 => Ok(()),
                _ => Err(HandlerError::from("no")),
            }
        };
        self.run("delete from pgmq.q_orders_queue").await;
        let consumer = Consumer::builder(client(self.pool("consumer")))
            .source(source, handle)
            .start()
            .await
            .map_err(|error| error.to_string())?;
        self.run("select pgmq.send_batch('orders_queue', array['1', '2']::jsonb[])")
            .await;
        let done = async {
            loop {
                let stats = consumer.stats();
                if stats.done == 1 && stats.dead == 1 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let done = tokio::time::timeout(SOON, done).await;
        let stats = consumer.stats();
        consumer.shutdown().await;
        done.map_err(|_| format!("{stats:?}"))
    }
}

fn client(pool: PgPool) -> PgmqNotifyClient {
    PgmqNotifyClient::with_pool(pool, config()).unwrap()
}

async fn heard(
    listener: &mut PgmqNotifyListener,
    wanted: impl Fn(&PgmqNotifyEvent) -> bool,
) -> Result<(), String> {
    let hearing = async {
        loop {
            match listener.next_event().await {
                Ok(Some(event)) if wanted(&event) => return Ok(()),
                Ok(Some(_)) => {}
                other => return Err(format!("{other:?}")),
            }
        }
    };
    let heard = tokio::time::timeout(SOON, hearing).await;
    heard.unwrap_or_else(|_| Err("nothing was heard".to_owned()))
}

#[tokio::test]
async fn each_role_works_with_its_documented_grants_and_not_without_any_of_them() {
    let shop = Shop::open().await;
    for role in ["producer", "listener", "consumer"] {
        for left_out in 0..documented(role).len() {
            let statement = &documented(role)[left_out];
            // Public has it unless it was revoked; the consumer's own test does that.
            if statement.starts_with("grant execute") {
                continue;
            }
            shop.grant(role, Some(left_out)).await;
            let refused = shop.works(role).await;
            assert!(refused.is_err(), "{role} needs no: {statement}");
        }
        shop.grant(role, None).await;
        assert_eq!(shop.works(role).await, Ok(()), "{role}");
    }
}

/// Each sees as much as it may, and nobody too little to see anything but the stranger.
#[tokio::test]
async fn the_status_shows_each_role_what_it_may_know() {
    let shop = Shop::open().await;
    shop.run("select pgmq.create('secret_queue'); select pgmq.send('orders_queue', '1')")
        .await;
    let seen = async |role: &str| {
        let status = client(shop.pool(role)).status().await;
        let status = status.map_err(|error| (error.kind(), error.to_string()))?;
        let queue = |name: &str| {
            let queue = status.queues.iter().find(|it| it.name == name);
            queue.unwrap().clone()
        };
        let (orders, secret) = (queue(QUEUE), queue("secret_queue"));
        assert_eq!((secret.messages, secret.kind.as_str()), (None, "plain"));
        let is_installed = matches!(status.installation, InstallationStatus::Found(_));
        let depth = orders.messages.map(|it| it.depth.messages);
        let namespace = orders.namespace.is_some() && secret.namespace.is_some();
        Ok::<_, (ErrorKind, String)>((
            (is_installed, namespace),
            orders.triggers,
            depth,
            orders.consumers.map(|it| it.parked),
        ))
    };

    shop.grant("consumer", None).await;
    let all = ((true, true), Some(TableState::Installed), Some(1), Some(0));
    assert_eq!(seen("consumer").await, Ok(all));
    // A listener knows of no consumers.
    shop.grant("listener", None).await;
    let heard = ((true, true), Some(TableState::Installed), Some(1), None);
    assert_eq!(seen("listener").await, Ok(heard));

    // Where functions are for those only who were granted them, the documented ones are enough for all but the triggers.
    shop.run("revoke execute on all functions in schema pgmq_notify from public")
        .await;
    shop.grant("consumer", None).await;
    let granted = ((true, true), None, Some(1), Some(0));
    assert_eq!(seen("consumer").await, Ok(granted));
    let heard = ((true, false), None, Some(1), None);
    assert_eq!(seen("listener").await, Ok(heard));

    shop.run("revoke select on pgmq_notify.installation from listener")
        .await;
    let heard = ((false, false), None, Some(1), None);
    assert_eq!(seen("listener").await, Ok(heard));

    let (kind, text) = seen("stranger").await.unwrap_err();
    assert_eq!(kind, ErrorKind::PermissionDenied);
    assert_eq!(
        text,
        "status: the role stranger may not read the list of queues; as the owner, run: \
         grant usage on schema pgmq to stranger; grant select on pgmq.meta to stranger"
    );
    let (_, remedy) = text.split_once("run: ").unwrap();
    for statement in remedy.split("; ") {
        shop.run(statement).await;
    }
    let little = ((false, false), None, None, None);
    assert_eq!(seen("stranger").await, Ok(little));
}

#[tokio::test]
async fn a_stranger_can_listen_and_nothing_else() {
    let shop = Shop::open().await;
    let stranger = shop.pool("stranger");
    for refused in [
        "select from pgmq.meta",
        "select from pgmq.q_orders_queue",
        "insert into pgmq.q_orders_queue (vt, message) values (now(), '1')",
        "select pgmq.send('orders_queue', '1')",
        "select from pgmq_notify.parked",
        "insert into pgmq_notify.parked values ('q_orders_queue', 8, now() + interval '1 hour')",
        "select from pgmq_notify.installation",
        "select pgmq_notify.install_triggers()",
        "select * from pgmq_notify.queues()",
        "create or replace function pgmq_notify.message_inserted() returns trigger language plpgsql as 'begin return null; end'",
    ] {
        let error = stranger.execute(refused).await.unwrap_err();
        let code = error
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code);
        assert_eq!(code.as_deref(), Some("42501"), "{refused}: {error}");
    }
    shop.run(
        "insert into pgmq_notify.parked values ('q_orders_queue', 7, now() + interval '1 minute')",
    )
    .await;
    let mut listening = PgListener::connect_with(&stranger).await.unwrap();
    listening.listen("pgmq_message_ready.orders").await.unwrap();
    shop.run("select pgmq.send('orders_queue', '\"for everybody to hear\"')")
        .await;
    let heard = tokio::time::timeout(SOON, listening.recv()).await;
    let heard = heard.unwrap().unwrap();
    assert!(heard.payload().contains("for everybody to hear"));
}

/// The statements of the page that switch everything off are executed, too.
#[tokio::test]
async fn the_emergency_switch_stops_every_notification_and_the_migration_starts_them_again() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    database
        .run("select pgmq.create('orders_queue')")
        .await
        .unwrap();
    let mut listening = PgListener::connect_with(database.pool()).await.unwrap();
    listening.listen("pgmq_message_ready").await.unwrap();
    let send = "select pgmq.send('orders_queue', '1'); update pgmq.q_orders_queue set vt = now() + interval '1 hour'; \
                update pgmq.q_orders_queue set vt = now()";
    database.run(block("emergency")).await.unwrap();
    database.run(send).await.unwrap();
    database
        .run("notify pgmq_message_ready, 'end'")
        .await
        .unwrap();
    assert_eq!(listening.recv().await.unwrap().payload(), "end");

    database.migrate(&config).await;
    database.run(send).await.unwrap();
    for _ in 0..2 {
        let heard = tokio::time::timeout(SOON, listening.recv()).await;
        assert!(heard.unwrap().unwrap().payload().contains("orders_queue"));
    }
}
