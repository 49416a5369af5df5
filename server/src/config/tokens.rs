//! Who may do what: tokens are known by their SHA-256 alone, so that the file holds nothing that opens the door.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};

use super::ConfigError;
use super::file::located;

/// What a token allows; each role allows what the ones before it do.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads.
    Read,
    /// Reads and writes of items and tables.
    Write,
    /// Everything, backups among it.
    Admin,
}

impl Role {
    /// As the file spells it.
    pub fn name(self) -> &'static str {
        match self {
            Role::Read => "read",
            Role::Write => "write",
            Role::Admin => "admin",
        }
    }
}

/// A token, by its digest.
#[derive(Clone, Debug)]
pub struct Token {
    /// What it is called in logs.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// The SHA-256 of the token.
    pub sha256: [u8; 32],
}

/// All tokens. None at all means that everybody may do everything.
#[derive(Clone, Debug, Default)]
pub struct Access {
    tokens: Vec<Token>,
}

impl Access {
    /// Access by these tokens.
    pub fn new(tokens: Vec<Token>) -> Self {
        Self { tokens }
    }

    /// Whether no token is asked for.
    pub fn is_open(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The role of whoever bears that token, if it is known.
    ///
    /// The time that this takes tells nothing about the tokens: all of them are compared to the end, by digests, of
    /// which a guesser cannot approach the right one step by step.
    pub fn role_of(&self, token: &[u8]) -> Option<Role> {
        let digest = Sha256::digest(token);
        let mut found = 0u8;
        for (number, known) in (1u8..).zip(&self.tokens) {
            found.conditional_assign(&number, known.sha256[..].ct_eq(&digest[..]));
        }
        self.tokens.get(usize::from(found).checked_sub(1)?).map(|token| token.role)
    }

    /// Reads a file of tokens; warnings come with it.
    pub(super) fn read(path: &Path) -> Result<(Self, Vec<String>), ConfigError> {
        let file = path.display().to_string();
        let text = fs::read_to_string(path)
            .map_err(|cause| ConfigError(format!("cannot read the tokens {file}: {cause}")))?;
        let access = Self::parse(&file, &text)?;
        let exposed = is_readable_by_others(path);
        let warning = format!("{file} can be read by everybody on this machine: chmod o-rwx {file}");
        Ok((access, exposed.then_some(warning).into_iter().collect()))
    }

    fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        let parsed: TokenFile =
            toml::from_str(text).map_err(|cause| ConfigError(located(file, text, &cause)))?;
        if parsed.token.is_empty() || parsed.token.len() > usize::from(u8::MAX) {
            return Err(ConfigError(format!("{file}: expected 1 to 255 sections [[token]]")));
        }
        let mut tokens: Vec<Token> = Vec::with_capacity(parsed.token.len());
        for TokenEntry { name, role, sha256 } in parsed.token {
            let sha256 = digest(&sha256).ok_or_else(|| {
                let hint =
                    "sha256 must be 64 hexadecimal digits, as `printf %s TOKEN | sha256sum` prints them";
                ConfigError(format!("{file}: token {name:?}: {hint}"))
            })?;
            if let Some(other) = tokens.iter().find(|other| other.name == name || other.sha256 == sha256) {
                return Err(ConfigError(format!(
                    "{file}: token {name:?} is there twice (as {:?})",
                    other.name
                )));
            }
            tokens.push(Token { name, role, sha256 });
        }
        Ok(Self { tokens })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenFile {
    #[serde(default)]
    token: Vec<TokenEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenEntry {
    name: String,
    role: Role,
    sha256: String,
}

fn digest(hex: &str) -> Option<[u8; 32]> {
    if hex.len() != 64 || !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(digest)
}

fn is_readable_by_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The SHA-256 of `abc`, from FIPS 180-2.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_token_is_known_by_its_digest() {
        let text = format!("[[token]]\nname = \"ci\"\nrole = \"write\"\nsha256 = \"{ABC}\"\n");
        let access = Access::parse("tokens.toml", &text).unwrap();
        assert_eq!(access.role_of(b"abc"), Some(Role::Write));
        assert_eq!(access.role_of(b"abd"), None);
        assert_eq!(access.role_of(ABC.as_bytes()), None);
        assert_eq!(Access::default().role_of(b""), None);
    }

    #[test]
    fn files_that_would_open_or_close_too_much_are_refused() {
        let token = |name: &str, role: &str, sha: &str| {
            format!("[[token]]\nname = \"{name}\"\nrole = \"{role}\"\nsha256 = \"{sha}\"\n")
        };
        let good = token("ci", "write", ABC);
        let bad = [
            String::new(),
            token("ci", "owner", ABC),
            token("ci", "read", &ABC[1..]),
            token("ci", "read", "é".repeat(32).as_str()),
            format!("{good}{good}"),
            format!("{good}{}", token("other", "admin", &ABC.to_uppercase())),
            format!("{good}token = \"abc\"\n"),
        ];
        for text in bad {
            let error = Access::parse("tokens.toml", &text).unwrap_err();
            assert!(error.0.starts_with("tokens.toml"), "{error}");
        }
    }
}
