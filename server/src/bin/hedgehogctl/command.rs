//! From the command line to the function that answers it.

use clap::CommandFactory;

use crate::cli::{Cli, Command, Connection};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::output::Output;
use crate::settings::Settings;
use crate::{backup, batch, bench, check, cluster, import, items, node, restore, scan, stats, tables};

/// What every command works with.
pub(crate) struct Session {
    connection: Connection,
    /// Where and how to answer.
    pub(crate) output: Output,
}

impl Session {
    /// A client of the node that flags and environment name. Commands that need no node do not ask for one, so
    /// that a wrong URL does not stop them.
    ///
    /// # Errors
    /// As for [`Settings::resolve`].
    pub(crate) fn client(&self) -> Result<Client> {
        Ok(Client::new(Settings::resolve(&self.connection)?))
    }
}

/// Runs a command.
///
/// # Errors
/// Whatever ends the command, with its exit code.
pub(crate) fn run(cli: Cli) -> Result<()> {
    let session = Session { connection: cli.connection, output: Output::new(cli.json) };
    let session = &session;
    match cli.command {
        Command::CreateTable { name } => tables::create(session, &name),
        Command::ListTables => tables::list(session),
        Command::DeleteTable { name } => tables::delete(session, &name),
        Command::Count { table } => tables::count(session, &table),
        Command::Get { item, consistency } => items::get(session, &item, consistency.consistency),
        Command::Put { item, value, consistency, condition, dry_run } => {
            let put = items::Put { value, consistency: consistency.consistency, condition, dry_run };
            items::put(session, &item, put)
        }
        Command::Delete { item, consistency, condition } => {
            items::delete(session, &item, consistency.consistency, condition)
        }
        Command::Scan { table, range, window } => scan::scan(session, &table, &range, &window),
        Command::Export { table, range } => scan::export(session, &table, &range),
        Command::Batch { table, file, consistency } => {
            batch::run(session, &table, &file, consistency.consistency)
        }
        Command::Import { table, file, from_line, consistency } => {
            import::run(session, &table, &file, from_line, consistency.consistency)
        }
        Command::Stats { watch } => stats::run(session, watch),
        Command::Check { folder: Some(folder) } => check::offline(session, &folder),
        Command::Check { folder: None } => check::online(session),
        Command::Backup { file } => backup::run(session, &file),
        Command::Restore { file, data_dir: Some(folder), .. } => restore::offline(session, &file, &folder),
        Command::Restore { file, data_dir: None, replace } => restore::online(session, &file, replace),
        Command::Bench(options) => bench::run(session, &options),
        Command::ClusterStatus => cluster::status(session),
        Command::ClusterNodes => cluster::nodes(session),
        Command::Config => node::config(session),
        Command::Health => node::health(session),
        Command::Ready => node::ready(session),
        Command::Completions { shell } => completions(session, shell),
    }
}

fn completions(session: &Session, shell: clap_complete::Shell) -> Result<()> {
    if session.output.json {
        return Err(Error::usage("completions are a shell's script: there is no --json of them"));
    }
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "hedgehogctl", &mut script);
    session.output.print(script)
}
