//! The proxy does to connections what it says, seen from bare sockets at both ends.

use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use pgmq_notify_tests::{Cut, Direction, Proxy, Server, Settings, Stop, TestDatabase, eventually};
use sqlx::{Connection as _, PgConnection};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

const SOON: Duration = Duration::from_secs(30);

/// So long nothing has to arrive for it to count as swallowed. Without a fault a byte takes less than a millisecond.
const SILENCE: Duration = Duration::from_millis(300);

/// Both ends of a connection through a proxy.
struct Ends {
    client: TcpStream,
    server: TcpStream,
    listener: TcpListener,
    proxy: Proxy,
}

impl Ends {
    async fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a port");
        let proxy = Proxy::to("127.0.0.1", listener.local_addr().expect("its port").port());
        let (client, server) = connect(&proxy, &listener).await;
        Self {
            client,
            server,
            listener,
            proxy,
        }
    }
}

async fn connect(proxy: &Proxy, listener: &TcpListener) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect(proxy.address()).await.expect("connect");
    let (server, _) = timeout(SOON, listener.accept())
        .await
        .expect("the proxy connects")
        .expect("accept");
    (client, server)
}

async fn says(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.expect("write");
}

async fn hears(stream: &mut TcpStream, text: &str) {
    let mut heard = vec![0; text.len()];
    timeout(SOON, stream.read_exact(&mut heard))
        .await
        .expect("it arrives")
        .expect("read");
    assert_eq!(String::from_utf8_lossy(&heard), text);
}

async fn hears_nothing(stream: &mut TcpStream) {
    let heard = timeout(SILENCE, stream.read(&mut [0; 64])).await;
    assert!(heard.is_err(), "{heard:?}");
}

/// The rest of the stream, or how it broke.
async fn rest(stream: &mut TcpStream) -> Result<String, ErrorKind> {
    let mut text = String::new();
    timeout(SOON, stream.read_to_string(&mut text))
        .await
        .expect("the end arrives")
        .map(|_| text)
        .map_err(|error| error.kind())
}

#[tokio::test]
async fn without_a_fault_everything_passes_both_ways_and_so_does_a_half_close() {
    let mut ends = Ends::new().await;
    says(&mut ends.client, "question").await;
    ends.client.shutdown().await.unwrap();
    assert_eq!(rest(&mut ends.server).await.unwrap(), "question");
    says(&mut ends.server, "answer").await;
    drop(ends.server);
    assert_eq!(rest(&mut ends.client).await.unwrap(), "answer");
    eventually(SOON, || async { ends.proxy.connections() == 0 }).await;
}

#[tokio::test]
async fn a_closed_connection_ends_with_what_was_sent_before_and_no_error() {
    let mut ends = Ends::new().await;
    says(&mut ends.client, "to the server").await;
    says(&mut ends.server, "to the client").await;
    // It has arrived, and is still unread by the other end's program when the connection is cut.
    ends.server.readable().await.unwrap();
    ends.client.readable().await.unwrap();
    ends.proxy.cut(Cut::Closed);
    assert_eq!(rest(&mut ends.server).await.unwrap(), "to the server");
    assert_eq!(rest(&mut ends.client).await.unwrap(), "to the client");
    eventually(SOON, || async { ends.proxy.connections() == 0 }).await;
}

