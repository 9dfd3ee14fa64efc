//! Module `time`: clock and sleep.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mlua::{Error, Lua, MultiValue, Result, Table};
use tokio::time::Instant;

use crate::modules::wait::Waiting;

pub(super) fn module(lua: &Lua) -> Result<Table> {
    let time = lua.create_table()?;
    let now = lua.create_function(|_, ()| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    })?;
    time.raw_set("now", now)?;
    let started = Instant::now();
    let elapsed = lua.create_function(move |_, ()| Ok(started.elapsed().as_secs_f64() * 1e3))?;
    time.raw_set("monotonic", elapsed)?;
    let sleep = lua.create_function(|_, ms: f64| {
        let duration = Duration::try_from_secs_f64(ms / 1e3);
        let duration = duration
            .map_err(|_| Error::runtime(format!("time.sleep takes milliseconds, found {ms}")))?;
        Ok(Waiting::new(tokio::time::sleep(duration), |_, ()| Ok(MultiValue::new())))
    })?;
    time.raw_set("sleep", sleep)?;
    Ok(time)
}
