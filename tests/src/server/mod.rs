//! One PostgreSQL server, from wherever it can be had.

mod account;
mod binaries;
mod container;
mod control;
mod existing;
mod extension;
mod guard;
mod local;
mod pgbouncer;
mod postmaster;
mod sessions;
mod settings;
mod standby;
mod way;

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use tokio::sync::{Mutex, OnceCell};

use self::way::Searched;
use self::{
    account::Account, binaries::Binaries, container::Container, existing::Existing, local::Local,
};
pub use self::{
    container::DEFAULT_IMAGE, control::Stop, pgbouncer::PgBouncer, settings::Settings, way::Way,
};
pub(crate) use self::{local::free_port, way::variable};
use crate::{Error, Pgmq};

/// An image's server is started, stopped and started again while it initialises.
const ANSWERS_WITHIN: Duration = Duration::from_mins(2);

/// A running PostgreSQL, with a superuser's access. Clones are handles to the same server, and the last one ends it.
///
/// An own server's processes and files, or its container, are gone when the last handle is dropped. The shared server's are
/// removed right after this process ends, however it ends.
#[derive(Debug, Clone)]
pub struct Server {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    source: Source,
    /// What it was started from, which has to outlive it.
    _files: Option<extension::Tree>,
    /// Begins the name of every database made here; two processes, or two servers of one process, never share it.
    prefix: String,
    databases: AtomicU32,
    templates: Mutex<HashMap<Pgmq, String>>,
}

#[derive(Debug)]
enum Source {
    Existing(Existing),
    Local(Local),
    Container(Container),
}

impl Server {
    /// The server all tests of this process share, started by whoever asks first.
    ///
    /// # Errors
    /// What to install or set. The first error is everyone's: nothing is tried twice.
    pub async fn shared() -> Result<Self, Error> {
        static SHARED: OnceCell<Result<Server, Error>> = OnceCell::const_new();
        let start = || async {
            let server = blocking(|| {
                let prefix = new_prefix();
                Ok(Self::from_source(shared_source(&prefix)?, prefix))
            })
            .await?;
            server.wait_until_it_answers().await?;
            Ok(server)
        };
        SHARED.get_or_init(start).await.clone()
    }

    /// An own server, which the test may stop, kill and configure.
    ///
    /// It always comes from programs on this machine, whatever way the shared server came.
    ///
    /// # Errors
    /// No such programs, or the server does not start: then with the end of its log.
    pub async fn start(settings: Settings) -> Result<Self, Error> {
        blocking(|| {
            let account = Account::for_servers()?;
            let binaries = local_binaries(account.as_ref()).map_err(|searched| {
                Searched {
                    forced: Some(Way::Local),
                    ..searched
                }
                .into_error()
            })?;
            Ok(Self::from_source(
                Source::Local(Local::start(binaries, account, settings)?),
                new_prefix(),
            ))
        })
        .await
    }

    /// An own server that has the files of the extension pgmq, whatever is installed on this machine.
    ///
    /// # Errors
    /// As for [`start`](Self::start); or the crate that embeds PGMQ is not where cargo says.
    pub async fn start_with_pgmq(settings: Settings) -> Result<Self, Error> {
        let plain = Self::start(Settings::new()).await?;
        let programs = plain.binaries().unwrap_or_default();
        let mut connection = plain.connect().await?;
        let (share, libraries): (String, String) = sqlx::query_as(
            "select max(setting) filter (where name = 'SHAREDIR'), max(setting) filter (where name = 'PKGLIBDIR') from pg_config",
        )
        .fetch_one(&mut connection)
        .await
        .map_err(Error::because("ask a server where its files are"))?;
        let _ = connection.close().await;
        blocking(move || {
            let installed = extension::Installed {
                share: share.into(),
                libraries: libraries.into(),
                programs,
            };
            let files = extension::Tree::with_pgmq(&installed)?;
            let account = Account::for_servers()?;
            let binaries =
                Binaries::find(vec![files.within(&installed.programs)], account.as_ref()).map_err(
                    |directories| {
                        Searched {
                            forced: Some(Way::Local),
                            directories,
                            ..Searched::default()
                        }
                        .into_error()
                    },
                )?;
            let source = Source::Local(Local::start(binaries, account, settings)?);
            Ok(Self::from_files(source, Some(files), new_prefix()))
        })
        .await
    }

    /// A server for a program that shows something: an own one, so that nothing is left of it once this value is dropped, or
    /// the shared one where another way than programs of this machine was chosen or is the only one open.
    ///
    /// # Errors
    /// What to install or set.
    pub async fn throwaway() -> Result<Self, Error> {
        let chosen = match Way::forced()? {
            None if existing::is_given() => Some(Way::Url),
            forced => forced,
        };
        if matches!(chosen, None | Some(Way::Local)) {
            let account = Account::for_servers()?;
            if local_binaries(account.as_ref()).is_ok() {
                return Self::start(Settings::new()).await;
            }
        }
        Self::shared().await
    }

