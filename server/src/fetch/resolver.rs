//! Looking up names: what comes out of here is what is dialled, so it is checked here.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::guard::{Refusal, check_address};

/// Finds the addresses of a name.
pub trait Lookup: Send + Sync + 'static {
    /// All addresses of a name, at this moment.
    fn look_up(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;
}

/// The resolver of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn look_up(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let name = name.to_owned();
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) })
    }
}

/// The host the operator has named, with the addresses it had when the fetcher was opened: they cannot change while
/// it lives.
#[derive(Clone, Debug)]
pub struct Home {
    /// The name as it stands in the URL.
    pub name: String,
    /// Its addresses, whatever they are.
    pub addresses: Vec<SocketAddr>,
}

/// Gives the named host its fixed addresses, and any other name only addresses that are public.
///
/// A name with even one address that is not public is refused whole: public hosts have none, and those who try to lead
/// us into the own network mix them. Every connection asks anew, and every answer is checked.
#[derive(Clone)]
pub struct GuardedResolver {
    home: Option<Home>,
    lookup: Arc<dyn Lookup>,
}

impl GuardedResolver {
    /// `home` is `None` when the operator has named an address, not a name.
    pub fn new(home: Option<Home>, lookup: Arc<dyn Lookup>) -> Self {
        Self { home, lookup }
    }

    /// The addresses that may be dialled for a name.
    ///
    /// # Errors
    /// A [`Refusal`], or the failure of the look-up.
    pub async fn addresses(&self, name: &str) -> Result<Vec<SocketAddr>, ResolveError> {
        if let Some(home) = self.home.as_ref().filter(|home| home.name == name) {
            return Ok(home.addresses.clone());
        }
        let found = self.lookup.look_up(name).await.map_err(ResolveError::Lookup)?;
        for address in found.iter().map(SocketAddr::ip) {
            check_address(name, address)?;
        }
        if found.is_empty() {
            return Err(ResolveError::Lookup(io::Error::other("the name has no address")));
        }
        // Only addresses: a zone would say through which interface to dial, and the port is that of the URL.
        Ok(found.iter().map(|address| SocketAddr::new(address.ip(), 0)).collect())
    }
}

/// Why a name has no address for us.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// It may not be dialled.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It could not be looked up.
    #[error("the name cannot be looked up: {0}")]
    Lookup(io::Error),
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let addresses = resolver.addresses(name.as_str()).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
