//! What the command line tool says and does on a server.

use std::process::Stdio;

use pgmq_notify_client::PgmqNotifyConfig;
use pgmq_notify_tests::{TestDatabase, tool};
use sqlx::{Connection, PgConnection};

use super::{client, create_queues};
use crate::installation::{catalog, trigger_states};

/// Runs the tool with these arguments in an empty directory: exit code, data, words.
async fn run(arguments: &[&str]) -> (i32, String, String) {
    let directory = std::env::temp_dir();
    let mut tool = tool();
    tool.args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || tool.output())
        .await
        .unwrap()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// The same, on this database.
async fn on(database: &TestDatabase, arguments: &[&str]) -> (i32, String, String) {
    let url = database.url();
    run(&[arguments, &["--database-url", &url]].concat()).await
}

/// Panics unless it ended so.
#[track_caller]
fn ended(result: &(i32, String, String), code: i32, data: &str, words: &str) {
    assert_eq!(result.0, code, "{result:?}");
    assert_eq!(result.1, data, "{result:?}");
    assert_eq!(result.2, words, "{result:?}");
}

const OTHER: [&str; 4] = ["--max-payload-size", "4000", "--channel-prefix", "it's"];

#[tokio::test]
async fn from_nothing_to_installed_upgraded_and_removed() {
    let database = TestDatabase::new().await;
    create_queues(&database, 2).await;
    let before = catalog(&database).await;
    ended(
        &on(&database, &["upgrade"]).await,
        2,
        "",
        "error: pgmq-notify is not installed in this database\n\
         hint: `pgmq-notify install` with these options installs it\n",
    );
    let (code, plan, words) = on(&database, &["install", "--dry-run"]).await;
    assert_eq!((code, words.as_str()), (0, ""));
    assert!(plan.contains("-- pgmq.q_q1_queue\nbegin;\n"), "{plan}");
    assert_eq!(catalog(&database).await, before);
    ended(
        &on(&database, &["install"]).await,
        0,
        "pgmq-notify 0.1.0 is installed now; queues: 2 changed\n",
        "",
    );
    ended(
        &on(&database, &["install"]).await,
        0,
        "pgmq-notify 0.1.0 is installed, nothing had to be changed; queues: 2 right already\n",
        "",
    );
    ended(
        &on(&database, &[&["upgrade"][..], &OTHER].concat()).await,
        0,
        "channels_prefix: none -> \"it's\"\n\
         max_payload_size: 7800 -> 4000\n\
         pgmq-notify 0.1.0 is up to date now; queues: 2 changed\n",
        "",
    );
    let (code, json, _) = on(&database, &[&["upgrade", "--json"][..], &OTHER].concat()).await;
    assert_eq!(code, 0);
    assert_eq!(
        json,
        "{\"status\":\"unchanged\",\"version\":\"0.1.0\",\"from_version\":\"0.1.0\",\"settings\":[],\
         \"pgmq_created\":false,\"sql_changed\":false,\"queues\":{\"changed\":0,\"right\":2,\"disabled\":0}}\n"
    );
    ended(
        &on(&database, &["uninstall"]).await,
        0,
        "pgmq-notify is removed; tables that had triggers: 3\n",
        "",
    );
    ended(
        &on(&database, &["uninstall"]).await,
        0,
        "pgmq-notify was not installed\n",
        "",
    );
    assert_eq!(catalog(&database).await, before);
}

#[tokio::test]
async fn a_check_of_the_database_names_settings_functions_and_queues_that_differ() {
    let database = TestDatabase::new().await;
    create_queues(&database, 2).await;
    let check = ["check", "--output-dir", "no-such-directory"];
    let (code, data, words) = on(&database, &check).await;
    assert_eq!((code, data.as_str()), (1, ""));
    let absent = "pgmq-notify is not installed in the database\nhint: ";
    assert!(words.contains(absent), "{words}");
    client(&database, &PgmqNotifyConfig::new())
        .install()
        .await
        .unwrap();
    let (code, data, words) = on(&database, &check).await;
    assert_eq!((code, data.as_str()), (0, ""), "{words}");
    let right = "the database has what the configuration installs\n";
    assert!(words.ends_with(right), "{words}");

    database
        .run(
            "create or replace function pgmq_notify.message_released() returns trigger language plpgsql \
               set search_path = pg_catalog, pg_temp as 'begin return null; end'; \
             drop trigger pgmq_notify_message_inserted on pgmq.q_q1_queue",
        )
        .await
        .unwrap();
    let check = [&check[..], &OTHER].concat();
    let (code, data, words) = on(&database, &check).await;
    assert_eq!(code, 1);
    assert!(
        data.starts_with(
            "database: channels_prefix: none -> \"it's\"\n\
             database: max_payload_size: 7800 -> 4000\n\
             --- database: pgmq_notify.message_released\n\
             +++ generated\n"
        ),
        "{data}"
    );
    assert!(data.contains("\n-begin return null; end\n"), "{data}");
    assert!(
        data.ends_with("database: queues that lack a trigger: 1\n"),
        "{data}"
    );
    assert!(words.contains("hint: `pgmq-notify upgrade`"), "{words}");
    let (code, json, _) = on(&database, &[&check[..], &["--json"]].concat()).await;
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(code, 1);
    assert_eq!(report["status"], "missing");
    assert_eq!(report["database"]["status"], "differs");
    assert_eq!(report["database"]["queues_missing"], 1);
    assert_eq!(report["database"]["settings"][1]["to"], "4000");
}