#[tokio::test]
async fn who_sends_while_the_connection_is_closed_still_reads_an_end_and_no_reset() {
    let mut ends = Ends::new().await;
    let (mut reading, mut writing) = ends.client.split();
    let write = async {
        while writing.write_all(&[0; 1024]).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    let read = async {
        // Sent bytes are on the way and unread when the cut comes.
        ends.server.readable().await.unwrap();
        ends.proxy.cut(Cut::Closed);
        reading.read(&mut [0; 64]).await
    };
    let read = async {
        tokio::select! {
            read = read => read,
            () = write => Err(io::Error::other("the writer failed first")),
        }
    };
    assert_eq!(timeout(SOON, read).await.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn a_reset_connection_is_an_error_at_both_ends() {
    let mut ends = Ends::new().await;
    ends.proxy.cut(Cut::Reset);
    let reset = Err(ErrorKind::ConnectionReset);
    assert_eq!(rest(&mut ends.client).await, reset);
    assert_eq!(rest(&mut ends.server).await, reset);
    // Only those there were.
    let (mut client, mut server) = connect(&ends.proxy, &ends.listener).await;
    says(&mut client, "again").await;
    hears(&mut server, "again").await;
}

#[tokio::test]
async fn a_reset_by_one_end_is_a_reset_for_the_other() {
    let mut ends = Ends::new().await;
    ends.server.set_zero_linger().unwrap();
    drop(ends.server);
    assert_eq!(
        rest(&mut ends.client).await,
        Err(ErrorKind::ConnectionReset)
    );
}

#[tokio::test]
async fn a_delay_is_added_in_each_direction_to_bytes_and_to_the_end() {
    const DELAY: Duration = Duration::from_millis(300);
    let mut ends = Ends::new().await;
    ends.proxy.delay(DELAY);
    let start = Instant::now();
    says(&mut ends.client, "there").await;
    hears(&mut ends.server, "there").await;
    let there = start.elapsed();
    says(&mut ends.server, "back").await;
    hears(&mut ends.client, "back").await;
    let back = start.elapsed();
    assert!(there >= DELAY && back >= 2 * DELAY, "{there:?} {back:?}");
    assert!(back < 2 * DELAY + Duration::from_secs(2), "{back:?}");

    let start = Instant::now();
    drop(ends.client);
    rest(&mut ends.server).await.unwrap();
    let end = start.elapsed();
    assert!(end >= DELAY, "{end:?}");

    ends.proxy.heal().await;
    let (mut client, mut server) = connect(&ends.proxy, &ends.listener).await;
    let start = Instant::now();
    says(&mut client, "there").await;
    hears(&mut server, "there").await;
    assert!(start.elapsed() < DELAY, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_delay_does_not_limit_the_throughput() {
    const BYTES: usize = 32 << 20;
    let ends = Ends::new().await;
    let (mut client, mut server) = (ends.client, ends.server);
    ends.proxy.delay(Duration::from_millis(500));
    let start = Instant::now();
    let send = async {
        client.write_all(&vec![7; BYTES]).await.unwrap();
        client.shutdown().await.unwrap();
    };
    let mut received = Vec::new();
    let receive = async { server.read_to_end(&mut received).await.unwrap() };
    let ((), length) = timeout(SOON, async { tokio::join!(send, receive) })
        .await
        .unwrap();
    assert_eq!(length, BYTES);
    // A chunk of 16 KiB, or a window of a few of them, every half second would take minutes.
    let took = start.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test]
async fn a_black_hole_swallows_one_direction_and_its_end_until_healed() {
    let mut ends = Ends::new().await;
    ends.proxy.swallow(Direction::ToServer);
    says(&mut ends.client, "sent before the end").await;
    ends.client.shutdown().await.unwrap();
    says(&mut ends.server, "the other direction").await;
    hears(&mut ends.client, "the other direction").await;
    hears_nothing(&mut ends.server).await;
    ends.proxy.heal().await;
    assert_eq!(rest(&mut ends.server).await.unwrap(), "sent before the end");

    let (mut client, mut server) = connect(&ends.proxy, &ends.listener).await;
    ends.proxy.swallow(Direction::ToClient);
    says(&mut server, "lost").await;
    says(&mut client, "found").await;
    hears(&mut server, "found").await;
    hears_nothing(&mut client).await;
    server.set_zero_linger().unwrap();
    drop(server);
    hears_nothing(&mut client).await;
    ends.proxy.heal().await;
    // A reset overtakes what is still unread, so only its arrival is certain.
    let broken = rest(&mut client).await;
    assert!(
        broken == Err(ErrorKind::ConnectionReset) || broken.as_deref() == Ok("lost"),
        "{broken:?}"
    );
}

#[tokio::test]
async fn a_black_hole_of_both_directions_makes_new_connections_silent_too() {
    let mut ends = Ends::new().await;
    ends.proxy.swallow(Direction::Both);
    says(&mut ends.client, "1").await;
    says(&mut ends.server, "2").await;
    let mut late = TcpStream::connect(ends.proxy.address()).await.unwrap();
    says(&mut late, "3").await;
    hears_nothing(&mut ends.server).await;
    hears_nothing(&mut ends.client).await;
    let reached = timeout(SILENCE, ends.listener.accept()).await;
    assert!(reached.is_err(), "{reached:?}");
    hears_nothing(&mut late).await;

    ends.proxy.heal().await;
    hears(&mut ends.server, "1").await;
    hears(&mut ends.client, "2").await;
    let (mut reached, _) = timeout(SOON, ends.listener.accept())
        .await
        .unwrap()
        .unwrap();
    hears(&mut reached, "3").await;
}

#[tokio::test]
async fn a_connection_in_a_black_hole_can_be_cut() {
    let mut ends = Ends::new().await;
    ends.proxy.swallow(Direction::Both);
    let mut unreached = TcpStream::connect(ends.proxy.address()).await.unwrap();
    eventually(SOON, || async { ends.proxy.connections() == 2 }).await;
    ends.proxy.cut(Cut::Reset);
    for stream in [&mut ends.client, &mut ends.server, &mut unreached] {
        assert_eq!(rest(stream).await, Err(ErrorKind::ConnectionReset));
    }
}

#[tokio::test]
async fn a_limited_line_carries_so_many_bytes_a_second_until_healed() {
    const BYTES: usize = 60_000;
    const LIMIT: u32 = 100_000;
    let mut ends = Ends::new().await;
    ends.proxy.limit(LIMIT);
    let start = Instant::now();
    ends.client.write_all(&vec![1; BYTES]).await.unwrap();
    let mut received = vec![0; BYTES];
    timeout(SOON, ends.server.read_exact(&mut received))
        .await
        .unwrap()
        .unwrap();
    let took = start.elapsed();
    assert!(
        took > Duration::from_millis(590) && took < Duration::from_secs(3),
        "{took:?}"
    );

    ends.proxy.limit(1);
    let start = Instant::now();
    ends.client.write_all(&vec![1; BYTES]).await.unwrap();
    // Two of them have passed: the line is slow, not dead.
    timeout(SOON, ends.server.read_exact(&mut received[..2]))
        .await
        .unwrap()
        .unwrap();
    assert!(start.elapsed() > Duration::from_millis(1900));
    ends.proxy.heal().await;
    timeout(SOON, ends.server.read_exact(&mut received[2..]))
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn new_connections_are_refused_while_present_ones_go_on() {
    let mut ends = Ends::new().await;
    for _ in 0..20 {
        ends.proxy.refuse().await;
        let refused = TcpStream::connect(ends.proxy.address()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        says(&mut ends.client, "still here").await;
        hears(&mut ends.server, "still here").await;
        ends.proxy.heal().await;
        let (mut client, mut server) = connect(&ends.proxy, &ends.listener).await;
        says(&mut client, "new").await;
        hears(&mut server, "new").await;
    }
}

#[tokio::test]
async fn no_connection_outlives_its_proxy() {
    let Ends {
        mut client,
        mut server,
        proxy,
        ..
    } = Ends::new().await;
    let address = proxy.address();
    proxy.swallow(Direction::Both);
    says(&mut client, "lost").await;
    drop(proxy);
    // An end or an error, but not silence.
    let _ = (rest(&mut client).await, rest(&mut server).await);
    let refused = TcpStream::connect(address).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test(start_paused = true)]
async fn a_test_that_blocks_its_runtime_does_not_stop_the_proxy() {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let proxy = Proxy::to("127.0.0.1", listener.local_addr().unwrap().port());
    proxy.delay(Duration::from_millis(50));
    let mut client = std::net::TcpStream::connect(proxy.address()).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    let start = Instant::now();
    client.write_all(b"through").unwrap();
    let mut heard = [0; 7];
    server.read_exact(&mut heard).unwrap();
    assert!(start.elapsed() >= Duration::from_millis(50));
}

/// Asks through a new connection.
async fn asks(proxy: &Proxy, database: &TestDatabase) -> Result<PgConnection, sqlx::Error> {
    let mut connection = PgConnection::connect_with(&proxy.options(database)).await?;
    sqlx::query("select 1").execute(&mut connection).await?;
    Ok(connection)
}

#[tokio::test]
async fn a_server_is_reached_through_it_again_after_each_fault() {
    let server = Server::start(Settings::new()).await.unwrap();
    let database = TestDatabase::create(&server, None).await.unwrap();
    let proxy = Proxy::before(&server);
    for cut in [Cut::Closed, Cut::Reset] {
        let mut connection = asks(&proxy, &database).await.unwrap();
        assert_eq!(proxy.connections(), 1);
        proxy.cut(cut);
        let error = sqlx::query("select 1").execute(&mut connection).await;
        assert!(matches!(error, Err(sqlx::Error::Io(_))), "{error:?}");
        drop(connection);
        eventually(SOON, || async { proxy.connections() == 0 }).await;
    }
    server.stop(Stop::Immediate).await.unwrap();
    let down = timeout(SOON, asks(&proxy, &database)).await.unwrap();
    assert!(matches!(down, Err(sqlx::Error::Io(_))), "{down:?}");
    server.start_again().await.unwrap();
    asks(&proxy, &database).await.unwrap();
}