    fn from_source(source: Source, prefix: String) -> Self {
        Self::from_files(source, None, prefix)
    }

    fn from_files(source: Source, files: Option<extension::Tree>, prefix: String) -> Self {
        let inner = Inner {
            source,
            _files: files,
            prefix,
            databases: AtomicU32::new(0),
            templates: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// How this server was come by.
    pub fn way(&self) -> Way {
        match self.inner.source {
            Source::Existing(_) => Way::Url,
            Source::Local(_) => Way::Local,
            Source::Container(_) => Way::Container,
        }
    }

    /// How to connect to `database`, as superuser.
    pub fn options(&self, database: &str) -> PgConnectOptions {
        self.maintenance().database(database)
    }

    /// The same as a URL, password included.
    pub fn url(&self, database: &str) -> String {
        self.options(database).to_url_lossy().into()
    }

    /// The major version, such as 15.
    pub async fn version(&self) -> Result<u32, Error> {
        let mut connection = self.connect().await?;
        let number: i32 = sqlx::query_scalar("select current_setting('server_version_num')::int")
            .fetch_one(&mut connection)
            .await
            .map_err(Error::because("ask for the server's version"))?;
        Ok(number.unsigned_abs() / 10_000)
    }

    /// The directory that holds everything of a local server: data, socket, log.
    pub fn directory(&self) -> Option<PathBuf> {
        self.local().map(|local| local.directory().to_owned())
    }

    /// The directory of the programs a local server came from.
    pub fn binaries(&self) -> Option<PathBuf> {
        self.local().map(|local| local.binaries().to_owned())
    }

    /// Where databases are created from: the one a URL names, or `postgres`.
    pub(crate) fn maintenance(&self) -> PgConnectOptions {
        match &self.inner.source {
            Source::Existing(existing) => existing.options(),
            Source::Local(local) => local.options().database("postgres"),
            Source::Container(container) => container.options().database("postgres"),
        }
    }

    pub(crate) async fn connect(&self) -> Result<PgConnection, Error> {
        PgConnection::connect_with(&self.maintenance())
            .await
            .map_err(Error::because("connect to the test server"))
    }

    /// A name no other database of this server has.
    pub(crate) fn new_database_name(&self) -> String {
        format!(
            "{}_{}",
            self.inner.prefix,
            self.inner.databases.fetch_add(1, Ordering::Relaxed)
        )
    }

    pub(crate) fn templates(&self) -> &Mutex<HashMap<Pgmq, String>> {
        &self.inner.templates
    }

    fn local(&self) -> Option<&Local> {
        match &self.inner.source {
            Source::Local(local) => Some(local),
            Source::Existing(_) | Source::Container(_) => None,
        }
    }

    async fn wait_until_it_answers(&self) -> Result<(), Error> {
        let start = Instant::now();
        loop {
            match self.connect().await {
                Ok(connection) => {
                    let _ = connection.close().await;
                    return Ok(());
                }
                // A given server is there or not; a container's takes a while.
                Err(error) if self.way() != Way::Container || start.elapsed() > ANSWERS_WITHIN => {
                    return Err(error);
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

/// The first way that is open, or everything that was tried.
fn shared_source(prefix: &str) -> Result<Source, Error> {
    let forced = Way::forced()?;
    let may = |way| forced.is_none_or(|forced| forced == way);
    let mut searched = Searched {
        forced,
        ..Searched::default()
    };
    if may(Way::Url) && existing::is_given() {
        return Existing::from_env(prefix).map(Source::Existing);
    }
    if may(Way::Local) {
        let account = Account::for_servers()?;
        match local_binaries(account.as_ref()) {
            Ok(binaries) => {
                return Local::start(binaries, account, Settings::new()).map(Source::Local);
            }
            // Whoever names a directory means that one.
            Err(found) if variable("PGMQ_NOTIFY_TEST_BIN").is_some() => {
                return Err(Searched {
                    forced: Some(Way::Local),
                    ..found
                }
                .into_error());
            }
            Err(found) => searched.directories = found.directories,
        }
    }
    if may(Way::Container) {
        match container::client() {
            Ok(_) => return Container::start(prefix).map(Source::Container),
            Err(reason) => searched.container = Some(reason),
        }
    }
    Err(searched.into_error())
}

fn local_binaries(account: Option<&Account>) -> Result<Binaries, Searched> {
    let directories = match variable("PGMQ_NOTIFY_TEST_BIN") {
        Some(directory) => vec![directory.into()],
        None => binaries::usual_directories(),
    };
    Binaries::find(directories, account).map_err(|directories| Searched {
        directories,
        ..Searched::default()
    })
}

fn new_prefix() -> String {
    format!("pgmq_notify_test_{:08x}", fastrand::u32(..))
}

/// Starting and stopping wait for processes, which no test's runtime should do on its own thread.
async fn blocking<T, F>(work: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Error> + Send + 'static,
{
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(Error::because("control the server")(error)))
}