#[tokio::test]
async fn a_busy_queue_is_an_error_that_names_it_and_says_what_to_do() {
    let database = TestDatabase::new().await;
    create_queues(&database, 2).await;
    let mut holder = PgConnection::connect_with(&database.options())
        .await
        .unwrap();
    sqlx::raw_sql("begin; select pgmq.send('q2_queue', '1')")
        .execute(&mut holder)
        .await
        .unwrap();
    let install = ["install", "--patience", "1"];
    let (code, data, words) = on(&database, &install).await;
    assert_eq!((code, data.as_str()), (2, ""));
    let lines: Vec<_> = words.lines().collect();
    assert_eq!(lines[0], "pgmq.q_q2_queue is busy, it is tried again");
    assert!(
        lines[1].starts_with("error: install: 1 still busy: pgmq.q_q2_queue; backend "),
        "{words}"
    );
    assert!(lines[2].starts_with("hint: run it again"), "{words}");
    let (_, _, quiet) = on(&database, &[&install[..], &["--quiet"]].concat()).await;
    assert!(quiet.starts_with("error: "), "{quiet}");
    assert_eq!(
        trigger_states(&database).await,
        [("installed".to_owned(), 1), ("missing".to_owned(), 1)]
    );
}

#[tokio::test]
async fn a_role_that_owns_nothing_is_told_so_and_sees_no_password() {
    let database = TestDatabase::new().await;
    create_queues(&database, 1).await;
    let role = format!("stranger_{:016x}", fastrand::u64(..));
    database
        .run(format!(
            "create role {role} login password 'geheim'; grant usage on schema pgmq to {role}"
        ))
        .await
        .unwrap();
    let mut url = database.url();
    let (start, end) = (url.find("://").unwrap() + 3, url.find('@').unwrap());
    url.replace_range(start..end, &format!("{role}:geheim"));
    for command in ["install", "upgrade", "uninstall", "check"] {
        let (code, data, words) = run(&[command, "--database-url", &url]).await;
        let is_done = command == "uninstall" || command == "check";
        assert_eq!(code == 2, !is_done, "{command}: {words}");
        assert!(
            !format!("{data}{words}").contains("geheim"),
            "{data}{words}"
        );
        if command == "install" {
            assert!(words.contains("permission denied"), "{words}");
            assert!(words.contains("hint: run it as the owner"), "{words}");
        }
    }
    database
        .run(format!("drop owned by {role}; drop role {role}"))
        .await
        .unwrap();
}

#[tokio::test]
async fn the_owner_of_pgmq_needs_no_more_than_the_documented_grants() {
    let database = TestDatabase::new().await;
    create_queues(&database, 2).await;
    let before = catalog(&database).await;
    let (owner, installer) = (
        format!("owner_{:016x}", fastrand::u64(..)),
        format!("installer_{:016x}", fastrand::u64(..)),
    );
    database
        .run(format!(
            "create role {owner}; create role {installer} login password 'x';
             do $$ declare t regclass; begin
               for t in select oid from pg_class where relnamespace = 'pgmq'::regnamespace and relkind in ('r', 'p') loop
                 execute format('alter table %s owner to {owner}', t);
               end loop;
             end $$;
             alter schema pgmq owner to {owner};
             grant create on database {} to {installer};
             grant {owner} to {installer}",
            database.name()
        ))
        .await
        .unwrap();
    let options = database.options().username(&installer).password("x");
    let pool = sqlx::PgPool::connect_with(options).await.unwrap();
    let theirs =
        pgmq_notify_client::PgmqNotifyClient::with_pool(pool.clone(), PgmqNotifyConfig::new())
            .unwrap();
    assert_eq!(theirs.install().await.unwrap().queues_changed, 2);
    assert!(theirs.install().await.unwrap().is_unchanged());
    assert!(theirs.uninstall().await.unwrap().removed);
    pool.close().await;
    assert!(
        client(&database, &PgmqNotifyConfig::new())
            .installation()
            .await
            .unwrap()
            .is_none()
    );
    database
        .run(format!(
            "reassign owned by {owner} to current_user; drop owned by {owner}, {installer}; drop role {installer}, {owner}"
        ))
        .await
        .unwrap();
    assert_eq!(catalog(&database).await, before);
}
