//! How tables are brought to this version.

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// All migrations in order. The macro of sqlx would build SQLite twice; a test keeps this list complete.
pub(super) const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "initial", include_str!("../../../migrations/0001_initial.sql")),
    (2, "access", include_str!("../../../migrations/0002_access.sql")),
    (3, "jobs", include_str!("../../../migrations/0003_jobs.sql")),
    (4, "upstreams", include_str!("../../../migrations/0004_upstreams.sql")),
    (5, "publication", include_str!("../../../migrations/0005_publication.sql")),
    (6, "verification", include_str!("../../../migrations/0006_verification.sql")),
    (7, "jobs", include_str!("../../../migrations/0007_jobs.sql")),
    (8, "held_files", include_str!("../../../migrations/0008_held_files.sql")),
    (9, "last_use", include_str!("../../../migrations/0009_last_use.sql")),
    (10, "leases", include_str!("../../../migrations/0010_leases.sql")),
    (11, "unhealed", include_str!("../../../migrations/0011_unhealed.sql")),
    (12, "waits", include_str!("../../../migrations/0012_waits.sql")),
    (13, "job_pages", include_str!("../../../migrations/0013_job_pages.sql")),
    (14, "verification_limits", include_str!("../../../migrations/0014_verification_limits.sql")),
    (15, "converted_forms", include_str!("../../../migrations/0015_converted_forms.sql")),
    (16, "job_actuals", include_str!("../../../migrations/0016_job_actuals.sql")),
    (17, "verification_attempts", include_str!("../../../migrations/0017_verification_attempts.sql")),
    (18, "computes_in_order", include_str!("../../../migrations/0018_computes_in_order.sql")),
    (19, "program_subjects", include_str!("../../../migrations/0019_program_subjects.sql")),
    (20, "given_up", include_str!("../../../migrations/0020_given_up.sql")),
    (21, "registry_state", include_str!("../../../migrations/0021_registry_state.sql")),
    (22, "hidden_faults", include_str!("../../../migrations/0022_hidden_faults.sql")),
    (23, "compared_at", include_str!("../../../migrations/0023_compared_at.sql")),
    (24, "private_patterns", include_str!("../../../migrations/0024_private_patterns.sql")),
];

pub(super) fn migrator() -> Migrator {
    migrator_of(MIGRATIONS)
}

pub(super) fn migrator_of(migrations: &[(i64, &'static str, &'static str)]) -> Migrator {
    let migrations = migrations
        .iter()
        .map(|&(version, description, sql)| {
            Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), false)
        })
        .collect();
    Migrator::with_migrations(migrations)
}
