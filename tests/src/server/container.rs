//! A server in a container.

use std::{
    mem::ManuallyDrop,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use sqlx::postgres::PgConnectOptions;
use testcontainers::{
    ContainerAsync, GenericImage, ImageExt, core::IntoContainerPort, runners::AsyncRunner,
};

use super::{Settings, guard::Guard, way::variable};
use crate::Error;

/// PostgreSQL 18 with the PGMQ extension, as PGMQ publishes it.
pub const DEFAULT_IMAGE: &str = "ghcr.io/pgmq/pg18-pgmq:latest";

/// `$1` is the client, `$2` the container's name, under which it is created only after the guard waits.
const CLEANUP: &str = r#""$1" rm -f -v "$2""#;

/// A first run has to fetch the image.
const STARTED_WITHIN: Duration = Duration::from_mins(10);

/// A container that this process started.
#[derive(Debug)]
pub(super) struct Container {
    host: String,
    port: u16,
    _guard: Guard,
}

impl Container {
    /// Returns when the container runs; the server in it may still be starting.
    pub(super) fn start(name: &str) -> Result<Self, Error> {
        let client = client().map_err(Error::new)?;
        let guard = Guard::start("", CLEANUP, &[client, name], None)?;
        // Of its own, because the first test's runtime ends before the last test.
        let (host, port) = thread::scope(|scope| {
            let run = || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .map_err(Error::because("start a runtime"))?;
                runtime.block_on(run(name))
            };
            scope
                .spawn(run)
                .join()
                .unwrap_or_else(|_| Err(Error::new("starting the container panicked")))
        })?;
        Ok(Self {
            host,
            port,
            _guard: guard,
        })
    }

    pub(super) fn options(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host(&self.host)
            .port(self.port)
            .username("postgres")
            .password("postgres")
    }
}

/// The command line client that can remove a container after this process, or why there is none.
pub(super) fn client() -> Result<&'static str, String> {
    let mut reasons = Vec::new();
    for client in ["docker", "podman"] {
        let asked = Command::new(client)
            .args(["version"])
            .stdin(Stdio::null())
            .output();
        match asked {
            Ok(output) if output.status.success() => return Ok(client),
            Ok(output) => reasons.push(format!(
                "{client}: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            )),
            Err(error) => reasons.push(format!("{client}: {error}")),
        }
    }
    Err(reasons.join("; "))
}

async fn run(name: &str) -> Result<(String, u16), Error> {
    let image = variable("PGMQ_NOTIFY_TEST_IMAGE");
    let image = image
        .as_ref()
        .and_then(|image| image.to_str())
        .unwrap_or(DEFAULT_IMAGE);
    let (repository, tag) = split_tag(image);
    let settings = Settings::new();
    let command = ["postgres".to_owned()]
        .into_iter()
        .chain(settings.arguments());
    let failed = || Error::because(format!("run the container image {image}"));
    // No condition to wait for: what an image logs is its own affair, and connecting is tried until it succeeds.
    let container: ContainerAsync<GenericImage> = GenericImage::new(repository, tag)
        .with_exposed_port(5432.tcp())
        .with_container_name(name)
        .with_env_var("POSTGRES_PASSWORD", "postgres")
        .with_env_var("POSTGRES_HOST_AUTH_METHOD", "trust")
        .with_cmd(command)
        .with_startup_timeout(STARTED_WITHIN)
        .start()
        .await
        .map_err(failed())?;
    // The guard removes it; testcontainers would do so at the end of this function.
    let container = ManuallyDrop::new(container);
    let host = container.get_host().await.map_err(failed())?.to_string();
    let port = container
        .get_host_port_ipv4(5432.tcp())
        .await
        .map_err(failed())?;
    Ok((host, port))
}

/// A colon before the last slash belongs to a registry's port.
fn split_tag(image: &str) -> (&str, &str) {
    match image.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (image, "latest"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_port_is_no_tag() {
        assert_eq!(
            split_tag(DEFAULT_IMAGE),
            ("ghcr.io/pgmq/pg18-pgmq", "latest")
        );
        assert_eq!(
            split_tag("localhost:5000/pgmq"),
            ("localhost:5000/pgmq", "latest")
        );
        assert_eq!(
            split_tag("localhost:5000/pgmq:v1"),
            ("localhost:5000/pgmq", "v1")
        );
    }
}
