//! The steps of each operation on one table, in SQL.

use smallvec::{SmallVec, smallvec};

use super::super::census::{Census, Cull};
use super::super::dialect::{Dialect, Engine};
use super::super::expiry::{Calendar, Now, Point};
use super::super::row;
use super::asked::Fresh;
use super::fault::Nature;
use super::link::{Arg, Link, Row};
use super::scan::Cursors;
use super::session::{Session, Step};
use crate::backend::{Fetched, Page, Touched, When, Written, glob};
use crate::timeout::Ttl;

/// Parameters of a statement.
type Args<'a> = SmallVec<[Arg<'a>; 6]>;

/// A table, and how it is read and written.
pub struct Table {
    pub(super) dialect: Dialect,
    pub(super) calendar: Calendar,
    pub(super) census: Census,
    /// The largest value that is read.
    pub(super) limit: usize,
    pub(super) cursors: Cursors,
}

/// Keys of one page of a listing.
const PAGE: i64 = 500;

impl Table {
    /// The value of a key, and what is left of its time. A row that is over goes, as in Django (DB-7), unless it was refreshed meanwhile.
    pub async fn fetch<L: Link>(&self, session: &mut Session<'_, L>, key: &str) -> Step<Option<Fetched>> {
        let rows = session.rows(&self.dialect.get, &[Arg::Text(key)]).await?;
        let Some([_, value, expires]) = own(&rows, key) else { return Ok(None) };
        let now = self.calendar.now();
        let point = self.point(expires)?;
        if !point.is_over(now.point) {
            let value = row::decode(value.as_bytes(), self.limit)?.into();
            return Ok(Some(Fetched { value, left: Some(point.left(now.point)) }));
        }
        let text = self.calendar.now_text(now);
        let mut args = self.key(key);
        args.push(Arg::Text(&text));
        let gone = session.tidy(&self.dialect.delete_over, &args).await;
        self.census.removed(gone);
        Ok(None)
    }

    /// Whether a key is there (DB-7: nothing is removed).
    pub async fn has<L: Link>(&self, session: &mut Session<'_, L>, key: &str) -> Step<bool> {
        let now = self.calendar.now();
        let rows = session.rows(&self.dialect.expiry, &[Arg::Text(key)]).await?;
        // pitfall 24: as the database compares keys, like Django's
        let Some([_, expires]) = first(&rows) else { return Ok(false) };
        Ok(!self.point(expires)?.is_over(now.point))
    }

    /// What is left of a key's time to live.
    pub async fn ttl<L: Link>(&self, session: &mut Session<'_, L>, key: &str) -> Step<Option<Ttl>> {
        let now = self.calendar.now();
        let point = self.expiry(session, key).await?;
        Ok(point.filter(|point| !point.is_over(now.point)).map(|point| point.left(now.point)))
    }

    async fn expiry<L: Link>(&self, session: &mut Session<'_, L>, key: &str) -> Step<Option<Point>> {
        let rows = session.rows(&self.dialect.expiry, &[Arg::Text(key)]).await?;
        let Some([_, expires]) = own(&rows, key) else { return Ok(None) };
        Ok(Some(self.point(expires)?))
    }

    /// Writes a row (DB-8), and reports what Django swallows (DB-9).
    pub async fn set<L: Link>(&self, session: &mut Session<'_, L>, row: &Fresh, ttl: Ttl, when: When) -> Step<Written> {
        self.cull(session).await?;
        let now = self.calendar.now();
        let (expires, over) = self.calendar.expires(ttl, now);
        let stored = match when {
            When::Always => {
                let is_new = self.upsert(session, row, &expires).await?;
                self.count_added(is_new);
                true
            }
            When::Missing => self.add(session, row, &expires, now).await?,
            When::Present => self.replace(session, row, &expires, now).await?,
        };
        Ok(match (stored, over) {
            (false, _) => Written::NotStored,
            (true, true) => Written::NotKept, // T: the row is there, over, and counts for culling
            (true, false) => Written::Stored,
        })
    }

