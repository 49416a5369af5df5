//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::units::parse_duration;

const AFTER: &str = "\
Examples:
  hedgehogctl create-table users
  hedgehogctl put users user-1 '{\"name\":\"Ada\",\"age\":36}'
  hedgehogctl get users user-1
  hedgehogctl scan users --prefix user- --limit 20
  hedgehogctl export users > users.ndjson; hedgehogctl import users users.ndjson
  hedgehogctl stats --watch
  hedgehogctl backup monday.tar; hedgehogctl restore monday.tar --data-dir ./copy

Environment:
  HEDGEHOG_URL    the node, where --url is not given
  HEDGEHOG_TOKEN  the bearer token, where neither --token-file nor --token is given
  HEDGEHOG_CA     certificates to trust, where --ca is not given
  NO_COLOR        no colours on a terminal

Exit codes:
  0  done                          5  no node answers at the URL
  1  failed                        6  not permitted: no token, a wrong one, or too small a role
  2  wrong command line or input   7  the node is busy or not ready; try again
  3  no such table or item         8  a check found damage
  4  exists already, or an --if-match or --if-none-match does not hold";

/// The command line of a HedgehogDB node: tables for people, --json for programs.
#[derive(Debug, Parser)]
#[command(name = "hedgehogctl", version, after_help = AFTER)]
pub(crate) struct Cli {
    /// Write a JSON document to stdout instead of text for people
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Where the node is and who asks.
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where the node is and who asks.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Connection {
    /// The node's base URL [default: HEDGEHOG_URL, else http://127.0.0.1:8080]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The bearer token; other users of the machine can see it here, so prefer --token-file or HEDGEHOG_TOKEN
    #[arg(long, global = true, value_name = "TOKEN", conflicts_with = "token_file")]
    pub(crate) token: Option<String>,
    /// A file that holds nothing but the bearer token
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Trust the certificates in this PEM file, and no others [default: HEDGEHOG_CA, else the public ones]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// The longest silence of the node before the command gives up
    #[arg(long, global = true, default_value = "30s", value_parser = parse_duration, value_name = "TIME")]
    pub(crate) timeout: Duration,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a table
    CreateTable {
        /// Its name
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
    },
    /// List the tables and how many items they hold
    ListTables,
    /// Delete a table and all its items
    DeleteTable {
        /// Its name
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
    },
    /// Count the items of a table
    Count {
        /// The table
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        table: String,
    },
    /// Print an item
    Get {
        #[command(flatten)]
        item: Address,
        #[command(flatten)]
        consistency: WithConsistency,
    },
    /// Store an item
    Put {
        #[command(flatten)]
        item: Address,
        /// The JSON object; `@FILE` reads a file, `-` reads stdin
        #[arg(value_name = "JSON|@FILE|-", allow_hyphen_values = true)]
        value: String,
        #[command(flatten)]
        consistency: WithConsistency,
        #[command(flatten)]
        condition: Condition,
        /// Check it and answer as if it were stored, but store nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Delete an item
    Delete {
        #[command(flatten)]
        item: Address,
        #[command(flatten)]
        consistency: WithConsistency,
        #[command(flatten)]
        condition: Condition,
    },
    /// Print the items of a table in key order
    Scan {
        /// The table
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        table: String,
        #[command(flatten)]
        range: Range,
        #[command(flatten)]
        window: Window,
    },
    /// Do the operations of a file: {"op":"put","key":"k","item":{}} a line, or get, or delete
    Batch {
        /// The table
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        table: String,
        /// The operations, one a line; `-` reads stdin
        file: PathBuf,
        #[command(flatten)]
        consistency: WithConsistency,
    },
    /// Store the items of a file: {"key":"k","item":{}} a line, as `export` writes them
    Import {
        /// The table; it has to exist
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        table: String,
        /// The items, one a line; `-` reads stdin
        file: PathBuf,
        /// Begin at this line: where an import that stopped says to go on
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..), value_name = "LINE")]
        from_line: u64,
        #[command(flatten)]
        consistency: WithConsistency,
    },
    /// Write the items of a table to stdout: {"key":"k","item":{}} a line
    Export {
        /// The table
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        table: String,
        #[command(flatten)]
        range: Range,
    },
    /// Show what the node is doing: operations, log, pool and trees
    Stats {
        /// Once a second, until Ctrl-C; with --json a document a line
        #[arg(long)]
        watch: bool,
    },
    /// Verify all trees of the node while it runs, or of a closed database's folder
    Check {
        /// The folder of a closed database; without it, the node is asked
        folder: Option<PathBuf>,
    },
    /// Write a backup of the running node to a file
    Backup {
        /// The tar archive to write; it must not exist
        file: PathBuf,
    },
    /// Add the tables of a backup to the running node, or unpack it to an empty folder
    Restore {
        /// The tar archive that `backup` wrote
        file: PathBuf,
        /// Unpack to this folder and verify it, without a node
        #[arg(long, value_name = "FOLDER")]
        data_dir: Option<PathBuf>,
        /// Replace tables that exist
        #[arg(long, conflicts_with = "data_dir")]
        replace: bool,
    },
    /// Measure puts or gets, each connection in a closed loop
    Bench(Bench),
    /// Show the cluster as the node sees it
    ClusterStatus,
    /// List the cluster's nodes
    ClusterNodes,
    /// Show the node's effective configuration
    Config,
    /// Ask whether the node lives
    Health,
    /// Ask whether the node takes requests; exit code 7 where it does not
    Ready,
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// An item.
#[derive(Debug, Args)]
pub(crate) struct Address {
    /// The table
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) table: String,
    /// The item's key
    #[arg(value_parser = NonEmptyStringValueParser::new(), allow_hyphen_values = true)]
    pub(crate) key: String,
}

