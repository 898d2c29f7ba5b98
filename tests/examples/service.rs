//! A web service that takes orders and works on them in the same process: `cargo run --release --example service`.
//!
//! `POST /orders` sends a message, a consumer handles it, `GET /health` says how both are. It ends at Ctrl-C or SIGTERM, in
//! this order: no new request, then no new message, then handlers finish, and what has not begun is given back. Without
//! `-- --forever` it posts some orders to itself and ends.

#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::{env, error::Error, net::SocketAddr, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use pgmq_notify_client::{
    Claim, ClientError, Consumer, HandlerError, Message, PgmqNotifyClient, PgmqNotifyConfig,
};
use pgmq_notify_core::Delivery;
use pgmq_notify_tests::{Pgmq, Server, TestDatabase};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
    sync::oneshot,
    time::{Instant, sleep},
};

const QUEUE: &str = "orders_queue";
const ORDERS: u64 = 20;

#[derive(Debug, Serialize, Deserialize)]
struct Order {
    article: String,
    pieces: u32,
}

/// 202 and the number of the message. What the database refuses is the caller's to try again.
async fn accept(
    State(client): State<PgmqNotifyClient>,
    Json(order): Json<Order>,
) -> Result<(StatusCode, String), (StatusCode, String)> {
    let refused = |error: ClientError| (StatusCode::SERVICE_UNAVAILABLE, error.to_string());
    let id = client.send(QUEUE, &order).await.map_err(refused)?;
    Ok((StatusCode::ACCEPTED, id.to_string()))
}

async fn health(State(client): State<PgmqNotifyClient>) -> Result<String, StatusCode> {
    let metrics = client.metrics(QUEUE).await;
    let metrics = metrics.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    Ok(format!("{} orders wait\n", metrics.length))
}

async fn ship(order: Message<Order>, claim: Claim) -> Result<(), HandlerError> {
    let Order { article, pieces } = order.body;
    if pieces == 0 {
        return Err(HandlerError::fatal("there is nothing to ship"));
    }
    sleep(Duration::from_millis(20)).await;
    println!("order {}: {pieces} × {article} shipped", claim.msg_id());
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let is_service = env::args().any(|argument| argument == "--forever");
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;

    // Yours is there already.
    let server = Server::throwaway().await?;
    let database = TestDatabase::create(&server, Some(Pgmq::chosen(&server).await?)).await?;
    // Requests that come at the same time commit at the same time: senders notify only while the consumer sleeps.
    let config = PgmqNotifyConfig::new().with_delivery(Delivery::WakeUp);
    let client = PgmqNotifyClient::new(database.url(), config).await?;
    // Any number of replicas may start at once; what is right already is not touched.
    client.install().await?;
    client.create_queue(QUEUE).await?;

    let consumer = Consumer::builder(client.clone())
        .concurrency(8)
        .shutdown_deadline(Duration::from_secs(20))
        .queue(QUEUE, ship)
        .start()
        .await?;

    let routes = Router::new()
        .route("/orders", post(accept))
        .route("/health", get(health))
        .with_state(client.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    println!("listening on http://{address}");
    let (stop, stopped) = oneshot::channel::<()>();
    let web = tokio::spawn(
        axum::serve(listener, routes)
            .with_graceful_shutdown(async {
                let _ = stopped.await;
            })
            .into_future(),
    );

    tokio::select! {
        _ = interrupt.recv() => println!("interrupted"),
        _ = terminate.recv() => println!("terminated"),
        result = customers(address), if !is_service => result?,
    }
    // Who sends is stopped before who handles, so that nothing new comes behind the back of the second.
    let _ = stop.send(());
    web.await??;
    if !is_service {
        let deadline = Instant::now() + Duration::from_secs(30);
        while consumer.stats().done < ORDERS && Instant::now() < deadline {
            sleep(Duration::from_millis(10)).await;
        }
    }
    let report = consumer.shutdown().await;
    println!("{} orders are shipped", report.stats.done);
    client.pool().close().await;
    if !is_service && report.stats.done != ORDERS {
        return Err(format!("{} of {ORDERS} orders are shipped", report.stats.done).into());
    }
    Ok(())
}

/// What others do: HTTP as plain as it gets.
async fn customers(address: SocketAddr) -> Result<(), Box<dyn Error>> {
    for pieces in 1..=ORDERS {
        let body = format!(r#"{{"article": "blue ones", "pieces": {pieces}}}"#);
        let request = format!(
            "POST /orders HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = ask(address, &request).await?;
        if !answer.starts_with("HTTP/1.1 202") {
            return Err(answer.into());
        }
    }
    let request = format!("GET /health HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    println!(
        "{}",
        ask(address, &request)
            .await?
            .lines()
            .last()
            .unwrap_or_default()
    );
    Ok(())
}

async fn ask(address: SocketAddr, request: &str) -> Result<String, Box<dyn Error>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
