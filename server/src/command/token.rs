//! `phasic-hub token`.

use std::fmt::Write as _;
use std::process::ExitCode;

use super::{DataArgs, Outcome, TokenCommand, print};
use crate::auth::{Scope, TokenSecret};
use crate::hub::DataDirectory;
use crate::store::Actor;

pub(super) async fn run(command: TokenCommand) -> Outcome {
    match command {
        TokenCommand::Create { name, scopes, ids, expires, data } => {
            if !ids.is_empty() && scopes.contains(&Scope::Admin) {
                return Err(super::CommandError::AdminOfIds);
            }
            // Before the first start, too: a token is what an answering hub is asked with.
            let data = DataDirectory::open(&data.load()?.data_dir).await?;
            let secret = TokenSecret::generate()?;
            data.store
                .add_token(&secret.row(&name, &scopes, ids.into_iter().collect(), expires), &Actor::Operator)
                .await?;
            print(&format!("{secret}\n"))?;
        }
        TokenCommand::List { data } => {
            let mut listing = String::from("id\tname\tscopes\tids\tcreated\texpires\tused\trevoked\n");
            for token in open(data).await?.store.tokens().await? {
                let when = |time: &Option<String>| time.clone().unwrap_or_else(|| "-".to_owned());
                let (expires, revoked) = (when(&token.expires_at), when(&token.revoked_at));
                let used = when(&token.last_used_at);
                let scopes = token.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" ");
                let name = token.name.escape_debug();
                let ids = if token.ids.is_empty() { "*".to_owned() } else { token.ids.to_string() };
                // Writing to a string cannot fail.
                let _ = writeln!(
                    listing,
                    "{}\t{name}\t{scopes}\t{ids}\t{}\t{expires}\t{used}\t{revoked}",
                    token.id, token.created_at
                );
            }
            print(&listing)?;
        }
        TokenCommand::Revoke { id, data } => {
            if !open(data).await?.store.revoke_token(&id, &Actor::Operator).await? {
                eprint(&format!("There is no valid token {id:?}; `phasic-hub token list` shows all.\n"));
                return Ok(ExitCode::from(1));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn open(data: DataArgs) -> Result<DataDirectory, super::CommandError> {
    Ok(DataDirectory::existing(&data.load()?.data_dir).await?)
}

fn eprint(text: &str) {
    use std::io::Write as _;
    // With standard error gone there is nobody left to tell.
    let _ = std::io::stderr().write_all(text.as_bytes());
}
