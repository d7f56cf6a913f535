//! What the service manager that started this process is told (`sd_notify(3)`): that it is ready, alive, or
//! stopping. Without one nothing is done.

use sd_notify::{NotifyState, notify, watchdog_enabled};

/// The role answers now.
pub(super) fn ready() {
    tell(NotifyState::Ready);
}

/// The role takes no new calls from now on.
pub(super) fn stopping() {
    tell(NotifyState::Stopping);
}

/// Tells three times in each period of the watchdog that this runtime still runs its tasks. One that does not is
/// ended by the service manager, and started anew.
pub(super) fn keep_alive() {
    let Some(period) = watchdog_enabled() else {
        return;
    };
    tokio::spawn(async move {
        let mut beat = tokio::time::interval((period / 3).max(SHORTEST));
        loop {
            beat.tick().await;
            tell(NotifyState::Watchdog);
        }
    });
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = notify(&[state]) {
        tracing::warn!(event = "systemd.not_told", %error);
    }
}

const SHORTEST: std::time::Duration = std::time::Duration::from_millis(10);
