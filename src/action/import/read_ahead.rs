//! Reads, checks and sorts rows on a thread of its own, while those before them are written: each takes about a core.

use std::{
    io,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use bulla::ApiKeyId;

use crate::imported::{Reader, Record, RowError, Set};

/// Rows that were read.
#[derive(Default)]
pub(super) struct Batch {
    /// In the order of their ids. Of two rows for one key the first in the file comes first.
    pub(super) rows: Vec<(ApiKeyId, Record)>,
    pub(super) refused: Vec<RowError>,
    /// Bytes and rows that were read up to the end of this batch.
    pub(super) bytes: u64,
    pub(super) read: u64,
}

/// Reads all rows, and has `write` take them in batches of this size. One batch is read while another one is written.
pub(super) fn each_batch<E: From<io::Error>>(
    reader: &mut Reader<'_>,
    set: &Set,
    size: usize,
    mut write: impl FnMut(Batch) -> Result<(), E>,
) -> Result<(), E> {
    thread::scope(|scope| {
        let (sender, batches): (_, Receiver<io::Result<Batch>>) = sync_channel(0);
        thread::Builder::new()
            .name("read-ahead".to_owned())
            .spawn_scoped(scope, move || read(reader, set, size, &sender))?;
        // Where it ends early, the thread finds nobody who takes its next batch.
        batches.into_iter().try_for_each(|batch| write(batch?))
    })
}

fn read(reader: &mut Reader<'_>, set: &Set, size: usize, sender: &SyncSender<io::Result<Batch>>) {
    let mut read = 0;
    loop {
        let batch = next(reader, set, size, &mut read);
        let ended = batch.as_ref().map_or(true, |batch| batch.rows.len() + batch.refused.len() < size);
        if sender.send(batch).is_err() || ended {
            return;
        }
    }
}

fn next(reader: &mut Reader<'_>, set: &Set, size: usize, read: &mut u64) -> io::Result<Batch> {
    let mut batch = Batch::default();
    while batch.rows.len() + batch.refused.len() < size {
        match reader.next()? {
            None => break,
            Some(Ok(record)) => batch.rows.push((set.id_of(record.public.as_deref(), &record.check), record)),
            Some(Err(error)) => batch.refused.push(error),
        }
        *read += 1;
    }
    // Stable.
    batch.rows.sort_by_key(|(id, _)| *id);
    (batch.bytes, batch.read) = (reader.bytes(), *read);
    Ok(batch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imported::{Format, KeyLayout, Reading, Scheme};
    use jiff::Timestamp;

    const SIZE: usize = 100;

    fn batches(count: usize, mut write: impl FnMut(&Batch) -> io::Result<()>) -> io::Result<()> {
        use std::fmt::Write;
        let mut text = String::new();
        for number in 0..count {
            let row = "{\"app_id\":\"3f2b8c1e-9a7d-4d52-8a55-0123456789ab\",\"hash\":\"";
            let _never_fails = writeln!(text, "{row}{number:064x}\"}}");
        }
        text.push_str("no row\n");
        let set = Set::new(1, "live".parse().expect("a realm"), KeyLayout::new(Scheme::Sha256), [0; 16], None);
        let reading = Reading::new(&set, Timestamp::UNIX_EPOCH);
        let mut reader = Reader::new(Box::new(text.as_bytes()), Format::Jsonl, reading)?;
        each_batch(&mut reader, &set, SIZE, |batch| {
            assert!(batch.bytes <= text.len() as u64 && batch.rows.is_sorted_by_key(|(id, _)| *id));
            write(&batch)
        })
    }

    #[test]
    fn every_row_is_in_one_sorted_batch() {
        for count in [0, 1, SIZE - 1, SIZE, 3 * SIZE + 7] {
            let (mut rows, mut refused, mut read) = (0, 0, 0);
            batches(count, |batch| {
                (rows, refused, read) = (rows + batch.rows.len(), refused + batch.refused.len(), batch.read);
                Ok(())
            })
            .expect("read");
            assert_eq!((rows, refused, read), (count, 1, count as u64 + 1));
        }
    }

    #[test]
    fn an_error_of_the_writer_ends_the_reading() {
        let mut written = 0;
        let failed = batches(5 * SIZE, |_| {
            written += 1;
            Err(io::Error::other("full"))
        });
        assert_eq!((failed.expect_err("failed").to_string(), written), ("full".to_owned(), 1));
    }
}