/// When an operation is answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Consistency {
    /// Writes answer once no crash can lose them; reads return nothing that a crash could lose
    Strong,
    /// Writes answer once they are applied; reads return what is applied
    Eventual,
}

impl Consistency {
    /// As the interface spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Consistency::Strong => "strong",
            Consistency::Eventual => "eventual",
        }
    }
}

/// The option `--consistency`. Its default differs from the interface's, where it is eventual: who types a
/// command and sees it done expects it to stay done.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct WithConsistency {
    /// When the operation is answered
    #[arg(long, value_enum, default_value_t = Consistency::Strong)]
    pub(crate) consistency: Consistency,
}

/// What must hold for a write.
#[derive(Debug, Args)]
pub(crate) struct Condition {
    /// Only if the item is the one with this ETag (`*`: if there is one); exit code 4 otherwise
    #[arg(long, value_name = "ETAG")]
    pub(crate) if_match: Option<String>,
    /// Only if the item is not the one with this ETag (`*`: if there is none); exit code 4 otherwise
    #[arg(long, value_name = "ETAG", num_args = 0..=1, default_missing_value = "*", require_equals = true)]
    pub(crate) if_none_match: Option<String>,
}

/// A part of a table's keys.
#[derive(Debug, Default, Args)]
pub(crate) struct Range {
    /// Only keys that begin with this
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) prefix: Option<String>,
    /// Only keys from this one on
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    pub(crate) start: Option<String>,
    /// Only keys before this one
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    pub(crate) end: Option<String>,
}

/// Which of the items, and in which order.
#[derive(Debug, Default, Args)]
pub(crate) struct Window {
    /// At most so many items; without it all of them, fetched page by page
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..), value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Go on where an earlier scan with --limit ended
    #[arg(long, value_name = "CURSOR")]
    pub(crate) cursor: Option<String>,
    /// From the last key to the first
    #[arg(long, action = ArgAction::SetTrue)]
    pub(crate) reverse: bool,
}

/// What `bench` measures.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Operation {
    /// Writes of new items
    Put,
    /// Reads of items that the bench has loaded before
    Get,
}

/// Options of `bench`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Bench {
    /// What to measure
    #[arg(value_enum, default_value_t = Operation::Put)]
    pub(crate) operation: Operation,
    /// Connections, each with one request under way
    #[arg(long, short = 'c', default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024),
          value_name = "N")]
    pub(crate) connections: u16,
    /// How long to measure
    #[arg(long, short = 'd', default_value = "5s", value_parser = parse_duration, value_name = "TIME")]
    pub(crate) duration: Duration,
    /// The table to use; one that does not exist is created, and deleted at the end
    #[arg(long, default_value = "hedgehogctl_bench", value_parser = NonEmptyStringValueParser::new(),
          value_name = "TABLE")]
    pub(crate) table: String,
    /// The size of an item, in bytes of JSON
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(16..=1_048_576),
          value_name = "BYTES")]
    pub(crate) item_bytes: u32,
    #[command(flatten)]
    pub(crate) consistency: WithConsistency,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_existing_commands_are_understood_as_they_always_were() {
        for line in [
            "create-table t",
            "list-tables",
            "delete-table t",
            "get t k",
            "put t k {}",
            "delete t k",
            "scan t",
            "cluster-status",
            "cluster-nodes",
        ] {
            let words = std::iter::once("hedgehogctl").chain(line.split(' '));
            assert!(Cli::try_parse_from(words).is_ok(), "{line}");
        }
    }
}
