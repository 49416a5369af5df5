//! `hedgehogdb`: one node.
//!
//! Standard output says where it serves, and how it ended; standard error is its log. Exit codes: 0 stopped in order,
//! 1 failed, 2 the settings cannot be served with, 130 ended by a second signal.

#![forbid(unsafe_code)]

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use server::app::{App, Limits, MAX_STREAMS, Node, Parts};
use server::archive::remove_leftovers;
use server::config::{Config, ConfigError, Loaded, load, units};
use server::engine::Engine;
use server::guard::{Gauges, Guard};
use server::metrics::{Metrics, NodeFacts, Sampler};
use server::serve::{Drained, Server, stop_on_signals};
use server::{routes, trace};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use tree::Database;

/// How long operations that are still on a thread of their own are waited for, after the last connection is closed.
const LAST_OPERATIONS: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let (config, warnings) = match settings() {
        Ok(Loaded::Serve(config, warnings)) => (config, warnings),
        Ok(Loaded::Print(text)) => {
            say(text.trim_end());
            return ExitCode::SUCCESS;
        }
        Err(error) => return failed(2, &error),
    };
    let _tracing =
        match trace::init(config.log_format, &config.log, config.otlp_endpoint.as_deref(), &config.node_id) {
            Ok(tracing) => tracing,
            Err(error) => return failed(2, &error),
        };
    for warning in warnings {
        warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(config.disk_threads)
        .build();
    match runtime {
        Ok(runtime) => {
            let ended = runtime.block_on(serve(&config));
            // What is still on a thread of its own has been waited for; dropping the runtime would do so without end.
            runtime.shutdown_background();
            ended.unwrap_or_else(|Failure(code, error)| failed(code, &error))
        }
        Err(error) => failed(1, &format!("no threads can be started: {error}")),
    }
}

fn settings() -> Result<Loaded, ConfigError> {
    let arguments: Result<Vec<String>, _> =
        std::env::args_os().skip(1).map(|argument| argument.into_string()).collect();
    let arguments =
        arguments.map_err(|argument| ConfigError(format!("{} is not UTF-8", argument.display())))?;
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    load(arguments, environment)
}

/// An exit code, and why.
struct Failure(u8, String);

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self(2, error.to_string())
    }
}

async fn serve(config: &Config) -> Result<ExitCode, Failure> {
    let stopping = CancellationToken::new();
    stop_on_signals(stopping.clone())
        .map_err(|error| Failure(1, format!("cannot catch signals: {error}")))?;
    // The address first: that another node has it should be said before this one opens its data.
    let server = Server::bind(config)?;
    warn_of_few_descriptors(config);
    info!(settings = %config.to_json(), "starting");
    let database = open(config).await?;
    let gauges = Arc::new(Gauges::default());
    let metrics = Arc::new(Metrics::new(database.clone(), gauges.clone(), facts(config)));
    let sampler = Sampler::start(metrics.clone())
        .map_err(|error| Failure(1, format!("the thread of the snapshots cannot be started: {error}")))?;
    let app = app(config, &server, &database, (&metrics, &gauges), &sampler, &stopping);
    let known = database.clone();
    let guard =
        Guard::new(config, gauges.clone(), metrics, Box::new(move |name| known.table(name).is_some()));
    let router = guard.protect(routes::router(app), &config.cors_origin);
    announce(config, &server);
    let drained = server.run(router, gauges, stopping).await;
    drop(sampler);
    close(database, drained).await
}

async fn open(config: &Config) -> Result<Arc<Database>, Failure> {
    let (folder, options) = (config.data_dir.clone(), config.options());
    let open = move || {
        let database = Database::open(&folder, options)?;
        if let Err(error) = remove_leftovers(&folder) {
            warn!(%error, "what an interrupted check or restore has left in the data folder cannot be removed");
        }
        Ok::<_, tree::Error>(database)
    };
    let opened = tokio::task::spawn_blocking(open).await;
    let cannot = |error: &dyn Display| {
        Failure(1, format!("the database in {} cannot be opened: {error}", config.data_dir.display()))
    };
    let database = opened.map_err(|error| cannot(&error))?.map_err(|error| cannot(&error))?;
    Ok(Arc::new(database))
}

