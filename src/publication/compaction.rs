//! Compaction: which files are merged. Every change is a small file at first; eight of one size become one of the next.
//! So a follower that is a little behind fetches little, the head object names few files, and each event is written
//! again a few times at most.

/// How many files of one size are merged into one.
const FAN: usize = 8;

/// The sizes, each by the number of places in the log from which on a file is larger. The largest are not merged.
const SIZES: [u64; 4] = [8, 64, 512, 4096];

/// The first of the last files that are merged, by how many places of the log each has, in their order.
pub(super) fn merge_from(places: &[u64]) -> Option<usize> {
    let smallest = [0].into_iter().chain(SIZES);
    smallest.zip(SIZES).find_map(|(from, size)| {
        let first = places.iter().rposition(|places| *places >= size).map_or(0, |larger| larger + 1);
        // Smaller ones between them are merged with them, and do not count.
        (places[first..].iter().filter(|places| **places >= from).count() >= FAN).then_some(first)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_grow_from_small_to_large_and_stay_few() {
        let (mut files, mut most, mut written) = (Vec::new(), 0, 0);
        for _ in 0..20_000 {
            files.push(1);
            written += 1;
            while let Some(first) = merge_from(&files) {
                let merged = files.drain(first..).sum();
                files.push(merged);
                written += merged;
            }
            most = most.max(files.len());
        }
        assert!(most <= 4 * FAN, "{most} files");
        assert!(files.is_sorted_by(|one, next| one >= next), "{files:?}");
        assert!(written <= 20_000 * 5, "{written} events");
    }

    #[test]
    fn large_files_are_left_alone() {
        assert_eq!(merge_from(&[5_000; 100]), None);
        assert_eq!(merge_from(&[]), None);
        let mut files = vec![5_000; 5];
        files.extend([1; 8]);
        assert_eq!(merge_from(&files), Some(5));
        files.pop();
        assert_eq!(merge_from(&files), None);
    }
}
