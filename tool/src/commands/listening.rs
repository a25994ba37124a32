//! Addresses at which `serve` and `browse` listen, and until when.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};

use anyhow::anyhow;
use tokio::net::TcpSocket;

/// How many connections may wait to be accepted, as in tokio's own listeners.
pub(super) const BACKLOG: u32 = 1024;

/// Takes the address that an option of the command names, without listening at it yet.
pub(super) fn take(address: SocketAddr, option: &str) -> anyhow::Result<TcpSocket> {
    bind(address)
        .map_err(|error| anyhow!("cannot listen on {address}: {error}; choose another address with {option}"))
}

/// As [`take`], or at a free port where that of the address is taken.
pub(super) fn take_or_free(address: SocketAddr, option: &str) -> anyhow::Result<TcpSocket> {
    match bind(address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            take(SocketAddr::new(address.ip(), 0), option)
        }
        _ => take(address, option),
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // As in tokio's own listeners: connections of a process that has just ended do not block the address.
    socket.set_reuseaddr(!cfg!(windows))?;
    socket.bind(address)?;
    Ok(socket)
}

/// Reads an address, or looks up that of a host. Where a host has both kinds, as `localhost` has, IPv4 is
/// taken.
pub(super) fn resolve(address: &str) -> Result<SocketAddr, String> {
    let resolved: Vec<_> = address
        .to_socket_addrs()
        .map_err(|error| format!("{error}; give a host and a port, such as 127.0.0.1:3000"))?
        .collect();
    let address = resolved.iter().find(|address| address.is_ipv4()).or(resolved.first());
    address.copied().ok_or_else(|| "the host has no address".to_owned())
}

/// Ctrl-C, or the signal with which service managers and containers end a process. It is noticed from this call
/// on, so that whoever reads the address that is printed next can end the process at once.
pub(super) fn the_end() -> impl Future<Output = ()> {
    #[cfg(unix)]
    let signals = {
        use tokio::signal::unix::{SignalKind, signal};
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    };
    async move {
        #[cfg(unix)]
        if let (Ok(mut interrupt), Ok(mut terminate)) = signals {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
        // Where signals cannot be waited for, a signal ends the process by itself.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
