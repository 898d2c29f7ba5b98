//! A body that is not what the reader asked for.

use pgmq_notify_client::{ClientError, ErrorKind, Message, PgmqNotifyClient};
use serde_json::json;

use super::{LONG, Order, client, told};

#[tokio::test]
async fn a_body_that_does_not_decode_spoils_only_itself_and_keeps_its_id_and_text() {
    let (_database, client) = client().await;
    client.create_queue("orders_queue").await.unwrap();
    let bodies = [
        json!({"number": 1}),
        json!({"number": "two"}),
        json!({"number": 3}),
    ];
    let sent = client
        .send_batch("orders_queue", &bodies)
        .headers(&json!({"h": 1}))
        .await
        .unwrap();
    let read = client
        .read_batch::<Order>("orders_queue", LONG, 9)
        .await
        .unwrap();
    let numbers: Vec<_> = read
        .iter()
        .flatten()
        .map(|message| message.body.number)
        .collect();
    assert_eq!(numbers, [1, 3]);
    let undecodable = read.into_iter().find_map(Result::err).unwrap();
    assert_eq!(undecodable.msg_id(), sent[1]);
    assert_eq!(undecodable.body(), "{\"number\": \"two\"}");
    assert_eq!(undecodable.message().read_count, 1);
    assert!(undecodable.message().headers.is_some());
    assert!(
        told(&undecodable).contains("invalid type: string"),
        "{undecodable:?}"
    );
    assert!(
        !undecodable.to_string().contains("two"),
        "a body is not for the logs"
    );
    assert!(
        client
            .archive("orders_queue", undecodable.msg_id())
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn every_way_to_receive_reports_what_does_not_decode() {
    let (_database, client) = client().await;
    client.create_queue("orders_queue").await.unwrap();
    let text = "\"not an order\"";
    let send = async || client.send("orders_queue", "not an order").await.unwrap();

    let msg_id = send().await;
    let error = client
        .read::<Order>("orders_queue", LONG)
        .await
        .unwrap()
        .unwrap()
        .unwrap_err();
    assert_eq!((error.msg_id(), error.body()), (msg_id, text));
    let msg_id = send().await;
    let error = client
        .read_by_id::<Order>("orders_queue", msg_id, LONG)
        .await
        .unwrap();
    assert_eq!(error.unwrap().unwrap_err().body(), text);
    let msg_id = send().await;
    let error = client
        .read_grouped_rr::<Order>("orders_queue", LONG, 1)
        .await
        .unwrap();
    assert!(error.is_empty(), "the group's first message is claimed");
    let error = client
        .pop::<Order>("orders_queue")
        .await
        .unwrap()
        .unwrap()
        .unwrap_err();
    assert_eq!(error.msg_id(), msg_id);
    assert_eq!(error.into_message().body.as_str(), text);
}

#[tokio::test]
async fn an_undecodable_message_can_end_a_function_of_client_errors() {
    async fn first(client: &PgmqNotifyClient) -> Result<Option<Message<Order>>, ClientError> {
        let read = client.read::<Order>("orders_queue", LONG).await?;
        Ok(read.transpose()?)
    }
    let (_database, client) = client().await;
    client.create_queue("orders_queue").await.unwrap();
    assert_eq!(first(&client).await.unwrap(), None);
    let msg_id = client.send("orders_queue", &1).await.unwrap();
    let error = first(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Undecodable);
    assert!(
        error.to_string().contains(&format!("message {msg_id} ")),
        "{error}"
    );
    assert!(!error.is_transient());
}

#[tokio::test]
async fn sql_null_decodes_as_json_null() {
    let (database, client) = client().await;
    client.create_queue("orders_queue").await.unwrap();
    database.run("select pgmq.send('orders_queue', null), pgmq.send('orders_queue', null), pgmq.send('orders_queue', null)").await.unwrap();
    let none = client
        .pop::<Option<Order>>("orders_queue")
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(none.body, None);
    client
        .pop::<()>("orders_queue")
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let error = client
        .pop::<Order>("orders_queue")
        .await
        .unwrap()
        .unwrap()
        .unwrap_err();
    assert_eq!(error.body(), "null");
}

#[tokio::test]
async fn a_body_can_be_read_as_the_raw_text_of_the_server() {
    let (_database, client) = client().await;
    client.create_queue("orders_queue").await.unwrap();
    client
        .send("orders_queue", &json!({"b": 1.50, "a": [1, null]}))
        .await
        .unwrap();
    let raw = client
        .pop::<Box<serde_json::value::RawValue>>("orders_queue")
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(raw.body.get(), "{\"a\": [1, null], \"b\": 1.5}");
}
