//! `phasic-hub token`.

use std::fmt::Write as _;
use std::process::ExitCode;

use super::{DataArgs, Outcome, TokenCommand, print};
use crate::auth::TokenSecret;
use crate::hub::DataDirectory;

pub(super) async fn run(command: TokenCommand) -> Outcome {
    match command {
        TokenCommand::Create { name, scopes, expires, data } => {
            let data = open(data).await?;
            let secret = TokenSecret::generate()?;
            data.store.add_token(&secret.row(&name, &scopes, expires)).await?;
            print(&format!("{secret}\n"))?;
        }
        TokenCommand::List { data } => {
            let mut listing = String::from("id\tname\tscopes\tcreated\texpires\trevoked\n");
            for token in open(data).await?.store.tokens().await? {
                let when = |time: &Option<String>| time.clone().unwrap_or_else(|| "-".to_owned());
                let (expires, revoked) = (when(&token.expires_at), when(&token.revoked_at));
                let name = token.name.escape_debug();
                // Writing to a string cannot fail.
                let _ = writeln!(
                    listing,
                    "{}\t{name}\t{}\t{}\t{expires}\t{revoked}",
                    token.id, token.scopes, token.created_at
                );
            }
            print(&listing)?;
        }
        TokenCommand::Revoke { id, data } => {
            if !open(data).await?.store.revoke_token(&id).await? {
                eprint(&format!("There is no valid token {id:?}; `phasic-hub token list` shows all.\n"));
                return Ok(ExitCode::from(1));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn open(data: DataArgs) -> Result<DataDirectory, super::CommandError> {
    Ok(DataDirectory::open(&data.load()?.data_dir).await?)
}

fn eprint(text: &str) {
    use std::io::Write as _;
    // With standard error gone there is nobody left to tell.
    let _ = std::io::stderr().write_all(text.as_bytes());
}
