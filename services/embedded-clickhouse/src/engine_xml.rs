//! The engine's configuration file, made from ours at each start.

use std::path::Path;

use crate::config::EngineConfig;

/// The text of `engine.xml`; settings of statements are not in it, the engine takes them as arguments. `query_log` is not in the pinned engine and does no harm; later ones have it.
pub(crate) fn text(config: &EngineConfig, data_path: &Path, users: &Path) -> String {
    format!(
        "<clickhouse>
    <path>{path}</path>
    <users_config>{users}</users_config>
    <max_server_memory_usage>{memory}</max_server_memory_usage>
    <background_pool_size>{threads}</background_pool_size>
    <background_schedule_pool_size>8</background_schedule_pool_size>
    <mark_cache_size>{marks}</mark_cache_size>
    <query_log><database>system</database><table>query_log</table></query_log>
</clickhouse>
",
        path = escaped(&data_path.to_string_lossy()),
        users = escaped(&users.to_string_lossy()),
        memory = config.memory_bytes_max,
        threads = config.merge_threads,
        marks = config.mark_cache_bytes,
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