    async fn upsert<L: Link>(&self, session: &mut Session<'_, L>, row: &Fresh, expires: &str) -> Step<bool> {
        let args = [Arg::Text(&row.key), Arg::Text(&row.text), Arg::Text(expires)];
        if self.dialect.engine() == Engine::Postgres {
            return Ok(is_new(&session.change_rows(&self.dialect.set, &args).await?));
        }
        // 2: a row was replaced
        Ok(session.change(&self.dialect.set, &args).await? == 1)
    }

    async fn add<L: Link>(&self, session: &mut Session<'_, L>, row: &Fresh, expires: &str, now: Now) -> Step<bool> {
        let now = self.calendar.now_text(now);
        let args = [Arg::Text(&row.key), Arg::Text(&row.text), Arg::Text(expires)];
        if self.dialect.engine() == Engine::Postgres {
            let [key, text, expires] = args;
            let rows = session.change_rows(&self.dialect.add, &[key, text, expires, Arg::Text(&now)]).await?;
            self.count_added(is_new(&rows));
            return Ok(!rows.is_empty());
        }
        match session.change(&self.dialect.add, &args).await {
            Ok(_) => {
                self.census.added();
                Ok(true)
            }
            Err(fault) if fault.nature == Nature::Duplicate => {
                let [key, text, expires] = args;
                let args = [text, expires, key, Arg::Text(&now)];
                Ok(session.change(&self.dialect.renew, &args).await? > 0)
            }
            Err(fault) => Err(fault),
        }
    }

    async fn replace<L: Link>(&self, session: &mut Session<'_, L>, row: &Fresh, expires: &str, now: Now) -> Step<bool> {
        let now = self.calendar.now_text(now);
        let mut args: Args<'_> = smallvec![Arg::Text(&row.text), Arg::Text(expires)];
        args.extend(self.key(&row.key));
        args.push(Arg::Text(&now));
        Ok(session.change(&self.dialect.replace, &args).await? > 0)
    }

    /// Gives a row another time, also one that is over (DB-10).
    pub async fn touch<L: Link>(&self, session: &mut Session<'_, L>, key: &str, ttl: Ttl) -> Step<Touched> {
        self.cull(session).await?;
        let (expires, over) = self.calendar.expires(ttl, self.calendar.now());
        let mut args: Args<'_> = smallvec![Arg::Text(&expires)];
        args.extend(self.key(key));
        let changed = session.change(&self.dialect.touch, &args).await? > 0;
        Ok(match (changed, over) {
            (false, _) => Touched::Missing,
            (true, true) => Touched::NotKept,
            (true, false) => Touched::Changed,
        })
    }

    /// Takes the end of a row that is not over.
    pub async fn persist<L: Link>(&self, session: &mut Session<'_, L>, key: &str) -> Step<Touched> {
        let now = self.calendar.now();
        let (expires, _) = self.calendar.expires(Ttl::Forever, now);
        let now = self.calendar.now_text(now);
        let mut args: Args<'_> = smallvec![Arg::Text(&expires)];
        args.extend(self.key(key));
        args.push(Arg::Text(&now));
        let changed = session.change(&self.dialect.touch_live, &args).await? > 0;
        Ok(if changed { Touched::Changed } else { Touched::Missing })
    }

    /// Removes a row, also one that is over.
    pub async fn delete<L: Link>(&self, session: &mut Session<'_, L>, key: &str) -> Step<bool> {
        let gone = session.change(&self.dialect.delete, &self.key(key)).await?;
        self.census.removed(gone);
        Ok(gone > 0)
    }

    /// Removes what begins so, or everything.
    pub async fn clear<L: Link>(&self, session: &mut Session<'_, L>, prefix: Option<&str>) -> Step<()> {
        let gone = match prefix {
            None | Some("") => session.change(&self.dialect.clear, &[]).await?,
            Some(prefix) => session.change(&self.dialect.clear_prefix, &self.key(prefix)).await?,
        };
        self.census.removed(gone);
        Ok(())
    }

    /// Removes the rows that are over.
    pub async fn purge<L: Link>(&self, session: &mut Session<'_, L>) -> Step<u64> {
        let now = self.calendar.now_text(self.calendar.now());
        let gone = session.change(&self.dialect.purge, &[Arg::Text(&now)]).await?;
        self.census.removed(gone);
        Ok(gone)
    }

