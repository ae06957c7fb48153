//! The database of a data directory, beside a hub or without: for what only time, or a fault of a disk, would bring about.

use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection};

/// Runs statements, separated by semicolons.
pub fn execute(data: &Path, sql: &str) {
    with(data, async |connection| {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap();
    });
}

/// The first column of all rows.
pub fn texts(data: &Path, sql: &str) -> Vec<String> {
    with(data, async |connection| sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(connection).await.unwrap())
}

fn with<T>(data: &Path, work: impl AsyncFnOnce(&mut SqliteConnection) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(data.join("hub.db")).foreign_keys(true);
        let mut connection = options.connect().await.unwrap();
        let done = work(&mut connection).await;
        // In good order, so that nothing is left to be done by whoever opens it next.
        connection.close().await.unwrap();
        done
    })
}