fn facts(config: &Config) -> NodeFacts {
    NodeFacts {
        node_id: config.node_id.clone(),
        preset: config.preset.clone(),
        engine: config.engine.to_string(),
        commit: config.commit.to_string(),
        partitions: config.partitions,
    }
}

fn app(
    config: &Config,
    server: &Server,
    database: &Arc<Database>,
    (metrics, gauges): (&Arc<Metrics>, &Arc<Gauges>),
    sampler: &Sampler,
    stopping: &CancellationToken,
) -> App {
    let bind = server.local_addr().to_string();
    let bytes = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
    App::new(Parts {
        engine: Engine::new(database.clone()),
        node: Node {
            id: config.node_id.clone(),
            addr: config.advertise.clone().unwrap_or_else(|| bind.clone()),
            bind,
            partitions: config.partitions,
        },
        limits: Limits { body: bytes(config.max_body), batch_body: bytes(config.max_batch_body) },
        config: config.to_json(),
        data_dir: config.data_dir.clone(),
        metrics: metrics.clone(),
        gauges: gauges.clone(),
        snapshots: sampler.snapshots(),
        stopping: stopping.clone(),
        streams: Arc::new(Semaphore::new(MAX_STREAMS)),
        maintenance: Arc::new(Semaphore::new(1)),
    })
}

fn announce(config: &Config, server: &Server) {
    let url = server.url();
    say(format!(
        "HedgehogDB {} serves {url} (dashboard: {url}/)\n  data:       {}\n  preset:     {} (engine {}, {} partitions \
         a table, commit {})\n  durability: {}",
        config.node_id,
        config.data_dir.display(),
        config.preset,
        config.engine,
        config.partitions,
        config.commit,
        config.durability(),
    ));
}

/// Makes everything durable, takes a checkpoint, and says how the node ended.
async fn close(database: Arc<Database>, drained: Drained) -> Result<ExitCode, Failure> {
    if drained.cut > 0 {
        warn!("{} connections were not done in time and were cut", drained.cut);
    }
    let records = units::thousands(database.stats().log.appends);
    let failed =
        |error: &dyn Display| Failure(1, format!("stopped, but the database cannot be closed: {error}"));
    let closed = tokio::task::spawn_blocking(move || match sole_owner(database) {
        Ok(database) => database.close().map(|()| true),
        // An operation still has it. Its write was not acknowledged; all that were are made durable.
        Err(database) => database.flush().map(|()| false),
    });
    let in_order = closed.await.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
    let rest = if in_order { "a checkpoint is taken" } else { "an operation did not end, the log is kept" };
    say(format!("stopped: {records} log records durable since the start; {rest}"));
    Ok(ExitCode::SUCCESS)
}

/// The database, once nobody else has it.
fn sole_owner(mut database: Arc<Database>) -> Result<Database, Arc<Database>> {
    let patience = std::time::Instant::now() + LAST_OPERATIONS;
    loop {
        match Arc::try_unwrap(database) {
            Ok(database) => return Ok(database),
            Err(shared) if std::time::Instant::now() > patience => return Err(shared),
            Err(shared) => database = shared,
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Connections are descriptors, and so are the files of the database.
fn warn_of_few_descriptors(config: &Config) {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let allowed = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    if let Some(allowed) = allowed.filter(|&allowed| allowed < config.max_connections + 256) {
        let wanted = config.max_connections;
        warn!(
            "this process may open {allowed} files, which is not enough for max_connections {wanted}: ulimit -n"
        );
    }
}

fn failed(code: u8, error: &dyn Display) -> ExitCode {
    eprintln!("hedgehogdb: {error}");
    ExitCode::from(code)
}

/// To standard output, which may be closed already.
fn say(text: impl Display) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