    /// One page of the keys that match.
    pub async fn scan<L: Link>(&self, session: &mut Session<'_, L>, pattern: &[u8], at: u64) -> Step<Page> {
        let after = self.cursors.find(at)?;
        let now = self.calendar.now_text(self.calendar.now());
        let args = [Arg::Text(&after), Arg::Text(&now), Arg::Int(PAGE)];
        let rows = session.rows(&self.dialect.keys, &args).await?;
        let keys: Vec<String> = rows.into_iter().filter_map(|row| row.into_iter().next()).collect();
        let is_full = i64::try_from(keys.len()).is_ok_and(|count| count >= PAGE);
        let next = keys.last().filter(|_| is_full).map(|last| self.cursors.keep(last.clone()));
        let keys = keys.into_iter().map(String::into_bytes).filter(|key| glob::matches(pattern, key)).collect();
        Ok(Page { keys, next })
    }

    /// Whether the table can be read.
    pub async fn ping<L: Link>(&self, session: &mut Session<'_, L>) -> Step<()> {
        session.rows(&self.dialect.ping, &[]).await.map(drop)
    }

    /// Makes the table and its index where they are not there (DB-3).
    pub async fn create<L: Link>(&self, session: &mut Session<'_, L>) -> Step<()> {
        for statement in &self.dialect.create {
            match session.say(statement).await {
                // the index is there, or somebody else makes the same at this moment
                Err(fault) if fault.nature == Nature::Duplicate => {}
                done => done?,
            }
        }
        Ok(())
    }

    /// Removes rows where there are too many (DB-8, DB-11).
    pub(super) async fn cull<L: Link>(&self, session: &mut Session<'_, L>) -> Step<()> {
        if !self.census.is_due() {
            return Ok(());
        }
        let rows = session.rows(&self.dialect.count, &[]).await?;
        let count = rows.first().and_then(|row| row.first()?.parse().ok()).unwrap_or_default();
        match self.census.counted(count) {
            Cull::No => {}
            Cull::All => {
                let gone = session.change(&self.dialect.clear, &[]).await?;
                self.census.culled(gone);
            }
            Cull::Some => {
                let now = self.calendar.now_text(self.calendar.now());
                let mut gone = session.change(&self.dialect.purge, &[Arg::Text(&now)]).await?;
                let place = i64::try_from(self.census.to_cull(count.saturating_sub(gone))).unwrap_or(i64::MAX);
                if place > 0 {
                    let rows = session.rows(&self.dialect.cull_key, &[Arg::Int(place)]).await?;
                    if let Some(key) = rows.first().and_then(|row| row.first()) {
                        gone += session.change(&self.dialect.cull, &[Arg::Text(key)]).await?;
                    }
                }
                self.census.culled(gone);
            }
        }
        Ok(())
    }

    pub(super) fn count_added(&self, is_new: bool) {
        if is_new {
            self.census.added();
        }
    }

    /// A key as the statements take it: MySQL's once for the index, and once for its bytes.
    fn key<'a>(&self, key: &'a str) -> Args<'a> {
        let once = Arg::Text(key);
        if self.dialect.engine() == Engine::MySql { smallvec![once, once] } else { smallvec![once] }
    }

    /// A column `expires`.
    pub(super) fn point(&self, expires: &str) -> Step<Point> {
        let point = match self.dialect.engine() {
            Engine::Postgres => expires.parse().ok().map(Point::of_micros),
            _ => self.calendar.read(expires),
        };
        point.ok_or_else(|| row::undecodable("has an expiry that is no time").into())
    }
}

/// The first row.
fn first<const N: usize>(rows: &[Row]) -> Option<&[String; N]> {
    rows.first().and_then(|row| row.as_slice().try_into().ok())
}

/// The row that is this key's, and no neighbour's (pitfall 24).
fn own<'r, const N: usize>(rows: &'r [Row], key: &str) -> Option<&'r [String; N]> {
    let mut rows = rows.iter().filter_map(|row| <&[String; N]>::try_from(row.as_slice()).ok());
    rows.find(|row| row.first().is_some_and(|stored| stored == key))
}

/// Whether the row that was written was not there before (PostgreSQL).
fn is_new(rows: &[Row]) -> bool {
    rows.first().and_then(|row| row.first()).is_some_and(|is_new| is_new == "true")
}
